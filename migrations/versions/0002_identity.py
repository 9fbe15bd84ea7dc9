"""identity: customers, identifications, number holdings, SIMs, links."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute

revision: str = "0002_identity"
down_revision: str | None = "0001_platform"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    _create_customer()
    _create_customer_region()
    _create_identification()
    _create_sim()
    _create_number_holding()
    _create_number_index()
    _create_identifier_index()
    _create_link()
    _create_link_index()
    op.create_foreign_key(
        op.f("fk_identification_customer_id_customer"), "identification", "customer", ["customer_id"], ["customer_id"]
    )
    op.create_foreign_key(op.f("fk_sim_customer_id_customer"), "sim", "customer", ["customer_id"], ["customer_id"])
    op.create_foreign_key(
        op.f("fk_number_holding_customer_id_customer"), "number_holding", "customer", ["customer_id"], ["customer_id"]
    )
    op.create_foreign_key(
        op.f("fk_number_holding_customer_id_sim_id_sim"),
        "number_holding",
        "sim",
        ["customer_id", "sim_id"],
        ["customer_id", "sim_id"],
    )
    op.create_foreign_key(op.f("fk_link_customer_id_customer"), "link", "customer", ["customer_id"], ["customer_id"])


def downgrade() -> None:
    op.drop_table("number_holding")
    op.drop_table("sim")
    op.drop_table("link")
    op.drop_table("identification")
    op.drop_table("number_index")
    op.drop_table("link_index")
    op.drop_table("identifier_index")
    op.drop_table("customer_region")
    op.drop_table("customer")


def _create_customer() -> None:
    op.create_table(
        "customer",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("formatted_name", sa.LargeBinary(), nullable=True),
        sa.Column("birth_date", sa.LargeBinary(), nullable=True),
        sa.Column("gender", sa.Text(), nullable=True),
        sa.Column("is_minor", sa.Boolean(), nullable=False),
        sa.Column("email", sa.LargeBinary(), nullable=True),
        sa.Column("address", sa.LargeBinary(), nullable=True),
        sa.Column("profile_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("status_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("tier_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customer")),
    )
    distribute("customer", "customer_id")
    op.create_index(op.f("ix_customer_region_customer_id"), "customer", ["region", "customer_id"], unique=False)


def _create_customer_region() -> None:
    op.create_table(
        "customer_region",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "region", name=op.f("pk_customer_region")),
    )
    distribute("customer_region", "customer_id")


def _create_identification() -> None:
    op.create_table(
        "identification",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("identification_id", sa.Uuid(), nullable=False),
        sa.Column("document_type", sa.Text(), nullable=False),
        sa.Column("document_number", sa.LargeBinary(), nullable=True),
        sa.Column("issuing_region", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", "identification_id", name=op.f("pk_identification")),
    )
    distribute("identification", "customer_id")


def _create_sim() -> None:
    op.create_table(
        "sim",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("sim_id", sa.Uuid(), nullable=False),
        sa.Column("iccid", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", "sim_id", name=op.f("pk_sim")),
    )
    distribute("sim", "customer_id")


def _create_number_holding() -> None:
    op.create_table(
        "number_holding",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("holding_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.LargeBinary(), nullable=True),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=True),
        sa.Column("serving_operator", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("sim_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_to", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", "holding_id", name=op.f("pk_number_holding")),
    )
    distribute("number_holding", "customer_id")


def _create_number_index() -> None:
    op.create_table(
        "number_index",
        sa.Column("number_tag", sa.LargeBinary(), nullable=False),
        sa.Column("holding_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number_tag", "holding_id", name=op.f("pk_number_index")),
    )
    distribute("number_index", "number_tag")


def _create_identifier_index() -> None:
    op.create_table(
        "identifier_index",
        sa.Column("identifier_tag", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("identifier_tag", "kind", name=op.f("pk_identifier_index")),
    )
    distribute("identifier_index", "identifier_tag")


def _create_link() -> None:
    op.create_table(
        "link",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("other_store", sa.Text(), nullable=False),
        sa.Column("leads", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "token", name=op.f("pk_link")),
    )
    distribute("link", "customer_id")


def _create_link_index() -> None:
    op.create_table(
        "link_index",
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_link_index")),
    )
    distribute("link_index", "token")
