"""The audit trail as it lies in the store: the newest entries, and whether anything was taken out or changed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias
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
    """An entry; {} for bytes that are none."""
    try:
        entry = json.loads(leaf)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}


class Head(NamedTuple):
    """How far a chain was walked: number, link, and cells counted."""

    sequence: int
    link: bytes
    cells: Any


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where a worker's chain does not fit: `sequence` is the number of the entry expected there."""

    worker: UUID
    sequence: int


@dataclass(frozen=True, slots=True)
class Report:
    """What was walked, and the first break of each chain that has one; `lengths` by worker."""

    entries: int
    workers: int
    breaks: tuple[Break, ...]
    lengths: Mapping[UUID, int] = field(default_factory=dict, compare=False)


async def verify(connection: Connection) -> Report:
    """Walks every worker's chain from its first entry: complete, in order, and as it was written.

    A chain cut off at its end still fits, as does a whole chain that is gone or was made anew: the tree shows that.
    """
    entries, heads = 0, dict[UUID, Head]()
    broken: dict[UUID, Break] = {}
    after = BEFORE_ALL
    while rows := await connection.fetch(PAGE, *after, PAGE_ENTRIES):
        for row in rows:
            worker = row["worker"]
            head = heads.get(worker, Head(0, START, 0))
            entry = decoded(row["entry"])
            if worker not in broken and not _fits(row, entry, head):
                broken[worker] = Break(worker, head.sequence + 1)
            heads[worker] = Head(head.sequence + 1, row["chain"], entry.get("cells", 0))
        entries += len(rows)
        after = (rows[-1]["worker"], rows[-1]["sequence"], rows[-1]["entry_id"])
    lengths = {worker: head.sequence for worker, head in heads.items()}
    return Report(entries, len(heads), tuple(broken.values()), lengths)


def _fits(row: Row, entry: Mapping[str, Any], head: Head) -> bool:
    """Whether the row is the next entry of its chain, says in its columns what it says in its bytes, and counts on."""
    sequence = head.sequence + 1
    expected = {"id": str(row["entry_id"]), "worker": str(row["worker"]), "sequence": sequence}
    expected["at"] = instant_text(row["recorded_at"])
    if "cells" in entry:  # entries of the first version do not count
        expected["cells"] = head.cells + entry.get("opened", 0)
    in_place = row["sequence"] == sequence and row["bucket"] == bucket_of(row["worker"])
    return in_place and expected.items() <= entry.items() and row["chain"] == chain(head.link, row["entry"])
