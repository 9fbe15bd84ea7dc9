"""Files in other forms, what is refused of them and comes again, and loads that were stopped."""

import fcntl
import importlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.progress import Progress

from cdp.audited import tail
from cdp.errors import RequestInvalid
from cdp.file_records import REASONS, can_read_parquet, open_source
from cdp.house import House
from cdp.ingest import EVENTS
from cdp.load import Loaded, Task, load_file
from cdp.mapping import parse_mapping
from tests.cdp.doors import one, rows
from tests.cdp.house import fingerprint

MAPPING = """
name = "crm"
key = ["id"]
region = "CN-GD"
currency = "CNY"
at = "2026-03-05T00:00:00Z"
subject = { customerKey = { column = "id" } }
[tables.gender]
F = "FEMALE"
M = "MALE"
[[event]]
type = "CustomerRegistered"
[event.fields]
kind = "INDIVIDUAL"
customerKey = { column = "id" }
name = { column = "who.name", blank = "omit" }
gender = { column = "who.gender", table = "gender" }
[[event]]
type = "NumberActivated"
[event.fields]
number = { column = "number", blank = "skip" }
"""
HEADER = "id,who.name,who.gender,number\n"
NDJSON = (
    '{"id": "K-1", "who": {"name": "陈美玲", "gender": "F"}, "number": 13800138001, "tags": [1, "a"]}\n'
    "\n"
    '{"who": {"gender": "M", "name": null}, "id": "K-2"}\n'
)


async def load(house: House, file: Path, mapping: str = MAPPING, rejects: Path | None = None) -> Loaded:
    with Progress(disable=True) as bars:
        return await load_file(house, file, Task(parse_mapping(mapping, EVENTS), None, rejects), bars)


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def told(loaded: Loaded) -> dict[str, int]:
    """The counts that are not 0."""
    return {name: count for name, count in loaded.counts.items() if count}


async def letters(house: House) -> list[tuple[str, str, int]]:
    return sorted((row["reason"], row["field"], row["seen"]) for row in await rows(house.stores["cn"], "dead_letter"))


# --- forms ------------------------------------------------------------------------------------------------------------


async def test_json_lines_are_read_by_paths(house: House, tmp_path: Path) -> None:
    file = written(tmp_path, "people.ndjson", NDJSON)
    assert told(await load(house, file)) == {"rows": 2, "accepted": 3}
    assert {row["gender"] for row in await rows(house.stores["cn"], "customer")} == {"FEMALE", "MALE"}
    assert len(await rows(house.stores["cn"], "number_holding")) == 1
    # As a table it is the same file: the same events.
    table = written(tmp_path, "people.csv", HEADER + "K-1,陈美玲,F,13800138001\nK-2,,M,\n")
    assert told(await load(house, table)) == {"rows": 2, "duplicate": 3}


def test_numbers_of_json_stay_as_they_are_written(tmp_path: Path) -> None:
    lines = '{"a": 29.90, "b": 1e400, "c": 123456789012345678901234567890, "d": true, "e": null, "f": [1.10, {"g": 2}]}'
    [record] = open_source(written(tmp_path, "x.jsonl", lines), None, {}).records()
    assert record.row == {
        "a": "29.90",
        "b": "1e400",
        "c": "123456789012345678901234567890",
        "d": "true",
        "e": "",
        "f": '["1.10",{"g":"2"}]',
    }


@pytest.mark.parametrize(
    "line", ["[1]", '"text"', "{", '{"a": 1} {"a": 2}', "NaN", '{"a.b": 1, "a": {"b": 2}}', "[" * 100_000]
)
async def test_a_line_that_is_no_object_is_refused_and_the_others_are_not(
    house: House, tmp_path: Path, line: str
) -> None:
    file = written(tmp_path, "people.ndjson", NDJSON + line + "\n")
    loaded = await load(house, file)
    assert told(loaded) == {"rows": 3, "accepted": 3, "rows refused": 1}
    assert await letters(house) == [("ROW_INVALID", "", 1)]
    assert (await one(house.stores["cn"], "dead_letter"))["expected"] == "a JSON object, each path in it once"
    assert loaded.rejects is not None
    [kept] = loaded.rejects.read_text().splitlines()
    assert json.loads(kept)["cdp_line"] == line

    loaded.rejects.write_text(kept + "\n" + NDJSON)
    again = await load(house, loaded.rejects)
    assert again.rejects is not None
    assert again.rejects.read_text().splitlines() == [kept]
    assert await letters(house) == [("ROW_INVALID", "", 2)]


async def test_a_line_is_corrected_where_it_stands_in_its_reason(house: House, tmp_path: Path) -> None:
    line = NDJSON.splitlines()[0]
    loaded = await load(house, written(tmp_path, "people.ndjson", f"{line[:-1]}\n{NDJSON}"))
    assert loaded.rejects is not None
    loaded.rejects.write_text(loaded.rejects.read_text().replace('"cdp_line": "{', '"cdp_line": " {')[:-3] + '}"}\n')
    again = await load(house, loaded.rejects)
    assert told(again) == {"rows": 1, "duplicate": 2}


@pytest.mark.parametrize(
    ("name", "content", "code", "expected"),
    [
        ("x.ndjson", b"\xff\xff\xff", "FILE_INVALID", "x.ndjson: expected text in UTF-8 or GB18030"),
        ("x.ndjson", b"\n\n", "FILE_INVALID", "x.ndjson: expected records"),
        ("x.ndjson", b'{"id": 1}\n', "MAPPING_INVALID", "expected a column of x.ndjson; it has no 'who.name'"),
        ("x.ndjson", b'"' + b"x" * (1 << 20) + b'"', "FILE_INVALID", "line 1: expected lines of less than 1048576"),
        ("x.parquet", b"PAR1", "FILE_INVALID", "x.parquet: expected Parquet"),
    ],
)
async def test_a_file_that_cannot_be_read_changes_nothing(
    house: House, tmp_path: Path, *, name: str, content: bytes, code: str, expected: str
) -> None:
    if name.endswith(".parquet") and not can_read_parquet():
        pytest.skip("pyarrow, of the extra `files`, is not installed")
    before = await fingerprint(house)
    with pytest.raises(RequestInvalid) as refused:
        await load(house, written(tmp_path, name, content))
    assert refused.value.code == code
    assert expected in str(refused.value)
    assert await fingerprint(house) == before


async def test_without_the_library_parquet_is_refused_in_words(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdp.file_records.can_read_parquet", lambda: False)
    with pytest.raises(RequestInvalid, match=r"expected pyarrow to read Parquet: pip install 'cdp\[files\]'"):
        await load(house, written(tmp_path, "x.parquet", b"PAR1"))


@pytest.mark.skipif(not can_read_parquet(), reason="pyarrow, of the extra `files`, is not installed")
async def test_parquet_is_read_in_batches_and_refused_records_come_back_as_a_table(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    people: list[dict[str, Any]] = [
        {"id": "K-1", "who": {"name": "陈美玲", "gender": "F"}, "number": 13800138001},
        {"id": "K-2", "who": {"name": None, "gender": "M"}, "number": None},
        {"id": "K-3", "who": None, "number": 13800138003},
    ]
    file = tmp_path / "people.parquet"
    parquet.write_table(arrow.Table.from_pylist(people), file)
    monkeypatch.setattr("cdp.file_records.PARQUET_ROWS", 2)
    loaded = await load(house, file)
    assert told(loaded) == {"rows": 3, "accepted": 3, "rows refused": 1}
    assert loaded.rejects == tmp_path / "people.parquet.rejects.csv"
    kept = loaded.rejects.read_text()
    assert kept == f"{','.join(REASONS)},{HEADER}ROW_INVALID,who.gender,a value,K-3,,,13800138003\n"
    loaded.rejects.write_text(kept.replace("K-3,,,", "K-3,,M,"))
    assert told(await load(house, loaded.rejects)) == {"rows": 1, "accepted": 2, "letters settled": 1}
    assert await letters(house) == []


# --- what is refused comes again --------------------------------------------------------------------------------------

BAD = HEADER + (
    'K-1,陈美玲,F,13800138001\nK-2,"王, ""小""明",?,13800138002\nK-3,,M,12345\n,,F,\nK-5,,F,13800138005,more\nK-6,,F\n'
)


async def test_refused_records_are_corrected_and_loaded_again(house: House, tmp_path: Path) -> None:
    loaded = await load(house, written(tmp_path, "people.csv", BAD))
    assert told(loaded) == {"rows": 6, "accepted": 3, "rejected": 1, "rows refused": 4}
    file = loaded.rejects
    assert file == tmp_path / "people.csv.rejects.csv"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = file.read_text()
    assert kept == (
        f"{','.join(REASONS)},{HEADER}"
        'ROW_INVALID,who.gender,"one of F, M",K-2,"王, ""小""明",?,13800138002\n'
        'NUMBER_INVALID,number,"a full number, not a service\'s short code",K-3,,M,12345\n'
        "ROW_INVALID,id,a value,,,F,\n"
        "ROW_INVALID,,4 fields,K-5,,F,13800138005,more\n"
        "ROW_INVALID,,4 fields,K-6,,F\n"
    )
    assert len(await letters(house)) == 5

    # As it is, it is refused again: the same letters, counted; and what was refused first is not written over.
    again = await load(house, file)
    assert told(again) == {"rows": 5, "duplicate": 1, "rejected": 1, "rows refused": 4}
    assert [seen for _, _, seen in await letters(house)] == [2] * 5
    assert again.rejects is not None
    assert again.rejects.read_text() == kept
    second = await load(house, tmp_path / "people.csv")
    assert second.rejects == tmp_path / "people.csv.rejects-2.csv"
    assert (file.read_text(), second.rejects.read_text()) == (kept, kept)

    corrected = kept.replace(",?,", ",M,").replace("12345", "13800138003").replace("a value,,,F,", "a value,K-4,,F,")
    file.write_text(corrected.replace(",more\n", "\n").replace("K-6,,F\n", "K-6,,F,\n"))
    mended = await load(house, file)
    # What had no key, or not as many cells as there are columns, cannot be known again: those letters stay.
    assert told(mended) == {"rows": 5, "accepted": 7, "duplicate": 1, "letters settled": 2}
    assert mended.rejects is None
    assert [(reason, field) for reason, field, _ in await letters(house)] == [
        ("ROW_INVALID", ""),
        ("ROW_INVALID", ""),
        ("ROW_INVALID", "id"),
    ]
    assert len(await rows(house.stores["cn"], "customer")) == 6
    entries = [entry async for entry in _entries(house)]
    replaced = [entry for entry in entries if entry.get("did") == "replaced"]
    assert [len(entry["letters"]) for entry in replaced] == [2]
    assert "K-2" not in json.dumps(entries)


async def _entries(house: House) -> AsyncIterator[dict[str, Any]]:
    async with house.stores["cn"].read() as connection:
        for entry in await tail(connection, 50):
            yield dict(entry)


async def test_refused_lines_of_json_stay_as_they_are_written(house: House, tmp_path: Path) -> None:
    bad = '{"id":"K-3", "who": {"name": "\\u9648", "gender": "?"}, "number": 1.380E10}'
    loaded = await load(house, written(tmp_path, "people.ndjson", NDJSON + bad + "\n"))
    assert loaded.rejects == tmp_path / "people.ndjson.rejects.ndjson"
    told_so = '{"cdp_reason": "ROW_INVALID", "cdp_field": "who.gender", "cdp_expected": "one of F, M"'
    assert loaded.rejects.read_text() == f"{told_so}, {bad[1:]}\n"
    assert told(await load(house, loaded.rejects)) == {"rows": 1, "rows refused": 1}
    assert [seen for _, _, seen in await letters(house)] == [2]
    loaded.rejects.write_text(loaded.rejects.read_text().replace('"?"', '"F"').replace("1.380E10", "null"))
    assert told(await load(house, loaded.rejects)) == {"rows": 1, "accepted": 1, "letters settled": 1}
    assert await letters(house) == []


async def test_rejects_are_written_as_the_file_is(house: House, tmp_path: Path) -> None:
    content = (HEADER + "K-1,陈美玲,?,\n").encode("gb18030")
    loaded = await load(house, written(tmp_path, "people.csv", content), f'encoding = "gb18030"\n{MAPPING}')
    assert loaded.rejects is not None
    assert "陈美玲" in loaded.rejects.read_bytes().decode("gb18030")


async def test_of_two_records_with_one_key_the_refused_one_is_not_forgotten(house: House, tmp_path: Path) -> None:
    content = HEADER + "K-1,陈美玲,F,\nK-1,陈玲,F,\n"
    file = written(tmp_path, "people.csv", content)
    for seen in (1, 2):
        loaded = await load(house, file)
        assert loaded.counts["rejected"] == 1
        assert loaded.counts["letters settled"] == 0
        assert await letters(house) == [("EVENT_CONFLICT", "eventId", seen)]


async def test_what_has_not_happened_yet_is_in_the_file_of_the_refused_too(house: House, tmp_path: Path) -> None:
    later = MAPPING.replace("2026-03-05T00:00:00Z", "2222-01-01T00:00:00Z")
    loaded = await load(house, written(tmp_path, "people.csv", HEADER + "K-1,,F,\n"), later)
    assert told(loaded) == {"rows": 1, "review": 1}
    assert await letters(house) == [("EVENT_EARLY", "at", 1)]
    assert loaded.rejects is not None
    assert "EVENT_EARLY,at,an instant that has come,K-1,,F,\n" in loaded.rejects.read_text()


async def test_whom_a_refused_record_is_about_is_kept_for_their_erasure(house: House, tmp_path: Path) -> None:
    await load(house, written(tmp_path, "people.csv", HEADER + "K-2,,?,\n,,?,\n"))
    tags = [row["subject_tag"] for row in await rows(house.stores["cn"], "dead_letter")]
    assert sorted(tag is None for tag in tags) == [False, True]


async def test_a_folder_that_cannot_be_written_to_is_told_and_another_one_taken(house: House, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").mkdir()
    file = written(tmp_path / "data", "people.csv", BAD)
    with pytest.raises(RequestInvalid, match="expected a folder that can be written to"):
        await load(house, file, rejects=tmp_path / "nowhere")
    loaded = await load(house, file, rejects=tmp_path / "elsewhere")
    assert loaded.rejects == tmp_path / "elsewhere" / "people.csv.rejects.csv"
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["people.csv"]


# A cell that begins with a space or a quote is as good as any other.
CELLS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8).map(str.strip).filter(bool)


@given(cells=st.lists(CELLS, min_size=3, max_size=3))
def test_what_is_refused_reads_as_it_did(cells: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    rejects = importlib.import_module("cdp.rejects")
    folder = tmp_path_factory.mktemp("rejects")
    file = folder / "x.csv"
    file.write_text("a,b,c\n" + rejects._csv_line(cells), "utf-8", newline="")
    source = open_source(file, None, {})
    [record] = source.records()
    kept = rejects.Rejects(source, None)
    kept.add(record, [("CODE", "a", "x, y"), ("CODE", "b", "z")])
    kept.flush()
    again = open_source(kept.path, None, {})
    assert (list(again.columns), list(again.records())) == (["a", "b", "c"], [record])
    assert record.row == dict(zip("abc", cells, strict=True))


# --- loads that were stopped ------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
import cdp.crew as crew
import cdp.load as load
from cdp.rejects import Rejects

where, nth = sys.argv[1], int(sys.argv[2])
load.BATCH = 3
calls = 0

def dies():
    global calls
    calls += 1
    if calls == nth:
        os.kill(os.getpid(), signal.SIGKILL)

if where == "flush":
    flush = Rejects.flush
    def flushed(self):
        flush(self)
        dies()
    Rejects.flush = flushed
elif where != "nowhere":
    place = crew if where == "finish" else load
    called = getattr(place, where)
    async def calling(*arguments):
        done = await called(*arguments)
        dies()
        return done
    setattr(place, where, calling)

from cdp.__main__ import main
main(sys.argv[3:])
"""
MANY = HEADER + "".join(f"K-{n},,{'?' if n % 4 == 0 else 'F'},{13800138000 + n}\n" for n in range(1, 13))


@pytest.mark.parametrize("where", ["finish", "flush", "bury", "keep_position"])
async def test_a_load_that_is_killed_goes_on(house: House, tmp_path: Path, where: str) -> None:
    file, plan = written(tmp_path, "people.csv", MANY), written(tmp_path, "people.toml", MAPPING)
    environment = os.environ | {
        "CDP_HOME": str(house.settings.home),
        "CDP_STORES": json.dumps(house.settings.stores),
        "CDP_ENVIRONMENT": "test",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }

    def run(where: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-c", KILLED, where, "2", "load", str(file), "--mapping", str(plan)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert run(where).returncode == -signal.SIGKILL
    done = (await one(house.stores["cn"], "file_load"))["records"]
    assert 0 < done < 12
    went_on = run("nowhere")
    assert (went_on.returncode, went_on.stderr) == (0, "")
    assert f"people.csv: goes on after record {done}" in went_on.stdout
    assert len(await rows(house.stores["cn"], "customer")) == 9
    assert len(await rows(house.stores["cn"], "number_holding")) == 9
    assert len(await rows(house.stores["cn"], "dead_letter")) == 3
    refused = "".join(f'ROW_INVALID,who.gender,"one of F, M",K-{n},,?,{13800138000 + n}\n' for n in (4, 8, 12))
    assert (tmp_path / "people.csv.rejects.csv").read_text() == f"{','.join(REASONS)},{HEADER}{refused}"
    assert await rows(house.stores["cn"], "file_load") == []
    assert not (tmp_path / "people.csv.rejects-2.csv").exists()


async def test_where_to_go_on_is_forgotten_with_the_file_of_the_refused(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun anew, the file of what was refused is whole again."""
    monkeypatch.setattr("cdp.load.BATCH", 3)
    file = written(tmp_path, "people.csv", MANY)

    async def stop(*_: object) -> None:
        raise RequestInvalid("STOPPED", "by hand")

    with monkeypatch.context() as stopping:
        stopping.setattr("cdp.load.forget_position", stop)
        with pytest.raises(RequestInvalid, match="by hand"):
            await load(house, file)
    refused = tmp_path / "people.csv.rejects.csv"
    whole = refused.read_bytes()
    refused.unlink()
    loaded = await load(house, file)
    assert (loaded.resumed, told(loaded)) == (0, {"rows": 12, "duplicate": 18, "rows refused": 3})
    assert refused.read_bytes() == whole


async def test_another_file_or_mapping_is_not_gone_on_with(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdp.load.BATCH", 3)

    async def stop(*_: object) -> None:
        raise RequestInvalid("STOPPED", "by hand")

    with monkeypatch.context() as stopping:
        stopping.setattr("cdp.load.forget_position", stop)
        with pytest.raises(RequestInvalid, match="by hand"):
            await load(house, written(tmp_path, "people.csv", MANY))
    other = await load(house, written(tmp_path, "people.csv", MANY + "K-13,,F,\n"))
    assert (other.resumed, other.counts["accepted"]) == (0, 1)
    mapped = await load(house, written(tmp_path, "people.csv", MANY), MAPPING + "\n# another\n")
    assert mapped.resumed == 0
    same = await load(house, written(tmp_path, "people.csv", MANY))
    assert (same.resumed, same.counts["rows"]) == (12, 12)


async def test_a_file_is_loaded_once_at_a_time(house: House, tmp_path: Path) -> None:
    file = written(tmp_path, "people.csv", MANY)
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(RequestInvalid) as refused:
            await load(house, file)
    assert refused.value.code == "FILE_BUSY"
    assert await rows(house.stores["cn"], "customer") == []


async def test_several_processes_load_what_one_loads(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdp.load.BATCH", 3)
    file, task = written(tmp_path, "people.csv", MANY), Task(parse_mapping(MAPPING, EVENTS), processes=2)
    with Progress(disable=True) as bars:
        loaded = await load_file(house, file, task, bars)
    assert told(loaded) == {"rows": 12, "accepted": 18, "rows refused": 3}
    assert told(await load(house, file)) == {"rows": 12, "duplicate": 18, "rows refused": 3}
    assert len(await rows(house.stores["cn"], "customer")) == 9
