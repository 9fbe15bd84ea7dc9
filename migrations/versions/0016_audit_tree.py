"""audit: the tree over the entries, and what customers said that is not among them yet."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute

revision: str = "0016_audit_tree"
down_revision: str | None = "0015_identity_quarantine"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# What was written before there was a tree is its beginning.
CHAINS = "INSERT INTO audit_chain (bucket, worker, sequenced) SELECT DISTINCT 0, worker, 0 FROM audit_entry"
WORDS = """
INSERT INTO unlogged_word (customer_id, row_id, kind)
SELECT customer_id, consent_event_id, 'consent' FROM consent_event
UNION ALL SELECT customer_id, objection_id, 'objection' FROM objection
"""


def upgrade() -> None:
    _create("audit_tree", _number("size"), key=())
    _create("audit_chain", sa.Column("worker", sa.Uuid(), nullable=False), _number("sequenced"), key=("worker",))
    _create(
        "audit_segment",
        _number("first_index"),
        sa.Column("worker", sa.Uuid(), nullable=False),
        _number("first_sequence"),
        sa.Column("entries", sa.Integer(), nullable=False),
        key=("first_index",),
    )
    op.create_index(
        op.f("ix_audit_segment_bucket_worker_first_sequence"), "audit_segment", ["bucket", "worker", "first_sequence"]
    )
    _create(
        "audit_tile",
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        _number("place"),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        key=("level", "place"),
    )
    _create(
        "audit_checkpoint",
        _number("size"),
        sa.Column("signed", sa.Text(), nullable=False),
        sa.Column("cosigned", sa.SmallInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        key=("size",),
    )
    _create_unlogged_word()
    op.execute(CHAINS)
    op.execute(WORDS)


def downgrade() -> None:
    for table in ("unlogged_word", "audit_checkpoint", "audit_tile", "audit_segment", "audit_chain", "audit_tree"):
        op.drop_table(table)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False)


def _create(table: str, *columns: sa.Column[Any], key: tuple[str, ...]) -> None:
    bucket = sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False)
    op.create_table(table, bucket, *columns, sa.PrimaryKeyConstraint("bucket", *key, name=op.f(f"pk_{table}")))
    distribute(table, "bucket")


def _create_unlogged_word() -> None:
    op.create_table(
        "unlogged_word",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("row_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "row_id", name=op.f("pk_unlogged_word")),
    )
    distribute("unlogged_word", "customer_id")
