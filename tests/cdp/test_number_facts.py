"""What a number tells by its digits alone; short codes tell it too."""

import pytest

from cdp.errors import InvalidNumber
from cdp.number_facts import NumberFacts, facts, read_facts
from cdp.numbers import NumberKind, PhoneNumber


@pytest.mark.parametrize(
    ("text", "issuer"),
    [
        ("+8613800138000", "China Mobile"),
        ("+8619712345678", "China Mobile"),
        ("+8618612345678", "China Unicom"),
        ("+8614612345678", "China Unicom"),
        ("+8618912345678", "China Telecom"),
        ("+8613491234567", "China Telecom"),
        ("+8619212345678", "China Broadnet"),
        ("+8617001234567", "China Telecom"),
        ("+8617031234567", "China Mobile"),
        ("+8617041234567", "China Unicom"),
        ("+861064612345678", "China Unicom"),
        ("+861064712345678", "China Mobile"),
        ("+861440123456789", "China Mobile"),
        ("+861064912345678", "China Telecom"),
        ("+8675586512345", None),
        ("+85291234567", None),
        ("+14155552671", None),
    ],
)
def test_the_issuer_is_that_of_the_longest_prefix(text: str, issuer: str | None) -> None:
    number = PhoneNumber.parse(text)
    assert facts(number) == NumberFacts(number.region, number.kind, issuer)
    assert read_facts(text, None) == (number, facts(number))


@pytest.mark.parametrize(
    ("text", "record", "region", "issuer"),
    [
        ("10086", "CN-GD", "CN", "China Mobile"),
        ("１００８６", "CN", "CN", "China Mobile"),
        ("1008611", "CN", "CN", "China Mobile"),
        ("+8610010", None, "CN", "China Unicom"),
        ("0086 10000", "HK", "CN", "China Telecom"),
        ("8610099", "CN", "CN", "China Broadnet"),
        ("95588", "CN", "CN", None),
        ("1069 0123 4567", "CN", "CN", None),
        ("999", "HK", "HK", None),
        ("10086", "HK", "HK", None),
        ("911", "US", "US", None),
    ],
)
def test_a_short_code_tells_its_country_and_whose_it_is(
    text: str, record: str | None, region: str, issuer: str | None
) -> None:
    assert read_facts(text, record) == (None, NumberFacts(region, NumberKind.SHORT_CODE, issuer))


@pytest.mark.parametrize(
    ("text", "record", "reason"),
    [
        ("10086", None, "REGION_MISSING"),
        ("91234567", None, "REGION_MISSING"),
        ("1", "CN", "TOO_SHORT"),
        ("null", "CN", "BLOCKED"),
        ("+999123456789", None, "COUNTRY_UNKNOWN"),
    ],
)
def test_what_is_neither_is_refused(text: str, record: str | None, reason: str) -> None:
    with pytest.raises(InvalidNumber) as refused:
        read_facts(text, record)
    assert refused.value.reason == reason
