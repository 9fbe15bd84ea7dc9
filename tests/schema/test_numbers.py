"""Questions about a number itself: what it is, who serves it, who answers for it; and who may not ask."""

import json
from typing import Any

import pytest

from cdp.app import writer_of
from cdp.auth import Caller
from cdp.errors import AuthError, CdpError, RequestInvalid
from cdp.identity.segments import Run, load_segments
from cdp.ingest import Status, ingest
from cdp.number_facts import Segment
from tests.schema.people import NUMBERS
from tests.schema.world import CARE, CN_ONLY, PARTNER, World

pytestmark = pytest.mark.asyncio(loop_scope="session")

CARING = '@purpose(id: "service.care")'
FACTS = "query($n: String!, $r: Region) { numberFacts(number: $n, region: $r) { number region city kind issuer } }"
HELD = f"""query($n: String!) {CARING} {{ numberFacts(number: $n) {{ kind by: servingOperator
  accountability {{ desk reason }} }} }}"""
ANSWERS = f"""query($n: String!, $r: Region, $at: DateTime) {CARING} {{
  accountability(number: $n, region: $r, at: $at) {{ region desk reason }} }}"""
SHENZHEN = Segment("CN-GD", "深圳", "China Mobile")


async def ask(world: World, source: str, caller: Caller = CARE, /, **variables: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(await world.ask(source, caller, variables))
    return told


async def facts_of(world: World, number: str, region: str | None = None, caller: Caller = CARE) -> dict[str, Any]:
    told: dict[str, Any] = (await ask(world, FACTS, caller, n=number, r=region))["data"]["numberFacts"]
    return told


async def entries(world: World) -> int:
    total = 0
    for store in world.house.stores.values():
        async with store.read() as connection:
            total += await connection.fetchval("SELECT count(*) FROM audit_entry")
    return total


@pytest.mark.parametrize("caller", [CARE, PARTNER], ids=["ours", "partner"])
async def test_a_segment_tells_province_city_and_issuer(fresh_world: World, caller: Caller) -> None:
    expected = {"number": "+8617312345678", "region": "CN", "city": None, "kind": "MOBILE", "issuer": "China Telecom"}
    assert await facts_of(fresh_world, "173 1234 5678", "CN-BJ", caller) == expected
    await load_segments(fresh_world.house.stores.values(), [Run(1731234, 1731240, SHENZHEN)])
    placed = {"region": "CN-GD", "city": "深圳", "issuer": "China Mobile"}
    assert await facts_of(fresh_world, "173 1234 5678", "CN-BJ", caller) == expected | placed
    other = expected | {"number": "+8617312415678"}
    assert await facts_of(fresh_world, "173 1241 5678", "CN-BJ", caller) == other


@pytest.mark.parametrize(
    ("number", "region", "expected"),
    [
        ("10086", "CN-GD", {"number": None, "region": "CN", "kind": "SHORT_CODE", "issuer": "China Mobile"}),
        (
            "1064712345678",
            "CN",
            {"number": "+861064712345678", "region": "CN", "kind": "IOT", "issuer": "China Mobile"},
        ),
        ("9123 4567", "HK", {"number": "+85291234567", "region": "HK", "kind": "MOBILE", "issuer": None}),
        ("0755-86512345", "CN", {"number": "+8675586512345", "region": "CN", "kind": "FIXED", "issuer": None}),
    ],
)
async def test_what_a_number_is(world: World, number: str, region: str, expected: dict[str, Any]) -> None:
    assert await facts_of(world, number, region) == expected | {"city": None}


@pytest.mark.parametrize(("number", "reason"), [("10086", "REGION_MISSING"), ("91234567", "REGION_MISSING")])
async def test_what_is_no_number_is_refused_with_what_was_expected(world: World, number: str, reason: str) -> None:
    for source in (FACTS, ANSWERS):
        with pytest.raises(RequestInvalid) as refused:
            await world.ask(source, CARE, {"n": number})
        assert refused.value.code == "NUMBER_INVALID"
        assert number not in str(refused.value)
        if source is FACTS:
            assert reason in str(refused.value)
    with pytest.raises(RequestInvalid, match="SHORT_CODE"):
        await world.ask(ANSWERS, CARE, {"n": number[:5], "r": "CN"})


async def test_who_answers_as_of_an_instant(world: World) -> None:
    number = NUMBERS["b-cn"]
    here = {"region": "CN-GD", "desk": "desk-CN-GD"}
    assert (await ask(world, ANSWERS, n=number))["data"] == {"accountability": here | {"reason": "HOLDING"}}
    before = await ask(world, ANSWERS, n=number, at="2024-01-01T00:00:00Z")
    assert before["data"] == {"accountability": here | {"reason": "NUMBER"}}
    away = {"region": "HK", "desk": "desk-HK", "reason": "HOLDING"}
    assert (await ask(world, ANSWERS, n="9123 4567", r="HK"))["data"] == {"accountability": away}
    assert (await ask(world, ANSWERS, n="+8613999999999"))["data"] == {"accountability": None}
    assert (await ask(world, ANSWERS, n="+12025550123"))["data"] == {"accountability": None}


async def test_a_port_goes_before_the_issuer(fresh_world: World) -> None:
    number = NUMBERS["b-cn"]
    here = {"desk": "desk-CN-GD", "reason": "HOLDING"}
    first = (await ask(fresh_world, HELD, n=number))["data"]["numberFacts"]
    assert first == {"kind": "MOBILE", "by": None, "accountability": here}
    out = {
        "type": "NumberPortedOut",
        "eventId": "out",
        "at": "2026-01-01T00:00:00Z",
        "region": "CN-GD",
        "subject": {"customerKey": "b-cn"},
        "number": number,
        "toOperator": "China Telecom",
    }
    [outcome] = await ingest(writer_of(fresh_world.house), [out], "test")
    assert outcome.status is Status.ACCEPTED
    told = (await ask(fresh_world, HELD, n=number))["data"]["numberFacts"]
    assert told == {
        "kind": "MOBILE",
        "by": "China Telecom",
        "accountability": here | {"reason": "FORMER_HOLDING"},
    }
    assert (await facts_of(fresh_world, number))["issuer"] == "China Mobile"


@pytest.mark.parametrize("source", [ANSWERS, HELD])
async def test_partners_learn_nothing_of_who_holds_a_number(world: World, source: str) -> None:
    for number in (NUMBERS["b-cn"], "+8613999999999"):
        with pytest.raises(AuthError) as refused:
            await world.ask(source, PARTNER, {"n": number})
        assert (refused.value.code, refused.value.status) == ("FORBIDDEN", 403)
        assert str(refused.value) in (
            "accountability: not open to partners",
            "numberFacts.by: not open to partners",
        )


@pytest.mark.parametrize("source", [ANSWERS, HELD])
async def test_what_the_stores_know_needs_a_purpose(world: World, source: str) -> None:
    with pytest.raises(CdpError) as refused:
        await world.ask(source.replace(CARING, ""), CARE, {"n": NUMBERS["b-cn"]})
    assert refused.value.code == "PURPOSE_REQUIRED"


async def test_it_is_told_for_serving_customers_only(world: World) -> None:
    for source, places in (
        (ANSWERS, [["accountability"]]),
        (HELD, [["numberFacts", "by"], ["numberFacts", "accountability"]]),
    ):
        told = await ask(world, source.replace("service.care", "marketing.sms"), n=NUMBERS["b-cn"])
        withheld = told["extensions"]["privacy"]["withheld"]
        assert [(one["path"], one["code"]) for one in withheld] == [(place, "PURPOSE_NOT_DECLARED") for place in places]
        assert "desk" not in json.dumps(told["data"])


async def test_a_store_the_caller_may_not_read_is_not_asked(world: World) -> None:
    told = await ask(world, ANSWERS, CN_ONLY, n=NUMBERS["b-hk"])
    assert told["data"] == {"accountability": None}
    assert [one["code"] for one in told["extensions"]["privacy"]["withheld"]] == ["REGION_UNAVAILABLE"]


async def test_each_question_is_one_entry_in_the_store_it_touched(world: World) -> None:
    before = await entries(world)
    await ask(world, ANSWERS, n=NUMBERS["b-hk"])
    assert await entries(world) == before + 1
