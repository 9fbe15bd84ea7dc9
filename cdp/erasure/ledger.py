"""The ledger of erasures: a file per store, outside the databases and their backups, that holds ids and no values.

A database that comes back from a backup has forgotten its latest erasures; the ledger has not, and is replayed before
anybody is served.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from cdp.errors import RequestInvalid


class Line(NamedTuple):
    """One erasure: whose, when, which classes of their data, where, and by which request."""

    customer_id: UUID
    at: datetime
    gone: tuple[str, ...]
    region: str
    request_id: UUID | None

    @classmethod
    def of(cls, kept: Mapping[str, str]) -> "Line":
        """The line as it was written; raises KeyError, TypeError or ValueError for what is none."""
        request = kept["request"]
        at = datetime.fromisoformat(kept["at"])
        words = tuple(kept["gone"]), kept["region"]
        return cls(UUID(kept["customer"]), at, *words, UUID(request) if request else None)

    def text(self) -> bytes:
        """The line as JSON, with its end."""
        request = str(self.request_id) if self.request_id else None
        kept = {"at": self.at.isoformat(), "customer": str(self.customer_id), "gone": self.gone}
        return json.dumps(kept | {"region": self.region, "request": request}).encode() + b"\n"


class Ledger:
    """The erasures of one store."""

    def __init__(self, folder: Path, store: str) -> None:
        self._file = folder / f"{store}.jsonl"

    def append(self, line: Line) -> None:
        """Adds a line, which is on the disk when this returns; blocks. Raises OSError."""
        made = not self._file.exists()
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _open(self._file, os.O_RDWR | os.O_CREAT | os.O_APPEND) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Half a line is what a fallen machine leaves: nobody was told of that erasure yet.
            os.ftruncate(descriptor, self._file.read_bytes().rfind(b"\n") + 1)
            os.write(descriptor, line.text())
            os.fsync(descriptor)
        if made:
            with _open(self._file.parent, os.O_RDONLY) as folder:
                os.fsync(folder)

    def lines(self) -> Iterator[Line]:
        """Every erasure, oldest first; blocks. Raises RequestInvalid LEDGER_BROKEN for a line that is none."""
        if not self._file.exists():
            return
        whole, _, _ = self._file.read_bytes().rpartition(b"\n")
        for number, text in enumerate(whole.splitlines(), 1):
            try:
                yield Line.of(json.loads(text))
            except (KeyError, TypeError, ValueError):
                raise RequestInvalid("LEDGER_BROKEN", f"{self._file}: line {number} is not an erasure") from None


@contextmanager
def _open(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
