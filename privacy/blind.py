"""Blind indexes: keyed tags that find equal values without showing them.

A unique identifier (number, document, e-mail) keeps 16 bytes. A value that repeats (a name, the last four digits) is
cut to so few bits that two rows or more share a tag; its candidates are opened and compared behind the permit.
HMAC is fast on purpose: the key is the protection, and a slow hash would turn a bulk load into hours.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from privacy.encoding import framed, u32, utf8
from privacy.errors import PolicyInvalid

UNIQUE_BYTES = 16
FEWEST_DISTINCT = 4096


@dataclass(frozen=True, slots=True)
class Index:
    """One blind index over one field.

    `uid` is the field's, `version` the normaliser's (a new one makes new tags), `bits` None for a unique identifier,
    else the length a tag is cut to (1 .. 127).
    """

    uid: int
    name: str
    version: int
    bits: int | None = None

    def __post_init__(self) -> None:
        if self.bits is not None and not 1 <= self.bits < UNIQUE_BYTES * 8:
            raise PolicyInvalid("an index is cut to 1 .. 127 bits, or not at all")


def expand(root: bytes, label: bytes, length: int = 32) -> bytes:
    """HKDF-Expand with SHA-256: a key of `length` bytes under `root`, one for each label."""
    return HKDFExpand(algorithm=SHA256(), length=length, info=label).derive(root)


def index_key(root: bytes, tenant: str, index: Index) -> bytes:
    """The HMAC key (32 bytes) of one index under a store's index root: every field, index and version has its own."""
    return expand(root, framed("bidx", tenant, u32(index.uid), index.name, u32(index.version)))


class Tagger:
    """Makes the tags of one index; the hash of the key is worked out once, which makes a bulk load one third faster."""

    __slots__ = ("_bits", "_keyed")

    def __init__(self, key: bytes, index: Index) -> None:
        self._keyed = hmac.new(key, digestmod="sha256")
        self._bits = index.bits

    def tag(self, normalised: str) -> bytes:
        """16 bytes for a unique identifier, else as few bytes as hold the index's bits, unused low bits zero."""
        keyed = self._keyed.copy()
        keyed.update(utf8(normalised))
        whole = keyed.digest()
        if self._bits is None:
            return whole[:UNIQUE_BYTES]
        length = (self._bits + 7) // 8
        unused = length * 8 - self._bits
        return (int.from_bytes(whole[:length], "big") >> unused << unused).to_bytes(length, "big")


def tag(key: bytes, index: Index, normalised: str) -> bytes:
    """The tag of one value; `Tagger` makes many."""
    return Tagger(key, index).tag(normalised)


def most_bits(rows: int) -> int:
    """How many bits the indexes over one repeatable field may have together: floor(log2 rows) - 1, never below 0."""
    return max(0, rows.bit_length() - 2)


def check_bits(indexes: Iterable[Index], rows: int, distinct: int) -> None:
    """Raises PolicyInvalid where the indexes over one field would tell too much about its values.

    `rows` is how many rows the field has, `distinct` how many values it can take. Tags of several indexes over one
    field add up, so their bits are summed; a field of fewer than 4,096 values gets no index, however short.
    """
    cut = [index.bits for index in indexes if index.bits is not None]
    if distinct < FEWEST_DISTINCT:
        raise PolicyInvalid("a field of fewer than 4,096 distinct values gets no index")
    if sum(cut) > most_bits(rows):
        raise PolicyInvalid(f"the indexes over this field have {sum(cut)} bits together; {most_bits(rows)} are allowed")
