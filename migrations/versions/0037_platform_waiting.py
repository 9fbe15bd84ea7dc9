"""platform: when a letter that came too soon is looked at by itself."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0037_platform_waiting"
down_revision: str | None = "0036_billing_paid"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("dead_letter", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_index(op.f("ix_dead_letter_subject_tag"), table_name="dead_letter")
    op.create_index(op.f("ix_dead_letter_subject_tag_last_at"), "dead_letter", ["subject_tag", "last_at"], unique=False)
    op.create_index(
        op.f("ix_dead_letter_due_at"),
        "dead_letter",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_dead_letter_due_at"), table_name="dead_letter")
    op.drop_index(op.f("ix_dead_letter_subject_tag_last_at"), table_name="dead_letter")
    op.create_index(op.f("ix_dead_letter_subject_tag"), "dead_letter", ["subject_tag"], unique=False)
    op.drop_column("dead_letter", "due_at")
