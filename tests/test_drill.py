"""The drill itself: a bar that is missed is seen, whatever else happens."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from cdp.ingest import Writer
from tests.databases import Server
from tests.drill import erasures, sequences
from tests.drill.__main__ import main
from tests.drill.bars import Bar, Found, Row, Scale, Site, report, try_bar
from tests.drill.suites import Suite, cases_of, found_of

SUITE = Suite("vectors", "100 %", "vectors", ("tests/a.py", "tests/b.py::test_one"))
XML = """<testsuites><testsuite>
<testcase classname="tests.a" name="test_x[1]"><properties><property name="vectors" value="40"/></properties></testcase>
<testcase classname="tests.a" name="test_y"><properties><property name="vectors" value="2"/></properties></testcase>
<testcase classname="tests.b" name="test_one">{}</testcase>
<testcase classname="tests.b" name="test_two"><failure/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def site(database_server: Server, tmp_path: Path) -> Site:
    return Site(database_server, tmp_path, tmp_path / "log", Scale(kills=2), lambda _: None)


@pytest.mark.parametrize(
    ("inside", "found"),
    [
        ("", Found("42 vectors, all hold", passed=True)),
        ("<failure/>", Found("1 of 3 tests failed", passed=False)),
        ("<error/>", Found("1 of 3 tests failed", passed=False)),
        ('<skipped message="no vectors at X"/>', Found("no vectors at X", passed=None)),
    ],
)
def test_what_tests_recorded_is_the_figure(tmp_path: Path, inside: str, found: Found) -> None:
    (tmp_path / "x.xml").write_text(XML.format(inside))
    assert found_of(SUITE, list(cases_of(tmp_path / "x.xml"))) == found


def test_tests_that_did_not_run_miss_their_bar() -> None:
    assert found_of(SUITE, []).passed is False


async def test_a_bar_that_breaks_is_missed(site: Site) -> None:
    async def breaks(_: Site) -> Found:
        raise ZeroDivisionError("no such luck\nat all")

    row = await try_bar(Bar("luck", "{kills:,} of {cells:,}", breaks), site)
    assert (row.figure, row.passed) == ("ZeroDivisionError: no such luck", False)
    assert row.bar == "2 of 300,000", "less than it should be is not told as if it were that"


@pytest.mark.parametrize(("passed", "code"), [(True, 0), (None, 0), (False, 1)])
def test_the_exit_code_tells(tmp_path: Path, passed: bool | None, code: int) -> None:
    rows = [Row("a", "all", "all", passed=True, seconds=1), Row("b", "12", "11", passed, 0.5)]
    printed = StringIO()
    assert report(rows, tmp_path / "drill.json", Console(file=printed, width=100)) == code
    assert "11" in printed.getvalue()
    assert [row["passed"] for row in json.loads((tmp_path / "drill.json").read_text())] == [True, passed]


def test_a_bar_that_there_is_not_is_not_passed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--only", "rekey"])
    assert ended.value.code == 2
    assert "expected one of Wycheproof, " in capsys.readouterr().err


async def test_an_erasure_is_killed_and_goes_on(site: Site) -> None:
    assert (await erasures.kill(site)).passed


async def test_an_erasure_that_takes_somebody_else_along_is_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = erasures.finished

    async def also_somebody_else(writer: Writer, *given: object) -> None:
        await whole(writer, *given)  # type: ignore[arg-type]  # handed on
        async with writer.stores["cn"].transaction() as connection:
            await connection.execute(
                "UPDATE sim SET iccid = NULL WHERE sim_id = (SELECT min(sim_id::text)::uuid FROM sim)"
            )

    monkeypatch.setattr(erasures, "finished", also_somebody_else)
    with pytest.raises(erasures.Loss, match="somebody else"):
        await erasures.kill(site)


async def test_no_answer_of_a_server_that_is_killed_is_missing_in_the_trail(site: Site) -> None:
    assert (await sequences.kill(site)).figure.endswith("0 gaps or forks")


async def test_an_answer_that_is_not_in_the_trail_is_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequences, "TOLD", "SELECT entry_id FROM audit_entry WHERE entry_id = ANY($1::uuid[]) LIMIT 1")
    monkeypatch.setattr(sequences, "SHALLOWEST", 200)
    found = await sequences.kill(site)
    assert (found.passed, "not in the trail" in found.figure) == (False, True)
