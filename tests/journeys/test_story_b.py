"""Story B over HTTP: one SIM, a number on each side of the border, one customer; what leaves, and what does not."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cdp.reconcile.money import reconcile_money
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


# --- where the money is -----------------------------------------------------------------------------------------------

DUE = datetime(2026, 10, 26, 12, 20, 40, tzinfo=UTC)
"""An hour after the customer was told."""
REF = "D-STORY-B-CN-T1"
MONEY = """
query Money($number: String!) @purpose(id: "service.care") {
  customer(number: $number) {
    moneyAnomalies { id kind state topUpRef region owner postedTo postedRegion posted { value unit }
      takeBack { value unit } give { value unit } giveTo { region } topUp { number confirmedAt amount { value unit } } }
    topUps(first: 5) { topUpRef state }
    accounts { region transactions { kind amount { value unit } debit credit } }
    cases(first: 10) { owner status textZh textEn }
  }
}
"""
APPROVE = """
mutation Approve($anomaly: ID!) @purpose(id: "service.care") {
  approveCorrection(anomaly: $anomaly) { outcome { status code } customer { topUps(first: 5) { topUpRef state } } }
}
"""
ACCOUNTANT = APP._replace(client="ledger", role="accountant", actor="desk 9")
POSTED_THERE = {
    "topUpRef": REF,
    "accountNo": "8529123456",
    "amount": {"value": "108.50", "unit": "HKD"},
    "channel": "APP",
    "number": HONG_KONG_NUMBER,
}


async def reconciled(world: World, at: datetime) -> dict[str, tuple[int, ...]]:
    return {name: tuple(await reconcile_money(store, at)) for name, store in world.house.stores.items()}


async def anomalies(world: World, number: str = MAINLAND_NUMBER) -> dict[str, dict[str, Any]]:
    """Region -> the anomaly there."""
    found = customer_of(await world.ask(MONEY, number=number))["moneyAnomalies"]
    assert len({one["region"] for one in found}) == len(found)
    return {one["region"]: one for one in found}


async def posted_in_hong_kong(world: World) -> None:
    subject = {"accountNo": "8529123456"}
    await world.tell(event("TopUpPosted", "HK", subject, "2026-10-26T11:25:00Z", **POSTED_THERE))


async def test_a_confirmed_top_up_that_is_not_posted_is_found_when_it_is_due_and_clears_itself(world: World) -> None:
    nothing = {"cn": (0, 0, 0, 0), "hk": (0, 0, 0, 0)}
    assert await reconciled(world, DUE - timedelta(microseconds=1)) == nothing
    assert await anomalies(world) == {}
    assert await reconciled(world, DUE) == nothing | {"cn": (1, 0, 1, 0)}
    found = await anomalies(world, HONG_KONG_NUMBER)
    one = found["CN-GD"]
    assert (one["kind"], one["state"], one["owner"]) == ("NOT_POSTED", "PROPOSED", "desk-CN-GD")
    assert one["topUp"] == {
        "number": MAINLAND_NUMBER,
        "confirmedAt": "2026-10-26T11:20:40Z",
        "amount": {"value": "100.00", "unit": "CNY"},
    }
    assert (one["takeBack"], one["give"], one["giveTo"]) == (
        None,
        {"value": "100.00", "unit": "CNY"},
        {"region": "CN-GD"},
    )
    late = {"topUpRef": REF, "accountNo": "6201380013", "amount": {"value": "100.00", "unit": "CNY"}, "channel": "APP"}
    subject = {"customerKey": "D-STORY-B-CN"}
    await world.tell(event("TopUpPosted", "CN-GD", subject, "2026-10-26T12:30:00Z", **late))
    assert await reconciled(world, DUE + timedelta(hours=1)) == nothing | {"cn": (0, 1, 0, 1)}
    told = customer_of(await world.ask(MONEY, number=MAINLAND_NUMBER))
    assert [(one["kind"], one["state"]) for one in told["moneyAnomalies"]] == [("NOT_POSTED", "CLEARED")]
    assert told["topUps"] == [{"topUpRef": REF, "state": "POSTED"}]
    assert await reconciled(world, DUE + timedelta(hours=2)) == nothing


async def test_posted_to_the_hong_kong_number_in_another_currency_both_sides_see_it_and_put_it_right(
    world: World,
) -> None:
    await posted_in_hong_kong(world)
    assert await reconciled(world, DUE + timedelta(hours=1)) == {"cn": (1, 0, 1, 0), "hk": (1, 0, 1, 0)}
    found = await anomalies(world)
    mainland, hong_kong = found["CN-GD"], found["HK"]
    assert mainland["topUpRef"] == hong_kong["topUpRef"] == REF
    assert (mainland["kind"], mainland["owner"]) == ("NOT_POSTED", "desk-CN-GD")
    assert (hong_kong["kind"], hong_kong["owner"], hong_kong["postedRegion"]) == ("NOT_REQUESTED", "desk-HK", "HK")
    assert hong_kong["posted"] == hong_kong["takeBack"] == {"value": "108.50", "unit": "HKD"}
    cases = customer_of(await world.ask(MONEY, number=HONG_KONG_NUMBER))["cases"]
    assert {one["owner"] for one in cases if one["textZh"]} == {"desk-CN-GD", "desk-HK"}
    assert any(REF in one["textEn"] and "has not been credited" in one["textEn"] for one in cases if one["textEn"])

    for one in (mainland, hong_kong):
        done = (await world.ask(APPROVE, ACCOUNTANT, anomaly=one["id"]))["data"]["approveCorrection"]
        assert done["outcome"] == {"status": "ACCEPTED", "code": None}
    told = customer_of(await world.ask(MONEY, number=MAINLAND_NUMBER))
    assert {one["state"] for one in told["moneyAnomalies"]} == {"CORRECTED"}
    posted = {one["region"]: one["transactions"] for one in told["accounts"]}
    assert posted["CN-GD"] == [
        {
            "kind": "CORRECTION",
            "amount": {"value": "100.00", "unit": "CNY"},
            "debit": "CLEARING/APP/CN-GD",
            "credit": "BALANCE",
        }
    ]
    assert [(one["kind"], one["amount"]["value"]) for one in posted["HK"]] == [
        ("CORRECTION", "-108.50"),
        ("TOP_UP", "108.50"),
    ]
    assert {(one["topUpRef"], one["state"]) for one in told["topUps"]} == {(REF, "POSTED"), (REF, "REVERSED")}
    assert await reconciled(world, DUE + timedelta(hours=2)) == {"cn": (0, 0, 0, 1), "hk": (0, 0, 0, 1)}
    again = (await world.ask(APPROVE, ACCOUNTANT, anomaly=mainland["id"]))["data"]["approveCorrection"]
    assert again["outcome"] == {"status": "REJECTED", "code": "CORRECTION_NONE"}


async def test_what_may_not_cross_the_border_is_not_told_of_money_either(world: World) -> None:
    await posted_in_hong_kong(world)
    await reconciled(world, DUE + timedelta(hours=1))
    await world.ask(WITHDRAW, number=MAINLAND_NUMBER)
    assert set(await anomalies(world, HONG_KONG_NUMBER)) == {"HK"}
    assert set(await anomalies(world, MAINLAND_NUMBER)) == {"CN-GD", "HK"}


@pytest.mark.parametrize("role", ["channel", "officer", "steward"])
async def test_only_an_accountant_approves_and_nobody_posts_a_correction_of_their_own(world: World, role: str) -> None:
    await reconciled(world, DUE)
    anomaly = (await anomalies(world))["CN-GD"]
    before = await world.counts()
    other = APP._replace(role=role)
    response = await world.post({"query": APPROVE, "variables": {"anomaly": anomaly["id"]}}, other)
    assert response.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    made_up = event("LedgerCorrected", "CN-GD", {"customerKey": "D-STORY-B-CN"}, "2026-10-27T00:00:00Z")
    made_up |= {"correction": "mine", "approvedBy": "me", "movements": []}
    document = 'mutation($events: [Event!]!) @purpose(id: "service.care") { ingest(events: $events) { status code } }'
    for caller in (other, ACCOUNTANT):
        told = await world.ask(document, caller, events=[made_up])
        assert told["data"]["ingest"] == [{"status": "REJECTED", "code": "FORBIDDEN"}]
    kept = {name: rows for name, rows in (await world.counts()).items() if name not in ("dead_letter", "data_key")}
    assert kept == {name: rows for name, rows in before.items() if name in kept}
    assert (await anomalies(world))["CN-GD"]["state"] == "PROPOSED"


async def test_a_partner_approves_nothing_and_learns_nothing(world: World) -> None:
    await reconciled(world, DUE)
    anomaly = (await anomalies(world))["CN-GD"]
    await world.register(APPROVE)
    partner = PARTNER._replace(role="accountant")
    body = {"query": APPROVE, "variables": {"anomaly": anomaly["id"]}}
    assert "CORRECTION" not in (await world.post(body, partner)).text
    assert (await anomalies(world))["CN-GD"]["state"] == "PROPOSED"
    response = await world.post({"query": APPROVE, "variables": {"anomaly": "made up"}}, ACCOUNTANT)
    assert response.json()["errors"][0]["extensions"]["code"] == "ID_UNKNOWN"


async def posted_to(world: World, account: str, event_id: str) -> None:
    """The mainland's ledger says that the whole amount lies on an account there."""
    posting = {"topUpRef": REF, "accountNo": account, "amount": {"value": "100.00", "unit": "CNY"}, "channel": "APP"}
    subject, at = {"accountNo": account}, "2026-10-26T11:25:00Z"
    await world.tell(event("TopUpPosted", "CN-GD", subject, at, **posting, eventId=event_id))


async def balanced(world: World) -> list[tuple[str, str, str]]:
    """What was posted on the customer's mainland account: kind, amount, and the anomaly's state after the approval."""
    anomaly = (await anomalies(world))["CN-GD"]
    done = (await world.ask(APPROVE, ACCOUNTANT, anomaly=anomaly["id"]))["data"]["approveCorrection"]
    assert done["outcome"] == {"status": "ACCEPTED", "code": None}
    told = customer_of(await world.ask(MONEY, number=MAINLAND_NUMBER))
    assert [one["state"] for one in told["moneyAnomalies"]] == ["CORRECTED"]
    assert told["topUps"] == [{"topUpRef": REF, "state": "POSTED"}]
    [posted] = [one["transactions"] for one in told["accounts"] if one["region"] == "CN-GD"]
    return sorted((one["kind"], one["amount"]["value"], one["amount"]["unit"]) for one in posted)


async def test_posted_twice_is_found_before_anybody_asks_and_one_is_taken_back(world: World) -> None:
    for event_id in ("once", "twice"):
        await posted_to(world, "6201380013", event_id)
    assert (await reconciled(world, DUE))["cn"] == (1, 0, 1, 0)
    one = (await anomalies(world, HONG_KONG_NUMBER))["CN-GD"]
    assert (one["kind"], one["postedTo"], one["state"]) == ("POSTED_TWICE", "OWN", "PROPOSED")
    assert (one["takeBack"], one["give"]) == ({"value": "100.00", "unit": "CNY"}, None)
    assert await balanced(world) == [
        ("CORRECTION", "-100.00", "CNY"),
        ("TOP_UP", "100.00", "CNY"),
        ("TOP_UP", "100.00", "CNY"),
    ]
    assert (await reconciled(world, DUE + timedelta(hours=1)))["cn"] == (0, 0, 0, 1)


async def test_posted_to_a_former_holder_of_the_number_goes_back_to_who_has_it_now(world: World) -> None:
    who, at = {"customerKey": "FORMER"}, "2020-01-0{}T00:00:00Z"
    before = {"name": "某人", "kind": "INDIVIDUAL", "birthDate": "1970-01-01"}
    opened = {"accountNo": "6200000001", "ratingType": "PREPAID", "currency": "CNY"}
    await world.tell(
        event("CustomerRegistered", "CN-GD", who, at.format(1), **before),
        event("NumberActivated", "CN-GD", who, at.format(2), number=MAINLAND_NUMBER),
        event("AccountOpened", "CN-GD", who, at.format(3), **opened),
        event("NumberReleased", "CN-GD", who, "2021-01-01T00:00:00Z", number=MAINLAND_NUMBER),
    )
    await posted_to(world, "6200000001", "elsewhere")
    assert (await reconciled(world, DUE))["cn"] == (1, 0, 1, 0)
    told = customer_of(await world.ask(MONEY, number=MAINLAND_NUMBER))
    [one] = told["moneyAnomalies"]
    assert (one["kind"], one["postedTo"], one["owner"]) == ("POSTED_ELSEWHERE", "FORMER_HOLDER", "desk-CN-GD")
    assert one["takeBack"] == one["give"] == {"value": "100.00", "unit": "CNY"}
    assert "6200000001" not in str(told)
    assert "某人" not in str(told)
    assert await balanced(world) == [("CORRECTION", "100.00", "CNY")]
