"""Admission at the gate: what one customer's rows of a store may be used for, decided from the facts that came with
them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

import structlog

from cdp.asked import Asked
from cdp.audit import AuditTrail
from cdp.consent.policy_rows import read_policy
from cdp.consent.reads import facts_of, latest_known
from cdp.gate import Part, Places
from cdp.gather import Gatherer
from cdp.identity.tables import customer
from cdp.statement import (
    BIRTH_DATE,
    CONSENTS,
    CUSTOMER_ID,
    DATA_KEYS,
    LINKS,
    LISTS,
    OBJECTIONS,
    POLICY_VERSION,
    STATE,
)
from cdp.stores import Store
from privacy.errors import PrivacyError
from privacy.facts import Facts, Request
from privacy.keys import KeyRing, WrappedDataKey
from privacy.policy import decide
from privacy.rulebook import Policy
from privacy.seal import Opener, Sealed, SealedColumn
from privacy.vocabulary import SELF, RecipientClass, RetentionClass

BIRTH: SealedColumn = customer.c.birth_date.info["sealed"]
AGE_PURPOSE = "legal.realname"

log = structlog.get_logger()


@dataclass(slots=True)
class OpenStore:
    """A store with what its reads need: keys, audit trail, sealed places and the policy it was last read with."""

    store: Store
    ring: KeyRing
    trail: AuditTrail
    places: Places
    gatherer: Gatherer
    policy: Policy | None = None

    async def policy_of(self, version: int) -> Policy:
        """The policy of a version a snapshot named; read anew when the store has moved on."""
        if self.policy is None or self.policy.version != version:
            async with self.store.read() as connection:
                self.policy = await read_policy(connection)
        return self.policy


async def admit(at: OpenStore, row: Any, destination: str, asked: Asked) -> Part:
    """The verdicts for one customer's rows, to be read in the jurisdiction `destination`, and the opener that follows
    them.
    """
    head, plan, caller = row[2], asked.plan, asked.caller
    assert plan is not None, "what is read has a plan"
    policy = await at.policy_of(head[POLICY_VERSION])
    customer_id: UUID = head[CUSTOMER_ID]
    keys = [WrappedDataKey(customer_id, RetentionClass(key[0]), *key[1:]) for key in row[DATA_KEYS]]
    request = Request(
        caller.client,
        caller.legal_entity,
        caller.recipient_class,
        plan.purpose,
        caller.purposes,
        caller.channel,
        at.store.jurisdiction,
        destination,
        latest_known(asked.at, row[CONSENTS], row[OBJECTIONS]),
    )
    facts = facts_of(customer_id, head[STATE], None, row[CONSENTS], row[OBJECTIONS])
    if head[BIRTH_DATE] is not None:
        facts = replace(facts, birth_on=birth_of(Minor(at, policy, facts, keys), head[BIRTH_DATE], asked.at))
    decision = decide(policy, request, facts, plan.categories)
    opener = Opener(decision.permit, at.ring, customer_id, keys)
    link = row[LINKS][0][0] if row[LINKS] else None
    consents = len(row[CONSENTS])
    return Part(
        at.store.name,
        customer_id,
        head,
        row[LISTS:],
        link,
        decision.verdicts,
        opener,
        at.places,
        policy.version,
        consents,
    )


@dataclass(frozen=True, slots=True)
class Minor:
    """A customer whose age decides: the store and policy they are under, what is known of them, and their keys."""

    at: OpenStore
    policy: Policy
    facts: Facts
    keys: Sequence[WrappedDataKey]


def birth_of(minor: Minor, cell: bytes, now: datetime) -> date:
    """A minor's birth date, opened so that the law that protects minors can be followed; today's where it does not
    open: in doubt the youngest.
    """
    at, facts, here = minor.at, minor.facts, minor.at.store.jurisdiction
    duty = Request("cdp", SELF, RecipientClass.SELF, AGE_PURPOSE, frozenset({AGE_PURPOSE}), "cdp", here, here, now)
    permit = decide(minor.policy, duty, facts, (BIRTH.category,)).permit
    try:
        opener = Opener(permit, at.ring, facts.customer_id, minor.keys)
        born = opener.open(Sealed(cell), at.places.of(BIRTH), facts.customer_id)
    except PrivacyError as broken:
        log.warning("birth_unopened", store=at.store.name, code=broken.code)
        return now.date()
    assert isinstance(born, date)
    return born
