"""identity: customers who are one person, joined by edges, their cluster flat on each one's row."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.distribution import distribute, reference

revision: str = "0010_identity_clusters"
down_revision: str | None = "0009_identity_linking"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

LIMITS = {"NATIONAL_ID": 1, "number": 5, "any": 100, "member": 16}


def upgrade() -> None:
    op.add_column("customer", sa.Column("cluster", postgresql.ARRAY(sa.Uuid()), nullable=True))
    op.add_column("customer", sa.Column("cluster_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("identification", sa.Column("document_tag", sa.LargeBinary(), nullable=True))
    _create_merge_edge()
    table = op.create_table(
        "identifier_limit",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("most", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_identifier_limit")),
    )
    reference("identifier_limit")
    op.bulk_insert(table, [{"kind": kind, "most": most} for kind, most in LIMITS.items()])


def downgrade() -> None:
    op.drop_table("identifier_limit")
    op.drop_table("merge_edge")
    op.drop_column("identification", "document_tag")
    op.drop_column("customer", "cluster_since")
    op.drop_column("customer", "cluster")


def _create_merge_edge() -> None:
    op.create_table(
        "merge_edge",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("other_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "other_id", name=op.f("pk_merge_edge")),
    )
    distribute("merge_edge", "customer_id")
    op.create_foreign_key(
        op.f("fk_merge_edge_customer_id_customer"), "merge_edge", "customer", ["customer_id"], ["customer_id"]
    )
