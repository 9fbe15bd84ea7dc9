"""Numbers over HTTP: written in any way, and asked for before and after they were given to somebody else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.databases import Server
from tests.journeys.forms import written
from tests.journeys.world import HONG_KONG_NUMBER, MAINLAND_NUMBER, World, event, open_world

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBERS: Final = {"CN-GD": MAINLAND_NUMBER, "HK": HONG_KONG_NUMBER}
HOLDER: Final = """
query Holder($number: String!, $region: Region, $at: DateTime) @purpose(id: "service.care") {
  customer(number: $number, region: $region, asOf: $at) { id formattedName regions }
}
"""
ANSWERS: Final = """
query Answers($number: String!, $region: Region, $at: DateTime) @purpose(id: "service.care") {
  accountability(number: $number, region: $region, at: $at) { region desk reason }
}
"""
FULL_WIDTH: Final = str.maketrans("0123456789+-", "０１２３４５６７８９＋－")
BEFORE, DURING, LAST, BETWEEN, AFTER = (
    *("2020-06-01T00:00:00Z", "2024-06-01T00:00:00Z", "2026-10-31T23:59:59Z"),
    *("2026-11-03T00:00:00Z", "2026-11-10T00:00:00Z"),
)


def lives() -> list[dict[str, Any]]:
    """Somebody had each number before the customer of story B, who gives both back, and somebody has it after."""
    told = []
    for region, number in NUMBERS.items():
        before, after = ({"customerKey": f"{which}-{region}"} for which in ("before", "after"))
        story = {"customerKey": "D-STORY-B-HK" if region == "HK" else "D-STORY-B-CN"}
        for subject, at in ((before, "2019-01-01T00:00:00Z"), (after, "2026-11-04T00:00:00Z")):
            known = {"name": subject["customerKey"], "kind": "INDIVIDUAL"}
            told.append(event("CustomerRegistered", region, subject, at, **known) | subject)
            agreed = {"purpose": "service", "notice": f"{region[:2].lower()}.privacy.1"}
            told.append(event("ConsentGiven", region, subject, at, **agreed))
        told += [
            event("NumberReassigned", region, after, "2026-11-05T00:00:00Z", number=number),
            event("NumberReleased", region, story, "2026-11-01T00:00:00Z", number=number),
            event("NumberReleased", region, before, "2021-01-01T00:00:00Z", number=number),
            event("NumberActivated", region, before, "2019-01-02T00:00:00Z", number=number),
        ]
    return [one | {"eventId": f"{n}"} for n, one in enumerate(told)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(database_server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """For reading only."""
    home: Path = tmp_path_factory.mktemp("numbers")
    async with open_world(database_server, home) as world:
        # The latest first: late news is what the world is like.
        registered = [one for one in lives() if not one["type"].startswith("Number")]
        await world.tell(*registered)
        for one in sorted(lives(), key=lambda one: (one["type"] == "NumberReleased", one["at"])):
            if one not in registered:
                await world.tell(one)
        yield world


async def holder(world: World, number: str, region: str, at: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (await world.ask(HOLDER, number=number, region=region, at=at))["data"]["customer"]
    return found


@pytest.mark.parametrize("region", NUMBERS)
async def test_a_number_means_its_holder_of_that_time_however_it_is_written(world: World, region: str) -> None:
    number = NUMBERS[region]
    forms = sorted(written(number))
    ids = set()
    for form in (*forms, *(form.translate(FULL_WIDTH) for form in forms)):
        names = [
            found and found["formattedName"]
            for found in [await holder(world, form, region, at) for at in (BEFORE, DURING, LAST, BETWEEN, AFTER)]
        ]
        assert names == [f"before-{region}", "陈家明", "陈家明", None, f"after-{region}"], form
        found = await holder(world, form, region, DURING)
        assert found is not None
        assert found["regions"] == ["CN-GD", "HK"]
        ids.add(found["id"])
    assert len(ids) == 1
    assert len(forms) > 30


async def test_either_number_is_the_same_customer_of_that_time(world: World) -> None:
    for at, same in ((DURING, True), (BEFORE, False), (AFTER, False)):
        found = [await holder(world, number, region, at) for region, number in NUMBERS.items()]
        assert None not in found
        assert (found[0]["id"] == found[1]["id"]) is same  # type: ignore[index]  # none of them is None


async def test_somebody_answers_for_the_number_all_the_time(world: World) -> None:
    for region, number in NUMBERS.items():
        reasons = []
        for at in (BEFORE, DURING, BETWEEN, AFTER, "2001-01-01T00:00:00Z"):
            told = (await world.ask(ANSWERS, number=number, region=None, at=at))["data"]["accountability"]
            assert (told["region"], told["desk"]) == (region, f"desk-{region}")
            reasons.append(told["reason"])
        assert reasons == ["HOLDING", "HOLDING", "FORMER_HOLDING", "HOLDING", "NUMBER"]
