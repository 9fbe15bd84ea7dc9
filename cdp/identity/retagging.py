"""Rows move from the tags of one index root to those of the next: all rows of a tag at once, whoever comes first.

While that lasts, whoever writes moves what it mentions before it looks, and whoever reads looks by the old tag first
and then by the new one: a row goes one way only, so it is found.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import Table

from cdp.identity.tables import (
    IDENTIFIER_INDEXES,
    NUMBER_INDEX,
    identifier_index,
    known_number,
    number_fact,
    number_index,
)
from cdp.stores import Connection
from privacy.keys import KeyRing

TAGGED: Final = (known_number, number_fact, number_index, identifier_index)
EPOCH: Final = "CASE WHEN octet_length({0}) > 16 THEN get_byte({0}, 0) ELSE 1 END < $1"


async def move_tags(connection: Connection, before: Mapping[bytes, bytes]) -> None:
    """Moves the rows of tags (new -> old) that are still where they were. Inside a transaction."""
    if before:
        new, old = map(list, zip(*sorted(before.items()), strict=True))
        for statement in MOVES:
            await connection.execute(statement, old, new)


async def count_old_tags(connection: Connection, epoch: int, tables: Iterable[Table]) -> int:
    """How many tags of some tables are of earlier epochs."""
    counts = [await connection.fetchval(COUNTS[table], epoch) for table in tables]
    return sum(counts)


async def old_tags(
    connection: Connection, table: Table, epoch: int, after: bytes, limit: int
) -> list[tuple[str, bytes]]:
    """Kinds and tags of a table that are of earlier epochs, in the order of the tags, after one of them."""
    rows = await connection.fetch(OLD[table], epoch, after, limit)
    return [(kind, tag) for kind, tag in rows]


def newer_tags(ring: KeyRing, old: list[tuple[str, bytes]]) -> dict[bytes, bytes]:
    """The newest tag of each (kind, tag), and the tag."""
    return {ring.later_tags(IDENTIFIER_INDEXES.get(kind, NUMBER_INDEX), tag)[-1]: tag for kind, tag in old}


def _move(table: Table) -> str:
    """Rows are deleted and inserted: a row spread over machines by its tag does not change it in place."""
    tag, *others = (column.name for column in table.columns)
    kept = ", ".join(f"t.{name}" for name in others)
    return f"""
        WITH moved AS (
            DELETE FROM {table.name} AS t USING unnest($1::bytea[], $2::bytea[]) AS m (old, new)
            WHERE t.{tag} = m.old RETURNING m.new, {kept}
        )
        INSERT INTO {table.name} ({tag}, {", ".join(others)}) SELECT * FROM moved
    """  # noqa: S608 -- declared names


def _old(table: Table) -> str:
    tag, kind = table.info["key"], "kind" if table is identifier_index else "'number'"
    return (
        f"SELECT DISTINCT {kind}, {tag} FROM {table.name} WHERE {EPOCH.format(tag)} AND {tag} > $2"  # noqa: S608 -- declared names
        f" ORDER BY {tag} LIMIT $3"
    )


def _count(table: Table) -> str:
    tag = table.info["key"]
    return f"SELECT count(DISTINCT {tag}) FROM {table.name} WHERE {EPOCH.format(tag)}"  # noqa: S608 -- declared names


MOVES: Final = tuple(_move(table) for table in TAGGED)
OLD: Final = {table: _old(table) for table in TAGGED}
COUNTS: Final = {table: _count(table) for table in TAGGED}
