"""Who a customer is, which numbers they hold when, and where else they are known."""

from sqlalchemy import Boolean, Column, ForeignKeyConstraint, Index, LargeBinary, Table, Text, Uuid

from cdp.tables import BY_CUSTOMER, by_identifier, customer_key, instant, metadata, row_key, sealed
from privacy.blind import Index as BlindIndex
from privacy.seal import CellType
from privacy.vocabulary import RetentionClass

IDENTITY = RetentionClass.IDENTITY

customer = Table(
    "customer",
    metadata,
    customer_key(),
    Column("region", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    instant("registered_at", nullable=False),
    sealed("formatted_name", 1, "identity.name", IDENTITY, padded=True),
    sealed("birth_date", 2, "identity.birth", IDENTITY, CellType.DATE),
    Column("gender", Text),
    Column("is_minor", Boolean, nullable=False),
    sealed("email", 3, "contact.email", IDENTITY),
    sealed("address", 4, "contact.address", IDENTITY, padded=True),
    instant("profile_at", nullable=False),
    Column("status", Text, nullable=False),
    instant("status_at", nullable=False),
    Column("tier", Text, nullable=False),
    instant("tier_at", nullable=False),
    Index(None, "region", "customer_id", info={"serves": "customers(where: {region}) page by page"}),
    info=BY_CUSTOMER,
)

customer_region = Table(
    "customer_region",
    metadata,
    customer_key(),
    Column("region", Text, primary_key=True),
    info=BY_CUSTOMER,
)

identification = Table(
    "identification",
    metadata,
    customer_key(),
    row_key("identification_id"),
    Column("document_type", Text, nullable=False),
    sealed("document_number", 5, "identity.document", IDENTITY, padded=True),
    Column("issuing_region", Text, nullable=False),
    instant("valid_from"),
    instant("valid_to"),
    ForeignKeyConstraint(["customer_id"], ["customer.customer_id"]),
    info=BY_CUSTOMER,
)

sim = Table(
    "sim",
    metadata,
    customer_key(),
    row_key("sim_id"),
    sealed("iccid", 6, "number.sim", IDENTITY),
    ForeignKeyConstraint(["customer_id"], ["customer.customer_id"]),
    info=BY_CUSTOMER,
)

number_holding = Table(
    "number_holding",
    metadata,
    customer_key(),
    row_key("holding_id"),
    sealed("number", 7, "contact.number", IDENTITY),
    Column("region", Text, nullable=False),
    Column("issuer", Text),
    Column("serving_operator", Text),
    Column("role", Text, nullable=False),
    Column("sim_id", Uuid),
    Column("state", Text, nullable=False),
    instant("state_at", nullable=False),
    instant("valid_from", nullable=False),
    instant("valid_to"),
    instant("recorded_from", nullable=False),
    instant("recorded_to"),
    ForeignKeyConstraint(["customer_id"], ["customer.customer_id"]),
    ForeignKeyConstraint(["customer_id", "sim_id"], ["sim.customer_id", "sim.sim_id"]),
    info=BY_CUSTOMER,
)

number_index = Table(
    "number_index",
    metadata,
    Column("number_tag", LargeBinary, primary_key=True),
    row_key("holding_id"),
    Column("customer_id", Uuid, nullable=False),
    Column("role", Text, nullable=False),
    instant("valid_from", nullable=False),
    instant("valid_to"),
    info=by_identifier("number_tag"),
)

identifier_index = Table(
    "identifier_index",
    metadata,
    Column("identifier_tag", LargeBinary, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("customer_id", Uuid, nullable=False),
    info=by_identifier("identifier_tag"),
)

link = Table(
    "link",
    metadata,
    customer_key(),
    Column("token", LargeBinary, primary_key=True),
    Column("other_store", Text, nullable=False),
    Column("leads", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    instant("state_at", nullable=False),
    ForeignKeyConstraint(["customer_id"], ["customer.customer_id"]),
    info=BY_CUSTOMER,
)

link_index = Table(
    "link_index",
    metadata,
    Column("token", LargeBinary, primary_key=True),
    Column("customer_id", Uuid, nullable=False),
    info=by_identifier("token"),
)

NUMBER_INDEX = BlindIndex(uid=7, name="number", version=1)
IDENTIFIER_INDEXES = {
    "customerKey": BlindIndex(uid=100, name="customerKey", version=1),
    "accountNo": BlindIndex(uid=30, name="accountNo", version=1),
    "email": BlindIndex(uid=3, name="email", version=1),
    "document": BlindIndex(uid=5, name="document", version=1),
}
"""By the kind of identifier in `identifier_index`; a customer key has no column, but a uid of its own."""
