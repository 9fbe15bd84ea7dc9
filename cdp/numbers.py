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
    """What a number is for, as far as its digits tell."""

    MOBILE = "MOBILE"
    FIXED = "FIXED"
    IOT = "IOT"
    VIRTUAL_OPERATOR = "VIRTUAL_OPERATOR"
    OTHER = "OTHER"


# White space, dashes, dots, brackets, and the invisible marks that come along when a number is copied from a page.
NOISE: Final = dict.fromkeys(
    map(
        ord,
        " \t\r\n-.()[]{}/\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u200b\u200c\u200d\u200e\u200f\u2060\ufeff",
    )
)
EXTENSION: Final = re.compile(r"\s*(?:;ext=|ext\.?|x|#|转|轉|分机|內線)\s*(\d{1,7})\s*$", re.IGNORECASE)
BLOCKED_WORDS: Final = frozenset({"null", "none", "nil", "nan", "undefined", "unknown", "n/a", "na", "test"})
BLOCKED_DIGITS: Final = re.compile(r"0+|12345678?9?0?|0?123456789|87654321")
SHORTEST_NATIONAL = 7

# country code -> (region, [(pattern of the national digits, kind, how many leading zeros may be written)])
_PLANS: Final = {
    "86": (
        "CN",
        re.compile(
            r"0?(?:(?P<VIRTUAL_OPERATOR>1(?:6[257]|7[01])\d{8})|(?P<MOBILE>1[3-9]\d{9})"
            r"|(?P<IOT>(?:1064[6-9]\d|14\d{4})\d{7}))"
        ),
    ),
    "852": ("HK", re.compile(r"(?!999)(?:(?P<MOBILE>[4-9]\d{7})|(?P<FIXED>[23]\d{7}))")),
    "853": ("MO", re.compile(r"(?P<MOBILE>6\d{7})|(?P<FIXED>(?:28|8[2-9])\d{6})")),
    "886": ("TW", re.compile(r"0?(?P<MOBILE>9\d{8})")),
}
_CODES: Final = {region: code for code, (region, _) in _PLANS.items()}
_REASONS: Final = {
    phonenumbers.ValidationResult.INVALID_COUNTRY_CODE: "COUNTRY_UNKNOWN",
    phonenumbers.ValidationResult.TOO_SHORT: "TOO_SHORT",
    phonenumbers.ValidationResult.TOO_LONG: "TOO_LONG",
    phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "AREA_CODE_MISSING",
    phonenumbers.ValidationResult.INVALID_LENGTH: "LENGTH_IMPOSSIBLE",
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
        digits, extension = _clean(text)
        country = region[:2] if region else None
        if digits.startswith("+"):
            known = _by_code(digits[1:])
        elif country is None:
            raise InvalidNumber("REGION_MISSING" if len(digits) >= SHORTEST_NATIONAL else "SHORT_CODE")
        else:
            known = _bare(digits, country)
        e164, found, kind = known or _by_library(digits, country)
        return cls(e164, found, kind, extension)


@dataclass(frozen=True, slots=True)
class NumberFacts:
    """What the digits tell without asking anyone; `issuer` is the operator the block was given to, if known."""

    region: str
    kind: NumberKind
    issuer: str | None


def facts(number: PhoneNumber) -> NumberFacts:
    """Region, kind and issuer of the number's block (after porting another operator may serve it)."""
    issuer = None
    if number.region == "CN":
        national = number.e164[3:]
        issuer = next((_ISSUERS[national[:n]] for n in (5, 4, 3) if national[:n] in _ISSUERS), None)
    return NumberFacts(number.region, number.kind, issuer)


def _clean(text: str) -> tuple[str, str | None]:
    """Digits, behind + where the number is international, and the extension."""
    if len(text) > LONGEST_TEXT:
        raise InvalidNumber("TEXT_TOO_LONG")
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    extension = None
    if not text.removeprefix("+").isdigit():
        if text.strip().casefold() in BLOCKED_WORDS:
            raise InvalidNumber("BLOCKED")
        if found := EXTENSION.search(text):
            text, extension = text[: found.start()], found[1]
        text = text.translate(NOISE)
    digits = text[1:] if text[:1] == "+" else text
    if not digits:
        raise InvalidNumber("EMPTY")
    if not (digits.isdigit() and digits.isascii()):
        raise InvalidNumber("NOT_A_NUMBER")
    if BLOCKED_DIGITS.fullmatch(digits):
        raise InvalidNumber("BLOCKED")
    if text.startswith("00"):
        text = "+" + text[2:]
    return text, extension


_Known = tuple[str, str, NumberKind]


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
            raise InvalidNumber("BLOCKED")
        if len(national) < SHORTEST_NATIONAL:
            raise InvalidNumber("SHORT_CODE")
        return None
    kind = found.lastgroup or ""
    return f"+{code}{found[kind]}", region, NumberKind(kind)


def _by_library(digits: str, country: str | None) -> _Known:
    if country not in phonenumbers.SUPPORTED_REGIONS and not digits.startswith("+"):
        raise InvalidNumber("REGION_UNKNOWN")
    try:
        number = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException as refused:
        unknown = refused.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE
        too_long = refused.error_type == phonenumbers.NumberParseException.TOO_LONG
        raise InvalidNumber("COUNTRY_UNKNOWN" if unknown else "TOO_LONG" if too_long else "TOO_SHORT") from None
    if BLOCKED_DIGITS.fullmatch(phonenumbers.national_significant_number(number)):
        raise InvalidNumber("BLOCKED")
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible in _REASONS:
        raise InvalidNumber(_REASONS[possible])
    if not phonenumbers.is_valid_number(number):
        raise InvalidNumber("NOT_ASSIGNED")
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    region = phonenumbers.region_code_for_number(number) or "001"
    return e164, region, _TYPES.get(phonenumbers.number_type(number), NumberKind.OTHER)


def _issuers() -> dict[str, str]:
    """Blocks of the mainland's numbering plan, the longest prefix wins."""
    blocks = {
        "China Mobile": "134 135 136 137 138 139 144 147 148 150 151 152 157 158 159 165 172 178 182 183 184 187 188"
        " 195 197 198 1703 1705 1706 10647 10648",
        "China Unicom": "130 131 132 140 145 146 155 156 166 167 171 175 176 185 186 196 1704 1707 1708 1709 10646",
        "China Telecom": "133 141 149 153 162 173 174 177 180 181 189 190 191 193 199 1349 1700 1701 1702 10649",
        "China Broadnet": "192",
    }
    return {prefix: issuer for issuer, prefixes in blocks.items() for prefix in prefixes.split()}


_ISSUERS: Final = _issuers()
