"""The log of a store as files: checkpoints, tiles and bundles of entries, where C2SP's tlog-tiles has them."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from cdp.errors import RequestInvalid
from cdp.proofs import tile_path
from cdp.replay import NOTES, PAGE_NOTES, Replay, batches, entries_of
from cdp.sequencer import NEWEST, tiles
from cdp.stores import Connection
from privacy.log import HASH_BYTES
from privacy.tree import TILE_HASHES

LONGEST_ENTRY: Final = 0xFFFF
TILES_AT_ONCE: Final = 64


async def export_log(connection: Connection, folder: Path) -> int:
    """Writes the log up to its newest checkpoint, which comes last; how many entries it has.

    Raises RequestInvalid AUDIT_BROKEN where an entry is missing: `cdp audit verify` says more.
    """
    newest = await connection.fetchrow(NEWEST)
    if newest is None:
        return 0
    size: int = newest["size"]
    await _export_entries(connection, folder, size)
    await _export_tiles(connection, folder, size)
    after, notes = 0, list[str]()
    while rows := await connection.fetch(NOTES, after, size, PAGE_NOTES):
        notes += [json.dumps(row["signed"], ensure_ascii=False) for row in rows]
        after = rows[-1]["size"]
    await _write(folder / "checkpoints.jsonl", "".join(f"{note}\n" for note in notes).encode())
    await _write(folder / "checkpoint", newest["signed"].encode())
    return size


async def _export_entries(connection: Connection, folder: Path, size: int) -> None:
    done, waiting, number = Replay(size=size), list[bytes](), 0
    async for segments in batches(connection, done):
        found = await entries_of(connection, segments)
        for index in range(segments[0]["first_index"], segments[-1]["first_index"] + segments[-1]["entries"]):
            if len(found.get(index, [])) != 1:
                raise _broken()
            waiting += found[index]
        while len(waiting) >= TILE_HASHES:
            await _write(folder / tile_path("entries", number), _bundle(waiting[:TILE_HASHES]))
            waiting, number = waiting[TILE_HASHES:], number + 1
    if done.problems:
        raise _broken()
    if waiting:
        await _write(folder / tile_path("entries", number, len(waiting)), _bundle(waiting))


async def _export_tiles(connection: Connection, folder: Path, size: int) -> None:
    level = 0
    while hashes := size >> level * 8:
        widths = list(_widths(hashes))
        for start in range(0, len(widths), TILES_AT_ONCE):
            some = widths[start : start + TILES_AT_ONCE]
            stored = await tiles(connection, [(level, number) for number, _ in some])
            for number, width in some:
                kept = stored.get((level, number), b"")[: width * HASH_BYTES]
                await _write(folder / tile_path(level, number, width), kept)
        level += 1


def _widths(hashes: int) -> Iterator[tuple[int, int]]:
    """Number and width of each tile of a level that has so many hashes."""
    for number in range(-(-hashes // TILE_HASHES)):
        yield number, min(TILE_HASHES, hashes - number * TILE_HASHES)


def _bundle(entries: Iterable[bytes]) -> bytes:
    """Entries, each behind its length (two bytes)."""
    found = b""
    for entry in entries:
        if len(entry) > LONGEST_ENTRY:
            raise RequestInvalid("ENTRY_TOO_LONG", f"a bundle holds entries of at most {LONGEST_ENTRY} bytes")
        found += len(entry).to_bytes(2, "big") + entry
    return found


async def _write(path: Path, content: bytes) -> None:
    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    await asyncio.to_thread(write)


def _broken() -> RequestInvalid:
    return RequestInvalid("AUDIT_BROKEN", "the trail lacks entries that its tree has")
