"""platform: keys, events seen, outbox, dead letters, audit, documents."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute, reference

revision: str = "0001_platform"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    _create_store_key()
    _create_data_key()
    _create_event_seen()
    _create_outbox()
    _create_dead_letter()
    _create_audit_entry()
    _create_document()


def downgrade() -> None:
    op.drop_table("store_key")
    op.drop_table("outbox")
    op.drop_table("event_seen")
    op.drop_table("document")
    op.drop_table("dead_letter")
    op.drop_table("data_key")
    op.drop_table("audit_entry")


def _create_store_key() -> None:
    op.create_table(
        "store_key",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "epoch", name=op.f("pk_store_key")),
    )
    reference("store_key")


def _create_data_key() -> None:
    op.create_table(
        "data_key",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("retention", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "retention", "generation", name=op.f("pk_data_key")),
    )
    distribute("data_key", "customer_id")


def _create_event_seen() -> None:
    op.create_table(
        "event_seen",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "at", "event_id", name=op.f("pk_event_seen")),
        postgresql_partition_by="RANGE (at)",
    )
    op.execute("CREATE TABLE event_seen_default PARTITION OF event_seen DEFAULT")
    distribute("event_seen", "customer_id")


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("outbox_id", sa.Uuid(), nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "outbox_id", name=op.f("pk_outbox")),
    )
    distribute("outbox", "customer_id")
    op.create_index(op.f("ix_outbox_bucket_outbox_id"), "outbox", ["bucket", "outbox_id"], unique=False)


def _create_dead_letter() -> None:
    op.create_table(
        "dead_letter",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("body_tag", sa.LargeBinary(), nullable=False),
        sa.Column("dead_letter_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("expected", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "body_tag", "dead_letter_id", name=op.f("pk_dead_letter")),
    )
    distribute("dead_letter", "bucket")


def _create_audit_entry() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("worker", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("chain", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "entry_id", name=op.f("pk_audit_entry")),
    )
    distribute("audit_entry", "bucket")
    op.create_index(op.f("ix_audit_entry_worker_sequence"), "audit_entry", ["worker", "sequence"], unique=False)


def _create_document() -> None:
    op.create_table(
        "document",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_document")),
    )
    reference("document")
