"""The write door beside bare COPY: events a second through the door, with one process and with several, and the very
rows it wrote put into tables with the same indexes by nothing but COPY (and an upsert, where the door has one).

The bare one parses, finds, decides, makes keys and seals nothing: it is handed finished rows.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import asyncpg
import psutil
from rich.console import Console
from rich.table import Table

from bench.intake import KINDS, before
from bench.processes import BenchFailed
from cdp.app import writer_of
from cdp.crew import open_door
from cdp.embedded import Embedded
from cdp.house import House, migrate_stores, open_house
from cdp.ingest import BATCH, Outcome, Status, ingest
from cdp.settings import Settings
from cdp.tables import metadata

__all__ = ["Intake", "Measured", "measure_intake", "shown", "told"]

STORE: Final = "cn"
OWN_TABLE: Final = {"identities": "customer", "usage": "usage_record"}
"""The table a kind is about; all else follows from it."""
COPIED: Final = frozenset({"usage_record", "outbox", "bill_line", "payment"})
"""Tables whose rows cannot be there already: the door copies into them as well."""
HEADINGS: Final = ("rows", "", "events/s", "x bare", "x bare, own table", "CPU us", "bytes/event")


@dataclass(frozen=True, slots=True)
class Intake:
    """What is asked for: events of each kind, rounds, and the numbers of processes."""

    events: int
    rounds: int
    processes: Sequence[int]
    kinds: Sequence[str]


@dataclass(frozen=True, slots=True)
class Measured:
    """One turn. `who` is `bare`, `bare, own table`, or a number of processes; CPU in microseconds an event."""

    kind: str
    who: str
    round: int
    per_second: float
    python_us: float
    postgres_us: float
    bytes_per_event: float = 0


@dataclass(frozen=True, slots=True)
class Rows:
    """What the door wrote into one table."""

    table: str
    columns: Sequence[str]
    key: Sequence[str]
    rows: Sequence[Any]


def measure_intake(home: Path, intake: Intake, console: Console) -> list[Measured]:
    """All turns; raises BenchFailed where an event was not taken in. The folder's world is made anew each time."""
    folder = home / "world-ingest"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    embedded = Embedded(folder)
    try:
        url = embedded.start([STORE])[STORE]
        return asyncio.run(_turns(folder, url, intake, console))
    finally:
        embedded.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def _turns(home: Path, url: str, intake: Intake, console: Console) -> list[Measured]:
    made = list[Measured]()
    await migrate_stores(_settings(home, url))
    for kind in intake.kinds:
        events = KINDS[kind](intake.events)
        async with _database(url, STORE, "prepared") as prepared:
            await _prepare(home, prepared, kind)
            for number in range(intake.rounds):
                for processes in intake.processes:
                    with console.status(f"{kind}, round {number + 1}: {processes} processes"):
                        async with _database(url, "prepared", "turn") as turn:
                            made += await _turn(home, turn, (kind, number, processes), events)
    return made


async def _prepare(home: Path, url: str, kind: str) -> None:
    async with open_house(_settings(home, url)) as house:
        outcomes = await ingest(writer_of(house), before(kind), "bench")
        if any(one.status is not Status.ACCEPTED for one in outcomes):
            raise BenchFailed("what has to be there before was not taken in")
    await _settle(url)


async def _turn(
    home: Path, url: str, what: tuple[str, int, int], events: Sequence[Mapping[str, Any]]
) -> list[Measured]:
    """The door; then, the first time of a round, what it wrote by nothing but COPY."""
    kind, number, processes = what
    async with open_house(_settings(home, url)) as house:
        connection = await asyncpg.connect(url)
        since = await connection.fetchval("SELECT pg_current_xact_id()::text::bigint")
        size = await connection.fetchval("SELECT pg_database_size(current_database())")
        watch = Watch(await connection.fetchval("SELECT pg_backend_pid()"))
        await _ingest(house, events, processes, watch)
        grown = await connection.fetchval("SELECT pg_database_size(current_database())") - size
        made = [watch.told(kind, str(processes), number, len(events), grown / len(events))]
        if processes == 1:
            written = [rows async for rows in _written(connection, since)]
            own = [rows for rows in written if rows.table == OWN_TABLE.get(kind)]
            for who, some in (("bare", written), ("bare, own table", own)):
                if some:
                    await _copied(connection, some, -(-len(events) // BATCH), watch)
                    made.append(watch.told(kind, who, number, len(events)))
        await connection.close()
    return made


class Watch:
    """A stop-watch for wall time and for the CPU of this process, its children and PostgreSQL."""

    def __init__(self, backend: int) -> None:
        self._postgres = psutil.Process(psutil.Process(backend).ppid())
        self._ours = psutil.Process()

    def start(self) -> None:
        """From now on."""
        self._began = (time.perf_counter(), *self._cpu())

    def stop(self) -> None:
        """Until now; whoever wrote must still be there."""
        ended = (time.perf_counter(), *self._cpu())
        self._took = [end - began for began, end in zip(self._began, ended, strict=True)]

    def _cpu(self) -> tuple[float, float]:
        servers = list(self._postgres.children())
        python = {self._ours, *self._ours.children(recursive=True)} - {self._postgres, *servers}
        return _seconds(python), _seconds(servers)

    def told(self, kind: str, who: str, number: int, events: int, size: float = 0) -> Measured:
        """What was measured."""
        wall, python, postgres = self._took
        return Measured(kind, who, number, events / wall, python / events * 1e6, postgres / events * 1e6, size)


def _seconds(processes: Any) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in processes if one.is_running())


async def _ingest(house: House, events: Sequence[Mapping[str, Any]], processes: int, watch: Watch) -> None:
    """Takes them in as `cdp load` does: some batches at a time, and the next ones read meanwhile."""
    calls = [events[start : start + BATCH * processes] for start in range(0, len(events), BATCH * processes)]
    async with open_door(house, writer_of(house), processes) as door:
        await door.finish(
            door.begin([{}, {}, *({"subject": {"number": str(n)}} for n in range(20))]), "bench"
        )  # all are there
        watch.start()
        begun, outcomes = door.begin(calls[0]), list[Outcome]()
        for later in [*calls[1:], []]:
            begun, before = door.begin(later), begun
            outcomes += await door.finish(before, "bench")
        watch.stop()
    if any(one.status is not Status.ACCEPTED for one in outcomes):
        raise BenchFailed("an event was not taken in")


async def _written(connection: asyncpg.Connection, since: int) -> AsyncIterator[Rows]:
    """All rows that transactions from `since` on have left behind."""
    for table in metadata.sorted_tables:
        if table.name.startswith(("audit_", "dead_letter")):
            continue
        columns, key = list(table.columns.keys()), [column.name for column in table.primary_key]
        rows = await connection.fetch(
            f'SELECT {", ".join(columns)} FROM "{table.name}" WHERE xmin::text::bigint >= $1 ORDER BY {", ".join(key)}',  # noqa: S608 -- declared names
            since,
        )
        if rows:
            yield Rows(table.name, columns, key, [tuple(row) for row in rows])


async def _copied(connection: asyncpg.Connection, written: Sequence[Rows], batches: int, watch: Watch) -> None:
    """The rows into tables with the same indexes, in as many transactions as the door has."""
    for rows in written:
        await connection.execute(f'CREATE TABLE bare_{rows.table} (LIKE "{rows.table}" INCLUDING ALL)')
        await connection.execute(
            f"CREATE TEMPORARY TABLE given_{rows.table} (LIKE bare_{rows.table}) ON COMMIT DELETE ROWS"
        )
    watch.start()
    for number in range(batches):
        async with connection.transaction():
            for rows in written:
                share = rows.rows[number * len(rows.rows) // batches : (number + 1) * len(rows.rows) // batches]
                target = "bare" if rows.table in COPIED else "given"
                await connection.copy_records_to_table(f"{target}_{rows.table}", records=share, columns=rows.columns)
                if target == "given":
                    await connection.execute(_upsert(rows))
    watch.stop()
    for rows in written:
        await connection.execute(f"DROP TABLE bare_{rows.table}, given_{rows.table}")


def _upsert(rows: Rows) -> str:
    changed = ", ".join(f"{name} = excluded.{name}" for name in rows.columns if name not in rows.key)
    action = f"UPDATE SET {changed}" if changed and rows.table != "event_seen" else "NOTHING"
    target = f"INSERT INTO bare_{rows.table} SELECT * FROM given_{rows.table}"  # noqa: S608 -- declared names
    return f"{target} ON CONFLICT ({', '.join(rows.key)}) DO {action}"


def _settings(home: Path, url: str) -> Settings:
    return Settings(home=home, stores={STORE: url}, regions={"CN": STORE}, environment="test")


@asynccontextmanager
async def _database(url: str, template: str, name: str) -> AsyncIterator[str]:
    """The URL of a copy of a database, gone with the block."""
    place = url.rpartition(f"/{STORE}")
    administrator = await asyncpg.connect(f"{place[0]}/postgres{place[2]}")
    try:
        await administrator.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield f"{place[0]}/{name}{place[2]}"
        await administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await administrator.close()


async def _settle(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
    await connection.close()


def _ratio(made: Sequence[Measured], one: Measured, beside: str) -> float | None:
    """The median over the rounds of the ratios to another contestant of the same round."""
    rates = {(m.who, m.round): m.per_second for m in made if m.kind == one.kind}
    rounds = {number for who, number in rates if who == beside}
    return median(rates[one.who, n] / rates[beside, n] for n in rounds) if rounds else None


def told(made: Sequence[Measured]) -> Iterator[dict[str, Any]]:
    """A line for each kind and contestant: medians over the rounds."""
    for first in (one for one in made if one.round == 0):
        mine = [one for one in made if (one.kind, one.who) == (first.kind, first.who)]
        figures = {name: median(asdict(one)[name] for one in mine) for name in list(asdict(first))[3:]}
        ratios = {beside: _ratio(made, first, beside) for beside in ("bare", "bare, own table")}
        yield {"kind": first.kind, "who": first.who, **figures, "ratios": ratios}


def shown(made: Sequence[Measured]) -> Table:
    """What came out, as a table."""
    table = Table(title="through the door, beside bare COPY", title_justify="left", title_style="bold")
    for number, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if number > 1 else "left", no_wrap=True)
    for line in told(made):
        ours = line["who"].isdigit()
        who = f"cdp, {line['who']} process{'es' * (line['who'] != '1')}" if ours else line["who"]
        ratios = ["" if value is None else f"{value:.2f}" for value in line["ratios"].values()]
        cpu = f"{line['python_us']:.0f} + {line['postgres_us']:.0f}"
        size = f"{line['bytes_per_event']:,.0f}" if ours else ""
        table.add_row(
            line["kind"], who, f"{line['per_second']:,.0f}", *ratios, cpu, size, style="bold" if ours else None
        )
    return table
