"""billing: top-ups that went astray, and by when they must be posted."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute, reference

revision: str = "0033_billing_anomalies"
down_revision: str | None = "0032_identity_described"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

WITHIN_SECONDS = 3600


def upgrade() -> None:
    term = op.create_table(
        "top_up_term",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "region", name=op.f("pk_top_up_term")),
    )
    reference("top_up_term")
    op.bulk_insert(term, [{"channel": "*", "region": "*", "seconds": WITHIN_SECONDS}])
    _create_anomaly()


def downgrade() -> None:
    op.drop_table("money_anomaly")
    op.drop_table("top_up_term")


def _create_anomaly() -> None:
    op.create_table(
        "money_anomaly",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("anomaly_id", sa.Uuid(), nullable=False),
        sa.Column("top_up_id", sa.Uuid(), nullable=False),
        sa.Column("top_up_ref", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("region", "owner", "posted_to", "posted_region")),
        sa.Column("posted_minor", sa.BigInteger(), nullable=True),
        sa.Column("posted_currency", sa.Text(), nullable=True),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("take_minor", sa.BigInteger(), nullable=True),
        sa.Column("take_currency", sa.Text(), nullable=True),
        sa.Column("give_minor", sa.BigInteger(), nullable=True),
        sa.Column("give_currency", sa.Text(), nullable=True),
        sa.Column("give_account_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", "anomaly_id", name=op.f("pk_money_anomaly")),
    )
    distribute("money_anomaly", "customer_id")
    op.create_foreign_key(
        op.f("fk_money_anomaly_customer_id_customer"), "money_anomaly", "customer", ["customer_id"], ["customer_id"]
    )
    op.create_index(
        op.f("ix_money_anomaly_customer_id_top_up_id"), "money_anomaly", ["customer_id", "top_up_id"], unique=False
    )
    op.create_index(op.f("ix_money_anomaly_state"), "money_anomaly", ["state"], unique=False)
