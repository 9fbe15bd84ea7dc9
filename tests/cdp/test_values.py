"""Money, usage and ids are exact, and say what they expect when they cannot be."""

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.values import (
    BYTES_PER_MEGABYTE,
    CURRENCIES,
    USAGE_UNITS,
    age_on,
    compact,
    customer_id_of,
    money_text,
    money_to_minor,
    row_id,
    store_of,
    to_usage_count,
    valid_region,
)

CUSTOMER = UUID(int=7)


@given(st.integers(-(10**12), 10**12), st.sampled_from(sorted(CURRENCIES)))
def test_money_comes_back_as_it_went(minor: int, unit: str) -> None:
    assert money_to_minor(money_text(minor, unit), unit) == minor


@pytest.mark.parametrize(
    ("value", "unit", "minor"),
    [("12.34", "CNY", 1234), ("12.3", "HKD", 1230), ("-5", "CNY", -500), ("7", "JPY", 7), ("1.234", "KWD", 1234)],
)
def test_money_in_minor_units(value: str, unit: str, minor: int) -> None:
    assert money_to_minor(value, unit) == minor


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        ("1", "XXX", "a currency"),
        ("1", "cny", "a currency"),
        ("1.234", "CNY", "at most 2"),
        ("1.5", "JPY", "at most 0"),
        ("1e3", "CNY", "a decimal"),
        ("1,000", "CNY", "a decimal"),
        ("NaN", "CNY", "a decimal"),
        (" 1", "CNY", "a decimal"),
        ("١", "CNY", "a decimal"),
        ("9" * 14, "CNY", "a decimal"),
        ("", "CNY", "a decimal"),
    ],
)
def test_money_that_cannot_be_written_exactly_is_refused(value: str, unit: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        money_to_minor(value, unit)


@given(st.sampled_from([(t, u) for t, units in USAGE_UNITS.items() for u in units]), st.integers(0, 10**9))
def test_usage_is_converted_exactly(kind: tuple[str, str], quantity: int) -> None:
    usage_type, units = kind
    assert to_usage_count(usage_type, str(quantity), units) == quantity * USAGE_UNITS[usage_type][units]


def test_parts_of_a_unit_are_taken_while_they_are_whole() -> None:
    assert to_usage_count("VOICE", "2.5", "minutes") == 150
    assert to_usage_count("DATA", "0.5", "megabytes") == BYTES_PER_MEGABYTE // 2
    with pytest.raises(ValueError, match="a whole number"):
        to_usage_count("VOICE", "0.01", "minutes")


@pytest.mark.parametrize(
    ("usage_type", "units"), [("VOICE", "bytes"), ("SMS", "seconds"), ("DATA", "MB"), ("DATA", "")]
)
def test_an_unknown_unit_is_refused(usage_type: str, units: str) -> None:
    with pytest.raises(ValueError, match="one of"):
        to_usage_count(usage_type, "1", units)


@pytest.mark.parametrize("quantity", ["-1", "1e3", "", "NaN", "Infinity", "1.", str(Decimal("1E+3"))])
def test_a_quantity_that_is_none_is_refused(quantity: str) -> None:
    with pytest.raises(ValueError, match="decimal number"):
        to_usage_count("VOICE", quantity, "seconds")


@pytest.mark.parametrize(
    ("region", "good"),
    [("CN-GD", True), ("HK", True), ("US-CA", True), ("CN", False), ("CN-ZZ", False), ("hk", False), ("", False)],
)
def test_regions(region: str, good: bool) -> None:
    assert valid_region(region) is good


def test_a_region_is_kept_where_its_longest_name_says() -> None:
    regions = {"CN": "cn", "HK": "hk", "CN-GD": "south"}
    assert [store_of(r, regions) for r in ("CN-BJ", "CN-GD", "HK", "US-CA")] == ["cn", "south", "hk", None]


@given(st.text(max_size=20), st.text(max_size=20))
def test_rows_have_ids_of_their_own(one: str, other: str) -> None:
    ids = {row_id(CUSTOMER, "bill", one), row_id(CUSTOMER, "bill", other)}
    assert len(ids) == len({one, other})
    assert {i.version for i in ids} == {8}
    assert row_id(CUSTOMER, "bill", one) != row_id(CUSTOMER, "payment", one)
    assert row_id(CUSTOMER, "bill", one) != row_id(UUID(int=8), "bill", one)


def test_the_id_of_a_row_never_changes() -> None:
    assert str(row_id(CUSTOMER, "bill", "B-1")) == "77675ce1-9916-8505-8b63-35f4d65a3ffb"


def test_a_customer_id_sorts_by_time_and_is_repeatable() -> None:
    early, late = (datetime(2020 + n, 1, 1, tzinfo=UTC) for n in (1, 2))
    one = customer_id_of("t", "cn", "e-1", early)
    assert one == customer_id_of("t", "cn", "e-1", early)
    assert one < customer_id_of("t", "cn", "e-1", late)
    assert len({one, customer_id_of("t", "hk", "e-1", early), customer_id_of("t", "cn", "e-2", early)}) == 3
    assert (one.version, one.variant) == (7, UUID(int=1 << 63).variant)
    assert one.int >> 80 == int(early.timestamp() * 1000)


def test_ages_and_document_numbers() -> None:
    assert [age_on(date(2008, 2, 29), date(2026, 2, day)) for day in (27, 28)] == [17, 17]
    assert age_on(date(2008, 2, 29), date(2026, 3, 1)) == 18
    assert compact(" a１2-3(4) ") == "A1234"
    assert compact("".join(map(chr, range(128)))) == compact("".join(map(chr, range(128))) + "\u2014")
