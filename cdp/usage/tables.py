"""What a customer used: records as they came, and their months; what they have left to use."""

from sqlalchemy import BigInteger, Boolean, Column, Date, Index, Integer, Numeric, Uuid
from sqlalchemy import text as literal

from cdp.tables import by_customer, instant, of_customer, row_key, sealed, text, texts, view
from privacy.vocabulary import RetentionClass

usage_record = by_customer(
    "usage_record",
    instant("at", primary_key=True),
    text("event_id", primary_key=True),
    Column("record_id", Uuid, nullable=False),
    text("usage_type"),
    Column("quantity", Numeric, nullable=False),
    *texts("units", "status", "region"),
    Column("holding_id", Uuid),
    sealed("counterparty", 20, "usage.counterparty", RetentionClass.USAGE),
    postgresql_partition_by="RANGE (at)",
)

usage_correction = by_customer(
    "usage_correction",
    row_key("record_id"),
    text("usage_type"),
    Column("quantity", Numeric, nullable=False),
    text("units"),
    instant("rerated_at", nullable=False),
    Column("waits", Boolean, nullable=False),
    of_customer(),
    Index(
        "ix_usage_correction_waits",
        "customer_id",
        postgresql_where=literal("waits"),
        info={"serves": "the corrections whose record is not there yet, or not corrected yet"},
    ),
)
"""What was said last of a record after it was reported; it `waits` until the record says so too."""

bucket = by_customer(
    "bucket",
    row_key("bucket_id"),
    text("bucket_ref"),
    Column("holding_id", Uuid),
    *texts("region", "usage_type", "units"),
    Column("remaining", Numeric, nullable=False),
    Column("is_shared", Boolean, nullable=False),
    instant("valid_from"),
    instant("valid_to"),
    instant("remaining_at", nullable=False),
    of_customer(),
)

usage_month = by_customer(
    "usage_month",
    Column("month_on", Date, primary_key=True),
    text("region", primary_key=True),
    Column("voice_seconds", BigInteger, nullable=False),
    Column("sms_count", BigInteger, nullable=False),
    Column("data_bytes", BigInteger, nullable=False),
    Column("roaming_bytes", BigInteger, nullable=False),
)

usage_day = view(
    "usage_day",
    Column("day_on", Date, primary_key=True),
    *texts("region", "usage_type", "units", primary_key=True),
    Column("quantity", Numeric),
    Column("records", Integer),
)
