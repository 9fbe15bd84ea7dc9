"""The chain: a log that was changed, shortened, reordered or added to does not fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import ValueRefused
from privacy.log import START, canonical, chain, leaf_hash

Entries = list[tuple[bytes, bytes]]


def written(leaves: list[bytes]) -> Entries:
    entries, link = [], START
    for leaf in leaves:
        link = chain(link, leaf)
        entries.append((leaf, link))
    return entries


def first_misfit(entries: Entries, head: bytes, previous: bytes = START) -> int | None:
    """The position of the first entry that does not fit after `previous`, or of the end where it is not `head`."""
    for position, (leaf, link) in enumerate(entries):
        if link != chain(previous, leaf):
            return position
        previous = link
    return None if previous == head else len(entries)


FIVE = written([canonical({"seq": n}) for n in range(5)])


@given(leaves=st.lists(st.binary()))
def test_a_chain_fits_what_was_written(leaves: list[bytes]) -> None:
    entries = written(leaves)
    head = entries[-1][1] if entries else START
    assert first_misfit(entries, head) is None


def test_a_chain_is_verified_from_any_link_on() -> None:
    assert first_misfit(FIVE[2:], FIVE[-1][1], previous=FIVE[1][1]) is None


@pytest.mark.parametrize(
    ("entries", "position"),
    [
        pytest.param([*FIVE[:2], (b"{}", FIVE[2][1]), *FIVE[3:]], 2, id="a changed leaf"),
        pytest.param([*FIVE[:2], (FIVE[2][0], bytes(32)), *FIVE[3:]], 2, id="a changed link"),
        pytest.param([*FIVE[:2], *FIVE[3:]], 2, id="a dropped entry"),
        pytest.param(FIVE[1:], 0, id="a dropped beginning"),
        pytest.param([FIVE[0], FIVE[2], FIVE[1], *FIVE[3:]], 1, id="two entries swapped"),
        pytest.param([*FIVE[:3], FIVE[2], *FIVE[3:]], 3, id="an entry twice"),
        pytest.param(FIVE[:-1], 4, id="a dropped end"),
        pytest.param([*FIVE, (b"{}", chain(FIVE[-1][1], b"{}"))], 6, id="an added end"),
        pytest.param([], 0, id="nothing"),
    ],
)
def test_a_log_that_was_tampered_with_is_found(entries: Entries, position: int) -> None:
    assert first_misfit(entries, FIVE[-1][1]) == position


def test_a_leaf_cannot_pass_as_a_link() -> None:
    leaf = b"entry"
    assert chain(START, leaf) != leaf_hash(START + leaf_hash(leaf))
    assert chain(START, leaf) != chain(START, leaf_hash(leaf))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_link_has_its_length(length: int) -> None:
    with pytest.raises(ValueRefused):
        chain(bytes(length), b"entry")


def test_an_entry_has_one_spelling() -> None:
    assert canonical({"b": 1, "a": {"d": None, "c": "键"}}) == '{"a":{"c":"键","d":null},"b":1}'.encode()
    with pytest.raises(ValueRefused):
        canonical({"at": object()})
