"""Tables cut into months: each month of rows is a table of its own, dropped at once when its time is over.

A default partition, made by the migration, takes rows of months nobody prepared for: a late or early record is kept,
never refused.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time

from sqlalchemy import Table

from cdp.stores import Connection
from cdp.values import month_from

NAME = re.compile(r"[a-z_]+_(\d{6}|default)")

EXISTING = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1::text::regclass"


def is_partition(name: str) -> bool:
    """Whether a table of this name is a partition of another."""
    return NAME.fullmatch(name) is not None


async def ensure_partitions(connection: Connection, table: Table, months: Iterable[date]) -> None:
    """Makes the missing partitions of `table` for the months in which the given days lie; in a transaction.

    A month whose rows are in the default partition already stays there.
    """
    wanted = {_name(table, day): day.replace(day=1) for day in months}
    if wanted.keys() <= await _existing(connection, table):
        return
    # Two writers may find the same month missing: the second waits here and then sees the first one's partition.
    await connection.execute(f"LOCK TABLE {table.name} IN SHARE UPDATE EXCLUSIVE MODE")
    existing = await _existing(connection, table)
    for name, first in sorted(wanted.items()):
        if name not in existing and not await _holds(connection, table, first):
            await connection.execute(
                f"CREATE TABLE {name} PARTITION OF {table.name}"
                f" FOR VALUES FROM ('{_midnight(first)}') TO ('{_midnight(month_from(first, 1))}')"
            )


async def _existing(connection: Connection, table: Table) -> set[str]:
    return {row[0] for row in await connection.fetch(EXISTING, table.name)}


async def _holds(connection: Connection, table: Table, first: date) -> bool:
    found: bool = await connection.fetchval(
        f"SELECT EXISTS (SELECT FROM {table.name}_default WHERE at >= $1 AND at < $2)",  # noqa: S608 -- a declared table
        _midnight(first),
        _midnight(month_from(first, 1)),
    )
    return found


def _name(table: Table, day: date) -> str:
    return f"{table.name}_{day:%Y%m}"


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
