"""What comes into the outboxes, handed to all who listen by one reader for each store and process.

Nobody who listens asks the store: the reader looks every POLL_SECONDS for what was committed since, for all of them
together. It hands out what is not settled yet, too, so that nobody waits for a transaction that has nothing to do with
them, and remembers it until it is. With each entry goes the place from which on a listener misses nothing, in this
process or another.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

import structlog

from cdp.errors import RequestInvalid, Unavailable
from cdp.outbox import START, Logged, Position, read_of, settled_below
from cdp.stores import Store

POLL_SECONDS: Final = 0.25
PAGE: Final = 1000
MOST_WAITING: Final = 256
MOST_MISSED: Final = 1000

Whose: TypeAlias = tuple[str, UUID]
"""A store and a customer there."""

log = structlog.get_logger()


class Heard(NamedTuple):
    """An entry of a store's log, and the place from which on comes what was not heard yet."""

    store: str
    entry: Logged
    place: Position


class Ear:
    """One who listens. What is not taken in time is not kept: they fell behind, and have to begin anew."""

    __slots__ = ("_behind", "_heard", "whose")

    def __init__(self) -> None:
        self.whose: frozenset[Whose] = frozenset()
        self._heard: asyncio.Queue[Heard] = asyncio.Queue(MOST_WAITING)
        self._behind = False

    def hear(self, heard: Heard) -> None:
        """Keeps it for when it is taken."""
        try:
            self._heard.put_nowait(heard)
        except asyncio.QueueFull:
            self._behind = True

    async def next(self) -> Heard:
        """What comes next. Raises RequestInvalid SLOW_CONSUMER for one who fell behind."""
        if self._behind:
            raise RequestInvalid("SLOW_CONSUMER", "events came faster than they were taken", 429)
        return await self._heard.get()


class News:
    """The logs of some stores, for whoever listens."""

    def __init__(self, stores: Mapping[str, Store]) -> None:
        self._readers = {name: _Reader(store) for name, store in stores.items()}

    async def now(self, store: str) -> Position:
        """The place from which on comes what is not committed yet."""
        async with self._readers[store].store.read() as connection:
            return START._replace(written=await settled_below(connection))

    async def listen(self, ear: Ear, whose: frozenset[Whose]) -> None:
        """Lets an ear hear of these customers, and of no others, whatever is committed from now on."""
        before, ear.whose = ear.whose, ear.whose | whose
        for store, customer_id in whose - before:
            await self._readers[store].add(ear, customer_id)
        self._drop(ear, before - whose)

    def leave(self, ear: Ear) -> None:
        """Lets an ear hear nothing more."""
        self._drop(ear, ear.whose)

    def _drop(self, ear: Ear, whose: frozenset[Whose]) -> None:
        for store, customer_id in whose:
            self._readers[store].drop(ear, customer_id)
        ear.whose -= whose

    async def missed(self, whose: frozenset[Whose], places: Mapping[str, Position]) -> list[Heard]:
        """What came for some customers after these places. Raises RequestInvalid POSITION_EXPIRED for too much."""
        found: list[Heard] = []
        for store, place in places.items():
            if customers := [customer_id for name, customer_id in whose if name == store]:
                async with self._readers[store].store.read() as connection:
                    settled = await settled_below(connection)
                    entries = await read_of(connection, customers, place, MOST_MISSED + 1)
                found += _heard(store, entries, settled)
        if len(found) > MOST_MISSED:
            raise RequestInvalid(
                "POSITION_EXPIRED", f"after: expected at most {MOST_MISSED} events since that position"
            )
        return found

    async def close(self) -> None:
        """Reads no more."""
        for reader in self._readers.values():
            await reader.close()


def _heard(store: str, entries: Sequence[Logged], settled: int) -> Iterator[Heard]:
    """Entries in the order of the log: below the line all that come before one have been heard with it."""
    line = START._replace(written=settled)
    return (Heard(store, entry, entry.position if entry.position.written < settled else line) for entry in entries)


class _Reader:
    """Reads the log of one store while anybody listens."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._ears: dict[UUID, set[Ear]] = {}
        self._below = 0
        self._handed_out: set[UUID] = set()
        """What was not settled when it was handed out."""
        self._reading: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()

    async def add(self, ear: Ear, customer_id: UUID) -> None:
        self._ears.setdefault(customer_id, set()).add(ear)
        async with self._beginning:
            if self._reading is None or self._reading.done():
                async with self.store.read() as connection:
                    self._below = await settled_below(connection)
                self._reading = asyncio.create_task(self._read_on())

    def drop(self, ear: Ear, customer_id: UUID) -> None:
        ears = self._ears.get(customer_id, set())
        ears.discard(ear)
        if not ears:
            self._ears.pop(customer_id, None)

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read_on(self) -> None:
        while self._ears:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self._read()
            except Unavailable as down:
                # Nothing is lost: it goes on from where it is.
                log.warning("news waiting", store=self.store.name, code=down.code)

    async def _read(self) -> None:
        ahead: set[UUID] = set()
        place: Position | None = START._replace(written=self._below)
        async with self.store.read() as connection:
            settled = await settled_below(connection)
            while place is not None:
                entries = await read_of(connection, list(self._ears), place, PAGE)
                for heard in _heard(self.store.name, entries, settled):
                    self._hand_out(heard, ahead if heard.place.written == settled else set())
                place = entries[-1].position if len(entries) == PAGE else None
        self._below, self._handed_out = settled, ahead

    def _hand_out(self, heard: Heard, ahead: set[UUID]) -> None:
        outbox_id = heard.entry.position.outbox_id
        ahead.add(outbox_id)
        if outbox_id not in self._handed_out:
            self._handed_out.add(outbox_id)
            for ear in self._ears.get(heard.entry.customer_id, ()):
                ear.hear(heard)
