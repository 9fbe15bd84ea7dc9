"""identity: where mainland mobiles are from, by the segments their numbers were given out in."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import reference

revision: str = "0008_identity_segments"
down_revision: str | None = "0007_identity_lives"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "number_segment",
        sa.Column("first_prefix", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last_prefix", sa.Integer(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("first_prefix", name=op.f("pk_number_segment")),
    )
    reference("number_segment")


def downgrade() -> None:
    op.drop_table("number_segment")
