"""The bench of the write door measures what it says: every event goes in, and the bare rows are those it wrote."""

from pathlib import Path

from rich.console import Console

from bench.__main__ import wish_of
from bench.ingest import Intake, measure_intake, shown, told


def test_a_small_run_goes_through(tmp_path: Path) -> None:
    made = measure_intake(tmp_path, Intake(30, 2, (1,), ("identities", "usage", "mix")), Console(quiet=True))
    lines = list(told(made))
    own = {"identities", "usage"}
    assert [(line["kind"], line["who"]) for line in lines] == [
        (kind, who)
        for kind in ("identities", "usage", "mix")
        for who in ("1", "bare", "bare, own table")
        if kind in own or who != "bare, own table"
    ]
    assert all(line["per_second"] > 0 for line in lines)
    assert [line["ratios"]["bare"] for line in lines if line["who"] == "bare"] == [1.0] * 3
    assert shown(made).row_count == len(lines)
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_asks_for_it() -> None:
    wish = wish_of(["--ingest", "--events", "50", "--rounds", "1", "--processes", "3", "2"])
    assert wish.intake == Intake(50, 1, [1, 2, 3], ("identities", "usage", "mix"))
    assert wish_of([]).intake is None
