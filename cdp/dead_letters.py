"""Dead letters: what was refused at the write door, sealed, with its reason, to be mended and sent again; what came too
soon is sent again by itself (`cdp.waiting`).
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from cdp.audit import AuditTrail
from cdp.context import STORE_ITSELF
from cdp.key_store import data_keys, hold_keys
from cdp.outcome import TOO_SOON
from cdp.stores import Connection
from cdp.tables import BUCKETS, dead_letter
from privacy.blind import Index
from privacy.keys import KeyRing
from privacy.seal import Place, SealedColumn, seal

LETTER_INDEX: Final = Index(uid=90, name="body", version=1)
RECORD_INDEX: Final = Index(uid=150, name="record", version=1)
LONGEST_BODY: Final = 1 << 22
"""Longer than what any way in takes at once: a record is kept whole, whatever it was refused for."""
_SPELLING: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False, default=str)
BODY: Final[SealedColumn] = dead_letter.c.body.info["sealed"]
ROW_INVALID: Final = "ROW_INVALID"
"""The reason of a record of a file that does not fit its mapping, which no event is refused for."""
TRAIL: Final = "dead letter"
"""What the trail calls it when letters are opened, or go."""
PER_ENTRY: Final = 500
ORDERED: Final = "order:"
"""How the source of what a person, or this product itself, asked for begins."""
SOON: Final = timedelta(seconds=30)
"""When a letter that came too soon is looked at first; then each time after twice as long."""
WOKEN: Final = 10

BURY = """
INSERT INTO dead_letter AS old (bucket, body_tag, dead_letter_id, source, reason, field, expected, body, subject_kind,
    subject_tag, record_tag, due_at, first_at, last_at, seen)
SELECT b, tag, id, source, reason, field, expected, body, kind, subject, record, $13::timestamptz + soon, $13, $13, 1
FROM unnest($1::smallint[], $2::bytea[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[],
    $9::text[], $10::bytea[], $11::bytea[], $12::interval[])
    AS t (b, tag, id, source, reason, field, expected, body, kind, subject, record, soon)
ON CONFLICT (bucket, body_tag, dead_letter_id) DO UPDATE SET
    reason = excluded.reason, field = excluded.field, expected = excluded.expected,
    due_at = greatest(excluded.due_at, excluded.due_at + (excluded.last_at - old.first_at)),
    last_at = greatest(old.last_at, excluded.last_at), seen = old.seen + 1
"""
ANY_NAMED = "SELECT EXISTS (SELECT FROM dead_letter WHERE record_tag IS NOT NULL)"
OF_RECORDS = "SELECT dead_letter_id FROM dead_letter WHERE record_tag = ANY($1::bytea[]) ORDER BY 1"
# The first bytes of a letter's id are those of its tag.
THESE = """
DELETE FROM dead_letter AS l USING unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::uuid[]) AS t (b, low, high, id)
WHERE l.bucket = t.b AND l.body_tag BETWEEN t.low AND t.high AND l.dead_letter_id = t.id
"""


ANY_DUE = "SELECT EXISTS (SELECT FROM dead_letter WHERE due_at IS NOT NULL)"
# The longest since they were refused come first; held in the order in which they are buried.
WAKE = """
WITH oldest AS MATERIALIZED (
    SELECT l.* FROM unnest($1::bytea[]) AS t (tag) CROSS JOIN LATERAL (
        SELECT bucket, body_tag, dead_letter_id FROM dead_letter
        WHERE subject_tag = t.tag AND due_at IS NOT NULL ORDER BY last_at LIMIT $3
    ) AS l
), held AS MATERIALIZED (
    SELECT bucket, body_tag, dead_letter_id FROM dead_letter AS l JOIN oldest USING (bucket, body_tag, dead_letter_id)
    ORDER BY body_tag FOR UPDATE OF l
)
UPDATE dead_letter AS l SET due_at = $2 FROM held AS h
WHERE (l.bucket, l.body_tag, l.dead_letter_id) = (h.bucket, h.body_tag, h.dead_letter_id)
"""


class Refusal(NamedTuple):
    """A refused record. `code`, `field` and `expected` say why and hold no value; `subject` is kind and tag of whom it
    is about, `record` what it is called (an event: its id), where that could be read.
    """

    body: Any
    code: str
    field: str
    expected: str
    subject: tuple[str, bytes] | None = None
    record: str | None = None


def spelled(body: Any) -> str:
    """A record as JSON text: the same for the same record, whatever the order of its fields."""
    try:
        return _SPELLING.encode(body)
    except (TypeError, ValueError, RecursionError):
        return json.dumps("unreadable")


async def bury(connection: Connection, ring: KeyRing, source: str, refused: Sequence[Refusal], at: datetime) -> None:
    """Keeps the refused records; one that was refused before is counted. Inside a transaction."""
    await hold_keys(connection, ring)
    name = (STORE_ITSELF, BODY.retention)
    key = (await data_keys(connection, ring, [name]))[name]
    place = Place(ring.tenant, ring.store, BODY, ring.suite)
    rows: dict[bytes, tuple[Any, ...]] = {}
    for refusal in refused:
        text = spelled(refusal.body)
        tag = ring.digest(LETTER_INDEX, text)
        letter_id = UUID(bytes=tag, version=4)
        cell = seal({"record": text[:LONGEST_BODY]}, key, place, letter_id, STORE_ITSELF)
        reason = (refusal.code, refusal.field[:200], refusal.expected[:400])
        record, about = _record_tag(ring, refusal), refusal.subject or (None, None)
        soon = SOON if _too_soon(refusal, source) and len(text) <= LONGEST_BODY else None
        rows[tag] = (tag[0] % BUCKETS, tag, letter_id, source[:200], *reason, cell, *about, record, soon)
    columns = [list(column) for column in zip(*(rows[tag] for tag in sorted(rows)), strict=True)]
    await connection.execute(BURY, *columns, at)


def _record_tag(ring: KeyRing, refusal: Refusal) -> bytes | None:
    named = refusal.record
    if named is None and isinstance(refusal.body, Mapping):
        named = refusal.body.get("eventId")
    return ring.digest(RECORD_INDEX, spelled(named)) if isinstance(named, str) and named else None


def _too_soon(refusal: Refusal, source: str) -> bool:
    """Whether it may go in by itself, later: not what somebody asked for who was told that it is not done."""
    return refusal.code in TOO_SOON and not source.startswith(ORDERED)


async def any_wait(connection: Connection) -> bool:
    """Whether any letter came too soon."""
    found: bool = await connection.fetchval(ANY_DUE)
    return found


async def wake(connection: Connection, subjects: Collection[bytes], at: datetime, most: int = WOKEN) -> None:
    """It is the turn of letters that came too soon, of those who are known by now; `most` of each. In a transaction."""
    if subjects:
        await connection.execute(WAKE, sorted(subjects), at, most)


async def settle(connection: Connection, ring: KeyRing, trail: AuditTrail, records: Collection[str]) -> int:
    """Takes away the letters of records (by what they are called) that have gone in now, corrected; how many. In a
    transaction; the entry in the trail is durable before. Raises AuditUnavailable.
    """
    if not records or not await connection.fetchval(ANY_NAMED):
        return 0
    tags = [ring.digest(RECORD_INDEX, spelled(record)) for record in records]
    letters = [row[0] for row in await connection.fetch(OF_RECORDS, tags)]
    for start in range(0, len(letters), PER_ENTRY):
        these = letters[start : start + PER_ENTRY]
        await trail.record({"operation": TRAIL, "client": "cdp-load", "did": "replaced", "letters": [*map(str, these)]})
        await remove(connection, these)
    return len(letters)


async def remove(connection: Connection, letters: Sequence[UUID]) -> None:
    """Deletes letters, after their entry in the trail. In a transaction."""
    columns = zip(*((*bounds_of(letter), letter) for letter in sorted(letters)), strict=True)
    await connection.execute(THESE, *map(list, columns))


def bounds_of(letter: UUID) -> tuple[int, bytes, bytes]:
    """The bucket of a letter, and the first and last tag that it may have: so the key finds it."""
    first = letter.bytes[:6]
    return first[0] % BUCKETS, first, first + b"\xff" * 10
