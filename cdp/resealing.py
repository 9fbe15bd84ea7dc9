"""Cells get newer data keys: for every customer and class a new generation, then their cells, then the old keys go.

From the first generation of a rotation on everything follows from what is there: a customer and class that has a new
generation beside an older one is not done. Whatever is stopped can go on, and nothing is done twice.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Column, Table

from cdp.context import STORE_ITSELF
from cdp.errors import RequestInvalid
from cdp.key_store import KEYS_OF_CUSTOMERS, LOCK_CUSTOMERS, add_data_keys, key_rows
from cdp.stores import Connection
from cdp.tables import DIALECT, bound_to, metadata
from privacy.errors import KeyUnavailable, SealBroken
from privacy.keys import DataKey, KeyRing, WrappedDataKey
from privacy.seal import Place, reseal
from privacy.vocabulary import RetentionClass

CUSTOMERS: Final = 200
ROWS: Final = 5_000

# The generation to be reached: of a rotation that was stopped, or the next.
TARGET: Final = """
SELECT max(generation) + CASE WHEN count(*) = count(DISTINCT (customer_id, retention)) THEN 1 ELSE 0 END FROM data_key
"""
BEHIND: Final = """
SELECT customer_id, retention FROM data_key WHERE (customer_id, retention) > ($2, $3)
GROUP BY customer_id, retention HAVING max(generation) < $1 ORDER BY customer_id, retention LIMIT $4
"""
STILL_BEHIND: Final = """
SELECT customer_id, retention FROM data_key WHERE customer_id = ANY($2::uuid[])
GROUP BY customer_id, retention HAVING max(generation) < $1 ORDER BY customer_id, retention
"""
TO_DO: Final = """
SELECT DISTINCT customer_id FROM data_key AS old
WHERE ($2::uuid IS NULL OR customer_id > $2) AND generation < $1 AND EXISTS (
    SELECT FROM data_key AS new
    WHERE (new.customer_id, new.retention, new.generation) = (old.customer_id, old.retention, $1)
) ORDER BY customer_id LIMIT $3
"""
DROP_OLD: Final = """
DELETE FROM data_key AS old WHERE customer_id = ANY($2::uuid[]) AND generation < $1 AND EXISTS (
    SELECT FROM data_key AS new
    WHERE (new.customer_id, new.retention, new.generation) = (old.customer_id, old.retention, $1)
)
"""
UNKNOWN_TABLES: Final = """
SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
  AND NOT relispartition AND relname <> ALL($1::text[]) ORDER BY relname LIMIT 1
"""
BY_INDEX: Final = "SET LOCAL enable_seqscan = off"


@dataclass(slots=True)
class Keys:
    """The data keys of some customers, unwrapped when first needed."""

    ring: KeyRing
    target: int
    wrapped: Mapping[tuple[UUID, str, int], WrappedDataKey]
    opened: dict[tuple[UUID, str, int], DataKey] = field(default_factory=dict)

    def of(self, customer_id: UUID, retention: RetentionClass, generation: int) -> DataKey:
        """The key; raises KeyUnavailable where there is none."""
        name = (customer_id, retention.value, generation)
        if name not in self.opened:
            if name not in self.wrapped:
                raise KeyUnavailable("no key of this class and generation")
            self.opened[name] = self.ring.unwrap(self.wrapped[name])
        return self.opened[name]

    def pair(self, customer_id: UUID, retention: RetentionClass, cell: bytes) -> tuple[DataKey, DataKey]:
        """The key a cell was sealed under, and the one it is to be sealed under."""
        before = self.of(customer_id, retention, int.from_bytes(cell[4:8], "big"))
        return before, self.of(customer_id, retention, self.target)


@dataclass(frozen=True, slots=True)
class Resealing:
    """A store whose cells are sealed anew: its keys, the generation to be reached, all tables with sealed columns."""

    ring: KeyRing
    target: int
    tables: Sequence["SealedTable"]


async def sealed_tables(connection: Connection) -> list["SealedTable"]:
    """All tables with sealed columns.

    Raises RequestInvalid TABLES_UNKNOWN where the database has tables this process has not heard of: whatever cells are
    in those would lose their keys.
    """
    if unknown := await connection.fetchval(UNKNOWN_TABLES, [*metadata.tables, "alembic_version"]):
        raise RequestInvalid("TABLES_UNKNOWN", f"table {unknown} is of another version: keys are rotated by that one")
    return [SealedTable(table) for table in metadata.tables.values() if any("sealed" in c.info for c in table.c)]


async def target_of(connection: Connection) -> int:
    """The generation that a rotation is to reach."""
    return await connection.fetchval(TARGET) or 1


async def make_generation(connection: Connection, anew: Resealing, after: tuple[UUID, str]) -> list[tuple[UUID, str]]:
    """Keys of the new generation for the next customers and classes after one of them; returns who they were.

    Whoever is being erased is waited for, and a key that is gone by then gets no successor. Inside a transaction.
    """
    async with key_rows(connection, anew.ring) as keys:
        wanted = [tuple(row) for row in await keys.fetch(BEHIND, anew.target, *after, ROWS)]
        customers = sorted({customer_id for customer_id, _ in wanted})
        await connection.execute(LOCK_CUSTOMERS, customers)
        still = {tuple(row) for row in await keys.fetch(STILL_BEHIND, anew.target, customers)} & {*wanted}
        made = [anew.ring.new_data_key(owner, RetentionClass(kept), anew.target)[1] for owner, kept in sorted(still)]
        if made:
            await add_data_keys(keys, made)
    return wanted


async def customers_to_do(connection: Connection, target: int, after: UUID | None) -> list[UUID]:
    """The next customers after one of them who have keys of the new generation and older ones."""
    return [row[0] for row in await connection.fetch(TO_DO, target, after, CUSTOMERS)]


async def reseal_customers(connection: Connection, anew: Resealing, customers: Sequence[UUID]) -> tuple[int, int]:
    """Seals the cells of customers under the new generation: how many, and how many did not open. In a transaction."""
    await connection.execute(BY_INDEX)
    async with key_rows(connection, anew.ring) as kept_in:
        found = await kept_in.fetch(KEYS_OF_CUSTOMERS, customers)
    rows = [WrappedDataKey(c, RetentionClass(r), *kept) for c, r, *kept in found]
    keys = Keys(anew.ring, anew.target, {(key.customer_id, key.retention.value, key.generation): key for key in rows})
    sealed = broken = 0
    for cells in anew.tables:
        if cells.by_customer or STORE_ITSELF in customers:
            done, lost = await _reseal_table(connection, keys, cells, customers)
            sealed, broken = sealed + done, broken + lost
    return sealed, broken


async def drop_keys(connection: Connection, anew: Resealing, customers: Sequence[UUID]) -> None:
    """Deletes the older keys of customers who have no cell under them. In a transaction after that of the cells."""
    await connection.execute(BY_INDEX)
    needed: set[UUID] = set()
    for cells in anew.tables:
        given = (customers,) if cells.by_customer else ()
        needed |= {row[0] for row in await connection.fetch(cells.owners, _generation(anew.target), *given)}
    async with key_rows(connection, anew.ring) as keys:
        await keys.execute(DROP_OLD, anew.target, [one for one in customers if one not in needed])


async def _reseal_table(
    connection: Connection, keys: Keys, cells: "SealedTable", customers: Sequence[UUID]
) -> tuple[int, int]:
    sealed = 0
    while True:
        given = (customers, ROWS) if cells.by_customer else (ROWS,)
        rows = await connection.fetch(cells.select, _generation(keys.target), *given)
        new, broken = cells.resealed(keys, rows)
        for column, changes in new.items():
            await connection.execute(cells.updates[column], *map(list, zip(*changes, strict=True)))
            sealed += len(changes)
        if len(rows) < ROWS or not new:
            return sealed, broken


def _generation(number: int) -> bytes:
    return number.to_bytes(4, "big")


class SealedTable:
    """One table with sealed columns: its statements, and what its rows become."""

    def __init__(self, table: Table) -> None:
        self.columns = [column for column in table.columns if "sealed" in column.info]
        self.by_customer = "customer_id" in table.columns
        self.key = [column.name for column in table.primary_key]
        self.row_id = bound_to(table)
        self.stale = " OR ".join(f"substring(t.{column.name} from 5 for 4) < {{0}}" for column in self.columns)
        self.name = f'"{table.name}"'
        mine = "t.customer_id = ANY($2::uuid[]) AND" if self.by_customer else ""
        owner = "t.customer_id" if self.by_customer else f"'{STORE_ITSELF}'::uuid"
        wanted = ", ".join([owner, f"t.{self.row_id}", *(f"t.{n}" for n in (*self.key, *self._names()))])
        limit = "$3" if self.by_customer else "$2"
        self.select = f"SELECT {wanted} FROM {self.name} AS t WHERE {mine} ({self.stale.format('$1')}) LIMIT {limit}"  # noqa: S608 -- declared names
        self.owners = f"SELECT DISTINCT {owner} FROM {self.name} AS t WHERE {mine} ({self.stale.format('$1')})"  # noqa: S608 -- declared names
        self.updates = {column.name: self._update(table, column) for column in self.columns}

    def _names(self) -> Iterator[str]:
        return (column.name for column in self.columns)

    def _update(self, table: Table, column: Column[Any]) -> str:
        """Cells that somebody has written meanwhile stay as they are."""
        types = [table.c[name].type.compile(DIALECT) for name in self.key]
        arrays = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate([*types, "bytea", "bytea"], 1))
        same = " AND ".join(f"t.{name} = m.{name}" for name in self.key)
        return (
            f"UPDATE {self.name} AS t SET {column.name} = m.new FROM unnest({arrays}) "  # noqa: S608 -- declared names
            f"AS m ({', '.join(self.key)}, old, new) WHERE {same} AND t.{column.name} = m.old"
        )

    def resealed(self, keys: Keys, rows: Iterable[Any]) -> tuple[dict[str, list[tuple[Any, ...]]], int]:
        """By column, keys of rows with their old and new cells; and how many cells do not open."""
        places = [Place(keys.ring.tenant, keys.ring.store, c.info["sealed"], keys.ring.suite) for c in self.columns]
        new: dict[str, list[tuple[Any, ...]]] = {}
        broken, target = 0, _generation(keys.target)
        for customer_id, row_id, *kept in rows:
            key, cells = kept[: len(self.key)], kept[len(self.key) :]
            for place, column, cell in zip(places, self.columns, cells, strict=True):
                if cell is None or cell[4:8] >= target:
                    continue
                try:
                    made = reseal(cell, keys.pair(customer_id, place.column.retention, cell), place, row_id)
                except (KeyUnavailable, SealBroken):
                    broken += 1
                else:
                    new.setdefault(column.name, []).append((*key, cell, made))
        return new, broken
