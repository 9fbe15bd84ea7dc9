"""Small exact values: regions, money, usage quantities, and the ids that are worked out instead of drawn."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Final
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as QuickUUID  # noqa: N811 -- it is a uuid.UUID, made faster

# ISO 3166-2:CN without the codes that have a country code of their own.
_PROVINCES = "AH BJ CQ FJ GD GS GX GZ HA HB HE HI HL HN JL JS JX LN NM NX QH SC SD SH SN SX TJ XJ XZ YN ZJ"
PROVINCES: Final = frozenset(f"CN-{code}" for code in _PROVINCES.split())
_REGION: Final = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")

# ISO 4217 code -> digits behind the decimal point.
_CENTS = "CNY HKD MOP TWD USD EUR GBP CHF CAD AUD NZD SGD MYR THB PHP IDR INR AED SAR RUB ZAR BRL"
CURRENCIES: Final[Mapping[str, int]] = {
    **dict.fromkeys(_CENTS.split(), 2),
    **dict.fromkeys(("JPY", "KRW", "VND"), 0),
    **dict.fromkeys(("KWD", "BHD", "OMR"), 3),
}
_MONEY: Final = re.compile(r"-?\d{1,13}(?:\.(\d{1,3}))?", re.ASCII)
_QUANTITY: Final = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)

# Allowances are sold, and counted, in powers of 1,024.
BYTES_PER_MEGABYTE: Final = 1024 * 1024
_VOLUME: Final = {
    "bytes": 1,
    "kilobytes": 1024,
    "megabytes": BYTES_PER_MEGABYTE,
    "gigabytes": 1024 * BYTES_PER_MEGABYTE,
}
USAGE_UNITS: Final[Mapping[str, Mapping[str, int]]] = {
    "VOICE": {"seconds": 1, "minutes": 60},
    "SMS": {"messages": 1},
    "DATA": _VOLUME,
    "ROAMING": _VOLUME,
}
"""Usage type -> unit -> how many seconds, messages or bytes it is."""

_ASCII_NOISE: Final = b" \t-.()[]"
_NOISE: Final = dict.fromkeys(map(ord, _ASCII_NOISE.decode() + "\u2010\u2011\u2012\u2013\u2014"))
_BIGGEST_MS: Final = (1 << 48) - 1


def valid_region(text: str) -> bool:
    """Whether this is a region: a province of the mainland (`CN-GD`), or a code of ISO 3166 such as `HK`."""
    return text in PROVINCES or (_REGION.fullmatch(text) is not None and not text.startswith("CN"))


def country_of(region: str) -> str:
    """The two-letter country of a region."""
    return region[:2]


def store_of(region: str, regions: Mapping[str, str]) -> str | None:
    """The store that keeps a region by `regions` (region or country -> store); None where it is not served."""
    return regions.get(region) or regions.get(country_of(region))


def money_to_minor(value: str, unit: str) -> int:
    """12.34 CNY -> 1234; raises ValueError, saying what was expected, for an unknown currency or too many digits."""
    digits = CURRENCIES.get(unit)
    if digits is None:
        raise ValueError("a currency of ISO 4217 that is in use here")
    found = _MONEY.fullmatch(value)
    if found is None:
        raise ValueError("a decimal number written with digits and one point")
    if len(found[1] or "") > digits:
        raise ValueError(f"at most {digits} digits behind the point")
    return int(Decimal(value).scaleb(digits))


def money_text(minor: int, unit: str) -> str:
    """1234 CNY -> "12.34": always with all the currency's digits."""
    digits = CURRENCIES[unit]
    if digits == 0:
        return str(minor)
    whole, part = divmod(abs(minor), 10**digits)
    return f"{'-' if minor < 0 else ''}{whole}.{part:0{digits}}"


def price_text(minor: Decimal, unit: str) -> str:
    """0.4883 CNY in minor units -> "0.004883": as many digits as it has."""
    return format(minor.scaleb(-CURRENCIES[unit]), "f")


def pause_after(failed: int, first: float, longest: float) -> float:
    """How long to wait after so many failures in a row: `first`, then twice as long each time, at most `longest`."""
    return min(longest, first * 2.0 ** min(failed - 1, 30))


def to_usage_count(usage_type: str, quantity: str, units: str) -> int:
    """Whole seconds, messages or bytes; raises ValueError, saying what was expected, for another unit or a part."""
    factor = USAGE_UNITS[usage_type].get(units)
    if factor is None:
        raise ValueError(f"one of {', '.join(USAGE_UNITS[usage_type])}")
    if quantity.isdecimal() and quantity.isascii() and len(quantity) <= 15:
        return int(quantity) * factor
    if not _QUANTITY.fullmatch(quantity):
        raise ValueError("a decimal number, not negative, written with digits and one point")
    count = Decimal(quantity) * factor
    if count != int(count):
        raise ValueError("a whole number of seconds, messages or bytes")
    return int(count)


def compact(text: str) -> str:
    """A number of a document or account without the ways to write it: NFKC, capitals, no spaces, dashes or brackets."""
    if text.isascii():  # which is NFKC as it is
        return text.encode().translate(None, _ASCII_NOISE).upper().decode()
    return unicodedata.normalize("NFKC", text).upper().translate(_NOISE)


def row_id(customer_id: UUID, kind: str, ref: str) -> UUID:
    """The id of a customer's row: the same for the same customer, kind (a word) and reference, whoever works it out."""
    made: UUID = QuickUUID(row_bytes(customer_id.bytes, kind, ref))
    return made


def row_bytes(customer_id: bytes, kind: str, ref: str) -> bytes:
    """`row_id` as its 16 bytes, of a customer's."""
    return _versioned(sha256(customer_id + kind.encode() + b"\0" + ref.encode()).digest()[:16], 8)


def customer_id_of(tenant: str, store: str, event_id: str, at: datetime) -> UUID:
    """The id of the customer an event registers: sorted by time like a UUIDv7, the same when the event comes again."""
    milliseconds = min(max(0, int(at.timestamp() * 1000)), _BIGGEST_MS)
    digest = sha256("\0".join((tenant, store, event_id)).encode()).digest()
    return uuid_of(milliseconds.to_bytes(6, "big") + digest[:10], 7)


def uuid_of(sixteen: bytes, version: int) -> UUID:
    """A UUID of a version from bytes of which six bits give way; of the kind that the driver makes in C."""
    made: UUID = QuickUUID(_versioned(sixteen, version))
    return made


def _versioned(sixteen: bytes, version: int) -> bytes:
    raw = bytearray(sixteen)
    raw[6], raw[8] = raw[6] & 0x0F | version << 4, raw[8] & 0x3F | 0x80
    return bytes(raw)


def month_from(day: date, months: int) -> date:
    """The first day of the month that is so many months after the one of `day`; before it, where negative."""
    counted = day.year * 12 + day.month - 1 + months
    return date(counted // 12, counted % 12 + 1, 1)


def age_on(born: date, day: date) -> int:
    """Full years."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))
