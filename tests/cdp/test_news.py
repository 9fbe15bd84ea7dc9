"""News: one reader for all who listen, and who waits for no transaction that is not about them, and misses none."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest

from cdp.errors import RequestInvalid
from cdp.news import Ear, Heard, News
from cdp.outbox import Entry, put
from cdp.stores import Connection, Stores

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
ONE, OTHER = UUID(int=1), UUID(int=2)
SECONDS = 30.0


@pytest.fixture
async def news(stores: Stores) -> AsyncIterator[News]:
    news = News(stores)
    yield news
    await news.close()


async def happen(connection: Connection, name: str, customer_id: UUID = ONE) -> None:
    await put(connection, [Entry(customer_id, name, f"e-{name}", NOW)], NOW)


async def hear(ear: Ear) -> Heard:
    async with asyncio.timeout(SECONDS):
        return await ear.next()


def types(*heard: Heard) -> list[str]:
    return [one.entry.event_type for one in heard]


async def test_what_is_committed_is_heard_at_once_and_what_began_before_it_is_not_missed(
    stores: Stores, news: News
) -> None:
    store, ear, whose = stores["cn"], Ear(), frozenset({("cn", ONE)})
    begun = await news.now("cn")
    await news.listen(ear, whose)
    async with store.transaction() as before:
        await happen(before, "began before")
        async with store.transaction() as after:
            await happen(after, "committed before")
        first = await hear(ear)
        assert types(first) == ["committed before"]
        later = Ear()
        await news.listen(later, whose)
    second = await hear(ear)
    assert types(second, await hear(later)) == ["began before"] * 2
    assert types(*await news.missed(whose, {"cn": first.place})) == ["began before", "committed before"]
    assert types(*await news.missed(whose, {"cn": begun})) == ["began before", "committed before"]
    async with store.transaction() as connection:
        await happen(connection, "third")
    third = await hear(ear)
    assert types(third) == ["third"], "each is heard once"
    assert await news.missed(whose, {"cn": third.place}) in ([], [third])


async def test_an_ear_hears_of_whom_it_listens_for_and_nobody_else(stores: Stores, news: News) -> None:
    ear, everybody = Ear(), Ear()
    await news.listen(ear, frozenset({("cn", ONE)}))
    await news.listen(everybody, frozenset({("cn", ONE), ("cn", OTHER), ("hk", ONE)}))
    for name in ("cn", "hk"):
        async with stores[name].transaction() as connection:
            await happen(connection, f"{name} one")
            await happen(connection, f"{name} other", OTHER)
    found = [await hear(everybody) for _ in range(3)]
    assert sorted(types(*found)) == ["cn one", "cn other", "hk one"]
    assert types(await hear(ear)) == ["cn one"]
    await news.listen(ear, frozenset({("cn", OTHER)}))
    async with stores["cn"].transaction() as connection:
        await happen(connection, "last one")
        await happen(connection, "last other", OTHER)
    assert types(await hear(ear)) == ["last other"]
    news.leave(ear)
    assert ear.whose == frozenset()


async def test_what_waits_for_an_ear_is_bounded(stores: Stores, news: News, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdp.news.MOST_WAITING", 3)
    slow, quick = Ear(), Ear()
    for ear in (slow, quick):
        await news.listen(ear, frozenset({("cn", ONE)}))
    for n in range(5):
        async with stores["cn"].transaction() as connection:
            await happen(connection, f"{n}")
        assert types(await hear(quick)) == [f"{n}"]
    with pytest.raises(RequestInvalid) as behind:
        await hear(slow)
    assert behind.value.code == "SLOW_CONSUMER"


async def test_too_much_that_was_missed_is_refused(stores: Stores, news: News, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdp.news.MOST_MISSED", 3)
    begun, whose = await news.now("cn"), frozenset({("cn", ONE)})
    async with stores["cn"].transaction() as connection:
        for n in range(4):
            await happen(connection, f"{n}")
    with pytest.raises(RequestInvalid) as expired:
        await news.missed(whose, {"cn": begun})
    assert expired.value.code == "POSITION_EXPIRED"
