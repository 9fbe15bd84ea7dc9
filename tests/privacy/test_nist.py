"""Vectors of NIST and of RFCs, from `cryptography-vectors`, driven through the functions the product uses."""

import hmac
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import cryptography_vectors
import pytest

from privacy.blind import Index, Tagger, expand
from privacy.errors import SealBroken
from privacy.keys import TokenSeal
from privacy.seal import Suite, open_bytes, seal_bytes

FOLDER = Path(cryptography_vectors.__file__).parent
Vector = dict[str, str]
Record = Callable[[str, object], None]


def vectors(name: str) -> Iterator[Vector]:
    """The vectors of a file, names in small letters; facts of a group (in brackets) hold for what follows.

    A vector ends where a name comes again.
    """
    group, vector = Vector(), Vector()
    for line in (FOLDER / name).read_text().splitlines():
        word, _, value = (part.strip() for part in line.strip("[] ").lower().partition("="))
        if not word or word.startswith("#"):
            continue
        if vector and (word in vector or line.startswith("[")):
            yield group | vector
            vector = {}
        (group if line.startswith("[") else vector)[word] = value
    yield group | vector


def of(vector: Vector, *names: str) -> list[bytes]:
    return [bytes.fromhex(vector[name]) for name in names]


def test_these_are_the_only_calls_of_an_aead() -> None:
    assert list(inspect.signature(seal_bytes).parameters)[:4] == ["key", "nonce", "plaintext", "associated_data"]
    assert list(inspect.signature(open_bytes).parameters)[:4] == ["key", "nonce", "ciphertext", "associated_data"]


@pytest.mark.parametrize("bits", [128, 192, 256])
def test_aes_gcm(bits: int, record_property: Record) -> None:
    seen = 0
    for name in ("gcmEncryptExtIV", "gcmDecrypt"):
        for vector in vectors(f"ciphers/AES/GCM/{name}{bits}.rsp"):
            if (vector["ivlen"], vector["taglen"]) != ("96", "128"):
                continue  # the product knows no other nonces and tags
            key, nonce, bound, ciphertext, tag = of(vector, "key", "iv", "aad", "ct", "tag")
            if "fail" in vector:
                with pytest.raises(SealBroken):
                    open_bytes(key, nonce, ciphertext + tag, bound)
            else:
                [plain] = of(vector, "pt")
                assert seal_bytes(key, nonce, plain, bound) == ciphertext + tag, vector["count"]
                assert open_bytes(key, nonce, ciphertext + tag, bound) == plain, vector["count"]
            seen += 1
    assert seen == 750
    record_property("vectors", seen)


def test_aes_siv(record_property: Record) -> None:
    found = [vector for vector in vectors("ciphers/AES/SIV/openssl.txt") if len(vector["key"]) == 128]
    for vector in found:
        key, plain, ciphertext, tag = of(vector, "key", "plaintext", "ciphertext", "tag")
        bound, siv = of(vector, *(name for name in vector if name.startswith("aad"))), TokenSeal(key)._siv
        assert siv.encrypt(plain, bound) == tag + ciphertext
        assert siv.decrypt(tag + ciphertext, bound) == plain
    assert len(found) == 1
    record_property("vectors", len(found))


def test_sm4_gcm(record_property: Record) -> None:
    [vector] = vectors("ciphers/SM4/rfc8998.txt")
    key, nonce, plain, bound, ciphertext, tag = of(vector, "key", "iv", "plaintext", "aad", "ciphertext", "tag")
    assert seal_bytes(key, nonce, plain, bound, Suite.SM4_GCM) == ciphertext + tag
    assert open_bytes(key, nonce, ciphertext + tag, bound, Suite.SM4_GCM) == plain
    record_property("vectors", 1)


def test_hmac_sha256(record_property: Record) -> None:
    found = list(vectors("HMAC/rfc-4231-sha256.txt"))
    texts = [(vector, text) for vector in found if (text := of(vector, "msg")[0]).isascii()]
    for vector, text in texts:  # tags are made of text alone
        key, made = of(vector, "key", "md")
        assert Tagger(key, Index(1, "rfc", 1)).tag(text.decode()) == made[:16]
    assert len(texts) == 4
    record_property("vectors", len(texts))


def test_hkdf_sha256(record_property: Record) -> None:
    found = list(vectors("KDF/rfc-5869-HKDF-SHA256.txt"))
    for vector in found:
        secret, salt, info, extracted, made = of(vector, "ikm", "salt", "info", "prk", "okm")
        assert hmac.digest(salt or bytes(32), secret, "sha256") == extracted
        assert expand(extracted, info, int(vector["l"])) == made
    assert len(found) == 3
    record_property("vectors", len(found))
