"""Stores: one database per jurisdiction, each with a pool that only reads and a pool that writes; the only commit."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

import asyncpg

from cdp.errors import RequestInvalid, StoreUnavailable
from cdp.instants import write_instants
from cdp.settings import Settings

Connection: TypeAlias = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
Init: TypeAlias = Callable[[asyncpg.Connection], Awaitable[None]]

# Without the planner's per-value plans a prepared statement is planned once; just-in-time compilation costs more than
# any of our statements runs.
EVERYWHERE = {"jit": "off", "timezone": "UTC", "application_name": "cdp"}
READING = EVERYWHERE | {"plan_cache_mode": "force_generic_plan", "default_transaction_read_only": "on"}

END_SECONDS = 2.0

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
# What the driver, or the loop, says when it cannot make sense of a connection, as where the server ended it before a
# statement or in one.
SENSELESS = (asyncpg.InterfaceError, asyncpg.InternalClientError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Session:
    """What all connections of one kind have; each keeps the statements that were prepared on it."""

    url: str
    server_settings: Mapping[str, str]
    init: Init | None

    async def pool(self, size: int) -> asyncpg.Pool:
        """A pool that connects when first asked."""
        pool: asyncpg.Pool = await asyncpg.create_pool(
            self.url,
            min_size=0,
            max_size=size,
            max_inactive_connection_lifetime=0,
            init=self.init,
            reset=_keep_session,
            **self._how(),
        )
        return pool

    async def connect(self, seconds: float) -> asyncpg.Connection:
        """A connection of one's own, or TimeoutError."""
        connection = await asyncpg.connect(self.url, timeout=seconds, **self._how())
        if self.init is not None:
            await self.init(connection)
        return connection

    def _how(self) -> dict[str, Any]:
        settings = dict(self.server_settings)
        return {"statement_cache_size": 500, "max_cached_statement_lifetime": 0, "server_settings": settings}


class Line:
    """A connection that one task after the other has to itself, opened when it is first used and again when it broke.

    Taking a connection from a pool and giving it back costs more than a short statement does: whoever executes one
    after the other all day has a line.
    """

    def __init__(self, store: str, session: Session, seconds: float) -> None:
        """`seconds`: how long connecting, and a statement, may take."""
        self._store, self._session, self._seconds = store, session, seconds
        self._connection: asyncpg.Connection | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def open(self) -> asyncpg.Connection:
        """The connection; raises StoreUnavailable where there is none to be had, so that nothing can have happened."""
        if self._connection is None or self._connection.is_closed():
            try:
                self._connection = await self._session.connect(self._seconds)
            except (OSError, TimeoutError, *GONE) as gone:
                raise StoreUnavailable(self._store, f"cannot connect ({type(gone).__name__})") from None
        return self._connection

    async def fetch(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """The rows of a statement, which is its own transaction.

        Raises StoreUnavailable when the database does not answer; whether a write happened nobody knows then.
        """
        connection = await self.open()
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement, *values, timeout=self._seconds)
        except TimeoutError:
            self.drop()
            raise StoreUnavailable(self._store, f"no answer within {self._seconds:g} s") from None
        except OSError as gone:
            raise StoreUnavailable(self._store, f"connection lost ({type(gone).__name__})") from gone
        except (*GONE, *SENSELESS) as failed:
            if (loss := _loss(self._store, connection, failed)) is None:
                raise
            raise loss from failed
        return rows

    def drop(self) -> None:
        """Has no connection any more; what still runs on it is called off, which is not waited for."""
        if self._connection is not None:
            ending = asyncio.create_task(_end(self._connection))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
        self._connection = None

    async def close(self) -> None:
        """Drops the connection, and returns when it is closed."""
        self.drop()
        await asyncio.gather(*self._ending)


@dataclass(frozen=True, slots=True)
class Store:
    """One database; `jurisdiction` is the two-letter code whose law its data is under."""

    name: str
    jurisdiction: str
    reader: asyncpg.Pool
    writer: asyncpg.Pool
    reading: Session
    writing: Session
    wait_seconds: float
    statement_seconds: float
    lines: list[Line] = field(default_factory=list)
    apart: "Store | None" = None
    """Where its keys are, if not with its data."""

    @property
    def keys(self) -> "Store":
        """Where its keys are."""
        return self.apart or self

    def read_line(self) -> Line:
        """A line of the caller's own on which nothing can be written; it is closed with the store."""
        # The server stops a statement that takes too long; one that says nothing at all is given up soon after.
        return self._line(self.reading, self.statement_seconds + self.wait_seconds)

    def write_line(self, seconds: float) -> Line:
        """A line of the caller's own on which every statement is committed; it is closed with the store."""
        return self._line(self.writing, seconds)

    def _line(self, session: Session, seconds: float) -> Line:
        self.lines.append(line := Line(self.name, session, seconds))
        return line

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """A connection on which every statement is its own snapshot and nothing can be written.

        Raises StoreUnavailable when no connection is free within the wait, or the database is gone.
        """
        async with self._borrow(self.reader) as connection:
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """Like `read`, with one snapshot for all statements."""
        async with self._borrow(self.reader) as connection, connection.transaction(isolation="repeatable_read"):
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside one transaction: committed when the block ends, rolled back when it raises.

        Raises StoreUnavailable like `read`; when the connection breaks during the commit nobody knows whether it
        happened, which is why every write is idempotent.
        """
        async with self._borrow(self.writer) as connection, connection.transaction():
            yield connection

    async def ping(self) -> None:
        """Raises StoreUnavailable unless the database answers, and that of its keys."""
        async with self.read() as connection:
            await connection.fetchval("SELECT 1")
        if self.apart is not None:
            await self.apart.ping()

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
        except (*GONE, *SENSELESS) as failed:
            if (loss := _loss(self.name, connection, failed)) is None:
                raise
            raise loss from failed
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
        apart = [store.apart for store in self._stores.values() if store.apart is not None]
        for store in (*self._stores.values(), *apart):
            for line in store.lines:
                await line.close()
            await store.reader.close()
            await store.writer.close()


async def open_stores(settings: Settings, urls: Mapping[str, str], init: Init | None = None) -> Stores:
    """The stores of `urls` (name -> PostgreSQL URL); `init` sees each new connection once, for codecs and loggers.

    Connects when first asked: a store that is down must not keep the others from being served.
    """
    stores = {}
    for name, url in urls.items():
        keys = settings.key_store.get(name)
        apart = None if keys is None else await _open(settings, name, keys, init)
        stores[name] = replace(await _open(settings, name, url, init), apart=apart)
    return Stores(stores)


async def _open(settings: Settings, name: str, url: str, init: Init | None) -> Store:
    statement_milliseconds = str(int(settings.statement_seconds * 1000))
    reading = Session(url, READING | {"statement_timeout": statement_milliseconds}, init)
    writing = Session(url, EVERYWHERE, partial(_with_instants, init))
    reader, writer = await reading.pool(settings.pool_size), await writing.pool(settings.pool_size)
    waits = settings.pool_wait_seconds, settings.statement_seconds
    return Store(name, settings.jurisdiction_of(name), reader, writer, reading, writing, *waits)


def _loss(store: str, connection: Connection, failed: Exception) -> StoreUnavailable | None:
    """What to raise for a failed statement where the database is gone; None where the statement itself failed."""
    if isinstance(failed, GONE):
        return StoreUnavailable(store, f"connection lost ({type(failed).__name__})")
    # Where not even what had begun could be rolled back, something else was raised before.
    stuck = isinstance(failed, asyncpg.InterfaceError) and failed.__context__ is not None
    if (stuck or isinstance(failed, asyncpg.InternalClientError)) and not _is_lost(connection):
        connection.terminate()
    return StoreUnavailable(store, "connection lost") if _is_lost(connection) else None


def _is_lost(connection: Connection) -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:  # the pool has taken the broken connection back already
        return True


async def _end(connection: asyncpg.Connection) -> None:
    with suppress(TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        await connection.close(timeout=END_SECONDS)


async def _with_instants(init: Init | None, connection: asyncpg.Connection) -> None:
    await write_instants(connection)
    if init is not None:
        await init(connection)


async def _keep_session(_: asyncpg.Connection) -> None:
    """Nothing to reset: no statement of ours changes the session, and the default reset costs 230 us a request.

    asyncpg still rolls back a transaction that was left open before it comes here.
    """
