"""identity: customers who are nobody, the clients that opened one, and the proposals that name somebody erased."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute, reference

revision: str = "0029_identity_honey"
down_revision: str | None = "0028_platform_letters"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "honey",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("marked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_honey")),
    )
    distribute("honey", "customer_id")
    op.create_foreign_key(op.f("fk_honey_customer_id_customer"), "honey", "customer", ["customer_id"], ["customer_id"])
    op.create_table(
        "suspended_client",
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("client", name=op.f("pk_suspended_client")),
    )
    reference("suspended_client")
    op.create_index(op.f("ix_match_proposal_other_id"), "match_proposal", ["other_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_match_proposal_other_id"))
    op.drop_table("suspended_client")
    op.drop_table("honey")
