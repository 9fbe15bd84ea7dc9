"""billing: all that was said of whether a product works, what should be, and since when."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute, reference

revision: str = "0025_billing_turns"
down_revision: str | None = "0024_billing_statements"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

REASONS = {
    "ARREARS": "PAYMENT",
    "LOST": "RELIANCE",
    "RELIANCE": "RELIANCE",
    "REQUEST": "ITSELF",
    "FRAUD": "ITSELF",
    "*": "ITSELF",
}
MINUTES = {"LINE": 10, "MESSAGING": 15, "*": 30}
# Of what was said before only the last is known.
TURNS = """
INSERT INTO product_turn (customer_id, product_id, at, status, reason)
SELECT customer_id, product_id, status_at, status, coalesce(status_reason, '') FROM product WHERE status_at IS NOT NULL
"""


def upgrade() -> None:
    op.add_column("product", sa.Column("expected_status", sa.Text(), nullable=True))
    op.add_column("product", sa.Column("expected_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("product", sa.Column("behind_id", sa.Uuid(), nullable=True))
    op.create_index(
        op.f("ix_product_customer_id_product_id"),
        "product",
        ["customer_id", "product_id"],
        postgresql_where=sa.text("expected_status <> status"),
    )
    op.create_index(
        op.f("ix_product_customer_id"),
        "product",
        ["customer_id"],
        postgresql_where=sa.text("expected_status IS NULL AND status IN ('active', 'suspended')"),
    )
    op.create_table(
        "product_turn",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "product_id", "at", "status", "reason", name=op.f("pk_product_turn")),
    )
    distribute("product_turn", "customer_id")
    op.execute(TURNS)
    _create_terms()


def _create_terms() -> None:
    reasons = op.create_table(
        "suspension_reason",
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ends_with", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("reason", name=op.f("pk_suspension_reason")),
    )
    terms = op.create_table(
        "service_term",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_service_term")),
    )
    reference("suspension_reason")
    reference("service_term")
    op.bulk_insert(reasons, [{"reason": reason, "ends_with": ends} for reason, ends in REASONS.items()])
    op.bulk_insert(terms, [{"kind": kind, "minutes": minutes} for kind, minutes in MINUTES.items()])


def downgrade() -> None:
    for table in ("service_term", "suspension_reason", "product_turn"):
        op.drop_table(table)
    op.drop_index(op.f("ix_product_customer_id"), table_name="product")
    op.drop_index(op.f("ix_product_customer_id_product_id"), table_name="product")
    for name in ("expected_status", "expected_at", "behind_id"):
        op.drop_column("product", name)
