"""The audit trail as it lies in the store: the newest entries, and whether anything was taken out or changed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import UUID

from cdp.audit import bucket_of, instant_text
from cdp.stores import Connection
from cdp.tables import BUCKETS
from privacy.log import START, chain

PAGE_ENTRIES: Final = 1000
BEFORE_ALL: Final = (UUID(int=0), -(1 << 63), UUID(int=0))

TAIL = """
SELECT newest.entry FROM unnest($2::smallint[]) AS wanted (bucket) CROSS JOIN LATERAL (
    SELECT entry, recorded_at, worker, sequence FROM audit_entry AS one WHERE one.bucket = wanted.bucket
    ORDER BY entry_id DESC LIMIT $1 + 256  -- ids of one millisecond are in no order
) AS newest ORDER BY newest.recorded_at DESC, newest.worker, newest.sequence DESC LIMIT $1
"""
PAGE = """
SELECT worker, sequence, entry_id, bucket, recorded_at, entry, chain FROM audit_entry
WHERE (worker, sequence, entry_id) > ($1, $2, $3) ORDER BY worker, sequence, entry_id LIMIT $4
"""

Row: TypeAlias = Mapping[str, Any]


async def tail(connection: Connection, limit: int) -> list[Mapping[str, Any]]:
    """The newest entries of a store, newest first; an unreadable one as {}."""
    return [decoded(row["entry"]) for row in await connection.fetch(TAIL, limit, list(range(BUCKETS)))]


def decoded(leaf: bytes) -> dict[str, Any]:
    """An entry by its bytes; an unreadable one as {}."""
    try:
        entry = json.loads(leaf)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where a worker's chain does not fit: `sequence` is the number of the entry expected there."""

    worker: UUID
    sequence: int


@dataclass(frozen=True, slots=True)
class Report:
    """What was walked, and the first break of each chain that has one."""

    entries: int
    workers: int
    breaks: tuple[Break, ...]


async def verify(connection: Connection) -> Report:
    """Walks every worker's chain from its first entry: complete, in order, and as it was written.

    A chain cut off at its end still fits, as does a whole chain that is gone or was made anew: only a signed checkpoint
    kept elsewhere shows that.
    """
    entries, heads = 0, dict[UUID, tuple[int, bytes]]()
    broken: dict[UUID, Break] = {}
    after = BEFORE_ALL
    while rows := await connection.fetch(PAGE, *after, PAGE_ENTRIES):
        for row in rows:
            worker = row["worker"]
            sequence, head = heads.get(worker, (0, START))
            if worker not in broken and not _fits(row, sequence + 1, head):
                broken[worker] = Break(worker, sequence + 1)
            heads[worker] = (sequence + 1, row["chain"])
        entries += len(rows)
        after = (rows[-1]["worker"], rows[-1]["sequence"], rows[-1]["entry_id"])
    return Report(entries, len(heads), tuple(broken.values()))


def _fits(row: Row, sequence: int, head: bytes) -> bool:
    """Whether the row is that entry of its chain, and says in its columns what it says in its bytes."""
    expected = {"id": str(row["entry_id"]), "worker": str(row["worker"]), "sequence": sequence}
    expected["at"] = instant_text(row["recorded_at"])
    in_place = row["sequence"] == sequence and row["bucket"] == bucket_of(row["worker"])
    return in_place and expected.items() <= decoded(row["entry"]).items() and row["chain"] == chain(head, row["entry"])
