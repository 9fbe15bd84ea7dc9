"""What customers said is in the trail: each word once; a row that was taken back, changed or slipped in is found."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from cdp.audit import AuditTrail
from cdp.audited import tail
from cdp.erasure.gone import word_problems
from cdp.errors import AuditUnavailable
from cdp.ingest import Writer
from cdp.replay import replay
from cdp.sequencer import extend_tree, log_key
from cdp.stores import Store
from cdp.words import log_words
from tests.cdp.doors import accept, rows
from tests.cdp.samples import SAMPLES

WORDS = [name for name in SAMPLES if name.startswith(("Consent", "Objection"))]


@pytest.fixture
async def trail(writer: Writer) -> AsyncIterator[AuditTrail]:
    trail = AuditTrail(writer.stores["cn"], writer.rings["cn"])
    trail.start()
    yield trail
    await trail.close()


@pytest.fixture
async def store(writer: Writer) -> Store:
    """A store in which one customer said everything there is to say."""
    await accept(writer, *(SAMPLES[name] for name in ("CustomerRegistered", "NumberActivated", *WORDS)))
    return writer.stores["cn"]


async def entries(store: Store) -> dict[UUID, str]:
    """The words in the trail: row -> SHA-256."""
    async with store.read() as connection:
        found = [entry for entry in await tail(connection, 1000) if "word" in entry]
    assert len(found) == len({entry["id"] for entry in found})
    return {UUID(entry["id"]): entry["sha256"] for entry in found}


async def said(store: Store) -> set[UUID]:
    consents, objections = await rows(store, "consent_event"), await rows(store, "objection")
    return {row["consent_event_id"] for row in consents} | {row["objection_id"] for row in objections}


async def problems(writer: Writer) -> list[str]:
    ring = writer.rings["cn"]
    async with writer.stores["cn"].read() as connection:
        done = await replay(connection, log_key(ring))
        assert done.problems == []
        found, erased = await word_problems(connection, done.words, ring)
        assert erased == 0
        return found


async def test_every_word_is_an_entry_once(store: Store, trail: AuditTrail, writer: Writer) -> None:
    assert await problems(writer) == []
    assert await log_words(store, trail) == len(WORDS)
    assert await log_words(store, trail) == 0
    assert (await entries(store)).keys() == await said(store)
    assert await rows(store, "unlogged_word") == []
    assert await problems(writer) == []
    await extend_tree(store, writer.rings["cn"])
    assert await problems(writer) == []


async def test_no_word_is_told_and_nobody_named(store: Store, trail: AuditTrail, writer: Writer) -> None:
    await log_words(store, trail)
    [customer] = await rows(store, "customer")
    async with store.read() as connection:
        for entry in await tail(connection, 1000):
            assert set(entry) == {"at", "cells", "customer", "id", "salt", "sequence", "sha256", "word", "worker"}
            assert str(customer["customer_id"]) not in str(entry)


async def test_two_that_write_down_at_once_write_each_word_once(store: Store, trail: AuditTrail) -> None:
    assert sum(await asyncio.gather(*(log_words(store, trail) for _ in range(3)))) == len(WORDS)
    assert (await entries(store)).keys() == await said(store)


async def test_one_that_was_stopped_in_between_writes_nothing_twice(
    store: Store, trail: AuditTrail, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = trail.record
    recorded = 0

    async def stops(*given: object) -> UUID:
        nonlocal recorded
        if recorded == 3:
            raise AuditUnavailable("stopped")
        recorded += 1
        return await record(*given)  # type: ignore[arg-type]  # as they were given

    with monkeypatch.context() as patch:
        patch.setattr(trail, "record", stops)
        with pytest.raises(AuditUnavailable):
            await log_words(store, trail)
    await trail.record({})
    assert len(await entries(store)) == 3
    assert len(await rows(store, "unlogged_word")) == len(WORDS)
    await log_words(store, trail)
    assert (await entries(store)).keys() == await said(store)


ANOTHER = "jsonb_populate_record(one, jsonb_build_object('consent_event_id', gen_random_uuid()))"
CHANGED = {
    "taken back": ("DELETE FROM consent_event WHERE type = 'WITHDRAWN'", "is gone"),
    "an objection taken back": ("DELETE FROM objection WHERE raised", "is gone"),
    "turned round": ("UPDATE consent_event SET type = 'GIVEN' WHERE type = 'WITHDRAWN'", "is not what was said"),
    "back-dated": (
        "UPDATE consent_event SET happened_at = happened_at - interval '1 day' WHERE type = 'GIVEN'",
        "is not what was said",
    ),
    "for somebody else": ("UPDATE objection SET scope = 'elsewhere' WHERE raised", "is not what was said"),
    "slipped in": (
        f"INSERT INTO consent_event SELECT ({ANOTHER}).* FROM consent_event AS one WHERE type = 'GIVEN'",
        "is in the store, and not in the trail",
    ),
}


@pytest.mark.parametrize(("statement", "found"), CHANGED.values(), ids=CHANGED.keys())
async def test_a_word_that_is_not_what_was_said_is_found(
    statement: str, found: str, store: Store, trail: AuditTrail, writer: Writer
) -> None:
    await log_words(store, trail)
    await extend_tree(store, writer.rings["cn"])
    async with store.transaction() as connection:
        assert await connection.execute(statement) in ("UPDATE 1", "DELETE 1", "INSERT 0 1")
    [problem] = await problems(writer)
    assert found in problem
