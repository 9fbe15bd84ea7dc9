"""Who a customer is, which numbers they hold when, and where else they are known."""

from sqlalchemy import ARRAY, Boolean, Column, Double, ForeignKeyConstraint, Index, Integer, LargeBinary, Uuid
from sqlalchemy import text as literal
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint

from cdp.tables import by_customer, by_identifier, instant, of_customer, queue, reference, row_key, sealed, text, texts
from privacy.blind import Index as BlindIndex
from privacy.seal import CellType
from privacy.vocabulary import RetentionClass

IDENTITY = RetentionClass.IDENTITY

customer = by_customer(
    "customer",
    *texts("region", "kind", "state"),
    instant("registered_at", nullable=False),
    sealed("formatted_name", 1, "identity.name", IDENTITY, padded=True),
    sealed("birth_date", 2, "identity.birth", IDENTITY, CellType.DATE),
    text("gender", nullable=True),
    Column("is_minor", Boolean, nullable=False),
    sealed("email", 3, "contact.email", IDENTITY),
    sealed("address", 4, "contact.address", IDENTITY, padded=True),
    instant("profile_at", nullable=False),
    text("status"),
    instant("status_at", nullable=False),
    text("tier"),
    instant("tier_at", nullable=False),
    Column("cluster", ARRAY(Uuid)),
    instant("cluster_since"),
    instant("named_at"),
    instant("email_at"),
    Index(None, "region", "customer_id", info={"serves": "customers(where: {region}) page by page"}),
)

# `cluster` holds the ids of all who were merged into one person, this row's own among them, the leader first; it is
# NULL where nobody was. `cluster_since` is when the last of them came. A name and an e-mail address are told by others
# than the profile's source too: `named_at` and `email_at` say when they were.

customer_region = by_customer("customer_region", text("region", primary_key=True))

merge_edge = by_customer(
    "merge_edge",
    row_key("other_id"),
    text("state"),
    instant("state_at", nullable=False),
    of_customer(),
)
"""Who was merged with whom, kept on both sides; `clusters` makes clusters of it."""

identification = by_customer(
    "identification",
    row_key("identification_id"),
    text("document_type"),
    sealed("document_number", 5, "identity.document", IDENTITY, padded=True),
    text("issuing_region"),
    instant("valid_from"),
    instant("valid_to"),
    Column("document_tag", LargeBinary),
    of_customer(),
)

identifier_limit = reference(
    "identifier_limit", text("kind", primary_key=True), Column("most", Integer, nullable=False)
)
"""How much of a kind (identifiers, links to one store) the customers that are merged into one may have together; more,
and a person looks.
"""

blocked_identifier = reference(
    "blocked_identifier",
    Column("tag", LargeBinary, primary_key=True),
    text("kind"),
    instant("blocked_at", nullable=False),
)
"""Identifiers that many people were written down with, and so tell nobody from anybody; only their tags are kept."""

match_proposal = by_customer(
    "match_proposal",
    row_key("other_id"),
    text("region"),
    text("rule", nullable=True),
    Column("score", Double),
    Column("components", JSONB, nullable=False),
    instant("found_at", nullable=False),
    of_customer(),
    Index(None, "region", info={"serves": "mergeProposals(region) and its replacement by the next run"}),
    Index(None, "other_id", info={"serves": "the proposals that name an erased customer"}),
)
"""Records that may be one person's, for a steward to look at: by which rule, and how likely by what they say."""

honey = by_customer("honey", instant("marked_at", nullable=False), of_customer())
"""Customers who are nobody, whom no client has a reason to open."""

suspended_client = reference("suspended_client", text("client", primary_key=True), instant("since", nullable=False))
"""The clients that opened one of them, and get no answers until that is lifted."""

sim = by_customer("sim", row_key("sim_id"), sealed("iccid", 6, "number.sim", IDENTITY), of_customer())

number_holding = by_customer(
    "number_holding",
    row_key("holding_id"),
    sealed("number", 7, "contact.number", IDENTITY),
    text("region"),
    *texts("issuer", "serving_operator", nullable=True),
    text("role"),
    Column("sim_id", Uuid),
    text("state"),
    instant("state_at", nullable=False),
    instant("valid_from", nullable=False),
    instant("valid_to"),
    instant("recorded_from", nullable=False),
    instant("recorded_to"),
    instant("described_at", nullable=False),
    of_customer(),
    ForeignKeyConstraint(["customer_id", "sim_id"], ["sim.customer_id", "sim.sim_id"]),
)

number_holding_past = by_customer(
    "number_holding_past",
    row_key("holding_id"),
    instant("recorded_from", primary_key=True),
    instant("recorded_to", nullable=False),
    Column("sim_id", Uuid),
    text("state"),
    instant("state_at", nullable=False),
    instant("valid_to"),
    of_customer(),
)
"""What was believed of a holding before, and from when to when."""

known_number = by_identifier(
    "known_number",
    "number_tag",
    text("region"),
    text("serving_operator", nullable=True),
    instant("served_at"),
    instant("free_since"),
)
"""Every number that was ever held here: whoever changes its life takes its row first."""

number_fact = by_identifier(
    "number_fact",
    "number_tag",
    instant("at", primary_key=True),
    text("event_id", primary_key=True),
    text("kind", primary_key=True),
    Column("customer_id", Uuid),
    text("role", nullable=True),
    Column("row_id", Uuid),
    Index(None, "customer_id", info={"serves": "the numbers that an erased customer ever had to do with"}),
)
"""All that was ever said of numbers; `timeline` makes lives of it."""

number_index = by_identifier(
    "number_index",
    "number_tag",
    text("role", primary_key=True),
    instant("valid_from", primary_key=True),
    row_key("holding_id"),
    Column("customer_id", Uuid, nullable=False),
    instant("valid_to"),
    # Checked at the commit: a number's life is written span by span.
    ExcludeConstraint(
        ("number_tag", "="),
        ("role", "="),
        (literal("tstzrange(valid_from, valid_to)"), "&&"),
        name="one_holder_at_a_time",
        deferrable=True,
        initially="DEFERRED",
    ),
    Index(None, "customer_id", info={"serves": "taking an erased customer out of the index"}),
)

quarantine_term = reference(
    "quarantine_term", text("jurisdiction", primary_key=True), Column("days", Integer, nullable=False)
)
"""How many days a number that was released is kept back before it may be somebody else's; `*` is everywhere else."""

number_segment = reference(
    "number_segment",
    Column("first_prefix", Integer, primary_key=True, autoincrement=False),
    Column("last_prefix", Integer, nullable=False),
    *texts("region", "city", "issuer"),
)
"""Where mainland mobiles are from: each row is a run of prefixes of seven digits that have all else alike."""

identifier_index = by_identifier(
    "identifier_index",
    "identifier_tag",
    text("kind", primary_key=True),
    Column("customer_id", Uuid, nullable=False),
    Index(None, "customer_id", info={"serves": "taking an erased customer out of the index"}),
)

link = by_customer(
    "link",
    Column("token", LargeBinary, primary_key=True),
    text("other_store"),
    Column("leads", Boolean, nullable=False),
    text("state"),
    instant("state_at", nullable=False),
    of_customer(),
    Index(
        "ix_link_one_stands",
        "customer_id",
        "other_store",
        unique=True,
        postgresql_where=literal("state = 'ACTIVE'"),
        info={"serves": "the link of a customer to another store, of which one stands at a time"},
    ),
)

link_index = by_identifier(
    "link_index",
    "token",
    Column("customer_id", Uuid, nullable=False),
    Index(None, "customer_id", info={"serves": "taking an erased customer out of the index"}),
)

link_proposal = by_identifier(
    "link_proposal",
    "token",
    Column("customer_id", Uuid),
    text("other_store"),
    instant("proposed_at", nullable=False),
    Column("code_hash", LargeBinary),
    Column("tries", Integer, nullable=False),
    Index(None, "customer_id", "proposed_at", info={"serves": "what was proposed lately to, or for, a customer"}),
    Index(None, "proposed_at", info={"serves": "what is too old to be kept"}),
)
"""One side of a link that was proposed: no customer where nobody is asked, a code until it is used, on the side that
proposed.
"""

link_intent = queue(
    "link_intent",
    Column("token", LargeBinary, primary_key=True),
    text("other_store"),
    text("state"),
    instant("at", nullable=False),
    Column("attempts", Integer, nullable=False),
    instant("due_at", nullable=False),
    Index(None, "bucket", "due_at", info={"serves": "the links that are to be carried to both sides next"}),
)
"""What both sides of a link are to become, in the store where that was decided, until both are."""

NUMBER_INDEX = BlindIndex(uid=7, name="number", version=1)
IDENTIFIER_INDEXES = {
    "customerKey": BlindIndex(uid=100, name="customerKey", version=1),
    "accountNo": BlindIndex(uid=30, name="accountNo", version=1),
    "email": BlindIndex(uid=3, name="email", version=1),
    "document": BlindIndex(uid=5, name="document", version=1),
}
"""By the kind of identifier in `identifier_index`; a customer key has no column, but a uid of its own."""
CODE_INDEX = BlindIndex(uid=103, name="linkCode", version=1)
"""The keyed hash of a one-time code, together with the token it is for."""
