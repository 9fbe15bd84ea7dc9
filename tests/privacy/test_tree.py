"""The tree is that of RFC 6962: by its published values, by its own recursive words, and against every wrong proof."""

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import ProofRefused
from privacy.log import leaf_hash
from privacy.tree import (
    EMPTY_ROOT,
    Frontier,
    TileName,
    check_consistency,
    check_inclusion,
    consistency,
    edge,
    grown,
    hash_of,
    inclusion,
    tiles_of,
)

# The values that the reference implementations of Certificate Transparency are tested with.
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
INCLUDED: dict[tuple[int, int], tuple[str, ...]] = {
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (5, 8): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
}
CONSISTENT: dict[tuple[int, int], tuple[str, ...]] = {
    (1, 8): INCLUDED[0, 8],
    (6, 8): (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 5): (
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}

SIZES = st.one_of(st.integers(0, 40), st.integers(250, 260), st.integers(510, 1030))


def hashes(count: int) -> list[bytes]:
    return [leaf_hash(n.to_bytes(4, "big")) for n in range(count)]


def mth(leaves: list[bytes]) -> bytes:
    """The Merkle tree hash in the words of RFC 6962, 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256().digest()
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def split(size: int) -> int:
    k = 1
    while k * 2 < size:
        k *= 2
    return k


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """The audit path of RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], *, whole: bool) -> list[bytes]:
    """The consistency proof of RFC 6962, 2.1.2."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole=whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], whole=False), mth(leaves[:k])]


def tiles(leaves: list[bytes], steps: list[int]) -> dict[TileName, bytes]:
    """The tiles of a tree that grew in steps that end at these sizes, each step knowing no more than the edge."""
    kept: dict[TileName, bytes] = {}
    for old, new in pairwise(sorted({0, *steps, len(leaves)})):
        known = {name: kept[name] for name in edge(old)}
        kept |= grown(known, old, b"".join(leaves[old:new]))
    return kept


def proof_of(kept: dict[TileName, bytes], ranges: list[tuple[int, int]]) -> list[bytes]:
    known = {name: kept[name] for name in tiles_of(ranges)}
    return [hash_of(known, one) for one in ranges]


def test_roots_are_those_that_are_published() -> None:
    frontier, leaves = Frontier(), [leaf_hash(leaf) for leaf in LEAVES]
    found = [frontier.root.hex()]
    for leaf in leaves:
        frontier.add(leaf)
        found.append(frontier.root.hex())
    assert found == [*ROOTS]
    assert EMPTY_ROOT.hex() == ROOTS[0]
    for size in range(1, 9):
        assert hash_of(tiles(leaves[:size], []), (0, size)).hex() == ROOTS[size]


def test_proofs_are_those_that_are_published() -> None:
    leaves = [leaf_hash(leaf) for leaf in LEAVES]
    kept = tiles(leaves, [])
    for (index, size), published in INCLUDED.items():
        proof = proof_of(kept, inclusion(index, size))
        assert [one.hex() for one in proof] == [*published]
        check_inclusion(leaves[index], index, size, proof, bytes.fromhex(ROOTS[size]))
    for (old, size), published in CONSISTENT.items():
        proof = proof_of(kept, consistency(old, size))
        assert [one.hex() for one in proof] == [*published]
        check_consistency((old, bytes.fromhex(ROOTS[old])), (size, bytes.fromhex(ROOTS[size])), proof)


def test_a_tree_of_seventy_thousand_has_the_tiles_of_the_specification() -> None:
    widths = {name: len(tile) // 32 for name, tile in tiles(hashes(70_000), [256, 65_536]).items()}
    assert {name: width for name, width in widths.items() if width < 256} == {(0, 273): 112, (1, 1): 17, (2, 0): 1}
    assert sum(width == 256 for (level, _), width in widths.items() if level == 0) == 273
    assert [name for name, width in widths.items() if width == 256 and name[0]] == [(1, 0)]
    assert set(edge(70_000)) == {(0, 273), (1, 1), (2, 0)}
    assert edge(256) == [(1, 0)]


@given(size=SIZES, steps=st.lists(st.integers(0, 1030), max_size=6))
def test_a_tree_is_the_same_however_it_grew(size: int, steps: list[int]) -> None:
    leaves = hashes(size)
    kept = tiles(leaves, [step for step in steps if step < size])
    assert kept == tiles(leaves, [])
    frontier = Frontier()
    for leaf in leaves:
        frontier.add(leaf)
    assert hash_of({name: kept[name] for name in edge(size)}, (0, size)) == mth(leaves) == frontier.root


@given(size=SIZES.filter(bool), data=st.data())
def test_an_inclusion_proof_is_that_of_the_rfc_and_proves_nothing_else(size: int, data: st.DataObject) -> None:
    leaves = hashes(size)
    index = data.draw(st.integers(0, size - 1))
    root, proof = mth(leaves), proof_of(tiles(leaves, []), inclusion(index, size))
    assert proof == path(index, leaves)
    check_inclusion(leaves[index], index, size, proof, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda n: n != index) if size > 1 else st.just(1))
    wrong = [(leaves[index], other, size, proof, root), (bytes(32), index, size, proof, root)]
    wrong += [(leaves[index], index, size, [*proof, bytes(32)], root), (leaves[index], index, size, proof, bytes(32))]
    wrong += [(leaves[index], index, size, flipped(proof, at), root) for at in range(len(proof))]
    wrong += [(leaves[index], index, size, proof[:at] + proof[at + 1 :], root) for at in range(len(proof))]
    for case in wrong:
        with pytest.raises(ProofRefused):
            check_inclusion(*case)


@given(size=SIZES, data=st.data())
def test_a_consistency_proof_is_that_of_the_rfc_and_proves_nothing_else(size: int, data: st.DataObject) -> None:
    leaves = hashes(size)
    old = data.draw(st.integers(0, size))
    proof = proof_of(tiles(leaves, []), consistency(old, size))
    assert proof == (subproof(old, leaves, whole=True) if old else [])
    before, now = (old, mth(leaves[:old])), (size, mth(leaves))
    check_consistency(before, now, proof)
    wrong = [((size + 1, now[1]), now, proof), (before, now, [*proof, bytes(32)])]
    if old:
        wrong += [((old, bytes(32)), now, proof), (before, (size, bytes(32)), proof)]
        wrong += [(before, now, flipped(proof, at)) for at in range(len(proof))]
    for case in wrong:
        with pytest.raises(ProofRefused):
            check_consistency(*case)


@given(size=st.integers(2, 600), data=st.data())
def test_a_fork_has_no_consistency_proof(size: int, data: st.DataObject) -> None:
    leaves = hashes(size)
    old = data.draw(st.integers(1, size - 1))
    forked = list(leaves)
    forked[data.draw(st.integers(0, old - 1))] = bytes(32)
    for proof in (subproof(old, leaves, whole=True), subproof(old, forked, whole=True)):
        with pytest.raises(ProofRefused):
            check_consistency((old, mth(leaves[:old])), (size, mth(forked)), proof)


def flipped(proof: list[bytes], at: int) -> list[bytes]:
    """The proof with one bit of one hash the other way."""
    return [*proof[:at], bytes([proof[at][0] ^ 1]) + proof[at][1:], *proof[at + 1 :]]


def test_what_is_not_in_a_tree_is_refused() -> None:
    for index, size in ((0, 0), (3, 3), (-1, 3)):
        with pytest.raises(ProofRefused):
            inclusion(index, size)
    with pytest.raises(ProofRefused):
        consistency(4, 3)


def test_a_tile_that_is_missing_or_short_gives_no_hash() -> None:
    kept = tiles(hashes(300), [])
    for broken in ({}, {**kept, (0, 1): kept[0, 1][:-32]}):
        with pytest.raises(ProofRefused):
            hash_of(broken, (0, 300))
        with pytest.raises(ProofRefused):
            grown(broken, 300, bytes(32))
