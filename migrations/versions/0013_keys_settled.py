"""keys: since when an index root has made the tags of all rows."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0013_keys_settled"
down_revision: str | None = "0012_usage_buckets"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("store_key", sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE store_key SET settled_at = now()")


def downgrade() -> None:
    op.drop_column("store_key", "settled_at")
