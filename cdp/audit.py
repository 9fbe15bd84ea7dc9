"""The audit trail of a store: an entry is durable before the answer it is about may leave.

Entries gather while the group before them is being written; one that comes alone does not wait for company. Each
process that writes is a worker with a chain of its own: entries are numbered from 1, and every link holds all before
it. A group that failed is not in the chain and the next one continues from the last durable entry. When nobody knows
whether a group was committed, the worker ends and a new one begins, so that a chain has neither gaps nor forks.
"""

import asyncio
import contextlib
import secrets
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
from privacy.errors import ValueRefused
from privacy.keys import KeyRing
from privacy.log import START, canonical, chain

GROUP_ENTRIES: Final = 64
MOST_WAITING: Final = 4096
MOST_ACTORS: Final = 4096
WRITE_SECONDS: Final = 5.0
# Entries that do not come alone wait this long for more of them: a commit costs as much for many as for one.
PAUSE_SECONDS: Final = 0.002
COMPANY: Final = 16

WRITE = """
INSERT INTO audit_entry (bucket, entry_id, worker, sequence, recorded_at, entry, chain)
SELECT $1, entry_id, $2, sequence, recorded_at, entry, chain
FROM unnest($3::uuid[], $4::bigint[], $5::timestamptz[], $6::bytea[], $7::bytea[])
    AS given (entry_id, sequence, recorded_at, entry, chain)
"""

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Waiting:
    entry_id: UUID
    at: datetime
    entry: Mapping[str, object]
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

    waiting: list[_Waiting]
    leaves: list[bytes]
    links: list[bytes]
    inserted: bool = False


class Names:
    """How customers and those who ask are called in a store's trail; another year, another name."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._actors: dict[tuple[str, int], str] = {}

    def pseudonym(self, customer_id: UUID) -> str:
        """How a customer is called in this year's entries."""
        return self._ring.pseudonym(customer_id, datetime.now(UTC).year).hex()

    def actor(self, name: str) -> str:
        """How somebody who asks is called in this year's entries."""
        year = datetime.now(UTC).year
        known = self._actors.get((name, year))
        if known is None:
            if len(self._actors) >= MOST_ACTORS:
                self._actors.clear()
            known = self._actors[name, year] = self.pseudonym(UUID(bytes=sha256(name.encode()).digest()[:16]))
        return known


class AuditTrail:
    """The trail of one store. Entries hold no personal values: customers stand in them as `pseudonym`."""

    def __init__(self, store: Store, ring: KeyRing, write_seconds: float = WRITE_SECONDS) -> None:
        """`write_seconds`: how long the writing of one group may take once there is a connection."""
        self._store, self.names = store, Names(ring)
        self._write_seconds = store.wait_seconds + write_seconds
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._flusher: asyncio.Task[None] | None = None
        self._abandoned: set[asyncio.Task[None]] = set()
        self._crowded = False
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
        """The id of the entry, once it is durable; `id`, `at`, `worker`, `sequence` and `salt` are added to it.

        Raises AuditUnavailable when it cannot be written or too many wait, ValueRefused for an entry that is not JSON.
        An entry is written even when who waits for it is cancelled.
        """
        if self._flusher is None or len(self._queue) >= MOST_WAITING:
            raise self._unavailable("closed" if self._flusher is None else "too many entries wait")
        at = datetime.now(UTC)
        waiting = _Waiting(entry_id or uuid7(at), at, dict(entry), asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._wake.set()
        return await waiting.durable

    def _begin_chain(self) -> None:
        self._worker, self._sequence, self._head = uuid4(), 0, START

    async def _run(self) -> None:
        while True:
            while self._queue:
                if self._crowded and len(self._queue) < COMPANY:
                    await asyncio.sleep(PAUSE_SECONDS)
                await self._flush([self._queue.popleft() for _ in range(min(GROUP_ENTRIES, len(self._queue)))])
            if self._flusher is None:
                return
            self._wake.clear()
            await self._wake.wait()

    async def _flush(self, waiting: Sequence[_Waiting]) -> None:
        group = self._linked(waiting)
        if not group.waiting:
            return
        self._crowded = len(group.waiting) > 1
        failure = await self._failure(group)
        if failure is None:
            self._sequence, self._head = self._sequence + len(group.links), group.links[-1]
            for one in group.waiting:
                one.tell()
        elif isinstance(failure, asyncpg.IntegrityConstraintViolationError) and len(group.waiting) > 1:
            # One of them carries an id that is taken: the others must not suffer for it.
            for one in group.waiting:
                await self._flush([one])
        else:
            self._refuse(group, failure)

    def _linked(self, waiting: Sequence[_Waiting]) -> _Group:
        """The entries as the next of the chain; one that is not JSON is refused here and left out."""
        group, head = _Group([], [], []), self._head
        for one in waiting:
            try:
                leaf = self._leaf(one, self._sequence + len(group.leaves) + 1)
            except ValueRefused as refused:
                one.tell(refused)
                continue
            head = chain(head, leaf)
            group.waiting.append(one)
            group.leaves.append(leaf)
            group.links.append(head)
        return group

    def _leaf(self, one: _Waiting, sequence: int) -> bytes:
        added = {"id": str(one.entry_id), "at": instant_text(one.at), "worker": str(self._worker)}
        return canonical({**one.entry, **added, "sequence": sequence, "salt": secrets.token_hex(16)})

    async def _failure(self, group: _Group) -> BaseException | None:
        """What kept the group from being durable, or None. A database that stands still is not waited for."""
        writing = asyncio.create_task(self._write(group))
        await asyncio.wait({writing}, timeout=self._write_seconds)
        if writing.done():
            return writing.exception()
        group.inserted = True
        self._abandoned.add(writing)
        writing.add_done_callback(self._forget)
        writing.cancel()
        return TimeoutError()

    def _forget(self, writing: "asyncio.Task[None]") -> None:
        self._abandoned.discard(writing)
        with contextlib.suppress(asyncio.CancelledError):
            writing.exception()

    async def _write(self, group: _Group) -> None:
        first = self._sequence + 1
        async with self._store.autocommit() as connection:
            group.inserted = True
            try:
                await connection.execute(
                    WRITE,
                    bucket_of(self._worker),
                    self._worker,
                    [one.entry_id for one in group.waiting],
                    list(range(first, first + len(group.waiting))),
                    [one.at for one in group.waiting],
                    group.leaves,
                    group.links,
                )
            except asyncpg.PostgresError:
                group.inserted = False  # the server said no: nothing was committed
                raise

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
    random = secrets.randbits(74)
    milliseconds = int(at.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 7 << 76 | random >> 62 << 64 | 2 << 62 | random & ((1 << 62) - 1))


def instant_text(at: datetime) -> str:
    """An instant as entries write it, to the microsecond."""
    return at.isoformat(timespec="microseconds")
