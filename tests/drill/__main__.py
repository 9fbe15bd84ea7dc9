"""The drill: every bar that takes longer than a test may, in one go and one table.

The exit code is 1 where a bar was missed. What a bar cannot be tried for is said, and misses nothing.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from cdp.embedded import Embedded
from tests.canaries.sweep import swept
from tests.databases import Server
from tests.drill import erasures, intake, rotations, sequences
from tests.drill.bars import QUICK, Bar, Found, Row, Scale, Site, report, try_bar
from tests.drill.suites import Suites


async def canaries(site: Site) -> Found:
    """So many personal values through everything, and looked for everywhere."""
    async with swept(site.server, site.home("canaries"), site.scale.values, site.log) as sweep:
        found = await sweep.found()
        figure = f"{sweep.values:,} values, {sweep.journeys.answers.count:,} answers, {len(found)} places"
    leaks = {place: len(values) for place, values in found.items() if values}
    told = ", ".join(f"{count} in {place}" for place, count in leaks.items()) or "0 found"
    return Found(f"{figure}: {told}", passed=not leaks)


BARS: Sequence[Bar] = (
    *Suites().bars(),
    Bar("kill -9, rotation", "{kills:,} points, 0 cells lost", rotations.kill),
    Bar("kill -9, erasure", "{kills:,} points, 0 cells lost", erasures.kill),
    Bar("kill -9, sequencing", "{kills:,} points, 0 gaps, 0 unlogged reads", sequences.kill),
    Bar("kill -9, intake", "{kills:,} points, {events:,} events, each there once, each told in order", intake.kill),
    Bar("re-key", "{cells:,} cells in 300 s, 0 failed reads", rotations.rekey),
    Bar("canaries", "{values:,} values, 0 found", canaries),
)


@asynccontextmanager
async def site_in(folder: Path, scale: Scale, console: Console) -> AsyncIterator[Site]:
    """A server of its own; it need not outlive the machine."""
    embedded, place = Embedded(folder / "server"), folder / "server" / "postgres.place"
    server = Server(embedded.start(["drill"])["drill"], "template_drill")
    try:
        await server.wait_for_no_disk()
        await server.prepare_template()
        seat = Path(place.read_text().strip()) if place.exists() else folder / "server" / "postgres"
        yield Site(server, folder, seat / "log", scale, lambda text: console.print(text, style="dim", markup=False))
    finally:
        embedded.stop()


async def drilled(scale: Scale, only: Sequence[str], console: Console) -> list[Row]:
    bars = [bar for bar in BARS if not only or any(word in bar.name for word in only)]
    with tempfile.TemporaryDirectory(prefix="cdp-drill-") as folder:
        async with site_in(Path(folder), scale, console) as site:
            return [await try_bar(bar, site) for bar in bars]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make drill", description="Try every bar that takes longer than a test may.")
    parser.add_argument("--quick", action="store_true", help="far fewer kills, people and values")
    parser.add_argument("--kills", type=int, help="instead of 200 of each kind")
    parser.add_argument("--events", type=int, help="instead of 200,000")
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="bars whose name has it")
    parser.add_argument("--json", type=Path, default=Path("drill.json"), help="where the figures go")
    given = parser.parse_args(arguments)
    if unknown := [word for word in given.only if not any(word in bar.name for bar in BARS)]:
        parser.error(
            f"--only {unknown[0]}: in the name of no bar; expected one of {', '.join(bar.name for bar in BARS)}"
        )
    changed = {name: value for name in ("kills", "events") if (value := getattr(given, name)) is not None}
    scale = replace(QUICK if given.quick else Scale(), **changed)
    rows = asyncio.run(drilled(scale, given.only, Console(stderr=True)))
    return report(rows, given.json, Console())


if __name__ == "__main__":
    sys.exit(main())
