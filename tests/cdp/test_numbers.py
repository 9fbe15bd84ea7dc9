"""Numbers: every way people write one gives one spelling, or a refusal with a reason and without the value."""

import pickle
import re
from collections import Counter
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdp.errors import InvalidNumber
from cdp.identity.tables import NUMBER_INDEX
from cdp.numbers import EXPECTED, NumberKind, PhoneNumber
from tests.privacy.conftest import ring_of

MOBILE, FIXED, IOT = NumberKind.MOBILE, NumberKind.FIXED, NumberKind.IOT
VIRTUAL, OTHER = NumberKind.VIRTUAL_OPERATOR, NumberKind.OTHER

# As it is written, the region of the record, E.164, the country of the number, its kind.
MAINLAND_MOBILES = [
    ("13800138000", "CN", "+8613800138000", "CN", MOBILE),  # China Mobile
    ("13400138000", "CN-GD", "+8613400138000", "CN", MOBILE),
    ("14712345678", "CN", "+8614712345678", "CN", MOBILE),
    ("14812345678", "CN", "+8614812345678", "CN", MOBILE),
    ("15912345678", "CN-ZJ", "+8615912345678", "CN", MOBILE),
    ("17212345678", "CN", "+8617212345678", "CN", MOBILE),
    ("17812345678", "CN", "+8617812345678", "CN", MOBILE),
    ("18812345678", "CN", "+8618812345678", "CN", MOBILE),
    ("19512345678", "CN", "+8619512345678", "CN", MOBILE),
    ("19712345678", "CN", "+8619712345678", "CN", MOBILE),
    ("19812345678", "CN", "+8619812345678", "CN", MOBILE),
    ("13012345678", "CN", "+8613012345678", "CN", MOBILE),  # China Unicom
    ("14512345678", "CN", "+8614512345678", "CN", MOBILE),
    ("14612345678", "CN", "+8614612345678", "CN", MOBILE),
    ("15612345678", "CN", "+8615612345678", "CN", MOBILE),
    ("16612345678", "CN-SH", "+8616612345678", "CN", MOBILE),
    ("17512345678", "CN", "+8617512345678", "CN", MOBILE),
    ("17612345678", "CN", "+8617612345678", "CN", MOBILE),
    ("18612345678", "CN", "+8618612345678", "CN", MOBILE),
    ("19612345678", "CN", "+8619612345678", "CN", MOBILE),
    ("13312345678", "CN", "+8613312345678", "CN", MOBILE),  # China Telecom
    ("14912345678", "CN", "+8614912345678", "CN", MOBILE),
    ("15312345678", "CN", "+8615312345678", "CN", MOBILE),
    ("17312345678", "CN", "+8617312345678", "CN", MOBILE),
    ("17412345678", "CN", "+8617412345678", "CN", MOBILE),
    ("17712345678", "CN", "+8617712345678", "CN", MOBILE),
    ("18912345678", "CN", "+8618912345678", "CN", MOBILE),
    ("19012345678", "CN", "+8619012345678", "CN", MOBILE),
    ("19112345678", "CN", "+8619112345678", "CN", MOBILE),
    ("19312345678", "CN", "+8619312345678", "CN", MOBILE),
    ("19912345678", "CN-XZ", "+8619912345678", "CN", MOBILE),
    ("19212345678", "CN", "+8619212345678", "CN", MOBILE),  # China Broadnet
]
VIRTUAL_OPERATORS = [
    ("16212345678", "CN", "+8616212345678", "CN", VIRTUAL),
    ("16512345678", "CN", "+8616512345678", "CN", VIRTUAL),
    ("16712345678", "CN", "+8616712345678", "CN", VIRTUAL),
    ("17012345678", "CN", "+8617012345678", "CN", VIRTUAL),
    ("171 1234 5678", "CN", "+8617112345678", "CN", VIRTUAL),
    ("+86-170-0123-4567", None, "+8617001234567", "CN", VIRTUAL),
]
THINGS = [
    ("1064712345678", "CN", "+861064712345678", "CN", IOT),  # China Mobile
    ("1064812345678", "CN-SC", "+861064812345678", "CN", IOT),
    ("1440123456789", "CN", "+861440123456789", "CN", IOT),
    ("1064612345678", "CN", "+861064612345678", "CN", IOT),  # China Unicom
    ("1400123456789", "CN", "+861400123456789", "CN", IOT),
    ("1064912345678", "CN", "+861064912345678", "CN", IOT),  # China Telecom
    ("1410123456789", "CN", "+861410123456789", "CN", IOT),
    ("861064712345678", "CN", "+861064712345678", "CN", IOT),
    ("0086 10648 12345678", None, "+861064812345678", "CN", IOT),
    ("+86 1064-6123-45678", "HK", "+861064612345678", "CN", IOT),
]
MAINLAND_FIXED = [
    ("0755 8651 2345", "CN-GD", "+8675586512345", "CN", FIXED),
    ("075586512345", "CN-GD", "+8675586512345", "CN", FIXED),
    ("75586512345", "CN", "+8675586512345", "CN", FIXED),
    ("(010) 6512-3456", "CN", "+861065123456", "CN", FIXED),
    ("（010）65123456", "CN-BJ", "+861065123456", "CN", FIXED),
    ("10 6512 3456", "CN-BJ", "+861065123456", "CN", FIXED),
    ("021-65123456", "CN-SH", "+862165123456", "CN", FIXED),
    ("0531-86123456", "CN-SD", "+8653186123456", "CN", FIXED),
    ("0991-2812345", "CN-XJ", "+869912812345", "CN", FIXED),
    ("[0755]86512345", "CN", "+8675586512345", "CN", FIXED),
    ("0755/86512345", "CN", "+8675586512345", "CN", FIXED),
    ("86 10 65123456", "CN", "+861065123456", "CN", FIXED),
    ("+86 20 8123 4567", None, "+862081234567", "CN", FIXED),
    ("+86 (0)10 6512 3456", None, "+861065123456", "CN", FIXED),
    ("+86(0755)86512345", "HK", "+8675586512345", "CN", FIXED),
    ("0086-755-86512345", "HK", "+8675586512345", "CN", FIXED),
    ("400-810-0000", "CN", "+864008100000", "CN", OTHER),
    ("800-820-8888", "CN", "+868008208888", "CN", OTHER),
]
HONG_KONG_NUMBERS = [
    ("91234567", "HK", "+85291234567", "HK", MOBILE),
    ("9123 4567", "HK", "+85291234567", "HK", MOBILE),
    ("9123-4567", "HK", "+85291234567", "HK", MOBILE),
    ("９１２３４５６７", "HK", "+85291234567", "HK", MOBILE),
    ("51234567", "HK", "+85251234567", "HK", MOBILE),
    ("61234567", "HK", "+85261234567", "HK", MOBILE),
    ("70123456", "HK", "+85270123456", "HK", MOBILE),
    ("44123456", "HK", "+85244123456", "HK", MOBILE),
    ("21234567", "HK", "+85221234567", "HK", FIXED),
    ("3123 4567", "HK", "+85231234567", "HK", FIXED),
    ("800 123 456", "HK", "+852800123456", "HK", OTHER),
    ("85291234567", "HK", "+85291234567", "HK", MOBILE),
    ("(852) 9123 4567", "HK", "+85291234567", "HK", MOBILE),
    ("+85291234567", None, "+85291234567", "HK", MOBILE),
    ("+852 2123 4567", "CN-GD", "+85221234567", "HK", FIXED),
    ("0085291234567", None, "+85291234567", "HK", MOBILE),
    ("00852 9123 4567", "CN-GD", "+85291234567", "HK", MOBILE),
    ("+852-9123-4567", None, "+85291234567", "HK", MOBILE),
]
MACAO_AND_TAIWAN = [
    ("66123456", "MO", "+85366123456", "MO", MOBILE),
    ("+853 6612 3456", None, "+85366123456", "MO", MOBILE),
    ("28123456", "MO", "+85328123456", "MO", FIXED),
    ("8812 3456", "MO", "+85388123456", "MO", FIXED),
    ("853 6612 3456", "MO", "+85366123456", "MO", MOBILE),
    ("0085366123456", "HK", "+85366123456", "MO", MOBILE),
    ("0912345678", "TW", "+886912345678", "TW", MOBILE),
    ("912345678", "TW", "+886912345678", "TW", MOBILE),
    ("0912-345-678", "TW", "+886912345678", "TW", MOBILE),
    ("+886 912 345 678", None, "+886912345678", "TW", MOBILE),
    ("+886 0912 345 678", None, "+886912345678", "TW", MOBILE),
    ("00886 912 345 678", "CN", "+886912345678", "TW", MOBILE),
    ("02 2345 6789", "TW", "+886223456789", "TW", FIXED),
    ("(07) 312-3456", "TW", "+88673123456", "TW", FIXED),
    ("037-321 234", "TW", "+88637321234", "TW", FIXED),
    ("0800-000-123", "TW", "+886800000123", "TW", OTHER),
]
ELSEWHERE = [
    ("+1 415 555 2671", None, "+14155552671", "US", MOBILE),
    ("(415) 555-2671", "US", "+14155552671", "US", MOBILE),
    ("415.555.2671", "US", "+14155552671", "US", MOBILE),
    ("011 86 138 0013 8000", "US", "+8613800138000", "CN", MOBILE),
    ("+44 20 8555 1234", "CN-GD", "+442085551234", "GB", FIXED),
    ("+44 (0)20 7946 0958", None, "+442079460958", "GB", FIXED),
    ("07400 123456", "GB", "+447400123456", "GB", MOBILE),
    ("+81 90-1234-5678", None, "+819012345678", "JP", MOBILE),
    ("03-1234-5678", "JP", "+81312345678", "JP", FIXED),
    ("+65 8123 4567", None, "+6581234567", "SG", MOBILE),
    ("+82 10-1234-5678", None, "+821012345678", "KR", MOBILE),
    ("+49 30 123456", None, "+4930123456", "DE", FIXED),
    ("+33 6 12 34 56 78", None, "+33612345678", "FR", MOBILE),
    ("+39 06 1234 5678", None, "+390612345678", "IT", FIXED),
    ("+61 412 345 678", None, "+61412345678", "AU", MOBILE),
    ("+66 81 234 5678", None, "+66812345678", "TH", MOBILE),
    ("+91 98765 43210", None, "+919876543210", "IN", MOBILE),
    ("+971 50 123 4567", None, "+971501234567", "AE", MOBILE),
    ("+7 912 345-67-89", None, "+79123456789", "RU", MOBILE),
    ("+1-800-555-0199", None, "+18005550199", "US", OTHER),
]
WAYS_TO_WRITE = [
    (text, "CN-BJ", "+8613800138000", "CN", MOBILE)
    for text in (
        "138 0013 8000",
        "138-0013-8000",
        *(f"138{dash}0013{dash}8000" for dash in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212－﹣﹘ー"),
        "138.0013.8000",
        "138．0013．8000",
        "138·0013·8000",
        "138_0013_8000",
        "138/0013/8000",
        "(138)00138000",
        "（138）00138000",
        "[138] 0013 {8000}",
        "１３８００１３８０００",
        "１３８－００１３－８０００",
        "\ufeff138\u00a00013\u30008000",
        "\u200e13800138000\u200f",
        "\u202a+8613800138000\u202c",
        "\u2068138\u200b0013\u20608000\u2069",
        "\t13800138000\r\n",
        "013800138000",
        "8613800138000",
        "86-138-0013-8000",
        "(86)13800138000",
        "+8613800138000",
        "+86 138 0013 8000",
        "＋86 13800138000",
        "＋８６１３８００１３８０００",
        "(+86)13800138000",
        "+86 (0)138 0013 8000",
        "+86-013800138000",
        "008613800138000",
        "00 86 138 0013 8000",
        "0086-138-0013-8000",
        "００８６ １３８００１３８０００",
        "tel:+86-138-0013-8000",
    )
]
ACCEPTED = [
    *(*MAINLAND_MOBILES, *VIRTUAL_OPERATORS, *THINGS, *MAINLAND_FIXED, *HONG_KONG_NUMBERS),
    *(*MACAO_AND_TAIWAN, *ELSEWHERE, *WAYS_TO_WRITE),
]
EXTENSIONS = (
    *("{} ext. 12", "{}ext12", "{} Ext:12", "{} extn 12", "{} extension 12", "{}x12", "{} X 12", "{}ｘ12", "{}#12"),
    *(
        "{};ext=12",
        "{}, ext 12",
        "{} (ext. 12)",
        "{}转12",
        "{} 转接 12",
        "{}轉12",
        "{}（转12）",
        "{}分机12",
        "{} 分机号：12",
    ),
    *("{}分機號12", "{} 内线 12", "{}內線12", "{}转１２"),
)
DASHED_EXTENSIONS = [
    ("0755-86512345-8001", "CN-GD", "+8675586512345", "8001"),
    ("(0755)86512345-8001", "CN-GD", "+8675586512345", "8001"),
    ("0755—86512345—8001", "CN-GD", "+8675586512345", "8001"),
    ("０７５５－８６５１２３４５－８００１", "CN", "+8675586512345", "8001"),
    ("010-65123456-1", "CN", "+861065123456", "1"),
    ("0991-2812345-12", "CN", "+869912812345", "12"),
    ("+86-755-86512345-8001", "HK", "+8675586512345", "8001"),
    ("0086 (0)10 65123456--800", None, "+861065123456", "800"),
    # As many digits as a number of the area may have: one number.
    ("0755-8651234-5", "CN", "+8675586512345", None),
    ("0755-8651-2345", "CN", "+8675586512345", None),
]

REFUSED = [
    ("", "CN", "EMPTY"),
    ("   ", "CN", "EMPTY"),
    ("+", None, "EMPTY"),
    ("-", "HK", "EMPTY"),
    ("转12", "CN", "EMPTY"),
    ("10086", "CN", "SHORT_CODE"),
    ("10086", None, "SHORT_CODE"),
    ("１００８６", "CN", "SHORT_CODE"),
    ("110", "CN", "SHORT_CODE"),
    ("95588", "CN-GD", "SHORT_CODE"),
    ("12306", "CN", "SHORT_CODE"),
    ("118114", "CN", "SHORT_CODE"),
    ("1008611", "CN", "SHORT_CODE"),
    ("106901234567", "CN", "SHORT_CODE"),
    ("1069 0123 4567 8901", "CN", "SHORT_CODE"),
    ("+8610086", None, "SHORT_CODE"),
    ("0086 10086", "HK", "SHORT_CODE"),
    ("8610086", "CN", "SHORT_CODE"),
    ("999", "HK", "SHORT_CODE"),
    ("1081", "HK", "SHORT_CODE"),
    ("911", "US", "SHORT_CODE"),
    ("91234567", None, "REGION_MISSING"),
    ("9123 4567", "", "REGION_MISSING"),
    ("13800138000", None, "REGION_MISSING"),
    ("1064712345678", None, "REGION_MISSING"),
    ("00000000", "HK", "BLOCKED"),
    ("0", "CN", "BLOCKED"),
    ("000 0000 0000", "CN", "BLOCKED"),
    ("+8600000000000", None, "BLOCKED"),
    ("12345678", "HK", "BLOCKED"),
    ("1234 5678", None, "BLOCKED"),
    ("+85212345678", None, "BLOCKED"),
    ("87654321", "HK", "BLOCKED"),
    ("null", "CN", "BLOCKED"),
    ("NULL", None, "BLOCKED"),
    (" undefined ", "HK", "BLOCKED"),
    ("N/A", "HK", "BLOCKED"),
    ("无", "CN", "BLOCKED"),
    ("沒有", "HK", "BLOCKED"),
    ("call me", "CN", "NOT_A_NUMBER"),
    ("138O0138000", "CN", "NOT_A_NUMBER"),
    ("13800\x00138000", "CN", "NOT_A_NUMBER"),
    ("١٣٨٠٠١٣٨٠٠٠", "CN", "NOT_A_NUMBER"),
    ("一三八零零一三八零零零", "CN", "NOT_A_NUMBER"),
    ("++8613800138000", None, "NOT_A_NUMBER"),
    ("+86+13800138000", None, "NOT_A_NUMBER"),
    ("13800138000;DROP", "CN", "NOT_A_NUMBER"),
    ("1", "CN", "TOO_SHORT"),
    ("12", None, "TOO_SHORT"),
    ("+86", None, "TOO_SHORT"),
    ("1380013800", "CN", "TOO_SHORT"),
    ("+86 138 0013 800", None, "TOO_SHORT"),
    ("106471234567", "CN", "TOO_SHORT"),
    ("9123456", "HK", "TOO_SHORT"),
    ("+853 6612 345", None, "TOO_SHORT"),
    ("0912 345 67", "TW", "TOO_SHORT"),
    ("+1 415 555", None, "TOO_SHORT"),
    ("138001380001", "CN", "TOO_LONG"),
    ("+86138001380001", None, "TOO_LONG"),
    ("1480123456789", "CN", "TOO_LONG"),
    ("106471234567890", "CN", "TOO_LONG"),
    ("13800138000/13900139000", "CN", "TOO_LONG"),
    ("912345678", "HK", "TOO_LONG"),
    ("+852 9123 45678", "CN", "TOO_LONG"),
    ("+886 912 345 6789", None, "TOO_LONG"),
    ("+4420855512345678", None, "TOO_LONG"),
    ("65123456", "CN-BJ", "AREA_CODE_MISSING"),
    ("+86 6512 3456", None, "AREA_CODE_MISSING"),
    ("555-2671", "US", "AREA_CODE_MISSING"),
    ("+41 22 333 33 333", None, "LENGTH_IMPOSSIBLE"),
    ("99912345", "HK", "NOT_ASSIGNED"),
    ("+85299912345", None, "NOT_ASSIGNED"),
    ("11111111", "HK", "NOT_ASSIGNED"),
    ("12012345678", "CN", "NOT_ASSIGNED"),
    ("11111111111", "CN", "NOT_ASSIGNED"),
    ("+853 8123 4567", None, "NOT_ASSIGNED"),
    ("+1 111 111 1111", None, "NOT_ASSIGNED"),
    ("+999123456789", None, "COUNTRY_UNKNOWN"),
    ("+210 123 4567", None, "COUNTRY_UNKNOWN"),
    ("00 999 1234567", "CN", "COUNTRY_UNKNOWN"),
    ("13800138000", "ZZ", "REGION_UNKNOWN"),
    ("13800138000", "cn", "REGION_UNKNOWN"),
    ("1" * 65, "CN", "TEXT_TOO_LONG"),
    (" " * 65, "CN", "TEXT_TOO_LONG"),
]


@pytest.mark.parametrize(("text", "record", "e164", "region", "kind"), ACCEPTED)
def test_one_number_has_one_spelling(text: str, record: str | None, e164: str, region: str, kind: NumberKind) -> None:
    number = PhoneNumber.parse(text, record)
    assert number == PhoneNumber(e164, region, kind)
    assert PhoneNumber.parse(number.e164) == number


@pytest.mark.parametrize(("text", "region", "reason"), REFUSED)
def test_a_refusal_names_its_reason_and_not_the_value(text: str, region: str | None, reason: str) -> None:
    with pytest.raises(InvalidNumber) as refused:
        PhoneNumber.parse(text, region)
    assert (refused.value.reason, refused.value.expected) == (reason, EXPECTED[reason])
    message = str(refused.value)
    assert message == f"number: not a usable phone number ({reason}): expected {EXPECTED[reason]}"
    assert len(text.strip()) < 3 or text.strip() not in f"{message} {refused.value.args}"
    assert refused.value.__context__ is None or refused.value.__suppress_context__


def test_the_tables_are_long_enough_and_show_every_class() -> None:
    assert len(ACCEPTED) == len(set(ACCEPTED)) >= 120
    kinds = Counter((region, kind) for *_, region, kind in ACCEPTED)
    assert {("CN", kind) for kind in NumberKind} - set(kinds) == {("CN", NumberKind.SHORT_CODE)}
    assert {(region, kind) for region in ("HK", "MO", "TW") for kind in (MOBILE, FIXED)} <= set(kinds)
    assert len({region for region, _ in kinds}) >= 15
    assert {reason for *_, reason in REFUSED} == set(EXPECTED)


@pytest.mark.parametrize("form", EXTENSIONS)
def test_an_extension_is_kept_apart(form: str) -> None:
    for text, region, e164 in (
        ("0755 8651 2345", "CN", "+8675586512345"),
        ("2123 4567", "HK", "+85221234567"),
        ("+886 2 2345 6789", None, "+886223456789"),
    ):
        number = PhoneNumber.parse(form.format(text), region)
        assert (number.e164, number.extension) == (e164, "12")


@pytest.mark.parametrize(("text", "region", "e164", "extension"), DASHED_EXTENSIONS)
def test_on_the_mainland_an_extension_stands_behind_a_dash(
    text: str, region: str | None, e164: str, extension: str | None
) -> None:
    number = PhoneNumber.parse(text, region)
    assert (number.e164, number.extension) == (e164, extension)


def test_a_dash_is_no_extension_elsewhere() -> None:
    with pytest.raises(InvalidNumber):
        PhoneNumber.parse("0755-86512345-8001", "HK")


def test_the_text_form_shows_no_digits() -> None:
    number = PhoneNumber.parse("+8613800138000")
    assert "1380" not in f"{number!r} {number} {[number]}"
    assert pickle.loads(pickle.dumps(number)) == number  # noqa: S301 -- our own bytes


MAINLAND = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
HONG_KONG = st.from_regex(r"(?!999|87654321)[4-9][0-9]{7}", fullmatch=True)
IN_WORDS = st.sampled_from([(e164, region) for _, _, e164, region, _ in ACCEPTED])
NOISE = st.lists(st.sampled_from([*" -.()/_\u2010\u2011\u2012\u2013\u2014\u00a0（）·\u200b\u202a\u202c"]), max_size=12)
DASHES = frozenset("-\u2010\u2011\u2012\u2013\u2014")
RANDOM = st.randoms(use_true_random=False)
FULL_WIDTH = str.maketrans("0123456789+", "０１２３４５６７８９＋")


def dressed(digits: str, prefix: str, noise: list[str], random: Random) -> str:
    """Digits with marks among them; never before the prefix: a + in the middle is no prefix."""
    text = list(prefix + digits)
    for mark in noise:
        text.insert(random.randint(len(prefix), len(text)), mark)
    written = "".join(text)
    return written.translate(FULL_WIDTH) if random.random() < 0.3 else written


@given(MAINLAND, NOISE, RANDOM, st.sampled_from(["", "+86", "0086", "86", "0", "+860"]))
def test_noise_and_prefixes_change_nothing(digits: str, noise: list[str], random: Random, prefix: str) -> None:
    number = PhoneNumber.parse(dressed(digits, prefix, noise, random), "CN-GD")
    assert (number.e164, number.extension) == (f"+86{digits}", None)


@given(IN_WORDS, NOISE, RANDOM, st.sampled_from(["CN-GD", "HK", "US", None]))
def test_a_number_of_any_country_is_one_however_it_is_dressed(
    known: tuple[str, str], noise: list[str], random: Random, record: str | None
) -> None:
    e164, _ = known
    # With a dash at the right place a number of things is a landline of Beijing and its extension.
    assume(DASHES.isdisjoint(noise) or not e164.startswith("+8610"))
    number = PhoneNumber.parse(dressed(e164[1:], random.choice(["+", "00"]), noise, random), record)
    assert (number.e164, number.region) == known
    assert PhoneNumber.parse(number.e164, record) == PhoneNumber.parse(e164)


@given(HONG_KONG, st.sampled_from(["CN-GD", "HK", "MO", "TW", "US", None]))
def test_an_international_number_means_the_same_everywhere(digits: str, region: str | None) -> None:
    assert PhoneNumber.parse(f"+852{digits}", region) == PhoneNumber.parse(digits, "HK")


@given(
    st.one_of(st.text(max_size=80), st.text("+0123456789 -()x转分机ext;=tel:", max_size=24)),
    st.sampled_from(["CN-GD", "HK", "MO", "TW", "US", "GB", "ZZ", None]),
)
def test_any_text_is_a_number_or_refused(text: str, region: str | None) -> None:
    try:
        number = PhoneNumber.parse(text, region)
    except InvalidNumber:
        return
    assert re.fullmatch(r"\+[1-9][0-9]{4,16}", number.e164)
    assert number.extension is None or re.fullmatch(r"[0-9]{1,7}", number.extension)
    again = PhoneNumber.parse(number.e164, region)
    assert (again.e164, again.region, again.kind) == (number.e164, number.region, number.kind)


RING = ring_of("cdp", "cn")


@given(MAINLAND, MAINLAND, NOISE, RANDOM)
def test_equal_numbers_have_equal_tags_and_others_do_not(
    one: str, other: str, noise: list[str], random: Random
) -> None:
    def tag(text: str) -> bytes:
        return RING.tag(NUMBER_INDEX, PhoneNumber.parse(text, "CN-BJ").e164)

    prefixes = ("", "+86", "0086", "86", "0")
    texts = [dressed(one, random.choice(prefixes), noise, random), dressed(one, random.choice(prefixes), noise, random)]
    assert tag(texts[0]) == tag(texts[1]) == tag(one)
    assert (tag(one) == tag(other)) == (one == other)
