"""Which events were applied already: an event is known by its customer, its instant and its id."""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

from cdp.stores import Connection
from privacy.blind import Index

# A plain hash of a body could be tried out number by number; a keyed one cannot.
BODY_INDEX: Final = Index(uid=101, name="event", version=1)

Key: TypeAlias = tuple[UUID, datetime, str]

REMEMBER = """
INSERT INTO event_seen (customer_id, at, event_id, body_hash)
SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::bytea[])
ON CONFLICT DO NOTHING RETURNING customer_id, at, event_id
"""
BODIES = """
SELECT customer_id, at, event_id, body_hash FROM event_seen
JOIN unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS asked (customer_id, at, event_id)
USING (customer_id, at, event_id)
"""


class Verdict(Enum):
    """What is known of an event."""

    FRESH = "not seen before"
    DUPLICATE = "seen with the same body"
    CONFLICT = "seen with another body"


class Seen(NamedTuple):
    """An event's key and the keyed hash of its body."""

    customer_id: UUID
    at: datetime
    event_id: str
    body_hash: bytes


async def remember(connection: Connection, events: Sequence[Seen]) -> list[Verdict]:
    """Remembers the events that were not seen before and says of each what it is, in order. Inside a transaction.

    Another writer's event with the same key is waited for.
    """
    if not events:
        return []
    first: dict[Key, bytes] = {}
    for event in events:
        first.setdefault(event[:3], event.body_hash)
    # By numbers: comparing UUIDs takes longer than all the rest.
    ordered = sorted(first, key=lambda key: (key[0].int, key[1], key[2]))
    columns = [list(column) for column in zip(*ordered, strict=True)]
    made = await connection.fetch(REMEMBER, *columns, [first[key] for key in ordered])
    fresh = set(first) if len(made) == len(first) else {tuple(row) for row in made}
    bodies = dict(first)
    old = [key for key in ordered if key not in fresh]
    if old:
        columns = [list(column) for column in zip(*old, strict=True)]
        bodies |= {(a, b, c): body for a, b, c, body in await connection.fetch(BODIES, *columns)}
    return [_verdict(event, fresh, bodies) for event in events]


async def seen_before(connection: Connection, events: Sequence[Seen]) -> set[Seen]:
    """Those of the events that were applied already, with the same body."""
    if not events:
        return set()
    columns = [list(column) for column in zip(*(event[:3] for event in events), strict=True)]
    return {Seen(*row) for row in await connection.fetch(BODIES, *columns)} & set(events)


def _verdict(event: Seen, fresh: set[Key], bodies: dict[Key, bytes]) -> Verdict:
    key = event[:3]
    if bodies[key] != event.body_hash:
        return Verdict.CONFLICT
    if key in fresh:
        fresh.remove(key)
        return Verdict.FRESH
    return Verdict.DUPLICATE
