"""What was said between a customer and the operator, in any channel, and the cases that came of it."""

from sqlalchemy import Column, ForeignKeyConstraint, Index, Table, Text, Uuid

from cdp.tables import BY_CUSTOMER, customer_key, instant, metadata, row_key, sealed
from privacy.vocabulary import RetentionClass

SERVICE = RetentionClass.SERVICE

interaction = Table(
    "interaction",
    metadata,
    customer_key(),
    row_key("interaction_id"),
    instant("at", nullable=False),
    Column("channel", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("region", Text, nullable=False),
    sealed("note", 40, "interaction.content", SERVICE, padded=True),
    ForeignKeyConstraint(["customer_id"], ["customer.customer_id"]),
    Index(None, "customer_id", "at", info={"serves": "a customer's newest interactions"}),
    info=BY_CUSTOMER,
)

case = Table(
    "case",
    metadata,
    customer_key(),
    row_key("case_id"),
    Column("case_ref", Text, nullable=False),
    Column("ticket_type", Text),
    Column("severity", Text),
    Column("region", Text),
    Column("channel", Text),
    Column("owner", Text),
    instant("opened_at"),
    instant("due_at"),
    sealed("description", 41, "case.content", SERVICE, padded=True),
    Column("product_id", Uuid),
    Column("status", Text),
    instant("status_at"),
    ForeignKeyConstraint(["customer_id"], ["customer.customer_id"]),
    info=BY_CUSTOMER,
)
