"""billing: tariffs, accounts, products, bills, payments, top-ups."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute, reference

revision: str = "0005_billing"
down_revision: str | None = "0004_usage"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    _create_tariff()
    _create_account()
    _create_product()
    _create_product_reliance()
    _create_bill()
    _create_bill_line()
    _create_payment()
    _create_top_up()
    op.create_foreign_key(
        op.f("fk_account_customer_id_customer"), "account", "customer", ["customer_id"], ["customer_id"]
    )
    op.create_foreign_key(
        op.f("fk_product_customer_id_customer"), "product", "customer", ["customer_id"], ["customer_id"]
    )
    op.create_foreign_key(op.f("fk_bill_customer_id_customer"), "bill", "customer", ["customer_id"], ["customer_id"])
    op.create_foreign_key(
        op.f("fk_payment_customer_id_customer"), "payment", "customer", ["customer_id"], ["customer_id"]
    )
    op.create_foreign_key(
        op.f("fk_top_up_customer_id_customer"), "top_up", "customer", ["customer_id"], ["customer_id"]
    )


def downgrade() -> None:
    op.drop_table("top_up")
    op.drop_table("product")
    op.drop_table("payment")
    op.drop_table("bill")
    op.drop_table("account")
    op.drop_table("tariff")
    op.drop_table("product_reliance")
    op.drop_table("bill_line")


def _create_tariff() -> None:
    op.create_table(
        "tariff",
        sa.Column("tariff_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("rating_type", sa.Text(), nullable=False),
        sa.Column("monthly_fee_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("voice_minutes", sa.Integer(), nullable=True),
        sa.Column("sms_count", sa.Integer(), nullable=True),
        sa.Column("data_megabytes", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("tariff_id", name=op.f("pk_tariff")),
    )
    reference("tariff")


def _create_account() -> None:
    op.create_table(
        "account",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("account_no", sa.LargeBinary(), nullable=True),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("rating_type", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("credit_limit_minor", sa.BigInteger(), nullable=True),
        sa.Column("payment_status", sa.Text(), nullable=False),
        sa.Column("payment_status_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("balance_minor", sa.BigInteger(), nullable=True),
        sa.Column("balance_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", "account_id", name=op.f("pk_account")),
    )
    distribute("account", "customer_id")


def _create_product() -> None:
    op.create_table(
        "product",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("product_ref", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("tariff_id", sa.Text(), nullable=True),
        sa.Column("start_on", sa.Date(), nullable=True),
        sa.Column("term_end_on", sa.Date(), nullable=True),
        sa.Column("described_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("status_reason", sa.Text(), nullable=True),
        sa.Column("status_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", "product_id", name=op.f("pk_product")),
    )
    distribute("product", "customer_id")


def _create_product_reliance() -> None:
    op.create_table(
        "product_reliance",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("relies_on_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "product_id", "relies_on_id", name=op.f("pk_product_reliance")),
    )
    distribute("product_reliance", "customer_id")


def _create_bill() -> None:
    op.create_table(
        "bill",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("bill_no", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("bill_on", sa.Date(), nullable=True),
        sa.Column("period_start_on", sa.Date(), nullable=True),
        sa.Column("period_end_on", sa.Date(), nullable=True),
        sa.Column("amount_due_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "bill_id", name=op.f("pk_bill")),
    )
    distribute("bill", "customer_id")
    op.create_index(op.f("ix_bill_customer_id_bill_on"), "bill", ["customer_id", "bill_on"], unique=False)


def _create_bill_line() -> None:
    op.create_table(
        "bill_line",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("line_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "bill_id", "line_no", name=op.f("pk_bill_line")),
    )
    distribute("bill_line", "customer_id")


def _create_payment() -> None:
    op.create_table(
        "payment",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("bill_id", sa.Uuid(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "payment_id", name=op.f("pk_payment")),
    )
    distribute("payment", "customer_id")


def _create_top_up() -> None:
    op.create_table(
        "top_up",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("top_up_id", sa.Uuid(), nullable=False),
        sa.Column("top_up_ref", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("number", sa.LargeBinary(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("posted_account_id", sa.Uuid(), nullable=True),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", "top_up_id", name=op.f("pk_top_up")),
    )
    distribute("top_up", "customer_id")
