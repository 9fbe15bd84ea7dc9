"""The audit trail: durable when told so, one chain per worker, and every change to it is found."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.audit import AuditTrail, uuid7
from cdp.audited import Break, Report, tail, verify
from cdp.errors import AuditUnavailable, StoreUnavailable
from cdp.settings import Settings
from cdp.stores import Store, Stores, open_stores
from privacy.errors import ValueRefused
from privacy.keys import LENGTHS, KeyRing

ENTRY = {"client": "shop-app", "purpose": "service.care", "customers": [{"pseudonym": "00ff", "allowed": 7}]}


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing("cdp", "cn", [(kind, 1, bytes(range(length))) for kind, length in LENGTHS.items()])


@pytest.fixture
async def trail(stores: Stores, ring: KeyRing) -> AsyncIterator[AuditTrail]:
    trail = AuditTrail(stores["cn"], ring)
    trail.start()
    yield trail
    await trail.close()


async def report_of(store: Store) -> Report:
    async with store.read() as connection:
        return await verify(connection)


async def rows_of(store: Store) -> list[asyncpg.Record]:
    async with store.read() as connection:
        return list(await connection.fetch("SELECT * FROM audit_entry ORDER BY worker, sequence"))


async def change(store: Store, statement: str, *values: object) -> None:
    async with store.transaction() as connection:
        assert await connection.execute(statement, *values) not in ("UPDATE 0", "DELETE 0")


async def test_an_entry_is_in_the_store_when_its_id_is_returned(trail: AuditTrail, stores: Stores) -> None:
    given_id = uuid4()
    before = datetime.now(UTC)
    assert await trail.record(ENTRY, given_id) == given_id
    [row] = await rows_of(stores["cn"])
    assert await rows_of(stores["hk"]) == []
    entry = json.loads(row["entry"])
    assert row["entry_id"] == given_id
    assert before <= row["recorded_at"] <= datetime.now(UTC)
    assert {name: entry[name] for name in ENTRY} == ENTRY
    assert (entry["id"], entry["worker"], entry["sequence"]) == (str(given_id), str(row["worker"]), 1)
    assert len(bytes.fromhex(entry["salt"])) == 16
    assert await report_of(stores["cn"]) == Report(1, 1, ())


async def test_the_same_entry_twice_is_two_entries_that_look_unlike(trail: AuditTrail, stores: Stores) -> None:
    first, second = await trail.record(ENTRY), await trail.record(ENTRY)
    assert first != second
    salts = {json.loads(row["entry"])["salt"] for row in await rows_of(stores["cn"])}
    assert len(salts) == 2


async def test_what_the_caller_says_cannot_stand_in_for_what_is_added(trail: AuditTrail, stores: Stores) -> None:
    await trail.record({"sequence": 9, "worker": "mine", "at": "never", "salt": "", "id": "mine"})
    assert await report_of(stores["cn"]) == Report(1, 1, ())


async def test_entries_that_come_at_once_share_few_commits_and_one_chain(trail: AuditTrail, stores: Stores) -> None:
    ids = await asyncio.gather(*(trail.record({**ENTRY, "number": number}) for number in range(500)))
    rows = await rows_of(stores["cn"])
    assert [row["entry_id"] for row in rows] == ids
    assert [row["sequence"] for row in rows] == list(range(1, 501))
    assert await report_of(stores["cn"]) == Report(500, 1, ())
    async with stores["cn"].read() as connection:
        assert await connection.fetchval("SELECT count(DISTINCT xmin::text) FROM audit_entry") == 8


async def test_workers_have_chains_of_their_own(stores: Stores, ring: KeyRing) -> None:
    trails = [AuditTrail(stores["cn"], ring) for _ in range(3)]
    for trail in trails:
        trail.start()
    await asyncio.gather(*(trail.record(ENTRY) for trail in trails * 5))
    for trail in trails:
        await trail.close()
    assert await report_of(stores["cn"]) == Report(15, 3, ())


async def test_closing_writes_what_waits_and_takes_no_more(stores: Stores, ring: KeyRing) -> None:
    trail = AuditTrail(stores["cn"], ring)
    trail.start()
    waiting = [asyncio.create_task(trail.record(ENTRY)) for _ in range(100)]
    await asyncio.sleep(0)
    await trail.close()
    assert len({await task for task in waiting}) == 100
    with pytest.raises(AuditUnavailable):
        await trail.record(ENTRY)
    assert await report_of(stores["cn"]) == Report(100, 1, ())


async def test_an_entry_is_written_though_its_caller_left(trail: AuditTrail, stores: Stores) -> None:
    leaving = asyncio.create_task(trail.record(ENTRY))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait({leaving})
    await trail.record(ENTRY)
    assert await report_of(stores["cn"]) == Report(2, 1, ())


async def test_an_entry_that_is_not_json_is_refused_alone(trail: AuditTrail, stores: Stores) -> None:
    outcomes = await asyncio.gather(
        trail.record(ENTRY), trail.record({"client": object()}), trail.record(ENTRY), return_exceptions=True
    )
    kinds = [UUID, ValueRefused, UUID]
    assert [isinstance(outcome, kind) for outcome, kind in zip(outcomes, kinds, strict=True)] == [True] * 3
    assert await report_of(stores["cn"]) == Report(2, 1, ())


async def test_an_id_that_is_taken_is_refused_alone(trail: AuditTrail, stores: Stores) -> None:
    taken = await trail.record(ENTRY)
    outcomes = await asyncio.gather(
        trail.record(ENTRY), trail.record(ENTRY, taken), trail.record(ENTRY), return_exceptions=True
    )
    kinds = [UUID, AuditUnavailable, UUID]
    assert [isinstance(outcome, kind) for outcome, kind in zip(outcomes, kinds, strict=True)] == [True] * 3
    assert await report_of(stores["cn"]) == Report(3, 1, ())


async def test_while_the_store_refuses_nothing_is_recorded_and_the_chain_waits(
    trail: AuditTrail, stores: Stores
) -> None:
    await trail.record(ENTRY)
    await change(stores["cn"], "ALTER TABLE audit_entry RENAME TO audit_entry_away")
    outcomes = await asyncio.gather(*(trail.record(ENTRY) for _ in range(200)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {AuditUnavailable}
    await change(stores["cn"], "ALTER TABLE audit_entry_away RENAME TO audit_entry")
    await trail.record(ENTRY)
    assert await report_of(stores["cn"]) == Report(2, 1, ())


async def test_a_database_that_is_down_refuses_and_records_nothing_twice(
    settings: Settings, administrator: str, store_urls: dict[str, str], ring: KeyRing
) -> None:
    database = urlsplit(store_urls["cn"]).path[1:]
    superuser = await asyncpg.connect(administrator)
    stores = await open_stores(settings, {"cn": store_urls["cn"]})
    trail = AuditTrail(stores["cn"], ring)
    trail.start()
    first = await trail.record(ENTRY)
    await superuser.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    await superuser.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
    refused = [uuid4() for _ in range(3)]
    for entry_id in refused:
        with pytest.raises(AuditUnavailable):
            await trail.record(ENTRY, entry_id)
    await superuser.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
    again = [await trail.record(ENTRY, entry_id) for entry_id in refused]
    assert sorted(row["entry_id"] for row in await rows_of(stores["cn"])) == sorted([first, *again])
    # A connection that breaks under a statement leaves open whether it happened: then a new chain begins.
    report = await report_of(stores["cn"])
    assert (report.entries, report.breaks) == (4, ())
    await trail.close()
    await stores.close()
    await superuser.close()


async def test_after_a_commit_nobody_knows_about_a_new_worker_begins(
    trail: AuditTrail, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await trail.record(ENTRY)
    fetch = trail._line.fetch

    async def committed_but_not_told(statement: str, *values: object) -> None:
        await fetch(statement, *values)
        raise StoreUnavailable("cn", "connection lost")

    with monkeypatch.context() as patch:
        patch.setattr(trail._line, "fetch", committed_but_not_told)
        with pytest.raises(AuditUnavailable):
            await trail.record(ENTRY)
    await trail.record(ENTRY)
    rows = await rows_of(stores["cn"])
    assert sorted(row["sequence"] for row in rows) == [1, 1, 2]
    assert await report_of(stores["cn"]) == Report(3, 2, ())


async def test_a_database_that_stands_still_is_not_waited_for(stores: Stores, ring: KeyRing) -> None:
    trail = AuditTrail(stores["cn"], ring, write_seconds=0.1)
    trail.start()
    async with stores["cn"].transaction() as holder:
        await holder.execute("LOCK TABLE audit_entry IN EXCLUSIVE MODE")
        outcomes = await asyncio.gather(*(trail.record(ENTRY) for _ in range(100)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {AuditUnavailable}
    await trail.record(ENTRY)
    await trail.close()
    report = await report_of(stores["cn"])
    assert (report.breaks, report.entries) == ((), 1)


async def test_too_many_entries_at_once_are_refused_not_kept_in_memory(
    trail: AuditTrail, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdp.audit.MOST_WAITING", 10)
    outcomes = await asyncio.gather(*(trail.record(ENTRY) for _ in range(15)), return_exceptions=True)
    kinds = [UUID] * 10 + [AuditUnavailable] * 5
    assert [isinstance(outcome, kind) for outcome, kind in zip(outcomes, kinds, strict=True)] == [True] * 15
    assert await report_of(stores["cn"]) == Report(10, 1, ())


async def written(trail: AuditTrail, store: Store) -> UUID:
    """A chain of ten entries; its worker."""
    await asyncio.gather(*(trail.record({**ENTRY, "number": number}) for number in range(10)))
    worker: UUID = (await rows_of(store))[0]["worker"]
    return worker


COPY = "INSERT INTO audit_entry SELECT bucket, gen_random_uuid(), worker,"
TAMPERING = {
    "deleted": ("DELETE FROM audit_entry WHERE sequence = 4", 4),
    "first deleted": ("DELETE FROM audit_entry WHERE sequence = 1", 1),
    "reordered": ("UPDATE audit_entry SET sequence = 9 - sequence WHERE sequence IN (4, 5)", 4),
    "altered": (
        "UPDATE audit_entry SET entry = replace(entry::text, '73686f70', '73686f71')::bytea WHERE sequence = 7",
        7,
    ),
    "no JSON": ("UPDATE audit_entry SET entry = '\\xff' WHERE sequence = 2", 2),
    "another time": ("UPDATE audit_entry SET recorded_at = recorded_at - interval '1 day' WHERE sequence = 3", 3),
    "another link": ("UPDATE audit_entry SET chain = '\\x00' WHERE sequence = 9", 9),
    "another bucket": ("UPDATE audit_entry SET bucket = (bucket + 1) % 16 WHERE sequence = 6", 6),
    "another id": ("UPDATE audit_entry SET entry_id = gen_random_uuid() WHERE sequence = 8", 8),
    "added": (f"{COPY} 11, recorded_at, entry, chain FROM audit_entry WHERE sequence = 10", 11),
}


class UndoneError(Exception):
    """Rolls a test's tampering back."""


async def after(store: Store, statement: str) -> Report:
    """What is reported after this change, which is undone."""
    with contextlib.suppress(UndoneError):
        async with store.transaction() as connection:
            assert await connection.execute(statement) not in ("UPDATE 0", "DELETE 0", "INSERT 0 0")
            report = await verify(connection)
            raise UndoneError
    return report


async def test_tampering_is_found_where_it_begins(trail: AuditTrail, stores: Stores) -> None:
    worker = await written(trail, stores["cn"])
    found = {name: await after(stores["cn"], statement) for name, (statement, _) in TAMPERING.items()}
    assert {name: report.breaks for name, report in found.items()} == {
        name: (Break(worker, position),) for name, (_, position) in TAMPERING.items()
    }
    assert await report_of(stores["cn"]) == Report(10, 1, ())


async def test_a_forked_chain_is_found(trail: AuditTrail, stores: Stores) -> None:
    worker = await written(trail, stores["cn"])
    fork = f"{COPY} sequence, recorded_at, entry, chain FROM audit_entry WHERE sequence >= 6"
    [found] = (await after(stores["cn"], fork)).breaks
    # Of two sixth entries either may come first: one is found at its own place or at the next.
    assert found.worker == worker
    assert found.sequence in {6, 7}


async def test_a_break_in_one_chain_is_not_blamed_on_others(trail: AuditTrail, stores: Stores, ring: KeyRing) -> None:
    worker = await written(trail, stores["cn"])
    other = AuditTrail(stores["cn"], ring)
    other.start()
    await other.record(ENTRY)
    await other.close()
    report = await after(stores["cn"], "DELETE FROM audit_entry WHERE sequence = 2")
    assert report == Report(10, 2, (Break(worker, 2),))


async def test_a_chain_cut_off_at_its_end_still_fits(trail: AuditTrail, stores: Stores) -> None:
    """What only a checkpoint kept elsewhere can show; written down so that nobody believes otherwise."""
    await written(trail, stores["cn"])
    assert await after(stores["cn"], "DELETE FROM audit_entry WHERE sequence > 8") == Report(8, 1, ())


async def test_chains_longer_than_a_page_are_walked_whole(
    trail: AuditTrail, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdp.audited.PAGE_ENTRIES", 3)
    worker = await written(trail, stores["cn"])
    assert await report_of(stores["cn"]) == Report(10, 1, ())
    report = await after(stores["cn"], "DELETE FROM audit_entry WHERE sequence = 8")
    assert report == Report(9, 1, (Break(worker, 8),))


async def test_the_tail_is_the_newest_entries_newest_first(trail: AuditTrail, stores: Stores) -> None:
    for number in range(5):
        await trail.record({"number": number})
    await change(stores["cn"], "UPDATE audit_entry SET entry = '\\xff' WHERE sequence = 4")
    async with stores["cn"].read() as connection:
        assert [entry.get("number") for entry in await tail(connection, 3)] == [4, None, 2]


async def test_an_empty_trail_is_whole(stores: Stores) -> None:
    assert await report_of(stores["cn"]) == Report(0, 0, ())


async def test_a_pseudonym_tells_customers_apart_and_nothing_else(trail: AuditTrail) -> None:
    customer = uuid4()
    known = trail.names.pseudonym(customer, 2026)
    assert known == trail.names.pseudonym(customer, 2026) != trail.names.pseudonym(uuid4(), 2026)
    assert known != trail.names.pseudonym(customer, 2027)
    assert customer.hex not in known
    assert len(bytes.fromhex(known)) == 16


@given(st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1)), st.integers(1, 10**9))  # noqa: DTZ001 -- made aware below
def test_ids_sort_by_their_instant(at: datetime, later: int) -> None:
    at = at.replace(tzinfo=UTC)
    first, second = uuid7(at), uuid7(at + timedelta(milliseconds=later))
    assert first < second
    assert (first.version, first.variant) == (7, uuid4().variant)
