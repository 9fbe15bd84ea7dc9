"""usage: records that were corrected."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute

revision: str = "0023_usage_corrections"
down_revision: str | None = "0022_platform_events"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "usage_correction",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("usage_type", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.Column("units", sa.Text(), nullable=False),
        sa.Column("rerated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("waits", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "record_id", name=op.f("pk_usage_correction")),
    )
    distribute("usage_correction", "customer_id")
    op.create_foreign_key(
        op.f("fk_usage_correction_customer_id_customer"),
        "usage_correction",
        "customer",
        ["customer_id"],
        ["customer_id"],
    )
    op.create_index(
        "ix_usage_correction_waits",
        "usage_correction",
        ["customer_id"],
        unique=False,
        postgresql_where=sa.text("waits"),
    )


def downgrade() -> None:
    op.drop_table("usage_correction")
