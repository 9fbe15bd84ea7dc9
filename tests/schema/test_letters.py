"""Dead letters over GraphQL: officers list them without what is in them, send them again and drop them; nobody else."""

import json
from typing import Any

import pytest

from cdp.app import writer_of
from cdp.auth import Caller
from cdp.errors import AuthError, RequestInvalid
from cdp.ingest import Status, ingest
from tests.cdp.doors import rows
from tests.cdp.house import fingerprint
from tests.cdp.samples import event
from tests.schema.test_merging import STEWARD
from tests.schema.test_officer import ACME, OFFICER, answer, entries
from tests.schema.world import CARE, PARTNER, World

pytestmark = pytest.mark.asyncio(loop_scope="session")
LIST = """query($region: Region! = "CN", $reason: String, $source: String, $field: String, $first: Int! = 50,
  $after: ID) @purpose(id: "legal.audit") {
  deadLetters(region: $region, reason: $reason, source: $source, field: $field, first: $first, after: $after) {
    next letters { id source reason field expected firstAt lastAt seen } } }"""
REPLAY = """mutation($id: ID!) @purpose(id: "legal.audit") {
  replayDeadLetter(id: $id) { gone outcomes { eventId status code field expected } } }"""
DROP = """mutation($id: ID!, $why: String! = "TEST_DATA") @purpose(id: "legal.audit") {
  dropDeadLetter(id: $id, why: $why) { gone outcomes { status } } }"""
NOBODY = {"customerKey": "L-1"}
EARLY = event("NumberActivated", 2, NOBODY, number="13312345678", eventId="l-early")
WRONG = event("CustomerRegistered", 1, NOBODY, kind="ALIEN", name="王翠花", eventId="l-wrong")


async def refuse(world: World, *events: dict[str, Any]) -> None:
    outcomes = await ingest(writer_of(world.house), events, "graphql:shop")
    assert {outcome.status for outcome in outcomes} == {Status.REJECTED}


async def listed(world: World, **variables: Any) -> dict[str, Any]:
    page: dict[str, Any] = (await answer(world, LIST, **variables))["data"]["deadLetters"]
    return page


async def test_officers_list_what_was_refused_page_by_page_and_never_what_it_says(fresh_world: World) -> None:
    world = fresh_world
    await refuse(world, EARLY, WRONG)
    await refuse(world, WRONG)
    page = await listed(world)
    assert page["next"] is None
    told = {(one["reason"], one["field"], one["expected"], one["seen"]) for one in page["letters"]}
    assert told == {
        ("UNKNOWN_CUSTOMER", "subject", "a customer who is known at that time", 1),
        ("EVENT_INVALID", "kind", "one of 'INDIVIDUAL' or 'ORGANIZATION'", 2),
    }
    assert {one["source"] for one in page["letters"]} == {"graphql:shop"}
    assert "王翠花" not in json.dumps(page, ensure_ascii=False)
    [one] = (await listed(world, reason="EVENT_INVALID", source="graphql:shop", field="kind"))["letters"]
    assert one["firstAt"] < one["lastAt"]
    assert (await listed(world, reason="NUMBER_INVALID"))["letters"] == []
    assert (await listed(world, region="HK"))["letters"] == []

    first = await listed(world, first=1)
    second = await listed(world, first=1, after=first["next"])
    assert [one["seen"] for one in first["letters"] + second["letters"]] == [one["seen"] for one in page["letters"]]
    assert (await listed(world, first=1, after=second["next"])) == {"next": None, "letters": []}
    # A cursor is of one store: in another one it says nothing.
    for wrong in ({"first": 201}, {"first": -1}, {"after": "x"}, {"region": "HK", "after": first["next"]}):
        with pytest.raises(RequestInvalid) as refused:
            await answer(world, LIST, **wrong)
        assert refused.value.code in ("PAGE_SIZE", "CURSOR_INVALID")
    with pytest.raises(AuthError, match="region: not open to this caller"):
        await answer(world, LIST, OFFICER._replace(stores=("hk",)))
    assert (await entries(world, "cn"))[-1]["operation"] == "query"


async def test_an_officer_sends_a_letter_again_once_it_fits(fresh_world: World) -> None:
    world = fresh_world
    await refuse(world, EARLY)
    [letter] = (await listed(world))["letters"]
    still = (await answer(world, REPLAY, id=letter["id"]))["data"]["replayDeadLetter"]
    assert still == {
        "gone": False,
        "outcomes": [
            {
                "eventId": None,
                "status": "REJECTED",
                "code": "UNKNOWN_CUSTOMER",
                "field": "subject",
                "expected": "a customer who is known at that time",
            }
        ],
    }
    assert [one["seen"] for one in (await listed(world))["letters"]] == [2]

    await ingest(writer_of(world.house), [WRONG | {"kind": "INDIVIDUAL"}], "crm")
    gone = (await answer(world, REPLAY, id=letter["id"]))["data"]["replayDeadLetter"]
    assert (gone["gone"], gone["outcomes"][0]["status"]) == (True, "ACCEPTED")
    assert (await listed(world))["letters"] == []
    did = [entry for entry in await entries(world, "cn") if entry.get("operation") == "dead letter"]
    assert [entry["did"] for entry in did] == ["replayed", "replayed", "went in"]
    assert {entry["client"] for entry in did} == {"privacy-desk"}
    for source in (REPLAY, DROP):
        with pytest.raises(RequestInvalid, match="id: expected the id of a dead letter"):
            await answer(world, source, id=letter["id"])


async def test_an_officer_drops_a_letter_and_says_why(fresh_world: World) -> None:
    world = fresh_world
    await refuse(world, EARLY)
    [letter] = (await listed(world))["letters"]
    with pytest.raises(RequestInvalid, match="why: expected a code such as TEST_DATA"):
        await answer(world, DROP, id=letter["id"], why="because of 王翠花")
    assert len(await rows(world.house.stores["cn"], "dead_letter")) == 1
    dropped = (await answer(world, DROP, id=letter["id"]))["data"]["dropDeadLetter"]
    assert dropped == {"gone": True, "outcomes": []}
    assert await rows(world.house.stores["cn"], "dead_letter") == []
    [entry] = [entry for entry in await entries(world, "cn") if entry.get("did") == "dropped"]
    assert (entry["why"], entry["actor"]) != ("TEST_DATA", "officer 1")
    assert entry["why"] == "TEST_DATA"


@pytest.mark.parametrize("caller", [CARE, STEWARD, ACME, PARTNER], ids=["desk", "steward", "acme", "partner"])
async def test_nobody_else_sees_or_changes_a_letter(fresh_world: World, caller: Caller) -> None:
    world = fresh_world
    await refuse(world, EARLY)
    [letter] = (await listed(world))["letters"]
    before = await fingerprint(world.house)
    for source, variables in ((LIST, {}), (REPLAY, {"id": letter["id"]}), (DROP, {"id": letter["id"]})):
        with pytest.raises(AuthError) as refused:
            await world.ask(source, caller, variables)
        assert (refused.value.code, refused.value.status) == ("FORBIDDEN", 403)
    after = await fingerprint(world.house)
    assert {name for name in after if after[name] != before[name]} <= {"cn.document", "hk.document"}


async def test_an_id_of_something_else_or_of_a_closed_store_is_no_letter(fresh_world: World) -> None:
    world = fresh_world
    await refuse(world, EARLY)
    [letter] = (await listed(world))["letters"]
    customers = (
        'query @purpose(id: "service.care") { customers(where: {region: "CN-GD"}, first: 1) { edges { node { id } } } }'
    )
    found = json.loads(await world.ask(customers))["data"]["customers"]["edges"][0]["node"]["id"]
    for identity, caller in ((found, OFFICER), ("x", OFFICER), (letter["id"], OFFICER._replace(stores=("hk",)))):
        with pytest.raises(RequestInvalid, match="id: expected the id of a dead letter"):
            await answer(world, REPLAY, caller, id=identity)
    assert len(await rows(world.house.stores["cn"], "dead_letter")) == 1
