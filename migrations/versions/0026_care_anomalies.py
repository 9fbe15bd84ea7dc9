"""care: products that were not as they should be."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute

revision: str = "0026_care_anomalies"
down_revision: str | None = "0025_billing_turns"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "service_anomaly",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("anomaly_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("cause_key", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("status_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("arrears_cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("relied_id", sa.Uuid(), nullable=True),
        sa.Column("relied_name", sa.Text(), nullable=True),
        sa.Column("relied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", "anomaly_id", name=op.f("pk_service_anomaly")),
    )
    distribute("service_anomaly", "customer_id")
    op.create_foreign_key(
        op.f("fk_service_anomaly_customer_id_customer"), "service_anomaly", "customer", ["customer_id"], ["customer_id"]
    )
    op.create_index(
        op.f("ix_service_anomaly_customer_id_product_id"),
        "service_anomaly",
        ["customer_id", "product_id"],
        unique=True,
        postgresql_where=sa.text("cleared_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("service_anomaly")
