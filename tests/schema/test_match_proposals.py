"""Proposals that were found: shown to stewards by opaque ids, until one of them has decided."""

from typing import Any
from uuid import UUID

import pytest

from cdp.auth import Caller, Role
from cdp.errors import AuthError, RequestInvalid
from cdp.identity.match_proposals import Proposal, keep_proposals
from cdp.identity.tables import NUMBER_INDEX
from tests.cdp.doors import NOW, rows
from tests.cdp.house import fingerprint
from tests.schema.people import NUMBERS
from tests.schema.test_merging import PROPOSE, STEWARD, asked, ordered, pair
from tests.schema.world import CARE, CN_ONLY, PARTNER, World

pytestmark = pytest.mark.asyncio(loop_scope="session")
SHOWN = """query($region: Region! = "CN-GD", $first: Int! = 20) @purpose(id: "service.identity") {
  mergeProposals(region: $region, first: $first) { customer other rule score components { field weight } } }"""
WEIGHTS = {"name": 9.5, "birthDate": -4.25}
PAIRS: list[tuple[str, str, str | None, float | None]] = [
    ("many", "denied", None, 0.97),
    ("objector", "youth", None, 0.99),
    ("b-cn", "minor", "document", None),
]


async def customer_id(world: World, name: str) -> UUID:
    tag = world.house.rings["cn"].tag(NUMBER_INDEX, NUMBERS[name])
    async with world.house.stores["cn"].read() as connection:
        found: UUID = await connection.fetchval("SELECT customer_id FROM number_index WHERE number_tag = $1", tag)
    return found


async def keep(world: World, *found: tuple[str, str, str | None, float | None]) -> None:
    proposals = [
        Proposal(await customer_id(world, one), await customer_id(world, other), rule, score, WEIGHTS)
        for one, other, rule, score in found
    ]
    await keep_proposals(world.house.stores["cn"], "CN-GD", proposals, NOW)


async def shown(world: World, caller: Caller = STEWARD, **variables: Any) -> list[dict[str, Any]]:
    answer = await asked(world, SHOWN, variables, caller)
    assert answer["extensions"]["privacy"]["purpose"] == "service.identity"
    return list(answer["data"]["mergeProposals"])


async def id_of(world: World, name: str) -> str:
    source = 'query($n: String!) @purpose(id: "service.care") { customer(number: $n) { id } }'
    answer = await asked(world, source, {"n": NUMBERS[name]}, STEWARD)
    return str(answer["data"]["customer"]["id"])


async def named(world: World, found: list[dict[str, Any]]) -> list[set[str]]:
    names = {await id_of(world, name): name for name in ("many", "denied", "objector", "youth", "b-cn", "minor")}
    return [{names[one["customer"]], names[one["other"]]} for one in found]


async def test_a_steward_sees_who_may_be_one_and_looks_at_them(fresh_world: World) -> None:
    await keep(fresh_world, *PAIRS)
    before = await fingerprint(fresh_world.house)
    entries = len(await rows(fresh_world.house.stores["cn"], "audit_entry"))
    found = await shown(fresh_world)
    assert await fingerprint(fresh_world.house) == before
    assert len(await rows(fresh_world.house.stores["cn"], "audit_entry")) == entries + 1
    assert await named(fresh_world, found) == [{"b-cn", "minor"}, {"objector", "youth"}, {"many", "denied"}]
    assert [(one["rule"], one["score"]) for one in found] == [("document", None), (None, 0.99), (None, 0.97)]
    for one in found:
        assert {each["field"]: each["weight"] for each in one["components"]} == WEIGHTS
        both = {"subject": {"id": one["customer"]}, "other": {"id": one["other"]}, "region": "CN-GD"}
        proposed = await asked(fresh_world, PROPOSE, {"input": both}, STEWARD)
        assert proposed["data"]["proposeMerge"]["alreadyMerged"] is False
    assert found == await shown(fresh_world, first=3)
    assert found[:1] == await shown(fresh_world, first=1)
    assert await shown(fresh_world, first=0) == []
    assert await shown(fresh_world, region="CN-BJ") == []


async def test_what_was_decided_is_not_shown_any_more(fresh_world: World) -> None:
    await keep(fresh_world, *PAIRS)
    await ordered(fresh_world, "merge", pair("many", "denied"))
    await ordered(fresh_world, "unmerge", pair("objector", "youth"))
    assert await named(fresh_world, await shown(fresh_world)) == [{"b-cn", "minor"}]
    await ordered(fresh_world, "unmerge", pair("many", "denied"))
    assert await named(fresh_world, await shown(fresh_world)) == [{"b-cn", "minor"}]
    async with fresh_world.house.stores["cn"].transaction() as connection:
        erased = await customer_id(fresh_world, "minor")
        await connection.execute("UPDATE customer SET state = 'ERASED' WHERE customer_id = $1", erased)
    assert await shown(fresh_world) == []


async def test_who_is_one_person_with_somebody_is_shown_as_that_person(fresh_world: World) -> None:
    await keep(fresh_world, ("denied", "objector", None, 0.95))
    await ordered(fresh_world, "merge", pair("many", "denied"))
    [found] = await shown(fresh_world)
    assert {found["customer"], found["other"]} == {await id_of(fresh_world, name) for name in ("denied", "objector")}
    assert await id_of(fresh_world, "denied") == await id_of(fresh_world, "many")
    await ordered(fresh_world, "unmerge", pair("many", "objector"))
    assert await shown(fresh_world) == []


@pytest.mark.parametrize("caller", [CARE, CARE._replace(role=Role.OFFICER), PARTNER], ids=["desk", "officer", "acme"])
async def test_only_stewards_are_shown_any(world: World, caller: Caller) -> None:
    with pytest.raises(AuthError, match="steward"):
        await asked(world, SHOWN, {}, caller)


async def test_a_store_that_is_not_open_a_page_out_of_bounds_and_no_purpose_are_refused(world: World) -> None:
    cases: list[tuple[Caller, str, dict[str, Any], str]] = [
        (CN_ONLY._replace(role=Role.STEWARD), SHOWN, {"region": "HK"}, "FORBIDDEN"),
        (STEWARD, SHOWN, {"region": "US"}, "REGION_UNKNOWN"),
        (STEWARD, SHOWN, {"first": 101}, "PAGE_SIZE"),
        (STEWARD, SHOWN, {"first": -1}, "PAGE_SIZE"),
        (STEWARD, '{ mergeProposals(region: "CN-GD") { rule } }', {}, "PURPOSE_REQUIRED"),
        (STEWARD._replace(purposes=frozenset()), SHOWN, {}, "PURPOSE_NOT_GRANTED"),
    ]
    for caller, source, variables, code in cases:
        with pytest.raises((AuthError, RequestInvalid)) as refused:
            await asked(world, source, variables, caller)
        assert refused.value.code == code
