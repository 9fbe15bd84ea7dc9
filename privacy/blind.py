"""Blind indexes: keyed tags that find equal values without showing them.

A unique identifier (number, document, e-mail) keeps 16 bytes. A value that repeats (a name, the last four digits) is
cut to so few bits that two rows or more share a tag; its candidates are opened and compared behind the permit.
HMAC is fast on purpose: the key is the protection, and a slow hash would turn a bulk load into hours.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from privacy.encoding import framed, u32, utf8
from privacy.errors import KeyUnavailable, PolicyInvalid
from privacy.hidden import Hidden

UNIQUE_BYTES = 16
_SHA256 = SHA256()
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

    def __hash__(self) -> int:
        # Looked up for every tag; the hash of all its fields takes longer than the tag.
        return self.uid


def expand(root: bytes, label: bytes, length: int = 32, algorithm: HashAlgorithm = _SHA256) -> bytes:
    """HKDF-Expand: a key of `length` bytes under `root`, one for each label."""
    return HKDFExpand(algorithm=algorithm, length=length, info=label).derive(root)


def index_key(root: bytes, tenant: str, index: Index) -> bytes:
    """The HMAC key (32 bytes) of one index under a store's index root: every field, index and version has its own."""
    return expand(root, framed("bidx", tenant, u32(index.uid), index.name, u32(index.version)))


class Tagger:
    """Makes the tags of one index; the hash of the key is worked out once, which makes a bulk load one third faster."""

    __slots__ = ("_bits", "_inner", "_outer")

    def __init__(self, key: bytes, index: Index) -> None:
        # HMAC by its definition (RFC 2104), with the two hashes of the key kept: `hmac` takes three times as long.
        block = (key if len(key) <= 64 else sha256(key).digest()).ljust(64, b"\0")
        self._inner, self._outer = (sha256(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))
        self._bits = index.bits

    def _mac(self, message: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()

    def again(self, epoch: int, tag: bytes) -> bytes:
        """The tag of this root's epoch for the value that had `tag` in the one before: the epoch, then 16 bytes."""
        return bytes((epoch,)) + self._mac(tag)[:UNIQUE_BYTES]

    def tag(self, normalised: str) -> bytes:
        """16 bytes for a unique identifier, else as few bytes as hold the index's bits, unused low bits zero."""
        whole = self._mac(utf8(normalised))
        if self._bits is None:
            return whole[:UNIQUE_BYTES]
        length = (self._bits + 7) // 8
        unused = length * 8 - self._bits
        return (int.from_bytes(whole[:length], "big") >> unused << unused).to_bytes(length, "big")


def epoch_of(tag: bytes) -> int:
    """The epoch of the index root that a tag was made with."""
    return tag[0] if len(tag) > UNIQUE_BYTES else 1


class IndexRoots(Hidden):
    """The index roots of a store. A tag of epoch 1 is made of the value, one of epoch n of the tag of epoch n - 1.

    So a row gets its new tag from its old one, also where the value itself is sealed away or gone; and the tags of
    epoch n are beyond whoever holds all roots but the n-th. `settled` is the last epoch that all rows have reached.
    """

    __slots__ = ("_roots", "_taggers", "_tenant", "newest", "settled")

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant
        self._roots: dict[int, bytes] = {}
        self._taggers: dict[tuple[Index, int], Tagger] = {}
        self.newest = self.settled = 1

    def take(self, roots: Mapping[int, bytes]) -> None:
        """Takes in roots by epoch; those that are held stay."""
        self._roots |= roots
        self.newest = max(self._roots, default=1)

    def tag(self, index: Index, normalised: str, epoch: int) -> bytes:
        """The tag of a value in an epoch."""
        made = self._tagger(index, 1).tag(normalised)
        for later in range(2, epoch + 1):
            made = self._tagger(index, later).again(later, made)
        return made

    def digests(self, index: Index, texts: Iterable[str]) -> list[bytes]:
        """The tags of many values in epoch 1, in two thirds of the time."""
        return [*map(self._tagger(index, 1).tag, texts)]

    def later(self, index: Index, tag: bytes) -> list[bytes]:
        """The tags of the same value in the epochs after the tag's own, up to the newest."""
        made = []
        for epoch in range(epoch_of(tag) + 1, self.newest + 1):
            made.append(tag := self._tagger(index, epoch).again(epoch, tag))
        return made

    def _tagger(self, index: Index, epoch: int) -> Tagger:
        tagger = self._taggers.get((index, epoch))
        if tagger is None:
            if epoch not in self._roots:
                raise KeyUnavailable("this process does not hold the index root of that epoch")
            key = index_key(self._roots[epoch], self._tenant, index)
            tagger = self._taggers[index, epoch] = Tagger(key, index)
        return tagger


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
