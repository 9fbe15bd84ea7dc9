"""What a customer used, as it is asked for."""

from enum import StrEnum

import strawberry

from cdp.usage.reads import data_megabytes, roaming_megabytes, voice_minutes
from cdp.usage.tables import usage_month, usage_record
from schema.fields import PROFILE, column, part, personal, plain, record, word
from schema.words import Instant, Month, PageInfo, Region, month_text

SUMMARY = personal("usage.summary", purposes=PROFILE)
RECORD = personal("usage.record")
WHEN = plain("one of twelve months a year, the same for everyone")


@strawberry.enum(description="What kind of use was made of the network.")
class UsageType(StrEnum):
    VOICE = "VOICE"
    SMS = "SMS"
    DATA = "DATA"
    ROAMING = "ROAMING"


@strawberry.enum(description="How far a usage record has come on its way to the bill.")
class UsageStatus(StrEnum):
    received = "received"
    rejected = "rejected"
    rated = "rated"
    rerated = "rerated"
    billed = "billed"


@record(usage_month, usage_month.c.month_on)
class UsageMonth:
    """What was used in one month in one region."""

    month: Month = column(usage_month.c.month_on, WHEN, "The month.", month_text)
    region: Region | None = column(usage_month.c.region, SUMMARY, "The region whose account it was used on.")
    voice_minutes: int | None = column(voice_minutes, SUMMARY, "Minutes of calls, begun minutes counted whole.")
    sms_count: int | None = column(usage_month.c.sms_count, SUMMARY, "Messages sent.")
    data_megabytes: int | None = column(
        data_megabytes, SUMMARY, "Megabytes (1,048,576 bytes), begun ones counted whole."
    )
    roaming_megabytes: int | None = column(roaming_megabytes, SUMMARY, "Megabytes used while roaming.")


@record(usage_record, usage_record.c.record_id)
class Usage:
    """One usage record, as the network reported it."""

    usage_date: Instant | None = column(usage_record.c.at, RECORD, "When it happened.")
    usage_type: UsageType | None = column(usage_record.c.usage_type, RECORD, "What kind of use it was.")
    quantity: str | None = column(usage_record.c.quantity, RECORD, "How much, a decimal number as text.")
    units: str | None = column(usage_record.c.units, RECORD, "What the quantity counts.")
    status: UsageStatus | None = column(usage_record.c.status, RECORD, "How far it has come.")
    region: Region | None = column(usage_record.c.region, RECORD, "Where it was used.")
    counterparty: str | None = column(
        usage_record.c.counterparty, personal("usage.counterparty"), "The other number of a call or message."
    )


@part
class UsageEdge:
    """A usage record in a page."""

    node: Usage = word("The record.")
    cursor: str = word("Where to go on after it.")


@part
class UsageConnection:
    """A page of usage records."""

    edges: list[UsageEdge] = word("The records of the page, newest first.")
    page_info: PageInfo = word("Where the page begins and ends.")
