"""Gathering: requests that run the same statement at the same time share one execution of it.

A statement takes its keys as arrays, so one execution can answer many requests. Nobody waits for company: a statement
that is not running goes at once where a lane is free; what arrives while it runs goes together when it is done. A
statement that is executed began after every request in it, so each sees whatever was committed before it asked.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cdp.errors import StoreUnavailable, Unavailable
from cdp.statement import Statement
from cdp.stores import Line, Store

LANES = 4
MOST_TOGETHER = 16
MOST_WAITING = 1000


@dataclass(slots=True, eq=False)
class _Call:
    """One request's keys (one value for each array of the statement) and where its rows go."""

    keys: Sequence[Any]
    rows: "asyncio.Future[list[Any]]"


@dataclass(slots=True, eq=False)
class _Group:
    """Calls that differ in their keys alone; `running` while a lane executes their statement for some of them."""

    statement: Statement
    shared: tuple[Any, ...]
    calls: deque[_Call] = field(default_factory=deque)
    running: bool = False


class Gatherer:
    """Executes the reading statements of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._groups: dict[tuple[str, tuple[Any, ...]], _Group] = {}
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
        group.calls.append(call)
        self._waiting += 1
        # What is running for others like it takes it along when it is done: that costs less than a lane of its own.
        if self._free and not group.running:
            lane = asyncio.create_task(self._lane(self._free.pop(), group))
            group.running = True
            self._running.add(lane)
            lane.add_done_callback(self._running.discard)
        return await call.rows

    async def _lane(self, line: Line, group: _Group | None) -> None:
        """Runs the calls of one group after the other, until nothing waits that no other lane looks after."""
        try:
            while group is not None:
                wanted = [call for call in self._taken(group) if not call.rows.done()]
                if wanted:
                    await _run(line, group, wanted)
                group = self._next(group)
        finally:
            # At once, not when the task is known to be done: a call that came in between would wait for nobody.
            self._free.append(line)

    def _taken(self, group: _Group) -> list[_Call]:
        """The calls that go together now."""
        # Without keys of their own they all ask for the same.
        most = MOST_TOGETHER if group.statement.keys else MOST_WAITING
        calls = [group.calls.popleft() for _ in range(min(most, len(group.calls)))]
        self._waiting -= len(calls)
        return calls

    def _next(self, last: _Group) -> _Group | None:
        """The group to go on with: the longest waiting first. The last one is forgotten where nobody waits in it."""
        last.running = False
        del self._groups[last.statement.text, last.shared]
        if last.calls:
            self._groups[last.statement.text, last.shared] = last
        found = next((group for group in self._groups.values() if not group.running), None)
        if found is not None:
            found.running = True
        return found


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
        # What was found by no key of theirs, a page beside it, is for all.
        for mine in found if row[1] is None else (found[row[1] - 1],):
            mine.append(row)
    for call, mine in zip(calls, found, strict=True):
        if not call.rows.done():
            call.rows.set_result(mine)


async def _fail(line: Line, group: _Group, calls: Sequence[_Call], failed: Exception) -> None:
    """A failure of several is nobody's in particular: each half is tried alone, unless the store itself is gone."""
    if len(calls) > 1 and group.statement.keys and not isinstance(failed, Unavailable):
        half = len(calls) // 2
        await _run(line, group, calls[:half])
        await _run(line, group, calls[half:])
        return
    for call in calls:
        if not call.rows.done():
            call.rows.set_exception(failed)
