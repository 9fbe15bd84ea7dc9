"""How usage changes: single records come in, and whole months where the source has added them up already."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field, StringConstraints

from cdp.changes import NEW, Add, Newest, Put
from cdp.context import Context
from cdp.errors import EventInvalid
from cdp.event import Event, Instant, Kind, Ref, Text
from cdp.numbers import PhoneNumber
from cdp.usage.tables import bucket, usage_correction, usage_month, usage_record
from cdp.values import USAGE_UNITS, to_usage_count

UsageType: TypeAlias = Literal["VOICE", "SMS", "DATA", "ROAMING"]
Month = Annotated[str, StringConstraints(strict=True, pattern=r"^(19[7-9]\d|20\d\d)-(0[1-9]|1[0-2])$")]
Count = Annotated[int, Field(ge=0, le=10**15)]

TOTALS: Final = {"VOICE": "voice_seconds", "SMS": "sms_count", "DATA": "data_bytes", "ROAMING": "roaming_bytes"}
NOTHING: Final = dict.fromkeys(TOTALS.values(), 0)
BASE_UNITS: Final = {"VOICE": "seconds", "SMS": "messages", "DATA": "bytes", "ROAMING": "bytes"}
RECEIVED: Final = "received"
ROW: Final = "usage"
ADD_UP = Add(tuple(TOTALS.values()))
RERATED = Newest(("usage_type", "quantity", "units", "waits"), "rerated_at")
LEFT = Newest(
    ("holding_id", "region", "usage_type", "units", "remaining", "is_shared", "valid_from", "valid_to"), "remaining_at"
)


class UsageRecorded(Event):
    """One call, message or data session."""

    usage_type: UsageType
    quantity: Ref
    units: Ref
    counterparty: Ref | None = None

    def apply(self, context: Context) -> list[Put]:
        count = _count(self.usage_type, self.quantity, self.units, "quantity")
        record = context.row_id(ROW, self.event_id)
        row = {
            "customer_id": context.customer_id,
            "at": self.at,
            "event_id": self.event_id,
            "record_id": record,
            "usage_type": self.usage_type,
            "quantity": count,
            "units": BASE_UNITS[self.usage_type],
            "status": RECEIVED,
            "region": self.region,
            "holding_id": context.holding_id,
            "counterparty": context.seal(usage_record.c.counterparty, self.counterparty, record),
        }
        month = date(self.at.year, self.at.month, 1)
        total = {"customer_id": context.customer_id, "month_on": month, "region": self.region, **NOTHING}
        total[TOTALS[self.usage_type]] = count
        return [Put(usage_record, row, NEW), Put(usage_month, total, ADD_UP)]


class UsageRerated(Event):
    """A record was wrong: this is what is counted instead, whether the record is here already or comes later."""

    record: Ref
    """The id of the event that reported it."""
    recorded_at: Instant
    """When it happened: a number is meant as of then."""
    usage_type: UsageType
    quantity: Ref
    units: Ref

    # It must not miss a record that is being written, nor the record miss it.
    alone: ClassVar[bool] = True

    @property
    def as_of(self) -> datetime:
        return self.recorded_at

    def apply(self, context: Context) -> list[Put]:
        if self.recorded_at > self.at:
            raise EventInvalid("recordedAt", "an instant that is not after the event")
        row = {
            "customer_id": context.customer_id,
            "record_id": context.row_id(ROW, self.record),
            "usage_type": self.usage_type,
            "quantity": _count(self.usage_type, self.quantity, self.units, "quantity"),
            "units": BASE_UNITS[self.usage_type],
            "rerated_at": self.at,
            "waits": True,
        }
        return [Put(usage_correction, row, RERATED)]


def _count(usage_type: UsageType, quantity: str, units: str, field: str) -> int:
    """A quantity in base units; raises EventInvalid for `field`, or for the units."""
    try:
        return to_usage_count(usage_type, quantity, units)
    except ValueError as refused:
        wrong = field if units in USAGE_UNITS[usage_type] else "units"
        raise EventInvalid(wrong, str(refused)) from None


class BucketReported(Event):
    """What is left of an allowance: of the subject, who pays for it, though others (`isShared`) may use it up."""

    bucket_ref: Ref
    usage_type: UsageType
    remaining: Ref
    units: Ref
    number: Text | None = None
    """The number of the subject's that it is for, in whatever role they hold it."""
    is_shared: bool = False
    valid_from: Instant | None = None
    valid_to: Instant | None = None

    def names(self) -> Sequence[tuple[Kind, str]]:
        return () if self.number is None else (("number", self.number),)

    def apply(self, context: Context) -> list[Put]:
        if self.valid_to is not None and (self.valid_from is None or self.valid_from >= self.valid_to):
            raise EventInvalid("validTo", "an instant after validFrom")
        e164 = None if self.number is None else PhoneNumber.parse(self.number, self.region).e164
        row = {
            "customer_id": context.customer_id,
            "bucket_id": context.row_id("bucket", self.bucket_ref),
            "bucket_ref": self.bucket_ref,
            "holding_id": None if e164 is None else context.held(e164, self.at),
            "region": self.region,
            "usage_type": self.usage_type,
            "units": BASE_UNITS[self.usage_type],
            "remaining": _count(self.usage_type, self.remaining, self.units, "remaining"),
            "is_shared": self.is_shared,
            "valid_from": self.valid_from,
            "valid_to": self.valid_to,
            "remaining_at": self.at,
        }
        return [Put(bucket, row, LEFT)]


class UsageSummarized(Event):
    """A month, or a part of it, added up by the source; it is added to what is there."""

    month: Month
    voice_seconds: Count = 0
    sms_count: Count = 0
    data_bytes: Count = 0
    roaming_bytes: Count = 0

    def apply(self, context: Context) -> list[Put]:
        row = {
            "customer_id": context.customer_id,
            "month_on": date(int(self.month[:4]), int(self.month[5:]), 1),
            "region": self.region,
            "voice_seconds": self.voice_seconds,
            "sms_count": self.sms_count,
            "data_bytes": self.data_bytes,
            "roaming_bytes": self.roaming_bytes,
        }
        return [Put(usage_month, row, ADD_UP)]


EVENTS: Final[tuple[type[Event], ...]] = (UsageRecorded, UsageRerated, UsageSummarized, BucketReported)
