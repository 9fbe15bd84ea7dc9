"""What became of an event at the write door."""

from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from cdp.errors import EventInvalid, InvalidNumber, RequestInvalid


class Status(StrEnum):
    """What became of an event."""

    ACCEPTED = "ACCEPTED"
    DUPLICATE = "DUPLICATE"
    REJECTED = "REJECTED"
    REVIEW = "REVIEW"
    """Kept with the dead letters until somebody has looked: its time has not come, so a clock may be wrong."""


class Outcome(NamedTuple):
    """What became of one event, and whom it was about. `code`, `field` and `expected` are given unless it went
    in."""

    status: Status
    customer_id: UUID | None = None
    store: str | None = None
    code: str | None = None
    field: str | None = None
    expected: str | None = None


UNKNOWN_CUSTOMER: Final = "UNKNOWN_CUSTOMER"
TOO_SOON: Final = (UNKNOWN_CUSTOMER, "UNKNOWN_REFERENCE")
"""The codes of what may have come before what it is about."""
FORBIDDEN: Final = "FORBIDDEN"
"""The code of what its sender may not tell of; sent again by somebody else it is that still."""


def rejected(invalid: RequestInvalid, store: str | None) -> Outcome:
    """The outcome of a refusal, in words that hold no value."""
    field, expected = "subject", str(invalid)
    if isinstance(invalid, EventInvalid | InvalidNumber):
        field, expected = invalid.field, invalid.expected
    return Outcome(Status.REJECTED, None, store, invalid.code, field, expected)
