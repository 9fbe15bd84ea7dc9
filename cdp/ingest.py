"""The write journey: the one door through which anything about a customer gets in.

parse -> number normalised in the region of the record -> resolved as of the event's time -> applied (once per event id)
-> sealed -> outbox -> the only commit. Any number of events at once, from any source; a bad one goes to the dead
letters with its reason and the rest goes through.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from operator import attrgetter, itemgetter
from typing import Any, Final
from uuid import UUID

import asyncpg

from cdp.billing.events import EVENTS as BILLING
from cdp.billing.paid import CHANGES_PAID, count_paid
from cdp.billing.products import ProductActivated
from cdp.billing.states import ABOUT, concerned, take, work_out
from cdp.care.events import EVENTS as CARE
from cdp.care.steps import take_step
from cdp.changes import write
from cdp.consent.events import EVENTS as CONSENT
from cdp.context import STORE_ITSELF
from cdp.erasure.advance import Step, advance
from cdp.errors import EventInvalid, StoreUnavailable
from cdp.event import Event
from cdp.identity.batch import Batch, Record, applied, load, of_kind, take_keys
from cdp.identity.events import EVENTS as IDENTITY
from cdp.identity.resolve import Graph
from cdp.identity.settling import hold, live, merge
from cdp.incoming import BATCH, OPEN, Begun, Incoming, Writer, begin, read_all, spare
from cdp.interaction.events import EVENTS as INTERACTION
from cdp.key_store import seal_cells
from cdp.lane import CONFLICT, Lane
from cdp.outbox import AnEntry, put
from cdp.outcome import Outcome, Status, rejected
from cdp.partitions import ensure_partitions
from cdp.refused import bury_rejected, known_now
from cdp.rights.events import EVENTS as RIGHTS
from cdp.seen import Verdict, remember, seen_before
from cdp.stores import Connection
from cdp.usage.events import EVENTS as USAGE
from cdp.usage.events import UsageRecorded, UsageRerated
from cdp.usage.rerating import rerate
from cdp.usage.tables import usage_record
from privacy.errors import KeyUnavailable

__all__ = ["BATCH", "EVENTS", "Outcome", "Status", "Writer", "finish", "ingest", "take_in"]

EVENTS: Final[Mapping[str, type[Event]]] = {
    event.__name__: event for event in (*IDENTITY, *CONSENT, *USAGE, *BILLING, *INTERACTION, *CARE, *RIGHTS)
}
RETRIES, PREPARED_YEARS = 5, 10
USED: Final = (UsageRecorded, UsageRerated)
STEPS: Final = (*CARE, *RIGHTS)
TURN: Final = attrgetter("turn")


class _Crowded(Exception):
    """Several merges make one person of too many: each has to be tried for itself."""


class _Stale(Exception):
    """What is in the lane was read with older keys."""


CLASHES = (_Crowded, _Stale, asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, KeyUnavailable)
# Statements are planned once per connection, perhaps while the tables are empty; a plan that reads a whole table would
# stay while they grow.
BY_INDEX: Final = "SET LOCAL enable_seqscan = off"


class _Again(Exception):
    """Events that came to nothing had a hold on others of their batch, or on identifiers: the rest has to be done anew
    without them.
    """

    def __init__(self, refused: Sequence[tuple[Record, Outcome]]) -> None:
        super().__init__()
        self.refused = refused


class _Erased(Exception):
    """A customer was erased after they had been found: the events have to be done anew, without them."""


LOST_A_RACE = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.ExclusionViolationError, _Erased)


async def ingest(writer: Writer, events: Sequence[Mapping[str, Any]], source: str) -> list[Outcome]:
    """Takes in events (camelCase mappings) and says in order what became of each. `source` is kept with dead letters.

    Raises StoreUnavailable when a store is gone: sending the same events again is then safe.
    """
    return await finish(writer, begin(writer, EVENTS, events), source)


async def finish(writer: Writer, begun: Begun, source: str) -> list[Outcome]:
    """Takes in events whose reading has begun, as `ingest` does."""
    outcomes, reading = list[Outcome](), begun.reading
    try:
        for later in [*begun.later, None]:
            incoming = await reading
            if later is not None:  # read while the database works on the batch before
                reading = asyncio.create_task(read_all(writer, EVENTS, later))
            outcomes += await take_in(writer, incoming, source)
    finally:
        reading.cancel()
    return outcomes


async def take_in(writer: Writer, incoming: Incoming, source: str) -> list[Outcome]:
    """Writes a batch that was read; what became of each event, in order. Raises StoreUnavailable."""
    for name, batch in incoming.batches.items():
        records, lane = incoming.of_store[name], incoming.lanes[name]
        await _prepare_months(writer, batch, lane.months | {one.event.at.date().replace(day=1) for one in records})
        await _store(batch, sorted(records, key=TURN), lane)
        spare(writer, name, records)
    outcomes = [one if isinstance(one, Outcome) else one.outcome or OPEN for one in incoming.parsed]
    await bury_rejected(writer, source, zip(incoming.bodies, outcomes, strict=True), incoming.now)
    incoming.lanes.clear()  # a lane knows what it is in: both would stay until somebody looks for cycles
    return outcomes


async def _prepare_months(writer: Writer, batch: Batch, months: Iterable[date]) -> None:
    """Partitions for the months of records; rows of very old months go to the default partition."""
    name, oldest = batch.store.name, batch.now.year - PREPARED_YEARS
    missing = {day for day in months if day.year >= oldest and (name, day) not in writer.prepared}
    if missing:
        async with batch.store.transaction() as connection:
            await ensure_partitions(connection, usage_record, missing)
        writer.prepared.update((name, day) for day in missing)


async def _store(batch: Batch, records: Sequence[Record], lane: Lane) -> None:
    """Writes the records of one store and its lane; halves them, without drafts, until one that is refused is alone."""
    waiting = [record for record in records if record.outcome is None]
    if not waiting and not lane.uses:
        return
    try:
        await _write_or_retry(batch, waiting, lane)
    except _Again as again:
        for record, outcome in again.refused:
            record.outcome = outcome
        await _store(batch, waiting, lane)
    except CLASHES:
        if lane.uses:
            await _store(batch, sorted([*waiting, *lane.leave()], key=TURN), lane)
            return
        if any(record.draft is not None for record in waiting):
            # Should there be something of a customer who is not there, rows of theirs have to meet it.
            for record in waiting:
                record.draft = None
            await _store(batch, waiting, lane)
            return
        if len(waiting) == 1:
            waiting[0].outcome = batch.refused("EVENT_CONFLICT", "", "values and references that fit what is there")
            return
        half = len(waiting) // 2
        await _store(batch, waiting[:half], lane)
        await _store(batch, waiting[half:], lane)


async def _write_or_retry(batch: Batch, records: list[Record], lane: Lane) -> None:
    for _ in range(RETRIES):
        with suppress(*LOST_A_RACE), lane.building():
            for record, outcome in zip(records, await _write(batch, records, lane), strict=True):
                record.outcome = outcome
            return
    raise StoreUnavailable(batch.store.name, "too many writers at the same customers")


async def _write(batch: Batch, records: list[Record], lane: Lane) -> list[Outcome]:
    """One transaction: everything that follows from the records and what is in the lane, or nothing. Those that leave
    the lane are added to the records.
    """
    async with batch.store.transaction() as connection:
        await connection.execute(BY_INDEX)
        await take_keys(connection, batch, records)
        if lane.stale:
            raise _Stale
        graph = await load(connection, batch, records, lane.mentioned())
        outcomes = [applied(batch, graph, record) for record in records]
        records += (left := lane.resolve(graph))
        outcomes += [applied(batch, graph, record) for record in left]
        await _recognise(connection, batch, records, outcomes)
        accepted = [n for n, outcome in enumerate(outcomes) if outcome.status is Status.ACCEPTED]
        _done_anew(records, outcomes, (Status.REJECTED, Status.DUPLICATE))
        fresh = []
        verdicts = await _remembered(connection, batch, [records[n] for n in accepted], lane)
        for n, verdict in zip(accepted, verdicts, strict=True):
            if verdict is Verdict.FRESH:
                fresh.append(records[n])
            elif verdict is Verdict.DUPLICATE:
                outcomes[n] = Outcome(Status.DUPLICATE, records[n].customer_id, batch.store.name)
            else:
                outcomes[n] = batch.refused(*CONFLICT)
        _done_anew(records, outcomes, (Status.REJECTED,))
        if fresh or lane.fresh or graph.facts:
            await _follow(connection, batch, graph, (fresh, lane))
    return outcomes


async def _remembered(connection: Connection, batch: Batch, accepted: Sequence[Record], lane: Lane) -> list[Verdict]:
    """Remembers what was accepted, each in its turn, and says of each record what it is; the lane is told."""
    events = [*batch.seen(accepted), *lane.seen()]
    await lane.prepare(connection)
    if not accepted:
        lane.judge(await remember(connection, events))
        return []
    turns = [*(record.turn for record in accepted), *lane.turns()]
    order = sorted(range(len(turns)), key=turns.__getitem__)
    said = dict(zip(order, await remember(connection, [events[n] for n in order]), strict=True))
    verdicts = [said[n] for n in range(len(turns))]
    lane.judge(verdicts[len(accepted) :])
    return verdicts[: len(accepted)]


async def _follow(connection: Connection, batch: Batch, graph: Graph, new: tuple[Sequence[Record], Lane]) -> None:
    """All that follows from records, and from what is in the lane, that are fresh."""
    fresh, lane = new
    made = {record.customer_id: record.drawn for record in fresh if record.drawn is not None}
    if not await hold(connection, fresh, lane.customers, made):
        raise _Erased
    await take(connection, _concerned(fresh))
    await seal_cells(connection, batch.ring, [cell for record in fresh for cell in record.cells], made)
    await write(connection, (change for record in fresh for change in record.puts), made)
    await lane.write(connection)
    await count_paid(connection, (put for record, _ in of_kind(fresh, *CHANGES_PAID) for put in record.puts))
    await rerate(connection, {one.customer_id for one, _ in of_kind(fresh, *USED)} | lane.customers)
    await live(connection, batch, graph, fresh)
    if refused := await merge(connection, batch, fresh):
        raise _Again(refused) if len(refused) == 1 else _Crowded
    await _turn(connection, batch, fresh)
    await _advance(connection, batch, fresh)
    await known_now(connection, fresh, batch.now)
    await put(connection, _in_turn(fresh, lane), batch.now)


def _in_turn(fresh: Sequence[Record], lane: Lane) -> list[AnEntry]:
    """What is passed on, in the order in which it was done."""
    if not fresh:
        return lane.entries()
    entries = [(record.turn, entry) for record in fresh for entry in record.entries]
    entries += zip(lane.turns(fresh=True), lane.entries(), strict=True)
    return [entry for _, entry in sorted(entries, key=itemgetter(0))]


def _concerned(fresh: Sequence[Record]) -> list[UUID]:
    return concerned((record.customer_id, record.event) for record, _ in of_kind(fresh, *ABOUT))


async def _turn(connection: Connection, batch: Batch, fresh: Sequence[Record]) -> None:
    """What products are and should be after these records; the last that closes a circle of them is refused."""
    circles = await work_out(connection, _concerned(fresh))
    for record in reversed(fresh if circles else ()):
        if record.customer_id in circles and isinstance(record.event, ProductActivated) and record.event.relies_on:
            raise _Again(
                [(record, batch.refused("EVENT_INVALID", "reliesOn", "products that do not rely on this one"))]
            )


async def _advance(connection: Connection, batch: Batch, fresh: Sequence[Record]) -> None:
    """What follows from cases and from requests about one's own data, in the order in which they came to it."""
    steps = [(record, Step(record.customer_id, record.event)) for record, _ in of_kind(fresh, *STEPS)]
    for record, step in steps:
        try:
            if isinstance(record.event, RIGHTS):
                await advance(connection, step, (batch.store.jurisdiction, batch.ring), batch.now)
            await take_step(connection, *step)
        except EventInvalid as invalid:
            raise _Again([(record, rejected(invalid, batch.store.name))]) from None


async def _recognise(connection: Connection, batch: Batch, records: Sequence[Record], outcomes: list[Outcome]) -> None:
    """An event that was applied already is a duplicate, also where it would be refused today."""
    refused = [n for n, outcome in enumerate(outcomes) if outcome.status is Status.REJECTED]
    before = await seen_before(connection, [records[n].hashes for n in refused])
    for n in refused:
        if records[n].hashes in before:
            known = None if (one := records[n].customer_id) == STORE_ITSELF else one
            outcomes[n] = Outcome(Status.DUPLICATE, known, batch.store.name)


def _done_anew(records: Sequence[Record], outcomes: Sequence[Outcome], without: Sequence[Status]) -> None:
    """Raises _Again when an event came to nothing after others of the batch may have relied on it."""
    if held := [
        (record, outcome)
        for record, outcome in zip(records, outcomes, strict=True)
        if outcome.status in without and (record.relied_on or record.new is not None)
    ]:
        raise _Again(held)
