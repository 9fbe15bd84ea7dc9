"""Admission at the gate: what one customer's rows of a store may be used for, decided from the facts that came with
them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import structlog

from cdp.asked import Asked, Book
from cdp.consent.policy_rows import read_policy
from cdp.consent.reads import facts_of, heard_alone, latest_known, together
from cdp.crossings import Crossings
from cdp.gate import Part, Places
from cdp.gather import Gatherer
from cdp.identity.tables import customer
from cdp.key_store import STORE_KEYS, as_store_keys, keep_up, keys_of_customers
from cdp.statement import BIRTH_DATE, CUSTOMER_ID, DATA_KEYS, HEAD_ROW, HELD, LEADER, OTHERS, STATE, Statement
from cdp.stores import Store
from privacy.errors import PrivacyError
from privacy.facts import Facts, Request
from privacy.keys import KeyRing, KeyRow
from privacy.policy import Decider, Permit, decide
from privacy.rulebook import Policy
from privacy.seal import Opener, Sealed, SealedColumn
from privacy.vocabulary import SELF, RecipientClass

BIRTH: SealedColumn = customer.c.birth_date.info["sealed"]
AGE_PURPOSE = "legal.realname"
KEYS_NOW = Statement.of(STORE_KEYS, (), ())

log = structlog.get_logger()


@dataclass(slots=True)
class OpenStore:
    """A store with what its reads need: keys, audit trail, sealed places and the policy it was last read with."""

    store: Store
    ring: KeyRing
    book: Book
    places: Places
    gatherer: Gatherer
    crossings: Crossings
    policy: Policy | None = None

    async def keep_up(self) -> None:
        """Takes in the keys that were added to the store since it was opened. Those who miss at once ask together."""
        if self.store.apart is None:
            await self.ring.keep_up(as_store_keys(await self.gatherer.rows(KEYS_NOW, (), ())))
        else:
            async with self.store.read() as connection:
                await keep_up(connection, self.ring)

    async def rows(self, statement: Statement, keys: Sequence[Any], shared: tuple[Any, ...]) -> Sequence[Any]:
        """The rows of a statement, whose cells can be opened: with data keys that are in another database, and after
        taking in the keys of the store that those are wrapped by.
        """
        rows = await self.gatherer.rows(statement, keys, shared)
        if self.store.apart is not None:
            kept = await keys_of_customers(self.store, [row[HEAD_ROW][CUSTOMER_ID] for row in rows])
            rows = [(*row[:DATA_KEYS], kept.get(row[HEAD_ROW][CUSTOMER_ID], ()), *row[DATA_KEYS + 1 :]) for row in rows]
        for row in rows:
            if not self.ring.holds(row[DATA_KEYS]):
                await self.keep_up()
        return rows

    async def policy_since(self, version: int) -> Policy:
        """The policy of the version a snapshot named, or a newer one; read anew when the store has moved on."""
        if self.policy is None or self.policy.version < version:
            async with self.store.read() as connection:
                self.policy = await read_policy(connection)
        return self.policy


class Admission:
    """Who comes through the gate: customers' rows of one store, read for one operation in one jurisdiction."""

    __slots__ = ("_at", "_categories", "_decider", "_policy", "_request")

    def __init__(self, at: OpenStore, policy: Policy, destination: str, asked: Asked) -> None:
        caller, plan = asked.caller, asked.plan
        assert plan is not None, "what is read has a plan"
        self._at, self._policy, self._categories = at, policy, plan.categories
        self._request = Request(
            caller.client,
            caller.legal_entity,
            caller.recipient_class,
            plan.purpose,
            caller.purposes,
            caller.channel,
            at.store.jurisdiction,
            destination,
            asked.at,
        )
        self._decider = Decider(policy, self._request, plan.categories)

    async def leaving(self, row: Any) -> Part:
        """As `part`, where data leaves its jurisdiction: who it is about is counted before, for each transfer basis,
        and one without room for them carries nothing.
        """
        while True:
            part = self.part(row)
            carried = self._decider.carriers(part.decision)
            bases = [basis for basis in self._policy.transfer_bases if basis.id in carried]
            full = await self._at.crossings.full(bases, part.customer_id, self._request.as_of)
            if not full:
                return part
            self._request = self._request._replace(exhausted=self._request.exhausted | full)
            self._decider = Decider(self._policy, self._request, self._categories)

    def part(self, row: Any) -> Part:
        """One customer's rows with the verdicts for them, and the opener that follows these."""
        _, _, head, consents, objections, keys, links, *arrays = row
        at, now, decider = self._at, self._request.as_of, self._decider
        as_of = latest_known(now, consents, objections)
        for other in head[OTHERS] or ():
            as_of = latest_known(as_of, *other[3:])
        if as_of is not now:
            decider = Decider(self._policy, self._request._replace(as_of=as_of), self._categories)
        customer_id: UUID = head[CUSTOMER_ID]
        facts = facts_of(customer_id, head[STATE], consents, objections)
        if head[BIRTH_DATE] is not None:
            facts = facts._replace(birth_on=birth_of(at, facts, head[BIRTH_DATE], keys, now))
        if head[LEADER] is None:
            decision = decider.decide(facts)
        else:
            decision = decider.together(together(facts, consents, head, now.date()))
        return Part(
            at.store.name,
            customer_id,
            head,
            arrays,
            links[0][0] if links else None,
            decision,
            Opener(decision.permit, at.ring, customer_id, keys),
            at.places,
            self._policy.version,
            len(consents),
            self._request.destination,
            as_of,
            self._request.exhausted,
            heard_alone(consents, *(other[3] for other in head[OTHERS] or ())),
            head[HELD],
        )


def birth_of(at: OpenStore, facts: Facts, cell: bytes, keys: Collection[KeyRow], now: datetime) -> date:
    """A minor's birth date, opened so that the law that protects minors can be followed; today's where it does not
    open: in doubt the youngest.
    """
    assert at.policy is not None, "what is decided has a policy"
    permit = on_duty(at.policy, Duty(AGE_PURPOSE, at.store.jurisdiction, now), facts, (BIRTH.category,))
    try:
        opener = Opener(permit, at.ring, facts.customer_id, keys)
        born = opener.open(Sealed(cell), at.places.of(BIRTH), facts.customer_id)
    except PrivacyError as broken:
        log.warning("birth_unopened", store=at.store.name, code=broken.code)
        return now.date()
    assert isinstance(born, date)
    return born


class Duty(NamedTuple):
    """What a law asks of the operator itself: for a purpose, where the data is kept, now."""

    purpose: str
    here: str
    now: datetime


def on_duty(policy: Policy, duty: Duty, facts: Facts, categories: Collection[str]) -> Permit:
    """Leave to open a customer's cells for a duty; for no category that the policy does not allow it for."""
    purpose, here, now = duty
    asks = Request("cdp", SELF, RecipientClass.SELF, purpose, frozenset({purpose}), "cdp", here, here, now)
    return decide(policy, asks, facts, categories).permit
