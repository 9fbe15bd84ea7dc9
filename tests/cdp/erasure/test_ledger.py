"""The ledger: every erasure in its own line, on the disk before anybody is told, readable after a fall."""

import stat
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.erasure.ledger import Ledger, Line
from cdp.errors import RequestInvalid

LINE = Line(UUID(int=7), datetime(2026, 4, 1, 12, 30, tzinfo=UTC), ("SERVICE", "USAGE"), "CN-GD", UUID(int=9))

lines = st.builds(
    Line,
    st.uuids(),
    st.datetimes(timezones=st.just(UTC)),
    st.lists(st.sampled_from(("IDENTITY", "SERVICE", "USAGE", "CONSENTED"))).map(tuple),
    st.sampled_from(("CN-GD", "HK", "CN")),
    st.none() | st.uuids(),
)


@given(st.lists(lines, max_size=5))
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, written: list[Line]) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("ledger"), "cn")
    for line in written:
        ledger.append(line)
    assert list(ledger.lines()) == written


def test_nobody_else_can_read_it_and_each_store_has_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "erasures"
    Ledger(folder, "cn").append(LINE)
    assert stat.S_IMODE((folder / "cn.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(Ledger(folder, "hk").lines()) == []


@pytest.mark.parametrize("torn", [1, 10, 60])
def test_half_a_line_is_no_erasure_and_spoils_no_other(tmp_path: Path, torn: int) -> None:
    ledger, file = Ledger(tmp_path, "cn"), tmp_path / "cn.jsonl"
    ledger.append(LINE)
    file.write_bytes(file.read_bytes() + LINE.text()[:torn])
    assert list(ledger.lines()) == [LINE]
    other = LINE._replace(customer_id=uuid4())
    ledger.append(other)
    assert list(ledger.lines()) == [LINE, other]


@pytest.mark.parametrize("wrong", [b"{}\n", b"nothing\n", LINE.text().replace(b"2026", b"ABCD")])
def test_a_line_that_is_no_erasure_stops_everything(tmp_path: Path, wrong: bytes) -> None:
    (tmp_path / "cn.jsonl").write_bytes(LINE.text() + wrong + LINE.text())
    with pytest.raises(RequestInvalid, match="line 2") as refused:
        list(Ledger(tmp_path, "cn").lines())
    assert refused.value.code == "LEDGER_BROKEN"
