"""What commands print: an id is there to be copied, however narrow the terminal is."""

import re
from io import StringIO
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some
from rich.console import Console

from cdp.terminal import output, table

SENTENCES = "a number that is somebody's at that time, in any written form"
CELLS = some.one_of(
    some.uuids().map(str),
    some.sampled_from(
        ["EVENT_INVALID", "subject.number", "2026-11-26 06:12", "蜜罐先生" * 6, "sha256:" + "f" * 64, ""]
    ),
)


@given(
    rows=some.lists(some.tuples(CELLS, some.integers(0, 10**9), CELLS, some.just(SENTENCES), CELLS), max_size=4),
    width=some.integers(10, 200),
)
def test_nothing_but_sentences_is_folded_and_nothing_is_cut(
    rows: list[tuple[str, int, str, str, str]], width: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("COLUMNS", str(width))
        console = output()
        console.file = printed = StringIO()
        console.print(table("Letters", ("id", "count", "what", "expected", "place"), rows))
    lines = [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in printed.getvalue().splitlines() if "│" in line
    ]
    firsts = [cells for cells in lines if cells[1]]
    assert [(cells[0], cells[1], cells[2], cells[4]) for cells in firsts] == [
        (row[0], f"{row[1]:,}", row[2], row[4]) for row in rows
    ]
    assert " ".join(" ".join(cells[3] for cells in lines).split()) == " ".join([SENTENCES] * len(rows))
    assert all(not any(cells[:3]) for cells in lines if cells not in firsts)


def test_a_table_that_fits_is_no_wider_than_it_must_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    text = StringIO()
    Console(file=text, width=60).print(table("Keys", ("store", "id"), [("cn", UUID(int=0))]))
    assert {len(line) for line in re.findall("[┃│┡└┏].*", text.getvalue())} == {1 + (3 + 5) + (3 + 36)}
