"""The values of a mapping: each is compiled once into what fills it from a row (column -> its trimmed text)."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, Final, NoReturn, TypeAlias
from zoneinfo import ZoneInfo

from cdp.errors import EventInvalid, RequestInvalid
from cdp.values import USAGE_UNITS, month_from, to_usage_count

Row: TypeAlias = Mapping[str, str]
Fill: TypeAlias = Callable[[Row], Any]

COLUMN: Final = ("column", "as", "table", "format", "day", "unit", "blank")
KINDS: Final = ("text", "integer", "boolean", "money", "quantity", "date", "instant", "months_before")
WORDS: Final = {"true": True, "false": False}
UNITS: Final = {unit: usage for usage, units in USAGE_UNITS.items() for unit in units}
PLACE: Final = re.compile(r"\{([^{}]+)\}")
OFFSET: Final = re.compile(r"([+-])([01]\d):([0-5]\d)")
# Zeros that say nothing: 45.070000 is 45.07, and no other amount.
CENTS: Final = re.compile(r"(-?\d+\.\d\d)0+", re.ASCII)
AMOUNT: Final = re.compile(r"-?\d{1,13}(\.\d{1,3})?", re.ASCII)


class _Omitted(Exception):
    """The field is left out."""


@dataclass(slots=True)
class Reader:
    """What the parts of a mapping share while it is read. Where one of `skips` is blank, there is no event."""

    tables: Mapping[str, Mapping[str, Any]]
    currency: str | None
    zone: tzinfo
    columns: dict[str, str] = field(default_factory=dict)
    skips: list[str] = field(default_factory=list)

    def column(self, name: Any, where: str) -> str:
        if not isinstance(name, str) or not name:
            invalid(where, "the name of a column")
        self.columns.setdefault(name, where)
        return name


def invalid(where: str, expected: str) -> NoReturn:
    raise RequestInvalid("MAPPING_INVALID", f"{where}: expected {expected}")


def demand(fits: object, where: str, expected: str) -> None:
    if not fits:
        invalid(where, expected)


def only(found: Any, known: Sequence[str], where: str) -> None:
    demand(isinstance(found, dict), where, "a table")
    for name in found:
        demand(name in known, f"{where}.{name}".lstrip("."), f"one of {', '.join(known)}")


def value_of(reader: Reader, found: Any, where: str) -> Fill:
    """How a value is filled from a row; EventInvalid, naming the column, where a row does not fit."""
    if isinstance(found, list):
        listed = {f"{n}": value_of(reader, one, f"{where}[{n}]") for n, one in enumerate(found)}
        return lambda row: list(_filled(listed, row).values())
    if not isinstance(found, dict):
        constant = found.isoformat() if isinstance(found, date | datetime) else found
        return lambda _: constant
    if "column" in found:
        return _column(reader, found, where)
    if "text" in found:
        return _text(reader, found, where)
    if "sum" in found:
        return _sum(reader, found, where)
    fields = {name: value_of(reader, one, f"{where}.{name}") for name, one in found.items()}
    return lambda row: _filled(fields, row)


def _filled(parts: Mapping[str, Fill], row: Row) -> dict[str, Any]:
    filled = {}
    for name, fill in parts.items():
        try:
            filled[name] = fill(row)
        except _Omitted:
            continue
    return filled


def _text(reader: Reader, found: Mapping[str, Any], where: str) -> Fill:
    only(found, ("text",), where)
    text = found["text"]
    demand(isinstance(text, str), f"{where}.text", "text with {Column} in it")
    for name in PLACE.findall(text):
        reader.column(name, f"{where}.text")

    def cell(row: Row, name: str) -> str:
        return row[name] or _refuse(name, "a value")

    return lambda row: PLACE.sub(lambda place: cell(row, place[1]), text)


def _sum(reader: Reader, found: Mapping[str, Any], where: str) -> Fill:
    """The amounts in several columns, added up."""
    only(found, ("sum",), where)
    names = found["sum"]
    demand(isinstance(names, list) and names, f"{where}.sum", "a list of columns")
    parts = {name: _column(reader, {"column": name, "as": "money"}, f"{where}.sum") for name in names}

    def amount(row: Row, name: str) -> Decimal:
        text = parts[name](row)["value"]
        return Decimal(text) if AMOUNT.fullmatch(text) else _refuse(name, "an amount of money")

    return lambda row: {"value": f"{sum(amount(row, name) for name in parts):f}", "unit": reader.currency}


def _refuse(column: str, expected: str) -> NoReturn:
    raise EventInvalid(column, expected)


def _column(reader: Reader, found: Mapping[str, Any], where: str) -> Fill:
    only(found, COLUMN, where)
    name, kind = reader.column(found["column"], f"{where}.column"), found.get("as", "text")
    demand(kind in KINDS, f"{where}.as", f"one of {', '.join(KINDS)}")
    table = found.get("table")
    demand(
        table is None or table in list(reader.tables),
        f"{where}.table",
        f"one of {', '.join(reader.tables) or 'the tables (there are none)'}",
    )
    words = None if table is None else reader.tables[table]
    convert, blank = _converter(reader, found, kind, where), found.get("blank", "reject")

    if blank == "skip":
        reader.skips.append(name)

    def fill(row: Row) -> Any:
        text = row[name]
        if not text:
            instead = _instead(blank, name)
            return convert(instead, name) if isinstance(instead, str) else instead
        if words is None:
            return convert(text, name)
        if text not in words:
            raise EventInvalid(name, f"one of {', '.join(words)}")
        return convert(words[text], name) if isinstance(words[text], str) else words[text]

    return fill


def _instead(blank: Any, column: str) -> Any:
    """What a blank cell stands for."""
    if blank == "reject":
        raise EventInvalid(column, "a value")
    if blank == "omit":
        raise _Omitted
    return blank


def _converter(reader: Reader, found: Mapping[str, Any], kind: str, where: str) -> Callable[[str, str], Any]:
    """text, column -> value; raises EventInvalid, naming the column."""
    form, zone, currency, unit = found.get("format"), reader.zone, reader.currency, found.get("unit")
    demand(
        form is None or (isinstance(form, str) and kind in ("date", "instant")),
        f"{where}.format",
        "a form of strptime, with as = date or instant",
    )
    demand(kind != "money" or currency, "currency", f"a currency: {where} is money")
    demand(unit in list(UNITS) if kind == "quantity" else unit is None, f"{where}.unit", f"one of {', '.join(UNITS)}")
    day = str(found.get("day", ""))
    demand(kind != "months_before" or _is_day(day), f"{where}.day", "a day such as 2026-01-31")
    return {
        "text": lambda text, _: text,
        "integer": _integer,
        "boolean": lambda text, column: WORDS[text] if text in WORDS else _refuse(column, "true or false"),
        "money": lambda text, _: {"value": CENTS.sub(r"\1", text) if CENTS.fullmatch(text) else text, "unit": currency},
        "quantity": lambda text, column: _count(text, str(unit), column),
        "date": lambda text, column: _read_time(text, column, kind, form, zone),
        "instant": lambda text, column: _read_time(text, column, kind, form, zone),
        "months_before": lambda text, column: _months_before(date.fromisoformat(day), text, column),
    }[kind]


def _integer(text: str, column: str) -> int:
    return int(text) if re.fullmatch(r"-?\d{1,18}", text, re.ASCII) else _refuse(column, "a whole number")


def _is_day(text: str) -> bool:
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _months_before(day: date, text: str, column: str) -> str:
    if not re.fullmatch(r"\d{1,4}", text, re.ASCII) or int(text) > 12 * (day.year - 1970):
        raise EventInvalid(column, "a number of months")
    return month_from(day, -int(text)).replace(day=min(day.day, 28)).isoformat()


def _count(text: str, unit: str, column: str) -> int:
    """Whole seconds, messages or bytes."""
    try:
        return to_usage_count(UNITS[unit], text, unit)
    except ValueError as refused:
        raise EventInvalid(column, str(refused)) from None


def _read_time(text: str, column: str, kind: str, form: str | None, zone: tzinfo) -> str:
    try:
        read = datetime.strptime(text, form) if form else datetime.fromisoformat(text)  # noqa: DTZ007 -- zone below
    except ValueError:
        raise EventInvalid(
            column, f"{'a date' if kind == 'date' else 'an instant'} written {form or 'as in ISO 8601'}"
        ) from None
    return read.date().isoformat() if kind == "date" else _with_zone(read, zone, column)


def instant(text: Any, zone: tzinfo) -> Any:
    """An instant with its zone: days begin at midnight. What is none is left to the door, which refuses it."""
    try:
        read = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return text
    return _with_zone(read, zone, "at") if read.tzinfo is None else text


def _with_zone(read: datetime, zone: tzinfo, column: str) -> str:
    """Raises EventInvalid for a time that the clocks of the zone skipped, or showed twice."""
    if read.tzinfo is None:
        read = read.replace(tzinfo=zone)
        if read.utcoffset() != read.replace(fold=1).utcoffset():
            raise EventInvalid(column, f"a time that the clocks of {zone} showed once, or one with its offset")
    return read.isoformat()


def zone_of(text: Any) -> tzinfo | None:
    """An offset (`+08:00`) or a zone (`Asia/Hong_Kong`); None for what is neither."""
    if not isinstance(text, str):
        return None
    if found := OFFSET.fullmatch(text):
        sign = -1 if found[1] == "-" else 1
        return timezone(sign * timedelta(hours=int(found[2]), minutes=int(found[3])))
    try:
        return ZoneInfo(text)
    except (LookupError, OSError, ValueError):
        return None
