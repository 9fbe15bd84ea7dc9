"""The whole house for tests, over two migrated stores of their own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from cdp.app import prepare
from cdp.house import House, migrate_stores, open_house
from cdp.settings import Settings
from cdp.tables import metadata


@asynccontextmanager
async def prepared_house(settings: Settings) -> AsyncIterator[House]:
    """A house with its keys, its policy and nobody in it."""
    await migrate_stores(settings)
    async with open_house(settings) as house:
        await prepare(house)
        yield house


async def fingerprint(house: House) -> dict[str, str]:
    """Store and table -> a hash of all rows; what reading leaves behind (entries, counts) is not in it."""
    found = {}
    for name, store in house.stores.items():
        for table in metadata.tables:
            if table.startswith("audit_") or table == "transfer_crossing":
                continue
            async with store.read() as connection:
                rows = await connection.fetch(f'SELECT t::text FROM "{table}" AS t ORDER BY 1')
            found[f"{name}.{table}"] = sha256("\n".join(row[0] for row in rows).encode()).hexdigest()
    return found
