"""What a customer used: records as they came, and their months."""

from sqlalchemy import BigInteger, Column, Date, Numeric, Table, Text, Uuid

from cdp.tables import BY_CUSTOMER, customer_key, instant, metadata, sealed
from privacy.vocabulary import RetentionClass

usage_record = Table(
    "usage_record",
    metadata,
    customer_key(),
    instant("at", primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("record_id", Uuid, nullable=False),
    Column("usage_type", Text, nullable=False),
    Column("quantity", Numeric, nullable=False),
    Column("units", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("holding_id", Uuid),
    sealed("counterparty", 20, "usage.counterparty", RetentionClass.USAGE),
    info=BY_CUSTOMER,
    postgresql_partition_by="RANGE (at)",
)

usage_month = Table(
    "usage_month",
    metadata,
    customer_key(),
    Column("month_on", Date, primary_key=True),
    Column("region", Text, primary_key=True),
    Column("voice_seconds", BigInteger, nullable=False),
    Column("sms_count", BigInteger, nullable=False),
    Column("data_bytes", BigInteger, nullable=False),
    Column("roaming_bytes", BigInteger, nullable=False),
    info=BY_CUSTOMER,
)
