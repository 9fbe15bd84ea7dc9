"""What comes to the write door, read: parsed, its store found, its identifiers normalised and tagged."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

from cdp.errors import EventInvalid, RequestInvalid
from cdp.event import Event, parse_event
from cdp.identity.batch import Batch, Record, draft, read
from cdp.identity.resolve import Tags
from cdp.lane import Lane
from cdp.outcome import Outcome, Status, rejected
from cdp.stores import Store
from cdp.usage.columns import Reader, Used
from cdp.values import store_of
from privacy.keys import KeyRing
from privacy.vocabulary import SELF

BATCH: Final = 5_000
"""Events of one transaction."""
STEP: Final = 50
DRAFTS, SAMPLE = 100, 10
CLOCKS_DIFFER: Final = timedelta(days=1)
OPEN: Final = Outcome(Status.REJECTED)
EARLY: Final = Outcome(Status.REVIEW, None, None, "EVENT_EARLY", "at", "an instant that has come")


@dataclass(frozen=True, slots=True)
class Writer:
    """What the door needs: the stores with their keys, which region is kept where, and the clock (aware, UTC).

    `regions` maps a region or its country to the name of a store in `stores`; `rings` has a key ring for each of them.
    Whoever names the `operator`, as a legal entity, means SELF.
    """

    stores: Mapping[str, Store]
    rings: Mapping[str, KeyRing]
    regions: Mapping[str, str]
    clock: Callable[[], datetime]
    operator: str = SELF
    prepared: set[tuple[str, date]] = field(default_factory=set)
    sparing: set[str] = field(default_factory=set)
    """The stores in which most who are registered have been known before: few of them are drafted."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A batch that was read: what became of each body so far, and what is to be written to each store."""

    bodies: Sequence[Mapping[str, Any]]
    now: datetime
    batches: Mapping[str, Batch]
    parsed: list[Record | Outcome]
    of_store: dict[str, list[Record]]
    lanes: dict[str, Lane] = field(default_factory=dict)


class Begun(NamedTuple):
    """Events on their way in: the reading of the first batch of them, and those to be read later."""

    reading: "asyncio.Task[Incoming]"
    later: Sequence[Sequence[Mapping[str, Any]]]


def begin(writer: Writer, classes: Mapping[str, type[Event]], bodies: Sequence[Mapping[str, Any]]) -> Begun:
    """Begins to read events, which may be done while others are being written."""
    later = [bodies[start : start + BATCH] for start in range(BATCH, len(bodies), BATCH)]
    return Begun(asyncio.create_task(read_all(writer, classes, bodies[:BATCH])), later)


async def read_all(writer: Writer, classes: Mapping[str, type[Event]], bodies: Sequence[Mapping[str, Any]]) -> Incoming:
    """Reads a batch, in short steps between which others have their turn."""
    now = writer.clock()
    batches = {
        name: Batch(store, writer.rings[name], Tags(writer.rings[name]), now, writer.operator)
        for name, store in writer.stores.items()
    }
    incoming = Incoming(bodies, now, batches, [OPEN] * len(bodies), {name: [] for name in batches})
    general = partial(_read, writer, classes, incoming)
    incoming.lanes.update((name, Lane(batch, incoming.parsed, general)) for name, batch in batches.items())
    reader = Reader(partial(_served, writer), partial(_tag, batches), now + CLOCKS_DIFFER)
    for start in range(0, len(bodies), STEP):
        used: dict[str, list[tuple[int, Used]]] = {}
        for n, body in enumerate(bodies[start : start + STEP], start):
            if (read := reader.read(body)) is not None:
                used.setdefault(read[3].store, []).append((n, read))
            else:
                general(n)
        for name, some in used.items():
            incoming.lanes[name].take(some)
        await asyncio.sleep(0)
    for name, records in incoming.of_store.items():
        few = SAMPLE if name in writer.sparing else 1
        for start in range(0, len(records), DRAFTS):
            draft(batches[name], records[start : start + DRAFTS : few])
            await asyncio.sleep(0)
    return incoming


def spare(writer: Writer, name: str, records: Sequence[Record]) -> None:
    """Learns from a batch that was written whether drafts are of use in a store."""
    drafted = [record.drawn is not None for record in records if record.draft is not None]
    if drafted:
        (writer.sparing.discard if 2 * sum(drafted) >= len(drafted) else writer.sparing.add)(name)


def _read(writer: Writer, classes: Mapping[str, type[Event]], incoming: Incoming, n: int) -> Record | None:
    """The n-th event on its way to its store, if it is good; if not, what became of it is told."""
    name, body = None, incoming.bodies[n]
    try:
        event = parse_event(classes, body)
        name = _served(writer, event.region)
        if name is None:
            raise EventInvalid("region", "a region that is served here")
        if (country := event.country) and store_of(country, writer.regions) not in {None, name}:
            raise EventInvalid("number", "a number that the store of this region keeps")
        record = read(incoming.batches[name], event, body, n)
    except RequestInvalid as invalid:
        incoming.parsed[n] = rejected(invalid, name)
        return None
    if event.at > incoming.now + CLOCKS_DIFFER:
        incoming.parsed[n] = EARLY._replace(store=name)
        return None
    incoming.parsed[n] = record
    incoming.of_store[name].append(record)
    return record


def _tag(batches: Mapping[str, Batch], name: str, kind: str, text: str, region: str) -> bytes | None:
    try:
        return batches[name].tags.of(kind, text, region)
    except RequestInvalid:
        return None


def _served(writer: Writer, region: str) -> str | None:
    """The store of a region; None where it is not served."""
    name = store_of(region, writer.regions)
    return name if name in writer.stores else None
