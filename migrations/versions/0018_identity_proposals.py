"""identity: the proposals that name somebody who is erased."""

from collections.abc import Sequence

from alembic import op

revision: str = "0018_identity_proposals"
down_revision: str | None = "0017_consent_officer"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_index(op.f("ix_match_proposal_other_id"), "match_proposal", ["other_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_match_proposal_other_id"))
