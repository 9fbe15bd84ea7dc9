"""What a number tells whoever holds it: where it is from, its kind, and the operator its block was given to.

Its digits tell the country, the kind and mostly the operator; a segment, where one is at hand, tells the province, the
city and the operator of a mainland mobile. A short code tells as much as its digits do, although nobody is known by it
and `PhoneNumber` refuses it.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from cdp.errors import InvalidNumber
from cdp.numbers import COUNTRIES, NumberKind, PhoneNumber, country_apart, digits_of, refused

PREFIX_DIGITS: Final = 7
SEGMENTED: Final = frozenset({NumberKind.MOBILE, NumberKind.VIRTUAL_OPERATOR, NumberKind.IOT})


@dataclass(frozen=True, slots=True)
class NumberFacts:
    """`region` is the province of a mainland mobile (`CN-GD`) where its segment is known, else the two-letter country;
    `issuer` is the operator the block was given to, if known: of a virtual operator's block the one whose network it
    sells.
    """

    region: str
    kind: NumberKind
    issuer: str | None
    city: str | None = None


class Segment(NamedTuple):
    """Where the mainland mobiles of a prefix of seven digits are from, and the operator they were given to."""

    region: str
    city: str
    issuer: str


def facts(number: PhoneNumber, segment: Segment | None = None) -> NumberFacts:
    """What a number tells (after porting another operator than the issuer may serve it)."""
    if segment is not None:
        return NumberFacts(segment.region, number.kind, segment.issuer, segment.city)
    return NumberFacts(number.region, number.kind, _issuer(number.e164[3:]) if number.region == "CN" else None)


def prefix_of(number: PhoneNumber) -> int | None:
    """The prefix by which the segment of a mainland mobile is found; None for any other number."""
    if number.region != "CN" or number.kind not in SEGMENTED:
        return None
    return int(number.e164[3 : 3 + PREFIX_DIGITS])


def read_facts(text: str, region: str | None) -> tuple[PhoneNumber | None, NumberFacts]:
    """The number in `text`, None for a short code, and what it tells; `region` is where it was written down.

    Raises InvalidNumber, also for a short code where nobody says in which country: it is another service in each.
    """
    try:
        number = PhoneNumber.parse(text, region)
    except InvalidNumber as invalid:
        if invalid.reason != "SHORT_CODE":
            raise
        return None, _short_code(text, region[:2] if region else None)
    return number, facts(number)


def _short_code(text: str, country: str | None) -> NumberFacts:
    code, national = country_apart(digits_of(text, country)[0], country)
    country = COUNTRIES.get(code, country)
    if country is None:
        raise refused("REGION_MISSING")
    return NumberFacts(country, NumberKind.SHORT_CODE, _issuer(national) if country == "CN" else None)


def _issuer(national: str) -> str | None:
    return next((_ISSUERS[national[:n]] for n in (5, 4, 3) if national[:n] in _ISSUERS), None)


def _issuers() -> dict[str, str]:
    """Blocks of the mainland's numbering plan and the operators' own short codes, the longest prefix wins."""
    blocks = {
        "China Mobile": "134 135 136 137 138 139 144 147 148 150 151 152 157 158 159 165 172 178 182 183 184 187 188"
        " 195 197 198 1703 1705 1706 10647 10648 10086",
        "China Unicom": "130 131 132 140 145 146 155 156 166 167 171 175 176 185 186 196 1704 1707 1708 1709 10646"
        " 10010",
        "China Telecom": "133 141 149 153 162 173 174 177 180 181 189 190 191 193 199 1349 1700 1701 1702 10649 10000"
        " 10001",
        "China Broadnet": "192 10099",
    }
    return {prefix: issuer for issuer, prefixes in blocks.items() for prefix in prefixes.split()}


_ISSUERS: Final = _issuers()
