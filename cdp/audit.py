"""The audit trail of a store: an entry is durable before the answer it is about may leave.

Entries gather while the group before them is being written; one that comes alone does not wait for company. Each
process that writes is a worker with a chain of its own: entries are numbered from 1, and every link holds all before
it. A group that failed is not in the chain and the next one continues from the last durable entry. When nobody knows
whether a group was committed, the worker ends and a new one begins, so that a chain has neither gaps nor forks.
"""

import asyncio
import os
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid4

import asyncpg
import structlog

from cdp.errors import AuditUnavailable
from cdp.stores import Store
from cdp.tables import BUCKETS
from cdp.values import uuid_of
from privacy.keys import KeyRing
from privacy.log import START, Form, chain

GROUP_ENTRIES: Final = 64
MOST_WAITING: Final = 4096
SALT_BYTES: Final = 16
WRITE_SECONDS: Final = 5.0

WRITE = """
INSERT INTO audit_entry (bucket, entry_id, worker, sequence, recorded_at, entry, chain)
SELECT $1, entry_id, $2, sequence, recorded_at, entry, chain
FROM unnest($3::uuid[], $4::bigint[], $5::timestamptz[], $6::bytea[], $7::bytea[])
    AS given (entry_id, sequence, recorded_at, entry, chain)
"""

# A chain is known before its first entry is: who builds the tree over the entries never searches for one.
BEGIN = """
INSERT INTO audit_chain (bucket, worker, sequenced) VALUES (0, $1, 0) ON CONFLICT DO NOTHING
"""

log = structlog.get_logger()


TRAIL_BLANKS: Final = ("at", "cells", "id", "salt", "sequence", "worker")
"""What the trail itself fills in; `cells` counts those that its worker has opened, this entry's among them."""


@dataclass(slots=True, eq=False)
class _Waiting:
    entry_id: UUID
    at: datetime
    form: Form
    values: dict[str, object]
    durable: "asyncio.Future[UUID]"

    def tell(self, refused: Exception | None = None) -> None:
        """Wakes who waits; a request that was cancelled does not wait any more."""
        if self.durable.done():
            return
        if refused is None:
            self.durable.set_result(self.entry_id)
        else:
            self.durable.set_exception(refused)


@dataclass(slots=True)
class _Group:
    """Entries, leaves and links side by side; `inserted` once a commit may have reached the database."""

    waiting: Sequence[_Waiting]
    leaves: list[bytes]
    links: list[bytes]
    cells: int
    inserted: bool = False


class Names:
    """How customers and those who ask are called in a store's trail; another year, another name."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def pseudonym(self, customer_id: UUID, year: int) -> str:
        """How a customer is called in a year's entries."""
        return self._ring.pseudonym(customer_id, year).hex()

    def actor(self, name: str, year: int) -> str:
        """How somebody who asks is called in a year's entries."""
        return self.pseudonym(UUID(bytes=sha256(name.encode()).digest()[:16]), year)


class AuditTrail:
    """The trail of one store. Entries hold no personal values: customers stand in them as `pseudonym`."""

    def __init__(self, store: Store, ring: KeyRing, write_seconds: float = WRITE_SECONDS) -> None:
        """`write_seconds`: how long the writing of one group may take."""
        self._store, self.names = store, Names(ring)
        self._line = store.write_line(write_seconds)
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._flusher: asyncio.Task[None] | None = None
        self._begin_chain()

    def start(self) -> None:
        """Begins to take entries, in the running event loop."""
        self._flusher = asyncio.create_task(self._run(), name=f"audit {self._store.name}")

    async def close(self) -> None:
        """Takes no more entries, and returns when those that wait are written or refused."""
        flusher, self._flusher = self._flusher, None
        if flusher is not None:
            self._wake.set()
            await flusher

    async def record(self, entry: Mapping[str, object], entry_id: UUID | None = None) -> UUID:
        """The id of the entry, once it is durable; what the trail itself fills in is added to it.

        Raises as `fill_in` does, and ValueRefused for an entry that is not JSON.
        """
        return await self.fill_in(Form(entry, TRAIL_BLANKS), {}, entry_id or uuid7(datetime.now(UTC)))

    async def fill_in(self, form: Form, values: dict[str, object], entry_id: UUID) -> UUID:
        """The id of an entry, once it is durable: a form with the trail's own blanks, and the JSON text of the others.

        Raises AuditUnavailable when it cannot be written or too many wait. An entry is written even when who waits for
        it is cancelled.
        """
        if self._flusher is None or len(self._queue) >= MOST_WAITING:
            raise self._unavailable("closed" if self._flusher is None else "too many entries wait")
        durable: asyncio.Future[UUID] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(entry_id, datetime.now(UTC), form, values, durable))
        self._wake.set()
        return await durable

    def _begin_chain(self) -> None:
        self._worker, self._sequence, self._head, self._cells = uuid4(), 0, START, 0

    async def _run(self) -> None:
        while True:
            while self._queue:
                await self._flush([self._queue.popleft() for _ in range(min(GROUP_ENTRIES, len(self._queue)))])
            if self._flusher is None:
                return
            self._wake.clear()
            await self._wake.wait()

    async def _flush(self, waiting: Sequence[_Waiting]) -> None:
        group = self._linked(waiting)
        failure = await self._failure(group)
        if failure is None:
            self._sequence, self._head = self._sequence + len(group.links), group.links[-1]
            self._cells = group.cells
            for one in waiting:
                one.tell()
        elif isinstance(failure, asyncpg.IntegrityConstraintViolationError) and len(waiting) > 1:
            # One of them carries an id that is taken: the others must not suffer for it.
            for one in waiting:
                await self._flush([one])
        else:
            self._refuse(group, failure)

    def _linked(self, waiting: Sequence[_Waiting]) -> _Group:
        """The entries as the next of the chain."""
        worker, head, cells = f'"{self._worker}"', self._head, self._cells
        leaves, links, salts = [], [], os.urandom(SALT_BYTES * len(waiting)).hex()
        for sequence, one in enumerate(waiting, self._sequence + 1):
            opened = one.values.get("opened")
            cells += opened if isinstance(opened, int) else 0
            one.values["at"] = f'"{instant_text(one.at)}"'
            one.values["cells"] = cells
            one.values["id"] = f'"{one.entry_id}"'
            salt, salts = salts[: 2 * SALT_BYTES], salts[2 * SALT_BYTES :]
            one.values["salt"] = f'"{salt}"'
            one.values["sequence"] = sequence
            one.values["worker"] = worker
            leaves.append(leaf := one.form.filled(one.values))
            links.append(head := chain(head, leaf))
        return _Group(waiting, leaves, links, cells)

    async def _failure(self, group: _Group) -> Exception | None:
        """What kept the group from being durable, or None. A database that stands still is not waited for."""
        first = self._sequence + 1
        try:
            await self._line.open()
            if first == 1:
                await self._line.fetch(BEGIN, self._worker)
            group.inserted = True
            await self._line.fetch(
                WRITE,
                bucket_of(self._worker),
                self._worker,
                [one.entry_id for one in group.waiting],
                list(range(first, first + len(group.waiting))),
                [one.at for one in group.waiting],
                group.leaves,
                group.links,
            )
        except Exception as failed:  # noqa: BLE001 - those who wait are told; the trail goes on
            if isinstance(failed, asyncpg.PostgresError):
                group.inserted = False  # the server said no: nothing was committed
            return failed
        return None

    def _refuse(self, group: _Group, failure: BaseException) -> None:
        """Refuses the group, and those behind it: waiting as long again would not help them."""
        if group.inserted:
            self._begin_chain()
        refused = [*group.waiting, *self._queue]
        self._queue.clear()
        log.error("audit entries refused", store=self._store.name, count=len(refused), error=type(failure).__name__)
        for one in refused:
            one.tell(self._unavailable(type(failure).__name__))

    def _unavailable(self, reason: str) -> AuditUnavailable:
        return AuditUnavailable(f"store {self._store.name}: the audit trail cannot be written ({reason})")


def bucket_of(worker: UUID) -> int:
    """The bucket of a worker: its chain lies in one place."""
    return worker.int % BUCKETS


def uuid7(at: datetime) -> UUID:
    """A random id (RFC 9562, version 7) that sorts by its instant."""
    return uuid_of(int(at.timestamp() * 1000).to_bytes(6, "big") + os.urandom(10), 7)


def instant_text(at: datetime) -> str:
    """An instant as entries write it, to the microsecond."""
    return at.isoformat(timespec="microseconds")
