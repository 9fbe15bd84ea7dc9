"""Forty frozen answers: the product reads them as they are, and so does a decoder that shares no line with it.

If one of these fails, cells that lie in databases have become unreadable. The file is never written again.
"""

import hashlib
import hmac
import json
import struct
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

from privacy.blind import Index
from privacy.keys import DataKey, KeyRing, StoreKeyKind, WrappedDataKey
from privacy.kms import InsecureFileKms
from privacy.log import canonical, chain
from privacy.policy import Permit
from privacy.seal import CellType, Opener, Place, Sealed, SealedColumn
from privacy.vocabulary import RetentionClass

KNOWN: dict[str, Any] = json.loads(Path(__file__).with_name("known_answers.json").read_text(encoding="utf-8"))
TENANT: str = KNOWN["tenant"]
Answer = dict[str, Any]


def every(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("answer", [pytest.param(a, id=f"{kind}{n}") for n, a in enumerate(KNOWN[kind])])


def secret(store: str, kind: str) -> bytes:
    return bytes.fromhex(KNOWN["store_keys"][store][kind])


def ring_of(store: str) -> KeyRing:
    return KeyRing(TENANT, store, [(kind, 1, secret(store, kind.value)) for kind in StoreKeyKind])


def lengths_first(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">H", len(part)) + part for part in parts)


def expand(root: bytes, info: bytes) -> bytes:
    """HKDF-Expand for one block, from RFC 5869."""
    return hmac.digest(root, info + b"\x01", "sha256")


def unwrap(store: str, a: Answer, wrapped: str) -> bytes:
    bound = lengths_first(
        b"cdp.dek.v1",
        TENANT.encode(),
        store.encode(),
        UUID(a["customer"]).bytes,
        a["retention"].encode(),
        struct.pack(">I", a["generation"]),
        struct.pack(">I", 1),
    )
    return AESSIV(secret(store, "KEK")).decrypt(bytes.fromhex(wrapped), [bound])


def read_cell(a: Answer) -> tuple[int, bytes]:
    """The type and the plain bytes of a cell, from the table of the format alone."""
    cell = bytes.fromhex(a["cell"])
    magic, suite, kind, reserved, generation = struct.unpack(">BBBBI", cell[:8])
    assert (magic, suite, reserved, generation) == (0xE1, 1, 0, a["generation"])
    place = (TENANT.encode(), a["store"].encode(), struct.pack(">I", a["uid"]))
    bound = lengths_first(b"cdp.cell.v1", *place, cell[:8], UUID(a["row"]).bytes, UUID(a["customer"]).bytes)
    plain = AESGCM(unwrap(a["store"], a, a["wrapped"])).decrypt(cell[8:20], cell[20:], bound)
    if kind >> 4:
        assert len(plain) in {16 << n for n in range(10)}
        plain, _, zeros = plain.rpartition(b"\x80")
        assert set(zeros) <= {0}
    assert kind >> 4 == a["padded"]
    return kind & 15, plain


READERS: list[tuple[str, Callable[[bytes], object]]] = [
    ("BYTES", bytes.hex),
    ("TEXT", lambda plain: str(plain, "utf-8")),
    ("INT64", lambda plain: struct.unpack(">q", plain)[0]),
    ("DECIMAL", lambda plain: str(plain, "ascii")),
    ("DATE", lambda plain: str(plain, "ascii")),
    ("JSON", json.loads),
]


def as_it_is(value: Any) -> object:
    return value


MEANT: dict[str, Callable[[Any], object]] = {
    "BYTES": bytes.fromhex,
    "DECIMAL": Decimal,
    "DATE": date.fromisoformat,
}


def test_there_are_forty(record_property: Callable[[str, object], None]) -> None:
    kinds = ("cells", "wraps", "tags", "pseudonyms", "tokens", "links", "roots")
    assert sum(len(KNOWN[kind]) for kind in kinds) == 40
    record_property("answers", 40)


@every("cells")
def test_the_other_decoder_reads_the_cell(answer: Answer) -> None:
    number, plain = read_cell(answer)
    name, read = READERS[number]
    assert (name, read(plain)) == (answer["type"], answer["value"])


@every("cells")
def test_the_product_reads_the_cell(answer: Answer, permit_for: Callable[..., Permit]) -> None:
    customer, retention = UUID(answer["customer"]), RetentionClass(answer["retention"])
    column = SealedColumn(answer["uid"], "identity.name", retention, CellType[answer["type"]], answer["padded"])
    wrapped = WrappedDataKey(customer, retention, answer["generation"], 1, bytes.fromhex(answer["wrapped"]))
    opener = Opener(permit_for(customer, "identity.name"), ring_of(answer["store"]), customer, [wrapped.row])
    sealed = Sealed(bytes.fromhex(answer["cell"]))
    value = opener.open(sealed, Place(TENANT, answer["store"], column), UUID(answer["row"]))
    meant = MEANT.get(answer["type"], as_it_is)(answer["value"])
    assert value == meant
    assert answer["type"] == "JSON" or repr(value) == repr(meant)


@every("wraps")
def test_a_wrapped_key(answer: Answer) -> None:
    plain = bytes.fromhex(answer["secret"])
    key = DataKey(UUID(answer["customer"]), RetentionClass(answer["retention"]), answer["generation"], plain)
    wrapped = ring_of(answer["store"]).wrap(key)
    assert (wrapped.wrapped.hex(), wrapped.epoch) == (answer["wrapped"], answer["epoch"])
    assert ring_of(answer["store"]).unwrap(wrapped).secret == plain
    assert unwrap(answer["store"], answer, answer["wrapped"]) == plain


@every("tags")
def test_a_tag(answer: Answer) -> None:
    index = Index(answer["uid"], answer["name"], answer["version"], answer["bits"])
    assert ring_of(answer["store"]).tag(index, answer["normalised"]).hex() == answer["tag"]
    numbers = struct.pack(">I", index.uid), struct.pack(">I", index.version)
    label = lengths_first(b"bidx", TENANT.encode(), numbers[0], index.name.encode(), numbers[1])
    whole = hmac.digest(expand(secret(answer["store"], "INDEX"), label), answer["normalised"].encode(), "sha256")
    bits = index.bits or 128
    shown = "".join(f"{byte:08b}" for byte in whole)[:bits].ljust(-(-bits // 8) * 8, "0")
    assert int(shown, 2).to_bytes(len(shown) // 8, "big").hex() == answer["tag"]


@every("pseudonyms")
def test_a_pseudonym(answer: Answer) -> None:
    customer, store = UUID(answer["customer"]), answer["store"]
    assert ring_of(store).pseudonym(customer, answer["year"]).hex() == answer["pseudonym"]
    label = lengths_first(b"audit", TENANT.encode(), store.encode(), struct.pack(">I", answer["year"]))
    key = expand(secret(store, "AUDIT"), label)
    assert hmac.digest(key, customer.bytes, "sha256").hex()[:32] == answer["pseudonym"]


@every("tokens")
def test_a_token(answer: Answer) -> None:
    tokens, payload = ring_of(answer["store"]).tokens, bytes.fromhex(answer["payload"])
    assert tokens.seal(answer["kind"], answer["audience"], payload) == answer["token"]
    assert tokens.open(answer["kind"], answer["audience"], answer["token"]) == payload
    sealed = urlsafe_b64decode(answer["token"] + "==")
    bound = lengths_first(b"cdp.token.v1", answer["kind"].encode(), answer["audience"].encode())
    assert AESSIV(secret(answer["store"], "CURSOR")).decrypt(sealed, [bound]) == payload


@every("links")
def test_a_link_of_the_chain(answer: Answer) -> None:
    leaf, previous = canonical(answer["entry"]), bytes.fromhex(answer["previous"])
    assert chain(previous, leaf).hex() == answer["link"]
    hashed = hashlib.sha256(b"\x00" + leaf).digest()
    assert hashlib.sha256(b"\x02" + previous + hashed).hexdigest() == answer["link"]


@pytest.fixture
def key_files(answer: Answer, tmp_path: Path) -> Path:
    """A folder with the known root key, as a file that was written long ago."""
    tmp_path.chmod(0o700)
    kept = {"secret": b64encode(bytes.fromhex(answer["root"])).decode(), "not_before": None}
    file = tmp_path / f"{answer['key_id']}.json"
    file.write_text(json.dumps({"versions": {str(answer["version"]): kept}}))
    file.chmod(0o600)
    return tmp_path


@every("roots")
async def test_a_key_wrapped_by_the_file_driver(answer: Answer, key_files: Path) -> None:
    wrapped, key_id, version = bytes.fromhex(answer["wrapped"]), answer["key_id"].encode(), answer["version"]
    assert wrapped.startswith(struct.pack(">BIB", 0xE2, version, len(key_id)) + key_id)
    named = (part.encode() for pair in sorted(answer["context"].items()) for part in pair)
    bound = lengths_first(b"cdp.root.v1", key_id, struct.pack(">I", version), *named)
    root = bytes.fromhex(answer["root"])
    assert AESSIV(root).decrypt(wrapped[6 + len(key_id) :], [bound]).hex() == answer["plaintext"]

    kms = InsecureFileKms(key_files, "test")
    assert (await kms.unwrap(wrapped, answer["context"])).hex() == answer["plaintext"]
    assert await kms.wrap(answer["key_id"], bytes.fromhex(answer["plaintext"]), answer["context"]) == wrapped
