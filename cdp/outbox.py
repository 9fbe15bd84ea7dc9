"""The outbox: each event that was applied, kept in the same transaction for whatever follows from it later. It is a
log, read by position.

Transactions end in another order than they began, so an id alone tells no reader where it is: what was made before and
committed after it has passed would be lost. Each entry therefore names the transaction it was `written` by. Below the
oldest transaction that still runs (`pg_snapshot_xmin`) all have ended, and later ones have higher numbers: there the
log is settled, in the order (written, outbox_id), and nothing comes in any more. Of two transactions about one customer
the one that began when the other had ended has the higher number. No lock, no trigger, and a reader that never asks
the writers; the price is that a transaction that runs for long, in any database of the server, holds up what comes
after it.
"""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from struct import Struct
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

from cdp.copying import NULL, copy_rows, field
from cdp.instants import micros
from cdp.stores import Connection
from cdp.tables import BUCKETS, outbox

COLUMNS = tuple(column.name for column in outbox.columns)
_FIRST, _AT, _LAST = Struct(">hi16si16sih").pack, Struct(">iq").pack, Struct(">iqiq").pack
KEPT_DAYS: Final = 30
LEAST_DAYS: Final = 7
"""However short entries are kept, a position is good for so long."""

WRITTEN = "SELECT pg_current_xact_id()::text::bigint"
SETTLED = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
ENTRY = "SELECT written, outbox_id, customer_id, event_type, at, case_id FROM outbox"
READ = f"""
{ENTRY} WHERE bucket = $1 AND (written, outbox_id) > ($2, $3) AND written < $4 ORDER BY written, outbox_id LIMIT $5
"""
# Whether a reader's row `p` (bucket, written, outbox_id) has anything before it that is settled, `$2` being the line. A
# position of a database's other life is none.
WAITING = """EXISTS (
    SELECT FROM outbox AS o WHERE o.bucket = p.bucket AND o.written < $2
        AND (o.written, o.outbox_id) > (CASE WHEN p.written <= $2 THEN p.written ELSE 0 END, p.outbox_id)
)"""
# All buckets, as each has its own order in the index.
READ_OF = f"""
{ENTRY} WHERE bucket = ANY($1::smallint[]) AND (written, outbox_id) > ($2, $3) AND customer_id = ANY($4::uuid[])
ORDER BY written, outbox_id LIMIT $5
"""
# A database that was restored as text counts its transactions anew: what was written in its other life comes first.
FROM_ANOTHER_LIFE = """
UPDATE outbox SET written = 0 WHERE bucket = $1 AND written >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
"""
# The oldest come first, so that it stops where nothing is old, or where somebody is told who has not come further.
DELETE = """
DELETE FROM outbox WHERE (customer_id, outbox_id) IN (
    SELECT customer_id, outbox_id FROM (
        SELECT customer_id, outbox_id, recorded_at, written FROM outbox
        WHERE bucket = $1 ORDER BY written, outbox_id LIMIT $3
    ) AS oldest WHERE recorded_at < $2 AND written < coalesce($4, written + 1)
)
"""


class Entry(NamedTuple):
    """One applied event, and the case it is about, if any. Values are not in it: who reads the outbox asks for them
    again, under their own permit.
    """

    customer_id: UUID
    event_type: str
    event_id: str
    at: datetime
    case_id: UUID | None = None


AnEntry: TypeAlias = tuple[UUID, str, str, datetime, UUID | None]
"""An Entry, or what it has."""


class Position(NamedTuple):
    """A place in the log of a store; a reader goes on after it."""

    written: int
    outbox_id: UUID


START: Final = Position(0, UUID(int=0))


class Logged(NamedTuple):
    """An entry in its place."""

    position: Position
    customer_id: UUID
    event_type: str
    at: datetime
    case_id: UUID | None


async def put(connection: Connection, entries: Iterable[AnEntry], recorded_at: datetime) -> None:
    """Adds the entries in their order; all events of a customer are in one bucket. Inside a transaction."""
    first = (int(recorded_at.timestamp() * 1000) << 80) | (7 << 76) | (secrets.randbits(10) << 66) | (0b10 << 62)
    # Within a batch the ids count upwards, so that a bucket is read in the order it was written.
    first |= secrets.randbits(61)
    written = await connection.fetchval(WRITTEN)
    last = _LAST(8, micros(recorded_at), 8, written)
    rows = [
        b"".join(
            (
                _FIRST(len(COLUMNS), 16, customer_id.bytes, 16, n.to_bytes(16, "big"), 2, customer_id.int % BUCKETS),
                _type_field(event_type),
                field(event_id.encode()),
                _AT(8, micros(at)),
                last,
                NULL if case_id is None else field(case_id.bytes),
            )
        )
        for n, (customer_id, event_type, event_id, at, case_id) in enumerate(entries, first)
    ]
    await copy_rows(connection, outbox, COLUMNS, rows)


@lru_cache(maxsize=1000)
def _type_field(event_type: str) -> bytes:
    return field(event_type.encode())


async def settled_below(connection: Connection) -> int:
    """Below this transaction the log is settled."""
    found: int = await connection.fetchval(SETTLED)
    return found


async def read(connection: Connection, bucket: int, after: Position, settled: int, most: int) -> list[Logged]:
    """The next settled entries of a bucket; `settled` was asked for before."""
    # A position of a database's other life is none.
    place = after if after.written <= settled else START
    return [_logged(row) for row in await connection.fetch(READ, bucket, *place, settled, most)]


async def read_of(connection: Connection, customers: Sequence[UUID], after: Position, most: int) -> list[Logged]:
    """The next entries of some customers, those too that are not settled: others may still come before them."""
    buckets = sorted({customer_id.int % BUCKETS for customer_id in customers})
    return [_logged(row) for row in await connection.fetch(READ_OF, buckets, *after, customers, most)]


async def delete_oldest(
    connection: Connection, bucket: int, before: datetime, most: int, passed: int | None = None
) -> int:
    """Deletes the oldest entries of a bucket that were recorded before an instant, `most` at once; how many.

    `passed`: the transaction to which everybody who is told has come.
    """
    await connection.execute(FROM_ANOTHER_LIFE, bucket)
    status = await connection.execute(DELETE, bucket, before, most, passed)
    return int(status.removeprefix("DELETE "))


def _logged(row: Any) -> Logged:
    written, outbox_id, *entry = row
    return Logged(Position(written, outbox_id), *entry)
