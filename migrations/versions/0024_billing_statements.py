"""billing: what a bill asks for, and is made of, each time that was stated."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0024_billing_statements"
down_revision: str | None = "0023_usage_corrections"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# One row a line is left, as it was stated last.
SUPERSEDED = """
DELETE FROM bill_line AS l USING bill AS b
WHERE b.customer_id = l.customer_id AND b.bill_id = l.bill_id AND l.statement_id IS DISTINCT FROM b.statement_id
"""
# What a bill is made of, by cause: of its lines, those of the statement that counts.
BILL_CAUSE = """
CREATE OR REPLACE VIEW bill_cause AS
SELECT customer_id, bill_id, cause, sum(amount_minor)::bigint AS amount_minor FROM (
    SELECT l.customer_id, l.bill_id, l.amount_minor,
           coalesce(k.cause, CASE WHEN l.amount_minor < 0 THEN 'DISCOUNT' ELSE 'OTHER' END) AS cause
    FROM bill_line l {joined} LEFT JOIN charge_kind k ON k.kind = l.kind
    UNION ALL
    SELECT b.customer_id, b.bill_id, b.amount_due_minor - coalesce((
               SELECT sum(l.amount_minor) FROM bill_line l
               WHERE l.customer_id = b.customer_id AND l.bill_id = b.bill_id {counted}
           ), 0), 'OTHER'
    FROM bill b WHERE b.amount_due_minor IS NOT NULL
) AS part GROUP BY customer_id, bill_id, cause HAVING sum(amount_minor) <> 0
"""
JOINED = (
    """JOIN bill s ON s.customer_id = l.customer_id AND s.bill_id = l.bill_id AND s.statement_id = l.statement_id"""
)
COUNTED = "AND l.statement_id = b.statement_id"


def upgrade() -> None:
    op.add_column("bill", sa.Column("statement_id", sa.Uuid(), nullable=True))
    op.add_column("bill", sa.Column("stated_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE bill SET stated_at = issued_at, statement_id = bill_id WHERE issued_at IS NOT NULL")
    op.add_column("bill_line", sa.Column("statement_id", sa.Uuid(), nullable=True))
    op.execute("UPDATE bill_line SET statement_id = bill_id")
    op.alter_column("bill_line", "statement_id", nullable=False)
    _key("customer_id", "bill_id", "line_no", "statement_id")
    op.execute(BILL_CAUSE.format(joined=JOINED, counted=COUNTED))


def downgrade() -> None:
    op.execute(BILL_CAUSE.format(joined="", counted=""))
    op.execute(SUPERSEDED)
    _key("customer_id", "bill_id", "line_no")
    op.drop_column("bill_line", "statement_id")
    op.drop_column("bill", "stated_at")
    op.drop_column("bill", "statement_id")


def _key(*columns: str) -> None:
    op.drop_constraint("pk_bill_line", "bill_line")
    op.create_primary_key("pk_bill_line", "bill_line", list(columns))
