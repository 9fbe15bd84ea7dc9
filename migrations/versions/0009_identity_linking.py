"""identity: links that are proposed, and carried to the other side; one stands at a time."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute

revision: str = "0009_identity_linking"
down_revision: str | None = "0008_identity_segments"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Of several links of one customer to one other store the latest stays.
KEEP_THE_LATEST = """
UPDATE link AS old SET state = 'REVOKED'
FROM (SELECT customer_id, token,
             row_number() OVER (PARTITION BY customer_id, other_store ORDER BY state_at DESC, token) AS place
      FROM link WHERE state = 'ACTIVE') AS ranked
WHERE old.customer_id = ranked.customer_id AND old.token = ranked.token AND ranked.place > 1
"""


def upgrade() -> None:
    op.execute(KEEP_THE_LATEST)
    stands = sa.text("state = 'ACTIVE'")
    op.create_index("ix_link_one_stands", "link", ["customer_id", "other_store"], unique=True, postgresql_where=stands)
    _create_link_proposal()
    _create_link_intent()


def downgrade() -> None:
    op.drop_table("link_intent")
    op.drop_table("link_proposal")
    op.drop_index("ix_link_one_stands", "link")


def _create_link_proposal() -> None:
    op.create_table(
        "link_proposal",
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=True),
        sa.Column("other_store", sa.Text(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_link_proposal")),
    )
    distribute("link_proposal", "token")
    op.create_index(
        op.f("ix_link_proposal_customer_id_proposed_at"), "link_proposal", ["customer_id", "proposed_at"], unique=False
    )
    op.create_index(op.f("ix_link_proposal_proposed_at"), "link_proposal", ["proposed_at"], unique=False)


def _create_link_intent() -> None:
    op.create_table(
        "link_intent",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("other_store", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "token", name=op.f("pk_link_intent")),
    )
    distribute("link_intent", "bucket")
    op.create_index(op.f("ix_link_intent_bucket_due_at"), "link_intent", ["bucket", "due_at"], unique=False)
