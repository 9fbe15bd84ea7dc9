"""What was said between a customer and the operator, in any channel."""

from sqlalchemy import Index

from cdp.tables import by_customer, instant, of_customer, row_key, sealed, texts
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
