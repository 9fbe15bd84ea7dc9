"""billing: rows of the ledger do not change, whoever asks: a superuser is not stopped by a privilege."""

from collections.abc import Sequence

from alembic import op

revision: str = "0035_billing_kept"
down_revision: str | None = "0034_identity_linked_once"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

TABLES = ("ledger_transaction", "ledger_exchange")
REFUSE = """
CREATE FUNCTION ledger_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'rows of the ledger do not change: post again' USING ERRCODE = 'restrict_violation';
END $$
"""
# Citus takes no triggers on what it distributes; there the privilege alone stands in the way.
KEEP = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        CREATE TRIGGER kept BEFORE UPDATE ON {table} EXECUTE FUNCTION ledger_kept();
    END IF;
END $$
"""


def upgrade() -> None:
    op.execute(REFUSE)
    for table in TABLES:
        op.execute(KEEP.format(table=table))


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TRIGGER IF EXISTS kept ON {table}")
    op.execute("DROP FUNCTION ledger_kept()")
