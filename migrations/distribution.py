"""How a table is spread over machines: said in every migration, done where the database is a Citus one.

A table is distributed while it is empty and before its foreign keys are made: Citus refuses a key between a table that
is spread and one that is not yet.
"""

from alembic import op

DO_ON_CITUS = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        PERFORM {call};
    END IF;
END $$
"""


def distribute(table: str, column: str) -> None:
    """Spreads the rows of `table` by `column`, together with all tables spread by a column of the same type."""
    op.execute(DO_ON_CITUS.format(call=f"create_distributed_table('\"{table}\"', '{column}')"))


def reference(table: str) -> None:
    """Puts a whole copy of `table` on every machine."""
    op.execute(DO_ON_CITUS.format(call=f"create_reference_table('\"{table}\"')"))
