"""The tree over the entries of a store's audit trail: each entry gets its place, and each step ends in a checkpoint.

Every worker's chain is continued where the tree left it, so that an entry that is committed late is late in the tree
and never missing from it. A step is one transaction under the lock of the tree's one row: whoever holds it is the only
sequencer, whoever is killed in it has done nothing, and a checkpoint is known to nobody before it is kept. What does
not fit the newest checkpoint is never signed.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

import structlog

from cdp.audit import bucket_of
from cdp.errors import RequestInvalid
from cdp.stores import Connection, Store
from privacy.keys import KeyRing, LogSigner
from privacy.log import HASH_BYTES
from privacy.notes import NoteKey, checkpoint_note, checkpoint_of, note_key, signed_by
from privacy.tree import TileName, edge, grown, hash_of

CHAIN_ENTRIES: Final = 8192
"""How far one chain is continued in one step."""

# A process that stands still in the middle of a step must not keep the others from it.
NOT_FOR_EVER = "SET LOCAL idle_in_transaction_session_timeout = '5s'"
LOCK = "SELECT size FROM audit_tree WHERE bucket = 0 FOR UPDATE SKIP LOCKED"
PLANT = "INSERT INTO audit_tree (bucket, size) VALUES (0, 0) ON CONFLICT DO NOTHING"
CHAINS = "SELECT worker, sequenced FROM audit_chain WHERE bucket = 0 ORDER BY worker"

# The leaf hash of RFC 6962 is taken where the entries lie, so that they need not travel.
NEWS = r"""
SELECT new.worker, count(*) AS entries, min(new.sequence) AS first, max(new.sequence) AS last,
       string_agg(new.leaf, ''::bytea ORDER BY new.sequence) AS leaves
FROM unnest($1::smallint[], $2::uuid[], $3::bigint[]) AS wanted (bucket, worker, sequenced) CROSS JOIN LATERAL (
    SELECT one.worker, one.sequence, sha256('\x00'::bytea || one.entry) AS leaf FROM audit_entry AS one
    WHERE one.bucket = wanted.bucket AND one.worker = wanted.worker AND one.sequence > wanted.sequenced
    ORDER BY one.sequence LIMIT $4
) AS new GROUP BY new.worker ORDER BY new.worker
"""
NEWEST = "SELECT size, signed FROM audit_checkpoint WHERE bucket = 0 ORDER BY size DESC LIMIT 1"
TILES = """
SELECT level, place, hashes FROM audit_tile
WHERE bucket = 0 AND (level, place) IN (SELECT * FROM unnest($1::smallint[], $2::bigint[]))
"""
SEGMENTS = """
INSERT INTO audit_segment (bucket, first_index, worker, first_sequence, entries)
SELECT 0, * FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::int[])
"""
CONTINUED = """
UPDATE audit_chain SET sequenced = new.sequenced FROM unnest($1::uuid[], $2::bigint[]) AS new (worker, sequenced)
WHERE audit_chain.bucket = 0 AND audit_chain.worker = new.worker
"""
KEEP_TILES = """
INSERT INTO audit_tile (bucket, level, place, hashes)
SELECT 0, * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[])
ON CONFLICT (bucket, level, place) DO UPDATE SET hashes = excluded.hashes
"""
KEEP_CHECKPOINT = "INSERT INTO audit_checkpoint (bucket, size, signed, cosigned, made_at) VALUES (0, $1, $2, 0, $3)"
GROWN = "UPDATE audit_tree SET size = $1 WHERE bucket = 0"

log = structlog.get_logger()


def origin_of(ring: KeyRing) -> str:
    """The name of a store's log in its checkpoints and keys."""
    return f"{quote(ring.tenant, safe='')}/audit/{ring.store}"


def log_key(ring: KeyRing) -> NoteKey:
    """The key that the checkpoints of a store are verified with."""
    return note_key(origin_of(ring), ring.signer)


async def extend_tree(store: Store, ring: KeyRing) -> int:
    """Gives the entries that have come their places in the tree, and makes a checkpoint; how many there were.

    0 as well where another process is at it. Raises RequestInvalid AUDIT_BROKEN where the tree does not fit its newest
    checkpoint: nothing is signed until somebody has looked.
    """
    async with store.transaction() as connection:
        chains = await _chains(connection)
        news = await _news(connection, chains, store.name)
        size = await _lock(connection) if news else None
        if size is None or await _chains(connection) != chains:
            return 0  # nothing has come, or another process is at it or was quicker
        before = await tiles(connection, edge(size))
        await _check_fits(connection, size, before, log_key(ring))
        leaves = b"".join(row["leaves"] for row in news)
        changed = grown(before, size, leaves)
        await _keep(connection, size, news, changed)
        size += len(leaves) // HASH_BYTES
        root = hash_of(before | changed, (0, size))
        await connection.execute(KEEP_CHECKPOINT, size, _signed(ring, size, root), datetime.now(UTC))
        await connection.execute(GROWN, size)
    return len(leaves) // HASH_BYTES


async def tiles(connection: Connection, names: Iterable[TileName]) -> dict[TileName, bytes]:
    """Those of these tiles that are kept; one at the edge may be longer than it was for an older tree."""
    wanted = list(names)
    rows = await connection.fetch(TILES, [level for level, _ in wanted], [number for _, number in wanted])
    return {(row["level"], row["place"]): row["hashes"] for row in rows}


def _signed(ring: KeyRing, size: int, root: bytes) -> str:
    signer: LogSigner = ring.signer
    return checkpoint_note(origin_of(ring), size, root, signer)


async def _lock(connection: Connection) -> int | None:
    """The size of the tree, which nobody else extends until the transaction ends; None where somebody does."""
    await connection.execute(NOT_FOR_EVER)
    await connection.execute(PLANT)
    size: int | None = await connection.fetchval(LOCK)
    return size


async def _chains(connection: Connection) -> dict[UUID, int]:
    """Worker -> how far the tree has its chain."""
    return {row["worker"]: row["sequenced"] for row in await connection.fetch(CHAINS)}


async def _news(connection: Connection, sequenced: Mapping[UUID, int], store: str) -> Sequence[Any]:
    """What each chain has beyond its place in the tree. A chain with a gap or a fork is not continued."""
    buckets = [bucket_of(worker) for worker in sequenced]
    rows = await connection.fetch(NEWS, buckets, list(sequenced), list(sequenced.values()), CHAIN_ENTRIES)
    whole = [row for row in rows if row["first"] == sequenced[row["worker"]] + 1 == row["last"] - row["entries"] + 1]
    if broken := len(rows) - len(whole):
        log.error("audit chains do not fit and are not continued", store=store, count=broken)
    return whole


async def _check_fits(connection: Connection, size: int, before: dict[TileName, bytes], key: NoteKey) -> None:
    newest = await connection.fetchrow(NEWEST)
    if newest is None and size == 0:
        return
    fits = newest is not None and newest["size"] == size and key.name in signed_by(newest["signed"], [key])
    if not fits or checkpoint_of(newest["signed"]).root != hash_of(before, (0, size)):
        raise RequestInvalid("AUDIT_BROKEN", "the tree over the audit trail does not fit its newest checkpoint")


async def _keep(connection: Connection, size: int, news: Sequence[Any], changed: dict[TileName, bytes]) -> None:
    firsts = []
    for row in news:
        firsts.append(size)
        size += row["entries"]
    workers = [row["worker"] for row in news]
    counts = [row["entries"] for row in news]
    await connection.execute(SEGMENTS, firsts, workers, [row["first"] for row in news], counts)
    await connection.execute(CONTINUED, workers, [row["last"] for row in news])
    levels, numbers = [level for level, _ in changed], [number for _, number in changed]
    await connection.execute(KEEP_TILES, levels, numbers, list(changed.values()))
