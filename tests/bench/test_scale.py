"""Clones are customers like any other: found by their own number, opened under their own keys."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from bench.__main__ import wish_of
from bench.clones import Cloner, number_of
from bench.operations import Operation, document_text
from bench.scale import Crowd, Growth, Scale, tables_of, told
from tests.databases import Server
from tests.schema.world import CARE, World, open_world

LISTED = "SELECT customer_id FROM customer ORDER BY customer_id"


@pytest_asyncio.fixture(loop_scope="session")
async def world(database_server: Server, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database_server, tmp_path) as world:
        yield world


@pytest.mark.asyncio(loop_scope="session")
async def test_a_clone_is_a_customer_of_its_own(world: World) -> None:
    store, ring = world.house.stores["cn"], world.house.rings["cn"]
    connection: asyncpg.Connection = await store.writing.connect(5)
    before = {row[0] for row in await connection.fetch(LISTED)}
    grown = [have async for have in Cloner(connection, ring).grow(len(before) + 9)]
    after = {row[0] for row in await connection.fetch(LISTED)}
    await connection.close()

    assert grown[-1] == len(after) == len(before) + 9
    assert before < after
    numbers, names = set(), set()
    for n in range(10 * len(before), 10 * len(before) + 60):
        asked = {"number": number_of(n)}
        answer = json.loads(await world.ask(document_text(Operation.PROFILE), CARE, asked))
        if (customer := answer["data"]["customer"]) is None:
            continue  # the row with this number is a name or an account
        if answer["extensions"]["privacy"]["withheld"]:
            continue  # what its original objected to holds for the clone
        assert number_of(n) in {holding["number"] for holding in customer["holdings"]}
        assert customer["formattedName"].startswith("张三")
        assert all(account["accountNo"].startswith("D-") for account in customer["accounts"])
        numbers.add(number_of(n))
        names.add(customer["formattedName"])
    assert len(numbers) >= len(names) > 3


def test_the_command_line_asks_for_it() -> None:
    wish = wish_of(["--scale", "--sizes", "30", "20", "--documents", "5", "--rounds", "1", "--seconds", "2"])

    assert isinstance(wish.scale, Scale)
    assert (wish.scale.sizes, wish.scale.documents, wish.scale.plan.connections) == ([20, 30], 5, (1, 32))
    assert wish_of([]).scale is None
    with pytest.raises(SystemExit):
        wish_of(["--scale", "--sizes", "0"])


def test_what_was_measured_is_told_in_json() -> None:
    growth = Growth(10, 1, 5, 0.5, 1.0, 0.4, 0.25, 100.0, 200.0, 50.0, 7)
    kept = json.loads(json.dumps(told([growth], Crowd(5, 0.5, 0.6, 7, 8))))

    assert kept["growth"][0]["customers"] == 10
    assert kept["growth"][0]["lookup_p50_ms"] == 0.4
    assert kept["crowd"]["documents"] == 5


def test_each_size_is_told_beside_the_first() -> None:
    small = Growth(10_000, 1, 5, 0.5, 1.0, 0.4, 0.25, 100.0, 200.0, 50.0, 7)
    large = replace(small, customers=1_000_000, p50_ms=0.75, lookup_p50_ms=0.48)
    table, _ = tables_of([small, large], Crowd(5, 0.5, 0.6, 7, 8))
    shown = {str(column.header): [*column.cells] for column in table.columns if column.header != "x first"}
    assert shown["lookup p50"] == ["0.40", "0.48"]
    assert [[*column.cells] for column in table.columns if column.header == "x first"] == [
        ["1.00", "1.50"],
        ["1.00", "1.20"],
    ]
