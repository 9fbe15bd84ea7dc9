"""How far the loading of a file has come: kept in the store of its region until the load has ended."""

import json
from datetime import timedelta
from typing import Final, NamedTuple

from cdp.stores import Connection, Store
from privacy.blind import Index
from privacy.keys import KeyRing

FILE_INDEX: Final = Index(uid=151, name="file", version=1)
"""Of a file with one record in it, a plain hash could be tried out."""
ABANDONED: Final = timedelta(days=30)

FIND = "SELECT records, counts, rejects, rejects_bytes FROM file_load WHERE file_tag = $1"
KEEP = """
INSERT INTO file_load (file_tag, records, counts, rejects, rejects_bytes, at) VALUES ($1, $2, $3, $4, $5, now())
ON CONFLICT (file_tag) DO UPDATE SET records = excluded.records, counts = excluded.counts,
    rejects = excluded.rejects, rejects_bytes = excluded.rejects_bytes, at = excluded.at
"""
FORGET = "DELETE FROM file_load WHERE file_tag = $1 OR at < now() - $2::interval"


class Position(NamedTuple):
    """So many records are done, with these counts; the refused ones are in so many bytes of a file of that name."""

    records: int
    counts: dict[str, int]
    rejects: str
    rejects_bytes: int


Named = tuple[str, str, str]
"""The digests of a file and of a mapping, and a region."""


def _tag(ring: KeyRing, named: Named) -> bytes:
    return ring.digest(FILE_INDEX, "\0".join(named))


async def position_of(store: Store, ring: KeyRing, named: Named) -> Position | None:
    """Where to go on; None where nothing was stopped."""
    async with store.read() as connection:
        row = await connection.fetchrow(FIND, _tag(ring, named))
    return None if row is None else Position(row[0], json.loads(row[1]), row[2], row[3])


async def keep_position(connection: Connection, ring: KeyRing, named: Named, position: Position) -> None:
    """This far, and no further, is known to be done. In a transaction."""
    records, counts, rejects, size = position
    await connection.execute(KEEP, _tag(ring, named), records, json.dumps(counts), rejects, size)


async def forget_position(connection: Connection, ring: KeyRing, named: Named) -> None:
    """The load has ended; those that nobody went on with for a month are forgotten, too. In a transaction."""
    await connection.execute(FORGET, _tag(ring, named), ABANDONED)
