"""billing: of a bill counts what was paid in its own currency."""

from collections.abc import Sequence

from alembic import op

revision: str = "0036_billing_paid"
down_revision: str | None = "0035_billing_kept"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

COUNT = """
UPDATE bill AS b SET paid_minor = (
    SELECT coalesce(sum(p.amount_minor), 0)::bigint FROM payment AS p
    WHERE p.customer_id = b.customer_id AND p.bill_id = b.bill_id AND p.currency = b.currency)
WHERE EXISTS (
    SELECT FROM payment AS p
    WHERE p.customer_id = b.customer_id AND p.bill_id = b.bill_id AND p.currency != b.currency)
"""


def upgrade() -> None:
    op.execute(COUNT)


def downgrade() -> None:
    """What was counted wrongly is not counted wrongly again."""
