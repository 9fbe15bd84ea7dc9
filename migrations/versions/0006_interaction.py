"""interaction: interactions and cases."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute

revision: str = "0006_interaction"
down_revision: str | None = "0005_billing"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    _create_interaction()
    _create_case()
    op.create_foreign_key(
        op.f("fk_interaction_customer_id_customer"), "interaction", "customer", ["customer_id"], ["customer_id"]
    )
    op.create_foreign_key(op.f("fk_case_customer_id_customer"), "case", "customer", ["customer_id"], ["customer_id"])


def downgrade() -> None:
    op.drop_table("interaction")
    op.drop_table("case")


def _create_interaction() -> None:
    op.create_table(
        "interaction",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("interaction_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", "interaction_id", name=op.f("pk_interaction")),
    )
    distribute("interaction", "customer_id")
    op.create_index(op.f("ix_interaction_customer_id_at"), "interaction", ["customer_id", "at"], unique=False)


def _create_case() -> None:
    op.create_table(
        "case",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("case_ref", sa.Text(), nullable=False),
        sa.Column("ticket_type", sa.Text(), nullable=True),
        sa.Column("severity", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("description", sa.LargeBinary(), nullable=True),
        sa.Column("product_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("status_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", "case_id", name=op.f("pk_case")),
    )
    distribute("case", "customer_id")
