"""platform: what a refused record is called, so that it can be settled; how far the loading of a file has come."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import reference

revision: str = "0028_platform_letters"
down_revision: str | None = "0027_billing_ledger"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("dead_letter", sa.Column("record_tag", sa.LargeBinary(), nullable=True))
    op.create_index(op.f("ix_dead_letter_record_tag"), "dead_letter", ["record_tag"], unique=False)
    op.create_index(
        op.f("ix_dead_letter_first_at_dead_letter_id"), "dead_letter", ["first_at", "dead_letter_id"], unique=False
    )
    op.create_table(
        "file_load",
        sa.Column("file_tag", sa.LargeBinary(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("rejects", sa.Text(), nullable=False),
        sa.Column("rejects_bytes", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("file_tag", name=op.f("pk_file_load")),
    )
    reference("file_load")


def downgrade() -> None:
    op.drop_table("file_load")
    op.drop_index(op.f("ix_dead_letter_first_at_dead_letter_id"), table_name="dead_letter")
    op.drop_index(op.f("ix_dead_letter_record_tag"), table_name="dead_letter")
    op.drop_column("dead_letter", "record_tag")
