"""A CSV file into the stores: its rows become events by a mapping and go through the write door like everything else.

A row that does not fit its mapping goes to the dead letters whole, with its reason; an event that the door refuses goes
there too. Loading a file twice changes nothing: an event's id follows from the mapping, the row's key and the event.
"""

import codecs
import csv
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.progress import Progress, TaskID

from cdp.app import writer_of
from cdp.bulk import seldom_collected
from cdp.dead_letters import Refusal, bury
from cdp.errors import EventInvalid, RequestInvalid
from cdp.house import House
from cdp.ingest import BATCH, EVENTS, Status, Writer, ingest
from cdp.mapping import FileMapping, parse_mapping
from cdp.values import store_of, valid_region
from privacy.blind import Index
from privacy.keys import KeyRing

ROW_INDEX: Final = Index(uid=102, name="row", version=1)
"""A row's key may be a number or a document: the id of an event holds only a keyed hash of it."""
DETECTED: Final = ("utf-8-sig", "gb18030")
PIECE: Final = 1 << 20


@dataclass(slots=True)
class _File:
    """A file being loaded: how it is read, and what it is about to become."""

    path: Path
    mapping: FileMapping
    region: str
    ring: KeyRing
    events: list[dict[str, Any]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    rows: int = 0

    def take(self, row: Mapping[str, str]) -> None:
        """Makes the events of a row, or refuses it whole."""
        self.rows += 1
        try:
            self.events += list(self._events_of(row))
        except EventInvalid as wrong:
            self.refuse(dict(row), wrong.field, wrong.expected)

    def refuse(self, row: Any, column: str, expected: str) -> None:
        self.refused.append(Refusal({"mapping": self.mapping.name, "row": row}, "ROW_INVALID", column, expected))

    def _events_of(self, row: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        for column in self.mapping.key:
            if not row[column]:
                raise EventInvalid(column, "a value")
        key = self.ring.digest(ROW_INDEX, "\0".join(row[column] for column in self.mapping.key)).hex()
        for event in self.mapping.events:
            if not event.applies(row):
                continue
            region = self.region if event.region is None else event.region(row)
            yield event.fill(row) | {"eventId": f"{self.mapping.name}:{key}:{event.id}", "region": region}


async def load_file(house: House, path: Path, mapping: Path, progress: Progress, region: str | None) -> dict[str, int]:
    """Loads a file; what became of its rows and events, as counts. `region` goes before the one of the mapping.

    Raises RequestInvalid MAPPING_INVALID or FILE_INVALID, in one line that says what was expected.
    """
    plan, writer = _read_mapping(mapping), writer_of(house)
    file = _open(path, plan, writer, region)
    encoding, lines = _survey(path, plan.encoding)
    _check_header(file, encoding)
    task, counts, started = progress.add_task(path.name, total=max(lines - 1, 0)), Counter[str](), time.monotonic()
    with seldom_collected():
        for _ in _batches(file, encoding):
            counts += await _send(file, writer)
            _show(progress, task, file, counts, started)
    progress.update(task, total=file.rows, completed=file.rows)
    names = ("accepted", "duplicate", "rejected", "rows refused")
    return {"rows": file.rows} | {name: counts[name] for name in names}


def _read_mapping(path: Path) -> FileMapping:
    try:
        return parse_mapping(path.read_text("utf-8"), EVENTS)
    except UnicodeDecodeError:
        raise RequestInvalid("MAPPING_INVALID", f"{path.name}: expected UTF-8") from None
    except RequestInvalid as wrong:
        raise RequestInvalid(wrong.code, f"{path.name}: {wrong}") from None


def _open(path: Path, plan: FileMapping, writer: Writer, region: str | None) -> _File:
    region = region or plan.region
    store = None
    if region is not None and valid_region(region):
        store = store_of(region, writer.regions)
    if region is None or store is None or store not in writer.rings:
        raise RequestInvalid(
            "MAPPING_INVALID", "region: expected one that is served here, in the mapping or as --region"
        )
    return _File(path, plan, region, writer.rings[store])


def _survey(path: Path, encoding: str | None) -> tuple[str, int]:
    """How the file is encoded and how many lines it has; raises RequestInvalid where it is neither way."""
    tried = DETECTED if encoding is None else ("utf-8-sig" if encoding == "utf-8" else encoding,)
    for name in tried:
        decoder, lines = codecs.getincrementaldecoder(name)(), 0
        try:
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    lines += decoder.decode(piece).count("\n")
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return name, lines
    expected = encoding or "UTF-8 or GB18030"
    raise RequestInvalid("FILE_INVALID", f"{path.name}: expected text in {expected}")


def _lines(file: _File, encoding: str) -> Iterator[list[str]]:
    with file.path.open(encoding=encoding, newline="") as text:
        reader = csv.reader(text, strict=True)
        try:
            yield from reader
        except csv.Error:
            expected = "fields in CSV, with quotes closed"
            raise RequestInvalid(
                "FILE_INVALID", f"{file.path.name}, line {reader.line_num}: expected {expected}"
            ) from None


def _header(lines: Iterator[list[str]]) -> list[str]:
    return [name.strip() for name in next(lines, [])]


def _check_header(file: _File, encoding: str) -> None:
    header, name = _header(_lines(file, encoding)), file.path.name
    if not any(header):
        raise RequestInvalid("FILE_INVALID", f"{name}: expected a header line")
    if twice := [column for column, count in Counter(header).items() if count > 1]:
        raise RequestInvalid("FILE_INVALID", f"{name}: expected each column once; {twice[0]!r} is there twice")
    for column, where in file.mapping.columns.items():
        if column not in header:
            raise RequestInvalid("MAPPING_INVALID", f"{where}: expected a column of {name}; it has no {column!r}")


def _batches(file: _File, encoding: str) -> Iterator[None]:
    """Fills `file` with as much as goes through the door at once, again and again."""
    lines = _lines(file, encoding)
    header = _header(lines)
    for cells in lines:
        if not cells:
            continue
        if len(cells) == len(header):
            file.take(dict(zip(header, (cell.strip() for cell in cells), strict=True)))
        else:
            file.rows += 1
            file.refuse(cells, "", f"{len(header)} fields")
        if len(file.events) >= BATCH or len(file.refused) >= BATCH:
            yield
    yield


async def _send(file: _File, writer: Writer) -> Counter[str]:
    """Hands over what was read, empties the file, and counts what became of it."""
    events, refused = file.events, file.refused
    file.events, file.refused = [], []
    counts = Counter({"rows refused": len(refused)})
    outcomes = await ingest(writer, events, file.path.name)
    counts.update(outcome.status.lower() for outcome in outcomes if outcome.status in Status)
    if refused:
        store = writer.stores[file.ring.store]
        async with store.transaction() as connection:
            await bury(connection, file.ring, file.path.name, refused, writer.clock())
    return counts


def _show(progress: Progress, task: TaskID, file: _File, counts: Counter[str], started: float) -> None:
    rate = file.rows / max(time.monotonic() - started, 0.001)
    bad = counts["rejected"] + counts["rows refused"]
    said = f"{file.path.name}: {rate:,.0f} rows/s, {bad:,} refused"
    progress.update(task, completed=file.rows, description=said)
