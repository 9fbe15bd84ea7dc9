"""What a customer agreed to, and the rows of the policy that decides by it."""

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Uuid

from cdp.tables import by_customer, instant, of_customer, reference, row_key, text, texts

# The rows of the policy, column by column as `privacy.rows` and `privacy.vocabulary` have them; a tuple is kept as
# JSON text.

purpose = reference(
    "purpose",
    text("id", primary_key=True),
    text("parent", nullable=True),
    Column("direct_marketing", Boolean, nullable=False),
    Column("automated_decision", Boolean, nullable=False),
    Column("necessary_for_service", Boolean, nullable=False),
    text("description"),
)

data_category = reference("data_category", text("id", primary_key=True), text("description"))

sensitivity = reference(
    "sensitivity",
    *texts("category", "jurisdiction", primary_key=True),
    text("sensitivity"),
    Column("version", Integer, nullable=False),
)

notice = reference(
    "notice",
    text("id", primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    *texts("jurisdiction", "language", "sha256", "scopes"),
    instant("superseded_at"),
)

basis = reference(
    "basis",
    *texts("purpose", "category", "jurisdiction", "kind", primary_key=True),
    text("assessment"),
    Column("version", Integer, nullable=False),
)

transfer_basis = reference(
    "transfer_basis",
    text("id", primary_key=True),
    *texts("origin", "destination", "kind", "categories"),
    Column("onward", Boolean, nullable=False),
    text("ref"),
    Column("cap", Integer),
    Column("used", Integer, nullable=False),
    instant("expires_at"),
)

rule = reference(
    "rule",
    text("id", primary_key=True),
    *texts("jurisdiction", "purpose"),
    text("sensitivity", nullable=True),
    *texts("recipients", "bases"),
    text("consent", nullable=True),
    text("law"),
    Column("cross_border", Boolean, nullable=False),
    Column("under_age", Integer),
    Column("names_recipient", Boolean, nullable=False),
    text("masks"),
    Column("enforced", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
)

policy_version = reference(
    "policy_version",
    Column("version", Integer, primary_key=True, autoincrement=False),
    instant("loaded_at", nullable=False),
    text("content", nullable=True),
)
"""Every version that was ever loaded; `content` has the rows of one that was replaced, so that what was decided by it
can be decided again.
"""

transfer_crossing = by_customer(
    "transfer_crossing",
    text("basis", primary_key=True),
    Column("year", Integer, primary_key=True, autoincrement=False),
    instant("first_at", nullable=False),
    of_customer(),
    Index(None, "basis", "year", info={"serves": "how many customers crossed over a basis in a year"}),
)

consent_event = by_customer(
    "consent_event",
    row_key("consent_event_id"),
    *texts("type", "kind", "actor", "purpose", "category", "channel", "recipient", "destination"),
    *texts("notice", "collection_point", nullable=True),
    Column("evidence_hash", LargeBinary),
    instant("expires_at"),
    Column("holding_id", Uuid),
    instant("happened_at", nullable=False),
    instant("recorded_at", nullable=False),
    of_customer(),
)

objection = by_customer(
    "objection",
    row_key("objection_id"),
    *texts("kind", "scope"),
    Column("raised", Boolean, nullable=False),
    instant("happened_at", nullable=False),
    instant("recorded_at", nullable=False),
    of_customer(),
)

# What a customer said that is not in the audit trail yet: it comes with the row it is about, and goes when it is.
unlogged_word = by_customer("unlogged_word", row_key("row_id"), text("kind"))
