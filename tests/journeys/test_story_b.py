"""Story B over HTTP: one SIM, a number on each side of the border, one customer; what leaves, and what does not."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.world import (
    APP,
    HONG_KONG_NUMBER,
    MAINLAND_NUMBER,
    NOBODYS,
    PARTNER,
    PROFILE,
    World,
    event,
)

WRITTEN = (
    (HONG_KONG_NUMBER, None),
    ("9123-4567", "HK"),
    ("00852 9123 4567", None),
    (MAINLAND_NUMBER, None),
    ("138 0013 8000", "CN-GD"),
    ("0086-138-0013-8000", None),
)
LISTS = ("accounts", "bills", "consents", "holdings", "interactions", "regions", "usageMonths")

WITHDRAW = """
mutation Withdraw($number: String!) @purpose(id: "service.care") {
  withdrawConsent(input: { subject: { number: $number }, purpose: "service", destination: "HK" }) {
    outcome { status code }
  }
}
"""
SHARED = """
query Shared($number: String!) @purpose(id: "partner.share") {
  customer(number: $number) { formattedName birthDate email tier holdings { number } accounts { accountNo } }
}
"""


def customer_of(told: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = told["data"]["customer"]
    return found


def privacy_of(told: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = told["extensions"]["privacy"]
    return found


async def test_either_number_in_any_written_form_is_the_same_customer(world: World) -> None:
    answers = [customer_of(await world.ask(PROFILE, number=number, region=region)) for number, region in WRITTEN]

    first = answers[0]
    assert [one["id"] for one in answers] == [first["id"]] * len(WRITTEN)
    assert {json.dumps(one, sort_keys=True) for one in answers} == {json.dumps(first, sort_keys=True)}
    assert first["formattedName"] == "陈家明"
    assert first["regions"] == ["CN-GD", "HK"]
    assert {one["number"] for one in first["holdings"]} == {HONG_KONG_NUMBER, MAINLAND_NUMBER}
    assert {(one["region"], one["balance"]["unit"]) for one in first["accounts"]} == {("CN-GD", "CNY"), ("HK", "HKD")}
    for name in ("usageMonths", "bills", "interactions"):
        assert {one["region"] for one in first[name]} == {"CN-GD", "HK"}, name


async def test_the_document_of_the_benchmark_runs_as_it_stands(world: World) -> None:
    shipped = Path(__file__).parents[2] / "bench" / "profile.graphql"
    document = (
        shipped.read_text()
        if shipped.exists()
        else PROFILE.replace(", $region: Region", "").replace(", region: $region", "")
    )
    told = await world.ask(document, number=HONG_KONG_NUMBER)

    assert len(customer_of(told)["accounts"]) == 2
    assert privacy_of(told)["withheld"] == []


async def test_a_profile_is_one_statement_in_each_store(world: World) -> None:
    await world.ask(PROFILE, number=HONG_KONG_NUMBER)
    world.asked()

    await world.ask(PROFILE, number=HONG_KONG_NUMBER)

    assert len(world.asked()) == len(world.house.stores) == 2


async def test_what_crossed_the_border_by_consent_stays_away_after_its_withdrawal(world: World) -> None:
    before = await world.ask(PROFILE, number=HONG_KONG_NUMBER)
    assert privacy_of(before)["withheld"] == []

    done = await world.ask(WITHDRAW, number=MAINLAND_NUMBER)
    after = await world.ask(PROFILE, number=HONG_KONG_NUMBER)

    assert done["data"]["withdrawConsent"]["outcome"] == {"status": "ACCEPTED", "code": None}
    assert {(tuple(one["path"]), one["code"]) for one in privacy_of(after)["withheld"]} == {
        (("customer", name), "CROSS_BORDER") for name in LISTS
    }
    was, is_now = customer_of(before), customer_of(after)
    assert {name: is_now[name] for name in was if name not in LISTS} == {
        name: was[name] for name in was if name not in LISTS
    }
    assert is_now["regions"] == ["HK"]
    for name in ("accounts", "bills", "holdings", "interactions", "usageMonths"):
        assert is_now[name], name
        assert is_now[name] == [one for one in was[name] if one["region"] == "HK"], name
    assert is_now["consents"]
    assert all(one in was["consents"] and one["destination"] != "HK" for one in is_now["consents"])
    assert privacy_of(after)["masked"] == privacy_of(before)["masked"] == []


async def test_the_other_direction_and_the_record_itself_do_not_change(world: World) -> None:
    before = customer_of(await world.ask(PROFILE, number=MAINLAND_NUMBER))
    await world.ask(WITHDRAW, number=MAINLAND_NUMBER)
    told = await world.ask(PROFILE, number=MAINLAND_NUMBER)

    assert privacy_of(told)["withheld"] == []
    after = customer_of(told)
    assert [one for one in after["consents"] if one not in before["consents"]] == [
        one for one in after["consents"] if one["type"] == "WITHDRAWN"
    ]
    assert {name: value for name, value in after.items() if name != "consents"} == {
        name: value for name, value in before.items() if name != "consents"
    }


async def test_a_withdrawal_said_again_changes_nothing_more(world: World) -> None:
    await world.ask(WITHDRAW, number=MAINLAND_NUMBER)
    first = customer_of(await world.ask(PROFILE, number=HONG_KONG_NUMBER))
    await world.ask(WITHDRAW, number=MAINLAND_NUMBER)

    assert customer_of(await world.ask(PROFILE, number=HONG_KONG_NUMBER)) == first


@pytest.mark.parametrize("number", [HONG_KONG_NUMBER, MAINLAND_NUMBER])
async def test_a_partner_learns_nothing_not_even_that_there_is_a_customer(world: World, number: str) -> None:
    await world.register(PROFILE)
    told = {one: await world.ask(PROFILE, PARTNER, number=one) for one in (number, *NOBODYS)}

    for answer in told.values():
        assert privacy_of(answer).pop("auditId")
    assert told[number] == {
        "data": {"customer": None},
        "extensions": {
            "privacy": {
                "purpose": "service.care",
                "withheld": [{"path": ["customer"], "code": "WITHHELD"}],
                "masked": [],
            }
        },
    }
    assert told[NOBODYS[0]] == told[NOBODYS[1]] == told[number]


async def test_a_partner_with_leave_for_something_gets_that_and_no_reason_for_the_rest(world: World) -> None:
    agreed = {"purpose": "partner.share", "category": "identity.name", "recipient": "ACME", "kind": "SEPARATE"}
    await world.tell(event("ConsentGiven", "CN-GD", {"customerKey": "D-STORY-B-CN"}, "2026-10-30T08:00:00Z", **agreed))
    await world.register(SHARED)

    response = await world.post({"query": SHARED, "variables": {"number": MAINLAND_NUMBER}}, PARTNER)
    told = response.json()

    assert customer_of(told) == {
        "formattedName": "陈家明",
        "birthDate": None,
        "email": None,
        "tier": None,
        "holdings": None,
        "accounts": None,
    }
    withheld = privacy_of(told)["withheld"]
    assert {one["code"] for one in withheld} == {"WITHHELD"}
    assert {tuple(one["path"]) for one in withheld} == {
        ("customer", name) for name in ("birthDate", "email", "tier", "holdings", "accounts")
    }
    assert all(one.keys() <= {"path", "code", "count"} for one in withheld)
    for reason in ("CONSENT", "CROSS_BORDER", "OBJECTION", "PURPOSE_NOT", "notice", "kind", HONG_KONG_NUMBER):
        assert reason not in response.text, reason


async def test_without_a_purpose_there_is_an_error_and_no_sql(world: World) -> None:
    document = PROFILE.replace('@purpose(id: "service.care") ', "")
    await world.ask(PROFILE, number=HONG_KONG_NUMBER)
    audited = len(await world.entries())
    world.asked()

    response = await world.post({"query": document, "variables": {"number": HONG_KONG_NUMBER, "region": None}})

    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "PURPOSE_REQUIRED"
    assert "data" not in response.json()
    assert world.asked() == []
    assert [entry["refused"] for entry in (await world.entries())[audited:]] == ["PURPOSE_REQUIRED"]


async def test_each_read_is_one_entry_in_each_store_it_touched(world: World) -> None:
    audited = len(await world.entries())
    told = await world.ask(PROFILE, number=HONG_KONG_NUMBER)
    made = (await world.entries())[audited:]

    assert {entry["id"] for entry in made} == {privacy_of(told)["auditId"]}
    assert {entry["from"] for entry in made} == {"CN", "HK"}
    assert {entry["client"] for entry in made} == {APP.client}
    text = json.dumps(made)
    assert [word for word in (HONG_KONG_NUMBER[4:], MAINLAND_NUMBER[3:], "陈家明") if word in text] == []
