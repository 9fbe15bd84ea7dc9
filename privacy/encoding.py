"""Exact bytes: how parts, values and JSON become bytes, and come back unchanged or are refused."""

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Context, Decimal
from enum import IntEnum
from typing import Any, TypeAlias

from privacy.errors import SealBroken, ValueRefused

CellValue: TypeAlias = bytes | str | int | float | bool | Decimal | date | list[Any] | dict[str, Any]

SMALLEST_BUCKET = 16
END = b"\x80"
# str(Decimal) follows the thread's context (E or e); the bytes of a cell must not.
DECIMAL_TEXT = Context(capitals=1)


class CellType(IntEnum):
    """What a cell holds; the number is written in its header and never changes."""

    BYTES = 0
    TEXT = 1
    INT64 = 2
    DECIMAL = 3
    DATE = 4
    JSON = 5


def utf8(text: str) -> bytes:
    """The text as UTF-8; raises ValueRefused for a lone surrogate, which is not a character."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueRefused("the text holds a lone surrogate, which is not a character") from None


def u32(number: int) -> bytes:
    """Four bytes, big-endian; raises ValueRefused outside 0 .. 2**32 - 1."""
    if not 0 <= number <= 0xFFFFFFFF:
        raise ValueRefused("a number outside 0 .. 2**32 - 1")
    return number.to_bytes(4, "big")


def framed(*parts: bytes | str) -> bytes:
    """The parts one after the other, each behind its length (u16), so that no two lists of parts give the same bytes.

    Raises ValueRefused for a part longer than 65,535 bytes.
    """
    out = bytearray()
    for part in parts:
        raw = utf8(part) if isinstance(part, str) else part
        if len(raw) > 0xFFFF:
            raise ValueRefused("a part longer than 65,535 bytes")
        out += len(raw).to_bytes(2, "big")
        out += raw
    return bytes(out)


def canonical(value: Mapping[str, object] | CellValue | None) -> bytes:
    """JSON with one spelling: keys sorted by code point, no spaces, UTF-8; raises ValueRefused for anything else."""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ValueRefused("not JSON: an object of another kind, a number without end, or nested too deep") from None
    return utf8(text)


def bucket(length: int) -> int:
    """The smallest of 16, 32, 64, 128 ... that holds `length` bytes."""
    return max(SMALLEST_BUCKET, 1 << (length - 1).bit_length())


def pad(raw: bytes) -> bytes:
    """The value, an end mark, and zeros up to the bucket: the length tells only the bucket, the end is certain."""
    return (raw + END).ljust(bucket(len(raw) + 1), b"\0")


def unpad(padded: bytes) -> bytes:
    """The value before the end mark; raises SealBroken where `pad` could not have written these bytes."""
    marked = padded.rstrip(b"\0")
    if not marked.endswith(END) or bucket(len(marked)) != len(padded):
        raise SealBroken("the padding is not as it was written")
    return marked[:-1]


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise ValueRefused("a BYTES cell holds bytes")
    return value


def _text(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueRefused("a TEXT cell holds a str")
    return utf8(value)


def _int64(value: object) -> bytes:
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
        raise ValueRefused("an INT64 cell holds an int from -2**63 to 2**63 - 1")
    return value.to_bytes(8, "big", signed=True)


def _decimal(value: object) -> bytes:
    if not isinstance(value, Decimal) or not value.is_finite():
        raise ValueRefused("a DECIMAL cell holds a finite Decimal")
    return DECIMAL_TEXT.to_sci_string(value).encode()


def _date(value: object) -> bytes:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueRefused("a DATE cell holds a date without a time")
    return value.isoformat().encode()


def _json(value: object) -> bytes:
    if not isinstance(value, str | int | float | list | dict):
        raise ValueRefused("a JSON cell holds a str, number, bool, list or dict")
    raw = canonical(value)
    # JSON would turn a tuple into a list and a number used as a key into text: what does not come back is refused.
    if json.loads(raw) != value:
        raise ValueRefused("a JSON cell holds only lists, dicts with text keys and plain values")
    return raw


def _read_int64(raw: bytes) -> int:
    if len(raw) != 8:
        raise SealBroken("an INT64 cell holds eight bytes")
    return int.from_bytes(raw, "big", signed=True)


_WRITE: Mapping[CellType, Callable[[object], bytes]] = {
    CellType.BYTES: _bytes,
    CellType.TEXT: _text,
    CellType.INT64: _int64,
    CellType.DECIMAL: _decimal,
    CellType.DATE: _date,
    CellType.JSON: _json,
}
_READ: Mapping[CellType, Callable[[bytes], CellValue]] = {
    CellType.BYTES: bytes,
    CellType.TEXT: bytes.decode,
    CellType.INT64: _read_int64,
    CellType.DECIMAL: lambda raw: Decimal(raw.decode("ascii")),
    CellType.DATE: lambda raw: date.fromisoformat(raw.decode("ascii")),
    CellType.JSON: json.loads,
}


def encoder(cell_type: CellType) -> Callable[[object], bytes]:
    """`encode` for many values of one type."""
    return _WRITE[cell_type]


def encode(value: object, cell_type: CellType) -> bytes:
    """The exact bytes of a value; raises ValueRefused where reading them back would not give the value again."""
    return _WRITE[cell_type](value)


def decode(raw: bytes, cell_type: CellType) -> CellValue:
    """The value behind the bytes; raises SealBroken where no value of this type was written so."""
    try:
        return _READ[cell_type](raw)
    except (ValueError, ArithmeticError, RecursionError):
        raise SealBroken("the cell does not hold what its header says") from None
