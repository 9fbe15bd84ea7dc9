"""identity: a name and an e-mail address have instants of their own, as others than the profile's source tell them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0032_identity_described"
down_revision: str | None = "0031_platform_intake"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    for name in ("named_at", "email_at"):
        op.add_column("customer", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE customer SET named_at = profile_at, email_at = profile_at")


def downgrade() -> None:
    for name in ("email_at", "named_at"):
        op.drop_column("customer", name)
