"""The file that auditors take away finds every change to an exported log, with nothing of ours beside it."""

import ast
import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

import privacy
from cdp.audit import AuditTrail
from cdp.export import export_log
from cdp.proofs import find_entry, prove
from cdp.sequencer import extend_tree, log_key
from cdp.stores import Stores
from privacy.keys import LENGTHS, KeyRing
from privacy.notes import BY_WITNESS, checkpoint_note, checkpoint_of, cosignature, note_key

FILE = Path(privacy.__file__).with_name("verify_log.py")
RING = KeyRing("cdp", "cn", [(kind, 1, bytes(range(length))) for kind, length in LENGTHS.items()])
KEY = log_key(RING).text


def verify(tmp_path: Path, *arguments: str | Path) -> tuple[int, str]:
    """Exit code and what was told, run alone: without our packages, in a folder of its own."""
    alone = tmp_path / "alone"
    alone.mkdir(exist_ok=True)
    shutil.copy(FILE, alone)
    command = [sys.executable, "-I", alone / "verify_log.py", *arguments]
    ran = subprocess.run(command, cwd=alone, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout + ran.stderr


def test_it_is_one_short_file_that_needs_cryptography_alone() -> None:
    tree = ast.parse(FILE.read_text())
    named = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    named |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in named} - sys.stdlib_module_names == {"cryptography"}
    assert len(FILE.read_text().splitlines()) < 300


@pytest.fixture
async def log(stores: Stores, tmp_path: Path) -> Path:
    """A log of 600 entries in four steps, exported; with the proof of its tenth entry beside it."""
    trail = AuditTrail(stores["cn"], RING)
    trail.start()
    first = await asyncio.gather(*(trail.record({"number": number}) for number in range(10)))
    for count in (0, 290, 299, 1):
        await asyncio.gather(*(trail.record({"number": number}) for number in range(count)))
        await extend_tree(stores["cn"], RING)
    await trail.close()
    async with stores["cn"].read() as connection:
        assert await export_log(connection, tmp_path / "log") == 600
        found = await find_entry(connection, first[9])
        assert found is not None
        (tmp_path / "entry").write_bytes(found.leaf)
        (tmp_path / "proof").write_text(await prove(connection, found) or "", "utf-8")
    return tmp_path / "log"


def bundle(log: Path, number: int, width: int = 256) -> Path:
    return log / f"tile/entries/{number:03}{'' if width == 256 else f'.p/{width}'}"


def entries(path: Path) -> list[bytes]:
    raw, found = path.read_bytes(), []
    while raw:
        length = int.from_bytes(raw[:2], "big")
        found.append(raw[2 : 2 + length])
        raw = raw[2 + length :]
    return found


def rewrite(path: Path, change: Callable[[list[bytes]], Sequence[bytes]]) -> None:
    path.write_bytes(b"".join(len(one).to_bytes(2, "big") + one for one in change(entries(path))))


def deleted(log: Path) -> None:
    rewrite(bundle(log, 0), lambda found: [*found[:7], *found[8:]])


def reordered(log: Path) -> None:
    rewrite(bundle(log, 0), lambda found: [*found[:7], found[8], found[7], *found[9:]])


def replaced(log: Path) -> None:
    rewrite(bundle(log, 1), lambda found: [*found[:7], found[7].replace(b'"number":', b'"nomber":'), *found[8:]])


def added(log: Path) -> None:
    rewrite(bundle(log, 2, 88), lambda found: [*found, found[-1]])


def truncated(log: Path) -> None:
    """The log as it was before its last entry, consistent in itself but for the older checkpoints."""
    notes = [json.loads(line) for line in (log / "checkpoints.jsonl").read_text("utf-8").splitlines()]
    (log / "checkpoint").write_text(notes[-2], "utf-8")
    rewrite(bundle(log, 2, 88), lambda found: found[:-1])
    bundle(log, 2, 88).rename(bundle(log, 2, 87))


def forked(log: Path) -> None:
    """The newest checkpoint is signed by the log, and of another tree."""
    said = checkpoint_of((log / "checkpoint").read_text("utf-8"))
    note = checkpoint_note(said.origin, said.size, bytes(32), RING.signer)
    (log / "checkpoint").write_text(note, "utf-8")


def forked_before(log: Path) -> None:
    note = json.dumps(checkpoint_note("cdp/audit/cn", 300, bytes(32), RING.signer))
    with (log / "checkpoints.jsonl").open("a") as file:
        file.write(f"{note}\n")


def without(name: str, log: Path) -> None:
    (log / name).unlink()


def flipped(name: str, at: int, log: Path) -> None:
    raw = bytearray((log / name).read_bytes())
    raw[at] ^= 4
    (log / name).write_bytes(raw)


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "deleted": (deleted, "worker"),
    "reordered": (reordered, "worker"),
    "replaced": (replaced, "is not the one that was signed"),
    "added": (added, "goes from 600 to 600"),
    "truncated": (truncated, "its end was cut off"),
    "forked": (forked, "is not the one that was signed"),
    "forked before": (forked_before, "is not the one that was signed"),
    "a bit of an entry": (partial(flipped, "tile/entries/000", 40), ""),
    "a bit of a length": (partial(flipped, "tile/entries/001", 1), ""),
    "a bit of a leaf": (partial(flipped, "tile/0/000", 99), "is not made of the entries"),
    "a bit of an upper tile": (partial(flipped, "tile/1/000.p/2", 0), "is not made of the entries"),
    "a bit of the size": (partial(flipped, "checkpoint", 13), ""),
    "a bit of the root": (partial(flipped, "checkpoint", 25), "is wrong"),
    "a bit of the signature": (partial(flipped, "checkpoint", -20), ""),
    "a bit of an older checkpoint": (partial(flipped, "checkpoints.jsonl", 25), ""),
    "no bundle": (partial(without, "tile/entries/001"), "is missing"),
    "no tile": (partial(without, "tile/0/001"), "is missing"),
    "no checkpoint": (partial(without, "checkpoint"), "is missing"),
}


def test_a_log_as_it_was_written_is_verified_and_every_change_is_found(log: Path, tmp_path: Path) -> None:
    code, told = verify(tmp_path, log, "--key", KEY, "--checkpoint", log / "checkpoint")
    assert (code, told.splitlines()) == (
        0,
        [
            "cdp/audit/cn: 600 entries of 1 workers, as they were signed",
            "5 checkpoints, each of the beginning of this log",
            "the newest is signed by 0 of 0 witnesses",
        ],
    )
    for name, (change, found) in CHANGES.items():
        copy = tmp_path / name
        shutil.copytree(log, copy)
        change(copy)
        code, told = verify(tmp_path, copy, "--key", KEY)
        assert (code, len(told.splitlines())) == (1, 1), (name, told)
        assert found in told, (name, told)


def test_an_older_log_that_is_whole_does_not_fit_with_what_was_kept(log: Path, tmp_path: Path) -> None:
    """Cut off with all its checkpoints: only one that was kept elsewhere shows it."""
    kept = tmp_path / "kept"
    shutil.copy(log / "checkpoint", kept)
    truncated(log)
    lines = (log / "checkpoints.jsonl").read_text("utf-8").splitlines(keepends=True)
    (log / "checkpoints.jsonl").write_text("".join(lines[:-1]), "utf-8")
    tile = log / "tile/0/002.p/88"
    tile.with_name("87").write_bytes(tile.read_bytes()[:-32])
    assert verify(tmp_path, log, "--key", KEY)[0] == 0
    code, told = verify(tmp_path, log, "--key", KEY, "--checkpoint", kept)
    assert (code, "its end was cut off" in told) == (1, True)


def test_keys_are_those_that_were_given(log: Path, tmp_path: Path) -> None:
    other = KeyRing("cdp", "cn", [(kind, 1, bytes(length)) for kind, length in LENGTHS.items()])
    assert verify(tmp_path, log, "--key", log_key(other).text)[0] == 1
    assert verify(tmp_path, log, "--key", KEY[:-2] + "AA")[0] == 1
    signer = other.signer
    witness = note_key("w1", signer, BY_WITNESS)
    note = (log / "checkpoint").read_text("utf-8")
    (log / "checkpoint").write_text(note + cosignature(checkpoint_of(note).body, "w1", 7, signer), "utf-8")
    code, told = verify(tmp_path, log, "--key", KEY, "--witness", witness.text)
    assert (code, told.splitlines()[-1]) == (0, "the newest is signed by 1 of 1 witnesses")
    assert verify(tmp_path, log, "--key", KEY, "--witness", KEY)[0] == 1
    flipped("checkpoint", -20, log)
    assert verify(tmp_path, log, "--key", KEY, "--witness", witness.text)[0] == 1


def test_a_proof_is_verified_alone(log: Path, tmp_path: Path) -> None:
    proof, entry = tmp_path / "proof", tmp_path / "entry"
    code, told = verify(tmp_path, "--key", KEY, "--proof", proof, "--entry", entry)
    assert (code, told) == (0, "the entry is number 9 of cdp/audit/cn, signed by 0 of 0 witnesses\n")
    text = proof.read_text("utf-8")
    for wrong in (text.replace("index 9", "index 8"), text.replace("index 9", "index 900"), text.replace("@v1", "@v2")):
        proof.write_text(wrong, "utf-8")
        assert verify(tmp_path, "--key", KEY, "--proof", proof, "--entry", entry)[0] == 1
    lines = text.splitlines(keepends=True)
    for at in range(3, 6):
        proof.write_text("".join([*lines[:at], *lines[at + 1 :]]), "utf-8")
        assert verify(tmp_path, "--key", KEY, "--proof", proof, "--entry", entry)[0] == 1
    proof.write_text(text, "utf-8")
    entry.write_bytes(entry.read_bytes() + b" ")
    assert verify(tmp_path, "--key", KEY, "--proof", proof, "--entry", entry)[0] == 1


def test_what_is_to_be_verified_has_to_be_said(log: Path, tmp_path: Path) -> None:
    """A proof without its entry, or nothing at all, is not taken for something that was verified."""
    for some in (
        (),
        ("--proof", tmp_path / "proof"),
        ("--entry", tmp_path / "entry"),
        (log, "--proof", tmp_path / "proof"),
    ):
        code, told = verify(tmp_path, "--key", KEY, *some)
        assert code == 2
        assert "expected a folder, or --proof with its --entry" in told
