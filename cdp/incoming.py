"""What comes to the write door, read: parsed, its store found, its identifiers normalised and tagged."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from cdp.errors import EventInvalid, RequestInvalid
from cdp.event import Event, parse_event
from cdp.identity.batch import Batch, Record, draft, read
from cdp.identity.resolve import Tags
from cdp.outcome import Outcome, Status, rejected
from cdp.stores import Store
from cdp.values import store_of
from privacy.keys import KeyRing

STEP: Final = 100
CLOCKS_DIFFER: Final = timedelta(days=1)
EARLY: Final = Outcome(Status.REVIEW, None, None, "EVENT_EARLY", "at", "an instant that has come")


@dataclass(frozen=True, slots=True)
class Writer:
    """What the door needs: the stores with their keys, which region is kept where, and the clock (aware, UTC).

    `regions` maps a region or its country to the name of a store in `stores`; `rings` has a key ring for each of them.
    """

    stores: Mapping[str, Store]
    rings: Mapping[str, KeyRing]
    regions: Mapping[str, str]
    clock: Callable[[], datetime]
    prepared: set[tuple[str, date]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A batch that was read: what became of each body so far, and what is to be written to each store."""

    bodies: Sequence[Mapping[str, Any]]
    now: datetime
    batches: Mapping[str, Batch]
    parsed: list[Record | Outcome] = field(default_factory=list)
    of_store: dict[str, list[Record]] = field(default_factory=dict)


async def read_all(writer: Writer, classes: Mapping[str, type[Event]], bodies: Sequence[Mapping[str, Any]]) -> Incoming:
    """Reads a batch, in short steps between which others have their turn."""
    now = writer.clock()
    batches = {
        name: Batch(store, writer.rings[name], Tags(writer.rings[name]), now) for name, store in writer.stores.items()
    }
    incoming, latest = Incoming(bodies, now, batches), now + CLOCKS_DIFFER
    for n, body in enumerate(bodies):
        name = None
        try:
            event = parse_event(classes, body)
            name = _store_name(writer, event)
            record = read(batches[name], event, body)
            early = event.at > latest
            incoming.parsed.append(EARLY._replace(store=name) if early else record)
            if not early:
                incoming.of_store.setdefault(name, []).append(record)
        except RequestInvalid as invalid:
            incoming.parsed.append(rejected(invalid, name))
        if n % STEP == STEP - 1:
            await asyncio.sleep(0)
    for name, records in incoming.of_store.items():
        for start in range(0, len(records), STEP):
            draft(batches[name], records[start : start + STEP])
            await asyncio.sleep(0)
    return incoming


def _store_name(writer: Writer, event: Event) -> str:
    """The store of an event's region; raises EventInvalid where it is not served."""
    name = store_of(event.region, writer.regions)
    if name is None or name not in writer.stores:
        raise EventInvalid("region", "a region that is served here")
    return name
