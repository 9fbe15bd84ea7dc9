"""A bar chart of a run as SVG: requests a second, one panel an operation."""

from collections.abc import Sequence
from html import escape
from typing import Final

from bench.contestants import FLOOR, OURS
from bench.operations import OPERATIONS, Operation
from bench.results import Record

__all__ = ["chart"]

WIDTH, LABEL, BAR, GAP, TITLE, MARGIN = 760, 170, 18, 6, 44, 16
STYLE: Final = 'font-family="sans-serif" font-size="12" fill="#1f2328"'
FIGURES: Final = 150
"""Room for the figures behind the longest bar."""
COLOURS: Final = {OURS: "#1f6feb", FLOOR: "#57606a"}
OURS_PARTLY, PEER = "#9ec5fe", "#d0a215"


def chart(records: Sequence[Record], connections: int) -> str:
    """The chart of what was measured over so many connections."""
    panels = []
    top = MARGIN
    for operation in Operation:
        mine = [one for one in records if (one.operation, one.connections) == (operation, connections)]
        if mine:
            panels.append(_panel(operation, mine, top))
            top += TITLE + len(mine) * (BAR + GAP)
    note = _text(MARGIN, top + 18, f"requests a second over {connections} connections; behind it: times the floor")
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top + 32}" {STYLE}>',
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            *panels,
            note,
            "</svg>",
            "",
        ]
    )


def _panel(operation: Operation, records: Sequence[Record], top: int) -> str:
    most = max(record.per_second for record in records) or 1
    drawn = [_text(MARGIN, top + 20, OPERATIONS[operation], weight="bold")]
    for number, record in enumerate(records):
        y = top + TITLE - 12 + number * (BAR + GAP)
        long = max(1, round((WIDTH - LABEL - FIGURES) * record.per_second / most))
        beside = record.ratios.get(FLOOR)
        figures = f"{record.per_second:,.0f}" + (f" ({beside:.2f}x)" if beside is not None else "")
        drawn += [
            _text(LABEL - 8, y + 13, record.contestant, anchor="end"),
            f'<rect x="{LABEL}" y="{y}" width="{long}" height="{BAR}" rx="2" fill="{_colour(record.contestant)}"/>',
            _text(LABEL + long + 6, y + 13, figures),
        ]
    return "\n".join(drawn)


def _colour(name: str) -> str:
    return COLOURS.get(name) or (OURS_PARTLY if name.startswith(f"{OURS}-") else PEER)


def _text(x: int, y: int, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
