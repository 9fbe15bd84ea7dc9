"""`python -m bench`, which is what `cdp bench` runs: measure the floor, the peers and this product in one run."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bench.chart import chart
from bench.contestants import CONTESTANTS
from bench.load import generator
from bench.operations import Operation
from bench.processes import BenchFailed
from bench.results import machine, records_of, versions, write_results
from bench.run import Outcome, Wish, perform
from bench.schedule import Plan
from bench.tables import LEGEND, WIDTH, markdown, tables_of
from bench.world import CHECKOUT, MONTHS
from cdp.errors import CdpError

RESULTS: Final = CHECKOUT / "bench" / "results"
CUSTOMERS, SECONDS, ROUNDS, CONNECTIONS = 200_000, 5.0, 3, (1, 32, 256)
QUICK_CUSTOMERS, QUICK_SECONDS, QUICK_CONNECTIONS = 20_000, 4.0, (32,)
MOST_ROUNDS: Final = 99


def wish_of(arguments: Sequence[str]) -> Wish:
    """What the command line asks for; ends the process with a usage message when it is not understood."""
    parser = argparse.ArgumentParser(prog="cdp bench", description="Measure the floor, the peers and this product.")
    parser.add_argument("--quick", action="store_true", help="20,000 customers, 4-second rounds, at most 4 minutes")
    parser.add_argument("--customers", type=int, help=f"size of the world (default {CUSTOMERS:,})")
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), help="who takes part")
    parser.add_argument(
        "--operation", nargs="+", choices=[one.value for one in Operation], default=[one.value for one in Operation]
    )
    parser.add_argument("--seconds", type=float, help=f"of each turn (default {SECONDS:g})")
    parser.add_argument("--concurrency", nargs="+", type=int, help=f"connections (default {CONNECTIONS})")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--home", type=Path, default=Path(".cdp-bench"), help="folder of the worlds")
    asked = parser.parse_args(arguments)
    quick: bool = asked.quick
    plan = Plan(
        asked.only,
        [Operation(name) for name in asked.operation],
        asked.concurrency or (QUICK_CONNECTIONS if quick else CONNECTIONS),
        asked.rounds,
        asked.seconds or (QUICK_SECONDS if quick else SECONDS),
    )
    customers = asked.customers or (QUICK_CUSTOMERS if quick else CUSTOMERS)
    if customers < 1 or not 1 <= plan.rounds <= MOST_ROUNDS or plan.seconds < 1 or min(plan.connections) < 1:
        parser.error("customers, rounds, seconds and connections must be at least 1")
    return Wish(asked.home.expanduser().resolve(), customers, plan, quick)


def main(arguments: Sequence[str]) -> int:
    """0 when it was measured, 1 when something does not work or is not right, 130 when interrupted."""
    wish, console = wish_of(arguments), Console(soft_wrap=False)
    console.width = max(console.width, WIDTH)
    for name in [name for name in os.environ if name.startswith("CDP_")]:
        del os.environ[name]  # settings of another deployment would lead our servers there
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console.print(f"load generator: {generator()}, home: {wish.home}")
    about: dict[str, Any] = {"machine": machine()}
    try:
        outcome = perform(wish, console)
    except (BenchFailed, CdpError) as failed:
        console.print(f"{failed}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; everything that was started has been ended")
        return 130
    _publish(wish, outcome, about, console)
    return 0


def _publish(wish: Wish, outcome: Outcome, about: dict[str, Any], console: Console) -> None:
    """Prints the tables and writes latest.json, latest.md and latest.svg."""
    records = records_of(outcome.measurements)
    about |= {
        "versions": versions(CHECKOUT) | {"node": outcome.node, "load_generator": generator()},
        "world": {"customers": wish.customers, "months": MONTHS},
        "plan": asdict(wish.plan),
        "contestants": {name: one.note for name, one in CONTESTANTS.items()},
        "left_out": outcome.left_out,
    }
    write_results(RESULTS / "latest.json", records, about)
    (RESULTS / "latest.md").write_text(f"{markdown(records)}\n{LEGEND}.\n")
    connections = min(wish.plan.connections, key=lambda number: abs(number - 32))
    (RESULTS / "latest.svg").write_text(chart(records, connections))
    for table in tables_of(records):
        console.print(table)
    console.print(LEGEND)
    for name, reason in outcome.left_out.items():
        console.print(f"left out: {name}: {reason}", style="yellow", markup=False)
    console.print(f"also in {RESULTS}: latest.json, latest.md, latest.svg")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
