"""An event: one thing that happened to one customer, as it comes in at the write door.

Every field is checked: unknown fields, types, units, currencies and regions are refused, and a refusal names the field
and what belongs there, never what was found. An event says what follows from it (`apply`) without touching a database.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, ClassVar, Final, Literal, get_args
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainValidator,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from cdp.changes import Put
from cdp.context import Context
from cdp.errors import EventInvalid
from cdp.values import CURRENCIES, money_to_minor, valid_region

# NUL cannot be stored as text, and the other control characters only hide what a text says.
PLAIN = r"^[^\x00-\x1f\x7f-\x9f]*$"
LINES = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"
WORD = r"^[A-Z][A-Z0-9_]{0,39}$"
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)

Kind = Literal["number", "customerKey", "accountNo", "email", "document", "customerId"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


def instant_of(value: object) -> datetime:
    """ISO 8601 with a time zone -> the instant in UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("an instant of ISO 8601 with its time zone")
    try:
        instant = value.astimezone(UTC)
    except OverflowError:
        instant = datetime.min.replace(tzinfo=UTC)
    if instant < EARLIEST:
        raise ValueError("an instant after 1970")
    return instant


def _day(value: object) -> date:
    if isinstance(value, str) and len(value) == 10:
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    elif isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError("a day such as 2026-01-31")


def _uuid(value: object) -> UUID:
    if isinstance(value, UUID):
        return value
    try:
        return UUID(value) if isinstance(value, str) else UUID("")
    except ValueError:
        raise ValueError("a UUID") from None


def _region(value: str) -> str:
    # The mainland without a province is enough to know which store and law an event belongs to.
    if not (valid_region(value) or value == "CN"):
        raise ValueError("a region of ISO 3166-2 such as CN-GD or HK")
    return value


Instant = Annotated[datetime, PlainValidator(instant_of), WithJsonSchema({"type": "string", "format": "date-time"})]
Day = Annotated[date, PlainValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Id = Annotated[UUID, PlainValidator(_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]
Ref = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=128, pattern=PLAIN)]
Text = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=400, pattern=PLAIN)]
Lines = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=8000, pattern=LINES)]
# Words of a list that is open: any case is taken, capitals are kept.
to_lower = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
to_upper = BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)
Upper = Annotated[str, to_upper, StringConstraints(strict=True, pattern=WORD)]
Hex256 = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-f]{64}$")]
Region = Annotated[str, AfterValidator(_region)]


class Part(BaseModel):
    """A checked, frozen piece of an event. Its text form shows nothing, so that no log line can hold a value."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=to_camel, hide_input_in_errors=True
    )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    __str__ = __repr__


class Subject(Part):
    """Whom an event is about: exactly one of these, as the source writes it."""

    number: Text | None = None
    customer_key: Ref | None = None
    account_no: Ref | None = None
    email: Text | None = None
    document: Ref | None = None
    customer_id: Id | None = None

    def only(self) -> tuple[Kind, str | UUID]:
        """The one that is given; raises EventInvalid for none or several."""
        given: list[tuple[Kind, str | UUID]] = []
        for name in self.__pydantic_fields_set__:
            value = getattr(self, name)
            if value is not None:
                given.append((_KIND_OF[name], value))
        if len(given) != 1:
            raise EventInvalid("subject", f"exactly one of {', '.join(KINDS)}")
        return given[0]


_KIND_OF: Final[Mapping[str, Kind]] = dict(zip(Subject.model_fields, KINDS, strict=True))


class Money(Part):
    """An amount of money: a decimal text with at most the currency's digits behind the point."""

    value: Ref
    unit: Ref

    def minor(self, field: str) -> int:
        """In minor units; raises EventInvalid for `field` where it cannot be written exactly."""
        try:
            return money_to_minor(self.value, self.unit)
        except ValueError as refused:
            part = "value" if self.unit in CURRENCIES else "unit"
            raise EventInvalid(f"{field}.{part}", str(refused)) from None


class Event(Part):
    """What all events have. `type` is its class's name, `at` when it happened, `region` where that was recorded."""

    type: str
    event_id: Ref
    at: Instant
    region: Region
    subject: Subject

    establishes_presence: ClassVar[bool] = False
    """Whether the customer is present in the event's region from then on."""
    rank: ClassVar[int] = 2
    """Within a batch, events of a lower rank are seen by those of a higher one, in whatever order they came."""
    alone: ClassVar[bool] = False
    """Whether nobody else may write to the customer meanwhile."""

    @property
    def as_of(self) -> datetime:
        """The instant as of which its subject is meant."""
        return self.at

    @property
    def needs_role(self) -> str | None:
        """The role in a number of the customer's that whoever says this must have; None where it is their own word."""
        return None

    @property
    def country(self) -> str | None:
        """The country whose store alone may take it in; None where its region says enough."""
        return None

    def names(self) -> Sequence[tuple[Kind, str]]:
        """The identifiers this event mentions beside its subject."""
        return ()

    def gives(self) -> Sequence[tuple[Kind, str]]:
        """The identifiers that name the customer from this event on (all but numbers, which are held for a time)."""
        return ()

    def apply(self, context: Context) -> list[Put]:
        """What changes; raises EventInvalid where the event contradicts itself or what it refers to is not there."""
        raise NotImplementedError


def parse_event(classes: Mapping[str, type[Event]], body: Mapping[str, Any]) -> Event:
    """The event in `body` (camelCase); raises EventInvalid for the first thing that is wrong with it."""
    if not isinstance(body, Mapping):
        raise EventInvalid("", "an object")
    name = body.get("type")
    found = classes.get(name) if isinstance(name, str) else None
    if found is None:
        raise EventInvalid("type", "the name of an event")
    try:
        event: Event = found.__pydantic_validator__.validate_python(body)
    except ValidationError as wrong:
        raise _invalid(wrong.errors(include_url=False, include_input=False)[0]) from None
    return event


_EXPECTED: Final = {
    "missing": "a value",
    "extra_forbidden": "no field that is not declared",
    "string_type": "text",
    "string_sub_type": "text",
    "string_unicode": "text of valid characters",
    "string_too_short": "text that is not empty",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "text of the form {pattern}",
    "literal_error": "one of {expected}",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "tuple_type": "a list",
    "list_type": "a list",
    "too_long": "at most {max_length} entries",
}


def _invalid(error: ErrorDetails) -> EventInvalid:
    """The refusal for pydantic's first error. Its own message may quote the value, so ours is put together anew."""
    kind = error["type"]
    # The name of an unknown field comes from outside and may be a value itself.
    place = error["loc"][:-1] if kind == "extra_forbidden" else error["loc"]
    if kind == "value_error":
        expected = str(error["ctx"]["error"])
    elif error.get("ctx", {}).get("pattern") in (PLAIN, LINES):
        expected = "text without control characters"
    else:
        expected = _EXPECTED.get(kind, "a value of another kind").format(**error.get("ctx", {}))
    return EventInvalid(".".join(map(str, place)), expected)
