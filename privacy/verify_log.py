"""Verifies an exported audit log without anybody's help: `python verify_log.py FOLDER --key KEY [--witness KEY ...]`.

This file stands alone: it needs `cryptography` and nothing of ours. FOLDER is what `cdp audit export` wrote: checkpoint
(the newest), checkpoints.jsonl (every one), tile/... and tile/entries/... as C2SP's tlog-tiles has them. KEY is the key
of the log (NAME+ID+KEY), which you must have from elsewhere. `--checkpoint FILE` is a checkpoint that you kept;
`--proof FILE --entry FILE` a tlog-proof and the entry it is about. What does not fit is told, with exit code 1.
"""

import argparse
import hashlib
import json
import sys
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HASH, TILE = 32, 256
BY_LOG, BY_WITNESS = 1, 4


class Key(NamedTuple):
    """A key that notes are verified with."""

    name: str
    signs: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(f"{self.name}\n".encode() + bytes([self.signs]) + self.public).digest()[:4]


class Checkpoint(NamedTuple):
    """A verified checkpoint and the witnesses that signed it."""

    size: int
    root: bytes
    witnesses: frozenset[str]


def read_key(text: str, signs: int) -> Key:
    """A key written NAME+ID+KEY."""
    name, _, rest = text.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = unbase64(encoded)
    key = Key(name, raw[0] if raw else 0, raw[1:])
    if len(key.public) != 32 or key.signs != signs or key.key_id.hex() != key_id:
        raise ValueError(f"not a key of this kind: {name}")
    return key


def unbase64(text: str) -> bytes:
    """The bytes behind base64, which has one spelling."""
    try:
        raw = b64decode(text, validate=True)
    except (NotBase64, ValueError):
        raise ValueError("not base64") from None
    if b64encode(raw).decode() != text:
        raise ValueError("not base64 as it is written")
    return raw


def verified(note: str, log: Key, witnesses: Sequence[Key]) -> Checkpoint:
    """A checkpoint, once the log's signature and those of known witnesses are right."""
    text, _, signatures = note.rpartition("\n\n")
    body, signers = text + "\n", set[str]()
    for line in signatures.splitlines():
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        raw = unbase64(encoded)
        for key in (log, *witnesses):
            if dash == "—" and name == key.name and raw[:4] == key.key_id:
                verify(key, body, raw[4:])
                signers.add(name)
    lines = body.split("\n")
    if log.name not in signers or lines[0] != log.name or len(lines) != 4 or str(int(lines[1])) != lines[1]:
        raise ValueError("not a checkpoint signed by the log")
    return Checkpoint(int(lines[1]), unbase64(lines[2]), frozenset(signers - {log.name}))


def verify(key: Key, body: str, signature: bytes) -> None:
    """Raises ValueError for a signature that is not the key's."""
    message = body.encode()
    if key.signs == BY_WITNESS:
        message = f"cosignature/v1\ntime {int.from_bytes(signature[:8], 'big')}\n{body}".encode()
        signature = signature[8:]
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    except InvalidSignature:
        raise ValueError(f"the signature of {key.name} is wrong") from None


def leaf_of(entry: bytes) -> bytes:
    """The hash of an entry."""
    return hashlib.sha256(b"\0" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """The root over entries that come one after the other."""

    def __init__(self) -> None:
        self.size, self.peaks = 0, list[bytes]()

    def add(self, leaf: bytes) -> None:
        self.size += 1
        rest = self.size
        while rest % 2 == 0:
            leaf, rest = node(self.peaks.pop(), leaf), rest // 2
        self.peaks.append(leaf)

    @property
    def root(self) -> bytes:
        *peaks, root = self.peaks or [hashlib.sha256().digest()]
        while peaks:
            root = node(peaks.pop(), root)
        return root


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root over these."""
    tree = Tree()
    for one in hashes:
        tree.add(one)
    return tree.root


def path_of(level: str, number: int, width: int) -> str:
    """Where a tile lies."""
    text = f"{number:03}"
    text = text.zfill(-(-len(text) // 3) * 3)
    groups = [text[at : at + 3] for at in range(0, len(text), 3)]
    name = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return f"tile/{level}/{name}" + ("" if width == TILE else f".p/{width}")


def read(folder: Path, name: str) -> bytes:
    """A file of the log."""
    try:
        return (folder / name).read_bytes()
    except OSError:
        raise ValueError(f"{name} is missing") from None


def widths(size: int) -> Iterator[tuple[int, int]]:
    """Number and width of each tile of a level with so many hashes."""
    for number in range(-(-size // TILE)):
        yield number, min(TILE, size - number * TILE)


def entries_of(folder: Path, size: int) -> Iterator[bytes]:
    """Every entry, in order."""
    for number, width in widths(size):
        name = path_of("entries", number, width)
        bundle, found = read(folder, name), 0
        while bundle:
            length = int.from_bytes(bundle[:2], "big")
            if len(bundle) < 2 + length:
                raise ValueError(f"{name} is cut off")
            yield bundle[2 : 2 + length]
            bundle, found = bundle[2 + length :], found + 1
        if found != width:
            raise ValueError(f"{name} holds {found} entries, expected {width}")


class Workers:
    """The chains of the workers: entries numbered without a gap, each counting the cells that were opened so far."""

    def __init__(self) -> None:
        self.chains: dict[str, tuple[int, int]] = {}

    def add(self, index: int, raw: bytes) -> None:
        try:
            entry: dict[str, Any] = json.loads(raw)
            worker, number, opened = entry["worker"], entry["sequence"], entry.get("opened", 0)
            last, cells = self.chains.get(worker, (0, 0))
            counted = entry.get("cells", cells + opened)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ValueError(f"entry {index:,} cannot be read") from None
        if number != last + 1:
            raise ValueError(f"entry {index:,}: worker {worker} goes from {last:,} to {number:,}")
        if counted != cells + opened:
            raise ValueError(
                f"entry {index:,}: worker {worker} opened {cells + opened:,} cells, its counter says {counted:,}"
            )
        self.chains[worker] = (number, counted)


def check_tiles(folder: Path, leaves: list[bytes]) -> None:
    """Raises ValueError for a tile that is not made of the entries."""
    level, hashes = 0, leaves
    while hashes:
        above = []
        for number, width in widths(len(hashes)):
            name, made = path_of(str(level), number, width), hashes[number * TILE : number * TILE + width]
            if read(folder, name) != b"".join(made):
                raise ValueError(f"{name} is not made of the entries")
            above += [root_of(made)] if width == TILE else []
        level, hashes = level + 1, above


def check_log(folder: Path, log: Key, witnesses: Sequence[Key], kept: Sequence[Path]) -> list[str]:
    """Goes over the whole log; what was found, in words. Raises ValueError."""
    newest = verified(read(folder, "checkpoint").decode(), log, witnesses)
    older = [verified(path.read_text("utf-8"), log, witnesses) for path in kept]
    older += [verified(json.loads(line), log, ()) for line in read(folder, "checkpoints.jsonl").splitlines()]
    due = sorted([*older, newest], key=lambda one: one.size)
    if due[-1].size > newest.size:
        raise ValueError(f"the log had {due[-1].size:,} entries once, and has {newest.size:,}: its end was cut off")
    tree, workers, leaves = Tree(), Workers(), list[bytes]()
    for entry in entries_of(folder, newest.size):
        workers.add(tree.size, entry)
        leaves.append(leaf_of(entry))
        tree.add(leaves[-1])
        while due and due[0].size <= tree.size:
            one = due.pop(0)
            if one.size == tree.size and one.root != tree.root:
                raise ValueError(f"the tree of {one.size:,} entries is not the one that was signed")
    check_tiles(folder, leaves)
    return [
        f"{log.name}: {newest.size:,} entries of {len(workers.chains):,} workers, as they were signed",
        f"{len(older):,} checkpoints, each of the beginning of this log",
        f"the newest is signed by {len(newest.witnesses)} of {len(witnesses)} witnesses",
    ]


def check_proof(text: str, entry: bytes, log: Key, witnesses: Sequence[Key]) -> str:
    """That an entry is in the log by a proof alone; what was found, in words. Raises ValueError."""
    head, _, note = text.partition("\n\n")
    version, *lines = [line for line in head.split("\n") if not line.startswith("extra ")]
    if version != "c2sp.org/tlog-proof@v1" or not lines or not lines[0].startswith("index "):
        raise ValueError("not a tlog-proof")
    said, index = verified(note, log, witnesses), int(lines[0].removeprefix("index "))
    found, place, last = leaf_of(entry), index, said.size - 1
    for line in lines[1:]:
        if last == 0:
            raise ValueError("the proof is too long")
        other = unbase64(line)
        if place % 2 == 1 or place == last:
            found = node(other, found)
            while place % 2 == 0 and place:
                place, last = place // 2, last // 2
        else:
            found = node(found, other)
        place, last = place // 2, last // 2
    if index > said.size - 1 or last != 0 or found != said.root:
        raise ValueError("the entry is not where the proof says")
    return f"the entry is number {index:,} of {log.name}, signed by {len(said.witnesses)} of {len(witnesses)} witnesses"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--key", required=True)
    parser.add_argument("--witness", action="append", default=[])
    parser.add_argument("--checkpoint", action="append", default=[], type=Path)
    parser.add_argument("--proof", type=Path)
    parser.add_argument("--entry", type=Path)
    given = parser.parse_args(arguments)
    if not (given.folder or given.proof) or bool(given.proof) != bool(given.entry):
        parser.error("expected a folder, or --proof with its --entry, or all of them")
    try:
        log, witnesses = read_key(given.key, BY_LOG), [read_key(text, BY_WITNESS) for text in given.witness]
        told = check_log(given.folder, log, witnesses, given.checkpoint) if given.folder else []
        if given.proof:
            told.append(check_proof(given.proof.read_text("utf-8"), given.entry.read_bytes(), log, witnesses))
    except (ValueError, OSError) as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
