"""care: what customers are to hear of before they ask, when, and how often."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute, reference

revision: str = "0021_care_notices"
down_revision: str | None = "0020_care_cases"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

TERMS = (
    ("ALLOWANCE_RUNS_OUT", 3, 0, 0),
    ("CONTRACT_ENDS", 30, 0, 0),
    ("BILL_SHOCK", 31, 50, 1_000),
    ("SERVICE_RESTORED", 1, 0, 0),
    ("BETTER_TARIFF", 0, 0, 6_000),
)
POLICIES = (("CN", "Asia/Shanghai", 21, 8, 3), ("HK", "Asia/Hong_Kong", 21, 9, 3), ("*", "UTC", 20, 8, 3))


def upgrade() -> None:
    terms = op.create_table(
        "care_term",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_care_term")),
    )
    policies = op.create_table(
        "contact_policy",
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("quiet_from_hour", sa.Integer(), nullable=False),
        sa.Column("quiet_to_hour", sa.Integer(), nullable=False),
        sa.Column("marketing_a_year", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("jurisdiction", name=op.f("pk_contact_policy")),
    )
    for table in ("care_term", "contact_policy"):
        reference(table)
    op.bulk_insert(terms, [dict(zip(("kind", "days", "percent", "minor"), row, strict=True)) for row in TERMS])
    columns = ("jurisdiction", "time_zone", "quiet_from_hour", "quiet_to_hour", "marketing_a_year")
    op.bulk_insert(policies, [dict(zip(columns, row, strict=True)) for row in POLICIES])
    op.create_table(
        "care_notice",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "notice_id", name=op.f("pk_care_notice")),
    )
    distribute("care_notice", "customer_id")
    op.create_foreign_key(
        op.f("fk_care_notice_customer_id_customer"), "care_notice", "customer", ["customer_id"], ["customer_id"]
    )
    op.create_index(
        op.f("ix_care_notice_due_at"), "care_notice", ["due_at"], postgresql_where=sa.text("state = 'WAITING'")
    )
    op.create_table(
        "care_position",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("written", sa.BigInteger(), nullable=False),
        sa.Column("outbox_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_care_position")),
    )
    distribute("care_position", "bucket")


def downgrade() -> None:
    for table in ("care_position", "care_notice", "contact_policy", "care_term"):
        op.drop_table(table)
