"""A write door for tests: two migrated stores with fresh keys and a clock that stands still."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Column

from cdp.ingest import Outcome, Status, Writer, ingest
from cdp.key_store import data_keys, ensure_store_keys, unlock
from cdp.outbox import WRITTEN, settled_below
from cdp.settings import Settings
from cdp.stores import Store, Stores
from cdp.tables import metadata
from privacy.encoding import decode, unpad
from privacy.keys import KeyRing
from privacy.kms import InsecureFileKms
from privacy.seal import Place, SealedColumn, cipher_of, open_bytes

NOW = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)


async def open_door(settings: Settings, stores: Stores, folder: Path) -> Writer:
    """Makes the stores' keys and opens the door."""
    kms = InsecureFileKms(folder / "keys", "test")
    await ensure_store_keys(list(stores.values()), kms, settings.tenant)
    rings: Mapping[str, KeyRing] = {name: await unlock(store, kms, settings.tenant) for name, store in stores.items()}
    return Writer(stores, rings, settings.regions, lambda: NOW, settings.legal_entity)


async def accept(writer: Writer, *events: Mapping[str, Any]) -> list[Outcome]:
    """Takes in events that must all be new and good."""
    outcomes = await ingest(writer, events, "test")
    assert [one for one in outcomes if one.status is not Status.ACCEPTED] == []
    return outcomes


async def rows(store: Store, table: str, where: str = "true") -> list[dict[str, Any]]:
    """The rows of a table, in the order of its columns."""
    async with store.read() as connection:
        return [dict(row) for row in await connection.fetch(f'SELECT t.* FROM "{table}" AS t WHERE {where} ORDER BY t')]


async def one(store: Store, table: str, where: str = "true") -> dict[str, Any]:
    """The only row."""
    (row,) = await rows(store, table, where)
    return row


async def everything(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """What a store holds of its customers, without what is random: sealed cells, keys, places of outbox entries."""
    random = ("outbox_id", "written", "body_hash")
    kept = {}
    for table in metadata.tables.values():
        if table.info["dist"] == "reference" or table.name.startswith(("data_key", "dead_letter", "audit_")):
            continue
        columns = [c.name for c in table.columns if "sealed" not in c.info and c.name not in random]
        async with store.read() as connection:
            found = await connection.fetch(f'SELECT {", ".join(columns)} FROM "{table.name}"')
        kept[table.name] = sorted((tuple(row) for row in found), key=repr)
    return kept


async def empty(store: Store) -> None:
    """Forgets everybody; the store keeps its keys."""
    names = [f'"{name}"' for name, table in metadata.tables.items() if table.info["dist"] != "reference"]
    async with store.transaction() as connection:
        await connection.execute(f"TRUNCATE {', '.join(names)}")


async def opened(writer: Writer, store: str, column: Column[Any], ids: tuple[UUID, UUID], cell: bytes) -> object:
    """What is in a cell of a customer's row (ids: customer, row), as a second, independent reader finds it."""
    customer_id, row_id = ids
    ring, sealed = writer.rings[store], column.info["sealed"]
    assert isinstance(sealed, SealedColumn)
    async with writer.stores[store].transaction() as connection:
        key = (await data_keys(connection, ring, [(customer_id, sealed.retention)]))[customer_id, sealed.retention]
    bound = Place(ring.tenant, store, sealed).prefix + cell[:8]
    bound += b"".join(b"\0\x10" + part.bytes for part in (row_id, customer_id))
    plain = open_bytes(cipher_of(key), cell[8:20], cell[20:], bound)
    return decode(unpad(plain) if sealed.padded else plain, sealed.cell_type)


def codes(outcomes: Sequence[Outcome]) -> list[str | None]:
    """The code of each outcome, None for one that was not rejected."""
    return [outcome.code for outcome in outcomes]


async def settled(store: Store) -> None:
    """Returns when what was committed before is settled: tests in other databases of the server have transactions."""
    async with store.transaction() as connection:
        now: int = await connection.fetchval(WRITTEN)
    async with asyncio.timeout(60), store.read() as connection:
        while await settled_below(connection) <= now:  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.01)
