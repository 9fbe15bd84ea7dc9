"""Scalars, enums and small objects that several types share."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import partial
from typing import Any, NewType, TypeAlias

import strawberry
from sqlalchemy import Column

from cdp.errors import RequestInvalid
from cdp.event import instant_of
from cdp.values import money_text, valid_region
from privacy.vocabulary import ConsentKind, ConsentType
from schema.fields import ColumnField, Governance, Source, declared, embedded, part, plain, word

PART = plain("part of a governed field")

Text: TypeAlias = Callable[..., str | None]
"""What makes a text of what was found."""

ISO_3166 = "https://www.iso.org/iso-3166-country-codes.html"
RFC_3339 = "https://www.rfc-editor.org/rfc/rfc3339"


def _region(text: object) -> str:
    if not isinstance(text, str) or not (valid_region(text) or text == "CN"):
        raise RequestInvalid("REGION_INVALID", "expected an ISO 3166 code such as CN-GD or HK")
    return text


def _instant(text: object) -> datetime:
    try:
        return instant_of(text if isinstance(text, str) else None)
    except ValueError:
        expected = "expected an instant with its offset, such as 2026-01-31T08:00:00Z, not before 1970"
        raise RequestInvalid("INSTANT_INVALID", expected) from None


def _day(text: object) -> date:
    try:
        return date.fromisoformat(text if isinstance(text, str) else "")
    except ValueError:
        raise RequestInvalid("DAY_INVALID", "expected a day such as 2026-01-31") from None


def _document(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RequestInvalid("EVENT_INVALID", "expected an event as a JSON object")
    return value


Region = NewType("Region", str)
Instant = NewType("Instant", datetime)
Day = NewType("Day", str)
Month = NewType("Month", str)
EventDocument = NewType("EventDocument", object)

SCALARS: dict[object, Any] = {
    Region: strawberry.scalar(
        name="Region",
        description="Where an account lives: an ISO 3166 code such as `CN-GD` or `HK`.",
        specified_by_url=ISO_3166,
        parse_value=_region,
    ),
    Instant: strawberry.scalar(
        name="DateTime",
        description="An instant in UTC, such as `2026-01-31T08:00:00Z`.",
        specified_by_url=RFC_3339,
        parse_value=_instant,
    ),
    Day: strawberry.scalar(
        name="Date", description="A day, such as `2026-01-31`.", specified_by_url=RFC_3339, parse_value=_day
    ),
    Month: strawberry.scalar(
        name="Month", description="A calendar month, such as `2026-01`.", specified_by_url=RFC_3339
    ),
    EventDocument: strawberry.scalar(
        name="Event",
        description="An event as a JSON object: `type`, `eventId`, `at`, `region`, `subject` and its own fields.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        parse_value=_document,
    ),
}


def month_text(day: Any) -> str:
    """The month a day is in, `YYYY-MM`."""
    return str(day.isoformat()[:7])


@part
class Money:
    """An amount of money."""

    value: str = word("A decimal number as text, exact.")
    unit: str = word("The ISO 4217 currency code.")


@part
class Quantity:
    """An amount of something that is counted or measured."""

    value: str = word("A decimal number as text, exact.")
    unit: str = word("What it counts: seconds, messages, bytes.")


@part
class TimePeriod:
    """A span of time; open where there is no end."""

    start: Instant | None = word("The first instant of it.")
    end: Instant | None = word("The instant at which it is over; null while it goes on.")


@part
class DatePeriod:
    """A span of days."""

    start: Day | None = word("The first day.")
    end: Day | None = word("The last day.")


def money(
    minor: Source, currency: Column[Any], governance: Governance, description: str, text: Text = money_text
) -> Any:
    """An amount in minor units, shown as Money; a price, which has parts of them, as `text=price_text`."""
    fields = {"value": ColumnField(PART, (minor, currency), text), "unit": ColumnField(PART, (currency,))}
    return embedded(minor, fields, governance, description)


def in_language(told: tuple[Source, ...], text: Text, governance: Governance, language: str, description: str) -> Any:
    """What some columns tell, as a text in a language."""
    return declared(ColumnField(governance, told, partial(text, language)), description)


def quantity(count: Column[Any], unit: Column[Any], governance: Governance, description: str) -> Any:
    """A count in its units, shown as Quantity."""
    fields = {"value": ColumnField(PART, (count,), str), "unit": ColumnField(PART, (unit,))}
    return embedded(count, fields, governance, description)


def period(start: Column[Any], end: Column[Any], governance: Governance, description: str) -> Any:
    """A span of instants or days, null where it has no start."""
    fields = {"start": ColumnField(PART, (start,)), "end": ColumnField(PART, (end,))}
    return embedded(start, fields, governance, description)


@strawberry.interface(description="Whatever can be asked for again by its id.")
class Node:
    id: strawberry.ID = strawberry.field(
        description="An opaque token, readable only by the legal entity it was given to."
    )


@strawberry.type(description="Where a page begins and ends.")
class PageInfo:
    has_next_page: bool = word("Whether there is more after this page.")
    has_previous_page: bool = word("Whether this page was asked for after another one.")
    start_cursor: str | None = word("The cursor of the first row of the page.")
    end_cursor: str | None = word("The cursor of the last row of the page: give it as `after` to go on.")


# The words of the law are the words of the schema.
strawberry.enum(ConsentType, description="What a consent event says.")
strawberry.enum(ConsentKind, description="How a consent was expressed.")
