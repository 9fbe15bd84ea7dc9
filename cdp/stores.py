"""Stores: one database per jurisdiction, each with a pool that only reads and a pool that writes; the only commit."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg

from cdp.errors import RequestInvalid, StoreUnavailable
from cdp.settings import Settings

Connection: TypeAlias = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
Init: TypeAlias = Callable[[asyncpg.Connection], Awaitable[None]]

# Without the planner's per-value plans a prepared statement is planned once; just-in-time compilation costs more than
# any of our statements runs.
EVERYWHERE = {"jit": "off", "timezone": "UTC", "application_name": "cdp"}
READING = EVERYWHERE | {"plan_cache_mode": "force_generic_plan", "default_transaction_read_only": "on"}

# What the server says when it is starting, stopping, full, too slow or gone.
GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.QueryCanceledError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
)


@dataclass(frozen=True, slots=True)
class Store:
    """One database; `jurisdiction` is the two-letter code whose law its data is under."""

    name: str
    jurisdiction: str
    reader: asyncpg.Pool
    writer: asyncpg.Pool
    wait_seconds: float

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """A connection on which every statement is its own snapshot and nothing can be written.

        Raises StoreUnavailable when no connection is free within the wait, or the database is gone.
        """
        async with self._borrow(self.reader) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside one transaction: committed when the block ends, rolled back when it raises.

        Raises StoreUnavailable like `read`; when the connection breaks during the commit nobody knows whether it
        happened, which is why every write is idempotent.
        """
        async with self._borrow(self.writer) as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[Connection]:
        """A connection on which every statement is its own transaction: one round trip for a single INSERT.

        Raises StoreUnavailable like `read`; when the connection breaks nobody knows whether the statement happened.
        """
        async with self._borrow(self.writer) as connection:
            yield connection

    async def ping(self) -> None:
        """Raises StoreUnavailable unless the database answers."""
        async with self.read() as connection:
            await connection.fetchval("SELECT 1")

    @asynccontextmanager
    async def _borrow(self, pool: asyncpg.Pool) -> AsyncIterator[Connection]:
        try:
            connection = await pool.acquire(timeout=self.wait_seconds)
        except TimeoutError:
            raise StoreUnavailable(self.name, f"no connection within {self.wait_seconds:g} s") from None
        except (OSError, *GONE) as gone:
            raise StoreUnavailable(self.name, f"cannot connect ({type(gone).__name__})") from None
        try:
            yield connection
        except GONE as gone:
            raise StoreUnavailable(self.name, f"connection lost ({type(gone).__name__})") from gone
        except asyncpg.InterfaceError as misuse:
            if not _is_lost(connection):
                raise
            raise StoreUnavailable(self.name, "connection lost") from misuse
        finally:
            await pool.release(connection)


class Stores(Mapping[str, Store]):
    """The stores this process serves, by name, in the order in which they are asked."""

    def __init__(self, stores: Mapping[str, Store]) -> None:
        self._stores = dict(stores)

    def __getitem__(self, name: str) -> Store:
        try:
            return self._stores[name]
        except KeyError:
            raise RequestInvalid("STORE_UNKNOWN", f"no store is called {name}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._stores

    def __iter__(self) -> Iterator[str]:
        return iter(self._stores)

    def __len__(self) -> int:
        return len(self._stores)

    async def close(self) -> None:
        """Waits for borrowed connections to come back, then closes all of them."""
        for store in self._stores.values():
            await store.reader.close()
            await store.writer.close()


async def open_stores(settings: Settings, urls: Mapping[str, str], init: Init | None = None) -> Stores:
    """The stores of `urls` (name -> PostgreSQL URL); `init` sees each new connection once, for codecs and loggers.

    Connects when first asked: a store that is down must not keep the others from being served.
    """
    statement_milliseconds = str(int(settings.statement_seconds * 1000))
    stores = {}
    for name, url in urls.items():
        reader = await _pool(url, settings.pool_size, READING | {"statement_timeout": statement_milliseconds}, init)
        writer = await _pool(url, settings.pool_size, EVERYWHERE, init)
        stores[name] = Store(name, settings.jurisdiction_of(name), reader, writer, settings.pool_wait_seconds)
    return Stores(stores)


async def _pool(url: str, size: int, server_settings: Mapping[str, str], init: Init | None) -> asyncpg.Pool:
    pool: asyncpg.Pool = await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=size,
        max_inactive_connection_lifetime=0,
        init=init,
        reset=_keep_session,
        statement_cache_size=500,
        max_cached_statement_lifetime=0,
        server_settings=dict(server_settings),
    )
    return pool


def _is_lost(connection: Connection) -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:  # the pool has taken the broken connection back already
        return True


async def _keep_session(_: asyncpg.Connection) -> None:
    """Nothing to reset: no statement of ours changes the session, and the default reset costs 230 us a request.

    asyncpg still rolls back a transaction that was left open before it comes here.
    """
