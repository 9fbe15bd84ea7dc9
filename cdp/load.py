"""Files into the stores: their records become events by a mapping and go through the write door like everything else.

A record that does not fit its mapping goes to the dead letters whole, with its reason; an event that the door refuses
goes there too, and either into a file that can be corrected and loaded again: what goes in then takes the letters of
the same record along. Loading a file twice changes nothing: an event's id follows from the mapping, the record's key
and the event. A load that was stopped goes on after the last records that are known to have been taken in.
"""

import asyncio
import fcntl
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.progress import Progress, TaskID

from cdp.app import writer_of
from cdp.crew import Door, open_door
from cdp.dead_letters import ROW_INVALID, Refusal, bury, settle
from cdp.errors import EventInvalid, RequestInvalid
from cdp.file_positions import Position, forget_position, keep_position, position_of
from cdp.file_records import FileRecord, Form, Source, open_source
from cdp.house import House
from cdp.identity.resolve import Tags
from cdp.ingest import BATCH, Outcome, Status, Writer
from cdp.mapping import FileMapping
from cdp.refused import KEPT, subject_tag
from cdp.rejects import Rejects
from privacy.keys import KeyRing

STEP: Final = 50
COUNTED: Final = ("accepted", "duplicate", "rejected", "review", "rows refused", "letters settled")


class Task(NamedTuple):
    """How files are to be loaded. `region` goes before the one of the mapping; `rejects` is the folder for what is
    refused, by default the file's own; `processes` share the write door.
    """

    mapping: FileMapping
    region: str | None = None
    rejects: Path | None = None
    processes: int = 1


class Loaded(NamedTuple):
    """What became of a file's records and events, as counts; `resumed` were done by a load that was stopped."""

    counts: dict[str, int]
    resumed: int
    seconds: float
    rejects: Path | None

    def told(self) -> list[tuple[str, int]]:
        """The counts, and how fast it was."""
        done = self.counts["rows"] - self.resumed
        return [*self.counts.items(), ("done before", self.resumed), ("rows/s", round(done / max(self.seconds, 0.001)))]


class Taken(NamedTuple):
    """A record of the batch: where its events are in it, or why it is refused. `name`: what it is called."""

    record: FileRecord
    first: int
    end: int
    name: str | None
    refusal: Refusal | None


class Batch(NamedTuple):
    """What goes through the door at once."""

    taken: list[Taken]
    events: list[dict[str, Any]]


@dataclass(slots=True)
class _Loading:
    """A file under way, and the batch that is being read."""

    source: Source
    task: Task
    region: str
    writer: Writer
    ring: KeyRing
    rejects: Rejects
    blank: dict[str, str]
    rows: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    batch: Batch = field(default_factory=lambda: Batch([], []))

    def take(self, record: FileRecord) -> None:
        """Makes the events of a record, or refuses it whole."""
        events, name, mapping, row = self.batch.events, None, self.task.mapping, record.row
        first = len(events)
        if row is not None and self.source.form is Form.NDJSON:
            row = self.blank | row
        try:
            if row is None:
                raise EventInvalid("", record.expected)
            name = mapping.record_of(row, self.ring)
            events += mapping.events_of(row, name, self.region)
            refusal = None
        except EventInvalid as wrong:
            about = subject_tag(Tags(self.ring), None if row is None else mapping.about(row, self.region))
            body = {"mapping": mapping.name, "region": self.region, "row": record.row or record.written}
            refusal = Refusal(body, ROW_INVALID, wrong.field, wrong.expected, about, name)
        self.batch.taken.append(Taken(record, first, len(events), name, refusal))

    @property
    def full(self) -> bool:
        return max(len(self.batch.taken), len(self.batch.events)) >= BATCH * self.task.processes

    def wrong_with(self, taken: Taken, outcomes: list[Outcome]) -> list[tuple[str, str, str]]:
        """Code, field and what was expected, for each thing that is wrong with a record."""
        if taken.refusal is not None:
            return [taken.refusal[1:4]]
        bad = [one for one in outcomes[taken.first : taken.end] if one.status in KEPT]
        return [(one.code or "", one.field or "", one.expected or "") for one in bad]


async def load_file(house: House, path: Path, task: Task, progress: Progress) -> Loaded:
    """Loads a file. Raises RequestInvalid MAPPING_INVALID, FILE_INVALID, FILE_BUSY or REJECTS_UNWRITABLE, in one line
    that says what was expected.
    """
    writer = writer_of(house)
    served = {region: store for region, store in writer.regions.items() if store in writer.rings}
    region = task.mapping.served_region(task.region, served)
    ring = writer.rings[house.settings.store_of(region)]
    with _alone(path):
        source = open_source(path, task.mapping.encoding, task.mapping.columns)
        blank = dict.fromkeys(task.mapping.columns, "")
        rejects = Rejects(source, task.rejects)
        return await _load(house, _Loading(source, task, region, writer, ring, rejects, blank), progress)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While the block runs, no other process loads this file."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RequestInvalid("FILE_BUSY", f"{path.name}: expected a file that is not being loaded") from None
        yield


async def _load(house: House, loading: _Loading, progress: Progress) -> Loaded:
    started, store = time.monotonic(), house.stores[loading.ring.store]
    named = (loading.source.digest, loading.task.mapping.digest, loading.region)
    position = await position_of(store, loading.ring, named)
    if position is not None and loading.rejects.goes_on(position.rejects, position.rejects_bytes):
        loading.rows, loading.counts = position.records, Counter(position.counts)
        progress.console.print(f"{loading.source.path.name}: goes on after record {loading.rows:,}")
    resumed = loading.rows
    bar = progress.add_task(loading.source.path.name, total=loading.source.size, completed=resumed)
    records = islice(loading.source.records(), resumed, None)
    async with open_door(house, loading.writer, loading.task.processes) as door:
        reading = asyncio.create_task(_read(loading, records, door))
        try:
            while (read := await reading)[0].taken:
                # Read while the door works on the batch before.
                reading = asyncio.create_task(_read(loading, records, door))
                batch, begun = read
                outcomes = await door.finish(begun, loading.source.path.name)
                await _keep(house, loading, named, (batch, outcomes))
                _show(progress, bar, loading, (loading.rows - resumed) / max(time.monotonic() - started, 0.001))
        finally:
            reading.cancel()
    async with store.transaction() as connection:
        await forget_position(connection, loading.ring, named)
    progress.update(bar, total=loading.rows, completed=loading.rows)
    counts = {"rows": loading.rows} | {name: loading.counts[name] for name in COUNTED}
    made = loading.rejects.path if loading.rejects.size else None
    return Loaded(counts, resumed, time.monotonic() - started, made)


async def _read(loading: _Loading, records: Iterator[FileRecord], door: Door) -> tuple[Batch, Any]:
    """As much as goes through the door at once, in short steps between which others have their turn, and what the door
    began with it.
    """
    batch = loading.batch = Batch([], [])
    for n, record in enumerate(records, 1):
        loading.take(record)
        if loading.full:
            break
        if n % STEP == 0:
            await asyncio.sleep(0)
    return batch, door.begin(batch.events)


async def _keep(
    house: House, loading: _Loading, named: tuple[str, str, str], sent: tuple[Batch, list[Outcome]]
) -> None:
    """Keeps what was refused of a batch that was taken in, then how far this is. Stopped before that, the batch is sent
    again, which changes nothing.
    """
    (batch, events), outcomes = sent
    writer, ring = loading.writer, loading.ring
    refused = [taken.refusal for taken in batch if taken.refusal is not None]
    for taken in batch:
        if wrong := loading.wrong_with(taken, outcomes):
            loading.rejects.add(taken.record, wrong)
    loading.rejects.flush()
    loading.rows += len(batch)
    loading.counts.update(outcome.status.lower() for outcome in outcomes)
    loading.counts["rows refused"] += len(refused)
    went_in = _went_in(batch, events, outcomes)
    for name, store in writer.stores.items():
        async with store.transaction() as connection:
            if refused and name == ring.store:
                await bury(connection, ring, loading.source.path.name, refused, writer.clock())
            settled = await settle(connection, writer.rings[name], house.trails[name], went_in)
            loading.counts["letters settled"] += settled
    position = Position(loading.rows, dict(loading.counts), loading.rejects.name, loading.rejects.size)
    async with writer.stores[ring.store].transaction() as connection:
        await keep_position(connection, ring, named, position)


def _went_in(batch: list[Taken], events: list[dict[str, Any]], outcomes: list[Outcome]) -> set[str]:
    """The records and events that are new in the stores, of which none is refused in the same batch."""
    new, refused = set[str](), {taken.name for taken in batch if taken.refusal is not None}
    for taken in batch:
        for event, outcome in zip(events[taken.first : taken.end], outcomes[taken.first : taken.end], strict=True):
            if outcome.status is Status.ACCEPTED:
                new |= {event["eventId"], taken.name or ""}
            elif outcome.status in KEPT:
                refused.add(event["eventId"])
    return new - {name for name in refused if name is not None}


def _show(progress: Progress, bar: TaskID, loading: _Loading, rate: float) -> None:
    bad = sum(loading.counts[name] for name in ("rejected", "review", "rows refused"))
    said = f"{loading.source.path.name}: {rate:,.0f} rows/s, {bad:,} refused"
    progress.update(bar, completed=loading.rows, description=said)
