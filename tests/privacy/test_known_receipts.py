"""Frozen receipts: the product verifies them as they are, and so does a reader that shares no line with it.

The file is never written again.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from privacy.receipts import verify

KNOWN: dict[str, Any] = json.loads(Path(__file__).with_name("known_receipts.json").read_text(encoding="utf-8"))
EVERY = [
    pytest.param(text, place, id=f"receipt{n}")
    for n, (text, place) in enumerate(zip(KNOWN["receipts"], KNOWN["places"], strict=True))
]
KEY = bytes.fromhex(KNOWN["public_key"])


def read(text: str) -> int | None:
    """The place of a receipt's event in the log; raises where anything does not fit."""
    document, key = json.loads(text), Ed25519PublicKey.from_public_bytes(KEY)
    spelled = json.dumps(document["receipt"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    key.verify(base64.b64decode(document["signature"]["value"]), b"cdp.receipt.v1\0" + spelled.encode())
    if "evidence" not in document:
        return None
    entry = document["evidence"]["entry"]
    head, note = document["evidence"]["proof"].split("\n\n", 1)
    body, signatures = note.split("\n\n")
    signature = base64.b64decode(signatures.split("\n")[0].rsplit(" ", 1)[1])
    key.verify(signature[4:], f"{body}\n".encode())
    _, size, root = body.split("\n")
    _, extra, index, *hashes = head.split("\n")
    leaf = hashlib.sha256(b"\0" + entry.encode()).digest()
    assert extra == f"extra {base64.b64encode(leaf).decode()}"
    place = int(index.removeprefix("index "))
    assert base64.b64encode(root_by(leaf, place, int(size), [base64.b64decode(one) for one in hashes])).decode() == root
    assert json.loads(entry)["id"] == document["receipt"]["receipt_id"]
    return place


def root_by(leaf: bytes, place: int, size: int, path: list[bytes]) -> bytes:
    """The root, by the recursion of RFC 6962, section 2.1.1."""
    if size == 1:
        assert not path
        return leaf
    half = 1 << (size - 1).bit_length() - 1
    if place < half:
        left, right = root_by(leaf, place, half, path[:-1]), path[-1]
    else:
        left, right = path[-1], root_by(leaf, place - half, size - half, path[:-1])
    return hashlib.sha256(b"\1" + left + right).digest()


@pytest.mark.parametrize(("text", "place"), EVERY)
def test_the_other_reader_verifies_the_receipt(
    text: str, place: int | None, record_property: Callable[[str, object], None]
) -> None:
    assert read(text) == place
    record_property("answers", 1)


@pytest.mark.parametrize(("text", "place"), EVERY)
def test_the_product_verifies_the_receipt(text: str, place: int | None) -> None:
    assert verify(text, KEY) == (json.loads(text)["receipt"], place)
