"""usage: records in monthly partitions, and months."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute

revision: str = "0004_usage"
down_revision: str | None = "0003_consent"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    _create_usage_record()
    _create_usage_month()


def downgrade() -> None:
    op.drop_table("usage_record")
    op.drop_table("usage_month")


def _create_usage_record() -> None:
    op.create_table(
        "usage_record",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("usage_type", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.Column("units", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("holding_id", sa.Uuid(), nullable=True),
        sa.Column("counterparty", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", "at", "event_id", name=op.f("pk_usage_record")),
        postgresql_partition_by="RANGE (at)",
    )
    op.execute("CREATE TABLE usage_record_default PARTITION OF usage_record DEFAULT")
    distribute("usage_record", "customer_id")


def _create_usage_month() -> None:
    op.create_table(
        "usage_month",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("month_on", sa.Date(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("voice_seconds", sa.BigInteger(), nullable=False),
        sa.Column("sms_count", sa.BigInteger(), nullable=False),
        sa.Column("data_bytes", sa.BigInteger(), nullable=False),
        sa.Column("roaming_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "month_on", "region", name=op.f("pk_usage_month")),
    )
    distribute("usage_month", "customer_id")
