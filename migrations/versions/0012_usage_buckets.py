"""usage: what is left of allowances."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute

revision: str = "0012_usage_buckets"
down_revision: str | None = "0011_identity_matching"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "bucket",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("bucket_id", sa.Uuid(), nullable=False),
        sa.Column("bucket_ref", sa.Text(), nullable=False),
        sa.Column("holding_id", sa.Uuid(), nullable=True),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("usage_type", sa.Text(), nullable=False),
        sa.Column("units", sa.Text(), nullable=False),
        sa.Column("remaining", sa.Numeric(), nullable=False),
        sa.Column("is_shared", sa.Boolean(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("remaining_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "bucket_id", name=op.f("pk_bucket")),
    )
    distribute("bucket", "customer_id")
    op.create_foreign_key(
        op.f("fk_bucket_customer_id_customer"), "bucket", "customer", ["customer_id"], ["customer_id"]
    )


def downgrade() -> None:
    op.drop_table("bucket")
