"""platform: the outbox is a log, in the order in which its transactions are settled."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0019_platform_log"
down_revision: str | None = "0018_billing_catalogue"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    # What is there was written by transactions that have ended: nobody reads it yet, and it comes first.
    op.add_column("outbox", sa.Column("written", sa.BigInteger(), server_default="0", nullable=False))
    op.alter_column("outbox", "written", server_default=None)
    op.add_column("outbox", sa.Column("case_id", sa.Uuid(), nullable=True))
    op.drop_index(op.f("ix_outbox_bucket_outbox_id"), table_name="outbox")
    op.create_index(op.f("ix_outbox_bucket_written_outbox_id"), "outbox", ["bucket", "written", "outbox_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_outbox_bucket_written_outbox_id"), table_name="outbox")
    op.create_index(op.f("ix_outbox_bucket_outbox_id"), "outbox", ["bucket", "outbox_id"])
    op.drop_column("outbox", "case_id")
    op.drop_column("outbox", "written")
