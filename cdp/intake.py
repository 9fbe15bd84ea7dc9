"""Events from clients on their way to the write door: each client has its rate, each store its own queue.

A queue is bounded, and whoever comes when it is full, or too fast, is asked to come again before anything of theirs is
read. Events of several stores go each their own way: a slow store holds up nobody who does not write to it.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

from cdp.auth import Role
from cdp.errors import EventInvalid, RequestInvalid
from cdp.ingest import Outcome, Writer, ingest
from cdp.outcome import FORBIDDEN, Status, rejected
from cdp.refused import bury_rejected
from cdp.values import store_of
from cdp.write_keys import count_events
from privacy.blind import Index

MESSAGE_INDEX: Final = Index(uid=140, name="message", version=1)
"""The id of a message is the client's own and may say anything: a keyed hash of it is kept."""
BURST_SECONDS: Final = 10
QUEUE_SECONDS: Final = 1
SEVERAL: Final = "several"

ONLY: Final[Mapping[str, Role]] = {
    "CustomersMerged": Role.STEWARD,
    "CustomersParted": Role.STEWARD,
    "PrivacyRequestAdvanced": Role.OFFICER,
}
"""Events that only some may tell of."""
LINKS: Final = ("CustomerLinked", "CustomerUnlinked")
"""Events that no client with a write key tells of: a link is made by a code."""
APPROVED: Final = ("LedgerCorrected",)
"""Events that no client tells of: the ledger is corrected by an approval."""

# The first instant holds; sorted, so that two batches with the same messages do not wait for each other.
FIRST_SENT = """
INSERT INTO sent_message (message_tag, at) SELECT * FROM unnest($1::bytea[], $2::timestamptz[]) ON CONFLICT DO NOTHING
"""
SENT = "SELECT message_tag, at FROM sent_message WHERE message_tag = ANY($1::bytea[])"


class Sender(NamedTuple):
    """Who sends events: a client, the stores it may write to, at what rate. `by_key` where it has a write key."""

    client: str
    stores: tuple[str, ...]
    per_second: int
    per_day: int | None = None
    role: str = Role.CHANNEL.value
    by_key: bool = False

    @property
    def lane(self) -> str:
        """Which queue its requests wait in."""
        return self.stores[0] if len(self.stores) == 1 else SEVERAL

    def refusal(self, event: Mapping[str, Any], regions: Mapping[str, str]) -> Outcome | None:
        """Why it may not send an event; None where it may, and where the event itself is wrong."""
        name, region = event.get("type"), event.get("region")
        store = store_of(region, regions) if isinstance(region, str) else None
        if store is not None and store not in self.stores:
            return _forbidden("region", "a region that this client may write to", store)
        closed = name in APPROVED or (self.by_key and name in LINKS)
        if closed or ONLY.get(str(name), self.role) != self.role:
            return _forbidden("type", "an event that this client may tell of", store)
        return None


def _later(code: str, message: str, seconds: float) -> RequestInvalid:
    """Nothing is wrong with the request: it may come again after so long."""
    refused = RequestInvalid(code, message, 429)
    refused.retry_seconds = max(1, math.ceil(seconds))
    return refused


def _forbidden(field_name: str, expected: str, store: str | None) -> Outcome:
    return Outcome(Status.REJECTED, None, store, FORBIDDEN, field_name, expected)


class Record(NamedTuple):
    """What came in, and the event it became, or why it became none."""

    came: Any
    event: Mapping[str, Any] | None
    refused: Outcome | None = None


@dataclass(slots=True)
class _Pace:
    """How many events a client may still send now; it goes below nothing by what a request held more than that."""

    left: float
    at: float


@dataclass(slots=True)
class Intake:
    """The way of events from clients to the write door.

    `queue`: how many requests for one store are inside at once; `at_once`: how many of them are written.
    """

    writer: Writer
    queue: int
    at_once: int
    clock: Callable[[], float] = time.monotonic
    _inside: Counter[str] = field(default_factory=Counter)
    _turns: dict[str, asyncio.Semaphore] = field(default_factory=dict)
    _paces: dict[str, _Pace] = field(default_factory=dict)
    _used_up: dict[str, date] = field(default_factory=dict)

    @contextmanager
    def admitted(self, sender: Sender) -> Iterator[None]:
        """A place for one request; raises RequestInvalid (429) where there is none, or the client has sent too much."""
        self._check_pace(sender)
        with self._places([sender.lane]):
            yield

    @contextmanager
    def _places(self, lanes: Sequence[str]) -> Iterator[None]:
        if any(self._inside[lane] >= self.queue for lane in lanes):
            raise _later("QUEUE_FULL", "Too much is being written: send the same again later.", QUEUE_SECONDS)
        self._inside.update(lanes)
        try:
            yield
        finally:
            self._inside.subtract(lanes)

    @contextmanager
    def _moved(self, sender: Sender, names: Sequence[str]) -> Iterator[None]:
        """Where it was not known to which stores a request goes, it waits in their queues now, and in no other."""
        if sender.lane != SEVERAL:
            yield
            return
        with self._places(names):
            self._inside[SEVERAL] -= 1
            try:
                yield
            finally:
                self._inside[SEVERAL] += 1

    def _check_pace(self, sender: Sender) -> None:
        now = self.writer.clock()
        if self._used_up.get(sender.client) == now.date():
            midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
            raise _later("QUOTA_USED", "The client has sent what it may send today.", (midnight - now).total_seconds())
        pace, instant = self._pace(sender), self.clock()
        pace.left = min(sender.per_second * BURST_SECONDS, pace.left + (instant - pace.at) * sender.per_second)
        pace.at = instant
        if pace.left < 0:
            raise _later("RATE_LIMITED", "The client sends too fast.", -pace.left / sender.per_second)

    def _pace(self, sender: Sender) -> _Pace:
        full = float(sender.per_second * BURST_SECONDS)
        return self._paces.setdefault(sender.client, _Pace(full, self.clock()))

    async def take(self, sender: Sender, records: Sequence[Record], source: str) -> list[Outcome]:
        """What became of each record, in order; what is refused goes to the dead letters of its store.

        Raises StoreUnavailable: then some may have been taken in, and the same may be sent again; and RequestInvalid
        (429) before any is, where a store has no place.
        """
        outcomes: list[Outcome | None] = [self._refused(sender, record) for record in records]
        groups: dict[str, list[int]] = {}
        for n, (record, outcome) in enumerate(zip(records, outcomes, strict=True)):
            groups.setdefault(self._store_of(sender, record, outcome), []).append(n)
        with self._moved(sender, [*groups]):
            self._pace(sender).left -= len(records)
            each = (self._write(name, [(records[n], outcomes[n]) for n in of], source) for name, of in groups.items())
            written = await asyncio.gather(*each, return_exceptions=True)
        for of, found in zip(groups.values(), written, strict=True):
            if isinstance(found, BaseException):
                raise found
            for n, outcome in zip(of, found, strict=True):
                outcomes[n] = outcome
        await self._count(sender, len(records))
        return [one for one in outcomes if one is not None]

    def _refused(self, sender: Sender, record: Record) -> Outcome | None:
        if record.event is None:
            return record.refused or rejected(EventInvalid("", "an event"), None)
        return sender.refusal(record.event, self.writer.regions)

    def _store_of(self, sender: Sender, record: Record, outcome: Outcome | None) -> str:
        """Where a record is written, or lies as a dead letter: in its region's store, else in the sender's first."""
        region = None if record.event is None else record.event.get("region")
        found = store_of(region, self.writer.regions) if isinstance(region, str) else None
        if found is None and outcome is not None:
            found = outcome.store
        return sender.stores[0] if found is None or found not in self.writer.stores else found

    async def _write(
        self, name: str, records: Sequence[tuple[Record, Outcome | None]], source: str
    ) -> Sequence[Outcome]:
        """Writes what is of one store, when it is its turn there."""
        ring = self.writer.rings[name]
        only = replace(self.writer, stores={name: self.writer.stores[name]}, rings={name: ring})
        async with self._turns.setdefault(name, asyncio.Semaphore(self.at_once)):
            events = [record.event for record, outcome in records if outcome is None and record.event is not None]
            taken = iter(await ingest(only, events, source) if events else ())
            refused = [(record.came, outcome._replace(store=name)) for record, outcome in records if outcome]
            await bury_rejected(only, source, refused, only.clock())
        return [outcome or next(taken) for _, outcome in records]

    async def _count(self, sender: Sender, events: int) -> None:
        if sender.per_day is None or not events:
            return
        day = self.writer.clock().date()
        if await count_events(self.writer.stores[sender.stores[0]], sender.client, day, events) >= sender.per_day:
            self._used_up[sender.client] = day


async def first_sent(writer: Writer, sender: Sender, sent: Mapping[str, datetime]) -> dict[str, datetime]:
    """Message id -> when it happened, as it was understood when it first came. Raises StoreUnavailable."""
    name = sender.stores[0]
    tags = {one: writer.rings[name].digest(MESSAGE_INDEX, f"{sender.client}\0{one}") for one in sent}
    rows = sorted((tag, sent[one]) for one, tag in tags.items())
    async with writer.stores[name].transaction() as connection:
        await connection.execute(FIRST_SENT, *map(list, zip(*rows, strict=True)))
        found = dict(await connection.fetch(SENT, list(tags.values())))
    return {one: found[tag] for one, tag in tags.items()}
