"""Gathering: requests that run the same statement at the same time share one execution of it.

A statement takes its keys as arrays, so one execution can answer many requests. Nobody waits for company: where a
store has a free lane the statement goes at once; what arrives while all lanes are taken goes together when the next
one is free. A statement that is executed began after every request in it, so each sees whatever was committed before
it asked.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cdp.errors import StoreUnavailable, Unavailable
from cdp.statement import Statement
from cdp.stores import Store

LANES = 2
MOST_TOGETHER = 16
MOST_WAITING = 1000


@dataclass(slots=True, eq=False)
class _Call:
    """One request's keys (one value for each array of the statement) and where its rows go."""

    keys: Sequence[Any]
    rows: "asyncio.Future[list[Any]]"


@dataclass(slots=True, eq=False)
class _Group:
    """Calls that differ in their keys alone."""

    statement: Statement
    shared: tuple[Any, ...]
    calls: deque[_Call] = field(default_factory=deque)


class Gatherer:
    """Executes the reading statements of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._groups: dict[tuple[str, tuple[Any, ...]], _Group] = {}
        self._order: deque[_Group] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._waiting = 0

    async def rows(self, statement: Statement, keys: Sequence[Any], shared: tuple[Any, ...]) -> list[Any]:
        """The rows for one request's keys. Raises StoreUnavailable when the store does not answer or too many wait."""
        if self._waiting >= MOST_WAITING:
            raise StoreUnavailable(self._store.name, "too many requests wait")
        call = _Call(keys, asyncio.get_running_loop().create_future())
        group = self._groups.get((statement.text, shared))
        if group is None:
            group = self._groups[statement.text, shared] = _Group(statement, shared)
            self._order.append(group)
        group.calls.append(call)
        self._waiting += 1
        if len(self._running) < LANES:
            task = asyncio.create_task(self._lane())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await call.rows

    async def _lane(self) -> None:
        """Runs what waits, the longest waiting group first, until nothing does."""
        while self._order:
            group = self._order.popleft()
            most = MOST_TOGETHER if group.statement.keys else 1
            calls = [group.calls.popleft() for _ in range(min(most, len(group.calls)))]
            if group.calls:
                self._order.append(group)
            else:
                del self._groups[group.statement.text, group.shared]
            self._waiting -= len(calls)
            wanted = [call for call in calls if not call.rows.done()]
            if wanted:
                await self._run(group, wanted)

    async def _run(self, group: _Group, calls: Sequence[_Call]) -> None:
        try:
            rows = await self._fetch(group, calls)
        except Exception as failed:  # noqa: BLE001 - whoever waits is told; the lane goes on
            await self._fail(group, calls, failed)
            return
        found: list[list[Any]] = [[] for _ in calls]
        for row in rows:
            found[row[1] - 1].append(row)
        for call, mine in zip(calls, found, strict=True):
            if not call.rows.done():
                call.rows.set_result(mine)

    async def _fetch(self, group: _Group, calls: Sequence[_Call]) -> Sequence[Any]:
        arrays = [list(column) for column in zip(*(call.keys for call in calls), strict=True)]
        arguments = group.statement.arguments(arrays, group.shared)
        async with self._store.read() as connection:
            rows: Sequence[Any] = await connection.fetch(group.statement.text, *arguments)
        return rows

    async def _fail(self, group: _Group, calls: Sequence[_Call], failed: Exception) -> None:
        """A failure of several is nobody's in particular: each is tried alone, unless the store itself is gone."""
        if len(calls) > 1 and not isinstance(failed, Unavailable):
            for call in calls:
                await self._run(group, [call])
            return
        for call in calls:
            if not call.rows.done():
                call.rows.set_exception(failed)
