"""When a number changes hands: what ends with a holding, what a partner may still ask, what the next holder gets."""

import json
from typing import Any, Final

import pytest

from cdp.auth import Caller
from privacy.vocabulary import PURPOSES, RecipientClass
from tests.journeys.world import APP, NOBODYS, PARTNER, World, event, hash_of

NUMBER: Final = "+8613600001111"
ANN, BEN = {"customerKey": "J-ANN"}, {"customerKey": "J-BEN"}
ACME: Final = PARTNER._replace(recipient_class=RecipientClass.THIRD_PARTY)
BANK: Final = ACME._replace(client="bank-app", legal_entity="BANK", actor="bank")
DESK: Final = Caller("desk", purposes=frozenset(PURPOSES), stores=("cn", "hk"), actor="desk 3")
SHARED: Final = {"purpose": "partner.share", "recipient": "ACME", "kind": "SEPARATE"}

FOUND: Final = """query Found($number: String!) @purpose(id: "partner.share") {
  customer(number: $number) { id formattedName holdings { number state } } }"""
NODE: Final = """query Node($id: ID!) @purpose(id: "partner.share") { node(id: $id) { __typename
  ... on Customer { id formattedName holdings { number } } } }"""
SAME: Final = """query Same($number: String!, $date: Date!) @purpose(id: "partner.share") {
  sameHolderSince(number: $number, date: $date) }"""
ONCE: Final = """query Once($number: String!, $at: DateTime) @purpose(id: "partner.share") {
  customer(number: $number, asOf: $at) { formattedName } }"""
OFFER: Final = """query Offer($key: String!) @purpose(id: "marketing.sms") {
  customer(identifier: { kind: CUSTOMER_KEY, value: $key }) { formattedName holdings { number state } } }"""
CARE: Final = OFFER.replace("marketing.sms", "service.care")
DOCUMENTS: Final = (FOUND, NODE, SAME, ONCE)


def happened(name: str, who: dict[str, str], day: str, /, **fields: Any) -> dict[str, Any]:
    one = event(name, "CN-GD", who, f"{day}T08:00:00Z", **fields)
    return one | {"eventId": f"{name}-{who['customerKey']}-{day}"}


async def begin(world: World) -> None:
    """Ann has a number and agreed to ACME's and to offers; Ben has none yet."""
    await world.register(*DOCUMENTS)
    await world.tell(
        happened("CustomerRegistered", ANN, "2025-03-01", name="安先生", kind="INDIVIDUAL"),
        happened("CustomerRegistered", BEN, "2025-03-01", name="本先生", kind="INDIVIDUAL"),
        happened("NumberActivated", ANN, "2025-03-02", number=NUMBER),
        happened("ConsentGiven", ANN, "2025-03-03", **SHARED),
        happened("ConsentGiven", ANN, "2025-03-04", purpose="marketing"),
    )


def ended(name: str) -> dict[str, Any]:
    operator = {"toOperator": "China Unicom"} if name == "NumberPortedOut" else {}
    return happened(name, ANN, "2025-06-01", number=NUMBER, **operator)


def passed_on() -> dict[str, Any]:
    return happened("NumberReassigned", BEN, "2025-09-10", number=NUMBER)


def told(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without the id of its audit entry: all that a partner can compare."""
    return answer | {"extensions": {"privacy": answer["extensions"]["privacy"] | {"auditId": ""}}}


def codes(answer: dict[str, Any]) -> set[tuple[str, str]]:
    return {(".".join(one["path"]), one["code"]) for one in answer["extensions"]["privacy"]["withheld"]}


@pytest.mark.parametrize("end", ["NumberReleased", "NumberPortedOut"])
async def test_nobody_is_reached_by_a_number_that_is_theirs_no_more(world: World, end: str) -> None:
    await begin(world)
    before = await world.ask(OFFER, DESK, key="J-ANN")
    assert before["data"]["customer"]["holdings"] == [{"number": NUMBER, "state": "ACTIVE"}]
    assert codes(before) == set()
    await world.tell(ended(end))
    after = await world.ask(OFFER, DESK, key="J-ANN")
    state = {"NumberReleased": "RELEASED", "NumberPortedOut": "PORTED_OUT"}[end]
    assert after["data"]["customer"] == {"formattedName": "安先生", "holdings": [{"number": None, "state": state}]}
    assert codes(after) == {("customer.holdings.*.number", "HOLDING_ENDED")}
    assert NUMBER[3:] not in json.dumps(after)
    service = await world.ask(CARE, DESK, key="J-ANN")
    assert service["data"]["customer"]["holdings"] == [{"number": NUMBER, "state": state}]


async def test_a_partner_is_not_told_an_ended_number_nor_why(world: World) -> None:
    await begin(world)
    other = "+8613600002222"
    await world.tell(happened("NumberPortedIn", ANN, "2025-03-05", number=other, fromOperator="X", servingOperator="Y"))
    await world.tell(ended("NumberReleased"))
    after = await world.ask(FOUND, ACME, number=other)
    assert [one["number"] for one in after["data"]["customer"]["holdings"]] == [other, None]
    assert codes(after) == {("customer.holdings.*.number", "WITHHELD")}
    assert NUMBER[3:] not in json.dumps(after)


async def test_an_id_that_came_by_a_number_leads_nowhere_once_the_holding_has_ended(world: World) -> None:
    await begin(world)
    mine = (await world.ask(FOUND, ACME, number=NUMBER))["data"]["customer"]["id"]
    inside = (await world.ask(FOUND, DESK, number=NUMBER))["data"]["customer"]["id"]
    found = await world.ask(NODE, ACME, id=mine)
    assert found["data"]["node"]["formattedName"] == "安先生"
    assert found["data"]["node"]["id"] == mine
    nonsense = await world.ask(NODE, ACME, id="nonsense")
    counts = await world.counts()
    for change in (ended("NumberReleased"), passed_on()):
        await world.tell(change)
        assert told(await world.ask(NODE, ACME, id=mine)) == told(nonsense)
    # What the partner loses, the operator keeps: it knows its own customer.
    assert (await world.ask(NODE.replace("partner.share", "service.care"), DESK, id=inside))["data"]["node"][
        "formattedName"
    ] == "安先生"
    assert (await world.counts())["customer"] == counts["customer"]
    # The next holder has another id, and the old one never leads to them: not even when they agree.
    await world.tell(happened("ConsentGiven", BEN, "2025-09-11", **SHARED))
    theirs = (await world.ask(FOUND, ACME, number=NUMBER))["data"]["customer"]
    assert (theirs["formattedName"], theirs["id"] == mine) == ("本先生", False)
    assert told(await world.ask(NODE, ACME, id=mine)) == told(nonsense)


async def test_the_next_holder_starts_at_nothing(world: World) -> None:
    await begin(world)
    nobody = told(await world.ask(FOUND, ACME, number=NOBODYS[0]))
    assert (await world.ask(FOUND, ACME, number=NUMBER))["data"]["customer"]["formattedName"] == "安先生"
    await world.tell(ended("NumberReleased"))
    assert told(await world.ask(FOUND, ACME, number=NUMBER)) == nobody
    await world.tell(passed_on())
    assert told(await world.ask(FOUND, ACME, number=NUMBER)) == nobody
    offered = await world.ask(
        OFFER.replace("identifier: { kind: CUSTOMER_KEY, value: $key }", "number: $key"), DESK, key=NUMBER
    )
    assert offered["data"]["customer"]["formattedName"] is None
    assert ("customer.formattedName", "CONSENT_REQUIRED") in codes(offered)


async def test_same_holder_is_true_false_or_withheld_and_nothing_more(world: World) -> None:
    await begin(world)

    async def same(date: str, caller: Caller = ACME, number: str = NUMBER) -> dict[str, Any]:
        return told(await world.ask(SAME, caller, number=number, date=date))

    withheld = await same("2025-04-01", number=NOBODYS[0])
    assert withheld["data"] == {"sameHolderSince": None}
    assert withheld["extensions"]["privacy"]["withheld"] == [{"path": ["sameHolderSince"], "code": "WITHHELD"}]
    assert (await same("2025-04-01"))["data"] == {"sameHolderSince": True}
    assert (await same("2025-04-01"))["extensions"]["privacy"]["withheld"] == []
    assert (await same("2025-03-02"))["data"] == {"sameHolderSince": False}, "it began in the course of that day"
    # Another partner, whom nobody agreed to, sees what is seen where nobody holds it.
    for date in ("2025-01-01", "2025-04-01"):
        assert await same(date, BANK) == withheld
    await world.tell(ended("NumberReleased"))
    assert await same("2025-04-01") == withheld
    await world.tell(passed_on())
    assert await same("2025-04-01") == withheld, "the next holder agreed to nothing"
    await world.tell(happened("ConsentGiven", BEN, "2025-09-11", **SHARED | {"category": "number.holding"}))
    assert (await same("2025-04-01"))["data"] == {"sameHolderSince": False}
    assert (await same("2025-09-12"))["data"] == {"sameHolderSince": True}
    # Who they are is no part of the answer, nor is anything to ask on with.
    assert told(await world.ask(FOUND, ACME, number=NUMBER))["data"]["customer"]["formattedName"] is None


async def test_it_is_written_down_who_asked_whether_the_holder_is_the_same(world: World) -> None:
    await begin(world)
    counts, entries = await world.counts(), len(await world.entries())
    for caller, shown in ((ACME, "allowed"), (BANK, "denied")):
        await world.ask(SAME, caller, number=NUMBER, date="2025-04-01")
        entry = (await world.entries())[-1]
        assert (entry["client"], entry["recipient"], entry["purpose"]) == (
            caller.client,
            caller.legal_entity,
            "partner.share",
        )
        [line] = entry["customers"]
        assert {name: line[name] for name in ("allowed", "masked", "denied")} == {
            name: "1" if name == shown else "0" for name in ("allowed", "masked", "denied")
        }
        assert NUMBER[3:] not in json.dumps(entry)
    assert len(await world.entries()) == entries + 2
    assert await world.counts() == counts


@pytest.mark.parametrize(
    ("document", "variables", "code", "status"),
    [
        (SAME, {"date": "2999-01-01"}, "DAY_INVALID", 400),
        (SAME, {"date": "yesterday"}, "DAY_INVALID", 400),
        (ONCE, {"at": "2025-04-01T00:00:00Z"}, "FORBIDDEN", 403),
    ],
)
async def test_a_partner_is_refused_alike_whoever_holds_the_number(
    world: World, document: str, variables: dict[str, str], code: str, status: int
) -> None:
    await begin(world)
    counts, world.statements[:] = await world.counts(), []
    answers = []
    for number in (NUMBER, NOBODYS[0]):
        response = await world.post(
            {"documentId": hash_of(document), "variables": {"number": number} | variables}, ACME
        )
        answers.append((response.status_code, response.text))
    assert answers[0] == answers[1]
    assert answers[0][0] == status
    assert json.loads(answers[0][1])["errors"][0]["extensions"]["code"] == code
    assert [text for text in world.asked() if "number_index" in text] == []
    assert await world.counts() == counts


async def test_a_marketing_desk_learns_of_a_number_only_from_its_holder(world: World) -> None:
    """What was agreed to for the number alone is read by the number, and ends with it."""
    await begin(world)
    await world.tell(happened("ConsentWithdrawn", ANN, "2025-03-05", purpose="marketing"))
    by_number = OFFER.replace("identifier: { kind: CUSTOMER_KEY, value: $key }", "number: $key")
    give = """mutation($input: ConsentInput!) @purpose(id: "service.care") {
      giveConsent(input: $input) { outcome { status } } }"""
    alone = {"subject": {"number": NUMBER}, "purpose": "marketing.sms", "numberOnly": True}
    given = await world.ask(give, APP, input=alone)
    assert given["data"]["giveConsent"]["outcome"] == {"status": "ACCEPTED"}
    assert (await world.ask(by_number, DESK, key=NUMBER))["data"]["customer"]["formattedName"] == "安先生"
    by_key = await world.ask(OFFER, DESK, key="J-ANN")
    assert by_key["data"]["customer"]["formattedName"] is None
    assert ("customer.formattedName", "CONSENT_WITHDRAWN") in codes(by_key)
