"""A mapping says, in TOML, which events the rows of a file make. Nothing is guessed: what it does not say is refused.

    name = "churn"                    part of every event's id: another name makes other events
    key = ["customerID"]              the columns that tell a row from all others
    region = "HK"                     of every event that names none
    currency = "HKD"                  of amounts read with as = "money"
    time_zone = "+08:00"              or "Asia/Hong_Kong", of days and instants without one (default +00:00); a time
                                      that its clocks skipped or showed twice is refused
    encoding = "big5hkscs"            where it is neither UTF-8 nor GB18030, which are told apart by themselves
    at = "2026-10-31T00:00:00Z"       when it happened, unless an event says otherwise
    subject = { customerKey = { column = "customerID" } }

    [tables.gender]                   from the file's words to ours; a word that is not in it is refused
    Female = "FEMALE"

    [[event]]
    type = "CustomerRegistered"
    id = "registered"                 tells it from the row's other events (default: its type)
    when = { column = "PhoneService", equals = "Yes" }      or differs = ..., or lists; or a list of conditions
    at / region / subject             as above, for this event alone
    [event.fields]                    field of the event = value; dots and tables make parts of parts

A value is a constant, a list or table of values, `{ text = "Contract: {Contract}" }`, `{ sum = ["Fee", "Tax"] }` of
money, or a column (of NDJSON and Parquet by its path, as in "account.balance"):

    { column = "Amount", as = "money", table = "...", blank = "reject" }

`as` is text (default), integer, boolean, money, quantity (whole seconds, messages or bytes, of so many `unit`s such as
minutes), date, instant or months_before (so many months before `day`); `format` is how the file writes a date or
instant (strptime). A blank cell: blank = "reject" (default) refuses the row, "omit" leaves the field out, "skip" makes
no event, and anything else is the value to take instead.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cdp.errors import EventInvalid, RequestInvalid
from cdp.event import Event
from cdp.mapping_values import Fill, Reader, Row, demand, instant, only, value_of, zone_of
from cdp.values import CURRENCIES, store_of, valid_region
from privacy.blind import Index
from privacy.keys import KeyRing

ENCODINGS: Final = ("utf-8", "gb18030", "big5hkscs")
OWN_FIELDS: Final = ("type", "event_id", "at", "region", "subject")
TOP: Final = ("name", "key", "region", "currency", "time_zone", "encoding", "at", "subject", "tables", "event")
EVENT: Final = ("type", "id", "when", "at", "region", "subject", "fields")
CONDITION: Final = ("column", "equals", "differs")
NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,40}")
SHIPPED: Final = Path(__file__).parent / "mappings"
ROW_INDEX: Final = Index(uid=102, name="row", version=1)
"""A row's key may be a number or a document: the id of an event holds only a keyed hash of it."""


@dataclass(frozen=True, slots=True)
class EventMapping:
    """One event of a row. `fill` gives its body without id and region, `subject` whom it is about; `region` its own
    region, where it has one.
    """

    type: str
    id: str
    applies: Callable[[Row], bool]
    region: Fill | None
    fill: Callable[[Row], dict[str, Any]]
    subject: Fill


@dataclass(frozen=True, slots=True)
class FileMapping:
    """A checked mapping. `columns` has every column it reads, with the place in the mapping where it is named first;
    `digest` is the SHA-256 of its text.
    """

    name: str
    key: tuple[str, ...]
    region: str | None
    encoding: str | None
    events: tuple[EventMapping, ...]
    columns: Mapping[str, str]
    digest: str

    def served_region(self, given: str | None, regions: Mapping[str, str]) -> str:
        """The region of records that name none, where `regions` has it; raises RequestInvalid MAPPING_INVALID."""
        region = given or self.region
        if region is None or not valid_region(region) or store_of(region, regions) is None:
            expected = "expected one that is served here, in the mapping or as --region"
            raise RequestInvalid("MAPPING_INVALID", f"region: {expected}")
        return region

    def name_of(self, row: Row) -> str:
        """The name of a row, with its key in it; EventInvalid for a key that is blank."""
        for column in self.key:
            if not row[column]:
                raise EventInvalid(column, "a value")
        return "\0".join(row[column] for column in self.key)

    def record_of(self, row: Row, ring: KeyRing) -> str:
        """What a row is called outside: the id of each of its events begins so. Raises like `name_of`."""
        return f"{self.name}:{ring.digest(ROW_INDEX, self.name_of(row)).hex()}"

    def events_of(self, row: Row, record: str, region: str | None) -> list[dict[str, Any]]:
        """The events of a row; EventInvalid, naming the column, where it does not fit."""
        return [
            event.fill(row)
            | {
                "eventId": f"{record}:{event.id}",
                "region": region if event.region is None else event.region(row),
            }
            for event in self.events
            if event.applies(row)
        ]

    def about(self, row: Row, region: str | None) -> dict[str, Any] | None:
        """Whom a row is about that was refused, as far as can be told: an erasure takes it along."""
        for event in self.events:
            with suppress(EventInvalid):
                own = region if event.region is None else event.region(row)
                return {"subject": event.subject(row), "region": own}
        return None


def read_mapping(name: str, events: Mapping[str, type[Event]]) -> FileMapping:
    """The mapping in a file, or a shipped one by its name; raises like `parse_mapping`."""
    shipped, path = SHIPPED / f"{name}.toml", Path(name)
    if not path.is_file() and NAME.fullmatch(name) and shipped.is_file():
        path = shipped
    try:
        return parse_mapping(path.read_text("utf-8"), events)
    except FileNotFoundError:
        known = ", ".join(sorted(one.stem for one in SHIPPED.glob("*.toml")))
        raise RequestInvalid("MAPPING_INVALID", f"{name}: expected a file, or one of {known}") from None
    except UnicodeDecodeError:
        raise RequestInvalid("MAPPING_INVALID", f"{path.name}: expected UTF-8") from None
    except RequestInvalid as wrong:
        raise RequestInvalid(wrong.code, f"{path.name}: {wrong}") from None


def parse_mapping(text: str, events: Mapping[str, type[Event]]) -> FileMapping:
    """Reads a mapping; `events` are the events there are.

    Raises RequestInvalid MAPPING_INVALID, naming the first key that is wrong and what belongs there.
    """
    try:
        top = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise RequestInvalid("MAPPING_INVALID", f"expected TOML: {wrong}") from None
    only(top, TOP, "")
    name, zone = top.get("name"), zone_of(top.get("time_zone", "+00:00"))
    demand(isinstance(name, str) and NAME.fullmatch(name), "name", "letters, digits, _, - and ., at most 40")
    demand(zone is not None, "time_zone", "an offset such as +08:00, or a zone such as Asia/Hong_Kong")
    assert zone is not None
    region, currency, encoding = top.get("region"), top.get("currency"), top.get("encoding")
    demand(
        region is None or (isinstance(region, str) and valid_region(region)), "region", "a region such as HK or CN-GD"
    )
    demand(currency is None or currency in list(CURRENCIES), "currency", "a currency of ISO 4217 that is in use here")
    demand(encoding is None or encoding in ENCODINGS, "encoding", f"one of {', '.join(ENCODINGS)}")
    reader = Reader(_tables(top.get("tables", {})), currency, zone)
    key: Any = top.get("key", [])
    listed: Any = top.get("event", [])
    demand(isinstance(key, list) and key, "key", "a list of columns")
    columns = tuple(reader.column(column, f"key[{n}]") for n, column in enumerate(key))
    demand(isinstance(listed, list) and len(listed) > 0, "event", "at least one [[event]]")
    made = [_event(reader, event, f"event[{n}]", top, events) for n, event in enumerate(listed)]
    for n, one in enumerate(made):
        demand(one.id not in [other.id for other in made[:n]], f"event[{n}].id", "an id that no event before it has")
    digest = sha256(text.encode()).hexdigest()
    return FileMapping(str(name), columns, region, encoding, tuple(made), reader.columns, digest)


def _tables(found: Any) -> Mapping[str, Mapping[str, Any]]:
    demand(isinstance(found, dict), "tables", "tables of values")
    tables: dict[str, dict[str, Any]] = found
    for name in tables:
        demand(isinstance(found[name], dict) and found[name], f"tables.{name}", "a table of values")
    return tables


def _event(
    reader: Reader, found: Any, where: str, top: Mapping[str, Any], events: Mapping[str, type[Event]]
) -> EventMapping:
    only(found, EVENT, where)
    kind = found.get("type")
    demand(isinstance(kind, str) and kind in events, f"{where}.type", f"one of {', '.join(events)}")
    made_id = found.get("id", kind)
    demand(
        isinstance(made_id, str) and NAME.fullmatch(made_id), f"{where}.id", "letters, digits, _, - and ., at most 40"
    )
    fields = found.get("fields", {})
    _check_fields(fields, f"{where}.fields", events[kind])
    given = {name: found[name] if name in found else top.get(name) for name in ("at", "subject")}
    for name, value in given.items():
        demand(value is not None, f"{where}.{name}", "a value, here or for all events")
    demand(isinstance(given["subject"], dict), f"{where}.subject", "a table with one of the customer's identifiers")
    for name in ("at", "region"):
        value = found.get(name, top.get(name))
        omitted = isinstance(value, dict) and value.get("blank") == "omit"
        demand(not omitted, f"{where}.{name}.blank", f"reject, skip or a value: an event has its {name}")
    skips: list[str] = []
    reader.skips = skips
    at, zone = value_of(reader, given["at"], f"{where}.at"), reader.zone
    subject = value_of(reader, given["subject"], f"{where}.subject")
    filled = value_of(reader, fields, f"{where}.fields")

    def fill(row: Row) -> dict[str, Any]:
        return {"type": kind, "at": instant(at(row), zone), "subject": subject(row), **filled(row)}

    region = value_of(reader, found["region"], f"{where}.region") if "region" in found else None
    applies = _conditions(reader, found.get("when", []), f"{where}.when")

    def makes(row: Row) -> bool:
        return applies(row) and all(row[name] for name in skips)

    return EventMapping(kind, made_id, makes, region, fill, subject)


def _check_fields(found: Any, where: str, event: type[Event]) -> None:
    """Whether the event has these fields, and all that it must have are among them."""
    known = {info.alias or name: info for name, info in event.model_fields.items() if name not in OWN_FIELDS}
    only(found, tuple(known), where)
    for name, info in known.items():
        demand(name in found or not info.is_required(), f"{where}.{name}", f"a value: {event.__name__} needs it")


def _conditions(reader: Reader, found: Any, where: str) -> Callable[[Row], bool]:
    """Whether a row fulfils all of the conditions."""
    checks: list[tuple[str, frozenset[str], bool]] = []
    for n, one in enumerate(found if isinstance(found, list) else [found]):
        place = f"{where}[{n}]" if isinstance(found, list) else where
        only(one, CONDITION, place)
        demand(("equals" in one) != ("differs" in one), place, "equals or differs")
        word = "equals" if "equals" in one else "differs"
        values = one[word] if isinstance(one[word], list) else [one[word]]
        demand(all(isinstance(value, str) for value in values), f"{place}.{word}", "text, or a list of texts")
        column = reader.column(one.get("column"), f"{place}.column")
        checks.append((column, frozenset(values), word == "equals"))
    return lambda row: all((row[column] in values) == wanted for column, values, wanted in checks)
