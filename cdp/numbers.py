"""A phone number: one E.164 spelling for every way people write it, or a refusal with its reason.

The country of a bare number is the region of the record it stands in, never the server's: without one a bare number is
refused, not guessed. Common mainland, Hong Kong, Macao and Taiwan forms go by pattern, the rest by `phonenumbers`.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

import phonenumbers

from cdp.errors import InvalidNumber

LONGEST_TEXT = 64
EXPECTED: Final = {
    "BLOCKED": "a number that belongs to someone",
    "EMPTY": "a number",
    "NOT_A_NUMBER": "digits, optionally behind + or 00, with spaces, dashes, dots or brackets",
    "TEXT_TOO_LONG": f"at most {LONGEST_TEXT} characters",
    "SHORT_CODE": "a full number, not a service's short code",
    "REGION_MISSING": "an international number, or the region the number is written for",
    "REGION_UNKNOWN": "a region whose country has telephone numbers",
    "COUNTRY_UNKNOWN": "a country code that exists",
    "TOO_SHORT": "more digits",
    "TOO_LONG": "fewer digits",
    "AREA_CODE_MISSING": "the area code too",
    "LENGTH_IMPOSSIBLE": "as many digits as a number of this country has",
    "NOT_ASSIGNED": "a number from a range that is in use",
}
"""What belongs there, by the reason of the refusal; holds no value."""


class NumberKind(StrEnum):
    """What a number is for, as far as its digits tell; a short code is no number that anybody holds."""

    MOBILE = "MOBILE"
    FIXED = "FIXED"
    IOT = "IOT"
    VIRTUAL_OPERATOR = "VIRTUAL_OPERATOR"
    SHORT_CODE = "SHORT_CODE"
    OTHER = "OTHER"


DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc"
# The invisible marks come along when a number is copied from a page or an address book.
INVISIBLE: Final = (
    "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)
# Dashes become alike, and go last: they may separate an extension.
NOISE: Final = dict.fromkeys(map(ord, f" \t\r\n._()[]{{}}/\u00b7\u2022\u30fb{INVISIBLE}")) | dict.fromkeys(
    map(ord, DASHES), "-"
)
SCHEME: Final = re.compile(r"\s*+tel:", re.IGNORECASE)
EXTENSION: Final = re.compile(
    r"[\s,;(\[]*+(?:ext(?:ension|n)?|x|#|[转轉]接?|分[机機][号號]?|[内內][线線])[\s:.=]*+([0-9]{1,7})[\s)\]]*+$",
    re.IGNORECASE,
)
# A mainland fixed line with its extension behind one more dash: with as many digits it is no number without one.
DASHED: Final = re.compile(
    r"(?:(?P<code>(?:\+|00)86)-?0?|0)(?:(?:10|2\d)-?\d{8}|[3-9]\d\d-?(?:\d{8}|\d{7}(?=-+\d\d)))"
    r"(?P<end>--?)(?P<extension>[0-9]{1,6})"
)
BLOCKED_WORDS: Final = frozenset(
    {"null", "none", "nil", "nan", "undefined", "unknown", "n/a", "na", "test"}
    | {"无", "無", "没有", "沒有", "暂无", "暫無", "未知", "不详", "不詳", "空"}
)
BLOCKED_DIGITS: Final = re.compile(r"0+|12345678?9?0?|0?123456789|87654321")
SHORTEST_NATIONAL = 7
SHORTEST_CODE = 3

# Country code -> (region, pattern of the national digits). The name of the group is the kind; what is before it, such
# as the zero of long distance, does not belong to the number.
_PLANS: Final = {
    "86": (
        "CN",
        re.compile(
            r"0?(?:(?P<VIRTUAL_OPERATOR>1(?:6[257]|7[01])\d{8})|(?P<MOBILE>1[3-9]\d{9})"
            r"|(?P<IOT>(?:1064[6-9]\d|14[0-4]\d{3})\d{7}))"
        ),
    ),
    "852": ("HK", re.compile(r"(?!999)(?:(?P<MOBILE>[4-9]\d{7})|(?P<FIXED>[23]\d{7}))")),
    "853": ("MO", re.compile(r"(?P<MOBILE>6\d{7})|(?P<FIXED>(?:28|8[2-9])\d{6})")),
    "886": ("TW", re.compile(r"0?(?P<MOBILE>9\d{8})")),
}
_CODES: Final = {region: code for code, (region, _) in _PLANS.items()}
COUNTRIES: Final = {code: region for code, (region, _) in _PLANS.items()}
"""The countries whose numbers go by pattern, by their codes."""
# Country code -> why national digits without their zero are no number, by the name of the group: the library is lenient
# about lengths, and knows nothing of the codes that messages are sent from (106...).
_FAULTS: Final = {
    "86": re.compile(
        r"(?P<SHORT_CODE>1(?:00\d{2,5}|06(?!4)\d{4,17}|[12]\d{5})|9[56]\d{5,6})"
        r"|(?P<TOO_SHORT>1(?:[3-9]\d{0,8}|064[6-9]\d{2,7}))|(?P<TOO_LONG>1(?:[3-9]\d{10,}|064[6-9]\d{9,}))"
        r"|(?P<AREA_CODE_MISSING>[2-8]\d{6,7})"
    ),
    "852": re.compile(r"(?P<TOO_SHORT>\d{1,7})|(?P<TOO_LONG>\d{9,})"),
    "853": re.compile(r"(?P<TOO_SHORT>\d{1,7})|(?P<TOO_LONG>\d{9,})"),
    "886": re.compile(r"(?P<TOO_SHORT>9\d{0,7})|(?P<TOO_LONG>9\d{9,})"),
}
_REASONS: Final = {
    phonenumbers.ValidationResult.INVALID_COUNTRY_CODE: "COUNTRY_UNKNOWN",
    phonenumbers.ValidationResult.TOO_SHORT: "TOO_SHORT",
    phonenumbers.ValidationResult.TOO_LONG: "TOO_LONG",
    phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "AREA_CODE_MISSING",
    phonenumbers.ValidationResult.INVALID_LENGTH: "LENGTH_IMPOSSIBLE",
}
_UNREADABLE: Final = {
    phonenumbers.NumberParseException.INVALID_COUNTRY_CODE: "COUNTRY_UNKNOWN",
    phonenumbers.NumberParseException.TOO_LONG: "TOO_LONG",
}
_TYPES: Final = {
    phonenumbers.PhoneNumberType.MOBILE: NumberKind.MOBILE,
    phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE: NumberKind.MOBILE,
    phonenumbers.PhoneNumberType.FIXED_LINE: NumberKind.FIXED,
    phonenumbers.PhoneNumberType.VOIP: NumberKind.FIXED,
}


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """`e164` begins with +; `region` is the two-letter country; the text form shows no digits."""

    e164: str
    region: str
    kind: NumberKind
    extension: str | None = None

    def __repr__(self) -> str:
        return f"PhoneNumber({self.region}, {self.kind})"

    @classmethod
    def parse(cls, text: str, region: str | None = None) -> Self:
        """The number in `text`; `region` (`CN-GD`, `HK`) is that of the record and says how a bare number is read.

        Raises InvalidNumber with a reason out of EXPECTED, never with the value.
        """
        known, extension = _read(text, region)
        return cls(*known, extension)


def e164_of(text: str, region: str | None) -> str:
    """The E.164 spelling of the number in a text: `PhoneNumber.parse` without what else it finds; raises as it does."""
    return _read(text, region)[0][0]


def refused(reason: str) -> InvalidNumber:
    """The refusal for a reason out of EXPECTED."""
    return InvalidNumber(reason, expected=EXPECTED[reason])


def digits_of(text: str, country: str | None) -> tuple[str, str | None]:
    """The digits of a text, behind + where the number is international, and the extension.

    Raises InvalidNumber for what holds no number, or one that is blocked.
    """
    if len(text) > LONGEST_TEXT:
        raise refused("TEXT_TOO_LONG")
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    extension = None
    if not text.removeprefix("+").isdigit():
        if text.strip().casefold() in BLOCKED_WORDS:
            raise refused("BLOCKED")
        text, extension = _extension_apart(text, country)
    digits = text[1:] if text[:1] == "+" else text
    if not digits:
        raise refused("EMPTY")
    if not (digits.isdigit() and digits.isascii()):
        raise refused("NOT_A_NUMBER")
    if BLOCKED_DIGITS.fullmatch(digits):
        raise refused("BLOCKED")
    if text.startswith("00"):
        text = "+" + text[2:]
    return text, extension


def _extension_apart(text: str, country: str | None) -> tuple[str, str | None]:
    """The text without noise, and its extension."""
    if scheme := SCHEME.match(text):
        text = text[scheme.end() :]
    extension = None
    if found := EXTENSION.search(text):
        text, extension = text[: found.start()], found[1]
    text = text.translate(NOISE)
    if "-" in text:
        dashed = DASHED.fullmatch(text) if extension is None else None
        if dashed and (country == "CN" or dashed["code"]):
            text, extension = text[: dashed.start("end")], dashed["extension"]
        text = text.replace("-", "")
    return text, extension


_Known = tuple[str, str, NumberKind]


def _read(text: str, region: str | None) -> tuple[_Known, str | None]:
    """What is known of the number in a text, and its extension; most come as + and digits, and go by the pattern."""
    if text[:1] == "+" and len(text) <= LONGEST_TEXT and text.isascii() and text[1:].isdigit():
        digits = text[1:]
        if not BLOCKED_DIGITS.fullmatch(digits) and (known := _by_code(digits)) is not None:
            return known, None
    country = region[:2] if region else None
    digits, extension = digits_of(text, country)
    if digits.startswith("+"):
        known = _by_code(digits[1:])
    elif country is None:
        raise refused("REGION_MISSING" if len(digits) >= SHORTEST_NATIONAL else _short(digits))
    else:
        known = _bare(digits, country)
    return known or _by_library(digits, country), extension


def _by_code(digits: str) -> _Known | None:
    """A number behind + by pattern; None where the library has to look."""
    code = "86" if digits.startswith("86") else digits[:3]
    return _match(code, digits[len(code) :]) if code in _PLANS else None


def _bare(digits: str, country: str) -> _Known | None:
    """A number without + in a known country: national, or with the country's code but without its +."""
    code = _CODES.get(country)
    if code is None:
        return None
    return _match(code, digits) or (_match(code, digits.removeprefix(code)) if digits.startswith(code) else None)


def _match(code: str, national: str) -> _Known | None:
    region, pattern = _PLANS[code]
    found = pattern.fullmatch(national)
    if found is None:
        if BLOCKED_DIGITS.fullmatch(national):
            raise refused("BLOCKED")
        if len(national) < SHORTEST_NATIONAL:
            raise refused(_short(national))
        return None
    kind = found.lastgroup or ""
    return f"+{code}{found[kind]}", region, NumberKind(kind)


def _short(digits: str) -> str:
    return "SHORT_CODE" if len(digits) >= SHORTEST_CODE else "TOO_SHORT"


def _by_library(digits: str, country: str | None) -> _Known:
    if country not in phonenumbers.SUPPORTED_REGIONS and not digits.startswith("+"):
        raise refused("REGION_UNKNOWN")
    try:
        number = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException as wrong:
        raise refused(_fault(digits, country) or _UNREADABLE.get(wrong.error_type, "TOO_SHORT")) from None
    if BLOCKED_DIGITS.fullmatch(phonenumbers.national_significant_number(number)):
        raise refused("BLOCKED")
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible in _REASONS or not phonenumbers.is_valid_number(number):
        raise refused(_fault(digits, country) or _REASONS.get(possible, "NOT_ASSIGNED"))
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    region = phonenumbers.region_code_for_number(number) or "001"
    return e164, region, _TYPES.get(phonenumbers.number_type(number), NumberKind.OTHER)


def _fault(digits: str, country: str | None) -> str | None:
    """What is wrong with digits that are no number, where that is known better than by the library."""
    if not digits.startswith("+") and len(digits) < SHORTEST_NATIONAL:
        return _short(digits)
    code, national = country_apart(digits, country)
    found = _FAULTS[code].fullmatch(national.removeprefix("0")) if code else None
    return found.lastgroup if found else None


def country_apart(digits: str, country: str | None) -> tuple[str, str]:
    """The country code of digits, "" where it is none of those whose numbers go by pattern, and the national digits."""
    if digits.startswith("+"):
        code = next((code for code in _PLANS if digits.startswith(code, 1)), "")
        return code, digits[1 + len(code) :]
    code = _CODES.get(country or "", "")
    return code, digits.removeprefix(code)
