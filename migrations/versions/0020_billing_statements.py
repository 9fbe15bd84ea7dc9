"""billing: what a bill asks for, and is made of, each time that was stated."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0020_billing_statements"
down_revision: str | None = "0019_usage_corrections"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# One row a line is left, as it was stated last.
SUPERSEDED = """
DELETE FROM bill_line AS l USING bill AS b
WHERE b.customer_id = l.customer_id AND b.bill_id = l.bill_id AND l.statement_id IS DISTINCT FROM b.statement_id
"""


def upgrade() -> None:
    op.add_column("bill", sa.Column("statement_id", sa.Uuid(), nullable=True))
    op.add_column("bill", sa.Column("stated_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE bill SET stated_at = issued_at, statement_id = bill_id WHERE issued_at IS NOT NULL")
    op.add_column("bill_line", sa.Column("statement_id", sa.Uuid(), nullable=True))
    op.execute("UPDATE bill_line SET statement_id = bill_id")
    op.alter_column("bill_line", "statement_id", nullable=False)
    _key("customer_id", "bill_id", "line_no", "statement_id")


def downgrade() -> None:
    op.execute(SUPERSEDED)
    _key("customer_id", "bill_id", "line_no")
    op.drop_column("bill_line", "statement_id")
    op.drop_column("bill", "stated_at")
    op.drop_column("bill", "statement_id")


def _key(*columns: str) -> None:
    op.drop_constraint("pk_bill_line", "bill_line")
    op.create_primary_key("pk_bill_line", "bill_line", list(columns))
