"""care: cases that the platform opens, the steps of a case, by when it is due."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute, reference

revision: str = "0020_care_cases"
down_revision: str | None = "0019_platform_log"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

TEXTS = ("offered_to", "cause_kind", "cause_key", "cause_text", "root_cause")
INSTANTS = ("gone_at", "told_at", "closed_at")
HOURS = {
    "CRITICAL": {"HIGH": 1, "MIDDLE": 2, "LOW": 4, "*": 4},
    "HIGH": {"HIGH": 4, "MIDDLE": 8, "LOW": 24, "*": 24},
    "MEDIUM": {"HIGH": 12, "MIDDLE": 24, "LOW": 48, "*": 48},
    "LOW": {"HIGH": 24, "MIDDLE": 72, "LOW": 120, "*": 120},
}


def upgrade() -> None:
    op.add_column("case", sa.Column("top_up_id", sa.Uuid(), nullable=True))
    for name in TEXTS:
        op.add_column("case", sa.Column(name, sa.Text(), nullable=True))
    for name in INSTANTS:
        op.add_column("case", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        op.f("ix_case_customer_id_cause_kind_cause_key"),
        "case",
        ["customer_id", "cause_kind", "cause_key"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    _create_case_step()
    terms = op.create_table(
        "case_term",
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tier", "severity", name=op.f("pk_case_term")),
    )
    reference("case_term")
    rows = [
        {"tier": tier, "severity": severity, "minutes": hours * 60}
        for severity, by_tier in HOURS.items()
        for tier, hours in by_tier.items()
    ]
    op.bulk_insert(terms, rows)


def _create_case_step() -> None:
    op.create_table(
        "case_step",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("step_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("desk", sa.Text(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", "case_id", "step_id", name=op.f("pk_case_step")),
    )
    distribute("case_step", "customer_id")
    op.create_foreign_key(
        op.f("fk_case_step_customer_id_customer"), "case_step", "customer", ["customer_id"], ["customer_id"]
    )


def downgrade() -> None:
    op.drop_table("case_term")
    op.drop_table("case_step")
    op.drop_index(op.f("ix_case_customer_id_cause_kind_cause_key"), table_name="case")
    for name in ("top_up_id", *TEXTS, *INSTANTS):
        op.drop_column("case", name)
