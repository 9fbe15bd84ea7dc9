"""Dead letters: what was refused at the write door, sealed, with its reason, to be mended and sent again."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from cdp.context import STORE_ITSELF
from cdp.key_store import data_keys, hold_keys
from cdp.stores import Connection
from cdp.tables import BUCKETS, dead_letter
from privacy.blind import Index
from privacy.keys import KeyRing
from privacy.seal import Place, SealedColumn, seal

LETTER_INDEX: Final = Index(uid=90, name="body", version=1)
LONGEST_BODY: Final = 64_000
_SPELLING: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False, default=str)
BODY: Final[SealedColumn] = dead_letter.c.body.info["sealed"]

BURY = """
INSERT INTO dead_letter AS old
    (bucket, body_tag, dead_letter_id, source, reason, field, expected, body, subject_tag, first_at, last_at, seen)
SELECT *, $10::timestamptz, $10, 1 FROM unnest
    ($1::smallint[], $2::bytea[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::bytea[])
ON CONFLICT (bucket, body_tag, dead_letter_id) DO UPDATE SET
    reason = excluded.reason, field = excluded.field, expected = excluded.expected,
    last_at = greatest(old.last_at, excluded.last_at), seen = old.seen + 1
"""


class Refusal(NamedTuple):
    """A refused record. `code`, `field` and `expected` say why and hold no value; `subject` is the tag of whom it is
    about, where that could be read.
    """

    body: Any
    code: str
    field: str
    expected: str
    subject: bytes | None = None


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
        rows[tag] = (tag[0] % BUCKETS, tag, letter_id, source[:200], *reason, cell, refusal.subject)
    columns = [list(column) for column in zip(*(rows[tag] for tag in sorted(rows)), strict=True)]
    await connection.execute(BURY, *columns, at)
