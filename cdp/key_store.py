"""Keys at rest: the wrapped keys of the store and of its customers, read and made for many customers at once."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from uuid import UUID

from cdp.context import Cell
from cdp.staging import staged
from cdp.stores import Connection, Store
from cdp.tables import data_key
from privacy.errors import KeyUnavailable
from privacy.keys import (
    DataKey,
    KeyRing,
    KeyRow,
    StoreKeyKind,
    WrappedDataKey,
    WrappedStoreKey,
    create_store_keys,
    share_cursor_key,
)
from privacy.kms import Kms
from privacy.seal import Place, seal_column
from privacy.vocabulary import CustomerState, RetentionClass

KeyName: TypeAlias = tuple[UUID, RetentionClass]
Drawn: TypeAlias = tuple[DataKey, WrappedDataKey]
"""A data key that is new, and the row that keeps it."""
ERASED = (CustomerState.ERASING, CustomerState.ERASED)

STORE_KEYS = """
SELECT kind, epoch, wrapped, settled_at IS NOT NULL AS settled FROM store_key ORDER BY kind, epoch
"""

ADD_STORE_KEY = """
INSERT INTO store_key (kind, epoch, wrapped, settled_at) VALUES ($1, $2, $3, CASE WHEN $4 THEN now() END)
ON CONFLICT DO NOTHING
"""

# Held by whoever writes with the newest keys until the commit, and by a rotation, alone, when other keys become those:
# what is written after that is written with them.
WRITING = 7_105_001
HOLD = f"SELECT pg_advisory_xact_lock_shared({WRITING})"
HOLD_ALONE = f"SELECT pg_advisory_xact_lock({WRITING})"

# The wrapped keys of some customers in some classes, every generation.
DATA_KEYS = """
SELECT customer_id, retention, generation, epoch, wrapped FROM data_key
WHERE customer_id = ANY($1::uuid[]) AND retention = ANY($2::text[]) ORDER BY generation
"""

KEYS_OF_CUSTOMERS = """
SELECT customer_id, retention, generation, epoch, wrapped FROM data_key WHERE customer_id = ANY($1::uuid[])
"""

# Held until the transaction ends, so that an erasure waits for a key that is being made, or the key for the erasure.
ERASED_OF = "SELECT customer_id FROM customer WHERE customer_id = ANY($1::uuid[]) AND state = ANY($2::text[])"
LOCK_CUSTOMERS = "SELECT FROM customer WHERE customer_id = ANY($1::uuid[]) ORDER BY customer_id FOR SHARE"

NEWEST_GENERATIONS = """
SELECT customer_id, max(generation) FROM data_key WHERE customer_id = ANY($1::uuid[]) GROUP BY customer_id
"""

IN_USE = "SELECT EXISTS (SELECT FROM customer) OR EXISTS (SELECT FROM audit_entry)"

# Of two writers one makes the key; the other reads it again.
KEY_COLUMNS = tuple(column.name for column in data_key.columns)
ADD_DATA_KEYS = """
INSERT INTO data_key (customer_id, retention, generation, epoch, wrapped)
SELECT customer_id, retention, generation, epoch, wrapped FROM {} ON CONFLICT DO NOTHING
"""


async def store_keys(connection: Connection) -> list[WrappedStoreKey]:
    """The store's own keys, every epoch."""
    return as_store_keys(await connection.fetch(STORE_KEYS))


def as_store_keys(rows: Iterable[Sequence[Any]]) -> list[WrappedStoreKey]:
    """Store keys from the rows of STORE_KEYS."""
    return [WrappedStoreKey(StoreKeyKind(kind), *kept) for kind, *kept in rows]


async def hold_keys(connection: Connection, ring: KeyRing) -> None:
    """Takes in the newest keys, which stay the newest until the transaction ends. Who writes with keys begins so."""
    await connection.execute(HOLD)
    await keep_up(connection, ring)


async def keep_up(connection: Connection, ring: KeyRing) -> None:
    """Takes in the keys that were added to the store; raises KmsRefused or KeyUnavailable."""
    async with key_rows(connection, ring) as keys:
        await ring.keep_up(await store_keys(keys))


@asynccontextmanager
async def key_rows(connection: Connection, ring: KeyRing) -> AsyncIterator[Connection]:
    """Where a transaction of the store finds the rows of its keys: itself, or a transaction of their own database.

    That one is committed first: a key without a cell does no harm.
    """
    if ring.kept_in is None:
        yield connection
    else:
        async with ring.kept_in.transaction() as keys:
            yield keys


async def ensure_store_keys(stores: Sequence[Store], kms: Kms, tenant: str) -> None:
    """Makes the keys that the stores of one deployment lack; the first store's cursor key is shared with the others.

    Raises KmsRefused when the KMS does not answer, and KeyUnavailable for a store that has data and no keys: what was
    written with those that are elsewhere, or lost, would be found by nobody. Safe when two processes start at once: one
    of them makes each key.
    """
    for n, store in enumerate(stores):
        async with store.keys.read() as connection:
            has = {key.kind for key in await store_keys(connection)}
        missing = [kind for kind in StoreKeyKind if kind not in has and (n == 0 or kind is not StoreKeyKind.CURSOR)]
        if not has and await _in_use(store):
            raise KeyUnavailable(f"store {store.name} has data, and no keys: are they in another CDP_KEY_STORE?")
        if missing:
            await _add(store, await create_store_keys(kms, tenant, store.name, missing))
        if n > 0 and StoreKeyKind.CURSOR not in has:
            async with stores[0].keys.read() as connection:
                cursors = [key for key in await store_keys(connection) if key.kind is StoreKeyKind.CURSOR]
            await _add(store, [await share_cursor_key(kms, tenant, stores[0].name, key, store.name) for key in cursors])


async def _in_use(store: Store) -> bool:
    async with store.read() as connection:
        return bool(await connection.fetchval(IN_USE))


async def _add(store: Store, keys: Iterable[WrappedStoreKey]) -> None:
    async with store.keys.transaction() as connection:
        for key in keys:
            await add_store_key(connection, key)


async def add_store_key(connection: Connection, key: WrappedStoreKey) -> None:
    """Keeps a key of the store, unless it has one of that kind and epoch. Inside a transaction."""
    await connection.execute(ADD_STORE_KEY, key.kind.value, key.epoch, key.wrapped, key.settled)


async def unlock(store: Store, kms: Kms, tenant: str) -> KeyRing:
    """The key ring of a store; raises KmsRefused or KeyUnavailable when its keys do not unwrap."""
    async with store.keys.read() as connection:
        wrapped = await store_keys(connection)
    ring = await KeyRing.unlock(kms, tenant, store.name, wrapped)
    ring.kept_in = store.apart
    return ring


async def keys_of_customers(store: Store, customers: Sequence[UUID]) -> dict[UUID, list[KeyRow]]:
    """The wrapped data keys of some customers, all classes and generations, from where the store's keys are."""
    found: dict[UUID, list[KeyRow]] = {}
    async with store.keys.read() as connection:
        for customer_id, *row in await connection.fetch(KEYS_OF_CUSTOMERS, customers):
            found.setdefault(customer_id, []).append(tuple(row))
    return found


async def data_keys(connection: Connection, ring: KeyRing, wanted: Iterable[KeyName]) -> dict[KeyName, DataKey]:
    """The newest key of each customer and class; makes those that are missing. After `hold_keys`.

    Raises KeyUnavailable, and makes none, when a key is missing for a customer who is being or has been erased.
    """
    names = set(wanted)
    keys = await _read(connection, ring, names)
    missing = names - keys.keys()
    if missing:
        made = await _create(connection, ring, missing)
        keys |= made or await _read(connection, ring, missing)
    return keys


async def _read(connection: Connection, ring: KeyRing, names: set[KeyName]) -> dict[KeyName, DataKey]:
    customers = list({customer_id for customer_id, _ in names})
    classes = list({retention.value for _, retention in names})
    async with key_rows(connection, ring) as keys:
        rows = await keys.fetch(DATA_KEYS, customers, classes)
    newest: dict[str, dict[UUID, Sequence[Any]]] = {retention: {} for retention in classes}
    for row in rows:
        newest[row[1]][row[0]] = row
    found = ((name, row) for name in names if (row := newest[name[1]].get(name[0])) is not None)
    return {name: DataKey(*name, row[2], ring.secret_of((*name, row[2], row[3], row[4]))) for name, row in found}


async def _create(connection: Connection, ring: KeyRing, names: set[KeyName]) -> dict[KeyName, DataKey]:
    """Makes keys; none are returned where another writer was first with some."""
    customers = sorted({customer_id for customer_id, _ in names}, key=lambda one: one.int)
    await connection.execute(LOCK_CUSTOMERS, customers)
    if await connection.fetch(ERASED_OF, customers, [state.value for state in ERASED]):
        raise KeyUnavailable("an erased customer gets no new key")
    # A class that is new to a customer is not behind the others: a rotation that is past the customer stays past.
    async with key_rows(connection, ring) as keys:
        newest = dict(await keys.fetch(NEWEST_GENERATIONS, customers))
        made = [ring.new_data_key(*name, newest.get(name[0], 1)) for name in sorted(names, key=_in_order)]
        whole = await add_data_keys(keys, [wrapped for _, wrapped in made])
    return {(key.customer_id, key.retention): key for key, _ in made} if whole else {}


async def add_data_keys(connection: Connection, keys: Iterable[WrappedDataKey]) -> bool:
    """Keeps data keys, unless there are some of their name and generation; whether all of them are kept now."""
    rows = [(key.customer_id, *key.row) for key in keys]
    source, parameters = await staged(connection, data_key, KEY_COLUMNS, rows)
    added: str = await connection.execute(ADD_DATA_KEYS.format(source), *parameters)
    return added == f"INSERT 0 {len(rows)}"


def _in_order(name: KeyName) -> tuple[int, str]:
    return name[0].int, name[1]


def draw_keys(ring: KeyRing, names: Iterable[KeyName]) -> list[Drawn]:
    """The first keys of customers who have none."""
    return [ring.new_data_key(*name) for name in names]


async def seal_cells(
    connection: Connection, ring: KeyRing, cells: Sequence[Cell], made: Mapping[UUID, Sequence[Drawn]]
) -> None:
    """Seals every cell under the key of its customer and class. After `hold_keys`.

    `made` are customers nobody knows yet, with keys that were drawn for them: these are kept, and what else they need.
    """
    names = {(cell.customer_id, cell.column.retention) for cell in cells}
    keys: dict[KeyName, DataKey] = {}
    if made:
        drawn = [one for some in made.values() for one in some]
        keys = {(key.customer_id, key.retention): key for key, _ in drawn}
        rows = sorted((wrapped.customer_id, *wrapped.row) for _, wrapped in drawn)
        await connection.copy_records_to_table(data_key.name, records=rows, columns=KEY_COLUMNS)
        # Of another class there may be one: what is of usage is sealed before.
        more = draw_keys(ring, sorted(name for name in names if name[0] in made and name not in keys))
        if not more or await add_data_keys(connection, [wrapped for _, wrapped in more]):
            keys |= {(key.customer_id, key.retention): key for key, _ in more}
    if others := names - keys.keys():
        keys |= await data_keys(connection, ring, others)
    seal_under(ring, cells, keys)


def seal_under(ring: KeyRing, cells: Sequence[Cell], keys: Mapping[KeyName, DataKey]) -> None:
    """Seals every cell under one of these keys."""
    columns: dict[int, list[Cell]] = {}
    for cell in cells:
        columns.setdefault(id(cell.column), []).append(cell)
    for some in columns.values():
        column = some[0].column
        values = [(cell.value, keys[cell.customer_id, column.retention], cell.row_id.bytes) for cell in some]
        made = seal_column(values, Place(ring.tenant, ring.store, column, ring.suite))
        for cell, sealed in zip(some, made, strict=True):
            cell.cell = sealed
