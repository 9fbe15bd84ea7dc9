"""The worker: months are ready before they begin, the outbox does not grow for ever, and no failure stops the rest."""

import asyncio
import os
import signal
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from cdp.billing import tables as _billing  # noqa: F401 -- the whole metadata is asked below
from cdp.outbox import Entry, put
from cdp.stores import Store, Stores
from cdp.tables import metadata
from cdp.worker import (
    PARTITIONED,
    Job,
    coming_months,
    delete_outbox,
    jobs,
    pause_seconds,
    stop_on_signals,
    work,
    work_once,
)

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)


async def partitions(store: Store) -> set[str]:
    async with store.read() as connection:
        return {row[0] for row in await connection.fetch("SELECT inhrelid::regclass::text FROM pg_inherits")}


async def put_events(store: Store, recorded_at: datetime, count: int) -> None:
    async with store.transaction() as connection:
        await put(connection, [Entry(uuid4(), "BillIssued", f"e-{n}", NOW) for n in range(count)], recorded_at)


async def outbox_instants(store: Store) -> set[datetime]:
    async with store.read() as connection:
        return {row[0] for row in await connection.fetch("SELECT DISTINCT recorded_at FROM outbox")}


def test_every_partitioned_table_is_prepared() -> None:
    found = {name for name, table in metadata.tables.items() if table.dialect_options["postgresql"]["partition_by"]}
    assert {table.name for table in PARTITIONED} == found


def test_months_go_over_the_end_of_the_year() -> None:
    months = [date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1), date(2027, 2, 1)]
    assert coming_months(date(2026, 11, 30)) == months


async def test_the_jobs_of_a_worker_prepare_the_coming_months_in_every_store(stores: Stores) -> None:
    assert await work_once(stores.values(), jobs()) == 0
    wanted = {
        f"{table.name}_{month:%Y%m}" for table in PARTITIONED for month in coming_months(datetime.now(UTC).date())
    }
    for store in stores.values():
        assert wanted <= await partitions(store)
    assert await work_once(stores.values(), jobs()) == 0


async def test_old_rows_leave_the_outbox_and_newer_ones_stay(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdp.worker.DELETED_AT_ONCE", 3)
    for days in (40, 30, 29):
        await put_events(stores["cn"], NOW - timedelta(days=days), 40)
    await put_events(stores["hk"], NOW - timedelta(days=40), 1)
    assert await delete_outbox(stores["cn"], NOW - timedelta(days=30)) == 40
    assert await outbox_instants(stores["cn"]) == {NOW - timedelta(days=30), NOW - timedelta(days=29)}
    assert await outbox_instants(stores["hk"]) == {NOW - timedelta(days=40)}


async def test_a_failing_job_is_tried_again_and_the_others_go_on(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdp.worker.RETRY_SECONDS", 0.001)
    ran: list[tuple[str, str]] = []
    stop = asyncio.Event()

    async def fail_twice(store: Store) -> None:
        ran.append(("failing", store.name))
        if ran.count(("failing", store.name)) < 3:
            raise LookupError
        if {("failing", "cn"), ("failing", "hk"), ("steady", "cn"), ("steady", "hk")} <= set(ran):
            stop.set()

    async def steady(store: Store) -> None:
        ran.append(("steady", store.name))

    async with asyncio.timeout(10):
        await work(stores.values(), [Job("failing", 60, fail_twice), Job("steady", 60, steady)], stop)
    assert ran.count(("steady", "cn")) == ran.count(("steady", "hk")) == 1
    assert max(ran.count(("failing", "cn")), ran.count(("failing", "hk"))) == 3


async def test_once_tells_how_many_jobs_failed(stores: Stores) -> None:
    async def fail(store: Store) -> None:
        raise LookupError

    assert await work_once(stores.values(), [Job("failing", 60, fail), *jobs()]) == 2


def test_pauses_grow_and_stay_within_the_jobs_turn() -> None:
    job = Job("any", 600, delete_nothing)
    assert [pause_seconds(job, failed) for failed in (0, 1, 2, 3, 50)] == [600, 5, 10, 20, 300]
    assert pause_seconds(Job("often", 3, delete_nothing), 50) == 3


async def delete_nothing(store: Store) -> None:
    return None


async def test_a_signal_stops_the_worker_after_the_running_job(stores: Stores) -> None:
    done: list[UUID] = []
    stop = asyncio.Event()
    stop_on_signals(stop)

    async def slow(store: Store) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()
        await asyncio.sleep(0.01)
        done.append(uuid4())

    async with asyncio.timeout(10):
        await work([stores["cn"]], [Job("slow", 60, slow)], stop)
    assert len(done) == 1


async def test_a_job_that_does_not_end_is_cut_off(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdp.worker.GRACE_SECONDS", 0.01)
    stop, cut_off = asyncio.Event(), asyncio.Event()

    async def endless(store: Store) -> None:
        stop.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut_off.set()

    async with asyncio.timeout(10):
        await work([stores["cn"]], [Job("endless", 60, endless)], stop)
    assert cut_off.is_set()
