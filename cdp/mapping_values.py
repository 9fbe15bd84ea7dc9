"""The values of a mapping: each is compiled once into what fills it from a row (column -> its trimmed text)."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, NoReturn, TypeAlias

from cdp.errors import EventInvalid, RequestInvalid
from cdp.values import month_from

Row: TypeAlias = Mapping[str, str]
Fill: TypeAlias = Callable[[Row], Any]

COLUMN: Final = ("column", "as", "table", "format", "day", "blank")
KINDS: Final = ("text", "integer", "boolean", "money", "date", "instant", "months_before")
WORDS: Final = {"true": True, "false": False}
PLACE: Final = re.compile(r"\{([^{}]+)\}")


class _Omitted(Exception):
    """The field is left out."""


@dataclass(slots=True)
class Reader:
    """What the parts of a mapping share while it is read. Where one of `skips` is blank, there is no event."""

    tables: Mapping[str, Mapping[str, Any]]
    currency: str | None
    offset: str
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
    form, offset, currency = found.get("format"), reader.offset, reader.currency
    demand(
        form is None or (isinstance(form, str) and kind in ("date", "instant")),
        f"{where}.format",
        "a form of strptime, with as = date or instant",
    )
    if kind == "money":
        demand(currency, "currency", f"a currency: {where} is money")
        return lambda text, _: {"value": text, "unit": currency}
    if kind == "integer":
        return lambda text, column: (
            int(text) if re.fullmatch(r"-?\d{1,18}", text, re.ASCII) else _refuse(column, "a whole number")
        )
    if kind == "boolean":
        return lambda text, column: WORDS[text] if text in WORDS else _refuse(column, "true or false")
    if kind == "months_before":
        day = str(found.get("day", ""))
        demand(_is_day(day), f"{where}.day", "a day such as 2026-01-31")
        return lambda text, column: _months_before(date.fromisoformat(day), text, column)
    if kind in ("date", "instant"):
        return lambda text, column: _read_time(text, column, kind, form, offset)
    return lambda text, _: text


def _is_day(text: str) -> bool:
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _months_before(day: date, text: str, column: str) -> str:
    if not re.fullmatch(r"\d{1,4}", text, re.ASCII) or int(text) > 12 * (day.year - 1970):
        raise EventInvalid(column, "a number of months")
    return month_from(day, -int(text)).replace(day=min(day.day, 28)).isoformat()


def _read_time(text: str, column: str, kind: str, form: str | None, offset: str) -> str:
    try:
        read = datetime.strptime(text, form) if form else datetime.fromisoformat(text)  # noqa: DTZ007 -- zone below
    except ValueError:
        raise EventInvalid(
            column, f"{'a date' if kind == 'date' else 'an instant'} written {form or 'as in ISO 8601'}"
        ) from None
    return read.date().isoformat() if kind == "date" else instant(read.isoformat(), offset)


def instant(text: Any, offset: str) -> Any:
    """An instant with its zone: days begin at midnight."""
    if not isinstance(text, str):
        return text
    if len(text) == 10:
        text += "T00:00:00"
    return text if re.search(r"(Z|[+-]\d\d:?\d\d)$", text) else text + offset
