"""consent: purposes, rules, notices, consent events, objections, transfer bases."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute, reference

revision: str = "0003_consent"
down_revision: str | None = "0002_identity"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    _create_purpose()
    _create_data_category()
    _create_sensitivity()
    _create_notice()
    _create_basis()
    _create_transfer_basis()
    _create_rule()
    _create_policy_version()
    _create_consent_event()
    _create_objection()
    op.create_foreign_key(
        op.f("fk_consent_event_customer_id_customer"), "consent_event", "customer", ["customer_id"], ["customer_id"]
    )
    op.create_foreign_key(
        op.f("fk_objection_customer_id_customer"), "objection", "customer", ["customer_id"], ["customer_id"]
    )


def downgrade() -> None:
    op.drop_table("objection")
    op.drop_table("consent_event")
    op.drop_table("transfer_basis")
    op.drop_table("sensitivity")
    op.drop_table("rule")
    op.drop_table("purpose")
    op.drop_table("policy_version")
    op.drop_table("notice")
    op.drop_table("data_category")
    op.drop_table("basis")


def _create_purpose() -> None:
    op.create_table(
        "purpose",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column("direct_marketing", sa.Boolean(), nullable=False),
        sa.Column("automated_decision", sa.Boolean(), nullable=False),
        sa.Column("necessary_for_service", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purpose")),
    )
    reference("purpose")


def _create_data_category() -> None:
    op.create_table(
        "data_category",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_category")),
    )
    reference("data_category")


def _create_sensitivity() -> None:
    op.create_table(
        "sensitivity",
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("sensitivity", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("category", "jurisdiction", name=op.f("pk_sensitivity")),
    )
    reference("sensitivity")


def _create_notice() -> None:
    op.create_table(
        "notice",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", "version", name=op.f("pk_notice")),
    )
    reference("notice")


def _create_basis() -> None:
    op.create_table(
        "basis",
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("assessment", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", "category", "jurisdiction", "kind", name=op.f("pk_basis")),
    )
    reference("basis")


def _create_transfer_basis() -> None:
    op.create_table(
        "transfer_basis",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("categories", sa.Text(), nullable=False),
        sa.Column("onward", sa.Boolean(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("cap", sa.Integer(), nullable=True),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer_basis")),
    )
    reference("transfer_basis")


def _create_rule() -> None:
    op.create_table(
        "rule",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("sensitivity", sa.Text(), nullable=True),
        sa.Column("recipients", sa.Text(), nullable=False),
        sa.Column("bases", sa.Text(), nullable=False),
        sa.Column("consent", sa.Text(), nullable=True),
        sa.Column("law", sa.Text(), nullable=False),
        sa.Column("cross_border", sa.Boolean(), nullable=False),
        sa.Column("under_age", sa.Integer(), nullable=True),
        sa.Column("names_recipient", sa.Boolean(), nullable=False),
        sa.Column("masks", sa.Text(), nullable=False),
        sa.Column("enforced", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule")),
    )
    reference("rule")


def _create_policy_version() -> None:
    op.create_table(
        "policy_version",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_policy_version")),
    )
    reference("policy_version")


def _create_consent_event() -> None:
    op.create_table(
        "consent_event",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("consent_event_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("notice", sa.Text(), nullable=True),
        sa.Column("collection_point", sa.Text(), nullable=True),
        sa.Column("evidence_hash", sa.LargeBinary(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("holding_id", sa.Uuid(), nullable=True),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "consent_event_id", name=op.f("pk_consent_event")),
    )
    distribute("consent_event", "customer_id")


def _create_objection() -> None:
    op.create_table(
        "objection",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("objection_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("raised", sa.Boolean(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "objection_id", name=op.f("pk_objection")),
    )
    distribute("objection", "customer_id")
