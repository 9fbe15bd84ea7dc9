"""What was said between a customer and the operator, in any channel, and the cases that came of it."""

from sqlalchemy import Column, Index, Uuid

from cdp.tables import by_customer, instant, of_customer, row_key, sealed, text, texts
from privacy.vocabulary import RetentionClass

SERVICE = RetentionClass.SERVICE

interaction = by_customer(
    "interaction",
    row_key("interaction_id"),
    instant("at", nullable=False),
    *texts("channel", "direction", "reason", "region"),
    sealed("note", 40, "interaction.content", SERVICE, padded=True),
    of_customer(),
    Index(None, "customer_id", "at", info={"serves": "a customer's newest interactions"}),
)

case = by_customer(
    "case",
    row_key("case_id"),
    text("case_ref"),
    *texts("ticket_type", "severity", "region", "channel", "owner", nullable=True),
    instant("opened_at"),
    instant("due_at"),
    sealed("description", 41, "case.content", SERVICE, padded=True),
    Column("product_id", Uuid),
    text("status", nullable=True),
    instant("status_at"),
    of_customer(),
)
