"""Story A over HTTP: a line came back, what relies on it did not; the platform finds it, every desk sees one case."""

from datetime import datetime
from typing import Any

import pytest
from graphql import GraphQLEnumType, GraphQLObjectType, get_named_type

from cdp.auth import Caller
from cdp.demo.cast import STILL_OFF_NUMBER
from cdp.reconcile.services import Reconciled, reconcile_services
from schema.declaration import declare, graphql_schema
from tests.journeys.world import World, event

PRODUCTS = """
query Products($number: String!) @purpose(id: "service.care") {
  customer(number: $number) {
    products { kind status statusReason statusAt reliesOn { kind status statusAt } }
    topUps(first: 1) { state amount { value unit } }
  }
}
"""
OPEN = """
mutation Open($number: String!) @purpose(id: "service.care") {
  openCase(input: {
    subject: { number: $number }, ticketType: fault, channel: "WEB", owner: "desk-web", description: "still off"
  }) {
    outcome { status code field }
    customer { cases(first: 1) { ticketType severity status owner description } }
  }
}
"""

FOUND = """
query Found($number: String!) @purpose(id: "service.care") {
  customer(number: $number) {
    products { productRef status expectedStatus expectedSince anomalies { clearedAt } }
    serviceAnomalies {
      kind reason region owner statusAt arrearsClearedAt reliesOnAt expectedAt due foundAt clearedAt chainZh chainEn
      product { name } reliesOn { kind }
    }
    cases { id cause causeGoneAt status owner due textZh textEn product { name } steps { step desk } }
  }
}
"""
STEP = """mutation Step($input: %sInput!) @purpose(id: "service.care") { %s(input: $input) {
  outcome { status field expected } customer { cases(first: 1) { status } } } }"""
SUBJECT = {"customerKey": "D-STORY-A"}
NOON, RUN = "2026-10-12T04:05:00Z", "2026-10-12T04:30:00Z"
DESK = "desk-CN-GD"
NOTHING = Reconciled(0, 0, 0, 0)


async def reconcile(world: World, at: str) -> Reconciled:
    return await reconcile_services(world.house.stores["cn"], datetime.fromisoformat(at))


async def found(world: World) -> dict[str, Any]:
    told = await world.ask(FOUND, number=STILL_OFF_NUMBER)
    return dict(told["data"]["customer"])


async def step(world: World, order: str, case: str, of: str = "CaseStep", **fields: str) -> dict[str, Any]:
    told = await world.ask(STEP % (of, order), input={"case": case, "desk": DESK} | fields)
    return dict(told["data"][order]["outcome"])


async def test_the_platform_finds_what_stayed_off_and_opens_one_case(world: World) -> None:
    assert await reconcile(world, "2026-10-12T04:15:00Z") == NOTHING
    assert await reconcile(world, RUN) == Reconciled(1, 0, 1, 0)
    assert await reconcile(world, RUN) == await reconcile(world, "2026-10-26T00:00:00Z") == NOTHING

    seen = await found(world)
    [anomaly] = seen["serviceAnomalies"]
    assert anomaly == {
        "kind": "SERVICE_STILL_OFF",
        "reason": "ARREARS",
        "region": "CN-GD",
        "owner": DESK,
        "statusAt": "2026-10-12T00:05:00Z",
        "arrearsClearedAt": "2026-10-12T04:03:00Z",
        "reliesOnAt": NOON,
        "expectedAt": NOON,
        "due": "2026-10-12T04:20:00Z",
        "foundAt": RUN,
        "clearedAt": None,
        "chainZh": "2026年10月12日08:05 因欠费停用；2026年10月12日12:03 欠费已清；2026年10月12日12:05 移动电话 已恢复；"
        "应于 2026年10月12日12:20 前恢复，至今仍停用",
        "chainEn": "suspended on 12 October 2026, 08:05 because of arrears; arrears cleared on 12 October 2026, 12:03; "
        "移动电话 back on 12 October 2026, 12:05; due back by 12 October 2026, 12:20, and still suspended",
        "product": {"name": "飞信 Fetion"},
        "reliesOn": {"kind": "LINE"},
    }
    case = seen["cases"][-1] if seen["cases"][-1]["cause"] else seen["cases"][0]
    assert (case["cause"], case["status"], case["owner"]) == ("SERVICE_STILL_OFF", "OPEN", DESK)
    assert (case["due"], case["product"]) == ("2026-10-12T12:30:00Z", {"name": "飞信 Fetion"})
    assert case["textZh"].startswith("您的「飞信 Fetion」自 2026年10月12日08:05 起因欠费停用。")
    assert "We will restore the service and tell you by 12 October 2026, 20:30" in case["textEn"]


async def test_the_case_ends_when_the_service_is_back_and_the_customer_knows(world: World) -> None:
    await reconcile(world, RUN)
    [case] = [one["id"] for one in (await found(world))["cases"] if one["cause"]]
    for order in ("acceptCase", "resolveCase", "tellCustomer"):
        assert (await step(world, order, case))["status"] == "ACCEPTED"
    closing = {"of": "CaseClosing", "rootCause": "RESUME_NOT_PROPAGATED"}
    refused = await step(world, "closeCase", case, **closing)
    assert refused == {"status": "REJECTED", "field": "caseId", "expected": "a case whose cause is gone"}

    back = event("ProductResumed", "CN-GD", SUBJECT, "2026-10-26T02:00:00Z", productRef="D-STORY-A-fetion")
    await world.tell(back)
    assert await reconcile(world, "2026-10-26T02:01:00Z") == Reconciled(0, 1, 0, 1)
    seen = await found(world)
    [anomaly] = seen["serviceAnomalies"]
    assert anomaly["clearedAt"] == "2026-10-26T02:00:00Z"
    assert anomaly["chainEn"].endswith("; as it should be since 26 October 2026, 10:00")
    [mine] = [one for one in seen["cases"] if one["cause"]]
    assert (mine["status"], mine["causeGoneAt"]) == ("INFORMED", "2026-10-26T02:00:00Z")
    assert mine["textEn"].startswith("Your 飞信 Fetion has worked again since 26 October 2026, 10:00.")
    await step(world, "tellCustomer", case)
    assert (await step(world, "closeCase", case, **closing))["status"] == "ACCEPTED"


@pytest.mark.parametrize("late", [False, True])
async def test_a_suspension_of_its_own_stays_also_when_it_is_heard_of_late(world: World, late: bool) -> None:
    own = event(
        "ProductSuspended", "CN-GD", SUBJECT, "2026-10-12T01:00:00Z", productRef="D-STORY-A-fetion", reason="FRAUD"
    )
    if late:
        assert await reconcile(world, RUN) == Reconciled(1, 0, 1, 0)
    await world.tell(own)
    again = await reconcile(world, "2026-10-12T05:00:00Z")
    assert again == (Reconciled(0, 1, 0, 1) if late else NOTHING)
    seen = await found(world)
    states = {one["productRef"]: (one["status"], one["expectedStatus"]) for one in seen["products"]}
    assert states["D-STORY-A-fetion"] == ("suspended", "suspended")
    assert [one["clearedAt"] is not None for one in seen["serviceAnomalies"]] == [True] * late


async def test_a_chain_of_three_is_one_case_until_all_of_it_is_back(world: World) -> None:
    third = "D-STORY-A-music"
    has = {"name": "音乐", "kind": "CONTENT", "startDate": "2021-03-08", "reliesOn": ["D-STORY-A-fetion"]}
    await world.tell(
        event("ProductSuspended", "CN-GD", SUBJECT, "2026-10-12T00:05:00Z", productRef=third, reason="ARREARS"),
        event("ProductActivated", "CN-GD", SUBJECT, "2021-03-08T03:00:00Z", productRef=third, **has),
    )
    assert await reconcile(world, "2026-10-12T05:00:00Z") == Reconciled(2, 0, 1, 0)
    seen = await found(world)
    assert {one["expectedSince"] for one in seen["products"]} >= {NOON}
    assert [one["product"]["name"] for one in seen["cases"] if one["cause"]] == ["飞信 Fetion"]
    for n, ref in enumerate(("D-STORY-A-fetion", third)):
        at = f"2026-10-13T0{n}:00:00Z"
        await world.tell(event("ProductResumed", "CN-GD", SUBJECT, at, productRef=ref))
        assert await reconcile(world, at) == Reconciled(0, 1, 0, n)


async def test_for_another_purpose_nothing_of_it_is_seen(world: World) -> None:
    await reconcile(world, RUN)
    marketing = FOUND.replace("service.care", "marketing.sms")
    caller = Caller("app", purposes=frozenset({"marketing.sms"}), stores=("cn",))
    told = await world.ask(marketing, caller, number=STILL_OFF_NUMBER)
    assert (told["data"]["customer"]["serviceAnomalies"], told["data"]["customer"]["cases"]) == (None, None)


async def test_the_product_that_is_still_off_is_seen_with_what_it_relies_on(world: World) -> None:
    found = (await world.ask(PRODUCTS, number=STILL_OFF_NUMBER))["data"]["customer"]
    by_kind = {one["kind"]: one for one in found["products"]}

    assert by_kind["LINE"]["status"] == "active"
    messaging = by_kind["MESSAGING"]
    assert (messaging["status"], messaging["statusReason"]) == ("suspended", "ARREARS")
    (line,) = messaging["reliesOn"]
    assert (line["kind"], line["status"]) == ("LINE", "active")
    assert line["statusAt"] > messaging["statusAt"]
    assert found["topUps"] == [{"state": "POSTED", "amount": {"value": "50.00", "unit": "CNY"}}]


async def test_a_case_is_opened_with_what_the_schema_takes_for_granted(world: World) -> None:
    opened = (await world.ask(OPEN, number=STILL_OFF_NUMBER))["data"]["openCase"]

    assert opened["outcome"] == {"status": "ACCEPTED", "code": None, "field": None}
    assert opened["customer"]["cases"] == [
        {
            "ticketType": "fault",
            "severity": "MEDIUM",
            "status": "OPEN",
            "owner": "desk-web",
            "description": "still off",
        }
    ]


async def test_what_is_answered_is_a_word_of_its_enum(world: World) -> None:
    """Asked of everybody: a word that is stored otherwise would break the clients that generate code."""
    types = graphql_schema(declare()).type_map
    asked = {
        "products": ("Product", "status"),
        "accounts": ("BillingAccount", "ratingType"),
        "holdings": ("NumberHolding", "state"),
        "bills": ("CustomerBill", "state"),
        "topUps": ("TopUp", "state"),
        "cases": ("Case", "ticketType"),
        "interactions": ("PartyInteraction", "direction"),
        "consents": ("Consent", "type"),
    }
    fields = " ".join(f"{name} {{ word: {field} }}" for name, (_, field) in asked.items())
    found = await world.ask(
        f'{{ customers(where: {{ region: "CN-GD" }}) {{ edges {{ node {{ {fields} }} }} }} }}'.replace(
            "{", 'query @purpose(id: "service.care") {', 1
        )
    )

    nodes = [edge["node"] for edge in found["data"]["customers"]["edges"]]
    assert len(nodes) == 2
    for name, (type_name, field) in asked.items():
        words = {one["word"] for node in nodes for one in node[name]}
        of = types[type_name]
        assert isinstance(of, GraphQLObjectType)
        enum = get_named_type(of.fields[field].type)
        assert isinstance(enum, GraphQLEnumType)
        assert words, name
        assert words <= set(enum.values), name
