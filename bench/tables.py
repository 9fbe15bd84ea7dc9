"""The tables of a run: for the terminal, and as Markdown for a page."""

from collections.abc import Sequence
from typing import Final

from rich.table import Table

from bench.contestants import FLOOR, OURS
from bench.operations import OPERATIONS, Operation
from bench.results import MOST_OF_MEDIAN, Layer, Record, layers_of

__all__ = ["LEGEND", "WIDTH", "cost_of", "markdown", "tables_of"]

HEADINGS: Final = (
    "contestant",
    "conn.",
    "req/s",
    "p50 ms",
    "p99 ms",
    "CPU us",
    "x floor",
    "x PG5",
    "x SB",
    "x SB-",
    "x cdp",
)
COST_HEADINGS: Final = ("privacy layer", "conn.", "p50 ms with", "without", "share")
WIDTH: Final = 120
"""Columns a terminal should have for a table."""
LEGEND: Final = (
    "req/s: requests a second; CPU us: microseconds of CPU a request, server + PostgreSQL; x: times the requests a "
    "second of the floor, PostGraphile 5, Strawberry with its caches (SB), without (SB-), and cdp with everything on "
    "(medians of the ratios of each round)"
)
AGAINST: Final = (FLOOR, "postgraphile", "strawberry", "strawberry-uncached", OURS)


def _by_operation(records: Sequence[Record]) -> dict[Operation, list[Record]]:
    found: dict[Operation, list[Record]] = {}
    for operation in Operation:
        if mine := [record for record in records if record.operation == operation]:
            found[operation] = mine
    return found


def _cells(record: Record) -> list[str]:
    ratios = [record.ratios.get(name) for name in AGAINST]
    failed = f" ({record.errors:,} errors)" if record.errors else ""
    return [
        record.contestant + failed,
        f"{record.connections:,}",
        f"{record.per_second:,.0f}",
        f"{record.p50_ms:,.2f}",
        f"{record.p99_ms:,.2f}",
        f"{record.server_cpu_us:,.0f} + {record.postgres_cpu_us:,.0f}",
        *("" if value is None else f"{value:.2f}" for value in ratios),
    ]


def tables_of(records: Sequence[Record]) -> list[Table]:
    """One table an operation."""
    made = []
    for operation, mine in _by_operation(records).items():
        table = Table(title=f"{operation} - {OPERATIONS[operation]}", title_justify="left", title_style="bold")
        for number, heading in enumerate(HEADINGS):
            table.add_column(heading, justify="right" if number else "left", no_wrap=True)
        for record in mine:
            style = "bold" if record.contestant == OURS else "red" if record.errors else None
            table.add_row(*_cells(record), style=style)
        made.append(table)
    return made


def cost_of(records: Sequence[Record]) -> Table | None:
    """What the privacy layer costs; None where it was not measured with it and without."""
    if not (layers := layers_of(records)):
        return None
    title = f"The privacy layer: its share of the median latency (of the profile at most {MOST_OF_MEDIAN:.0%})"
    table = Table(*COST_HEADINGS, title=title, title_justify="left", title_style="bold")
    for layer in layers:
        table.add_row(*_cost(layer), style=None if layer.fits else "yellow")
    return table


def _cost(layer: Layer) -> list[str]:
    times = f"{layer.with_ms:,.2f}", f"{layer.without_ms:,.2f}"
    return [layer.operation, f"{layer.connections:,}", *times, f"{layer.share:.0%}"]


def markdown(records: Sequence[Record]) -> str:
    """The same tables as Markdown."""
    lines = []
    for operation, mine in _by_operation(records).items():
        lines += [f"**{operation}** - {OPERATIONS[operation]}", "", f"| {' | '.join(HEADINGS)} |"]
        lines.append("| --- |" + " ---: |" * (len(HEADINGS) - 1))
        lines += [f"| {' | '.join(_cells(record))} |" for record in mine]
        lines.append("")
    if layers := layers_of(records):
        lines += [f"| {' | '.join(COST_HEADINGS)} |", "| --- |" + " ---: |" * (len(COST_HEADINGS) - 1)]
        lines += [f"| {' | '.join(_cost(layer))} |" for layer in layers]
        lines.append("")
    return "\n".join(lines)
