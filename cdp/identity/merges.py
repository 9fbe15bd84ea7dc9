"""Two records of one person, joined and parted again. Nothing moves: an edge joins the two, and taking it away parts
them, with everything that came in between still where it belongs.
"""

from collections.abc import Sequence
from typing import ClassVar, Final
from uuid import UUID

from cdp.changes import Newest, Put
from cdp.context import Context
from cdp.errors import EventInvalid
from cdp.event import Event, Kind, Subject, Text
from cdp.identity.tables import merge_edge

EDGE = Newest(("state",), "state_at")
MERGED, PARTED = "MERGED", "PARTED"


class MergeEvent(Event):
    """An event about two customers of one store."""

    other: Subject
    reason: Text | None = None

    rank: ClassVar[int] = 1
    state: ClassVar[str]

    def names(self) -> Sequence[tuple[Kind, str]]:
        kind, value = self.other.only()
        return () if isinstance(value, UUID) else ((kind, value),)

    def apply(self, context: Context) -> list[Put]:
        kind, value = self.other.only()
        other = context.known.customer(kind, value, self.region, self.at)
        if other is None:
            raise EventInvalid("other", "a customer who is known at that time")
        if other == context.customer_id:
            raise EventInvalid("other", "another customer than the subject")
        return [_edge(self, *pair) for pair in ((context.customer_id, other), (other, context.customer_id))]


def _edge(event: MergeEvent, customer_id: UUID, other_id: UUID) -> Put:
    row = {"customer_id": customer_id, "other_id": other_id, "state": event.state, "state_at": event.at}
    return Put(merge_edge, row, EDGE)


class CustomersMerged(MergeEvent):
    """The subject and the other are one person."""

    state: ClassVar[str] = MERGED


class CustomersParted(MergeEvent):
    """The subject and the other are not one person after all."""

    state: ClassVar[str] = PARTED


MERGES: Final[tuple[type[MergeEvent], ...]] = (CustomersMerged, CustomersParted)
