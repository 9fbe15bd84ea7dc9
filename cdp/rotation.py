"""Rotations of a store's keys while it is served: root, KEK, data keys, index root.

Each is many small transactions, and says from what is there what is left to do: one that was killed goes on where it
was. Readers and writers of other processes take in new keys by themselves (`hold_keys`, `OpenStore.keep_up`). One
rotation runs in a store at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import asyncpg
from rich.progress import Progress, TaskID

from cdp.errors import RequestInvalid
from cdp.house import open_databases, unlock_store
from cdp.identity.retagging import TAGGED, count_old_tags, move_documents, move_tags, newer_tags, old_tags
from cdp.identity.tables import identification, identifier_index, known_number
from cdp.ingest import EVENTS
from cdp.key_store import HOLD_ALONE, add_store_key, keep_up, key_rows, store_keys
from cdp.resealing import (
    Resealing,
    customers_to_do,
    drop_keys,
    make_generation,
    reseal_customers,
    sealed_tables,
    target_of,
)
from cdp.root_keys import root_kms
from cdp.settings import Settings
from cdp.stores import Connection, Store
from privacy.keys import KeyRing, StoreKeyKind, WrappedDataKey, root_key_id
from privacy.kms import Kms
from privacy.store_keys import WrappedStoreKey, new_store_key, rewrap
from privacy.vocabulary import RetentionClass

DOMAINS: Final = EVENTS
"""With the events of all domains come their tables: a sealed column that was not imported would be forgotten."""
BATCH: Final = 2_000
RETRIES: Final = 10
ROTATING: Final = "SELECT pg_try_advisory_xact_lock(7105002)"
LOST_A_RACE: Final = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
NOBODY: Final = UUID(int=0)

REWRAP_STORE_KEY: Final = "UPDATE store_key SET wrapped = $3 WHERE kind = $1 AND epoch = $2 AND wrapped = $4"
COUNT_OLD_KEYS: Final = "SELECT count(*) FROM data_key WHERE epoch < $1"
OLD_KEYS: Final = """
SELECT customer_id, retention, generation, epoch, wrapped FROM data_key
WHERE epoch < $1 AND (customer_id, retention, generation) > ($2, $3, $4)
ORDER BY customer_id, retention, generation LIMIT $5
"""
REWRAP_DATA_KEYS: Final = """
UPDATE data_key AS k SET epoch = $6, wrapped = m.new
FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bytea[], $5::bytea[])
    AS m (customer_id, retention, generation, old, new)
WHERE (k.customer_id, k.retention, k.generation) = (m.customer_id, m.retention, m.generation) AND k.wrapped = m.old
"""
DROP_OLD_KEKS: Final = """
DELETE FROM store_key WHERE kind = 'KEK' AND epoch < $1 AND NOT EXISTS (SELECT FROM data_key WHERE data_key.epoch < $1)
"""
COUNT_PAIRS: Final = "SELECT count(DISTINCT (customer_id, retention)) FROM data_key"
COUNT_CUSTOMERS: Final = "SELECT count(DISTINCT customer_id) FROM data_key WHERE generation < $1"
SETTLE: Final = "UPDATE store_key SET settled_at = now() WHERE kind = 'INDEX' AND epoch = $1 AND settled_at IS NULL"

Report = Mapping[str, int]


@dataclass(slots=True)
class Rotation:
    """One store whose keys are rotated, and the bar that shows how far it is."""

    store: Store
    ring: KeyRing
    kms: Kms
    bars: Progress
    task: TaskID

    def expect(self, total: int) -> None:
        self.bars.update(self.task, total=total, completed=0)

    def advance(self, count: int) -> None:
        self.bars.update(self.task, advance=count)

    async def step(self, work: Callable[..., Awaitable[Any]], *given: object, at: Store | None = None) -> Any:
        """One transaction, again where another writer was in its way: `work` gets its connection first.

        `at` is the store of the keys where the work needs no data.
        """
        for _ in range(RETRIES):
            try:
                async with (at or self.store).transaction() as connection:
                    return await work(connection, *given)
            except LOST_A_RACE:
                continue
        raise RequestInvalid("ROTATION_HINDERED", "too many writers at the same rows: run the command again", 503)

    async def key_value(self, statement: str, *given: object) -> Any:
        """The one value of a statement about keys, which is a step; None where it has none."""
        return await self.step(_value, statement, *given, at=self.store.keys)

    async def keys(self, kind: StoreKeyKind) -> list[WrappedStoreKey]:
        """The store's keys of a kind, oldest first."""
        async with self.store.keys.read() as connection:
            return [key for key in await store_keys(connection) if key.kind is kind]

    async def begin_epoch(self, kind: StoreKeyKind, epoch: int, *, settled: bool) -> None:
        """Makes a key the newest of its kind when nobody is writing with another."""
        made = await new_store_key(self.kms, self.ring.tenant, self.store.name, kind, epoch)

        async def add(connection: Connection) -> None:
            await connection.execute(HOLD_ALONE)
            async with key_rows(connection, self.ring) as keys:
                await add_store_key(keys, WrappedStoreKey(kind, epoch, made.wrapped, settled))

        await self.step(add)
        await self.step(keep_up, self.ring)


async def _value(connection: Connection, statement: str, *given: object) -> Any:
    return await connection.fetchval(statement, *given)


async def rotate_root(rotation: Rotation) -> Report:
    """A new version of the root key, and every key of the store wrapped by it.

    The version before is not destroyed: backups of the key store are wrapped by it.
    """
    kms, tenant, name = rotation.kms, rotation.ring.tenant, rotation.store.name
    root = root_key_id(tenant, name)
    async with rotation.store.keys.read() as connection:
        keys = await store_keys(connection)
    current = await kms.current_version(root)
    if all(key.root_version == current for key in keys):
        current = await kms.rotate(root)
    rotation.expect(len(keys))
    for key in keys:
        if key.root_version < current:
            row = (key.kind.value, key.epoch, (await rewrap(kms, tenant, name, key)).wrapped, key.wrapped)
            await rotation.key_value(REWRAP_STORE_KEY, *row)
        rotation.advance(1)
    return {"root version": current, "store keys": len(keys)}


async def rotate_kek(rotation: Rotation) -> Report:
    """A new KEK, every data key wrapped by it, and the KEKs before it deleted."""
    keks = await rotation.keys(StoreKeyKind.KEK)
    epoch = keks[-1].epoch
    if len(keks) == 1:
        epoch += 1
        await rotation.begin_epoch(StoreKeyKind.KEK, epoch, settled=True)
    rotation.expect(await rotation.key_value(COUNT_OLD_KEYS, epoch))
    after, done = (NOBODY, "", 0), 0
    while True:
        found = await rotation.step(_rewrap, rotation.ring, epoch, after, at=rotation.store.keys)
        if not found:
            break
        last = found[-1]
        after, done = (last.customer_id, last.retention.value, last.generation), done + len(found)
        rotation.advance(len(found))
    await rotation.key_value(DROP_OLD_KEKS, epoch)
    if len(await rotation.keys(StoreKeyKind.KEK)) > 1:
        raise RequestInvalid("ROTATION_HINDERED", "data keys under an earlier KEK are left: run the command again", 503)
    return {"epoch": epoch, "data keys": done}


async def _rewrap(
    connection: Connection, ring: KeyRing, epoch: int, after: tuple[UUID, str, int]
) -> list[WrappedDataKey]:
    rows = await connection.fetch(OLD_KEYS, epoch, *after, BATCH)
    keys = [WrappedDataKey(customer, RetentionClass(retention), *kept) for customer, retention, *kept in rows]
    if keys:
        new = [ring.wrap(ring.unwrap(key)).wrapped for key in keys]
        changes = [(k.customer_id, k.retention, k.generation, k.wrapped, w) for k, w in zip(keys, new, strict=True)]
        await connection.execute(REWRAP_DATA_KEYS, *map(list, zip(*changes, strict=True)), epoch)
    return keys


async def rotate_dek(rotation: Rotation) -> Report:
    """A new data key for every customer and class, their cells sealed under it, and the keys before it deleted.

    Raises RequestInvalid CELLS_BROKEN when all is done but cells that do not open: their keys stay.
    """
    target = await rotation.step(target_of, at=rotation.store.keys)
    anew = Resealing(rotation.ring, target, await rotation.step(sealed_tables))
    # A class that somebody began to use during the first pass gets its new key in the second.
    for _ in range(2):
        await _make_generations(rotation, anew)
    rotation.expect(await rotation.key_value(COUNT_CUSTOMERS, target))
    sealed = broken = 0
    async for customers in _to_do(rotation, target):
        done, lost = await rotation.step(reseal_customers, anew, customers)
        sealed, broken = sealed + done, broken + lost
        rotation.advance(len(customers))
    if rotation.store.apart is not None:
        # Whoever has read cells that were sealed by older keys, and not those keys yet, has read them by then.
        await asyncio.sleep(rotation.store.wait_seconds + 2 * rotation.store.statement_seconds)
    async for customers in _to_do(rotation, target):
        await rotation.step(drop_keys, anew, customers)
    if broken:
        raise RequestInvalid("CELLS_BROKEN", f"{broken} cells do not open: they stay as they are, and so do their keys")
    return {"generation": target, "cells": sealed}


async def _to_do(rotation: Rotation, target: int) -> AsyncIterator[list[UUID]]:
    after: UUID | None = None
    while customers := await rotation.step(customers_to_do, target, after, at=rotation.store.keys):
        yield customers
        after = customers[-1]


async def _make_generations(rotation: Rotation, anew: Resealing) -> None:
    rotation.expect(await rotation.key_value(COUNT_PAIRS))
    pair = (NOBODY, "")
    while made := await rotation.step(make_generation, anew, pair):
        pair = made[-1]
        rotation.advance(len(made))
    # Whoever began to write with an older key has committed when this is held: cells of older keys only get fewer.
    await rotation.step(_value, HOLD_ALONE)


async def rotate_index(rotation: Rotation) -> Report:
    """A new index root, and the rows of every tag moved to the tag under it."""
    roots = await rotation.keys(StoreKeyKind.INDEX)
    epoch = roots[-1].epoch
    if roots[-1].settled:
        epoch += 1
        await rotation.begin_epoch(StoreKeyKind.INDEX, epoch, settled=False)
    await rotation.step(keep_up, rotation.ring)
    most = (known_number, identifier_index)
    rotation.expect(await rotation.step(count_old_tags, epoch, most))
    moved = 0
    for table in TAGGED:
        after = b""
        while True:
            async with rotation.store.read() as connection:
                found = await old_tags(connection, table, epoch, after, BATCH)
            if not found:
                break
            before = newer_tags(rotation.ring, found)
            await rotation.step(move_tags, before)
            after, moved = found[-1][1], moved + len(before)
            rotation.advance(len(before))
    pair = (NOBODY, NOBODY)
    while done := await rotation.step(move_documents, rotation.ring, epoch, pair, BATCH):
        pair, moved = done[-1], moved + len(done)
    if await rotation.step(count_old_tags, epoch, (*TAGGED, identification)):
        raise RequestInvalid("ROTATION_HINDERED", "tags of an earlier root are left: run the command again", 503)
    await rotation.key_value(SETTLE, epoch)
    return {"epoch": epoch, "tags": moved}


KINDS: Final[Mapping[str, Callable[[Rotation], Awaitable[Report]]]] = {
    "root": rotate_root,
    "kek": rotate_kek,
    "dek": rotate_dek,
    "index": rotate_index,
}


async def rotate(settings: Settings, names: Iterable[str], kind: str, bars: Progress) -> dict[str, Report]:
    """Rotates one kind of key in some stores, one after the other; store -> what was done.

    Raises RequestInvalid ROTATION_RUNNING where another rotation of the store runs.
    """
    reports = {}
    async with open_databases(settings) as stores:
        kms = root_kms(settings)
        for name in names:
            async with alone(stores[name]):
                ring = await unlock_store(settings, kms, stores[name])
                task = bars.add_task(f"{name}: {kind}", total=None)
                reports[name] = await KINDS[kind](Rotation(stores[name], ring, kms, bars, task))
    return reports


@asynccontextmanager
async def alone(store: Store) -> AsyncIterator[None]:
    """Nobody else rotates keys of the store while the block runs; a lock of a process that was killed is none."""
    async with store.transaction() as connection:
        if not await connection.fetchval(ROTATING):
            raise RequestInvalid("ROTATION_RUNNING", f"store {store.name}: another rotation runs", 409)
        yield
