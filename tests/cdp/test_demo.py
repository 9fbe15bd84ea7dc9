"""The demo world: the same everywhere, loaded once, and its two stories come out."""

import io
import json
import os
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from cdp.auth import Verifier
from cdp.demo.cast import HONG_KONG_NUMBER, MAINLAND_NUMBER, STILL_OFF_NUMBER, cast
from cdp.demo.people import mobile_number, person, seeded
from cdp.demo.plays import FOUND_A, FOUND_B, STATE_A
from cdp.demo.run import run_demo
from cdp.demo.stories import STORY_B, WRITTEN_FORMS, ask, curl, desk_of
from cdp.demo.world import life_of
from cdp.event import parse_event
from cdp.house import House
from cdp.ingest import EVENTS
from cdp.jwks import IssuerKeys
from cdp.numbers import PhoneNumber
from tests.cdp.doors import rows
from tests.cdp.house import fingerprint

STORES = {"CN": "cn", "HK": "hk"}
ROOT = Path(__file__).parent.parent.parent
PRINT_WORLD = (
    "import json; from cdp.demo.world import life_of; from cdp.demo.cast import cast;"
    "lives = [life_of(n, 12, records=True) for n in range(40)];"
    "print(json.dumps([lives, cast({'CN': 'cn', 'HK': 'hk'})]))"
)


def console() -> Console:
    return Console(file=io.StringIO(), width=100, soft_wrap=True)


def printed(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def test_the_world_is_the_same_in_every_process() -> None:
    worlds = [
        subprocess.run(
            [sys.executable, "-c", PRINT_WORLD],
            capture_output=True,
            check=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed, "TZ": zone},
        ).stdout
        for seed, zone in (("1", "Asia/Hong_Kong"), ("2", "America/New_York"))
    ]
    assert worlds[0] == worlds[1]
    assert len(json.loads(worlds[0])[0]) == 40


@pytest.mark.parametrize("months", [1, 3, 4, 24])
def test_every_event_of_the_world_is_well_formed(months: int) -> None:
    lives = [life_of(n, months, records=True) for n in range(60)]
    for event in (*cast(STORES), *(event for life in lives for event in life)):
        parse_event(EVENTS, event)
    ids = Counter(event["eventId"] for life in (*lives, cast(STORES)) for event in life)
    assert set(ids.values()) == {1}


def test_a_life_depends_on_nobody_else() -> None:
    assert life_of(7, 24, records=True) == life_of(7, 24, records=True) != life_of(8, 24, records=True)


def test_no_two_people_share_a_number_or_a_document_and_nobody_has_a_story_number() -> None:
    for region in ("CN-GD", "HK"):
        numbers = {mobile_number(k, region) for k in range(30_000)}
        assert len(numbers) == 30_000
        assert not numbers & {STILL_OFF_NUMBER, MAINLAND_NUMBER, HONG_KONG_NUMBER}
        assert all(PhoneNumber.parse(number).e164 == number for number in list(numbers)[:500])
        documents = {person(n, region, seeded("x")).document_number for n in range(30_000)}
        assert len(documents) == 30_000


def test_a_name_says_who_it_is_for() -> None:
    names = {person(n, "CN-GD", seeded(f"{n}")).name for n in range(200)}
    assert len(names) > 150
    assert all(2 <= len(name) <= 4 for name in names)


async def test_the_world_is_loaded_once_and_grows(house: House) -> None:
    first, second, third = console(), console(), console()
    await run_demo(house, 25, 6, first)
    assert "25 customers." in printed(first)
    assert "refused" not in printed(first)
    assert await rows(house.stores["cn"], "dead_letter") == []
    before = await fingerprint(house)
    await run_demo(house, 25, 6, second)
    assert "25 customers, as before." in printed(second)
    assert await fingerprint(house) == before
    await run_demo(house, 40, 6, third)
    customers = [row for store in house.stores.values() for row in await rows(store, "customer")]
    assert len(customers) == 40 + 3
    hong_kong = sum(row["region"] == "HK" for row in customers)
    assert 0 < hong_kong < len(customers) / 2
    assert {row["tariff_id"][:2] for row in await rows(house.stores["hk"], "tariff")} == {"HK"}
    for table in ("usage_record", "usage_month", "bill_line", "payment", "top_up", "interaction", "consent_event"):
        assert await rows(house.stores["cn"], table), table


async def test_story_b_one_customer_by_either_number_in_three_written_forms(house: House) -> None:
    out = console()
    await run_demo(house, 1, 1, out)
    desk = desk_of(house)
    answers = [await ask(desk, STORY_B, number=number, region=region) for number, region in WRITTEN_FORMS]
    assert all("errors" not in told for told in answers)
    assert all(told["extensions"]["privacy"]["withheld"] == [] for told in answers)
    found = [told["data"]["customer"] for told in answers]
    assert len({customer["id"] for customer in found}) == 1
    for customer in found:
        assert {one["number"] for one in customer["holdings"]} == {HONG_KONG_NUMBER, MAINLAND_NUMBER}
        balances = {one["region"]: one["balance"] for one in customer["accounts"]}
        assert balances == {
            "CN-GD": {"value": "12.00", "unit": "CNY"},
            "HK": {"value": "86.50", "unit": "HKD"},
        }
        top_ups = {top_up["state"]: (top_up["number"], top_up["amount"]) for top_up in customer["topUps"]}
        assert top_ups == {
            "POSTED": (MAINLAND_NUMBER, {"value": "100.00", "unit": "CNY"}),
            "REVERSED": (None, None),
        }
    assert "six questions, one customer" in printed(out)


async def test_story_b_the_money_is_found_on_both_sides_and_put_right(house: House) -> None:
    out = console()
    await run_demo(house, 1, 1, out)
    told = printed(out)
    acts = ("0 found", "2 found, 2 cases opened", '"approveCorrection": {"outcome": {"status": "ACCEPTED"', "2 settled")
    assert sorted(acts, key=told.index) == list(acts)
    assert "REJECTED" not in told
    found = (await ask(desk_of(house), FOUND_B, number=HONG_KONG_NUMBER))["data"]["customer"]
    assert {(one["region"], one["kind"], one["state"]) for one in found["moneyAnomalies"]} == {
        ("HK", "NOT_REQUESTED", "CORRECTED"),
        ("CN-GD", "NOT_POSTED", "CORRECTED"),
    }
    assert {(one["owner"], one["status"]) for one in found["cases"]} == {
        ("desk-HK", "CLOSED"),
        ("desk-CN-GD", "CLOSED"),
    }


async def test_story_a_is_found_by_the_platform_and_ends_well(house: House) -> None:
    out, again = console(), console()
    await run_demo(house, 1, 1, out)
    desk, told = desk_of(house), printed(out)
    assert told.index("1 found, 1 case opened") < told.index("acceptCase") < told.index("1 cleared, 1 case settled")
    assert "arrears cleared on 12 October 2026, 12:03; 移动电话 back on 12 October 2026, 12:05" in told
    for _ in range(2):
        found = (await ask(desk, FOUND_A, number=STILL_OFF_NUMBER))["data"]["customer"]
        (case,), (anomaly,) = found["cases"], found["serviceAnomalies"]
        assert (case["status"], case["rootCause"]) == ("CLOSED", "RESUME_NOT_PROPAGATED")
        assert [step["step"] for step in case["steps"]] == ["ACCEPTED", "INFORMED", "CLOSED"]
        assert anomaly["clearedAt"] == "2026-10-12T04:45:00Z"
        products = (await ask(desk, STATE_A, number=STILL_OFF_NUMBER))["data"]["customer"]["products"]
        assert {one["status"] for one in products} == {"active"}
        await run_demo(house, 1, 1, again)


async def test_the_printed_command_is_a_question_a_shell_can_send(house: House) -> None:
    desk, settings = desk_of(house), house.settings
    command = curl(house, desk.caller, 8123)
    words = shlex.split(command.replace("\\\n", " "))
    assert words[:3] == ["curl", "-s", "http://127.0.0.1:8123/graphql"]
    body = json.loads(words[words.index("--data") + 1])
    assert body["variables"] == {"number": HONG_KONG_NUMBER}
    bearer = next(word for word in words if word.startswith("authorization: Bearer ")).split()[-1]
    keys = IssuerKeys(str(settings.home / "tokens" / "jwks.json"))
    caller = await Verifier(keys, settings.token_issuer, settings.token_audience).verify(bearer)
    assert (caller.client, caller.stores, caller.purposes) == ("demo", ("cn", "hk"), frozenset({"service.care"}))
    texts = ('"chain', '"text', '"id"', '"anomaly"', '"case"', '{"anomaly"')
    lines = [line for line in printed_lines(await _told(house)) if not line.lstrip().startswith(texts)]
    assert max(map(len, lines)) <= 100


async def _told(house: House) -> str:
    out = console()
    await run_demo(house, 1, 1, out)
    return printed(out)


def printed_lines(text: str) -> list[str]:
    """All lines but those of the command, whose token is long."""
    return [line for line in text.splitlines() if "Bearer" not in line and "--data" not in line]
