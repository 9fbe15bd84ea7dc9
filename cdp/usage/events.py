"""How usage changes: single records come in, and whole months where the source has added them up already."""

from datetime import date
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, StringConstraints

from cdp.changes import NEW, Add, Put
from cdp.context import Context
from cdp.errors import EventInvalid
from cdp.event import Event, Ref
from cdp.usage.tables import usage_month, usage_record
from cdp.values import USAGE_UNITS, to_usage_count

UsageType: TypeAlias = Literal["VOICE", "SMS", "DATA", "ROAMING"]
Month = Annotated[str, StringConstraints(strict=True, pattern=r"^(19[7-9]\d|20\d\d)-(0[1-9]|1[0-2])$")]
Count = Annotated[int, Field(ge=0, le=10**15)]

TOTALS: Final = {"VOICE": "voice_seconds", "SMS": "sms_count", "DATA": "data_bytes", "ROAMING": "roaming_bytes"}
NOTHING: Final = dict.fromkeys(TOTALS.values(), 0)
BASE_UNITS: Final = {"VOICE": "seconds", "SMS": "messages", "DATA": "bytes", "ROAMING": "bytes"}
ADD_UP = Add(tuple(TOTALS.values()))


class UsageRecorded(Event):
    """One call, message or data session."""

    usage_type: UsageType
    quantity: Ref
    units: Ref
    counterparty: Ref | None = None

    def apply(self, context: Context) -> list[Put]:
        try:
            count = to_usage_count(self.usage_type, self.quantity, self.units)
        except ValueError as refused:
            field = "quantity" if self.units in USAGE_UNITS[self.usage_type] else "units"
            raise EventInvalid(field, str(refused)) from None
        record = context.row_id("usage", self.event_id)
        row = {
            "customer_id": context.customer_id,
            "at": self.at,
            "event_id": self.event_id,
            "record_id": record,
            "usage_type": self.usage_type,
            "quantity": count,
            "units": BASE_UNITS[self.usage_type],
            "status": "received",
            "region": self.region,
            "holding_id": context.holding_id,
            "counterparty": context.seal(usage_record.c.counterparty, self.counterparty, record),
        }
        month = {"customer_id": context.customer_id, "month_on": self.at.date().replace(day=1), "region": self.region}
        total = month | NOTHING | {TOTALS[self.usage_type]: count}
        return [Put(usage_record, row, NEW), Put(usage_month, total, ADD_UP)]


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


EVENTS: Final[tuple[type[Event], ...]] = (UsageRecorded, UsageSummarized)
