"""Whoever carries a database, a log or the meters away has carried away nobody's name, number, document or word.

The sweep of a few values; `make drill` sweeps a thousand.
"""

import base64
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.canaries.plants import Plant, values_of
from tests.canaries.sweep import Swept, swept
from tests.conftest import HOME, SERVER
from tests.databases import Server
from tests.journeys.forms import Sought, written
from tests.journeys.processes import ran
from tests.journeys.world import HONG_KONG_NUMBER, MAINLAND_NUMBER

pytestmark = pytest.mark.asyncio(loop_scope="module")

VALUES = 50
PLACES = {
    "log of the process", "log of cdp serve", "what was printed", "meters", "log of PostgreSQL", "files of the home",
    "dump of cn", "dump of hk", "data files", "write-ahead log", "answers",
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sweep(database_server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Swept]:
    if SERVER in os.environ:
        pytest.skip("the files of another server are not ours to read")
    home = Path(os.environ[HOME])
    place = home / "postgres.place"
    seat = Path(place.read_text().strip()) if place.exists() else home / "postgres"
    async with swept(database_server, tmp_path_factory.mktemp("sweep"), VALUES, seat / "log") as sweep:
        yield sweep


async def test_no_planted_value_is_left_behind_anywhere(sweep: Swept) -> None:
    found = await sweep.found()
    assert {place: values for place, values in found.items() if values} == {}
    assert set(found) >= PLACES
    assert sweep.values >= VALUES
    assert sweep.journeys.answers.count > 20 * len(sweep.journeys.planted)


async def test_the_server_logged_what_it_was_sent(sweep: Swept) -> None:
    """Statements and the values bound to them: that nothing is found there says something."""
    log = sweep.log.read_bytes()[sweep.logged :]
    assert b"INSERT INTO dead_letter" in log
    assert b"service.care" in log
    assert b"DETAIL:  Parameters: $1 = '" in log or b"DETAIL:  parameters: $1 = '" in log.lower()


async def test_what_is_planted_in_the_clear_is_found(sweep: Swept) -> None:
    """The sweep can fail: a value in a column that is not sealed, in a log line, in an answer."""
    plant, store = sweep.journeys.planted[0], sweep.world.house.stores["cn"]
    leaked = {kind: plant.texts[kind] for kind in ("name", "email", "account")}
    async with store.transaction() as connection:
        await connection.execute("CREATE TABLE leak AS SELECT $1::text AS a, $2::text AS b", leaked["name"], "\x01")
    logging.getLogger("a library").warning(f"it said {leaked['email']}")  # noqa: G004 -- what nobody may do
    sweep.journeys.answers.note(leaked["account"].encode())
    try:
        found = await sweep.found()
    finally:
        async with store.transaction() as connection:
            await connection.execute("DROP TABLE leak")
    where = {place for place, values in found.items() if values}
    assert where == {
        "dump of cn", "data files", "write-ahead log", "log of PostgreSQL", "log of the process", "answers"
    }  # fmt: skip
    assert set(found["dump of cn"]) == {leaked["name"], *plant.parts[:2]}
    assert set(found["log of the process"]) == {leaked["email"]}
    assert set(found["answers"]) == {leaked["account"]}


async def test_no_dump_holds_the_people_of_the_stories(sweep: Swept) -> None:
    stories = Sought(["陈家明", "林晓燕", "kaming.chan"], [MAINLAND_NUMBER, HONG_KONG_NUMBER])
    assert sweep.world.house.settings.stores is not None
    for store, url in sweep.world.house.settings.stores.items():
        dump = await ran("pg_dump", url)
        assert Sought(["service.care", "ARREARS" if store == "cn" else "interaction"]).found_in(dump), store
        assert dump.count(b"COPY public.") > 30, store
        assert stories.found_in(dump) == [], store


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "gb18030"])
async def test_the_search_finds_what_is_there(encoding: str) -> None:
    plant = Plant(1)
    for value in (plant.texts["name"], plant.texts["email"], plant.numbers[0]):
        raw = value.encode(encoding)
        hidden = [raw, raw.hex().encode(), raw.hex().upper().encode()]
        hidden += [base64.b64encode(b"\xfe" * n + raw + b"\xfe" * m) for n in range(3) for m in range(3)]
        hidden += [base64.urlsafe_b64encode(b"\xff" * n + raw + b"\xff") for n in range(3)]
        sought, others = Sought([value]), Sought([value[::-1], value[:-2] + "ZZ"])
        for n, form in enumerate(hidden):
            for before in range(4):
                assert sought.found_in(b"\\" * before + b"x0a " + form + b"\tz") == [value], (n, before)
        assert others.found_in(b" ".join(hidden)) == []


@pytest.mark.parametrize(
    "form",
    ["\\u6b27\\u9633A", "\\u6B27\\u9633A", "\\\\u6b27\\\\u9633A", "%E6%AC%A7%E9%98%B3A", "欧阳A"],
)
async def test_the_search_sees_through_escapes(form: str) -> None:
    assert Sought(["欧阳A"]).found_in(f'{{"a":"{form}"}}'.encode()) == ["欧阳A"]


async def test_a_few_digits_in_a_longer_number_are_no_find() -> None:
    sought = Sought([], ["+85261234567"])
    assert sought.found_in(b"0a61234567ff 961234567 612345670") == []
    assert sought.found_in(b'"61234567"') == sought.found_in(b"x85261234567") == sought.found_in(b"6123 4567")


async def test_a_number_is_written_in_many_ways() -> None:
    assert {"13800138000", "+86 138 0013 8000", "138-0013-8000", "008613800138000"} <= written("+8613800138000")
    assert {"91234567", "+85291234567", "9123 4567", "00852 9123 4567".replace(" ", "", 1)} <= written("+85291234567")


async def test_every_value_is_there_once() -> None:
    assert len(values_of([Plant(n) for n in range(1, 100)])) == 99 * 14
