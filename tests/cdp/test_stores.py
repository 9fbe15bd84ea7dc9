"""Stores: what reads cannot write, what is committed, and what happens when a database is not there."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_law
from hypothesis import strategies as st

from cdp.errors import RequestInvalid, StoreUnavailable
from cdp.settings import Settings
from cdp.stores import Connection, Stores, open_stores

FIRST, LAST = datetime.fromisoformat("0001-01-02"), datetime.fromisoformat("9999-12-30")


async def count(stores: Stores) -> int:
    async with stores["cn"].read() as connection:
        found: int = await connection.fetchval("SELECT count(*) FROM document")
    return found


async def insert(connection: Connection) -> None:
    await connection.execute("INSERT INTO document VALUES ('\\x01', 'query { me }', 'me', now())")


async def test_each_store_is_a_database_of_its_jurisdiction(stores: Stores) -> None:
    assert list(stores) == ["cn", "hk"]
    assert [store.jurisdiction for store in stores.values()] == ["CN", "HK"]
    async with stores["cn"].transaction() as connection:
        await insert(connection)
    async with stores["hk"].read() as connection:
        assert await connection.fetchval("SELECT count(*) FROM document") == 0


async def test_a_transaction_commits_when_its_block_ends(stores: Stores) -> None:
    async with stores["cn"].transaction() as connection:
        await insert(connection)
        assert await count(stores) == 0
    assert await count(stores) == 1


async def test_a_transaction_that_raises_leaves_nothing(stores: Stores) -> None:
    async def refuse() -> None:
        async with stores["cn"].transaction() as connection:
            await insert(connection)
            raise LookupError

    with pytest.raises(LookupError):
        await refuse()
    assert await count(stores) == 0


async def test_a_read_cannot_write(stores: Stores) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with stores["cn"].read() as connection:
            await insert(connection)
    assert await count(stores) == 0


async def test_a_read_is_planned_once_and_never_compiled(stores: Stores) -> None:
    async with stores["cn"].read() as connection:
        names = ("plan_cache_mode", "jit", "TimeZone", "statement_timeout")
        found = [await connection.fetchval(f"SHOW {name}") for name in names]
    assert found == ["force_generic_plan", "off", "UTC", "10s"]


async def test_one_read_is_one_statement_on_the_wire(settings: Settings, store_urls: dict[str, str]) -> None:
    seen: list[str] = []

    async def listen(connection: asyncpg.Connection) -> None:
        connection.add_query_logger(lambda record: seen.append(record.query))

    stores = await open_stores(settings, store_urls, init=listen)
    for _ in range(3):
        async with stores["cn"].read() as connection:
            await connection.fetchval("SELECT 7")
    await stores.close()
    assert seen == ["SELECT 7"] * 3


async def test_a_busy_pool_refuses_after_a_bounded_wait(settings: Settings, store_urls: dict[str, str]) -> None:
    small = settings.model_copy(update={"pool_size": 1, "pool_wait_seconds": 0.05})
    stores = await open_stores(small, store_urls)
    async with stores["cn"].read():
        with pytest.raises(StoreUnavailable, match=r"store cn: no connection within 0\.05 s"):
            await stores["cn"].ping()
    await stores["cn"].ping()
    await stores.close()


async def test_a_statement_that_takes_too_long_is_stopped(settings: Settings, store_urls: dict[str, str]) -> None:
    stores = await open_stores(settings.model_copy(update={"statement_seconds": 0.05}), store_urls)
    with pytest.raises(StoreUnavailable, match="store cn"):
        async with stores["cn"].read() as connection:
            await connection.execute("SELECT pg_sleep(20)")
    await stores["cn"].ping()
    await stores.close()


async def test_a_store_that_is_down_does_not_take_the_other_with_it(
    settings: Settings, store_urls: dict[str, str]
) -> None:
    down = "postgresql://cdp:secret@/cn?host=/nowhere"
    stores = await open_stores(settings, store_urls | {"cn": down})
    with pytest.raises(StoreUnavailable) as refused:
        await stores["cn"].ping()
    assert "secret" not in str(refused.value)
    await stores["hk"].ping()
    await stores.close()


async def test_a_broken_connection_is_reported_and_then_replaced(stores: Stores) -> None:
    async def lose() -> None:
        async with stores["cn"].transaction() as connection:
            await insert(connection)
            async with stores["cn"].transaction() as other:
                await other.execute("SELECT pg_terminate_backend($1)", connection.get_server_pid())
            await connection.execute("SELECT pg_sleep(20)")

    with pytest.raises(StoreUnavailable):
        await lose()
    assert await count(stores) == 0


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("way", ["read", "transaction", "line"])
async def test_a_server_that_ended_the_connection_is_no_store_however_much_of_that_was_heard(
    stores: Stores, store_urls: dict[str, str], way: str, turns: int
) -> None:
    cn = stores["cn"]
    line = cn.read_line()

    async def end(pid: int) -> None:
        other = await asyncpg.connect(store_urls["cn"])
        await other.execute("SELECT pg_terminate_backend($1)", pid)
        while await other.fetchval("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", pid):
            continue
        await other.close()

    async def ask(fetch: Callable[..., Awaitable[list[asyncpg.Record]]]) -> None:
        [[pid]] = await fetch("SELECT pg_backend_pid()")
        with ThreadPoolExecutor(1) as thread:  # the loop hears nothing meanwhile
            thread.submit(asyncio.run, end(pid)).result()
        for _ in range(turns):
            await asyncio.sleep(0)
        await fetch("SELECT 1")

    async def lose() -> None:
        if way == "line":
            return await ask(line.fetch)
        async with cn.read() if way == "read" else cn.transaction() as connection:
            return await ask(connection.fetch)

    for _ in range(2):
        # A line that has heard of it opens another connection.
        with pytest.raises(StoreUnavailable, match="lost") if way != "line" else suppress(StoreUnavailable):
            await lose()
    await cn.ping()
    assert await line.fetch("SELECT 1")


async def test_a_connection_that_cannot_even_roll_back_is_no_store_and_is_replaced(stores: Stores) -> None:
    asking: list[asyncio.Task[object]] = []

    async def leave() -> None:
        async with stores["cn"].transaction() as connection:
            await insert(connection)
            asking.append(asyncio.create_task(connection.fetch("SELECT pg_sleep(20)")))
            await asyncio.sleep(0)
            raise LookupError

    with pytest.raises(StoreUnavailable, match="connection lost"):
        await leave()
    await asyncio.gather(*asking, return_exceptions=True)
    assert await count(stores) == 0


async def test_a_wrong_use_of_a_connection_is_told_as_it_is(stores: Stores) -> None:
    with pytest.raises(asyncpg.InterfaceError, match="expects 1 argument"):
        async with stores["cn"].read() as connection:
            await connection.fetch("SELECT $1::text")
    with pytest.raises(RuntimeError, match="ours"):
        async with stores["cn"].read():
            raise RuntimeError("ours")


async def test_a_cancelled_read_gives_its_connection_back(settings: Settings, store_urls: dict[str, str]) -> None:
    stores = await open_stores(settings.model_copy(update={"pool_size": 1}), store_urls)

    async def wait() -> None:
        async with stores["cn"].read() as connection:
            await connection.execute("SELECT pg_sleep(20)")

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0.1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await stores["cn"].ping()
    await stores.close()


def test_an_unknown_store_is_a_coded_refusal() -> None:
    with pytest.raises(RequestInvalid) as refused:
        Stores({})["mo"]
    assert refused.value.code == "STORE_UNKNOWN"
    assert "mo" not in Stores({})


@given(st.lists(st.datetimes(FIRST, LAST, timezones=st.timezones()), max_size=20))
@settings_of_law(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_an_instant_is_written_as_the_driver_writes_it(stores: Stores, instants: list[datetime]) -> None:
    async with stores["cn"].reader.acquire() as driver, stores["cn"].transaction() as connection:
        texts = await connection.fetchval("SELECT ARRAY(SELECT t::text FROM unnest($1::timestamptz[]) AS t)", instants)
        assert texts == await driver.fetchval("SELECT ARRAY(SELECT t::text FROM unnest($1::timestamptz[]) t)", instants)
        assert await connection.fetchval("SELECT $1::timestamptz[]", instants) == [
            at.astimezone(UTC) for at in instants
        ]


async def test_an_hour_that_comes_twice_is_two(stores: Stores) -> None:
    first = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    async with stores["cn"].transaction() as connection:
        told = await connection.fetchval("SELECT $1::timestamptz[]", [first, first.replace(fold=1)])
    assert told[1] - told[0] == timedelta(hours=1)


async def test_an_instant_without_a_time_zone_is_refused(stores: Stores) -> None:
    with pytest.raises(asyncpg.DataError):
        async with stores["cn"].transaction() as connection:
            await connection.fetchval("SELECT $1::timestamptz", datetime(2026, 3, 1))  # noqa: DTZ001 -- to be refused
