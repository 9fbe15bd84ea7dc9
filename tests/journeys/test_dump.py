"""Whoever carries a database, a log or the meters away has carried away nobody's name, number, document or word."""

import base64
import io
import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from cdp.embedded import program
from cdp.logs import configure_logs
from tests.conftest import HOME, SERVER
from tests.journeys.forms import found_in, written
from tests.journeys.world import APP, HONG_KONG_NUMBER, MAINLAND_NUMBER, PARTNER, PROFILE, World, event

AT = "2026-09-{:02}T08:{:02}:00Z"
PURPOSE = '@purpose(id: "service.care")'
INGEST = f"mutation In($events: [Event!]!) {PURPOSE} {{ ingest(events: $events) {{ status code field expected }} }}"
LOG = f"""
mutation Log($input: InteractionInput!) {PURPOSE} {{
  logInteraction(input: $input) {{ outcome {{ status }} customer {{ interactions(first: 1) {{ note }} }} }}
}}"""
CASE = f"""
mutation Open($input: CaseInput!) {PURPOSE} {{
  openCase(input: $input) {{
    outcome {{ status code field expected }}
    customer {{ cases(first: 1) {{ description }} }}
  }}
}}"""
ALL = f"""
query All($number: String!) {PURPOSE} {{
  customer(number: $number) {{
    formattedName email address birthDate holdings {{ number sim {{ iccid }} }} accounts {{ accountNo }}
    usage(first: 5) {{ edges {{ node {{ counterparty }} }} }} topUps {{ number }}
    interactions {{ note }} cases {{ description }}
  }}
}}"""


@dataclass(frozen=True)
class Plant:
    """A customer made of values that occur nowhere else."""

    n: int

    @property
    def region(self) -> str:
        return "CN-GD" if self.n % 2 else "HK"

    @property
    def key(self) -> dict[str, str]:
        return {"customerKey": f"K-{self.n}"}

    def number(self, use: int) -> str:
        tail = f"{self.n}{use}7{(self.n * 37 + use * 11) % 100:02}3"
        return f"+86135{tail.rjust(8, '4')}" if self.n % 2 else f"+8526{tail.rjust(7, '4')}"

    @property
    def texts(self) -> dict[str, str]:
        n = self.n
        return {
            "name": f"欧阳{'甲乙丙丁戊己庚辛'[n]}鹂 Quillon{n}",
            "email": f"quillon{n}.vexmoor@mail{n}.example",
            "address": f"绿萝巷 {n}7 号 Thornquay Lane {n}",
            "document": f"44010619{70 + n}0229{n}3{n}X" if n % 2 else f"Z98765{n}({n})",
            "iccid": f"8985201299887766{n}55",
            "account": f"77{n}0099{n}881",
            "note": f"蓝鲸曾三次来电 zephyrine-{n}",
            "case": f"紫藤投诉充值 marrowdale-{n}",
        }

    @property
    def numbers(self) -> list[str]:
        """The own one, one called, one topped up, one in an event that is refused."""
        return [self.number(use) for use in range(4)]

    def events(self) -> Iterator[dict[str, Any]]:
        told, key, region, n = self.texts, self.key, self.region, self.n
        own, called, topped, _ = self.numbers
        who = {"name": told["name"], "kind": "INDIVIDUAL", "birthDate": f"19{70 + n}-02-28", "email": told["email"]}
        who |= {"address": told["address"], "documentType": "PASSPORT", "documentNumber": told["document"]}
        amount = {"value": "10", "unit": "CNY"}
        yield event("CustomerRegistered", region, key, AT.format(1, n), **key, **who)
        yield event("NumberActivated", region, key, AT.format(2, n), number=own, simRef=f"S{n}", iccid=told["iccid"])
        opened = {"accountNo": told["account"], "ratingType": "PREPAID", "currency": "CNY"}
        yield event("AccountOpened", region, key, AT.format(3, n), **opened)
        used = {"usageType": "VOICE", "quantity": "60", "units": "seconds", "counterparty": called}
        yield event("UsageRecorded", region, {"number": own}, AT.format(4, n), **used)
        asked = {"topUpRef": f"T{n}", "number": topped, "amount": amount, "channel": "APP"}
        yield event("TopUpRequested", region, {"accountNo": told["account"]}, AT.format(5, n), **asked)

    def refused(self) -> Iterator[dict[str, Any]]:
        """Events that end among the dead letters, each for another reason, all full of values."""
        told, key, region, n = self.texts, self.key, self.region, self.n
        stranger, at = self.numbers[3], AT.format(9, n)
        yield event("NumberActivated", region, key, at, number=stranger, nickname=told["name"])
        yield event("UsageRecorded", region, {"number": stranger}, at, usageType="SMS", quantity="1", units="messages")
        yield event("UsageRecorded", region, key, at, usageType="SMS", quantity=told["name"], units=stranger)
        yield event("CustomerRegistered", told["address"], {"email": told["email"]}, at, name=told["name"], kind="X")
        yield event(told["document"], region, {"document": told["document"], "number": stranger}, at)
        yield event("CustomerTierChanged", region, {"accountNo": stranger}, at, tier=told["note"])
        first = next(self.events())
        yield first | {"name": told["case"]}  # the same id, another body


PLANTS = tuple(Plant(n) for n in range(1, 7))
TEXTS = [text for plant in PLANTS for text in plant.texts.values()]
PARTS = [word for text in TEXTS for word in text.split() if len(word.encode()) >= 9 and word != "Thornquay"]
NUMBERS = [number for plant in PLANTS for number in plant.numbers]
VALUES = [*TEXTS, *PARTS, *(form for number in NUMBERS for form in written(number))]


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Everything that is logged, at the level that logs most."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers, root.level
    configure_logs("DEBUG", stream)
    yield stream
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
async def planted(lines: io.StringIO, world: World) -> World:
    """Values put in by every door, read back, and sent where they do not belong."""
    events = [one for plant in PLANTS for one in plant.events()]
    done = await world.ask(INGEST, events=events)
    assert {one["status"] for one in done["data"]["ingest"]} == {"ACCEPTED"}
    refused = [one for plant in PLANTS for one in plant.refused()]
    done = await world.ask(INGEST, events=[*refused, *refused])
    assert {one["status"] for one in done["data"]["ingest"]} == {"REJECTED"}
    for plant in PLANTS:
        subject = {"subject": {"number": plant.numbers[0]}, "channel": "APP"}
        said = subject | {"direction": "INBOUND", "reason": "top-up", "note": plant.texts["note"]}
        noted = await world.ask(LOG, input=said)
        opened = await world.ask(CASE, input=subject | {"ticketType": "fault", "description": plant.texts["case"]})
        assert noted["data"]["logInteraction"]["customer"]["interactions"] == [{"note": plant.texts["note"]}]
        assert opened["data"]["openCase"]["outcome"]["status"] == "ACCEPTED", opened
        assert opened["data"]["openCase"]["customer"]["cases"] == [{"description": plant.texts["case"]}]
        await misuse(world, plant)
    return world


async def misuse(world: World, plant: Plant) -> None:
    """Requests that are refused, with values in every place that has room for one."""
    number, text = plant.numbers[3], plant.texts["name"]
    for body in (
        {"query": f'{{ customer(number: "{number}") {{ {text} }} }}'},
        {"query": PROFILE, "operationName": text, "variables": {"number": number}},
        {"query": PROFILE, "variables": {"number": [number, text]}},
        {"query": PROFILE, "variables": {"number": plant.texts["email"]}},
        {"documentId": number, "extensions": {text: number}},
        {"query": PROFILE.replace("service.care", number), "variables": {"number": number}},
    ):
        for caller in (APP, PARTNER):
            assert (await world.post(body, caller)).status_code >= 400
    await world.post(f'{{"query": "{text}'.encode(), authorization=f"Bearer {number}", accept=text.encode().hex())
    await world.http.get("/graphql", params={"query": number, text: number}, headers={"accept": "application/json"})
    await world.http.get(f"/{number}", headers={"x-number": number})


def dump_of(url: str) -> bytes:
    """A whole database as pg_dump writes it."""
    tool = shutil.which("pg_dump") if SERVER in os.environ else str(program("pg_dump"))
    if tool is None:
        pytest.skip("pg_dump is not installed")
    done = subprocess.run([tool, url], capture_output=True, check=False)
    if b"server version mismatch" in done.stderr:
        pytest.skip("pg_dump is older than the server")
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


async def test_what_was_planted_can_be_read_by_those_who_may(planted: World) -> None:
    """It is there: that it is not found below says something."""
    for plant in PLANTS:
        found = (await planted.ask(ALL, number=plant.numbers[0]))["data"]["customer"]
        assert (found["formattedName"], found["email"]) == (plant.texts["name"], plant.texts["email"])
        assert found["address"] == plant.texts["address"]
        assert found["holdings"] == [{"number": plant.numbers[0], "sim": {"iccid": plant.texts["iccid"]}}]
        assert found["accounts"] == [{"accountNo": plant.texts["account"]}]
        assert found["usage"]["edges"] == [{"node": {"counterparty": plant.numbers[1]}}]
        assert found["topUps"] == [{"number": plant.numbers[2]}]
    assert await planted.rows("dead_letter") == 7 * len(PLANTS)


async def test_no_dump_of_a_store_holds_a_planted_value(planted: World) -> None:
    assert len(set(TEXTS + NUMBERS)) == len(TEXTS + NUMBERS) > 50
    assert planted.house.settings.stores is not None
    for store, url in planted.house.settings.stores.items():
        dump = dump_of(url)
        assert found_in(dump, ["service.care", "ARREARS" if store == "cn" else "top-up"]), store
        assert dump.count(b"COPY public.") > 30, store
        assert found_in(dump, VALUES) == [], store
        stories = ["陈家明", "林晓燕", "kaming.chan", *written(MAINLAND_NUMBER), *written(HONG_KONG_NUMBER)]
        assert found_in(dump, stories) == [], store


async def test_no_log_line_and_no_meter_holds_a_planted_value(planted: World, lines: io.StringIO) -> None:
    logging.getLogger("canary").warning("something was logged")
    logged, meters = lines.getvalue(), await planted.http.get("/metrics")

    assert "something was logged" in logged
    assert found_in(logged.encode(), VALUES) == []
    assert "cdp_refusals_total" in meters.text
    assert found_in(meters.content, VALUES) == []


async def test_the_server_of_the_tests_logs_no_planted_value(planted: World) -> None:
    if SERVER in os.environ:
        pytest.skip("the log of another server is not ours to read")
    home = Path(os.environ[HOME])
    place = home / "postgres.place"
    log = (Path(place.read_text().strip()) if place.exists() else home / "postgres") / "log"

    content = log.read_bytes()

    assert b"database system is ready" in content
    assert found_in(content, VALUES) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_the_search_finds_what_is_there(encoding: str) -> None:
    for value in (TEXTS[0], TEXTS[1], NUMBERS[0]):
        raw = value.encode(encoding)
        hidden = [raw, raw.hex().encode(), raw.hex().upper().encode()]
        hidden += [base64.b64encode(b"\xfe" * n + raw + b"\xfe" * m) for n in range(3) for m in range(3)]
        hidden += [base64.urlsafe_b64encode(b"\xff" * n + raw + b"\xff") for n in range(3)]
        for n, form in enumerate(hidden):
            assert found_in(b"\\x0a " + form + b"\tz", [value]) == [value], n
        assert found_in(b" ".join(hidden), [value[::-1], value[:-2] + "ZZ"]) == []


def test_a_number_is_written_in_many_ways() -> None:
    assert {"13800138000", "+86 138 0013 8000", "138-0013-8000", "008613800138000"} <= written("+8613800138000")
    assert {"91234567", "+85291234567", "9123 4567", "00852 9123 4567".replace(" ", "", 1)} <= written("+85291234567")
