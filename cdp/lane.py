"""A lane of the write door for records of usage as they mostly come: columns from the event to the table, in the same
transaction as all other events and with the same outcomes.

What turns out to be of another kind on the way (nobody holds the number, the keys are newer than the tags, the database
refuses something) leaves the lane for good and goes on as a Record.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date, datetime
from operator import itemgetter
from struct import Struct
from typing import Final, TypeAlias
from uuid import UUID

from cdp.changes import Put
from cdp.copying import NULL, copy_rows, field, micros, whole_number
from cdp.identity.batch import Batch, Record, epochs_of
from cdp.identity.resolve import Graph
from cdp.identity.timeline import Span
from cdp.key_store import sealed_column
from cdp.outbox import Entry
from cdp.outcome import Outcome, Status
from cdp.seen import BODY_INDEX, EVENT_INDEX, OWNER_INDEX, Seen, Verdict
from cdp.stores import Connection
from cdp.usage.columns import NAME, Kind, Used, month_of
from cdp.usage.events import ADD_UP, NOTHING, ROW, TOTALS, UsageRecorded
from cdp.usage.tables import usage_month, usage_record
from cdp.values import row_id

Use: TypeAlias = tuple[datetime, int, str, bytes, Kind, int, str | None, int, bytes, bytes]
"""Instant, place in the batch, id, tag of the number, kind, count, the other party, month, hashes of id and body."""

Turn: TypeAlias = tuple[int, datetime, int]
"""The rank of an event, its instant, and its place."""

COLUMNS: Final = tuple(column.name for column in usage_record.columns)
COUNTERPARTY: Final = usage_record.c.counterparty.info["sealed"]
RANK: Final = UsageRecorded.rank
CONFLICT: Final = ("EVENT_CONFLICT", "eventId", "an id that no other event has")
_START: Final = Struct(">hi16siq").pack
_ID: Final = Struct(">i16s").pack


class Holder:
    """Whom records are of: the customer and their holding of the number."""

    __slots__ = ("accepted", "customer_id", "holding", "named", "raw")

    def __init__(self, span: Span, store: str) -> None:
        self.customer_id, self.raw, self.named = span.customer_id, span.customer_id.bytes, span.customer_id.hex
        self.holding = field(span.holding_id.bytes)
        self.accepted = Outcome(Status.ACCEPTED, span.customer_id, store)


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

    def take(self, read: Sequence[tuple[int, Used]]) -> None:
        """Takes in records, with their places."""
        ring = self.batch.ring
        tags = ring.digests(EVENT_INDEX, [used[1] for _, used in read])
        bodies = ring.digests(BODY_INDEX, [used[7] for _, used in read])
        self.uses += [
            (used[0], place, *used[1:7], tag, body) for (place, used), tag, body in zip(read, tags, bodies, strict=True)
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

    @property
    def numbers(self) -> set[bytes]:
        """The tags of the numbers that are mentioned."""
        return {use[3] for use in self.uses}

    def resolve(self, graph: Graph) -> list[Record]:
        """Finds whom the records are of; those of nobody leave the lane."""
        holders: dict[UUID, Holder] = {}
        self._found, nobodys = [], []
        self.uses.sort(key=itemgetter(0))
        for use in self.uses:
            span = None if use[3] in graph.blocked else graph.holder(use[3], use[0])
            if span is None:
                nobodys.append(use)
                continue
            holder = holders.get(span.holding_id)
            if holder is None:
                holder = holders[span.holding_id] = Holder(span, self.batch.store.name)
            self._found.append((use, holder))
        return self.leave(nobodys) if nobodys else []

    def seen(self) -> list[Seen]:
        """The hashes of those that were found, in their turn."""
        owners = self.batch.ring.digests(OWNER_INDEX, [holder.named + use[2] for use, holder in self._found])
        return [Seen(use[8], use[9], owner) for (use, _), owner in zip(self._found, owners, strict=True)]

    @property
    def turns(self) -> Iterator[Turn]:
        """When it is the turn of each that was found, among all events of the batch."""
        return ((RANK, use[0], use[1]) for use, _ in self._found)

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

    @property
    def customers(self) -> set[UUID]:
        """Of whom something is to be written."""
        return {holder.customer_id for _, holder in self.fresh}

    def entries(self) -> list[tuple[Turn, Entry]]:
        """What is passed on of those that are fresh, with their turns."""
        return [((RANK, use[0], use[1]), Entry(holder.customer_id, NAME, use[2], use[0])) for use, holder in self.fresh]

    def totals(self) -> list[Put]:
        """What the fresh ones add to the months of their customers."""
        months: dict[tuple[UUID, int, str], list[int]] = {}
        for (_, _, _, _, kind, count, _, month, _, _), holder in self.fresh:
            name = holder.customer_id, month, kind.region
            if (sums := months.get(name)) is None:
                months[name] = sums = [0] * len(TOTALS)
            sums[kind.place] += count
        return [
            Put(
                usage_month,
                {
                    "customer_id": one,
                    "month_on": month_of(month),
                    "region": region,
                    **dict(zip(NOTHING, sums, strict=True)),
                },
                ADD_UP,
            )
            for (one, month, region), sums in months.items()
        ]

    async def write(self, connection: Connection) -> None:
        """Seals the fresh ones and writes them."""
        if not self.fresh:
            return
        ids = [row_id(holder.customer_id, ROW, use[2]).bytes for use, holder in self.fresh]
        given = [
            (use[6], holder.customer_id, row) for (use, holder), row in zip(self.fresh, ids, strict=True) if use[6]
        ]
        cells = iter(await sealed_column(connection, self.batch.ring, COUNTERPARTY, given) if given else ())
        rows = []
        for ((at, _, event_id, _, kind, count, other, *_), holder), row in zip(self.fresh, ids, strict=True):
            rows.append(
                b"".join(
                    (
                        _START(len(COLUMNS), 16, holder.raw, 8, micros(at)),
                        field(event_id.encode()),
                        _ID(16, row),
                        kind.type_field,
                        whole_number(count),
                        kind.last_fields,
                        holder.holding,
                        NULL if other is None else field(next(cells)),
                    )
                )
            )
        await copy_rows(connection, usage_record, COLUMNS, rows)
