"""Blind indexes: equal where they must be, different everywhere else, and short enough."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.blind import Index, Tagger, check_bits, index_key, most_bits, tag
from privacy.errors import KeyUnavailable, PolicyInvalid, ValueRefused
from privacy.keys import KeyRing

NUMBER = Index(1, "e164", 1)
ROOT = bytes(range(32))


@given(left=st.text(), right=st.text())
def test_tags_are_equal_for_equal_values_alone(left: str, right: str) -> None:
    key = index_key(ROOT, "cdp", NUMBER)
    assert (tag(key, NUMBER, left) == tag(key, NUMBER, right)) == (left == right)
    assert len(tag(key, NUMBER, left)) == 16


@pytest.mark.parametrize(
    "other", [replace(NUMBER, uid=2), replace(NUMBER, name="last4"), replace(NUMBER, version=2)], ids=str
)
def test_every_index_has_its_own_key(other: Index) -> None:
    assert index_key(ROOT, "cdp", other) != index_key(ROOT, "cdp", NUMBER)


def test_every_tenant_and_store_has_its_own_tags(rings: Callable[..., KeyRing]) -> None:
    places = [("cdp", "cn"), ("cdp", "hk"), ("other", "cn")]
    assert len({rings(*place).tag(NUMBER, "+8613800138000") for place in places}) == 3
    assert index_key(ROOT, "cdp", NUMBER) != index_key(ROOT, "other", NUMBER)


@given(bits=st.integers(1, 127), value=st.text())
def test_a_cut_tag_is_the_front_of_the_whole_one(bits: int, value: str) -> None:
    cut = Tagger(ROOT, replace(NUMBER, bits=bits)).tag(value)
    whole = Tagger(ROOT, NUMBER).tag(value)
    as_bits = "".join(f"{byte:08b}" for byte in cut)
    assert len(cut) == -(-bits // 8)
    assert as_bits[:bits] == "".join(f"{byte:08b}" for byte in whole)[:bits]
    assert set(as_bits[bits:]) <= {"0"}


def test_a_cut_tag_takes_every_value_of_its_bits() -> None:
    tagger = Tagger(ROOT, replace(NUMBER, bits=3))
    assert {tagger.tag(str(n)) for n in range(200)} == {bytes((n << 5,)) for n in range(8)}


def test_a_lone_surrogate_has_no_tag() -> None:
    with pytest.raises(ValueRefused):
        tag(ROOT, NUMBER, "\ud800")


@pytest.mark.parametrize("bits", [0, -1, 128])
def test_an_index_has_a_sensible_length(bits: int) -> None:
    with pytest.raises(PolicyInvalid):
        Index(1, "name", 1, bits)


@pytest.mark.parametrize(("rows", "bits"), [(0, 0), (1, 0), (4, 1), (7, 1), (8, 2), (200_000, 16), (2**20, 19)])
def test_most_bits(rows: int, bits: int) -> None:
    assert most_bits(rows) == bits


def test_the_bits_of_all_indexes_over_a_field_are_summed() -> None:
    name, last = Index(2, "name", 1, 10), Index(2, "family", 1, 6)
    check_bits([name, last, Index(2, "whole", 1)], rows=200_000, distinct=50_000)
    with pytest.raises(PolicyInvalid, match="16 bits together; 15"):
        check_bits([name, last], rows=100_000, distinct=50_000)


@pytest.mark.parametrize("index", [Index(3, "gender", 1, 1), Index(3, "gender", 1)])
def test_a_field_of_few_values_gets_no_index(index: Index) -> None:
    check_bits([index], rows=10**9, distinct=4096)
    with pytest.raises(PolicyInvalid):
        check_bits([index], rows=10**9, distinct=4095)


def test_a_tag_of_a_later_root_follows_from_the_one_before_and_from_nothing_less(rings: Callable[..., KeyRing]) -> None:
    first, second, third = (rings("cdp", "cn", epochs) for epochs in ((1,), (1, 2), (1, 2, 3)))
    tag = first.tag(NUMBER, "+8613800138000")
    assert first.later_tags(NUMBER, tag) == []
    assert second.tag(NUMBER, "+8613800138000") == second.later_tags(NUMBER, tag)[0]
    assert third.later_tags(NUMBER, tag) == [second.later_tags(NUMBER, tag)[0], third.tag(NUMBER, "+8613800138000")]
    assert third.later_tags(NUMBER, third.later_tags(NUMBER, tag)[0]) == [third.tag(NUMBER, "+8613800138000")]
    assert {ring.digest(NUMBER, "+8613800138000") for ring in (first, second, third)} == {tag}
    assert len({tag, *third.later_tags(NUMBER, tag)}) == 3
    with pytest.raises(KeyUnavailable):
        rings("cdp", "cn", (1, 3)).tag(NUMBER, "+8613800138000")
