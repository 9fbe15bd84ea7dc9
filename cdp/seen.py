"""Which events were applied already: for ever, by their ids.

An id is known in the whole store, whoever the event is about and whenever it says it happened: an id that comes again
with another instant is another body, and refused. That is why the table is not cut into months, in each of which the
id could be new; and why it holds keyed hashes of one length (48 bytes an event) instead of ids and bodies, which could
be tried out, or be long.
"""

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final, TypeAlias
from uuid import UUID

from cdp.staging import staged
from cdp.stores import Connection, Store
from cdp.tables import event_seen
from privacy.blind import Index
from privacy.keys import KeyRing

EVENT_INDEX: Final = Index(uid=160, name="eventId", version=1)
BODY_INDEX: Final = Index(uid=101, name="event", version=1)
OWNER_INDEX: Final = Index(uid=161, name="eventOwner", version=1)

COLUMNS: Final = tuple(column.name for column in event_seen.columns)
# Which were remembered is told only where not all were: mostly all are.
REMEMBER = """
WITH made AS (
    INSERT INTO event_seen (event_tag, body_hash, owner_hash) SELECT event_tag, body_hash, owner_hash FROM {}
    ON CONFLICT DO NOTHING RETURNING event_tag
)
SELECT count(*), CASE WHEN count(*) < ${}::bigint THEN array_agg(event_tag) END FROM made
"""
BODIES = "SELECT event_tag, body_hash FROM event_seen WHERE event_tag = ANY($1::bytea[])"
WAS_APPLIED = "SELECT EXISTS (SELECT FROM event_seen WHERE event_tag = $1 AND owner_hash = $2)"

# What a store from before that knew, by customer and instant.
SET_ASIDE = "SELECT to_regclass('event_seen_before') IS NOT NULL"
TAKE_BACK = """
DELETE FROM event_seen_before AS b USING (SELECT customer_id, at, event_id FROM event_seen_before LIMIT 5000) AS n
WHERE (b.customer_id, b.at, b.event_id) = (n.customer_id, n.at, n.event_id)
RETURNING b.customer_id, b.event_id, b.body_hash
"""


class Verdict(Enum):
    """What is known of an event."""

    FRESH = "not seen before"
    DUPLICATE = "seen with the same body"
    CONFLICT = "seen with another body"


Hashes: TypeAlias = tuple[bytes, bytes, bytes]
"""The keyed hashes of an event's id, its body and whose it is."""


def owner_hashes(ring: KeyRing, owned: Iterable[tuple[str, str]]) -> list[bytes]:
    """Tell, to whoever has the key, whether an event was of a customer (their id in hex, the event's id); who that was
    cannot be read from them.
    """
    return ring.digests(OWNER_INDEX, [customer + event_id for customer, event_id in owned])


async def was_applied(connection: Connection, ring: KeyRing, event_id: str, customer_id: UUID) -> bool:
    """Whether an event of this customer was taken in."""
    hashes = ring.digest(EVENT_INDEX, event_id), *owner_hashes(ring, [(customer_id.hex, event_id)])
    found: bool = await connection.fetchval(WAS_APPLIED, *hashes)
    return found


async def remember(connection: Connection, events: Sequence[Hashes]) -> list[Verdict]:
    """Remembers the events that were not seen before and says of each what it is, in order. Inside a transaction.

    Another writer's event with the same id is waited for.
    """
    if not events:
        return []
    first = {event[0]: event for event in reversed(events)}
    source, parameters = await staged(connection, event_seen, COLUMNS, [first[tag] for tag in sorted(first)])
    count, some = await connection.fetchrow(REMEMBER.format(source, len(parameters) + 1), *parameters, len(first))
    if count == len(events):
        return [Verdict.FRESH] * len(events)
    fresh = {*first} if count == len(first) else {*(some or ())}
    bodies = {tag: event[1] for tag, event in first.items()}
    if old := [tag for tag in first if tag not in fresh]:
        bodies |= dict(await connection.fetch(BODIES, old))
    return [_verdict(event, fresh, bodies) for event in events]


async def seen_before(connection: Connection, events: Sequence[tuple[bytes, bytes]]) -> set[tuple[bytes, bytes]]:
    """Those of the events (the hashes of id and body) that were applied already, with the same body."""
    if not events:
        return set()
    return {(tag, body) for tag, body in await connection.fetch(BODIES, [tag for tag, _ in events])} & set(events)


def _verdict(event: Hashes, fresh: set[bytes], bodies: dict[bytes, bytes]) -> Verdict:
    tag, body, _ = event
    if bodies[tag] != body:
        return Verdict.CONFLICT
    if tag in fresh:
        fresh.remove(tag)
        return Verdict.FRESH
    return Verdict.DUPLICATE


async def take_over(store: Store, ring: KeyRing) -> None:
    """Remembers what a store knew before it went by ids alone; whoever was stopped goes on where they were."""
    async with store.read() as connection:
        waits: bool = await connection.fetchval(SET_ASIDE)
    while waits:
        async with store.transaction() as connection:
            some = await connection.fetch(TAKE_BACK)
            tags = ring.digests(EVENT_INDEX, [event_id for _, event_id, _ in some])
            owners = owner_hashes(ring, [(customer_id.hex, event_id) for customer_id, event_id, _ in some])
            await remember(connection, [*zip(tags, [body for _, _, body in some], owners, strict=True)])
            if not (waits := bool(some)):
                await connection.execute("DROP TABLE event_seen_before")
