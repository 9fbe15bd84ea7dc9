"""A lane of the write door for records of usage as they mostly come: columns from the event to the table, in the same
transaction as all other events and with the same outcomes.

What turns out to be of another kind on the way (nobody holds the number, the keys are newer than the tags, the database
refuses something) leaves the lane for good and goes on as a Record.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from operator import itemgetter
from struct import Struct
from typing import Any, Final, TypeAlias
from uuid import UUID

from cdp.changes import write_sorted
from cdp.copying import NULL, copy_rows, field, whole_number
from cdp.event import EARLIEST
from cdp.identity.batch import Batch, Record, Turn, epochs_of
from cdp.identity.resolve import Graph, Mentioned
from cdp.identity.timeline import Span
from cdp.instants import micros
from cdp.key_store import data_keys
from cdp.outbox import AnEntry
from cdp.outcome import Outcome, Status
from cdp.seen import BODY_INDEX, EVENT_INDEX, Hashes, Verdict, owner_hashes
from cdp.stores import Connection
from cdp.usage.columns import NAME, NUMBER, Kind, Used, month_of
from cdp.usage.events import ADD_UP, NOTHING, ROW, UsageRecorded
from cdp.usage.tables import usage_month, usage_record
from cdp.values import row_bytes
from privacy.keys import DataKey, KeyRing
from privacy.seal import Place, seal_column

Use: TypeAlias = tuple[datetime, int, str, bytes, Kind, int, str | None, int, str, bytes, bytes]
"""Instant, place in the batch, id, tag of the subject, kind, count, the other party, month, what kind of identifier the
subject is, and the hashes of id and body.
"""

COLUMNS: Final = tuple(column.name for column in usage_record.columns)
COUNTERPARTY: Final = usage_record.c.counterparty.info["sealed"]
RANK: Final = UsageRecorded.rank
STEP: Final = 50
FOREVER: Final = datetime.max.replace(tzinfo=UTC)
CONFLICT: Final = ("EVENT_CONFLICT", "eventId", "an id that no other event has")
_START: Final = Struct(">hi16siq").pack
_ID: Final = Struct(">i16s").pack


class Holder:
    """Whom records are of: a customer, and if by a number, their holding of it, `since` when and `until` when."""

    __slots__ = ("accepted", "customer_id", "holding", "named", "raw", "since", "until")

    def __init__(self, found: Span | UUID, store: str) -> None:
        if isinstance(found, Span):
            customer_id, self.holding = found.customer_id, field(found.holding_id.bytes)
            self.since, self.until = found.valid_from, found.valid_to or FOREVER
        else:
            customer_id, self.holding, self.since, self.until = found, NULL, EARLIEST, FOREVER
        self.customer_id, self.raw, self.named = customer_id, customer_id.bytes, customer_id.hex
        # As `Outcome` makes it, in a third of the time.
        self.accepted = tuple.__new__(Outcome, (Status.ACCEPTED, customer_id, store, None, None, None))


Found: TypeAlias = tuple[Use, Holder]


class Lane:
    """The records of usage of one store in a batch. `told` takes what becomes of each, by its place; `general` makes a
    Record of an event, by its place, and tells of it there.
    """

    def __init__(self, batch: Batch, told: list[Record | Outcome], general: Callable[[int], Record | None]) -> None:
        self.batch, self._told, self._general = batch, told, general
        self._epochs = batch.epochs
        self.uses: list[Use] = []
        self._found: list[Found] = []
        self.fresh: list[Found] = []
        self._building: asyncio.Task[list[bytes]] | None = None
        self.customers: set[UUID] = set()
        """Of whom something is to be written."""

    def take(self, read: Sequence[tuple[int, Used]]) -> None:
        """Takes in records, with their places."""
        ring = self.batch.ring
        tags = ring.digests(EVENT_INDEX, [used[1] for _, used in read])
        bodies = ring.digests(BODY_INDEX, [used[8] for _, used in read])
        self.uses += [
            (used[0], place, *used[1:8], tag, body) for (place, used), tag, body in zip(read, tags, bodies, strict=True)
        ]

    def leave(self, some: Collection[Use] | None = None) -> list[Record]:
        """These leave the lane, or all."""
        gone = self.uses if some is None else some
        places = {use[1] for use in gone}
        self.uses = [use for use in self.uses if use[1] not in places]
        return [record for place in sorted(places) if (record := self._general(place)) is not None]

    @property
    def stale(self) -> bool:
        """Whether there are keys that are newer than the tags of the numbers."""
        return bool(self.uses) and self._epochs != epochs_of(self.batch.ring)

    @property
    def months(self) -> set[date]:
        """The first days of the months in which something was used."""
        return {month_of(month) for month in {use[7] for use in self.uses}}

    def mentioned(self) -> Mentioned:
        """Whom the records are about."""
        numbers = {use[3] for use in self.uses if use[8] == NUMBER}
        return Mentioned(numbers, {use[3] for use in self.uses if use[8] != NUMBER})

    def resolve(self, graph: Graph) -> list[Record]:
        """Finds whom the records are of; those of nobody leave the lane."""
        name, nobodys, known = self.batch.store.name, list[Use](), dict[bytes, Holder | None]()
        self._found = []
        self.uses.sort(key=itemgetter(0))
        for use in self.uses:
            tag = use[3]
            if tag not in known:
                found = graph.sole(tag) if use[8] == NUMBER else graph.owner(tag)
                known[tag] = None if found is None else Holder(found, name)
            holder = known[tag]
            if holder is None or not holder.since <= use[0] < holder.until:
                span = graph.holder(tag, use[0])
                holder = None if span is None else Holder(span, name)
            if holder is None or tag in graph.blocked:
                nobodys.append(use)
            else:
                self._found.append((use, holder))
        return self.leave(nobodys) if nobodys else []

    def seen(self) -> list[Hashes]:
        """The hashes of those that were found, in their turn."""
        owners = owner_hashes(self.batch.ring, [(holder.named, use[2]) for use, holder in self._found])
        return [(use[9], use[10], owner) for (use, _), owner in zip(self._found, owners, strict=True)]

    def turns(self, *, fresh: bool = False) -> Iterator[Turn]:
        """When it is the turn, among all events of the batch, of each that was found, or is fresh."""
        return ((RANK, use[0], use[1]) for use, _ in (self.fresh if fresh else self._found))

    def judge(self, verdicts: Sequence[Verdict]) -> None:
        """Tells what became of those that were found; the fresh ones are to be written."""
        self.fresh = []
        for found, verdict in zip(self._found, verdicts, strict=True):
            use, holder = found
            if verdict is Verdict.FRESH:
                self.fresh.append(found)
                self._told[use[1]] = holder.accepted
            elif verdict is Verdict.DUPLICATE:
                self._told[use[1]] = holder.accepted._replace(status=Status.DUPLICATE)
            else:
                self._told[use[1]] = self.batch.refused(*CONFLICT)
        self.customers = {holder.customer_id for _, holder in self.fresh}

    def entries(self) -> list[AnEntry]:
        """What is passed on of those that are fresh."""
        return [(holder.customer_id, NAME, use[2], use[0], None) for use, holder in self.fresh]

    async def prepare(self, connection: Connection) -> None:
        """Takes the keys of those that were found, and begins to build their rows: whether or not they are fresh, as
        the database is asked for that meanwhile.
        """
        ring, retention = self.batch.ring, COUNTERPARTY.retention
        names = {(holder.customer_id, retention) for use, holder in self._found if use[6] is not None}
        keys = await data_keys(connection, ring, names) if names else {}
        self._building = asyncio.Task(_build(self._found, ring, {whose: key for (whose, _), key in keys.items()}))

    @contextmanager
    def building(self) -> Iterator[None]:
        """What is built for a transaction is built no longer than that lasts, whatever becomes of it."""
        try:
            yield
        finally:
            if self._building is not None:
                self._building.cancel()
                self._building = None

    async def write(self, connection: Connection) -> None:
        """Writes the rows of the fresh ones."""
        if not self.fresh or self._building is None:
            return
        rows = await self._building
        if len(self.fresh) < len(self._found):
            fresh = {use[1] for use, _ in self.fresh}
            rows = [row for row, (use, _) in zip(rows, self._found, strict=True) if use[1] in fresh]
        await copy_rows(connection, usage_record, COLUMNS, rows)
        await write_sorted(connection, usage_month, ADD_UP, self._months())

    def _months(self) -> list[list[Any]]:
        """What the fresh ones add to the months of their customers."""
        months: dict[tuple[bytes, int, str], list[Any]] = {}
        for (_, _, _, _, kind, count, _, month, *_), holder in self.fresh:
            name = holder.raw, month, kind.region
            if (row := months.get(name)) is None:
                months[name] = row = [holder.customer_id, month_of(month), kind.region, *NOTHING.values()]
            row[kind.total] += count
        return [row for _, row in sorted(months.items())]


async def _build(found: Sequence[Found], ring: KeyRing, keys: Mapping[UUID, DataKey]) -> list[bytes]:
    """The rows of what was found, in short steps between which the database is given its next work."""
    rows = list[bytes]()
    place = Place(ring.tenant, ring.store, COUNTERPARTY, ring.suite)
    for start in range(0, len(found), STEP):
        await asyncio.sleep(0)
        some = [(use, holder, row_bytes(holder.raw, ROW, use[2])) for use, holder in found[start : start + STEP]]
        others = [(use[6], keys[holder.customer_id], row) for use, holder, row in some if use[6] is not None]
        cells = iter(seal_column(others, place))
        for (at, _, event_id, _, kind, count, other, *_), holder, row in some:
            parts = (
                _START(len(COLUMNS), 16, holder.raw, 8, micros(at)),
                field(event_id.encode()),
                _ID(16, row),
                kind.type_field,
                whole_number(count),
                kind.last_fields,
                holder.holding,
                NULL if other is None else field(next(cells)),
            )
            rows.append(b"".join(parts))
    return rows
