"""Cases, the steps they took, and by when they are due."""

from sqlalchemy import BigInteger, Column, Index, Integer, Uuid
from sqlalchemy import text as sql

from cdp.tables import by_customer, instant, of_customer, queue, reference, row_key, sealed, text, texts
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

care_term = reference(
    "care_term",
    text("kind", primary_key=True),
    Column("days", Integer, nullable=False),
    Column("percent", Integer, nullable=False),
    Column("minor", BigInteger, nullable=False),
)
"""When a customer is to hear of something: so many days before or after it, from so much on (percent, minor units)."""

contact_policy = reference(
    "contact_policy",
    text("jurisdiction", primary_key=True),
    text("time_zone"),
    Column("quiet_from_hour", Integer, nullable=False),
    Column("quiet_to_hour", Integer, nullable=False),
    Column("marketing_a_year", Integer, nullable=False),
)
"""When nobody is disturbed, in hours of the time zone (IANA), and how often one hears of offers in 365 days."""

care_notice = by_customer(
    "care_notice",
    row_key("notice_id"),
    *texts("kind"),
    *texts("region", nullable=True),
    *texts("told", "state"),
    instant("state_at", nullable=False),
    text("reason", nullable=True),
    instant("made_at", nullable=False),
    instant("due_at", nullable=False),
    Column("tries", Integer, nullable=False),
    of_customer(),
    Index(
        None,
        "due_at",
        postgresql_where=sql("state = 'WAITING'"),
        info={"serves": "the notices that are to be sent next"},
    ),
)
"""`told` is what its text tells, as JSON. WAITING -> SENT, WITHHELD (for a `reason`) or FAILED, when it is too late."""

care_position = queue(
    "care_position",
    Column("written", BigInteger, nullable=False),
    Column("outbox_id", Uuid, nullable=False),
)
"""How far the outbox has been looked at for what customers should hear of."""
