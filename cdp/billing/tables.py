"""What a customer holds, owes, pays and tops up."""

from typing import Any

from sqlalchemy import BigInteger, Column, Date, ForeignKeyConstraint, Index, Integer, Table, Text, Uuid

from cdp.tables import BY_CUSTOMER, REFERENCE, customer_key, instant, metadata, row_key, sealed
from privacy.vocabulary import RetentionClass

SERVICE = RetentionClass.SERVICE


def owned_by_customer() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["customer_id"], ["customer.customer_id"])


def money(name: str, *, nullable: bool = True) -> Column[Any]:
    """Money in minor units of the row's currency."""
    return Column(f"{name}_minor", BigInteger, nullable=nullable)


tariff = Table(
    "tariff",
    metadata,
    Column("tariff_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("rating_type", Text, nullable=False),
    money("monthly_fee", nullable=False),
    Column("currency", Text, nullable=False),
    Column("voice_minutes", Integer),
    Column("sms_count", Integer),
    Column("data_megabytes", Integer),
    info=REFERENCE,
)

account = Table(
    "account",
    metadata,
    customer_key(),
    row_key("account_id"),
    sealed("account_no", 30, "billing.account", SERVICE),
    Column("region", Text, nullable=False),
    Column("rating_type", Text, nullable=False),
    Column("currency", Text, nullable=False),
    instant("opened_at", nullable=False),
    money("credit_limit"),
    Column("payment_status", Text, nullable=False),
    instant("payment_status_at", nullable=False),
    money("balance"),
    instant("balance_at"),
    owned_by_customer(),
    info=BY_CUSTOMER,
)

product = Table(
    "product",
    metadata,
    customer_key(),
    row_key("product_id"),
    Column("product_ref", Text, nullable=False),
    Column("name", Text),
    Column("kind", Text),
    Column("region", Text),
    Column("tariff_id", Text),
    Column("start_on", Date),
    Column("term_end_on", Date),
    instant("described_at"),
    Column("status", Text),
    Column("status_reason", Text),
    instant("status_at"),
    owned_by_customer(),
    info=BY_CUSTOMER,
)

product_reliance = Table(
    "product_reliance",
    metadata,
    customer_key(),
    row_key("product_id"),
    row_key("relies_on_id"),
    info=BY_CUSTOMER,
)

bill = Table(
    "bill",
    metadata,
    customer_key(),
    row_key("bill_id"),
    Column("bill_no", Text, nullable=False),
    Column("account_id", Uuid),
    Column("region", Text),
    Column("bill_on", Date),
    Column("period_start_on", Date),
    Column("period_end_on", Date),
    money("amount_due"),
    Column("currency", Text),
    instant("issued_at"),
    money("paid", nullable=False),
    owned_by_customer(),
    Index(None, "customer_id", "bill_on", info={"serves": "a customer's newest bills"}),
    info=BY_CUSTOMER,
)

bill_line = Table(
    "bill_line",
    metadata,
    customer_key(),
    row_key("bill_id"),
    Column("line_no", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("description", Text, nullable=False),
    money("amount", nullable=False),
    Column("currency", Text, nullable=False),
    info=BY_CUSTOMER,
)

payment = Table(
    "payment",
    metadata,
    customer_key(),
    row_key("payment_id"),
    Column("account_id", Uuid),
    Column("bill_id", Uuid),
    money("amount", nullable=False),
    Column("currency", Text, nullable=False),
    Column("method", Text, nullable=False),
    instant("paid_at", nullable=False),
    owned_by_customer(),
    info=BY_CUSTOMER,
)

top_up = Table(
    "top_up",
    metadata,
    customer_key(),
    row_key("top_up_id"),
    Column("top_up_ref", Text, nullable=False),
    Column("region", Text),
    sealed("number", 31, "contact.number", SERVICE),
    money("amount"),
    Column("currency", Text),
    Column("channel", Text),
    instant("requested_at"),
    instant("confirmed_at"),
    Column("posted_account_id", Uuid),
    instant("posted_at"),
    instant("failed_at"),
    owned_by_customer(),
    info=BY_CUSTOMER,
)
