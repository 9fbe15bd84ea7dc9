"""The tree over a store's audit trail gone over again, from its first entry to its newest checkpoint.

Every entry is hashed again and compared with its tile, every root that was ever signed is worked out again, and the
tree is compared with the chains of the workers. What came after the newest checkpoint is not looked at.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from cdp.audit import bucket_of
from cdp.audited import decoded
from cdp.sequencer import CHAINS, NEWEST, tiles
from cdp.stores import Connection
from cdp.words import Word
from privacy.errors import ProofRefused
from privacy.log import HASH_BYTES, leaf_hash
from privacy.notes import Checkpoint, NoteKey, checkpoint_of, signed_by
from privacy.tree import TILE_HASHES, Frontier, TileName, grown

PAGE_LEAVES: Final = 16 * TILE_HASHES
PAGE_NOTES: Final = 1000
MOST_TOLD: Final = 20

SEGMENTS = """
SELECT first_index, worker, first_sequence, entries FROM audit_segment
WHERE bucket = 0 AND first_index >= $1 AND first_index < $2 ORDER BY first_index LIMIT 256
"""
ENTRIES = """
SELECT wanted.first_index + one.sequence - wanted.first_sequence AS index, one.entry
FROM unnest($1::smallint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[])
    AS wanted (bucket, worker, first_sequence, beyond, first_index)
CROSS JOIN LATERAL (
    SELECT sequence, entry FROM audit_entry WHERE bucket = wanted.bucket AND worker = wanted.worker
    AND sequence >= wanted.first_sequence AND sequence < wanted.beyond
) AS one ORDER BY index
"""
NOTES = "SELECT size, signed FROM audit_checkpoint WHERE bucket = 0 AND size > $1 AND size <= $2 ORDER BY size LIMIT $3"


@dataclass
class Replay:
    """What was gone over. `words` are the rows of which an entry tells, and what it tells.

    `lengths` is how far the tree has each worker's chain; `cosigners` are the witnesses of the newest checkpoint.
    """

    size: int = 0
    checkpoints: int = 0
    cosigners: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    words: dict[UUID, Word] = field(default_factory=dict)
    lengths: dict[UUID, int] = field(default_factory=dict)

    def found(self, problem: str) -> None:
        """One more thing that does not fit; only so many are told."""
        if len(self.problems) < MOST_TOLD:
            self.problems.append(problem)


async def replay(
    connection: Connection, key: NoteKey, witnesses: Iterable[NoteKey] = (), kept: Iterable[str] = ()
) -> Replay:
    """Goes over the tree. `kept` are checkpoints of it that were kept elsewhere: the tree must have grown from them."""
    done = Replay()
    newest = await connection.fetchrow(NEWEST)
    older = sorted((_verified(done, note, key) for note in kept), key=lambda one: one.size)
    size = newest["size"] if newest is not None else 0
    for one in older:
        if one.size > size:
            done.found(f"a checkpoint was given out at size {one.size:,}: the end of the log was cut off")
    if newest is None:
        return done
    done.size = size
    try:
        done.cosigners = signed_by(newest["signed"], witnesses)
    except ProofRefused as refused:
        done.found(f"checkpoint {size:,}: {refused}")
    await _walk(connection, done, key, older)
    return done


async def compare_chains(connection: Connection, done: Replay, lengths: Mapping[UUID, int]) -> int:
    """How many entries wait for their place in the tree, by the chains as they were walked after the tree (worker ->
    entries); notes the chains of which the tree has more than the trail, and those that nobody announced.
    """
    for worker, length in done.lengths.items():
        if lengths.get(worker, 0) < length:
            done.found(f"the chain of {worker} ends at entry {lengths.get(worker, 0):,}, the tree has {length:,}")
    announced = {row["worker"] for row in await connection.fetch(CHAINS)}
    for worker in lengths.keys() - announced:
        done.found(f"the chain of {worker} was never announced: the tree passes it by")
    return sum(max(0, length - done.lengths.get(worker, 0)) for worker, length in lengths.items())


def _verified(done: Replay, note: str, key: NoteKey) -> Checkpoint:
    """What a note says, once its log's signature is there; a note without one is noted, and says nothing."""
    try:
        if key.name in signed_by(note, [key]) and (said := checkpoint_of(note)).origin == key.name:
            return said
        problem = "not signed by the log"
    except ProofRefused as refused:
        problem = str(refused)
    done.found(f"a checkpoint that does not verify: {problem}")
    return Checkpoint("", 0, b"", "")


async def _walk(connection: Connection, done: Replay, key: NoteKey, older: Sequence[Checkpoint]) -> None:
    frontier, edge, upper = Frontier(), dict[TileName, bytes](), dict[TileName, bytes]()
    roots = _roots(connection, done, key, older)
    due = await anext(roots, None)
    async for segments in batches(connection, done):
        hashes = await _hashes(connection, done, segments)
        changed = grown(edge, frontier.size, hashes)
        edge |= changed
        upper |= {name: tile for name, tile in changed.items() if name[0]}
        for at in range(0, len(hashes), HASH_BYTES):
            frontier.add(hashes[at : at + HASH_BYTES])
            if due is not None and due.size == frontier.size:
                due = await _next_root(done, roots, due, frontier.root)
    if due is not None:
        done.found(f"checkpoint {due.size:,} is of a tree of another size")
    stored = await tiles(connection, upper)
    for (level, number), tile in upper.items():
        if not stored.get((level, number), b"").startswith(tile):
            done.found(f"tile {number:,} of level {level} is not as it was written")


async def _next_root(
    done: Replay, roots: AsyncIterator[Checkpoint], due: Checkpoint | None, root: bytes
) -> Checkpoint | None:
    """The next checkpoint to come, after all of one size were compared with the root of that size."""
    size = due.size if due is not None else 0
    while due is not None and due.size == size:
        if due.root != root:
            done.found(f"checkpoint {size:,}: the tree has another root")
        due = await anext(roots, None)
    return due


async def _roots(
    connection: Connection, done: Replay, key: NoteKey, older: Sequence[Checkpoint]
) -> AsyncIterator[Checkpoint]:
    """Every checkpoint up to the newest, those kept elsewhere among them, by size."""
    waiting = [one for one in older if 0 < one.size <= done.size]
    after = 0
    while rows := await connection.fetch(NOTES, after, done.size, PAGE_NOTES):
        for row in rows:
            said = _verified(done, row["signed"], key)
            while waiting and waiting[0].size <= row["size"]:
                yield waiting.pop(0)
            if said.size == row["size"]:
                yield said
            elif said.root:
                done.found(f"checkpoint {row['size']:,} says {said.size:,}")
        done.checkpoints += len(rows)
        after = rows[-1]["size"]


async def batches(connection: Connection, done: Replay) -> AsyncIterator[Sequence[Any]]:
    """The places of the entries in order, some thousands at a time; notes where the tree skips an entry."""
    beyond = 0
    while beyond < done.size:
        batch: list[Any] = []
        for row in await connection.fetch(SEGMENTS, beyond, done.size):
            if (
                row["entries"] < 1
                or row["first_index"] != beyond
                or (batch and beyond - batch[0]["first_index"] > PAGE_LEAVES)
            ):
                break
            if row["first_sequence"] != done.lengths.get(row["worker"], 0) + 1:
                done.found(f"the tree skips an entry of {row['worker']} before {row['first_sequence']:,}")
            beyond += row["entries"]
            done.lengths[row["worker"]] = row["first_sequence"] + row["entries"] - 1
            batch.append(row)
        if not batch:
            done.found(f"the places of the entries from {beyond:,} on are gone")
            return
        yield batch


async def _hashes(connection: Connection, done: Replay, segments: Sequence[Any]) -> bytes:
    """The leaf hashes of a batch as the tiles have them; notes the entries that differ."""
    start, end = segments[0]["first_index"], segments[-1]["first_index"] + segments[-1]["entries"]
    first = start // TILE_HASHES
    names = [(0, number) for number in range(first, -(-end // TILE_HASHES))]
    stored = await tiles(connection, names)
    kept = b"".join(stored.get(name, b"").ljust(TILE_HASHES * HASH_BYTES, b"\0") for name in names)
    kept = kept[(start - first * TILE_HASHES) * HASH_BYTES : (end - first * TILE_HASHES) * HASH_BYTES]
    entries = await entries_of(connection, segments)
    for index in range(start, end):
        at = (index - start) * HASH_BYTES
        _compare(done, index, entries.get(index, []), kept[at : at + HASH_BYTES])
    return kept


async def entries_of(connection: Connection, segments: Sequence[Any]) -> dict[int, list[bytes]]:
    """The entries of a batch, by their place; where all is well there is one at each."""
    workers = [row["worker"] for row in segments]
    sequences = [row["first_sequence"] for row in segments]
    beyond = [row["first_sequence"] + row["entries"] for row in segments]
    buckets, firsts = [bucket_of(worker) for worker in workers], [row["first_index"] for row in segments]
    found: dict[int, list[bytes]] = {}
    for row in await connection.fetch(ENTRIES, buckets, workers, sequences, beyond, firsts):
        found.setdefault(row["index"], []).append(row["entry"])
    return found


def _compare(done: Replay, index: int, leaves: Sequence[bytes], kept: bytes) -> None:
    match leaves:
        case [leaf] if leaf_hash(leaf) == kept:
            _note_word(done, leaf)
        case []:
            done.found(f"entry {index:,} of the tree is gone")
        case [_]:
            done.found(f"entry {index:,} of the tree is not as it was written")
        case _:
            done.found(f"entry {index:,} of the tree is there more than once")


def _note_word(done: Replay, leaf: bytes) -> None:
    if b'"word":' in leaf and "word" in (entry := decoded(leaf)):
        done.words[UUID(entry["id"])] = Word.of(entry)
