"""What goes over everybody at once works on the rows it makes, and each row is counted."""

import asyncpg
import pytest

from bench.__main__ import wish_of
from bench.sets import TASKS, Measured, table_of
from tests.databases import Server

ASTRAY = {
    "money": "SELECT count(*) FROM top_up LEFT JOIN ledger_transaction AS l USING (customer_id, top_up_id)"
    " WHERE l.amount_minor IS DISTINCT FROM 5000",
}
SUSPENDED = "SELECT count(*) FROM product WHERE status = 'suspended'"


@pytest.mark.parametrize("name", TASKS)
async def test_a_task_finds_all_it_made(database_server: Server, name: str) -> None:
    task, rows = TASKS[name], 30 if name == "advice" else 2_000
    async with database_server.database(database_server.template) as url:
        connection = await asyncpg.connect(url)
        for statement in task.fill:
            await connection.execute(statement.format(rows=rows))
        for _ in range(2):
            for statement in task.again:
                await connection.execute(statement)
            assert (await connection.fetch(task.scan))[0][0] > 0
            if isinstance(task.work, str):
                assert (await connection.fetch(task.work))[0][0] == rows
            else:
                assert await task.work(url) == await connection.fetchval(ASTRAY.get(name, SUSPENDED)) > 0
        await connection.close()


def test_the_command_line_asks_for_it() -> None:
    assert wish_of([]).sets == ()
    assert tuple(wish_of(["--sets"]).sets) == tuple(TASKS)
    assert (wish_of(["--sets", "advice", "--rows", "7"]).sets, wish_of(["--sets", "--rows", "7"]).rows) == (
        ["advice"],
        7,
    )
    with pytest.raises(SystemExit):
        wish_of(["--sets", "--rows", "0"])


def test_rates_are_those_of_the_work() -> None:
    (row,) = zip(
        *(column.cells for column in table_of([Measured("advice", 1_000, 240, 2.0, 0.5)]).columns), strict=True
    )
    assert row == ("advice", "1,000", "2.0", "500", "120,000", "0.50 s", "4.0")
