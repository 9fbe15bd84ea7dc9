"""What a registration puts if it makes a new customer, worked out while the database is busy with others: the id of the
customer follows from the event, so their row can be sealed, under keys of their own, before it is known that they are
new.

Where they are not, or another has the identifier by then, it is thrown away, and nothing of it was seen by anybody.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from cdp.changes import Put
from cdp.context import Cell, Context, Known
from cdp.errors import RequestInvalid
from cdp.event import Event
from cdp.key_store import Drawn, KeyName, draw_keys, seal_under
from cdp.values import customer_id_of
from privacy.keys import DataKey, KeyRing


class Draft(NamedTuple):
    """The rows of a customer who may be made, with their cells sealed, and the keys they are sealed under."""

    customer_id: UUID
    puts: Sequence[Put]
    keys: Sequence[Drawn]


def new_id(ring: KeyRing, event: Event) -> UUID:
    """The id of the customer whom an event makes."""
    return customer_id_of(ring.tenant, ring.store, event.event_id, event.at)


def drafts(ring: KeyRing, events: Sequence[Event], known: Known, now: datetime) -> list[Draft | None]:
    """A draft for each event that may make a customer; None for one that will be refused.

    What such an event says does not depend on what is `known`. There is none where keys are kept apart: a key that was
    left there by a write that failed is used again.
    """
    if ring.kept_in is not None:
        return [None] * len(events)
    found, cells = list[Draft | None](), list[Cell]()
    keys: dict[KeyName, DataKey] = {}
    for event in events:
        context = Context(new_id(ring, event), now, None, ring, known)
        try:
            puts = event.apply(context)
        except RequestInvalid:
            found.append(None)
            continue
        names = {(context.customer_id, cell.column.retention) for cell in context.cells}
        if not keys.keys().isdisjoint(names):  # an event with the same id: whichever it is, one of them is refused
            found.append(None)
            continue
        drawn = draw_keys(ring, names)
        keys |= {(key.customer_id, key.retention): key for key, _ in drawn}
        cells += context.cells
        found.append(Draft(context.customer_id, puts, drawn))
    seal_under(ring, cells, keys)
    return found
