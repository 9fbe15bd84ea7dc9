"""The log: in whatever order transactions end, a reader has every entry once, and those of a customer in order."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.outbox import START, Entry, Logged, Position, put, read, read_of, settled_below
from cdp.stores import Store, Stores
from cdp.tables import BUCKETS
from cdp.worker import delete_outbox
from tests.cdp.doors import settled

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
WRITERS = 4
CUSTOMERS = [UUID(int=n * BUCKETS + 3) for n in range(1, 3)]
"""All of one bucket."""


async def news(store: Store, after: Position = START, most: int = 1000) -> list[Logged]:
    async with store.read() as connection:
        return await read(connection, 3, after, await settled_below(connection), most)


def types(found: Sequence[Logged]) -> list[str]:
    return [entry.event_type for entry in found]


async def write(connection: asyncpg.Connection, name: str, customer_id: UUID = CUSTOMERS[0]) -> None:
    await put(connection, [Entry(customer_id, name, f"e-{name}", NOW)], NOW)


async def test_what_is_written_before_and_committed_after_is_not_lost(stores: Stores) -> None:
    store = stores["cn"]
    async with store.transaction() as before:
        await write(before, "before")
        async with store.transaction() as after:
            await write(after, "after")
        assert types(await news(store)) == [], "a reader that took this would have passed what is to come"
        async with store.read() as connection:
            assert types(await read_of(connection, CUSTOMERS, START, 10)) == ["after"]
    await settled(store)
    found = await news(store)
    assert types(found) == ["before", "after"]
    assert types(await news(store, found[0].position)) == ["after"]
    assert await news(store, found[1].position) == []


async def test_an_entry_in_its_place_names_customer_and_case_and_nothing_else(stores: Stores) -> None:
    case_id = uuid4()
    async with stores["cn"].transaction() as connection:
        await put(connection, [Entry(CUSTOMERS[0], "CaseOpened", "e", NOW, case_id)], NOW)
    await settled(stores["cn"])
    (found,) = await news(stores["cn"])
    assert found[1:] == (CUSTOMERS[0], "CaseOpened", NOW, case_id)


async def test_a_database_that_counts_anew_is_read_anew(stores: Stores) -> None:
    """As after a restore of a dump: positions and entries of its other life have numbers it has not come to yet."""
    store, far = stores["cn"], 1 << 60
    async with store.transaction() as connection:
        await write(connection, "old")
        await connection.execute("UPDATE outbox SET written = $1", far)
    async with store.transaction() as connection:
        await write(connection, "new")
    await settled(store)
    ahead = Position(far, CUSTOMERS[0])
    assert types(await news(store, ahead)) == ["new"]
    assert await delete_outbox(store, datetime(2000, 1, 1, tzinfo=UTC)) == 0
    assert types(await news(store, ahead)) == ["old", "new"]


STEPS = st.lists(
    st.tuples(st.integers(0, WRITERS - 1), st.sampled_from(["write", "commit", "abort", "read"])),
    min_size=5,
    max_size=40,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(STEPS, st.integers(1, 3))
async def test_a_reader_has_every_committed_entry_once_and_in_order(
    stores: Stores, steps: list[tuple[int, str]], page: int
) -> None:
    """Several writers begin, write and end as they like; whoever reads meanwhile, page by page, loses nothing."""
    store = stores["cn"]
    async with store.transaction() as connection:
        await connection.execute("TRUNCATE outbox")
    async with AsyncExitStack() as closing:
        connections = [await asyncpg.connect(store.writing.url) for _ in range(WRITERS)]
        for one in connections:
            closing.push_async_callback(one.close)
        running: dict[int, asyncpg.transaction.Transaction] = {}
        written: dict[int, list[str]] = {}
        began: dict[str, int] = {}
        ended: dict[str, int] = {}
        seen: list[Logged] = []

        async def look() -> None:
            while found := await news(store, seen[-1].position if seen else START, page):
                seen.extend(found)

        for n, (writer, step) in enumerate(steps):
            if step == "read":
                await look()
            elif step == "write":
                if writer not in running:
                    running[writer], written[writer] = connections[writer].transaction(), []
                    await running[writer].start()
                    began_at = n
                await write(connections[writer], f"{n}", CUSTOMERS[n % 2])
                began[f"{n}"] = began[written[writer][0]] if written[writer] else began_at
                written[writer].append(f"{n}")
            elif writer in running:
                transaction, entries = running.pop(writer), written.pop(writer)
                await (transaction.commit() if step == "commit" else transaction.rollback())
                ended |= dict.fromkeys(entries, n) if step == "commit" else {}
        for transaction in running.values():
            await transaction.rollback()
        await settled(store)
        await look()

    assert sorted(types(seen)) == sorted(ended)
    place = {name: number for number, name in enumerate(types(seen))}
    late = [(a, b) for a in ended for b in ended if ended[a] < began[b] and place[a] > place[b]]
    assert late == [], "who began when the other had ended comes after it"
