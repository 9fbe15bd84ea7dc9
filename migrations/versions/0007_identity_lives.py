"""identity: the lives of numbers, of which the database forbids two holders at one time."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute

revision: str = "0007_identity_lives"
down_revision: str | None = "0006_interaction"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# What is known already becomes what was said: a beginning for each holding, and its end.
BEGINNINGS = """
INSERT INTO number_fact (number_tag, at, event_id, kind, customer_id, role, row_id)
SELECT number_tag, valid_from, holding_id::text, 'BEGAN', customer_id, role, holding_id FROM number_index
"""
ENDS = """
INSERT INTO number_fact (number_tag, at, event_id, kind, customer_id)
SELECT number_tag, valid_to, holding_id::text, 'RELEASED', customer_id FROM number_index WHERE valid_to IS NOT NULL
"""
CARDS = """
INSERT INTO number_fact (number_tag, at, event_id, kind, customer_id, row_id)
SELECT i.number_tag, i.valid_from, i.holding_id::text, 'CARD', i.customer_id, h.sim_id
FROM number_index i JOIN number_holding h ON h.customer_id = i.customer_id AND h.holding_id = i.holding_id
WHERE h.sim_id IS NOT NULL
"""
NUMBERS = """
INSERT INTO known_number (number_tag, region)
SELECT i.number_tag, min(h.region)
FROM number_index i JOIN number_holding h ON h.customer_id = i.customer_id AND h.holding_id = i.holding_id
GROUP BY i.number_tag
"""
# One holder at a time: whoever came next ended what was before.
NEXT = """
UPDATE number_index AS old SET valid_to = following.valid_from
FROM (SELECT number_tag, holding_id,
             lead(valid_from) OVER (PARTITION BY number_tag, role ORDER BY valid_from, holding_id) AS valid_from
      FROM number_index) AS following
WHERE old.number_tag = following.number_tag AND old.holding_id = following.holding_id
  AND following.valid_from < coalesce(old.valid_to, 'infinity')
"""
ONE_HOLDER = """
ALTER TABLE number_index ADD CONSTRAINT one_holder_at_a_time
EXCLUDE USING gist (number_tag WITH =, role WITH =, tstzrange(valid_from, valid_to) WITH &&)
DEFERRABLE INITIALLY DEFERRED
"""


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    _create_known_number()
    _create_number_fact()
    _create_number_holding_past()
    op.add_column("number_holding", sa.Column("described_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE number_holding SET described_at = state_at")
    op.alter_column("number_holding", "described_at", nullable=False)
    for statement in (BEGINNINGS, ENDS, CARDS, NUMBERS, NEXT):
        op.execute(statement)
    _look_up_by_role()
    op.execute(ONE_HOLDER)


def downgrade() -> None:
    op.drop_constraint("one_holder_at_a_time", "number_index")
    op.drop_constraint("pk_number_index", "number_index")
    op.create_primary_key("pk_number_index", "number_index", ["number_tag", "holding_id"])
    op.drop_column("number_holding", "described_at")
    op.drop_table("number_holding_past")
    op.drop_table("number_fact")
    op.drop_table("known_number")


def _look_up_by_role() -> None:
    """The key in the order in which a holder is looked up: by number and role, the last beginning before an instant."""
    op.rename_table("number_index", "number_index_before")
    op.execute("ALTER TABLE number_index_before RENAME CONSTRAINT pk_number_index TO pk_number_index_before")
    op.create_table(
        "number_index",
        sa.Column("number_tag", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("holding_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number_tag", "role", "valid_from", "holding_id", name=op.f("pk_number_index")),
    )
    distribute("number_index", "number_tag")
    op.execute(
        "INSERT INTO number_index SELECT number_tag, role, valid_from, holding_id, customer_id, valid_to"
        " FROM number_index_before"
    )
    op.drop_table("number_index_before")


def _create_known_number() -> None:
    op.create_table(
        "known_number",
        sa.Column("number_tag", sa.LargeBinary(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("serving_operator", sa.Text(), nullable=True),
        sa.Column("served_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("free_since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number_tag", name=op.f("pk_known_number")),
    )
    distribute("known_number", "number_tag")


def _create_number_fact() -> None:
    op.create_table(
        "number_fact",
        sa.Column("number_tag", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("row_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("number_tag", "at", "event_id", "kind", name=op.f("pk_number_fact")),
    )
    distribute("number_fact", "number_tag")


def _create_number_holding_past() -> None:
    op.create_table(
        "number_holding_past",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("holding_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_to", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sim_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", "holding_id", "recorded_from", name=op.f("pk_number_holding_past")),
    )
    distribute("number_holding_past", "customer_id")
    op.create_foreign_key(
        op.f("fk_number_holding_past_customer_id_customer"),
        "number_holding_past",
        "customer",
        ["customer_id"],
        ["customer_id"],
    )
