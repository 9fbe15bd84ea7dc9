"""Two records read as one person, and as two again: nothing is lost, nothing more is shown, and it was said before."""

import json
from typing import Any

import pytest

from cdp.app import writer_of
from cdp.auth import Caller, Role
from cdp.errors import AuthError, RequestInvalid
from cdp.ingest import Status, ingest
from tests.cdp.house import fingerprint
from tests.schema.people import NUMBERS
from tests.schema.test_reference import EVERYTHING
from tests.schema.world import CARE, PARTNER, World

pytestmark = pytest.mark.asyncio(loop_scope="session")
STEWARD = CARE._replace(client="records", role=Role.STEWARD)
CALLERS = (CARE, PARTNER)
ASKED_FOR = ("service.care", "insight.churn", "marketing.sms", "partner.share", "legal.audit")
PAIRS = [("denied", "many"), ("objector", "minor"), ("left-cn", "youth"), ("twice-1", "denied"), ("b-cn", "many")]
PROPOSE = """query($input: MergeInput!) @purpose(id: "service.care") { proposeMerge(input: $input) {
  alreadyMerged evidence conflicts tooMany consentEffect { purpose recipient destination categories }
  customer { id formattedName } other { formattedName } } }"""
DOCUMENTS = {"cn.document", "hk.document"}
ORDER = """mutation($input: MergeInput!) @purpose(id: "service.care") { %s(input: $input) {
  outcome { status code field expected } customer { id formattedName holdings { number } } } }"""
LISTED = """query($region: Region!, $after: String, $first: Int! = 100) @purpose(id: "service.care") {
  customers(where: { region: $region }, first: $first, after: $after) { pageInfo { hasNextPage endCursor }
  edges { cursor node { id holdings { number } } } } }"""


def pair(one: str, other: str, **more: Any) -> dict[str, Any]:
    return {"input": {"subject": {"number": NUMBERS[one]}, "other": {"number": NUMBERS[other]}} | more}


async def asked(world: World, source: str, variables: dict[str, Any], caller: Caller = CARE) -> dict[str, Any]:
    return dict(json.loads(await world.ask(source, caller, variables)))


async def seen(world: World, who: str, purpose: str, caller: Caller = CARE) -> tuple[Any, set[str]]:
    """Everything that may be seen of a customer, and the fields of theirs that may not."""
    answer = await asked(world, EVERYTHING % purpose, {"n": NUMBERS[who]}, caller)
    withheld = answer["extensions"]["privacy"]["withheld"]
    return answer["data"]["customer"], {place["path"][1] for place in withheld if len(place["path"]) > 1}


async def masked(world: World, who: str, purpose: str, caller: Caller) -> set[str]:
    """The fields of which only a rough value is shown."""
    answer = await asked(world, EVERYTHING % purpose, {"n": NUMBERS[who]}, caller)
    return {place["path"][1] for place in answer["extensions"]["privacy"]["masked"]}


async def ordered(world: World, order: str, variables: dict[str, Any], caller: Caller = STEWARD) -> dict[str, Any]:
    return dict((await asked(world, ORDER % order, variables, caller))["data"][order])


def leaves(value: Any) -> set[str]:
    """Every value in an answer but ids and cursors, as text."""
    if isinstance(value, dict):
        named = [below for key, below in value.items() if key not in {"id", "cursor", "startCursor", "endCursor"}]
        return {leaf for below in named for leaf in leaves(below)}
    if isinstance(value, list):
        return {leaf for below in value for leaf in leaves(below)}
    return {str(value)}


@pytest.mark.parametrize(("one", "other"), PAIRS)
async def test_a_merge_shows_nothing_more_and_a_parting_gives_back_all(
    fresh_world: World, one: str, other: str
) -> None:
    cases = [(purpose, caller) for purpose in ASKED_FOR for caller in CALLERS]
    before = [[await seen(fresh_world, who, *case) for who in (one, other)] for case in cases]
    assert (await ordered(fresh_world, "merge", pair(one, other)))["outcome"]["status"] == "ACCEPTED"
    for case, each in zip(cases, before, strict=True):
        joined, _ = await seen(fresh_world, one, *case)
        assert (await seen(fresh_world, other, *case))[0] == joined, "the same from either side"
        if any(record is None for record, _ in each):
            assert joined is None
            continue
        rough = await masked(fresh_world, one, *case)
        for field, value in joined.items():
            both = [record[field] for record, _ in each]
            if one != "b-cn" and None in [known for known, (_, w) in zip(both, each, strict=True) if field in w]:
                assert value is None, (case, field)
            assert field in rough or leaves(value) <= leaves(both) | {"None"}, (case, field)
    assert (await ordered(fresh_world, "unmerge", pair(other, one)))["outcome"]["status"] == "ACCEPTED"
    assert [[await seen(fresh_world, who, *case) for who in (one, other)] for case in cases] == before


async def test_no_field_disappears_in_a_merge(fresh_world: World) -> None:
    each = [await seen(fresh_world, who, "service.care") for who in ("many", "bare")]
    withheld = each[0][1] | each[1][1]
    assert withheld == {"identifications", "interactions"}
    await ordered(fresh_world, "merge", pair("many", "bare"))
    joined, _ = await seen(fresh_world, "many", "service.care")
    for field in joined.keys() - withheld:
        value, both = joined[field], [record[field] for record, _ in each]
        if isinstance(value, list):
            assert len(value) == len([one for found in both for one in found]) or field == "regions"
            assert leaves(value) == leaves(both)
        elif field not in {"id", "usage"}:
            assert value in both
            assert (value is None) == (both == [None, None]), field


async def test_a_page_lists_a_person_once_in_each_region_they_are_in(fresh_world: World) -> None:
    """Whoever pages one by one meets everybody as one who takes all at once."""
    await ordered(fresh_world, "merge", pair("many", "bare"))
    for region, names in (("CN-GD", {"many", "twice-1"}), ("CN-BJ", {"bare", "twice-2"})):
        page = (await asked(fresh_world, LISTED, {"region": region}))["data"]["customers"]
        numbers = [{held["number"] for held in edge["node"]["holdings"] or ()} for edge in page["edges"]]
        for name in names:
            assert len([found for found in numbers if NUMBERS[name] in found]) == 1, name
        ids, after = [], None
        while True:
            variables = {"region": region, "first": 1, "after": after}
            one = (await asked(fresh_world, LISTED, variables))["data"]["customers"]
            ids += [edge["node"]["id"] for edge in one["edges"]]
            after = one["pageInfo"]["endCursor"]
            if not one["pageInfo"]["hasNextPage"]:
                break
        assert ids == [edge["node"]["id"] for edge in page["edges"]]


async def test_a_proposal_writes_nothing_and_says_what_then_happens(fresh_world: World) -> None:
    before = await fingerprint(fresh_world.house)
    answer = await asked(fresh_world, PROPOSE, pair("denied", "many"), STEWARD)
    assert await fingerprint(fresh_world.house) == before
    proposed = answer["data"]["proposeMerge"]
    assert proposed["alreadyMerged"] is False
    assert (proposed["customer"]["formattedName"], proposed["other"]["formattedName"]) == ("denied 先生", "何美玲")
    assert proposed["conflicts"] == ["formattedName", "birthDate"]
    lost = {(loss["purpose"], loss["recipient"]): set(loss["categories"]) for loss in proposed["consentEffect"]}
    assert "billing.amount" in lost["partner.share", "ACME"], "only one of them agreed to that"
    assert "usage.summary" in lost["insight.profiling", "SELF"], "and only one of them to this"

    assert "usageMonths" not in await masked(fresh_world, "many", "insight.profiling", CARE)
    await ordered(fresh_world, "merge", pair("denied", "many"))
    assert "usageMonths" in await masked(fresh_world, "many", "insight.profiling", CARE)

    again = (await asked(fresh_world, PROPOSE, pair("many", "denied"), STEWARD))["data"]["proposeMerge"]
    assert (again["alreadyMerged"], again["evidence"], again["conflicts"], again["consentEffect"]) == (True, [], [], [])


async def test_a_proposal_tells_what_ends_on_other_channels_and_across_borders(fresh_world: World) -> None:
    yes = {"purpose": "marketing.sms", "channel": "sms"}
    head = {"region": "CN-GD", "subject": {"number": NUMBERS["many"]}, "at": "2025-06-01T08:00:00Z"}
    [outcome] = await ingest(
        writer_of(fresh_world.house), [head | yes | {"type": "ConsentGiven", "eventId": "yes"}], "test"
    )
    assert outcome.status is Status.ACCEPTED
    proposed = (await asked(fresh_world, PROPOSE, pair("b-cn", "many"), STEWARD))["data"]["proposeMerge"]
    lost = {(loss["purpose"], loss["destination"]): set(loss["categories"]) for loss in proposed["consentEffect"]}
    assert "contact.number" in lost["marketing.sms", "CN"], "the steward does not ask by SMS"
    assert "billing.amount" in lost["service.care", "HK"], "only one of them may be seen there"


async def test_a_yes_for_a_number_alone_speaks_for_no_record_in_a_proposal(fresh_world: World) -> None:
    """Whatever kind of yes it is: read as a whole, the record has not agreed."""
    yes = {"purpose": "partner.share", "recipient": "ACME", "kind": "SEPARATE", "numberOnly": True}
    head = {"region": "CN-GD", "subject": {"number": NUMBERS["denied"]}, "at": "2025-06-01T08:00:00Z"}
    events = [head | yes | {"type": f"Consent{word}", "eventId": word} for word in ("Given", "Renewed", "Confirmed")]
    outcomes = await ingest(writer_of(fresh_world.house), events, "test")
    assert {outcome.status for outcome in outcomes} == {Status.ACCEPTED}
    proposed = (await asked(fresh_world, PROPOSE, pair("denied", "many"), STEWARD))["data"]["proposeMerge"]
    lost = {(loss["purpose"], loss["recipient"]): set(loss["categories"]) for loss in proposed["consentEffect"]}
    assert "billing.amount" in lost["partner.share", "ACME"]


async def test_what_is_the_same_is_evidence(fresh_world: World) -> None:
    region, key = "CN-GD", {"customerKey": "again"}
    who = {"name": "何 美玲", "kind": "INDIVIDUAL", "birthDate": "1988-02-29", "gender": "MALE"}
    head = {"region": region, "subject": key}
    events = [
        head | who | {"type": "CustomerRegistered", "eventId": "again-1", "at": "2025-06-01T08:00:00Z"},
        head
        | {"type": "NumberActivated", "eventId": "again-2", "at": "2025-06-02T08:00:00Z", "number": "13700000099"}
        | {"simRef": "sim-again", "iccid": "8986001111111111111"},
    ]
    outcomes = await ingest(writer_of(fresh_world.house), events, "test")
    assert {outcome.status for outcome in outcomes} == {Status.ACCEPTED}
    subjects = {"subject": {"customerKey": "again"}, "other": {"number": NUMBERS["many"]}, "region": region}
    proposed = (await asked(fresh_world, PROPOSE, {"input": subjects}, STEWARD))["data"]["proposeMerge"]
    assert proposed["evidence"] == ["birthDate", "holdings.sim"]
    assert proposed["conflicts"] == ["formattedName"]


async def test_what_is_not_known_or_not_here_is_no_proposal(fresh_world: World) -> None:
    unknown = {"input": {"subject": {"number": "+8613999999999"}, "other": {"number": NUMBERS["many"]}}}
    assert (await asked(fresh_world, PROPOSE, unknown, STEWARD))["data"]["proposeMerge"] is None
    with pytest.raises(RequestInvalid, match="same store"):
        await asked(fresh_world, PROPOSE, pair("many", "left-hk"), STEWARD)
    before = await fingerprint(fresh_world.house)
    outcome = (await ordered(fresh_world, "merge", pair("many", "left-hk")))["outcome"]
    assert (outcome["status"], outcome["field"]) == ("REJECTED", "other")
    after = await fingerprint(fresh_world.house)
    assert {name for name in after if after[name] != before[name]} == {"cn.dead_letter", "cn.data_key"}


@pytest.mark.parametrize("caller", [CARE, CARE._replace(role=Role.OFFICER), PARTNER], ids=["desk", "officer", "acme"])
async def test_only_stewards_merge(fresh_world: World, caller: Caller) -> None:
    before = await fingerprint(fresh_world.house)
    event = {
        "type": "CustomersMerged",
        "eventId": "m",
        "at": "2025-06-01T08:00:00Z",
        "region": "CN-GD",
        "subject": {"number": NUMBERS["many"]},
        "other": {"number": NUMBERS["denied"]},
    }
    take_in = 'mutation($e: [Event!]!) @purpose(id: "service.care") { ingest(events: $e) { status } }'
    for source, variables in (
        (PROPOSE, pair("many", "denied")),
        (ORDER % "merge", pair("many", "denied")),
        (ORDER % "unmerge", pair("many", "denied")),
    ):
        with pytest.raises(AuthError, match=r"steward|partners"):
            await asked(fresh_world, source, variables, caller)
    after = await fingerprint(fresh_world.house)
    assert {name for name in after if after[name] != before[name]} <= DOCUMENTS
    if caller.partner:
        with pytest.raises(AuthError, match="partners"):
            await asked(fresh_world, take_in, {"e": [event]}, caller)
    else:
        told = await asked(fresh_world, take_in, {"e": [event]}, caller)
        assert told["data"]["ingest"] == [{"status": "REJECTED"}]
    after = await fingerprint(fresh_world.house)
    assert {name for name in after if after[name] != before[name]} <= DOCUMENTS | {"cn.dead_letter", "cn.data_key"}
