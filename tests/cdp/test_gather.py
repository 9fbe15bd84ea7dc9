"""Gathering: calls that meet share a statement and nothing else."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import asyncpg
import pytest

from cdp.errors import StoreUnavailable
from cdp.gather import MOST_TOGETHER, MOST_WAITING, Gatherer
from cdp.settings import Settings
from cdp.statement import Statement
from cdp.stores import Stores, open_stores

# A key of 0 cannot be divided by; a key above 100 takes its time; the rest answer with what the table holds.
SHARED = Statement.of(
    """SELECT 1 AS root, key_no, 100 / key AS part, (SELECT count(*) FROM document) AS documents,
              CASE WHEN key > 100 THEN pg_sleep(0.2) END AS slept
       FROM unnest($1::int[]) WITH ORDINALITY AS k (key, key_no)""",
    ["key"],
    {"key"},
)
KEYLESS = Statement.of("SELECT 1 AS root, 1::bigint AS key_no, $1::int AS part, pg_sleep(0.05)", ["part"], set())


class Wire(Counter[str]):
    """How often each statement was executed."""

    async def listen(self, connection: asyncpg.Connection) -> None:
        connection.add_query_logger(lambda record: self.update([record.query]))


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
async def stores(settings: Settings, store_urls: dict[str, str], wire: Wire) -> AsyncIterator[Stores]:
    stores = await open_stores(settings, store_urls, init=wire.listen)
    yield stores
    await stores.close()


@pytest.fixture
def gatherer(stores: Stores) -> Gatherer:
    return Gatherer(stores["cn"])


async def part_of(gatherer: Gatherer, key: int) -> int:
    [row] = await gatherer.rows(SHARED, [key], ())
    found: int = row["part"]
    return found


async def test_calls_that_meet_share_statements_and_get_their_own_rows(gatherer: Gatherer, wire: Wire) -> None:
    keys = list(range(1, 2 * MOST_TOGETHER + 2))
    assert await asyncio.gather(*(part_of(gatherer, key) for key in keys)) == [100 // key for key in keys]
    # All of them came before the first lane began.
    assert wire[SHARED.text] == 3


async def test_a_call_that_comes_alone_does_not_wait_for_company(gatherer: Gatherer, wire: Wire) -> None:
    for key in (1, 2, 5):
        assert await part_of(gatherer, key) == 100 // key
    assert wire[SHARED.text] == 3


async def test_calls_without_keys_are_answered_by_one_execution(gatherer: Gatherer, wire: Wire) -> None:
    answers = await asyncio.gather(*(gatherer.rows(KEYLESS, [], (part,)) for part in [7] * 40 + [8] * 40))
    assert [rows[0]["part"] for rows in answers] == [7] * 40 + [8] * 40
    assert wire[KEYLESS.text] == 2


async def test_one_that_fails_fails_alone(gatherer: Gatherer) -> None:
    keys = [1, 2, 0, 4, 5]
    outcomes = await asyncio.gather(*(part_of(gatherer, key) for key in keys), return_exceptions=True)
    assert isinstance(outcomes[2], asyncpg.DivisionByZeroError)
    assert [one for one in outcomes if not isinstance(one, BaseException)] == [100, 50, 25, 20]
    assert await part_of(gatherer, 10) == 10


async def test_what_was_committed_before_a_call_is_seen_by_it_though_others_wait(
    gatherer: Gatherer, stores: Stores
) -> None:
    running = asyncio.create_task(gatherer.rows(SHARED, [200], ()))
    await asyncio.sleep(0.05)
    waiting = asyncio.create_task(gatherer.rows(SHARED, [1], ()))
    await asyncio.sleep(0)
    async with stores["cn"].transaction() as connection:
        await connection.execute("INSERT INTO document VALUES ('\\x01', 'query { me }', 'me', now())")
    after = await gatherer.rows(SHARED, [1], ())
    assert after[0]["documents"] == 1
    assert (await running)[0]["documents"] == 0, "it began before"
    assert (await waiting)[0]["documents"] == 1, "it came before and was executed after"


async def test_one_that_was_cancelled_is_not_asked_for(gatherer: Gatherer) -> None:
    running = asyncio.create_task(gatherer.rows(SHARED, [200], ()))
    await asyncio.sleep(0.05)
    leaving = asyncio.create_task(gatherer.rows(SHARED, [0], ()))
    staying = asyncio.create_task(gatherer.rows(SHARED, [4], ()))
    await asyncio.sleep(0)
    leaving.cancel()
    assert [rows[0]["part"] for rows in await asyncio.gather(running, staying)] == [0, 25]
    assert leaving.cancelled()
    assert await part_of(gatherer, 2) == 50


async def test_a_statement_of_another_kind_does_not_wait_behind_a_slow_one(gatherer: Gatherer) -> None:
    slow = asyncio.create_task(gatherer.rows(SHARED, [200], ()))
    await asyncio.sleep(0.05)
    await gatherer.rows(KEYLESS, [], (1,))
    assert not slow.done()
    await slow


async def test_no_call_is_forgotten_between_the_end_of_a_lane_and_the_next(gatherer: Gatherer) -> None:
    async def one_after_the_other(count: int) -> int:
        return sum([await part_of(gatherer, 1 + number % 9) for number in range(count)])

    async with asyncio.timeout(30):
        sums = await asyncio.gather(*(one_after_the_other(60) for _ in range(12)))
    assert len(set(sums)) == 1


async def test_too_many_are_refused_at_once(gatherer: Gatherer) -> None:
    waiting = [asyncio.create_task(part_of(gatherer, 1)) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="too many requests wait"):
        await part_of(gatherer, 1)
    assert set(await asyncio.gather(*waiting)) == {100}
    assert await part_of(gatherer, 2) == 50


async def test_a_lost_connection_is_told_to_those_who_wait_and_replaced(gatherer: Gatherer, stores: Stores) -> None:
    running = asyncio.create_task(part_of(gatherer, 200))
    await asyncio.sleep(0.05)
    async with stores["cn"].transaction() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = $1 AND pid <> pg_backend_pid()",
            SHARED.text,
        )
    with pytest.raises(StoreUnavailable):
        await running
    assert await part_of(gatherer, 2) == 50


async def test_a_statement_that_takes_too_long_frees_its_line(settings: Settings, store_urls: dict[str, str]) -> None:
    stores = await open_stores(settings.model_copy(update={"statement_seconds": 0.05}), store_urls)
    gatherer = Gatherer(stores["cn"])
    with pytest.raises(StoreUnavailable):
        await part_of(gatherer, 200)
    assert await part_of(gatherer, 2) == 50
    await stores.close()


async def test_a_database_that_says_nothing_is_given_up(settings: Settings, store_urls: dict[str, str]) -> None:
    update = {"statement_seconds": 0.0, "pool_wait_seconds": 0.1}  # no limit of the server's own
    stores = await open_stores(settings.model_copy(update=update), store_urls)
    gatherer = Gatherer(stores["cn"])
    with pytest.raises(StoreUnavailable, match="no answer within"):
        await part_of(gatherer, 200)
    assert await part_of(gatherer, 2) == 50
    await stores.close()
