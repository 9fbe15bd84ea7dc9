"""A witness of other people's logs, as tlog-witness has it: it signs a checkpoint that continues what it saw before.

What it saw last of each log lies in a file, written before a signature leaves. A smaller tree, or another one of the
same size, is never signed.
"""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from cdp.errors import SettingsInvalid
from privacy.errors import ProofRefused
from privacy.keys import LogSigner
from privacy.notes import (
    BY_WITNESS,
    Checkpoint,
    NoteKey,
    checkpoint_of,
    cosignature,
    note_key,
    read_asked_for,
    signed_by,
)
from privacy.tree import EMPTY_ROOT, check_consistency

SEED_BYTES: Final = 32
SIZE_TYPE: Final = "text/x.tlog.size"


class Told(NamedTuple):
    """What is answered over HTTP."""

    status: int
    body: str = ""
    media_type: str = "text/plain; charset=utf-8"


class Witness:
    """A witness with its key and its memory in a folder of its own; `logs` are the keys of those it watches."""

    def __init__(self, folder: Path, name: str, logs: Iterable[NoteKey]) -> None:
        """Makes folder and key where there are none. Raises SettingsInvalid when others may read the key."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._name = folder, name
        self._signer = LogSigner(_seed(folder / "key"))
        self._logs: Mapping[str, NoteKey] = {key.name: key for key in logs}
        self.key = note_key(name, self._signer, BY_WITNESS)

    def add_checkpoint(self, body: bytes) -> Told:
        """The answer to a log that asks for a signature."""
        try:
            old, proof, note = read_asked_for(body.decode())
            said = checkpoint_of(note)
        except (ProofRefused, UnicodeDecodeError):
            return Told(400)
        if (key := self._logs.get(said.origin)) is None:
            return Told(404)
        try:
            known = signed_by(note, [key])
        except ProofRefused:
            known = set()
        if not known:
            return Told(403)
        if old > said.size:
            return Told(400)
        with self._memory() as seen:
            return self._judge(seen, old, proof, said)

    def _judge(self, seen: dict[str, tuple[int, str]], old: int, proof: list[bytes], said: Checkpoint) -> Told:
        size, root = seen.get(said.origin, (0, EMPTY_ROOT.hex()))
        if old != size or (said.size == size and said.root.hex() != root):
            return Told(409, f"{size}\n", SIZE_TYPE)
        try:
            check_consistency((size, bytes.fromhex(root)), (said.size, said.root), proof)
        except ProofRefused:
            return Told(422)
        seen[said.origin] = (said.size, said.root.hex())
        self._remember(seen)
        return Told(200, cosignature(said.body, self._name, int(time.time()), self._signer))

    @contextmanager
    def _memory(self) -> Iterator[dict[str, tuple[int, str]]]:
        """What was seen, by log, for one at a time: two requests never both continue the same size."""
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            path = self._folder / "seen.json"
            kept = json.loads(path.read_text()) if path.exists() else {}
            yield {name: (size, root) for name, (size, root) in kept.items()}

    def _remember(self, seen: Mapping[str, tuple[int, str]]) -> None:
        draft = self._folder / f".{secrets.token_hex(8)}"
        with draft.open("w") as file:
            json.dump(seen, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._folder / "seen.json")
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _seed(path: Path) -> bytes:
    if not path.exists():
        draft = path.with_name(f".{secrets.token_hex(8)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(SEED_BYTES))
        # A link fails where the name is taken: of two makers at once, the first one's key stands.
        with suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    if path.stat().st_mode & 0o077:
        raise SettingsInvalid([f"{path}: readable by others; it must have mode 0600"])
    return path.read_bytes()
