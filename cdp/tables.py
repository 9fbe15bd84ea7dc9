"""What every domain's tables share: the metadata, the ways a table is spread, sealed columns, and the tables of the
platform itself.

`Table.info["dist"]` says how a table is spread over machines (`reference`, `by customer`, `by identifier`, `queue`)
and `Table.info["key"]` names the distribution column, which is first in the primary key. `Index.info["serves"]` names
the read an index is for.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
)

from privacy.seal import CellType, SealedColumn
from privacy.vocabulary import RetentionClass

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

REFERENCE: dict[str, Any] = {"dist": "reference", "key": None}
BY_CUSTOMER: dict[str, Any] = {"dist": "by customer", "key": "customer_id"}
QUEUE: dict[str, Any] = {"dist": "queue", "key": "bucket"}


def by_identifier(key: str) -> dict[str, Any]:
    """The spread of a table whose rows must be unique in the world by `key`."""
    return {"dist": "by identifier", "key": key}


def customer_key() -> Column[Any]:
    """The owner of the row: the distribution column of every table by customer."""
    return Column("customer_id", Uuid, primary_key=True, nullable=False)


def row_key(name: str) -> Column[Any]:
    """The row's own id, made by the writer before the INSERT."""
    return Column(name, Uuid, primary_key=True, nullable=False)


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


store_key = Table(
    "store_key",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary, nullable=False),
    info=REFERENCE,
)

data_key = Table(
    "data_key",
    metadata,
    customer_key(),
    Column("retention", Text, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    info=BY_CUSTOMER,
)

event_seen = Table(
    "event_seen",
    metadata,
    customer_key(),
    instant("at", primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("body_hash", LargeBinary, nullable=False),
    info=BY_CUSTOMER,
    postgresql_partition_by="RANGE (at)",
)

outbox = Table(
    "outbox",
    metadata,
    customer_key(),
    row_key("outbox_id"),
    Column("bucket", SmallInteger, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    instant("at", nullable=False),
    instant("recorded_at", nullable=False),
    Index(None, "bucket", "outbox_id", info={"serves": "the worker's next events of one bucket, oldest first"}),
    info=BY_CUSTOMER,
)

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("bucket", SmallInteger, primary_key=True, autoincrement=False),
    Column("body_tag", LargeBinary, primary_key=True),
    row_key("dead_letter_id"),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("expected", Text, nullable=False),
    sealed("body", 90, "interaction.content", RetentionClass.SERVICE, CellType.JSON, padded=True),
    instant("first_at", nullable=False),
    instant("last_at", nullable=False),
    Column("seen", BigInteger, nullable=False),
    info=QUEUE,
)

audit_entry = Table(
    "audit_entry",
    metadata,
    Column("bucket", SmallInteger, primary_key=True, autoincrement=False),
    row_key("entry_id"),
    Column("worker", Uuid, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    instant("recorded_at", nullable=False),
    Column("entry", LargeBinary, nullable=False),
    Column("chain", LargeBinary, nullable=False),
    Index(None, "worker", "sequence", info={"serves": "walking one worker's chain when the log is verified"}),
    info=QUEUE,
)

document = Table(
    "document",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("source", Text, nullable=False),
    Column("name", Text, nullable=False),
    instant("registered_at", nullable=False),
    info=REFERENCE,
)
