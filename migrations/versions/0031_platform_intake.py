"""platform: write keys and what is counted by them; when messages happened that may be sent again."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute, reference

revision: str = "0031_platform_intake"
down_revision: str | None = "0030_platform_webhooks"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "write_key",
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("per_second", sa.Integer(), nullable=False),
        sa.Column("per_day", sa.BigInteger(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_write_key")),
    )
    reference("write_key")
    op.create_table(
        "write_count",
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("client", "day", name=op.f("pk_write_count")),
    )
    reference("write_count")
    op.create_table(
        "sent_message",
        sa.Column("message_tag", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("message_tag", name=op.f("pk_sent_message")),
    )
    distribute("sent_message", "message_tag")


def downgrade() -> None:
    for table in ("sent_message", "write_count", "write_key"):
        op.drop_table(table)
