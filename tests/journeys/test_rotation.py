"""Keys are rotated by somebody else while this house answers: no read fails, none misses, none says less."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from rich.progress import Progress

from cdp.rotation import KINDS, rotate
from tests.databases import Server
from tests.journeys.world import HONG_KONG_NUMBER, MAINLAND_NUMBER, NOBODYS, PROFILE, World, event, open_world


async def profiles(world: World) -> list[Any]:
    """What the house says of two customers who are found and of one who is not."""
    told = []
    for number in (MAINLAND_NUMBER, HONG_KONG_NUMBER, NOBODYS[0]):
        answer = await world.ask(PROFILE, number=number)
        privacy = answer["extensions"]["privacy"]
        told.append((answer["data"], privacy["withheld"], privacy["masked"]))
    return told


async def test_no_read_fails_while_keys_are_rotated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdp.rotation.BATCH", 1)
    monkeypatch.setattr("cdp.resealing.CUSTOMERS", 1)
    before = await profiles(world)
    assert before[0][0]["customer"]["formattedName"] is not None
    for kind in (*KINDS, *KINDS):
        with Progress(disable=True) as bars:
            rotated = asyncio.create_task(rotate(world.house.settings, ["cn", "hk"], kind, bars))
            reads = 0
            while not rotated.done() or reads == 0:
                assert await profiles(world) == before
                reads += 1
            assert {*await rotated} == {"cn", "hk"}
        assert await profiles(world) == before


async def test_a_house_that_has_not_heard_of_rotations_reads_and_writes(world: World) -> None:
    before, customers = await profiles(world), await world.rows("customer")
    for kind in KINDS:
        with Progress(disable=True) as bars:
            await rotate(world.house.settings, ["cn", "hk"], kind, bars)
        said = {
            "interactionRef": kind,
            "channel": "APP",
            "direction": "INBOUND",
            "reason": f"after {kind}",
            "note": "n",
        }
        subject = {"number": MAINLAND_NUMBER}
        await world.tell(
            event("InteractionLogged", "CN-GD", subject, f"2026-11-01T0{[*KINDS].index(kind)}:00:00Z", **said)
        )
    after = await profiles(world)
    assert [names(one) for one in after] == [names(one) for one in before]
    assert await world.rows("customer") == customers
    assert {f"after {kind}" for kind in KINDS} <= {one["reason"] for one in after[0][0]["customer"]["interactions"]}


def names(profile: Any) -> Any:
    customer = profile[0]["customer"]
    return customer and (customer["id"], customer["formattedName"], customer["holdings"])


async def test_keys_in_a_database_of_their_own_are_read_with_the_data(
    database_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdp.resealing.CUSTOMERS", 1)
    async with database_server.database(database_server.template) as keys:
        apart: dict[str, Any] = {"key_store": {"cn": keys}, "pool_wait_seconds": 1, "statement_seconds": 1}
        async with open_world(database_server, tmp_path, **apart) as world:
            before = await profiles(world)
            assert before[0][0]["customer"]["formattedName"] is not None
            for kind in KINDS:
                with Progress(disable=True) as bars:
                    rotated = asyncio.create_task(rotate(world.house.settings, ["cn"], kind, bars))
                    while not rotated.done():
                        assert await profiles(world) == before
                    await rotated
            assert await profiles(world) == before
