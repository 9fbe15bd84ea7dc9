"""What a drill finds: one row per bar, a table of them, a file of them."""

import json
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from tests.databases import Server


class Found(NamedTuple):
    """What was measured, in words with its figures; `passed` is None for what could not be measured, and why."""

    figure: str
    passed: bool | None


@dataclass(frozen=True)
class Scale:
    """How much is done: kills of each kind, people whose keys are rotated, values that are swept for, events that are
    taken in.
    """

    kills: int = 200
    people: int = 50_000
    values: int = 1_000
    events: int = 200_000

    @property
    def cells(self) -> int:
        """Of all those people."""
        return 6 * self.people


QUICK = Scale(kills=12, people=500, values=150, events=5_000)


@dataclass(frozen=True)
class Site:
    """Where a drill is: `folder` is its own, `log` the log of the server."""

    server: Server
    folder: Path
    log: Path
    scale: Scale
    say: Callable[[str], None]

    def home(self, name: str) -> Path:
        """A folder that is there and empty."""
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        return folder


class Bar(NamedTuple):
    """One thing that has to hold, its figures those of the scale ("{kills}"), and how that is found out."""

    name: str
    bar: str
    measure: Callable[[Site], Awaitable[Found]]


@dataclass(frozen=True)
class Row:
    """A bar that was tried."""

    name: str
    bar: str
    figure: str
    passed: bool | None
    seconds: float


async def try_bar(bar: Bar, site: Site) -> Row:
    """Whatever goes wrong is a bar that was missed, and no reason to leave out the others."""
    began = time.monotonic()
    site.say(f"{bar.name} ...")
    try:
        found = await bar.measure(site)
    except (Exception, SystemExit) as wrong:  # noqa: BLE001 -- told in the table
        site.say(traceback.format_exc())
        found = Found(f"{type(wrong).__name__}: {str(wrong).splitlines()[0] if str(wrong) else ''}"[:200], passed=False)
    asked = bar.bar.format(**asdict(site.scale), cells=site.scale.cells)
    return Row(bar.name, asked, found.figure, found.passed, round(time.monotonic() - began, 1))


def table_of(rows: Iterable[Row]) -> Table:
    table = Table("bar", "asked for", "found", "", "seconds")
    for row in rows:
        said = {True: "[green]yes", False: "[red]NO", None: "[yellow]skipped"}[row.passed]
        table.add_row(row.name, row.bar, row.figure, said, f"{row.seconds:,.0f}")
    return table


def report(rows: Sequence[Row], file: Path, console: Console) -> int:
    """Prints the table, writes the file; the exit code."""
    console.print(table_of(rows))
    file.write_text(json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False) + "\n")
    return 1 if any(row.passed is False for row in rows) else 0
