"""consent: every version of the policy kept; who crossed a border over which transfer basis."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute

revision: str = "0017_consent_officer"
down_revision: str | None = "0016_audit_tree"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("policy_version", sa.Column("content", sa.Text(), nullable=True))
    op.create_table(
        "transfer_crossing",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "basis", "year", name=op.f("pk_transfer_crossing")),
    )
    distribute("transfer_crossing", "customer_id")
    op.create_foreign_key(
        op.f("fk_transfer_crossing_customer_id_customer"),
        "transfer_crossing",
        "customer",
        ["customer_id"],
        ["customer_id"],
    )
    op.create_index(op.f("ix_transfer_crossing_basis_year"), "transfer_crossing", ["basis", "year"], unique=False)


def downgrade() -> None:
    op.drop_table("transfer_crossing")
    op.drop_column("policy_version", "content")
