"""Whom an event is about: identifiers to customers, numbers to holdings, as of the event's own time.

A `Graph` is loaded for a whole batch with one query per kind of identifier and learns from the events of the batch
as they are applied. An erased customer is not in it.
"""

import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

from cdp.errors import InvalidNumber, RequestInvalid
from cdp.event import Event
from cdp.identity.events import CustomerRegistered
from cdp.identity.holdings import NumberActivated, NumberReleased
from cdp.identity.tables import IDENTIFIER_INDEXES, NUMBER_INDEX
from cdp.numbers import BLOCKED_WORDS, PhoneNumber
from cdp.stores import Connection
from cdp.values import compact
from privacy.keys import KeyRing
from privacy.vocabulary import CustomerState

SMALLEST_IDENTIFIER = 2
ROLES: Final = {"USER": 2, "REGISTERED_HOLDER": 1}
"""Whom a number stands for: its user, else its registered holder, else whoever has another role in it."""

HOLDINGS = """
SELECT number_tag, customer_id, holding_id, role, valid_from, valid_to FROM number_index
WHERE number_tag = ANY($1::bytea[])
"""
OWNERS = "SELECT identifier_tag, customer_id FROM identifier_index WHERE identifier_tag = ANY($1::bytea[])"
PRESENT = "SELECT customer_id FROM customer WHERE customer_id = ANY($1::uuid[]) AND state <> ALL($2::text[])"
ERASED = "SELECT customer_id FROM customer WHERE customer_id = ANY($1::uuid[]) AND state = ANY($2::text[])"
GONE: Final = [CustomerState.ERASING.value, CustomerState.ERASED.value]

# Waits for another writer who registers the same identifier; whoever came first has it, and OWNERS tells who that was.
CLAIM = """
INSERT INTO identifier_index (identifier_tag, kind, customer_id)
SELECT * FROM unnest($1::bytea[], $2::text[], $3::uuid[]) ON CONFLICT DO NOTHING
"""


def normalise(kind: str, value: str, region: str | None) -> str:
    """The one spelling of an identifier, as its tag is made from; `region` is that of the record, for bare numbers.

    Raises InvalidNumber, or RequestInvalid IDENTIFIER_INVALID for a kind nobody knows and for values that mean nobody.
    """
    if kind == "number":
        return PhoneNumber.parse(value, region).e164
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
    """Tags of identifiers as they were written, each worked out once for a batch."""

    __slots__ = ("_made", "_ring")

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._made: dict[tuple[str, str, str | None], bytes] = {}

    def of(self, kind: str, value: str, region: str | None, under: str = "") -> bytes:
        """The tag; raises like `normalise`, a number's field with `under` before its name."""
        name = (kind, value, region)
        tag = self._made.get(name)
        if tag is None:
            index = NUMBER_INDEX if kind == "number" else IDENTIFIER_INDEXES.get(kind, NUMBER_INDEX)
            try:
                tag = self._made[name] = self._ring.tag(index, normalise(kind, value, region))
            except InvalidNumber as invalid:
                raise InvalidNumber(invalid.reason, under + invalid.field) from None
        return tag


@dataclass(slots=True)
class Holding:
    """Who holds a number in a role, from `valid_from` until just before `valid_to`."""

    customer_id: UUID
    holding_id: UUID
    role: str
    valid_from: datetime
    valid_to: datetime | None

    def covers(self, at: datetime) -> bool:
        """Whether it holds at an instant."""
        return self.valid_from <= at and (self.valid_to is None or at < self.valid_to)

    def claim(self) -> tuple[int, datetime, UUID]:
        """Greater for the holding that stands for the number."""
        return ROLES.get(self.role, 0), self.valid_from, self.holding_id


class Graph:
    """Owners of identifiers and holdings of numbers, by tag; only customers who are there and not erased."""

    def __init__(self, tags: Tags) -> None:
        self.tags = tags
        self.owners: dict[bytes, UUID] = {}
        self.present: set[UUID] = set()
        self._holdings: dict[bytes, list[Holding]] = {}

    @classmethod
    async def load(
        cls,
        connection: Connection,
        tags: Tags,
        numbers: Collection[bytes],
        others: Collection[bytes],
        ids: Iterable[UUID],
    ) -> Self:
        """What is known of these number tags, other identifiers' tags and customer ids."""
        graph = cls(tags)
        if others:
            graph.owners = dict(await connection.fetch(OWNERS, list(others)))
        if numbers:
            for tag, *holding in await connection.fetch(HOLDINGS, list(numbers)):
                graph._holdings.setdefault(tag, []).append(Holding(*holding))
        everyone = {*ids, *graph.owners.values()}
        everyone.update(holding.customer_id for some in graph._holdings.values() for holding in some)
        graph.present = {row[0] for row in await connection.fetch(PRESENT, list(everyone), GONE)}
        return graph

    def holder(self, tag: bytes, at: datetime) -> Holding | None:
        """The holding that stands for a number as of an instant."""
        found = [h for h in self._holdings.get(tag, ()) if h.covers(at) and h.customer_id in self.present]
        return max(found, key=Holding.claim, default=None)

    def owner(self, tag: bytes) -> UUID | None:
        """The customer an identifier other than a number belongs to."""
        customer_id = self.owners.get(tag)
        return customer_id if customer_id in self.present else None

    def held(self, customer_id: UUID, e164: str, at: datetime) -> UUID | None:
        """One customer's holding of a number as of an instant."""
        some = self._holdings.get(self.tags.of("number", e164, None), ())
        mine = [h for h in some if h.customer_id == customer_id and h.covers(at)]
        return max(mine, key=Holding.claim).holding_id if mine else None

    def owner_of(self, kind: str, value: str) -> UUID | None:
        """The customer an identifier other than a number belongs to, as it is written."""
        return self.owner(self.tags.of(kind, value, None))

    def learn(self, event: Event, customer_id: UUID) -> None:
        """Takes in an event that was applied: the rest of the batch sees what it gave and took away."""
        for kind, value in event.gives():
            self.owners.setdefault(self.tags.of(kind, value, event.region), customer_id)
        if isinstance(event, NumberActivated):
            tag = self.tags.of("number", event.number, event.region)
            held = Holding(customer_id, event.holding_id(customer_id), event.role, event.since, None)
            self._holdings.setdefault(tag, []).append(held)
        elif isinstance(event, NumberReleased):
            for holding in self._holdings.get(self.tags.of("number", event.number, event.region), ()):
                if holding.customer_id == customer_id and holding.covers(event.at):
                    holding.valid_to = event.at


async def claim(connection: Connection, graph: Graph, claims: Collection[tuple[bytes, str, UUID]]) -> None:
    """Gives each identifier (tag, kind) to the customer who is to be registered by it, unless somebody has it already.

    Afterwards the graph knows the owners, and the new customers are present.
    """
    tags, kinds, customers = map(list, zip(*sorted(set(claims)), strict=True))
    await connection.execute(CLAIM, tags, kinds, customers)
    found: list[Any] = await connection.fetch(OWNERS, tags)
    graph.owners |= dict(found)
    owners = {graph.owners[tag] for tag in tags}
    # An event that comes again names the same customer again, who may have been erased meanwhile.
    erased = {row[0] for row in await connection.fetch(ERASED, list(owners), GONE)}
    graph.present |= owners - erased


def registers(event: Event) -> tuple[str, str] | None:
    """The identifier by which an event may make a new customer; None where it may not."""
    if not isinstance(event, CustomerRegistered):
        return None
    kind, value = event.subject.only()
    if kind in IDENTIFIER_INDEXES and isinstance(value, str):
        return kind, value
    return next(iter(event.gives()), None)
