"""Whom an event is about: identifiers to customers, numbers to holdings, as of the event's own time.

A `Graph` is loaded for a whole batch with one query per kind of identifier and learns from the events of the batch
as they are applied. An erased customer is not in it.
"""

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

from cdp.errors import InvalidNumber, RequestInvalid
from cdp.event import Event
from cdp.identity.events import CustomerIdentified, CustomerRegistered
from cdp.identity.holdings import NumberEvent
from cdp.identity.lives import take
from cdp.identity.tables import IDENTIFIER_INDEXES, NUMBER_INDEX, identifier_index
from cdp.identity.timeline import Fact, HoldingState, Span, life_of
from cdp.numbers import BLOCKED_WORDS, e164_of
from cdp.staging import staged
from cdp.stores import Connection
from cdp.values import compact
from privacy.keys import KeyRing, StoreKeyKind
from privacy.vocabulary import CustomerState

REGISTERING: Final = (CustomerRegistered, CustomerIdentified)
SMALLEST_IDENTIFIER = 2
ROLES: Final = {"USER": 2, "REGISTERED_HOLDER": 1}
"""Whom a number stands for: its user, else its registered holder, else whoever has another role in it."""

HOLDINGS = """
SELECT number_tag, holding_id, customer_id, role, valid_from, valid_to FROM number_index
WHERE number_tag = ANY($1::bytea[])
"""
OF_THEIRS = """
SELECT number_tag, holding_id, customer_id, role, valid_from, valid_to FROM number_index
WHERE number_tag IN (SELECT number_tag FROM number_index WHERE customer_id = ANY($1::uuid[]))
"""
OWNERS = "SELECT identifier_tag, customer_id FROM identifier_index WHERE identifier_tag = ANY($1::bytea[])"
OWNERS_AND_BLOCKED = """
SELECT identifier_tag, customer_id FROM identifier_index WHERE identifier_tag = ANY($1::bytea[])
UNION ALL SELECT tag, NULL FROM blocked_identifier WHERE tag = ANY($1::bytea[])
"""
PRESENT = "SELECT customer_id FROM customer WHERE customer_id = ANY($1::uuid[]) AND state <> ALL($2::text[])"
STATES = "SELECT customer_id, state FROM customer WHERE customer_id = ANY($1::uuid[])"
GONE: Final = [CustomerState.ERASING.value, CustomerState.ERASED.value]

# Waits for another writer who registers the same identifier; whoever came first has it, and OWNERS tells who that was.
CLAIM = """
INSERT INTO identifier_index (identifier_tag, kind, customer_id)
SELECT identifier_tag, kind, customer_id FROM {} ON CONFLICT DO NOTHING
"""
CLAIMED: Final = ("identifier_tag", "kind", "customer_id")


@dataclass(frozen=True, slots=True)
class Mentioned:
    """What a batch mentions: number tags, other identifiers' tags, customer ids; `changing` are the tags of numbers
    whose lives may change, each with the region of a record of it.
    """

    numbers: set[bytes] = field(default_factory=set)
    others: set[bytes] = field(default_factory=set)
    ids: set[UUID] = field(default_factory=set)
    changing: dict[bytes, str] = field(default_factory=dict)


def normalise(kind: str, value: str, region: str | None) -> str:
    """The one spelling of an identifier, as its tag is made from; `region` is that of the record, for bare numbers.

    Raises InvalidNumber, or RequestInvalid IDENTIFIER_INVALID for a kind nobody knows and for values that mean nobody.
    """
    if kind == "number":
        return e164_of(value, region)
    if kind not in IDENTIFIER_INDEXES:
        raise RequestInvalid("IDENTIFIER_INVALID", f"an identifier is one of {', '.join(IDENTIFIER_INDEXES)}")
    if kind == "customerKey":
        text = unicodedata.normalize("NFKC", value).strip()
    elif kind == "email":
        text = unicodedata.normalize("NFKC", value).strip().casefold()
    else:
        text = compact(value)
    if len(text) < SMALLEST_IDENTIFIER or text.casefold() in BLOCKED_WORDS or not text.strip("0"):
        raise RequestInvalid("IDENTIFIER_INVALID", f"{kind}: a value that means nobody in particular")
    return text


class Tags:
    """Tags of identifiers as they were written, each worked out once for a batch.

    `before` has the tags of the epoch before, while rows are moved from them, by the new ones; `epoch` is that of the
    index root that no tag is older than.
    """

    __slots__ = ("_made", "_ring", "before", "epoch")

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self.forget()

    def forget(self) -> None:
        """Begins anew, with newer keys."""
        self._made: dict[tuple[str, str, str | None], bytes] = {}
        self.before: dict[bytes, bytes] = {}
        self.epoch = self._ring.epoch_of(StoreKeyKind.INDEX)

    def of(self, kind: str, value: str, region: str | None, under: str = "") -> bytes:
        """The tag; raises like `normalise`, a number's field with `under` before its name."""
        name = (kind, value, region)
        tag = self._made.get(name)
        if tag is None:
            index = NUMBER_INDEX if kind == "number" else IDENTIFIER_INDEXES.get(kind, NUMBER_INDEX)
            try:
                normalised = normalise(kind, value, region)
                tag = self._made[name] = self._ring.tag(index, normalised)
                if self._ring.moves_tags:
                    self.before[tag] = self._ring.sought_tag(index, normalised)
            except InvalidNumber as invalid:
                raise InvalidNumber(invalid.reason, under + invalid.field, invalid.expected) from None
        return tag


def _claim_of(span: Span) -> tuple[int, datetime, UUID]:
    """Greater for the holding that stands for the number."""
    return ROLES.get(span.role, 0), span.valid_from, span.holding_id


class Graph:
    """Owners of identifiers and lives of numbers, by tag; only customers who are there and not erased."""

    def __init__(self, tags: Tags) -> None:
        self.tags = tags
        self.owners: dict[bytes, UUID] = {}
        self.present: set[UUID] = set()
        self.made: set[UUID] = set()
        """Those of them whom this batch is to make: nothing is written of them yet."""
        self.blocked: set[bytes] = set()
        self.facts: dict[bytes, set[Fact]] = {}
        """All that was said of the numbers whose lives may change."""
        self._spans: dict[bytes, Sequence[Span]] = {}
        self._numbers: dict[UUID, set[bytes]] = {}

    @classmethod
    async def load(cls, connection: Connection, tags: Tags, mentioned: Mentioned) -> Self:
        """What is known of what a batch mentions; the numbers whose lives may change are taken until the commit."""
        graph = cls(tags)
        for tag, owner in await connection.fetch(OWNERS_AND_BLOCKED, [*mentioned.numbers, *mentioned.others]):
            if owner is None:
                graph.blocked.add(tag)
            else:
                graph.owners[tag] = owner
        if mentioned.changing:
            graph.facts = await take(connection, mentioned.changing)
            graph._spans = {tag: life_of(facts).spans for tag, facts in graph.facts.items()}
        others = [tag for tag in mentioned.numbers if tag not in graph.facts]
        if others:
            graph._spans |= await _spans(connection, HOLDINGS, others)
        everyone = {*mentioned.ids, *graph.owners.values()}
        everyone.update(span.customer_id for spans in graph._spans.values() for span in spans)
        graph.present = {row[0] for row in await connection.fetch(PRESENT, list(everyone), GONE)}
        return graph

    async def load_roles(self, connection: Connection, customers: Collection[UUID]) -> None:
        """Takes in who has which role in the numbers of these customers."""
        self._spans = await _spans(connection, OF_THEIRS, customers) | self._spans
        everyone = {span.customer_id for spans in self._spans.values() for span in spans}
        self.present |= {row[0] for row in await connection.fetch(PRESENT, list(everyone), GONE)}
        for tag, spans in self._spans.items():
            for span in spans:
                self._numbers.setdefault(span.customer_id, set()).add(tag)

    def has(self, customer_id: UUID, role: str, at: datetime) -> bool:
        """Whether somebody else has a role in one of the customer's numbers as of an instant."""
        for tag in self._numbers.get(customer_id, ()):
            found = [span for span in self._spans[tag] if span.covers(at) and span.customer_id in self.present]
            others = {span.customer_id for span in found if span.role == role}
            if others - {customer_id} and any(span.customer_id == customer_id for span in found):
                return True
        return False

    def holder(self, tag: bytes, at: datetime) -> Span | None:
        """The holding that stands for a number as of an instant."""
        found = [span for span in self._spans.get(tag, ()) if span.covers(at) and span.customer_id in self.present]
        if len(found) < 2:
            return found[0] if found else None
        return max(found, key=_claim_of)

    def sole(self, tag: bytes) -> Span | None:
        """The only holding there ever was of a number, whenever that was; None where there were others."""
        spans = self._spans.get(tag, ())
        return spans[0] if len(spans) == 1 and spans[0].customer_id in self.present else None

    def owner(self, tag: bytes) -> UUID | None:
        """The customer an identifier other than a number belongs to."""
        customer_id = self.owners.get(tag)
        return customer_id if customer_id in self.present else None

    def held(self, customer_id: UUID, e164: str, at: datetime) -> UUID | None:
        """One customer's holding of a number as of an instant."""
        some = self._spans.get(self.tags.of("number", e164, None), ())
        mine = [span for span in some if span.customer_id == customer_id and span.covers(at)]
        return max(mine, key=_claim_of).holding_id if mine else None

    def owner_of(self, kind: str, value: str) -> UUID | None:
        """The customer an identifier other than a number belongs to, as it is written."""
        return self.owner(self.tags.of(kind, value, None))

    def customer(self, kind: str, value: str | UUID, region: str, at: datetime) -> UUID | None:
        """The customer an identifier of any kind belongs to as of an instant, as it is written in a region."""
        if isinstance(value, UUID):
            return value if value in self.present else None
        tag = self.tags.of(kind, value, region)
        span = self.holder(tag, at) if kind == "number" else None
        return span.customer_id if span is not None else self.owner(tag)

    def learn(self, event: Event, customer_id: UUID, given: Iterable[tuple[str, bytes]]) -> None:
        """Takes in an event that was applied, and the identifiers it gives: the rest of the batch sees them, and what
        it took away.
        """
        for _, tag in given:
            self.owners.setdefault(tag, customer_id)
        if isinstance(event, NumberEvent):
            tag = self.tags.of("number", event.number, event.region)
            self.facts[tag].update(event.facts(customer_id))
            self._spans[tag] = life_of(self.facts[tag]).spans
            self._numbers.setdefault(customer_id, set()).add(tag)


async def _spans(connection: Connection, statement: str, keys: Collection[Any]) -> dict[bytes, Sequence[Span]]:
    found: dict[bytes, list[Span]] = {}
    for tag, holding, customer, role, since, until in await connection.fetch(statement, list(keys)):
        span = Span(holding, customer, role, since, until, HoldingState.ACTIVE, since)
        found.setdefault(tag, []).append(span)
    return {**found}


async def claim(connection: Connection, graph: Graph, claims: Collection[tuple[bytes, str, UUID]]) -> None:
    """Gives each identifier (tag, kind) to the customer who is to be registered by it, unless somebody has it already.

    Afterwards the graph knows the owners, and the new customers are present.
    """
    wanted = sorted(set(claims))
    source, parameters = await staged(connection, identifier_index, CLAIMED, wanted)
    if await connection.execute(CLAIM.format(source), *parameters) == f"INSERT 0 {len(wanted)}":
        found = {tag: customer_id for tag, _, customer_id in wanted}
    else:
        found = dict(await connection.fetch(OWNERS, [tag for tag, _, _ in wanted]))
    graph.owners |= found
    owners = set(found.values())
    # An event that comes again names the same customer again, who may have been erased meanwhile.
    states = dict(await connection.fetch(STATES, list(owners)))
    graph.made = owners - states.keys()
    graph.present |= {one for one in owners if states.get(one) not in GONE}


def registers(event: Event) -> bool:
    """Whether an event may make a new customer."""
    return isinstance(event, REGISTERING)
