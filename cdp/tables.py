"""What every domain's tables share: the metadata, the ways a table is spread, sealed columns, and the tables of the
platform itself.

`Table.info["dist"]` says how a table is spread over machines (`reference`, `by customer`, `by identifier`, `queue`)
and `Table.info["key"]` names the distribution column, which is first in the primary key. `Index.info["serves"]` names
the read an index is for.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import SchemaItem

from privacy.seal import CellType, SealedColumn
from privacy.vocabulary import RetentionClass

DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]  # the dialect is not typed
BUCKETS = 16
"""Queues are spread over this many buckets, so that several workers can empty one without meeting."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


views = MetaData()
"""What views show: their SQL is in the migrations. They are read like tables, and nothing is written to them."""


def view(name: str, *parts: SchemaItem) -> Table:
    """A view of customers' rows."""
    return Table(name, views, Column("customer_id", Uuid, primary_key=True, nullable=False), *parts)


def reference(name: str, *parts: SchemaItem) -> Table:
    """A table that every machine has whole."""
    return Table(name, metadata, *parts, info={"dist": "reference", "key": None})


def by_customer(name: str, *parts: SchemaItem, **options: Any) -> Table:
    """A table of customers' rows, kept where their customer is: `customer_id` is first in its key."""
    owner = Column("customer_id", Uuid, primary_key=True, nullable=False)
    return Table(name, metadata, owner, *parts, info={"dist": "by customer", "key": "customer_id"}, **options)


def by_identifier(name: str, key: str, *parts: SchemaItem) -> Table:
    """A table whose rows must be unique in the world by `key`, its first column."""
    column = Column(key, LargeBinary, primary_key=True)
    return Table(name, metadata, column, *parts, info={"dist": "by identifier", "key": key})


def queue(name: str, *parts: SchemaItem) -> Table:
    """A table whose rows several workers share by `bucket`, its first column."""
    bucket = Column("bucket", SmallInteger, primary_key=True, autoincrement=False)
    return Table(name, metadata, bucket, *parts, info={"dist": "queue", "key": "bucket"})


def of_customer() -> ForeignKeyConstraint:
    """Rows of a table by customer do not come before their customer's own."""
    return ForeignKeyConstraint(["customer_id"], ["customer.customer_id"])


def row_key(name: str) -> Column[Any]:
    """The row's own id, made by the writer before the INSERT."""
    return Column(name, Uuid, primary_key=True, nullable=False)


def text(name: str, *, nullable: bool = False, primary_key: bool = False) -> Column[Any]:
    """A text."""
    return Column(name, Text, nullable=nullable, primary_key=primary_key)


def texts(*names: str, nullable: bool = False, primary_key: bool = False) -> list[Column[Any]]:
    """Columns of text, alike but for their names."""
    return [text(name, nullable=nullable, primary_key=primary_key) for name in names]


def instant(name: str, *, nullable: bool = True, primary_key: bool = False) -> Column[Any]:
    """An instant in UTC."""
    return Column(name, DateTime(timezone=True), nullable=nullable and not primary_key, primary_key=primary_key)


def sealed(  # noqa: PLR0913 - everything a seal binds
    name: str,
    uid: int,
    category: str,
    retention: RetentionClass,
    cell_type: CellType = CellType.TEXT,
    *,
    padded: bool = False,
) -> Column[Any]:
    """A column whose cells are sealed. `uid` is bound into every cell and never used again, even when the column
    goes.
    """
    return Column(name, LargeBinary, info={"sealed": SealedColumn(uid, category, retention, cell_type, padded)})


def bound_to(table: Table) -> str:
    """The column whose value the cells of a row are bound to: the row's own id, which is not always in its key."""
    return "record_id" if "record_id" in table.columns else list(table.primary_key)[-1].name


store_key = reference(
    "store_key",
    text("kind", primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary, nullable=False),
    instant("settled_at"),
)
"""`settled_at`: since when an index root has made the tags of all rows; NULL while rows are moved to its tags."""

data_key = by_customer(
    "data_key",
    text("retention", primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)

event_seen = by_identifier(
    "event_seen",
    "event_tag",
    Column("body_hash", LargeBinary, nullable=False),
    Column("owner_hash", LargeBinary, nullable=False),
)

outbox = by_customer(
    "outbox",
    row_key("outbox_id"),
    Column("bucket", SmallInteger, nullable=False),
    *texts("event_type", "event_id"),
    instant("at", nullable=False),
    instant("recorded_at", nullable=False),
    Column("written", BigInteger, nullable=False),
    Column("case_id", Uuid),
    Index(None, "bucket", "written", "outbox_id", info={"serves": "the next entries of a bucket after a position"}),
)

dead_letter = queue(
    "dead_letter",
    Column("body_tag", LargeBinary, primary_key=True),
    row_key("dead_letter_id"),
    *texts("source", "reason", "field", "expected"),
    sealed("body", 90, "interaction.content", RetentionClass.SERVICE, CellType.JSON, padded=True),
    instant("first_at", nullable=False),
    instant("last_at", nullable=False),
    Column("seen", BigInteger, nullable=False),
    # By whom it says it is, where that can be read: an erasure takes along what was refused.
    Column("subject_tag", LargeBinary),
    # What the record is called, where it says so: one that is corrected and goes in takes its letters along.
    Column("record_tag", LargeBinary),
    # When it is looked at by itself; none: it waits for an officer.
    instant("due_at"),
    text("subject_kind", nullable=True),  # of its tag
    Index(None, "subject_tag", "last_at", info={"serves": "the records of one who is erased, or known at last"}),
    Index(None, "due_at", postgresql_where=sql("due_at IS NOT NULL"), info={"serves": "those that came too soon"}),
    Index(None, "record_tag", info={"serves": "the letters of a record that goes in at last"}),
    Index(None, "first_at", "dead_letter_id", info={"serves": "the letters of a store page by page, newest first"}),
)

file_load = reference(
    "file_load",
    Column("file_tag", LargeBinary, primary_key=True),
    Column("records", BigInteger, nullable=False),
    text("counts"),
    text("rejects"),
    Column("rejects_bytes", BigInteger, nullable=False),
    instant("at", nullable=False),
)
"""How far the loading of a file has come that has not ended: by the hash of file, mapping and region."""

audit_entry = queue(
    "audit_entry",
    row_key("entry_id"),
    Column("worker", Uuid, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    instant("recorded_at", nullable=False),
    Column("entry", LargeBinary, nullable=False),
    Column("chain", LargeBinary, nullable=False),
    Index(None, "worker", "sequence", info={"serves": "walking one worker's chain when the log is verified"}),
)

# The tree over the entries. Few rows change with each step of it, all of them in one bucket: a step is one transaction
# in one place.

audit_tree = queue("audit_tree", Column("size", BigInteger, nullable=False))

audit_chain = queue("audit_chain", row_key("worker"), Column("sequenced", BigInteger, nullable=False))

audit_segment = queue(
    "audit_segment",
    Column("first_index", BigInteger, primary_key=True, autoincrement=False),
    Column("worker", Uuid, nullable=False),
    Column("first_sequence", BigInteger, nullable=False),
    Column("entries", Integer, nullable=False),
    Index(None, "bucket", "worker", "first_sequence", info={"serves": "finding the place of an entry in the tree"}),
)

audit_tile = queue(
    "audit_tile",
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)

audit_checkpoint = queue(
    "audit_checkpoint",
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    text("signed"),
    Column("cosigned", SmallInteger, nullable=False),
    instant("made_at", nullable=False),
)

document = reference(
    "document",
    Column("sha256", LargeBinary, primary_key=True),
    *texts("source", "name"),
    instant("registered_at", nullable=False),
)

webhook_endpoint = reference(
    "webhook_endpoint",
    Column("endpoint_id", Uuid, primary_key=True),
    *texts("url", "client", "legal_entity", "recipient_class", "purpose"),
    Column("document", LargeBinary, nullable=False),
    Column("stores", postgresql.ARRAY(Text), nullable=False),
    Column("event_types", postgresql.ARRAY(Text), nullable=False),
    *texts("secret", "state"),
    instant("since", nullable=False),
    text("reason", nullable=True),
)
"""`secret` is sealed by the cursor key; `since` and `reason` are of the state."""

webhook_position = queue(
    "webhook_position",
    Column("endpoint_id", Uuid, primary_key=True),
    Column("written", BigInteger, nullable=False),
    Column("outbox_id", Uuid, nullable=False),
    Column("sent", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("failed", Integer, nullable=False),
    instant("failing_since"),
    instant("due_at", nullable=False),
    Column("lease", Uuid),
    instant("leased_until", nullable=False),
)
"""`skipped` were not sent, because the recipient may see nothing of them. Who has the `lease` tells; nobody else does
before it ends.
"""


write_key = reference(
    "write_key",
    Column("key_hash", LargeBinary, primary_key=True),
    *texts("client", "region", "channel"),
    Column("per_second", Integer, nullable=False),
    Column("per_day", BigInteger),
    instant("made_at", nullable=False),
    instant("revoked_at"),
)
"""What a client of ours sends events by; `per_day` is NULL where it may send as many as it likes."""

write_count = reference(
    "write_count",
    text("client", primary_key=True),
    Column("day", Date, primary_key=True),
    Column("events", BigInteger, nullable=False),
)
"""How many events a client with a quota sent on a day (UTC)."""

sent_message = by_identifier("sent_message", "message_tag", instant("at", nullable=False))
"""When a message happened, as it was understood when it first came: a retry brings another clock with it."""


def written_out(rows: Select[Any]) -> str:
    """A statement as text with its constants written out; what each run gives stands in it as `$1`, `$2` ..."""
    return str(rows.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True}))
