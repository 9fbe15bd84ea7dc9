"""billing: a ledger whose every row is balanced, exchange rates, which number a top-up was for."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute

revision: str = "0027_billing_ledger"
down_revision: str | None = "0026_care_anomalies"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

TABLES = ("ledger_transaction", "ledger_exchange")


def upgrade() -> None:
    op.add_column("top_up", sa.Column("number_hash", sa.LargeBinary(), nullable=True))
    op.create_index(op.f("ix_top_up_top_up_ref"), "top_up", ["top_up_ref"], unique=False)
    _create_transaction()
    _create_exchange()
    for table in TABLES:
        distribute(table, "customer_id")
        op.create_foreign_key(
            op.f(f"fk_{table}_customer_id_customer"), table, "customer", ["customer_id"], ["customer_id"]
        )
        # Whoever owns a table could grant it to themselves again, but does not change a row by mistake.
        op.execute(f"REVOKE UPDATE, TRUNCATE ON {table} FROM PUBLIC, CURRENT_USER")


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_index(op.f("ix_top_up_top_up_ref"), table_name="top_up")
    op.drop_column("top_up", "number_hash")


def _create_transaction() -> None:
    op.create_table(
        "ledger_transaction",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("transaction_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("debit", sa.Text(), nullable=False),
        sa.Column("credit", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("top_up_id", sa.Uuid(), nullable=True),
        sa.Column("number_hash", sa.LargeBinary(), nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_ledger_transaction_amount")),
        sa.CheckConstraint("(debit = 'BALANCE') <> (credit = 'BALANCE')", name=op.f("ck_ledger_transaction_balance")),
        sa.PrimaryKeyConstraint("customer_id", "transaction_id", name=op.f("pk_ledger_transaction")),
    )
    op.create_index(
        op.f("ix_ledger_transaction_customer_id_account_id_at"),
        "ledger_transaction",
        ["customer_id", "account_id", "at"],
        unique=False,
    )
    op.create_index(op.f("ix_ledger_transaction_top_up_id"), "ledger_transaction", ["top_up_id"], unique=False)


def _create_exchange() -> None:
    op.create_table(
        "ledger_exchange",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("exchange_id", sa.Uuid(), nullable=False),
        sa.Column("sold_id", sa.Uuid(), nullable=False),
        sa.Column("bought_id", sa.Uuid(), nullable=False),
        sa.Column("rate", sa.Numeric(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("rate > 0", name=op.f("ck_ledger_exchange_rate")),
        sa.PrimaryKeyConstraint("customer_id", "exchange_id", name=op.f("pk_ledger_exchange")),
    )
