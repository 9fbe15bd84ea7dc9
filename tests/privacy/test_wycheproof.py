"""Adversarial vectors of Wycheproof, driven through the functions the product uses."""

import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidTag

from privacy.blind import Index, Tagger, expand
from privacy.errors import SealBroken
from privacy.keys import DataKey, TokenSeal
from privacy.seal import cipher_of, open_bytes, seal_bytes
from privacy.vocabulary import RetentionClass

VECTORS = Path(__file__).parents[2].parent / "shared" / "data" / "wycheproof"
Record = Callable[[str, object], None]


class Case(NamedTuple):
    """One vector: its group's facts, its own fields (hex is bytes), and whether it must pass."""

    number: int
    valid: bool
    field: dict[str, bytes]
    size: int


def cases(name: str, **group_facts: int) -> Iterator[Case]:
    """The cases of a file, of the groups with these facts; skips with the reason where the file is absent."""
    path = VECTORS / f"{name}.json"
    if not path.exists():
        pytest.skip(f"no Wycheproof vectors at {path}")
    for group in json.loads(path.read_text())["testGroups"]:
        if all(group.get(fact) == value for fact, value in group_facts.items()):
            for test in group["tests"]:
                yield case(test)


def case(test: dict[str, Any]) -> Case:
    named = ("key", "iv", "aad", "msg", "ct", "tag", "ikm", "salt", "info", "okm")
    field = {name: bytes.fromhex(test[name]) for name in named if name in test}
    return Case(test["tcId"], test["result"] != "invalid", field, test.get("size", 0))


def test_aes_gcm(record_property: Record) -> None:
    seen = 0
    for number, valid, field, _ in cases("aes_gcm_test", keySize=256, ivSize=96, tagSize=128):
        cipher = cipher_of(DataKey(UUID(int=0), RetentionClass.IDENTITY, 1, field["key"]))
        sealed = field["ct"] + field["tag"]
        if valid:
            assert seal_bytes(cipher, field["iv"], field["msg"], field["aad"]) == sealed, number
            assert open_bytes(cipher, field["iv"], sealed, field["aad"]) == field["msg"], number
        else:
            with pytest.raises(SealBroken):
                open_bytes(cipher, field["iv"], sealed, field["aad"])
        seen += 1
    assert seen == 66
    record_property("vectors", seen)


def test_aes_siv(record_property: Record) -> None:
    seen = 0
    for number, valid, field, _ in cases("aes_siv_cmac_test", keySize=512):
        siv = TokenSeal(field["key"])._siv
        if valid:
            assert siv.encrypt(field["msg"], [field["aad"]]) == field["ct"], number
            assert siv.decrypt(field["ct"], [field["aad"]]) == field["msg"], number
        else:
            with pytest.raises(InvalidTag):
                siv.decrypt(field["ct"], [field["aad"]])
        seen += 1
    assert seen == 147
    record_property("vectors", seen)


def test_hmac_sha256(record_property: Record) -> None:
    seen = 0
    for number, valid, field, _ in cases("hmac_sha256_test"):
        try:
            text = field["msg"].decode()
        except UnicodeDecodeError:
            continue  # tags are made of text alone
        made = Tagger(field["key"], Index(1, "wycheproof", 1)).tag(text)
        if valid:
            assert made == field["tag"][:16], number
        elif len(field["tag"]) == 16:
            assert made != field["tag"], number
        seen += 1
    assert seen == 117
    record_property("vectors", seen)


def test_hkdf_sha256(record_property: Record) -> None:
    seen = 0
    for number, valid, field, size in cases("hkdf_sha256_test"):
        extracted = hmac.digest(field["salt"] or bytes(32), field["ikm"], "sha256")
        if valid:
            assert expand(extracted, field["info"], size) == field["okm"], number
        else:
            with pytest.raises(ValueError, match="larger than 8160"):
                expand(extracted, field["info"], size)
        seen += 1
    assert seen == 86
    record_property("vectors", seen)
