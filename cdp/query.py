"""The read journey: ask the stores, decide per customer, fill the answer, and let it go when its audit entry is
durable.

A plan says which statement answers a root and what shape the answer has; this module knows nothing of GraphQL. Each
store is asked once per operation; a customer linked to another store is asked for there with the token both sides
share, and nothing else.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from cdp.asked import Asked, Plan, entry
from cdp.audit import AuditTrail, uuid7
from cdp.auth import Caller
from cdp.consent.policy_rows import read_policy
from cdp.consent.reads import facts_of
from cdp.gate import Part, Places, Spot
from cdp.identity.tables import customer
from cdp.shape import Connection, Node, Reading
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
    KeyKind,
)
from cdp.stores import Store
from privacy.facts import Facts, Request
from privacy.keys import KeyRing, WrappedDataKey
from privacy.policy import decide
from privacy.rulebook import Policy
from privacy.seal import Opener, Sealed, SealedColumn
from privacy.vocabulary import SELF, Effect, RecipientClass, RetentionClass, Withheld

BIRTH: SealedColumn = customer.c.birth_date.info["sealed"]
AGE_PURPOSE = "legal.realname"


@dataclass(frozen=True, slots=True)
class Root:
    """One root of a plan: its place in the answer, its shape, and the places a customer's other stores add to."""

    number: int
    path: tuple[str, ...]
    shape: Node | Connection
    joined: tuple[Spot, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A root to be answered: by which kind of key, the key's values in each store to be asked, and its other
    parameters.
    """

    root: Root
    kind: KeyKind
    keys: Mapping[str, Mapping[str, Any]]
    parameters: Mapping[str, Any]
    filters: tuple[str, ...] = ()
    """The categories a page was filtered by: being found is a read of them."""
    unserved: bool = False
    """The store to be asked is not served here, or not open to the caller."""


@dataclass(slots=True)
class OpenStore:
    """A store with what its reads need: keys, audit trail, sealed places and the policy it was last read with."""

    store: Store
    ring: KeyRing
    trail: AuditTrail
    places: Places
    policy: Policy | None = None

    async def policy_of(self, version: int) -> Policy:
        """The policy of a version a snapshot named; read anew when the store has moved on."""
        if self.policy is None or self.policy.version != version:
            async with self.store.read() as connection:
                self.policy = await read_policy(connection)
        return self.policy


class Query:
    """Reads for callers, over the stores this process serves."""

    def __init__(self, stores: Mapping[str, OpenStore]) -> None:
        self.stores = stores

    async def read(self, wanted: Sequence[Wanted], asked: Asked, reading: Reading) -> dict[int, Any]:
        """The data of each root, by its number. Raises StoreUnavailable when a store that was asked does not answer."""
        assert asked.plan is not None, "what is read has a plan"
        homes = await self._fetch(wanted, asked.plan)
        others = await self._fetch(self._linked(wanted, homes, asked, reading), asked.plan)
        data: dict[int, Any] = {}
        for want in wanted:
            number = want.root.number
            if want.unserved:
                reading.findings.withhold(want.root.path, Withheld.REGION_UNAVAILABLE)
            data[number] = await self._answer(want, homes.get(number, []), others.get(number, []), asked, reading)
        return data

    async def write_down(self, asked: Asked, code: str | None = None) -> UUID:
        """Make the operation durable in the audit trail of every store it touched; the id of its entries.

        One that touched no store is written down in the first the caller may read. Raises AuditUnavailable.
        """
        entry_id = uuid7(asked.at)
        first = next((store for store in asked.caller.stores if store in self.stores), next(iter(self.stores)))
        touched = sorted({part.store for part in asked.parts} | asked.stores) or [first]
        await asyncio.gather(
            *(
                at.trail.record(entry(asked, name, at.store.jurisdiction, at.trail.pseudonym, code), entry_id)
                for name, at in ((name, self.stores[name]) for name in touched)
            )
        )
        return entry_id

    async def _fetch(self, wanted: Sequence[Wanted], plan: Plan) -> dict[int, list[tuple[str, Any]]]:
        """One statement per store; for each root its rows with the store they came from, in the order of the stores."""
        by_store: dict[str, list[Wanted]] = {}
        for want in wanted:
            for store in want.keys:
                by_store.setdefault(store, []).append(want)
        answers = await asyncio.gather(*(self._execute(store, asked, plan) for store, asked in by_store.items()))
        found: dict[int, list[tuple[str, Any]]] = {}
        for store, rows in zip(by_store, answers, strict=True):
            for row in rows:
                found.setdefault(row[0], []).append((store, row))
        return found

    async def _execute(self, store: str, wanted: Sequence[Wanted], plan: Plan) -> Sequence[Any]:
        statement = plan.statement(tuple((want.root.number, want.kind) for want in wanted))
        values: dict[str, Any] = dict(statement.constants)
        for want in wanted:
            values |= want.parameters
            values |= {f"r{want.root.number}_{name}": [value] for name, value in want.keys[store].items()}
        async with self.stores[store].store.read() as connection:
            rows: Sequence[Any] = await connection.fetch(statement.text, *(values[n] for n in statement.parameters))
        return rows

    def _linked(
        self, wanted: Sequence[Wanted], homes: Mapping[int, Sequence[tuple[str, Any]]], asked: Asked, reading: Reading
    ) -> list[Wanted]:
        """The customers found that are in another store too; what may not be asked there is withheld."""
        away = []
        for want in wanted:
            if want.kind in (KeyKind.LINK, KeyKind.ROW, KeyKind.REGION) or not homes.get(want.root.number):
                continue
            _, row = homes[want.root.number][0]
            for token, other, _leads in row[LINKS]:
                if other in self.stores and other in asked.caller.stores:
                    away.append(Wanted(want.root, KeyKind.LINK, {other: {"key": token}}, want.parameters))
                else:
                    for spot in want.root.joined:
                        reading.findings.withhold(spot.path, Withheld.REGION_UNAVAILABLE)
        return away

    async def _answer(
        self,
        want: Wanted,
        rows: Sequence[tuple[str, Any]],
        away: Sequence[tuple[str, Any]],
        asked: Asked,
        reading: Reading,
    ) -> Any:
        if want.kind is KeyKind.REGION:
            return await self._page(want, rows, asked, reading)
        if want.kind is KeyKind.LINK:
            # Both sides of the link were asked; the one that leads is home.
            rows, away = (sides := sorted(rows, key=lambda side: not _leads(side[1])))[:1], sides[1:]
        if not rows:
            return self._nothing(want.root, asked.caller, reading)
        destination = self.stores[rows[0][0]].store.jurisdiction
        token = rows[0][1][LINKS][0][0] if rows[0][1][LINKS] else None
        parts = [await self._part(store, row, destination, asked) for store, row in (rows[0], *away)]
        home, *others = parts
        others = [part for part in others if part.link == token]
        asked.parts += [home, *others]
        asked.home |= {part.customer_id: destination for part in (home, *others)}
        if asked.caller.partner and not home.shows_anything:
            return self._nothing(want.root, asked.caller, reading)
        assert isinstance(want.root.shape, Node)
        return want.root.shape.value(home.head, [home, *others], reading)

    def _nothing(self, root: Root, caller: Caller, reading: Reading) -> None:
        # To a partner, a customer nobody knows and one who agreed to nothing look the same.
        if caller.partner:
            reading.findings.forget(root.path)
            reading.findings.withhold(root.path, Withheld.UNAVAILABLE)

    async def _page(self, want: Wanted, rows: Sequence[tuple[str, Any]], asked: Asked, reading: Reading) -> Any:
        shape = want.root.shape
        assert isinstance(shape, Connection)
        parts = []
        for store, row in rows:
            part = await self._part(store, row, self.stores[store].store.jurisdiction, asked)
            refused = [v for name in want.filters if (v := part.verdicts[name]).effect is not Effect.ALLOW]
            if refused:
                reading.findings.withhold(
                    shape.many.spot.path, refused[0].code or Withheld.UNAVAILABLE, refused[0].kind
                )
            else:
                parts.append(part)
        asked.parts += parts[: reading.bindings[shape.many.first]]
        asked.home |= {part.customer_id: self.stores[part.store].store.jurisdiction for part in parts}
        return shape.page([(part.head, part) for part in parts], reading, [[part] for part in parts])

    async def _part(self, store: str, row: Any, destination: str, asked: Asked) -> Part:
        """The gate: the verdicts for one customer's rows, and the opener that follows them."""
        at, head, plan, caller = self.stores[store], row[2], asked.plan, asked.caller
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
            asked.at,
        )
        facts = facts_of(customer_id, head[STATE], None, row[CONSENTS], row[OBJECTIONS])
        if head[BIRTH_DATE] is not None:
            facts = replace(facts, birth_on=birth_of(Minor(at, policy, facts, keys), head[BIRTH_DATE], asked.at))
        decision = decide(policy, request, facts, plan.categories)
        opener = Opener(decision.permit, at.ring, customer_id, keys)
        link = row[LINKS][0][0] if row[LINKS] else None
        consents = len(row[CONSENTS])
        return Part(
            store, customer_id, head, row[LISTS:], link, decision.verdicts, opener, at.places, policy.version, consents
        )


@dataclass(frozen=True, slots=True)
class Minor:
    """A customer whose age decides: the store and policy they are under, what is known of them, and their keys."""

    at: OpenStore
    policy: Policy
    facts: Facts
    keys: Sequence[WrappedDataKey]


def birth_of(minor: Minor, cell: bytes, now: datetime) -> date:
    """A minor's birth date, opened so that the law that protects minors can be followed. Raises PrivacyError."""
    at, facts, here = minor.at, minor.facts, minor.at.store.jurisdiction
    duty = Request("cdp", SELF, RecipientClass.SELF, AGE_PURPOSE, frozenset({AGE_PURPOSE}), "cdp", here, here, now)
    permit = decide(minor.policy, duty, facts, (BIRTH.category,)).permit
    opener = Opener(permit, at.ring, facts.customer_id, minor.keys)
    born = opener.open(Sealed(cell), at.places.of(BIRTH), facts.customer_id)
    assert isinstance(born, date)
    return born


def _leads(row: Any) -> bool:
    return any(leads for _, _, leads in row[LINKS])
