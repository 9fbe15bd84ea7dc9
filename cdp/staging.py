"""Many rows on their way into a statement: by COPY into a table of the connection's own, which is several times faster
than parameters, or as parameters where they are few.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Table

from cdp.stores import Connection
from cdp.tables import DIALECT

MANY: Final = 500
"""From so many rows on the stage pays for its own making."""

# Without the constraints of the table it is for, and emptied: it may have been used before, in this transaction too.
STAGE = """
CREATE TEMPORARY TABLE IF NOT EXISTS "stage_{0}" ON COMMIT DELETE ROWS AS SELECT * FROM "{0}" WITH NO DATA;
TRUNCATE "stage_{0}"
"""


async def staged(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    joined: bool = False,
) -> tuple[str, list[list[Any]]]:
    """Puts rows (tuples of `columns`) where a statement finds them: what it names behind FROM, as `new`, and its
    parameters. `joined` rows are looked up one by one in a table, and never staged: how many they are would make the
    planner read the whole table.

    Inside a transaction; the next call for the same table takes the rows away.
    """
    if len(rows) >= MANY and not joined:
        await connection.execute(STAGE.format(table.name))
        await connection.copy_records_to_table(f"stage_{table.name}", records=rows, columns=columns)
        return f'"stage_{table.name}" AS new', []
    arrays = ", ".join(f"${n}::{table.c[name].type.compile(DIALECT)}[]" for n, name in enumerate(columns, 1))
    return f"unnest({arrays}) AS new ({', '.join(columns)})", [list(column) for column in zip(*rows, strict=True)]
