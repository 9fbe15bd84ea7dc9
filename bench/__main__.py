"""`python -m bench`, which is what `cdp bench` runs: measure the floor, the peers and this product in one run."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bench.chart import chart
from bench.contestants import CONTESTANTS
from bench.ingest import Intake, measure_intake, shown
from bench.ingest import told as told_intake
from bench.intake import KINDS
from bench.load import generator
from bench.operations import Operation
from bench.processes import BenchFailed
from bench.results import layers_of, machine, records_of, versions, write_results
from bench.run import Outcome, Wish, perform
from bench.scale import Scale, measure_scale, told
from bench.scale import tables_of as tables_of_scale
from bench.schedule import Plan
from bench.sets import TASKS, measure_sets, table_of
from bench.tables import LEGEND, WIDTH, cost_of, markdown, tables_of
from bench.world import CHECKOUT, MONTHS
from cdp.errors import CdpError

RESULTS: Final = CHECKOUT / "bench" / "results"
CUSTOMERS, SECONDS, ROUNDS, CONNECTIONS = 200_000, 5.0, 3, (1, 32, 256)
QUICK_CUSTOMERS, QUICK_SECONDS, QUICK_CONNECTIONS = 20_000, 4.0, (32,)
SIZES, DOCUMENTS, SCALE_CONNECTIONS = (10_000, 100_000, 1_000_000), 100_000, (1, 32)
EVENTS, PROCESSES = 100_000, (1, 2)
MOST_ROUNDS: Final = 99


def wish_of(arguments: Sequence[str]) -> Wish:
    """What the command line asks for; ends the process with a usage message when it is not understood."""
    parser = argparse.ArgumentParser(prog="cdp bench", description="Measure the floor, the peers and this product.")
    operations = [one.value for one in Operation]
    add = parser.add_argument
    add("--quick", action="store_true", help="20,000 customers, 4-second rounds, at most 4 minutes")
    add("--customers", type=int, help=f"size of the world (default {CUSTOMERS:,})")
    add("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), help="who takes part")
    add("--operation", nargs="+", choices=operations, default=operations)
    add("--seconds", type=float, help=f"of each turn (default {SECONDS:g})")
    add("--concurrency", nargs="+", type=int, help=f"connections (default {CONNECTIONS})")
    add("--rounds", type=int, default=ROUNDS)
    add("--workers", type=int, default=1, help="processes of each server (default 1)")
    add("--scale", action="store_true", help="instead: the profile among more and more customers, and documents")
    add("--sizes", nargs="+", type=int, default=SIZES, help=f"with --scale: customers (default {SIZES})")
    add("--documents", type=int, default=DOCUMENTS, help=f"with --scale: different documents (default {DOCUMENTS:,})")
    add("--ingest", action="store_true", help="instead: events a second through the write door, beside bare COPY")
    add("--events", type=int, default=EVENTS, help=f"with --ingest: of each kind (default {EVENTS:,})")
    add("--processes", nargs="+", type=int, default=PROCESSES, help=f"with --ingest (default {PROCESSES})")
    add("--sets", nargs="*", choices=TASKS, help="instead: what goes over everybody at once (default: all of it)")
    add("--rows", type=int, help="with --sets: how many rows instead of the task's own number")
    add("--home", type=Path, default=Path(".cdp-bench"), help="folder of the worlds")
    asked = parser.parse_args(arguments)
    given = [asked.customers, asked.seconds, *(asked.concurrency or ()), *asked.sizes, asked.documents, asked.rows]
    given += [asked.events // 10, *asked.processes]
    if min(asked.rounds, asked.workers, *(one for one in given if one is not None)) < 1 or asked.rounds > MOST_ROUNDS:
        parser.error("customers, sizes, documents, rounds, seconds, connections and workers must be at least 1")
    return _wish(asked)


def _wish(asked: argparse.Namespace) -> Wish:
    quick: bool = asked.quick
    plan = Plan(
        asked.only,
        [Operation(name) for name in asked.operation],
        asked.concurrency or (QUICK_CONNECTIONS if quick else SCALE_CONNECTIONS if asked.scale else CONNECTIONS),
        asked.rounds,
        asked.seconds or (QUICK_SECONDS if quick else SECONDS),
    )
    customers = asked.customers or (QUICK_CUSTOMERS if quick else CUSTOMERS)
    scale = Scale(sorted(asked.sizes), asked.documents, plan) if asked.scale else None
    sets = () if asked.sets is None else asked.sets or tuple(TASKS)
    intake = Intake(asked.events, asked.rounds, sorted({1, *asked.processes}), tuple(KINDS)) if asked.ingest else None
    home = asked.home.expanduser().resolve()
    return Wish(home, customers, plan, quick, asked.workers, scale, sets, asked.rows, intake)


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
        if publish := _instead(wish):
            publish(wish, about, console)
            return 0
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
        "plan": asdict(wish.plan) | {"workers": wish.workers},
        "contestants": {name: one.note for name, one in CONTESTANTS.items()},
        "left_out": outcome.left_out,
    }
    about |= {"privacy_layer": [asdict(layer) for layer in layers_of(records)]}
    write_results(RESULTS / "latest.json", records, about)
    (RESULTS / "latest.md").write_text(f"{markdown(records)}\n{LEGEND}.\n")
    connections = min(wish.plan.connections, key=lambda number: abs(number - 32))
    (RESULTS / "latest.svg").write_text(chart(records, connections))
    for table in (*tables_of(records), *filter(None, [cost_of(records)])):
        console.print(table)
    console.print(LEGEND)
    for name, reason in outcome.left_out.items():
        console.print(f"left out: {name}: {reason}", style="yellow", markup=False)
    console.print(f"also in {RESULTS}: latest.json, latest.md, latest.svg")


def _instead(wish: Wish) -> Callable[[Wish, dict[str, Any], Console], None] | None:
    """What is measured and published instead of the contestants."""
    if wish.intake is not None:
        return _publish_intake
    if wish.scale is not None:
        return _publish_scale
    return _publish_sets if wish.sets else None


def _publish_sets(wish: Wish, about: dict[str, Any], console: Console) -> None:
    """Measures, prints the table and writes sets.json."""
    measured = measure_sets(wish.home / "world-sets", wish.sets, wish.rows, wish.plan.rounds, console)
    console.print(table_of(measured))
    found = [one._asdict() for one in measured]
    write_results(RESULTS / "sets.json", [], about | {"versions": versions(CHECKOUT), "sets": found})
    console.print(f"also in {RESULTS}: sets.json")


def _publish_scale(wish: Wish, about: dict[str, Any], console: Console) -> None:
    """Measures, prints the tables and writes scale.json."""
    scale = wish.scale
    assert scale is not None, "asked for"
    grown, crowd = measure_scale(wish.home, scale, console)
    for table in tables_of_scale(grown, crowd):
        console.print(table)
    write_results(RESULTS / "scale.json", [], about | {"versions": versions(CHECKOUT), **told(grown, crowd)})
    console.print(f"also in {RESULTS}: scale.json")


def _publish_intake(wish: Wish, about: dict[str, Any], console: Console) -> None:
    """Measures, prints the table and writes ingest.json."""
    intake = wish.intake
    assert intake is not None, "asked for"
    made = measure_intake(wish.home, intake, console)
    console.print(shown(made))
    about |= {"versions": versions(CHECKOUT), "events": intake.events, "taken_in": list(told_intake(made))}
    write_results(RESULTS / "ingest.json", [], about)
    console.print(f"also in {RESULTS}: ingest.json")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
