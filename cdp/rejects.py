"""The file of refused records: as they stand in the file they came from, each with its reason, to be corrected and
loaded again. The columns of the reason come first, and are passed over then. Nobody else may read it.
"""

import csv
import io
import json
import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Final

from cdp.errors import RequestInvalid
from cdp.file_records import REASONS, FileRecord, Form, Source

MODE: Final = 0o600


class Rejects:
    """Written beside the file, or in another folder; it is there from the first refused record on."""

    def __init__(self, source: Source, folder: Path | None) -> None:
        self._source, self._folder = source, folder or source.path.parent
        self._form = Form.NDJSON if source.form is Form.NDJSON else Form.CSV
        self._encoding = "utf-8" if source.encoding == "utf-8-sig" else source.encoding
        self.name, self.size = self._free_name(), 0
        self._waiting: list[str] = []

    @property
    def path(self) -> Path:
        return self._folder / self.name

    def goes_on(self, name: str, size: int) -> bool:
        """Takes up a file of which so many bytes count; False where that is not there any more."""
        path = self._folder / name
        if size and not (path.is_file() and path.stat().st_size >= size):
            return False
        self.name, self.size = name, size
        if path.is_file():
            os.truncate(path, size)
        return True

    def add(self, record: FileRecord, reasons: Sequence[tuple[str, str, str]]) -> None:
        """`reasons`: code, field and what was expected, of each thing that was wrong."""
        told = ["; ".join(dict.fromkeys(parts)) for parts in zip(*reasons, strict=True)]
        if self._form is Form.CSV:
            self._waiting.append(_csv_line([*told, *record.written]))
            return
        line, pairs = str(record.written), dict(zip(REASONS, told, strict=True))
        if record.row is None:
            self._waiting.append(f"{json.dumps(pairs | {'cdp_line': line}, ensure_ascii=False)}\n")
        else:
            head = json.dumps(pairs, ensure_ascii=False)[:-1]
            rest = line[1:].lstrip()
            self._waiting.append(f"{head}{'' if rest == '}' else ', '}{rest}\n")

    def flush(self) -> None:
        """What was added is in the file."""
        if not self._waiting:
            return
        text = "".join(self._waiting)
        if not self.size and self._form is Form.CSV:
            text = _csv_line([*REASONS, *self._source.columns]) + text
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, MODE)
        except OSError as wrong:
            expected = "expected a folder that can be written to, as --rejects"
            raise RequestInvalid("REJECTS_UNWRITABLE", f"{self._folder}: {expected} ({wrong.strerror})") from None
        with os.fdopen(descriptor, "ab") as file:
            self.size += file.write(text.encode(self._encoding, "replace"))  # only a reason can have what it has not
        self._waiting.clear()

    def _free_name(self) -> str:
        """One that is not taken: what was corrected in an earlier one is not lost."""
        end = "ndjson" if self._form is Form.NDJSON else "csv"
        names = (f"{self._source.path.name}.rejects{'' if n == 1 else f'-{n}'}.{end}" for n in count(1))
        return next(name for name in names if not (self._folder / name).exists())


def _csv_line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
