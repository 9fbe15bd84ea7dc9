"""Cases, the steps they took, and by when they are due."""

from sqlalchemy import Column, Index, Integer, Uuid
from sqlalchemy import text as sql

from cdp.tables import by_customer, instant, of_customer, reference, row_key, sealed, text, texts
from privacy.vocabulary import RetentionClass

SERVICE = RetentionClass.SERVICE

case_term = reference(
    "case_term", *texts("tier", "severity", primary_key=True), Column("minutes", Integer, nullable=False)
)
"""In how many minutes a customer of a tier must have an answer; the tier `*` is every other, and none."""

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
    Column("top_up_id", Uuid),
    *texts("offered_to", "cause_kind", "cause_key", "cause_text", "root_cause", nullable=True),
    instant("gone_at"),
    instant("told_at"),
    instant("closed_at"),
    of_customer(),
    Index(
        None,
        "customer_id",
        "cause_kind",
        "cause_key",
        unique=True,
        postgresql_where=sql("closed_at IS NULL"),
        info={"serves": "one open case for a cause, and no second one"},
    ),
)
"""A case that the platform opened has a cause: its kind, a key within it, what its text tells as JSON, and since when
it is gone. A case that a desk or another system opened has none.
"""

case_step = by_customer(
    "case_step",
    row_key("case_id"),
    row_key("step_id"),
    instant("at", nullable=False),
    *texts("step", "desk"),
    sealed("note", 170, "case.content", SERVICE, padded=True),
    of_customer(),
)
