"""What a customer used, as it is asked for."""

from enum import StrEnum

import strawberry

from cdp.usage.reads import data_megabytes, roaming_megabytes, runs_out_on, voice_minutes
from cdp.usage.tables import bucket, usage_day, usage_month, usage_record
from schema.fields import PROFILE, column, part, personal, plain, record, word
from schema.words import Day, Instant, Month, PageInfo, Quantity, Region, TimePeriod, month_text, period, quantity

SUMMARY = personal("usage.summary", purposes=PROFILE)
RECORD = personal("usage.record")
BUCKET = personal("usage.summary")
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


@record(usage_day, usage_day.c.day_on)
class UsageDay:
    """What was used on one day (UTC, as months are) in one region, of one type; roaming is a type of its own."""

    day: Day | None = column(usage_day.c.day_on, RECORD, "The day.")
    region: Region | None = column(usage_day.c.region, RECORD, "Where it was used.")
    usage_type: UsageType | None = column(usage_day.c.usage_type, RECORD, "What kind of use it was.")
    quantity: Quantity | None = quantity(usage_day.c.quantity, usage_day.c.units, RECORD, "How much in all.")
    records: int | None = column(usage_day.c.records, RECORD, "In how many calls, messages or sessions.")


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


@record(bucket, bucket.c.bucket_id)
class Bucket:
    """What is left of an allowance. A shared one is a thing of whoever pays for it, not of those who use it up."""

    bucket_ref: str | None = column(bucket.c.bucket_ref, BUCKET, "Its reference.")
    usage_type: UsageType | None = column(bucket.c.usage_type, BUCKET, "What it can be used for.")
    remaining_value: Quantity | None = quantity(
        bucket.c.remaining, bucket.c.units, BUCKET, "What is left, as it was last reported."
    )
    remaining_at: Instant | None = column(bucket.c.remaining_at, BUCKET, "When that was reported.")
    valid_for: TimePeriod | None = period(
        bucket.c.valid_from, bucket.c.valid_to, BUCKET, "While it can be used; null where that is not known."
    )
    runs_out_on: Day | None = column(
        runs_out_on,
        BUCKET,
        "The day it runs out if it is used as in the 14 days before it was reported; null where it lasts to its end, is"
        " not used, or is used by others too.",
    )
    is_shared: bool | None = column(bucket.c.is_shared, BUCKET, "Whether several numbers use it up.")
    region: Region | None = column(bucket.c.region, BUCKET, "Where it was reported.")


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
