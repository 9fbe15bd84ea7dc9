"""Several processes at the write door, for more than one can take in: each gets the events of customers of its own.

Events that name the same number, key or account, and those that name what these name beside it, go to one process in
their order; one call is over before the next is written. So the result is that of one process.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final, NamedTuple, TypeAlias
from zlib import crc32

from asyncpg.pgproto.pgproto import UUID as QuickUUID  # noqa: N811 -- it is a uuid.UUID, made faster

from cdp.bulk import seldom_collected
from cdp.errors import CdpError, StoreUnavailable
from cdp.house import House, open_databases, unlock_store
from cdp.incoming import Begun, begin
from cdp.ingest import EVENTS, Outcome, Writer, finish
from cdp.root_keys import root_kms
from cdp.settings import Settings
from cdp.values import compact

Body: TypeAlias = Mapping[str, Any]
Columns: TypeAlias = Sequence[Sequence[Any]]
NAMES: Final = frozenset(("customerKey", "number", "accountNo", "email", "documentNumber", "token", "requestId"))
"""The fields by which an event names somebody, or something of theirs, beside its subject."""
DIGITS, MANY = 8, 50_000
END_SECONDS: Final = 20.0
ENDED: Final = "a process that wrote has ended"


class Member(NamedTuple):
    """One of the processes, the line to it, and who may speak on it."""

    process: BaseProcess
    line: Connection
    turn: asyncio.Lock

    async def send(self, message: "Message") -> None:
        """Sends a message when those before it are sent. Raises StoreUnavailable."""
        async with self.turn:
            try:
                await asyncio.to_thread(self.line.send, message)
            except OSError:
                raise StoreUnavailable("any", ENDED) from None


class Dealt(NamedTuple):
    """Events on their way in: their number among all calls, how many there are, each process's share, and the sending
    of these.
    """

    number: int
    size: int
    shares: Sequence[tuple[Member, "Share"]]
    sending: "asyncio.Future[list[BaseException | None]]"


class Crew:
    """Takes in events as `ingest` does, on several processes."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members, self._calls = members, count(1)

    def begin(self, events: Sequence[Body]) -> Dealt:
        """Deals events out, to be read while those before them are being written."""
        dealt = zip(self.members, deal(events, len(self.members)), strict=True)
        number, shares = next(self._calls), [(member, share) for member, share in dealt if share]
        messages = [(member, (number, [body for _, body in share])) for member, share in shares]
        sending = asyncio.gather(*(member.send(message) for member, message in messages), return_exceptions=True)
        return Dealt(number, len(events), shares, sending)

    async def finish(self, dealt: Dealt, source: str) -> list[Outcome]:
        """What became of each event that was dealt out, in order; that is over before the next call's turn comes.

        Raises StoreUnavailable when a store or a process is gone: sending the same events again is then safe.
        """
        for failed in await dealt.sending:
            if failed is not None:
                raise failed
        outcomes: list[Outcome | None] = [None] * dealt.size
        asked = (self._ask(member, (dealt.number, source)) for member, _ in dealt.shares)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for (_, share), answer in zip(dealt.shares, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            for (place, _), outcome in zip(share, answer, strict=True):
                outcomes[place] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    async def _ask(self, member: Member, message: "Message") -> list[Outcome]:
        await member.send(message)
        try:
            answer: Columns | CdpError = await asyncio.to_thread(member.line.recv)
        except (EOFError, OSError):
            raise StoreUnavailable("any", ENDED) from None
        if isinstance(answer, CdpError):
            raise answer
        return unpacked(answer)


def packed(outcomes: Sequence[Outcome]) -> Columns:
    """Outcomes for the line, in a tenth of the time that they would take one by one."""
    status, customers, *others = zip(*outcomes, strict=True) if outcomes else ((),) * len(Outcome._fields)
    return [status, [None if one is None else one.bytes for one in customers], *others]


def unpacked(columns: Columns) -> list[Outcome]:
    """The outcomes again."""
    status, customers, *others = columns
    ids = [None if one is None else QuickUUID(one) for one in customers]
    return [*map(Outcome, status, ids, *others)]


Share: TypeAlias = list[tuple[int, Body]]
Message: TypeAlias = tuple[int, Sequence[Body] | str]
"""A call's number, with events to be read, or with the source of those that are now to be taken in."""


class Door(NamedTuple):
    """What takes in many events: `begin` reads them, while others may be written; `finish` takes in what it gave, from
    a source, call by call.
    """

    begin: Callable[[Sequence[Body]], Any]
    finish: Callable[[Any, str], Awaitable[list[Outcome]]]


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
            members.append(Member(process, ours, asyncio.Lock()))
        yield Crew(members)
    finally:
        for member in members:
            member.line.close()
        for member in members:
            await asyncio.to_thread(member.process.join, END_SECONDS)


@asynccontextmanager
async def open_door(house: House, writer: Writer, processes: int) -> AsyncIterator[Door]:
    """What takes in many events, while the block runs: this process, or so many others."""
    if processes > 1:
        async with open_crew(house, processes) as crew:
            with seldom_collected():
                yield Door(crew.begin, crew.finish)
    else:
        with seldom_collected():
            yield Door(partial(begin, writer, EVENTS), partial(finish, writer))


def _work(settings: Settings, line: Connection) -> None:
    # Whoever interrupts the load closes the line; what is under way is finished first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_serve(settings, line))


async def _serve(settings: Settings, line: Connection) -> None:
    """Takes in what comes along the line, until it is closed."""
    async with open_databases(settings) as stores:
        kms = root_kms(settings)
        rings = {name: await unlock_store(settings, kms, store) for name, store in stores.items()}
        writer = Writer(stores, rings, settings.regions, lambda: datetime.now(UTC), settings.legal_entity)
        begun, messages = dict[int, Begun](), _messages(line)
        with seldom_collected():
            async with asyncio.TaskGroup() as answering:
                while (message := await messages.get()) is not None:
                    number, what = message
                    if isinstance(what, str):
                        answering.create_task(_answer(line, writer, begun.pop(number), what))
                    else:
                        begun[number] = begin(writer, EVENTS, what)


def _messages(line: Connection) -> "asyncio.Queue[Message | None]":
    """What comes along a line, also while something is written; None when it is closed."""
    messages: asyncio.Queue[Message | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def take() -> None:
        try:
            messages.put_nowait(line.recv())
        except (EOFError, OSError):
            loop.remove_reader(line.fileno())
            messages.put_nowait(None)

    loop.add_reader(line.fileno(), take)
    return messages


async def _answer(line: Connection, writer: Writer, begun: Begun, source: str) -> None:
    try:
        answer: Columns | CdpError = packed(await finish(writer, begun, source))
    except CdpError as failed:
        answer = failed
    with suppress(OSError):  # who asked may be gone; what was written stays
        await asyncio.to_thread(line.send, answer)
