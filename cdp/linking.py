"""Links between stores: proposed for two numbers, confirmed with a code sent to the second, ended, and carried.

What both sides share is a random token. What a link is to become is decided in one store and written down there first;
then each side is told by an event of its own, as often as it takes. No transaction spans two stores.
"""

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

import structlog

from cdp.dead_letters import ORDERED
from cdp.errors import StoreUnavailable
from cdp.gateway import Outgoing
from cdp.identity.proposals import (
    ACTIVE,
    REVOKED,
    TICK,
    Intent,
    Proposal,
    attempt,
    done,
    due,
    end_links,
    forget,
    intend,
    known_by,
    postpone,
    propose,
    standing,
    take,
    use,
)
from cdp.identity.resolve import Graph, Mentioned, Tags
from cdp.identity.retagging import look_up
from cdp.identity.tables import CODE_INDEX, NUMBER_INDEX
from cdp.ingest import Outcome, Status, Writer, ingest
from cdp.outcome import UNKNOWN_CUSTOMER
from cdp.stores import Connection, Store
from cdp.values import pause_after
from cdp.worker import LONGEST_RETRY_SECONDS, RETRY_SECONDS, Job
from privacy.vocabulary import Withheld

CODE_LIFE: Final = timedelta(minutes=10)
MOST_TRIES: Final = 5
MOST_PROPOSALS: Final = 5
"""To one customer, or for one, within LATELY."""
LATELY: Final = timedelta(days=1)
KEPT: Final = timedelta(days=30)
CARRY_SECONDS: Final = 5.0
TEXT: Final = (
    "验证码 {code}，用于关联您的两个号码，10 分钟内有效。 {code} is your code to link your two numbers, for 10 minutes."
)

UNLINKED: Final = "a customer who is not linked to the other store yet"
EVENTS: Final = {ACTIVE: "CustomerLinked", REVOKED: "CustomerUnlinked"}

Crossing: TypeAlias = Callable[[str, UUID, str], Awaitable[Withheld | None]]
"""Store, customer, other store -> why the customer's numbers may not be seen from there; None where they may."""
WriterFor: TypeAlias = Callable[[str], Awaitable[Writer]]
"""Store -> a write door that is open to it, if it is served here. Raises StoreUnavailable."""

log = structlog.get_logger()


class Side(NamedTuple):
    """A number (E.164) and the store it belongs to."""

    store: str
    number: str


class Proposed(NamedTuple):
    """What became of a proposal, and the token that confirms it."""

    outcome: Outcome
    token: bytes | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Linking:
    """One request about links: the write door, the way to customers, and what the policy says."""

    writer: Writer
    outgoing: Outgoing
    may_cross: Crossing

    async def propose(self, mine: Side, other: Side) -> Proposed:
        """Sends a code to the other number, if anybody holds it; the answer is the same if nobody does.

        Raises StoreUnavailable.
        """
        at, token, code = self.writer.clock(), secrets.token_bytes(16), f"{secrets.randbelow(10**6):06}"
        async with self.writer.stores[mine.store].read() as connection:
            customer_id = await self._holder(connection, mine, at)
        if customer_id is None:
            return Proposed(_unknown(mine))
        if refused := await self.may_cross(mine.store, customer_id, other.store):
            return Proposed(_crossing(mine, refused, "number"))
        proposal = Proposal(token, customer_id, other.store, at, self._hash(mine.store, token, code))
        async with self.writer.stores[mine.store].transaction() as connection:
            lately = await take(connection, customer_id, at - LATELY)
            if await standing(connection, customer_id, other.store):
                return Proposed(_refused(mine, "LINK_EXISTS", "number", UNLINKED))
            if lately >= MOST_PROPOSALS:
                expected = f"at most {MOST_PROPOSALS} proposals a day"
                return Proposed(_refused(mine, "LINK_TOO_MANY", "number", expected))
            await propose(connection, proposal)
        if await self._propose_there(other, Proposal(token, None, mine.store, at)):
            self.outgoing.hand_over("link code", other.number, TEXT.format(code=code))
        return Proposed(Outcome(Status.ACCEPTED, customer_id, mine.store), token, at + CODE_LIFE)

    async def confirm(self, store: str, token: bytes, code: str) -> Outcome:
        """Makes the link that was proposed in a store, once it is plain that whoever proposed it has the other number.

        Raises StoreUnavailable before anything is decided; afterwards what cannot be done now is done later.
        """
        mine, now = Side(store, ""), self.writer.clock()
        async with self.writer.stores[store].transaction() as connection:
            proposal = await attempt(connection, token, now - CODE_LIFE, MOST_TRIES)
        if proposal is None or proposal.customer_id is None or proposal.code_hash is None:
            return _refused(mine, "LINK_OVER", "token", "a proposal that is not old, used, or tried too often")
        if not secrets.compare_digest(proposal.code_hash, self._hash(store, token, code)):
            return _refused(mine, "LINK_CODE_WRONG", "code", "the code that was sent to the other number")
        other = proposal.other_store
        async with self.writer.stores[other].read() as connection:
            theirs = await known_by(connection, token)
        if theirs is None:
            return _refused(mine, "LINK_CODE_WRONG", "code", "the code that was sent to the other number")
        for side, customer_id, there, field in (
            (store, proposal.customer_id, other, "number"),
            (other, theirs, store, "otherNumber"),
        ):
            if refused := await self.may_cross(side, customer_id, there):
                return _crossing(mine, refused, field)
        async with self.writer.stores[other].read() as connection:
            if await standing(connection, theirs, store):
                return _refused(mine, "LINK_EXISTS", "otherNumber", UNLINKED)
        return await self._decide(mine, proposal)

    async def end(self, mine: Side, other: str | None) -> Outcome:
        """Ends the customer's link with one other store, or with all; DUPLICATE where none stands.

        Raises StoreUnavailable for their own store; the others are told when they answer.
        """
        now = self.writer.clock()
        async with self.writer.stores[mine.store].transaction() as connection:
            customer_id = await self._holder(connection, mine, now)
            if customer_id is None:
                return _unknown(mine)
            await take(connection, customer_id, now)
            intents = await end_links(connection, customer_id, other, now)
        for intent in intents:
            with suppress(StoreUnavailable):
                await carry(self._writer_for, mine.store, intent)
        return Outcome(Status.ACCEPTED if intents else Status.DUPLICATE, customer_id, mine.store)

    async def _propose_there(self, other: Side, proposal: Proposal) -> bool:
        """The other number's side of a proposal: whether to send a code. Does the same whoever holds the number."""
        async with self.writer.stores[other.store].transaction() as connection:
            customer_id = await self._holder(connection, other, proposal.proposed_at)
            lately = await take(connection, customer_id, proposal.proposed_at - LATELY)
            wanted = customer_id is not None and lately < MOST_PROPOSALS
            await propose(connection, proposal._replace(customer_id=customer_id if wanted else None))
        return wanted

    async def _decide(self, mine: Side, proposal: Proposal) -> Outcome:
        """The link is to be: from here on, whatever breaks."""
        customer_id, now = proposal.customer_id, self.writer.clock()
        intent = Intent(proposal.token, proposal.other_store, ACTIVE, now)
        taken = _refused(mine, "LINK_EXISTS", "number", UNLINKED)
        assert customer_id is not None, "whoever proposed is somebody"
        async with self.writer.stores[mine.store].transaction() as connection:
            await take(connection, customer_id, now)
            if await standing(connection, customer_id, proposal.other_store):
                return taken
            if not await use(connection, proposal.token):
                return _refused(mine, "LINK_OVER", "token", "a proposal that is not used")
            await intend(connection, intent)
        with suppress(StoreUnavailable):
            if not await carry(self._writer_for, mine.store, intent):
                return taken
        return Outcome(Status.ACCEPTED, customer_id, mine.store)

    async def _holder(self, connection: Connection, side: Side, at: datetime) -> UUID | None:
        ring = self.writer.rings[side.store]

        async def held(tags: Sequence[bytes]) -> UUID | None:
            graph = await Graph.load(connection, Tags(ring), Mentioned(numbers=set(tags)))
            return next((span.customer_id for tag in tags if (span := graph.holder(tag, at))), None)

        return await look_up(connection, ring, (NUMBER_INDEX, side.number), held)

    def _hash(self, store: str, token: bytes, code: str) -> bytes:
        return self.writer.rings[store].digest(CODE_INDEX, f"{token.hex()}:{code}")

    async def _writer_for(self, _: str) -> Writer:
        return self.writer


async def carry(writer_for: WriterFor, store: str, intent: Intent) -> bool:
    """Tells both sides of a link what it is to be; False where one of them refused, and the link is ended on both.

    Raises StoreUnavailable when one side does not answer, or is not served here: then it is to be carried again.
    """
    told = await _told(writer_for, store, intent.other_store, intent, leads=True)
    told = told and await _told(writer_for, intent.other_store, store, intent, leads=False)
    home = (await writer_for(store)).stores[store]
    ended = None if told or intent.state == REVOKED else intent._replace(state=REVOKED, at=intent.at + TICK)
    async with home.transaction() as connection:
        if ended is None:
            await done(connection, intent)
        else:
            await intend(connection, ended)
    if ended is not None:
        await carry(writer_for, store, ended)
    return told


def link_job(writer_for: WriterFor) -> Job:
    """Carries links that could not be carried when they were decided; forgets old proposals."""

    async def heal(store: Store) -> None:
        now = datetime.now(UTC)
        async with store.read() as connection:
            intents = await due(connection, now)
        for intent in intents:
            try:
                await carry(writer_for, store.name, intent)
            except Exception:
                # Whatever one of them fails of, the others are carried.
                log.warning("link not carried", store=store.name, attempt=intent.attempts + 1, exc_info=True)
                seconds = pause_after(intent.attempts + 1, RETRY_SECONDS, LONGEST_RETRY_SECONDS)
                async with store.transaction() as connection:
                    await postpone(connection, intent, now + timedelta(seconds=seconds))
        async with store.transaction() as connection:
            await forget(connection, now - KEPT)

    return Job("links", CARRY_SECONDS, heal)


async def _told(writer_for: WriterFor, name: str, other: str, intent: Intent, *, leads: bool) -> bool:
    """Tells one side; False where it refused. An end it knows nothing of, or cannot follow, is not to be told again."""
    writer = await writer_for(name)
    if name not in writer.stores:
        raise StoreUnavailable(name, "not served here")
    async with writer.stores[name].read() as connection:
        customer_id = await known_by(connection, intent.token)
    if customer_id is None:
        return intent.state == REVOKED
    event: dict[str, Any] = {
        "type": EVENTS[intent.state],
        "eventId": hashlib.sha256(intent.token + intent.state.encode()).hexdigest(),
        "at": intent.at.isoformat(),
        "region": next(region for region, kept_in in writer.regions.items() if kept_in == name),
        "subject": {"customerId": str(customer_id)},
        "token": intent.token.hex(),
    }
    if intent.state == ACTIVE:
        event |= {"otherStore": other, "leads": leads}
    [outcome] = await ingest(writer, [event], f"{ORDERED}link")
    return outcome.status in (Status.ACCEPTED, Status.DUPLICATE) or intent.state == REVOKED


def _refused(mine: Side, code: str, field: str, expected: str) -> Outcome:
    return Outcome(Status.REJECTED, None, mine.store, code, field, expected)


def _unknown(mine: Side) -> Outcome:
    return _refused(mine, UNKNOWN_CUSTOMER, "number", "a number that a customer holds")


def _crossing(mine: Side, why: Withheld, field: str) -> Outcome:
    """The policy's own word for what is missing: a transfer basis, or the consent that names the other jurisdiction."""
    return _refused(mine, why.value, field, "a customer whose data may be seen in the other number's jurisdiction")
