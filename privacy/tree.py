"""The tree over the entries of a log, as RFC 6962 writes it, kept in tiles as C2SP's tlog-tiles has them.

A tile is up to 256 hashes (32 bytes each) side by side; tile n of level l holds the hashes of the subtrees of 256**l
entries from n * 256 on. Whoever has the tiles that `tiles_of` names can work out every root and proof: a proof is a
list of ranges of entries, and the hash of a range is made of complete subtrees, each of which lies in one tile.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from privacy.errors import ProofRefused
from privacy.log import HASH_BYTES

__all__ = [
    "EMPTY_ROOT",
    "TILE_HASHES",
    "Frontier",
    "check_consistency",
    "check_inclusion",
    "consistency",
    "edge",
    "grown",
    "hash_of",
    "inclusion",
    "node",
    "tiles_of",
]

TILE_HASHES = 256
TILE_LEVELS = 8
EMPTY_ROOT = hashlib.sha256().digest()
SHORT = "a tile is missing or too short"

Range: TypeAlias = tuple[int, int]
"""Entries from the first number up to, not with, the second."""
TileName: TypeAlias = tuple[int, int]
"""Level and number."""


def node(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees side by side."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The root of a log that grows entry by entry, with no more memory than one hash for each level."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """One more entry, by its leaf hash."""
        self.size += 1
        rest = self.size
        while rest % 2 == 0:
            leaf = node(self._peaks.pop(), leaf)
            rest //= 2
        self._peaks.append(leaf)

    @property
    def root(self) -> bytes:
        """The root over all entries so far."""
        return _joined(list(self._peaks))


def inclusion(index: int, size: int) -> list[Range]:
    """What proves that entry `index` is in the tree of `size` entries, from the leaf's sibling up to below the root.

    Raises ProofRefused for an entry that is not in it.
    """
    if not 0 <= index < size:
        raise ProofRefused("the entry is not in a tree of this size")
    ranges, start, end = list[Range](), 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        ranges.append((middle, end) if index < middle else (start, middle))
        start, end = (start, middle) if index < middle else (middle, end)
    return ranges[::-1]


def consistency(old: int, size: int) -> list[Range]:
    """What proves that the tree of `size` entries begins with the tree of `old` ones, in the order of RFC 6962.

    Nothing for `old` 0 or `size`; raises ProofRefused where `old` is larger.
    """
    if not 0 <= old <= size:
        raise ProofRefused("a tree does not begin with a larger one")
    if old in (0, size):
        return []
    ranges, start, end = list[Range](), 0, size
    while end != old:
        middle = start + _split(end - start)
        ranges.append((middle, end) if old <= middle else (start, middle))
        start, end = (start, middle) if old <= middle else (middle, end)
    # The old tree itself needs no proof where it is a whole subtree from the first entry on.
    return [*([(start, end)] if start else []), *ranges[::-1]]


def edge(size: int) -> list[TileName]:
    """The tiles at the right edge of a tree, those that are not full: enough for its root, and to add to it."""
    names = []
    for level in range(size.bit_length() // TILE_LEVELS + 1):
        number, hashes = divmod(size >> level * TILE_LEVELS, TILE_HASHES)
        if hashes:
            names.append((level, number))
    return names


def grown(tiles: Mapping[TileName, bytes], size: int, leaves: bytes) -> dict[TileName, bytes]:
    """The tiles that change when entries are added to a tree; `leaves` are their hashes, `tiles` holds its `edge`.

    Raises ProofRefused where a tile of the edge is missing or too short.
    """
    changed: dict[TileName, bytes] = {}
    level = 0
    while leaves:
        number, hashes = divmod(size, TILE_HASHES)
        before = tiles.get((level, number), b"")[: hashes * HASH_BYTES]
        if len(before) != hashes * HASH_BYTES:
            raise ProofRefused(SHORT)
        row, leaves, size = before + leaves, b"", number
        for start in range(0, len(row), TILE_HASHES * HASH_BYTES):
            tile = changed[level, number] = row[start : start + TILE_HASHES * HASH_BYTES]
            if len(tile) == TILE_HASHES * HASH_BYTES:
                leaves += _complete(tile)
            number += 1
        level += 1
    return changed


def tiles_of(ranges: Iterable[Range]) -> set[TileName]:
    """The tiles that hold the hashes of these ranges."""
    return {_place(level, number)[:2] for one in ranges for level, number in _subtrees(one)}


def hash_of(tiles: Mapping[TileName, bytes], of: Range) -> bytes:
    """The hash of a range (from 0 on: a root). Raises ProofRefused where a tile of it is missing or too short."""
    return _joined([_subtree(tiles, level, number) for level, number in _subtrees(of)])


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raises ProofRefused unless the proof leads from a leaf hash at `index` to the root of a tree of that size."""
    found = leaf
    ranges = inclusion(index, size)
    if len(ranges) != len(proof):
        raise ProofRefused("the proof has another length")
    for (start, _), other in zip(ranges, proof, strict=True):
        found = node(found, other) if start > index else node(other, found)
    if found != root:
        raise ProofRefused("the entry is not in this tree")


def check_consistency(old: tuple[int, bytes], new: tuple[int, bytes], proof: Sequence[bytes]) -> None:
    """Raises ProofRefused unless the proof shows that the tree `new` (size, root) begins with the tree `old`."""
    ranges = consistency(old[0], new[0])
    if len(ranges) != len(proof):
        raise ProofRefused("the proof has another length")
    if old[0] == 0:
        return
    known = dict(zip(ranges, proof, strict=True))
    if not ranges or ranges[0][1] != old[0]:
        known[0, old[0]] = old[1]  # the old tree is a whole subtree of the new one
    if _proved(known, (0, old[0])) != old[1] or _proved(known, (0, new[0])) != new[1]:
        raise ProofRefused("the larger tree does not begin with the smaller one")


def _proved(known: Mapping[Range, bytes], of: Range) -> bytes:
    """The hash of a range, worked out from the ranges whose hashes are known."""
    found = known.get(of)
    if found is not None:
        return found
    start, end = of
    if end - start < 2:
        raise ProofRefused("the proof does not hold what it must")
    middle = start + _split(end - start)
    return node(_proved(known, (start, middle)), _proved(known, (middle, end)))


def _split(size: int) -> int:
    """The largest power of two below `size`, where a tree of two entries or more is divided."""
    return 1 << (size - 1).bit_length() - 1


def _subtrees(of: Range) -> list[tuple[int, int]]:
    """The complete subtrees (height, number) that a range of a tree or proof is made of, from left to right."""
    (start, end), found = of, []
    while start < end:
        height = (end - start).bit_length() - 1
        found.append((height, start >> height))
        start += 1 << height
    return found


def _place(height: int, number: int) -> tuple[int, int, int, int]:
    """Where a complete subtree lies: level and number of the tile, its first hash there and how many it is made of."""
    level, above = divmod(height, TILE_LEVELS)
    tile, first = divmod(number << above, TILE_HASHES)
    return level, tile, first, 1 << above


def _subtree(tiles: Mapping[TileName, bytes], height: int, number: int) -> bytes:
    level, tile, first, count = _place(height, number)
    hashes = tiles.get((level, tile), b"")[first * HASH_BYTES : (first + count) * HASH_BYTES]
    if len(hashes) != count * HASH_BYTES:
        raise ProofRefused(SHORT)
    return _complete(hashes)


def _complete(hashes: bytes) -> bytes:
    """The root over a power of two of hashes."""
    row = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
    while len(row) > 1:
        row = [node(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def _joined(peaks: list[bytes]) -> bytes:
    """The root over complete subtrees that become smaller from left to right."""
    if not peaks:
        return EMPTY_ROOT
    found = peaks.pop()
    while peaks:
        found = node(peaks.pop(), found)
    return found
