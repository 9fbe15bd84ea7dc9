"""A world made larger by clones: customers of the store `cn` again, under other ids, with keys and cells of their own.

Loading a million customers through the write journey takes the better part of a day on a laptop. What a read meets is
the same here: as many rows in every table a profile is made of, sealed under each customer's own keys and bound to
their own rows; names, birth dates and numbers are made up anew. Left out is what no profile asks for: events seen, the
outbox, single uses, links, and sealed columns other than those in RESEALED, which are empty.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy import Column, Table

from cdp.billing.tables import account
from cdp.gate import Places
from cdp.identity.tables import NUMBER_INDEX, customer, number_holding
from cdp.tables import metadata
from privacy.keys import DataKey, KeyRing
from privacy.seal import SealedColumn, seal
from privacy.vocabulary import RetentionClass

__all__ = ["Cloner", "number_of"]


def number_of(n: int) -> str:
    """The number of the n-th row: of a block that the demo does not use."""
    return f"+86149{n:08}"


BATCH: Final = 10_000
LEFT_OUT: Final = frozenset({"event_seen", "outbox", "usage_record", "link", "merge_edge", "data_key"})
RESEALED: Final[Mapping[Column[Any], Callable[[int], Any]]] = {
    customer.c.formatted_name: lambda n: f"张三{n}",
    customer.c.birth_date: lambda n: date(1950, 1, 1) + timedelta(days=n % 18_000),
    number_holding.c.number: number_of,
    account.c.account_no: lambda n: f"D-{n:010}",
}
"""What stands in the cells of the n-th row that is cloned."""
ROW_KEYS: Final = {customer: "customer_id", number_holding: "holding_id", account: "account_id"}

ORIGINALS: Final = """
SELECT c.customer_id FROM customer c
WHERE c.state = 'ACTIVE' AND NOT c.is_minor AND c.cluster IS NULL
    AND NOT EXISTS (SELECT FROM link l WHERE l.customer_id = c.customer_id)
ORDER BY c.customer_id LIMIT $1
"""
CLASSES: Final = "SELECT customer_id, retention FROM data_key WHERE customer_id = ANY($1) AND generation = 1"
TEMPORARY: Final = """
CREATE TEMPORARY TABLE clone (old_id uuid, new_id uuid PRIMARY KEY);
CREATE TEMPORARY TABLE clone_cell (new_id uuid, row_id uuid, uid bigint, cell bytea, PRIMARY KEY (new_id, row_id, uid));
CREATE TEMPORARY TABLE clone_tag (new_id uuid, holding_id uuid, tag bytea, PRIMARY KEY (new_id, holding_id));
"""
NUMBERS: Final = """
INSERT INTO number_index (number_tag, holding_id, customer_id, role, valid_from, valid_to)
SELECT x.tag, h.holding_id, h.customer_id, h.role, h.valid_from, h.valid_to
FROM clone_tag x JOIN number_holding h ON h.customer_id = x.new_id AND h.holding_id = x.holding_id
"""
KEY_COLUMNS: Final = ("customer_id", "retention", "generation", "epoch", "wrapped")


@dataclass(slots=True)
class _Batch:
    """The rows of one batch of clones, as they are copied in."""

    clones: list[tuple[UUID, UUID]] = field(default_factory=list)
    keys: list[tuple[UUID, str, int, int, bytes]] = field(default_factory=list)
    cells: list[tuple[UUID, UUID, int, bytes]] = field(default_factory=list)
    tags: list[tuple[UUID, UUID, bytes]] = field(default_factory=list)


class Cloner:
    """Makes clones in one store, over a connection of its own."""

    def __init__(self, connection: asyncpg.Connection, ring: KeyRing) -> None:
        self._connection, self._ring = connection, ring
        self._places = Places(ring.tenant, ring.store)
        self._rows = count()

    async def grow(self, customers: int) -> AsyncIterator[int]:
        """Clones until the store has so many customers; yields how many it has, batch by batch."""
        have: int = await self._connection.fetchval("SELECT count(*) FROM customer")
        # Every row that was cloned before had a number of its own, and few rows of a customer are resealed.
        self._rows = count(have * 10)
        await self._connection.execute(TEMPORARY)
        while have < customers:
            originals = [row[0] for row in await self._connection.fetch(ORIGINALS, min(customers - have, BATCH))]
            async with self._connection.transaction():
                await self._write(await self._batch(originals))
            have += len(originals)
            yield have
        await self._connection.execute("DROP TABLE clone, clone_cell, clone_tag")

    async def _batch(self, originals: list[UUID]) -> _Batch:
        # The id of a clone sorts where its original's does not: at random, as the ids of many years do.
        batch, ids = _Batch(), {old: uuid4() for old in originals}
        batch.clones += ids.items()
        keys: dict[UUID, dict[RetentionClass, DataKey]] = {new: {} for new in ids.values()}
        for old, retention in await self._connection.fetch(CLASSES, originals):
            new = ids[old]
            made, wrapped = self._ring.new_data_key(new, RetentionClass(retention))
            keys[new][made.retention] = made
            batch.keys.append((new, *wrapped.row))
        for column, value_of in RESEALED.items():
            for old, row_id in await self._connection.fetch(_rows_with(column), originals):
                new, n = ids[old], next(self._rows)
                self._seal(batch, column, keys[new], (new, new if column.table is customer else row_id), value_of(n))
        return batch

    def _seal(
        self,
        batch: _Batch,
        column: Column[Any],
        keys: Mapping[RetentionClass, DataKey],
        row: tuple[UUID, UUID],
        value: Any,
    ) -> None:
        sealed: SealedColumn = column.info["sealed"]
        cell = seal(value, keys[sealed.retention], self._places.of(sealed), row[1], row[0])
        batch.cells.append((*row, sealed.uid, cell))
        if column is number_holding.c.number:
            batch.tags.append((*row, self._ring.tag(NUMBER_INDEX, value)))

    async def _write(self, batch: _Batch) -> None:
        copy, execute = self._connection.copy_records_to_table, self._connection.execute
        await execute("TRUNCATE clone, clone_cell, clone_tag")
        await copy("clone", records=batch.clones)
        await copy("clone_cell", records=batch.cells)
        await copy("clone_tag", records=batch.tags)
        for table in metadata.sorted_tables:
            if table.info["dist"] == "by customer" and table.name not in LEFT_OUT:
                await execute(_cloned(table))
        await execute(NUMBERS)
        await copy("data_key", columns=KEY_COLUMNS, records=batch.keys)


def _rows_with(column: Column[Any]) -> str:
    key, table = ROW_KEYS[column.table], column.table.name
    return f'SELECT customer_id, {key} FROM {table} WHERE customer_id = ANY($1) AND "{column.name}" IS NOT NULL'  # noqa: S608 -- our own names


def _cloned(table: Table) -> str:
    """The statement that clones the rows of a table by customer."""
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    values = ", ".join(_value(column) for column in table.columns)
    return f'INSERT INTO "{table.name}" ({columns}) SELECT {values} FROM clone JOIN "{table.name}" t ON t.customer_id = clone.old_id'  # noqa: S608, E501 -- our own names


def _value(column: Column[Any]) -> str:
    if column.name == "customer_id":
        return "clone.new_id"
    if "sealed" not in column.info:
        return f't."{column.name}"'
    if column not in RESEALED:
        return "NULL"
    row = "clone.new_id" if column.table is customer else f"t.{ROW_KEYS[column.table]}"
    uid = column.info["sealed"].uid
    return f"(SELECT x.cell FROM clone_cell x WHERE x.new_id = clone.new_id AND x.row_id = {row} AND x.uid = {uid})"  # noqa: S608
