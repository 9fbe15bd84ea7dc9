"""Numbers: every way people write one gives one spelling, or a refusal with a reason and without the value."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.errors import InvalidNumber
from cdp.numbers import EXPECTED, NumberKind, PhoneNumber, facts

MOBILE, FIXED, IOT = NumberKind.MOBILE, NumberKind.FIXED, NumberKind.IOT
VIRTUAL, OTHER = NumberKind.VIRTUAL_OPERATOR, NumberKind.OTHER

ACCEPTED = [
    ("13800138000", "CN", "+8613800138000", MOBILE),
    ("13800138000", "CN-GD", "+8613800138000", MOBILE),
    ("138 0013 8000", "CN-BJ", "+8613800138000", MOBILE),
    ("138-0013-8000", "CN", "+8613800138000", MOBILE),
    ("138.0013.8000", "CN", "+8613800138000", MOBILE),
    ("138\u20110013\u20118000", "CN", "+8613800138000", MOBILE),
    ("138\u20100013\u20128000", "CN", "+8613800138000", MOBILE),
    ("138\u20130013\u20148000", "CN", "+8613800138000", MOBILE),
    ("１３８００１３８０００", "CN", "+8613800138000", MOBILE),
    ("（138）00138000", "CN", "+8613800138000", MOBILE),
    ("\u202a13800138000\u202c".replace("\u202a", "\u200e").replace("\u202c", "\u200f"), "CN", "+8613800138000", MOBILE),
    ("\ufeff138\u00a00013\u00a08000", "CN", "+8613800138000", MOBILE),
    ("013800138000", "CN", "+8613800138000", MOBILE),
    ("8613800138000", "CN", "+8613800138000", MOBILE),
    ("+8613800138000", None, "+8613800138000", MOBILE),
    ("+86 138 0013 8000", None, "+8613800138000", MOBILE),
    ("＋86 13800138000", None, "+8613800138000", MOBILE),
    ("+86 (0)138 0013 8000", None, "+8613800138000", MOBILE),
    ("008613800138000", None, "+8613800138000", MOBILE),
    ("0086-138-0013-8000", "HK", "+8613800138000", MOBILE),
    ("+8613800138000", "HK", "+8613800138000", MOBILE),
    ("19912345678", "CN", "+8619912345678", MOBILE),
    ("17012345678", "CN", "+8617012345678", VIRTUAL),
    ("17112345678", "CN", "+8617112345678", VIRTUAL),
    ("16212345678", "CN", "+8616212345678", VIRTUAL),
    ("1064712345678", "CN", "+861064712345678", IOT),
    ("1064812345678", "CN-SC", "+861064812345678", IOT),
    ("1440123456789", "CN", "+861440123456789", IOT),
    ("+861440123456789", None, "+861440123456789", IOT),
    ("0086 10648 12345678", None, "+861064812345678", IOT),
    ("0755 8651 2345", "CN-GD", "+8675586512345", FIXED),
    ("(010) 6512-3456", "CN", "+861065123456", FIXED),
    ("+86 20 8123 4567", None, "+862081234567", FIXED),
    ("400-810-0000", "CN", "+864008100000", OTHER),
    ("91234567", "HK", "+85291234567", MOBILE),
    ("9123 4567", "HK", "+85291234567", MOBILE),
    ("9123-4567", "HK", "+85291234567", MOBILE),
    ("９１２３４５６７", "HK", "+85291234567", MOBILE),
    ("51234567", "HK", "+85251234567", MOBILE),
    ("61234567", "HK", "+85261234567", MOBILE),
    ("44123456", "HK", "+85244123456", MOBILE),
    ("21234567", "HK", "+85221234567", FIXED),
    ("31234567", "HK", "+85231234567", FIXED),
    ("85291234567", "HK", "+85291234567", MOBILE),
    ("+85291234567", None, "+85291234567", MOBILE),
    ("+852 9123 4567", "CN-GD", "+85291234567", MOBILE),
    ("0085291234567", None, "+85291234567", MOBILE),
    ("00852 9123 4567", "CN-GD", "+85291234567", MOBILE),
    ("+852-9123-4567", None, "+85291234567", MOBILE),
    ("66123456", "MO", "+85366123456", MOBILE),
    ("+853 6612 3456", None, "+85366123456", MOBILE),
    ("28123456", "MO", "+85328123456", FIXED),
    ("0085366123456", "HK", "+85366123456", MOBILE),
    ("0912345678", "TW", "+886912345678", MOBILE),
    ("+886 912 345 678", None, "+886912345678", MOBILE),
    ("+886 0912 345 678", None, "+886912345678", MOBILE),
    ("02 2345 6789", "TW", "+886223456789", FIXED),
    ("+1 415 555 2671", None, "+14155552671", MOBILE),
    ("(415) 555-2671", "US", "+14155552671", MOBILE),
    ("+44 20 8555 1234", "CN-GD", "+442085551234", FIXED),
    ("+81 90-1234-5678", None, "+819012345678", MOBILE),
    ("+65 8123 4567", None, "+6581234567", MOBILE),
]

REFUSED = [
    ("", "CN", "EMPTY"),
    ("   ", "CN", "EMPTY"),
    ("+", None, "EMPTY"),
    ("10086", "CN", "SHORT_CODE"),
    ("10086", None, "SHORT_CODE"),
    ("110", "CN", "SHORT_CODE"),
    ("95588", "CN-GD", "SHORT_CODE"),
    ("+8610086", None, "SHORT_CODE"),
    ("999", "HK", "SHORT_CODE"),
    ("91234567", None, "REGION_MISSING"),
    ("13800138000", None, "REGION_MISSING"),
    ("99912345", "HK", "NOT_ASSIGNED"),
    ("+85299912345", None, "NOT_ASSIGNED"),
    ("00000000", "HK", "BLOCKED"),
    ("0", "CN", "BLOCKED"),
    ("+8600000000000", None, "BLOCKED"),
    ("12345678", "HK", "BLOCKED"),
    ("12345678", None, "BLOCKED"),
    ("+85212345678", None, "BLOCKED"),
    ("null", "CN", "BLOCKED"),
    ("NULL", None, "BLOCKED"),
    ("undefined", "HK", "BLOCKED"),
    ("N/A", "HK", "BLOCKED"),
    ("call me", "CN", "NOT_A_NUMBER"),
    ("138O0138000", "CN", "NOT_A_NUMBER"),
    ("13800\x00138000", "CN", "NOT_A_NUMBER"),
    ("١٣٨٠٠١٣٨٠٠٠", "CN", "NOT_A_NUMBER"),
    ("++8613800138000", None, "NOT_A_NUMBER"),
    ("1380013800", "CN", "NOT_ASSIGNED"),
    ("138001380001", "CN", "NOT_ASSIGNED"),
    ("106471234567890", "CN", "TOO_LONG"),
    ("9123456", "HK", "NOT_ASSIGNED"),
    ("912345678", "HK", "NOT_ASSIGNED"),
    ("+999123456789", None, "COUNTRY_UNKNOWN"),
    ("13800138000", "ZZ", "REGION_UNKNOWN"),
    ("1" * 65, "CN", "TEXT_TOO_LONG"),
    ("+1 415 555", None, "TOO_SHORT"),
    ("+4420855512345678", None, "TOO_LONG"),
]


@pytest.mark.parametrize(("text", "region", "e164", "kind"), ACCEPTED)
def test_one_number_has_one_spelling(text: str, region: str | None, e164: str, kind: NumberKind) -> None:
    number = PhoneNumber.parse(text, region)
    assert (number.e164, number.kind, number.extension) == (e164, kind, None)
    assert PhoneNumber.parse(number.e164) == number


@pytest.mark.parametrize(("text", "region", "reason"), REFUSED)
def test_a_refusal_names_its_reason_and_not_the_value(text: str, region: str | None, reason: str) -> None:
    with pytest.raises(InvalidNumber) as refused:
        PhoneNumber.parse(text, region)
    assert refused.value.reason == reason
    assert reason in EXPECTED
    assert len(text.strip()) < 3 or text.strip() not in f"{refused.value} {EXPECTED[reason]} {refused.value.args}"
    assert refused.value.__context__ is None or refused.value.__suppress_context__


def test_the_table_is_long_enough() -> None:
    assert len(ACCEPTED) >= 60


@pytest.mark.parametrize(
    "text", ["0755 8651 2345 ext. 12", "0755 8651 2345x12", "075586512345 转12", "075586512345#12"]
)
def test_an_extension_is_kept_apart(text: str) -> None:
    number = PhoneNumber.parse(text, "CN")
    assert (number.e164, number.extension) == ("+8675586512345", "12")


def test_the_text_form_shows_no_digits() -> None:
    number = PhoneNumber.parse("+8613800138000")
    assert "1380" not in f"{number!r} {number} {[number]}"
    assert pickle.loads(pickle.dumps(number)) == number  # noqa: S301 -- our own bytes


@pytest.mark.parametrize(
    ("text", "issuer"),
    [
        ("+8613800138000", "China Mobile"),
        ("+8618612345678", "China Unicom"),
        ("+8618912345678", "China Telecom"),
        ("+8613491234567", "China Telecom"),
        ("+8619212345678", "China Broadnet"),
        ("+8617031234567", "China Mobile"),
        ("+8617041234567", "China Unicom"),
        ("+861064712345678", "China Mobile"),
        ("+861064912345678", "China Telecom"),
        ("+85291234567", None),
        ("+14155552671", None),
    ],
)
def test_the_issuer_is_that_of_the_longest_prefix(text: str, issuer: str | None) -> None:
    number = PhoneNumber.parse(text)
    assert facts(number).issuer == issuer
    assert (facts(number).region, facts(number).kind) == (number.region, number.kind)


MAINLAND = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
HONG_KONG = st.from_regex(r"(?!999)[4-9][0-9]{7}", fullmatch=True)
NOISE = st.lists(st.sampled_from(list(" -.()\u2010\u2011\u2012\u2013\u2014\u00a0（）")), max_size=12)


@given(MAINLAND, NOISE, st.randoms(use_true_random=False), st.sampled_from(["", "+86", "0086", "86", "0"]))
def test_noise_and_prefixes_change_nothing(digits: str, noise: list[str], random: object, prefix: str) -> None:
    text = list(prefix + digits)
    for mark in noise:
        # Never before the prefix: a + in the middle is no prefix.
        text.insert(random.randint(len(prefix), len(text)), mark)  # type: ignore[attr-defined]
    assert PhoneNumber.parse("".join(text), "CN-GD").e164 == f"+86{digits}"


@given(HONG_KONG, st.sampled_from(["CN-GD", "HK", "MO", "TW", "US", None]))
def test_an_international_number_means_the_same_everywhere(digits: str, region: str | None) -> None:
    assert PhoneNumber.parse(f"+852{digits}", region) == PhoneNumber.parse(digits, "HK")


@given(st.text(max_size=80), st.sampled_from(["CN-GD", "HK", "US", "ZZ", None]))
def test_any_text_is_a_number_or_refused(text: str, region: str | None) -> None:
    try:
        number = PhoneNumber.parse(text, region)
    except InvalidNumber:
        return
    assert number.e164[0] == "+"
    assert number.e164[1:].isdigit()
    assert PhoneNumber.parse(number.e164).e164 == number.e164
