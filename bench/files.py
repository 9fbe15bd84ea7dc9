"""`python -m bench.files`: what memory it takes to load a file, and a file of ten times as many records.

Each file is loaded by a process of its own into fresh embedded stores: usage records of a thousand customers, every
hundredth of which is refused.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from cdp.app import prepare
from cdp.house import migrate_stores, open_house
from cdp.ingest import EVENTS
from cdp.load import Task, load_file
from cdp.mapping import parse_mapping
from cdp.settings import Settings

SIZES: Final = (200_000, 2_000_000)
CUSTOMERS: Final = 1_000
MAPPING: Final = """
name = "bench"
key = ["id"]
region = "HK"
subject = { customerKey = { column = "customer" } }
at = { column = "at", as = "instant" }
[tables.kind]
call = "VOICE"
[[event]]
type = "CustomerRegistered"
when = { column = "kind", equals = "new" }
[event.fields]
kind = "INDIVIDUAL"
[[event]]
type = "UsageRecorded"
when = { column = "kind", differs = "new" }
[event.fields]
usageType = { column = "kind", table = "kind" }
quantity = { column = "minutes" }
units = "minutes"
"""


def main(arguments: Sequence[str]) -> None:
    """Prints a row for each size."""
    parser = argparse.ArgumentParser(prog="python -m bench.files", description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help=f"records (default {SIZES})")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.one is not None:
        sys.stdout.write(json.dumps(asyncio.run(_measure(asked.one))))
        return
    shown = Table("records", "accepted", "refused", "seconds", "records/s", "peak RSS MB", "x first")
    first = None
    for size in sorted(asked.sizes):
        command = [sys.executable, "-m", "bench.files", "--one", str(size)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        first = first or found["peak"]
        numbers = (size, found["accepted"], found["refused"], found["seconds"], size / found["seconds"], found["peak"])
        shown.add_row(*(f"{number:,.0f}" for number in numbers), f"{found['peak'] / first:.2f}")
    Console().print(shown)


async def _measure(size: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "usage.csv"
        with file.open("w", encoding="utf-8") as text:
            text.write("id,customer,kind,minutes,at\n")
            text.writelines(f"new-{n},C-{n},new,,2026-01-01\n" for n in range(CUSTOMERS))
            text.writelines(
                f"{n},C-{n % CUSTOMERS},{'?' if n % 100 == 0 else 'call'},{n % 50}.5,"
                f"2026-02-{n % 28 + 1:02}T{n % 24:02}:{n % 60:02}:00\n"
                for n in range(size - CUSTOMERS)
            )
        settings = Settings(home=Path(folder) / "home", environment="test")
        await migrate_stores(settings)
        async with open_house(settings) as house:
            await prepare(house)
            with Progress(disable=True) as bars:
                loaded = await load_file(house, file, Task(parse_mapping(MAPPING, EVENTS)), bars)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    counts = loaded.counts
    refused = counts["rejected"] + counts["rows refused"]
    return {"accepted": counts["accepted"], "refused": refused, "seconds": loaded.seconds, "peak": peak}


if __name__ == "__main__":
    main(sys.argv[1:])
