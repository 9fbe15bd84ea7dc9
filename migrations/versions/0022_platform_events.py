"""platform: an event is known by its id, in the whole store and for ever."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute

revision: str = "0022_platform_events"
down_revision: str | None = "0021_care_notices"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


# What was seen so far cannot be tagged without the keys of the store: `cdp.seen` does that, and drops the table.
SET_ASIDE = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM event_seen) THEN
        ALTER TABLE event_seen RENAME CONSTRAINT pk_event_seen TO pk_event_seen_before;
        ALTER TABLE event_seen RENAME TO event_seen_before;
    ELSE
        DROP TABLE event_seen;
    END IF;
END $$
"""


def upgrade() -> None:
    op.execute(SET_ASIDE)
    op.create_table(
        "event_seen",
        sa.Column("event_tag", sa.LargeBinary(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("owner_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("event_tag", name=op.f("pk_event_seen")),
    )
    distribute("event_seen", "event_tag")


def downgrade() -> None:
    op.drop_table("event_seen")
    op.execute("DROP TABLE IF EXISTS event_seen_before")
    op.create_table(
        "event_seen",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "at", "event_id", name=op.f("pk_event_seen")),
        postgresql_partition_by="RANGE (at)",
    )
    op.execute("CREATE TABLE event_seen_default PARTITION OF event_seen DEFAULT")
    distribute("event_seen", "customer_id")
