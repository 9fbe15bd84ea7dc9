"""rights: requests about one's own data, erasures and what they left, the terms of the law as rows."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute, reference

revision: str = "0014_rights_requests"
down_revision: str | None = "0013_keys_settled"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

KINDS = ("ACCESS", "PORTABILITY", "RECTIFICATION", "RESTRICTION", "LIFTING", "OBJECTION", "ERASURE")
DUE = {
    "CN": (15, "PIPL art. 50; Network Data Regulations art. 23"),
    "HK": (40, "PDPO s.19, 23"),
    "EU": (30, "GDPR art. 12(3)"),
    "*": (30, "product default"),
}
# Jurisdiction, class or table, days, whether the law forbids to delete earlier, law.
KEPT = (
    ("CN", "IDENTITY", 730, True, "Telephone User Real-Name Registration Provisions (MIIT Order 25): two years"),
    ("CN", "USAGE", 180, False, "Telecom Service Specification: detailed records for five months"),
    ("CN", "SERVICE", 1095, False, "Civil Code art. 188: limitation of three years"),
    ("HK", "IDENTITY", 730, False, "PDPO DPP2(2)"),
    ("HK", "USAGE", 180, False, "PDPO DPP2(2)"),
    ("HK", "SERVICE", 2555, False, "Inland Revenue Ordinance s.51C; Limitation Ordinance s.4"),
    ("*", "IDENTITY", 730, False, "product default"),
    ("*", "USAGE", 180, False, "product default"),
    ("*", "SERVICE", 1095, False, "product default"),
    ("*", "CONSENTED", 730, False, "product default: at the latest; it goes when the consent does"),
    ("*", "usage_month", 1095, False, "product default: totals of months say less than records"),
    ("*", "dead_letter", 90, False, "product default: what was refused and never mended"),
)
# A store that has a policy already learns the purpose that answers to requests are made for.
PURPOSE = """
INSERT INTO purpose (id, parent, direct_marketing, automated_decision, necessary_for_service, description)
SELECT 'legal.access', 'legal', false, false, false, 'Give customers what they ask of their own data.'
WHERE EXISTS (SELECT FROM purpose) ON CONFLICT DO NOTHING
"""
BY_CUSTOMER = ("number_fact", "number_index", "identifier_index", "link_index")


def upgrade() -> None:
    _create_terms()
    _create_privacy_request()
    _create_erasure()
    op.add_column("dead_letter", sa.Column("subject_tag", sa.LargeBinary(), nullable=True))
    op.create_index(op.f("ix_dead_letter_subject_tag"), "dead_letter", ["subject_tag"], unique=False)
    for table in BY_CUSTOMER:
        op.create_index(op.f(f"ix_{table}_customer_id"), table, ["customer_id"], unique=False)
    op.execute(PURPOSE)


def downgrade() -> None:
    op.execute("DELETE FROM purpose WHERE id = 'legal.access'")
    for table in BY_CUSTOMER:
        op.drop_index(op.f(f"ix_{table}_customer_id"), table_name=table)
    op.drop_index(op.f("ix_dead_letter_subject_tag"), table_name="dead_letter")
    op.drop_column("dead_letter", "subject_tag")
    for table in ("erased_rows", "erasure", "privacy_request", "retention_term", "privacy_term"):
        op.drop_table(table)


def _create_terms() -> None:
    due = op.create_table(
        "privacy_term",
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("law", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("jurisdiction", "kind", name=op.f("pk_privacy_term")),
    )
    kept = op.create_table(
        "retention_term",
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("by_law", sa.Boolean(), nullable=False),
        sa.Column("law", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("jurisdiction", "subject", name=op.f("pk_retention_term")),
    )
    reference("privacy_term")
    reference("retention_term")
    rows = [
        {"jurisdiction": j, "kind": kind, "days": days, "law": law} for j, (days, law) in DUE.items() for kind in KINDS
    ]
    op.bulk_insert(due, rows)
    names = ("jurisdiction", "subject", "days", "by_law", "law")
    op.bulk_insert(kept, [dict(zip(names, row, strict=True)) for row in KEPT])


def _create_privacy_request() -> None:
    op.create_table(
        "privacy_request",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", "request_id", name=op.f("pk_privacy_request")),
    )
    distribute("privacy_request", "customer_id")
    op.create_foreign_key(
        op.f("fk_privacy_request_customer_id_customer"), "privacy_request", "customer", ["customer_id"], ["customer_id"]
    )
    op.create_index(op.f("ix_privacy_request_state_due_at"), "privacy_request", ["state", "due_at"], unique=False)


def _create_erasure() -> None:
    op.create_table(
        "erasure",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gone", sa.Text(), nullable=False),
        sa.Column("kept", sa.Text(), nullable=False),
        sa.Column("kept_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("certificate", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_erasure")),
    )
    distribute("erasure", "customer_id")
    op.create_index(op.f("ix_erasure_finished_at"), "erasure", ["finished_at"], unique=False)
    op.create_index(op.f("ix_erasure_kept_until"), "erasure", ["kept_until"], unique=False)
    op.create_table(
        "erased_rows",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "table_name", name=op.f("pk_erased_rows")),
    )
    distribute("erased_rows", "customer_id")
