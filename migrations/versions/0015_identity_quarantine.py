"""identity: how long a released number is kept back, by jurisdiction."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import reference

revision: str = "0015_identity_quarantine"
down_revision: str | None = "0014_rights_requests"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

DAYS = {"CN": 90, "*": 90}


def upgrade() -> None:
    table = op.create_table(
        "quarantine_term",
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("jurisdiction", name=op.f("pk_quarantine_term")),
    )
    reference("quarantine_term")
    op.bulk_insert(table, [{"jurisdiction": where, "days": days} for where, days in DAYS.items()])


def downgrade() -> None:
    op.drop_table("quarantine_term")
