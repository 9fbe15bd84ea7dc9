"""What a customer agreed to, and the rows of the policy that decides by it."""

from sqlalchemy import Boolean, Column, ForeignKeyConstraint, Integer, LargeBinary, Table, Text, Uuid

from cdp.tables import BY_CUSTOMER, REFERENCE, customer_key, instant, metadata, row_key

# The rows of the policy, column by column as `privacy.rows` and `privacy.vocabulary` have them; a tuple is kept as
# JSON text.

purpose = Table(
    "purpose",
    metadata,
    Column("id", Text, primary_key=True),
    Column("parent", Text),
    Column("direct_marketing", Boolean, nullable=False),
    Column("automated_decision", Boolean, nullable=False),
    Column("necessary_for_service", Boolean, nullable=False),
    Column("description", Text, nullable=False),
    info=REFERENCE,
)

data_category = Table(
    "data_category",
    metadata,
    Column("id", Text, primary_key=True),
    Column("description", Text, nullable=False),
    info=REFERENCE,
)

sensitivity = Table(
    "sensitivity",
    metadata,
    Column("category", Text, primary_key=True),
    Column("jurisdiction", Text, primary_key=True),
    Column("sensitivity", Text, nullable=False),
    Column("version", Integer, nullable=False),
    info=REFERENCE,
)

notice = Table(
    "notice",
    metadata,
    Column("id", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("jurisdiction", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    instant("superseded_at"),
    info=REFERENCE,
)

basis = Table(
    "basis",
    metadata,
    Column("purpose", Text, primary_key=True),
    Column("category", Text, primary_key=True),
    Column("jurisdiction", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("assessment", Text, nullable=False),
    Column("version", Integer, nullable=False),
    info=REFERENCE,
)

transfer_basis = Table(
    "transfer_basis",
    metadata,
    Column("id", Text, primary_key=True),
    Column("origin", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("categories", Text, nullable=False),
    Column("onward", Boolean, nullable=False),
    Column("ref", Text, nullable=False),
    Column("cap", Integer),
    Column("used", Integer, nullable=False),
    instant("expires_at"),
    info=REFERENCE,
)

rule = Table(
    "rule",
    metadata,
    Column("id", Text, primary_key=True),
    Column("jurisdiction", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("sensitivity", Text),
    Column("recipients", Text, nullable=False),
    Column("bases", Text, nullable=False),
    Column("consent", Text),
    Column("law", Text, nullable=False),
    Column("cross_border", Boolean, nullable=False),
    Column("under_age", Integer),
    Column("names_recipient", Boolean, nullable=False),
    Column("masks", Text, nullable=False),
    Column("enforced", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    info=REFERENCE,
)

policy_version = Table(
    "policy_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    instant("loaded_at", nullable=False),
    info=REFERENCE,
)

consent_event = Table(
    "consent_event",
    metadata,
    customer_key(),
    row_key("consent_event_id"),
    Column("type", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("notice", Text),
    Column("collection_point", Text),
    Column("evidence_hash", LargeBinary),
    instant("expires_at"),
    Column("holding_id", Uuid),
    instant("happened_at", nullable=False),
    instant("recorded_at", nullable=False),
    ForeignKeyConstraint(["customer_id"], ["customer.customer_id"]),
    info=BY_CUSTOMER,
)

objection = Table(
    "objection",
    metadata,
    customer_key(),
    row_key("objection_id"),
    Column("kind", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("raised", Boolean, nullable=False),
    instant("happened_at", nullable=False),
    instant("recorded_at", nullable=False),
    ForeignKeyConstraint(["customer_id"], ["customer.customer_id"]),
    info=BY_CUSTOMER,
)
