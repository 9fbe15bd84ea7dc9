"""platform: of what kind the tag of a letter is, so that it moves with those of whom it is about."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0038_platform_letter_kinds"
down_revision: str | None = "0037_platform_waiting"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("dead_letter", sa.Column("subject_kind", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("dead_letter", "subject_kind")
