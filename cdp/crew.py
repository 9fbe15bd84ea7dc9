"""Several processes at the write door, for more than one can take in: each gets the events of customers of its own.

Events that name the same number, key or account, and those that name what these name beside it, go to one process in
their order; one call is over before the next begins. So the result is that of one process.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import lru_cache, partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final, NamedTuple, TypeAlias
from zlib import crc32

from asyncpg.pgproto.pgproto import UUID as QuickUUID  # noqa: N811 -- it is a uuid.UUID, made faster

from cdp.bulk import seldom_collected
from cdp.errors import CdpError, StoreUnavailable
from cdp.house import House, open_databases, unlock_store
from cdp.ingest import Outcome, Writer, ingest
from cdp.root_keys import root_kms
from cdp.settings import Settings
from cdp.values import compact

Body: TypeAlias = Mapping[str, Any]
Columns: TypeAlias = Sequence[Sequence[Any]]
NAMES: Final = frozenset(("customerKey", "number", "accountNo", "email", "documentNumber", "token", "requestId"))
"""The fields by which an event names somebody, or something of theirs, beside its subject."""
DIGITS, MANY = 8, 50_000
END_SECONDS: Final = 20.0


class Member(NamedTuple):
    """One of the processes, and the line to it."""

    process: BaseProcess
    line: Connection


class Crew:
    """Takes in events as `ingest` does, on several processes."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members

    async def ingest(self, events: Sequence[Body], source: str) -> list[Outcome]:
        """What became of each event, in order. Raises StoreUnavailable when a store or a process is gone: sending the
        same events again is then safe.
        """
        outcomes: list[Outcome | None] = [None] * len(events)
        shares = deal(events, len(self.members))
        asked = (self._ask(*one, source) for one in zip(self.members, shares, strict=True) if one[1])
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            for (place, _), outcome in zip(*answer, strict=True):
                outcomes[place] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    async def _ask(self, member: Member, share: "Share", source: str) -> tuple["Share", list[Outcome]]:
        try:
            await asyncio.to_thread(member.line.send, ([body for _, body in share], source))
            answer: Columns | CdpError = await asyncio.to_thread(member.line.recv)
        except (EOFError, OSError):
            raise StoreUnavailable("any", "a process that wrote has ended") from None
        if isinstance(answer, CdpError):
            raise answer
        return share, unpacked(answer)


def packed(outcomes: Sequence[Outcome]) -> Columns:
    """Outcomes for the line, in a tenth of the time that they would take one by one."""
    status, customers, *others = zip(*outcomes, strict=True) if outcomes else ((),) * len(Outcome._fields)
    return [status, [None if one is None else one.bytes for one in customers], *others]


def unpacked(columns: Columns) -> list[Outcome]:
    """The outcomes again."""
    status, customers, *others = columns
    ids = [None if one is None else QuickUUID(one) for one in customers]
    return [*map(Outcome, status, ids, *others)]


TakeIn: TypeAlias = Callable[[Sequence[Body], str], Awaitable[list[Outcome]]]
Share: TypeAlias = list[tuple[int, Body]]


def deal(events: Sequence[Body], processes: int) -> list[Share]:
    """Which events, with their places, each process gets: those that are tied by a name are not parted."""
    tied: dict[str, str] = {}

    def first_of(name: str) -> str:
        while (before := tied.setdefault(name, name)) != name:
            tied[name] = name = tied[before]
        return name

    leads, spelled = list[str](), lru_cache(MANY)(_spelled)
    for n, body in enumerate(events):
        names = _names(body)
        leads.append(spelled(names[0]) if names else str(n))
        for name in names[1:]:
            tied[first_of(spelled(name))] = first_of(leads[-1])
    shares: list[Share] = [[] for _ in range(processes)]
    share_of = {lead: shares[crc32(first_of(lead).encode("utf-8", "replace")) % processes] for lead in {*leads}}
    for n, (lead, body) in enumerate(zip(leads, events, strict=True)):
        share_of[lead].append((n, body))
    return shares


def _names(body: Any) -> list[str]:
    """Whom or what an event names, as it is written; a body of any shape may come."""
    if not isinstance(body, Mapping):
        return []
    subject, other = body.get("subject"), body.get("other")
    named = [*subject.values()] if isinstance(subject, dict) else []
    named += other.values() if isinstance(other, dict) else ()
    named += () if NAMES.isdisjoint(body) else [body[name] for name in NAMES if name in body]
    return [name for name in named if isinstance(name, str)]


def _spelled(name: str) -> str:
    """Numbers by their last digits: without a country, or in whatever digits, they are the same."""
    name = compact(name)
    return str(int(name[-DIGITS:])) if len(name) >= DIGITS and name[-DIGITS:].isdecimal() else name


@asynccontextmanager
async def open_crew(house: House, processes: int) -> AsyncIterator[Crew]:
    """So many processes with connections and keys of their own, while the block runs."""
    urls = {name: store.writing.url for name, store in house.stores.items()}
    settings = house.settings.model_copy(update={"stores": urls})
    context, members = get_context("spawn"), list[Member]()
    try:
        for _ in range(processes):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(settings, theirs), daemon=True)
            process.start()
            theirs.close()
            members.append(Member(process, ours))
        yield Crew(members)
    finally:
        for member in members:
            member.line.close()
        for member in members:
            await asyncio.to_thread(member.process.join, END_SECONDS)


@asynccontextmanager
async def open_door(house: House, writer: Writer, processes: int) -> AsyncIterator[TakeIn]:
    """What takes in many events (bodies, source), while the block runs: this process, or so many others."""
    if processes > 1:
        async with open_crew(house, processes) as crew:
            with seldom_collected():
                yield crew.ingest
    else:
        with seldom_collected():
            yield partial(ingest, writer)


def _work(settings: Settings, line: Connection) -> None:
    # Whoever interrupts the load closes the line; what is under way is finished first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_serve(settings, line))


async def _serve(settings: Settings, line: Connection) -> None:
    """Takes in what comes along the line, until it is closed."""
    async with open_databases(settings) as stores:
        kms = root_kms(settings)
        rings = {name: await unlock_store(settings, kms, store) for name, store in stores.items()}
        writer = Writer(stores, rings, settings.regions, lambda: datetime.now(UTC))
        with seldom_collected():
            while True:
                try:
                    events, source = await asyncio.to_thread(line.recv)
                except (EOFError, OSError):
                    return
                try:
                    answer: Columns | CdpError = packed(await ingest(writer, events, source))
                except CdpError as failed:
                    answer = failed
                await asyncio.to_thread(line.send, answer)
