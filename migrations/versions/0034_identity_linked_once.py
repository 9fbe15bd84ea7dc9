"""identity: customers who are merged have one link to another store together."""

from collections.abc import Sequence

from alembic import op

revision: str = "0034_identity_linked_once"
down_revision: str | None = "0033_billing_anomalies"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.execute("INSERT INTO identifier_limit (kind, most) VALUES ('link', 1)")


def downgrade() -> None:
    op.execute("DELETE FROM identifier_limit WHERE kind = 'link'")
