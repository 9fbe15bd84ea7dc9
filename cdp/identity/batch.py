"""A batch of events of one store on its way: read, resolved to customers, and applied to what is known of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias, TypeVar, cast
from uuid import UUID

from cdp.changes import KEEP, Put
from cdp.context import STORE_ITSELF, Cell, Context
from cdp.dead_letters import spelled
from cdp.errors import RequestInvalid
from cdp.event import Event
from cdp.identity.drafts import Draft, drafts, new_id
from cdp.identity.holdings import NumberEvent
from cdp.identity.merges import MergeEvent
from cdp.identity.resolve import Graph, Mentioned, Tags, claim, registers
from cdp.identity.retagging import move_tags
from cdp.identity.tables import customer_region, identifier_index
from cdp.key_store import Drawn, hold_keys
from cdp.outbox import AnEntry
from cdp.outcome import UNKNOWN_CUSTOMER, Outcome, Status, rejected
from cdp.seen import BODY_INDEX, EVENT_INDEX, Hashes, owner_hashes
from cdp.stores import Connection, Store
from privacy.keys import KeyRing, StoreKeyKind

E = TypeVar("E", bound=Event)
Turn: TypeAlias = tuple[int, datetime, int]


@dataclass(slots=True)
class Record:
    """One event on its way through a store; `outcome` is set when it is through.

    `subject` is a tag or a customer id, `new` the tag and kind of the identifier by which it may make a customer,
    `place` where it is among the events of the batch.
    """

    event: Event
    hashes: tuple[bytes, bytes]
    """Of its id and its body."""
    kind: str
    subject: bytes | UUID
    mentions: Sequence[tuple[str, bytes]]
    given: Sequence[tuple[str, bytes]]
    """Kind and tag of the identifiers that name the customer from this event on."""
    new: tuple[bytes, str] | None
    epochs: tuple[int, int]
    """Of the index root that no tag is older than, and of the KEK that a draft's keys are wrapped with."""
    turn: Turn
    """When it is its turn in the batch: its rank, its instant, its place."""
    draft: Draft | None = None
    outcome: Outcome | None = None
    customer_id: UUID = STORE_ITSELF
    relied_on: bool = False
    puts: list[Put] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    drawn: Sequence[Drawn] | None = None
    """The keys of the customer, where it makes one by its draft."""

    @property
    def entries(self) -> Sequence[AnEntry]:
        """For whom it is about: a merge, for both."""
        event, case_id = self.event, None
        for put in self.puts:
            if "case_id" in put.row:
                case_id = put.row["case_id"]
                break
        if not _joins(self):
            return ((self.customer_id, event.type, event.event_id, event.at, case_id),)
        whose = dict.fromkeys(put.row["customer_id"] for put in self.puts)
        return [(one, event.type, event.event_id, event.at, case_id) for one in whose]


@dataclass(frozen=True, slots=True)
class Batch:
    """What the records of one store have in common. `operator` is the operator's name as a legal entity."""

    store: Store
    ring: KeyRing
    tags: Tags
    now: datetime
    operator: str

    @property
    def epochs(self) -> tuple[int, int]:
        """Of the index root that no tag is older than, and of the newest KEK."""
        return self.tags.epoch, self.ring.epoch_of(StoreKeyKind.KEK)

    def seen(self, records: Sequence[Record]) -> list[Hashes]:
        """The hashes by which these are known from now on."""
        owners = owner_hashes(self.ring, [(one.customer_id.hex, one.event.event_id) for one in records])
        return [(*one.hashes, owner) for one, owner in zip(records, owners, strict=True)]

    def refused(self, code: str, field: str, expected: str) -> Outcome:
        return Outcome(Status.REJECTED, None, self.store.name, code, field, expected)


def of_kind(records: Sequence[Record], *classes: type[E]) -> list[tuple[Record, E]]:
    """Those of the records whose events are of some classes, with these: asked once for a class, as all pass by."""
    found = {one for one in {type(record.event) for record in records} if issubclass(one, classes)}
    some = [(record, record.event) for record in records if type(record.event) in found] if found else []
    return cast("list[tuple[Record, E]]", some)


def read(batch: Batch, event: Event, body: Mapping[str, Any], place: int = 0) -> Record:
    """What can be said of an event without a database; raises RequestInvalid for an identifier that is none."""
    ring = batch.ring
    hashes = ring.digest(EVENT_INDEX, event.event_id), ring.digest(BODY_INDEX, spelled(body))
    return Record(event, hashes, *_tagged(batch, event), batch.epochs, (event.rank, event.at, place))


def draft(batch: Batch, records: Sequence[Record]) -> None:
    """Works out what those of the records put that may make a customer."""
    some = [record for record in records if record.new is not None]
    found = drafts(batch.ring, [record.event for record in some], Graph(batch.tags), batch.now)
    for record, one in zip(some, found, strict=True):
        record.draft = one


def epochs_of(ring: KeyRing) -> tuple[int, int]:
    return ring.epoch_of(StoreKeyKind.INDEX), ring.epoch_of(StoreKeyKind.KEK)


Named: TypeAlias = Sequence[tuple[str, bytes]]
Tagged: TypeAlias = tuple[str, bytes | UUID, Named, Named, tuple[bytes, str] | None]


def _tagged(batch: Batch, event: Event) -> Tagged:
    """Kind and tag of the subject, of what is mentioned, of what is given, and of what may make a customer."""
    tags, region = batch.tags, event.region
    kind, subject = event.subject.only()
    found = subject if isinstance(subject, UUID) else tags.of(kind, subject, region, "subject.")
    mentions = [(kind, found)] if isinstance(found, bytes) else []
    under = "other." if isinstance(event, MergeEvent) else ""
    mentions += [(other, tags.of(other, value, region, under)) for other, value in event.names()]
    given = [(other, tags.of(other, value, region)) for other, value in event.gives()]
    new: tuple[bytes, str] | None = None
    if registers(event):
        if isinstance(found, bytes) and kind != "number":
            new = found, kind
        elif given and kind == "number":
            new = given[0][1], given[0][0]
    return kind, found, mentions + given, given, new


async def take_keys(connection: Connection, batch: Batch, records: Sequence[Record]) -> None:
    """Takes in the newest keys for this transaction; tags are made anew, and rows moved to them, where there are new
    ones.
    """
    await hold_keys(connection, batch.ring)
    epochs = epochs_of(batch.ring)
    if stale := [record for record in records if record.epochs != epochs]:
        batch.tags.forget()
        for record in stale:
            record.kind, record.subject, record.mentions, record.given, record.new = _tagged(batch, record.event)
            record.epochs, record.draft = epochs, None
    if batch.ring.moves_tags:
        await move_tags(connection, batch.tags.before)


async def load(connection: Connection, batch: Batch, records: Sequence[Record], mentioned: Mentioned) -> Graph:
    """What is known of whom the records mention, and what is mentioned beside; who is to be registered has an id."""
    for record in records:
        record.relied_on = False
        for kind, tag in record.mentions:
            (mentioned.numbers if kind == "number" else mentioned.others).add(tag)
        if isinstance(record.subject, UUID):
            mentioned.ids.add(record.subject)
    for _, merge in of_kind(records, MergeEvent):
        if isinstance(other := merge.other.only()[1], UUID):
            mentioned.ids.add(other)
    for _, event in of_kind(records, NumberEvent):
        mentioned.changing.setdefault(number_of(batch.tags, event), event.region)
    graph = await Graph.load(connection, batch.tags, mentioned)
    claims = []
    for record in records:
        if record.new is not None and _found(graph, record) is None and _blocked(graph, record) is None:
            claims.append((*record.new, record.draft.customer_id if record.draft else new_id(batch.ring, record.event)))
    if claims:
        await claim(connection, graph, claims)
    spoken = [found for record in records if record.event.needs_role and (found := _found(graph, record))]
    if spoken:
        await graph.load_roles(connection, {customer_id for customer_id, _ in spoken})
    return graph


def number_of(tags: Tags, event: NumberEvent) -> bytes:
    """The tag of the number that an event is about."""
    return tags.of("number", event.number, event.region)


def _joins(record: Record) -> bool:
    return isinstance(record.event, MergeEvent)


def _found(graph: Graph, record: Record) -> tuple[UUID, UUID | None] | None:
    """The customer a record is about, and the holding of the number by which they were found."""
    subject, customer_id = record.subject, None
    if isinstance(subject, UUID):
        customer_id = subject if subject in graph.present else None
    elif record.kind == "number":
        holding = graph.holder(subject, record.event.as_of)
        if holding is not None:
            return holding.customer_id, holding.holding_id
    else:
        customer_id = graph.owner(subject)
    if customer_id is None and record.new is not None:
        customer_id = graph.owner(record.new[0])
    return None if customer_id is None else (customer_id, None)


def _blocked(graph: Graph, record: Record) -> str | None:
    """The field with an identifier that is blocked; None where all of them tell who somebody is."""
    if not graph.blocked:
        return None
    for kind, tag in record.mentions:
        if tag in graph.blocked:
            if tag == record.subject:
                return f"subject.{kind}"
            if isinstance(record.event, MergeEvent):
                return f"other.{kind}"
            return "documentNumber" if kind == "document" else kind
    return None


def applied(batch: Batch, graph: Graph, record: Record) -> Outcome:
    """What becomes of a record if it was not seen before; its changes are kept on it."""
    found = _found(graph, record)
    if found is not None:
        record.customer_id, holding_id = found
    if field := _blocked(graph, record):
        return batch.refused("IDENTIFIER_BLOCKED", field, "an identifier of one person alone; this one is blocked")
    if found is None:
        return batch.refused(UNKNOWN_CUSTOMER, "subject", "a customer who is known at that time")
    event, draft = record.event, record.draft
    if draft is not None and draft.customer_id == record.customer_id and record.customer_id in graph.made:
        puts, record.cells, record.drawn = [*draft.puts], [], draft.keys
    else:
        context = Context(record.customer_id, batch.now, holding_id, batch.ring, graph, batch.operator)
        try:
            puts = event.apply(context)
        except RequestInvalid as invalid:
            return rejected(invalid, batch.store.name)
        record.cells, record.drawn = context.cells, None
    record.puts = puts
    if event.rank < 2:
        puts.extend(_identifiers(graph, record))
        graph.learn(event, record.customer_id, record.given)
        record.relied_on = True
    return Outcome(Status.ACCEPTED, record.customer_id, batch.store.name)


def _identifiers(graph: Graph, record: Record) -> Iterator[Put]:
    """What a customer is found by from this event on, unless it is somebody's already."""
    for kind, tag in record.given:
        if tag not in graph.owners:
            row = {"identifier_tag": tag, "kind": kind, "customer_id": record.customer_id}
            yield Put(identifier_index, row, KEEP)
    if record.event.establishes_presence:
        row = {"customer_id": record.customer_id, "region": record.event.region}
        yield Put(customer_region, row, KEEP)
