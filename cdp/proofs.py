"""What the tree over a store's audit trail shows of itself: checkpoints, tiles, and the proof of one entry.

None of it holds more than hashes, sizes and signatures.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from cdp.audited import decoded
from cdp.sequencer import NEWEST, tiles
from cdp.stores import Connection
from cdp.tables import BUCKETS
from privacy.errors import ProofRefused
from privacy.log import HASH_BYTES, leaf_hash
from privacy.notes import NoteKey, checkpoint_of, proof_text, read_proof, signed_by
from privacy.tree import TILE_HASHES, Range, check_inclusion, consistency, hash_of, inclusion, tiles_of

ENTRY = """
SELECT worker, sequence, entry FROM audit_entry WHERE bucket = ANY($1::smallint[]) AND entry_id = $2
ORDER BY recorded_at LIMIT 1
"""
PLACE = """
SELECT first_index + $2 - first_sequence AS index, first_sequence + entries AS beyond FROM audit_segment
WHERE bucket = 0 AND worker = $1 AND first_sequence <= $2 ORDER BY first_sequence DESC LIMIT 1
"""
# A checkpoint that witnesses have signed is worth more than one a moment younger.
COSIGNED = """
SELECT signed FROM (
    SELECT size, signed, cosigned FROM audit_checkpoint WHERE bucket = 0 AND size > $1 ORDER BY size DESC LIMIT 16
) AS newest ORDER BY cosigned DESC, size DESC LIMIT 1
"""


class Found(NamedTuple):
    """An entry, and its place in the tree; None while it has none."""

    leaf: bytes
    place: int | None

    @property
    def client(self) -> object:
        """Who asked; None where the entry does not say."""
        return decoded(self.leaf).get("client")


async def find_entry(connection: Connection, entry_id: UUID) -> Found | None:
    """An entry of the store, or None."""
    row = await connection.fetchrow(ENTRY, list(range(BUCKETS)), entry_id)
    if row is None:
        return None
    place = await connection.fetchrow(PLACE, row["worker"], row["sequence"])
    in_tree = place is not None and row["sequence"] < place["beyond"]
    return Found(row["entry"], place["index"] if in_tree else None)


async def prove(connection: Connection, found: Found) -> str | None:
    """The proof that an entry is in the tree, as tlog-proof has it, with the leaf hash as its extra data; None while
    it is in none.
    """
    note = None if found.place is None else await connection.fetchval(COSIGNED, found.place)
    if found.place is None or note is None:
        return None
    hashes = await hashes_of(connection, inclusion(found.place, checkpoint_of(note).size))
    return proof_text(found.place, hashes, note, leaf_hash(found.leaf))


async def evidence_of(connection: Connection, entry_id: UUID) -> tuple[bytes, str] | None:
    """An entry and the proof that it is in the tree; None while it is in none."""
    found = await find_entry(connection, entry_id)
    proof = None if found is None else await prove(connection, found)
    return None if found is None or proof is None else (found.leaf, proof)


def place_proved(found: Found, proof: str, key: NoteKey) -> int:
    """The place of an entry in the tree, once its proof is verified with the log's key; raises ProofRefused."""
    index, hashes, note = read_proof(proof)
    said = checkpoint_of(note)
    if key.name != said.origin or key.name not in signed_by(note, [key]):
        raise ProofRefused("the checkpoint is not signed by the log")
    check_inclusion(leaf_hash(found.leaf), index, said.size, hashes, said.root)
    return index


async def prove_growth(connection: Connection, old: int, size: int) -> list[bytes]:
    """The proof that the tree of `size` entries begins with that of `old` ones."""
    return await hashes_of(connection, consistency(old, size))


async def newest_checkpoint(connection: Connection) -> str | None:
    """The newest checkpoint with the signatures it has so far; None before the first."""
    newest = await connection.fetchrow(NEWEST)
    return None if newest is None else str(newest["signed"])


async def tile(connection: Connection, level: int, number: int, width: int = TILE_HASHES) -> bytes | None:
    """The first `width` hashes of a tile; None where the newest checkpoint does not have so many."""
    kept = (await tiles(connection, [(level, number)])).get((level, number), b"")
    return kept[: width * HASH_BYTES] if len(kept) >= width * HASH_BYTES else None


async def hashes_of(connection: Connection, ranges: Sequence[Range]) -> list[bytes]:
    """The hashes of ranges of the tree."""
    kept = await tiles(connection, tiles_of(ranges))
    return [hash_of(kept, one) for one in ranges]


def tile_path(level: int | str, number: int, width: int = TILE_HASHES) -> str:
    """Where a tile (or, with "entries" for its level, a bundle of entries) lies in a log, as tlog-tiles has it."""
    parts = [f"{number % 1000:03}"]
    while number := number // 1000:
        parts.insert(0, f"x{number % 1000:03}")
    return f"tile/{level}/{'/'.join(parts)}{'' if width == TILE_HASHES else f'.p/{width}'}"


def read_tile_path(path: str) -> tuple[int, int, int] | None:
    """Level, number and width of a tile, or None for a path that is none of a tile of hashes."""
    head, _, width = path.partition(".p/")
    tile_word, _, rest = head.partition("/")
    level, _, number = rest.partition("/")
    digits = number.replace("x", "").replace("/", "")
    wide = width or str(TILE_HASHES)
    plain = all(text.isascii() and text.isdigit() and len(text) <= 18 for text in (level, digits, wide))
    if tile_word != "tile" or not plain or tile_path(int(level), int(digits), int(wide)) != path:
        return None
    return (int(level), int(digits), int(wide)) if int(level) < 64 and 0 < int(wide) <= TILE_HASHES else None
