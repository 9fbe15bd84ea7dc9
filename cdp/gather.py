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
from cdp.stores import Line, Store

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
        self._free = [store.read_line() for _ in range(LANES)]
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
        if self._free:
            lane = asyncio.create_task(self._lane(self._free.pop()))
            self._running.add(lane)
            lane.add_done_callback(self._running.discard)
        return await call.rows

    async def _lane(self, line: Line) -> None:
        """Runs what waits, the longest waiting group first, until nothing does."""
        try:
            while self._order:
                group, calls = self._next()
                wanted = [call for call in calls if not call.rows.done()]
                if wanted:
                    await _run(line, group, wanted)
        finally:
            # At once, not when the task is known to be done: a call that came in between would wait for nobody.
            self._free.append(line)

    def _next(self) -> tuple[_Group, list[_Call]]:
        """The calls that go together now, and the group they are of."""
        group = self._order.popleft()
        # Without keys of their own they all ask for the same.
        most = MOST_TOGETHER if group.statement.keys else MOST_WAITING
        calls = [group.calls.popleft() for _ in range(min(most, len(group.calls)))]
        if group.calls:
            self._order.append(group)
        else:
            del self._groups[group.statement.text, group.shared]
        self._waiting -= len(calls)
        return group, calls


async def _run(line: Line, group: _Group, calls: Sequence[_Call]) -> None:
    """Executes the statement for all calls at once and hands each its rows."""
    statement = group.statement
    arrays = [list(column) for column in zip(*(call.keys for call in calls), strict=True)]
    try:
        rows = await line.fetch(statement.text, *statement.arguments(arrays, group.shared))
    except Exception as failed:  # noqa: BLE001 - whoever waits is told; the lane goes on
        await _fail(line, group, calls, failed)
        return
    found: list[list[Any]] = [[] for _ in calls] if statement.keys else [rows] * len(calls)
    for row in rows if statement.keys else ():
        found[row[1] - 1].append(row)
    for call, mine in zip(calls, found, strict=True):
        if not call.rows.done():
            call.rows.set_result(mine)


async def _fail(line: Line, group: _Group, calls: Sequence[_Call], failed: Exception) -> None:
    """A failure of several is nobody's in particular: each is tried alone, unless the store itself is gone."""
    if len(calls) > 1 and group.statement.keys and not isinstance(failed, Unavailable):
        for call in calls:
            await _run(line, group, [call])
        return
    for call in calls:
        if not call.rows.done():
            call.rows.set_exception(failed)
