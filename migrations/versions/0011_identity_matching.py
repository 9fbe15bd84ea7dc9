"""identity: values that identify nobody, and records that may be one person's."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.distribution import distribute, reference

revision: str = "0011_identity_matching"
down_revision: str | None = "0010_identity_clusters"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "blocked_identifier",
        sa.Column("tag", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tag", name=op.f("pk_blocked_identifier")),
    )
    reference("blocked_identifier")
    op.create_table(
        "match_proposal",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("other_id", sa.Uuid(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("components", postgresql.JSONB(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "other_id", name=op.f("pk_match_proposal")),
    )
    distribute("match_proposal", "customer_id")
    op.create_foreign_key(
        op.f("fk_match_proposal_customer_id_customer"), "match_proposal", "customer", ["customer_id"], ["customer_id"]
    )
    op.create_index(op.f("ix_match_proposal_region"), "match_proposal", ["region"])


def downgrade() -> None:
    op.drop_table("match_proposal")
    op.drop_table("blocked_identifier")
