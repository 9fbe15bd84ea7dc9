"""Where alembic comes in: on the connection `cdp.migrate` hands over, or at a prompt on the one of `-x url=...`."""

import asyncio
from typing import Any

import asyncpg
from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from cdp.billing import tables as billing
from cdp.consent import tables as consent
from cdp.identity import tables as identity
from cdp.interaction import tables as interaction
from cdp.partitions import is_partition
from cdp.rights import tables as rights
from cdp.tables import metadata
from cdp.usage import tables as usage

DOMAINS = (identity, consent, usage, billing, interaction, rights)  # importing them is what fills the metadata


def is_declared(name: str | None, kind: str, _: Any) -> bool:
    """Partitions come and go with the months; nobody declares them."""
    return not (kind == "table" and name is not None and is_partition(name))


def migrate(connection: Connection) -> None:
    """Runs what alembic was asked for, all of it in one transaction."""
    context.configure(connection=connection, target_metadata=metadata, include_name=is_declared)
    with context.begin_transaction():
        context.run_migrations()


async def migrate_by_url(url: str) -> None:
    """The way of the prompt."""

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(url)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


handed_over = context.config.attributes.get("connection")
if handed_over is not None:
    migrate(handed_over)
else:
    arguments = context.get_x_argument(as_dictionary=True)
    if "url" not in arguments:
        raise SystemExit("which store? alembic -x url=postgresql://... COMMAND")
    asyncio.run(migrate_by_url(str(arguments["url"])))
