"""A subscription under way: from the log, event by event, to messages that are each read, decided and written down."""

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from cdp.errors import RequestInvalid
from cdp.exchange import Answer, Sent
from cdp.news import Ear, Heard, News, Whose
from cdp.outbox import Position
from cdp.positions import places_in, position_text
from schema.plan.changes import DECISIVE, Look, Subject, message
from schema.plan.run import Run

NOTHING_TO_SEE: Final = "expected something of the customer that is declared for the purpose"


@dataclass(frozen=True, slots=True)
class Means:
    """What a subscription needs: `begin` a run of its operation as of now, and `finish` one, which writes it down."""

    news: News
    begin: Callable[[], Run]
    finish: Callable[[Run, str], Awaitable[Answer]]


async def subscribe(means: Means, after: str | None) -> "Subscribed":
    """Listens, from a position on where one is given. Raises RequestInvalid, and Unavailable."""
    run = means.begin()
    [root] = run.plan.roots
    if not run.plan.governed or root.arguments is None:
        raise RequestInvalid("SUBSCRIPTION_EMPTY", f"{root.name}: {NOTHING_TO_SEE}")
    arguments, reach = root.arguments.values(run.variables), run.reach
    subscribed = Subscribed(means, Subject(root, reach.global_id(arguments["id"])))
    given = after or arguments.get("after")
    if given is not None:
        subscribed.places = places_in(reach.tokens, reader_of(run), given, reach.at)
    for store in reach.all_open:
        if store not in subscribed.places:
            subscribed.places[store] = await means.news.now(store)
    try:
        await subscribed.begin(run, resumed=given is not None)
    except BaseException:
        subscribed.close()
        raise
    return subscribed


def reader_of(run: Run) -> str:
    """Whose the positions of a subscription are."""
    return f"client:{run.reach.caller.client}"


@dataclass(slots=True)
class Subscribed:
    """One subscription: what it has come to in each store, and what was found for each case or the customer last."""

    means: Means
    subject: Subject
    places: dict[str, Position] = field(default_factory=dict)
    _ear: Ear = field(default_factory=Ear)
    _missed: deque[Heard] = field(default_factory=deque)
    _known: set[UUID] = field(default_factory=set)
    _last: dict[UUID | None, object] = field(default_factory=dict)
    _first: list[Sent] = field(default_factory=list)
    _over: bool = False

    @property
    def only(self) -> Answer | None:
        """There is more than one."""
        return None

    async def begin(self, run: Run, *, resumed: bool) -> None:
        """Finds out whom to listen for; without leave to see anything of them there is one message, and it is over.

        A partner who goes on is told how things are: whether that has changed is known to nobody any more.
        """
        look = await self.subject.look(run, None, whole=True)
        sent, self._over = await self._finish(run, None, look), not look.shows
        partner = run.reach.caller.partner
        if partner:
            self._last[None] = look.found
        self._first = [sent] if self._over or (partner and resumed) else [sent._replace(body=None)]
        if not self._over:
            await self._listen(look.whose)

    async def answers(self) -> AsyncGenerator[Sent, None]:
        """Every message, until nothing may be seen any more. Raises SLOW_CONSUMER, Unavailable."""
        for first in self._first:
            yield first
        while not self._over:
            heard = await self._next()
            self.places[heard.store] = max(self.places[heard.store], heard.place)
            if (sent := await self._told(heard)) is not None:
                yield sent

    def close(self) -> None:
        """Listens no more."""
        self.means.news.leave(self._ear)

    async def _told(self, heard: Heard) -> Sent | None:
        """The message about an event; None where there is nothing to tell."""
        hears = self.subject.hears(heard)
        if not hears and heard.entry.event_type not in DECISIVE:
            return None
        run = self.means.begin()
        look = await self.subject.look(run, heard, whole=hears)
        if not look.shows and not hears:
            run = self.means.begin()
            look = await self.subject.look(run, heard, whole=True)
        self._over = not look.shows
        if look.shows:
            await self._listen(look.whose)
            if not hears or (run.reach.caller.partner and not self._changed(heard.entry.case_id, look)):
                await self.means.finish(run, "null")  # it was read all the same
                return None
        return await self._finish(run, heard, look)

    def _changed(self, case_id: UUID | None, look: Look) -> bool:
        key = None if self.subject.root.name != "caseChanged" else case_id
        before, self._last[key] = self._last.get(key), look.found
        return before != look.found

    async def _finish(self, run: Run, heard: Heard | None, look: Look) -> Sent:
        position = position_text(run.reach.tokens, reader_of(run), self.places, run.reach.at)
        told = message(self.subject.root, position, heard, look.found, partner=run.reach.caller.partner)
        return Sent(position, (await self.means.finish(run, told)).body)

    async def _listen(self, whose: frozenset[Whose]) -> None:
        """Listens for these; of those who are new, from where it is."""
        fresh = whose - self._ear.whose
        await self.means.news.listen(self._ear, whose)
        for heard in await self.means.news.missed(fresh, self.places) if fresh else ():
            self._known.add(heard.entry.position.outbox_id)
            self._missed.append(heard)

    async def _next(self) -> Heard:
        if self._missed:
            return self._missed.popleft()
        while (heard := await self._ear.next()).entry.position.outbox_id in self._known:
            pass
        return heard


@dataclass(frozen=True, slots=True)
class Single:
    """The one answer to a query or an order, as a stream."""

    only: Answer

    async def answers(self) -> AsyncGenerator[Sent, None]:
        """It."""
        yield Sent(None, self.only.body)

    def close(self) -> None:
        """It holds nothing."""
