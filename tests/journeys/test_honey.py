"""A customer who is nobody, over HTTP: whoever is shown one is stopped, everywhere, until an officer lifts that."""

import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import structlog

from cdp.app import front_door, serve_house
from cdp.auth import Caller, Role
from cdp.errors import AuthError, RequestInvalid
from cdp.exchange import GraphqlRequest
from cdp.identity.honey import lift_suspension, mark_honey, suspended_clients
from cdp.logs import configure_logs
from cdp.officer.exports import What
from cdp.officer_commands import exported
from privacy.vocabulary import PURPOSES
from tests.databases import Server
from tests.journeys.world import APP, HONG_KONG_NUMBER, MAINLAND_NUMBER, PARTNER, World, event, hash_of, open_world

PURPOSE: Final = '@purpose(id: "service.care")'
BY_NUMBER: Final = f"query N($number: String!) {PURPOSE} {{ customer(number: $number) {{ formattedName }} }}"
BY_KEY: Final = f"""query K($key: String!) {PURPOSE} {{
  customer(identifier: {{ kind: CUSTOMER_KEY, value: $key }}) {{ formattedName }}
}}"""
LISTED: Final = (
    f'query L {PURPOSE} {{ customers(where: {{ region: "CN-GD" }}, first: 50) {{ edges {{ node {{ email }} }} }} }}'
)
IDS_ALONE: Final = f'query I {PURPOSE} {{ customers(where: {{ region: "CN-GD" }}) {{ edges {{ node {{ id }} }} }} }}'
SHARED: Final = BY_KEY.replace("service.care", "partner.share")
LOG: Final = f"""mutation L($key: String!) {PURPOSE} {{
  logInteraction(input: {{
    subject: {{ customerKey: $key }}, region: "CN-GD", channel: "A", direction: INBOUND, reason: "x"
  }}) {{ customer {{ formattedName }} }} }}"""
WHY: Final = """query W($key: String!) @purpose(id: "legal.audit") {
  consentTimeline(customer: { customerKey: $key }, region: "CN-GD") { type } }"""
NAME, KEY, NUMBER = "蜜罐先生", "HONEY-1", "+8613712349999"
OFFICER: Final = Caller("officers", purposes=frozenset(PURPOSES), stores=("cn", "hk"), role=Role.OFFICER, actor="o 1")
SECOND: Final = APP._replace(client="other-app")


@pytest.fixture
async def world(database_server: Server, tmp_path: Path) -> AsyncIterator[World]:
    key = {"customerKey": KEY}
    trap = [
        event("CustomerRegistered", "CN-GD", key, "2026-01-01T00:00:00Z", name=NAME, kind="INDIVIDUAL", email="h@x.cn"),
        event("NumberActivated", "CN-GD", key, "2026-01-02T00:00:00Z", number=NUMBER),
    ]
    async with open_world(database_server, tmp_path, trap) as world:
        await world.register(BY_NUMBER, BY_KEY, SHARED)
        await mark_honey(world.house, ("customerKey", KEY, "CN-GD"), datetime.now(UTC), honey=True)
        await begin(world)
        yield world


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers, root.level
    configure_logs("INFO", stream)
    yield stream
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def begin(world: World) -> None:
    """A process over the same stores takes the place of the one before; it knows of them what they hold now."""
    app, said = serve_house(world.house), [{"type": "lifespan.shutdown"}, {"type": "lifespan.startup"}]

    async def receive() -> dict[str, Any]:
        return said.pop()

    async def send(message: Any) -> None:
        assert message["type"].endswith(".complete")

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    await world.http.aclose()
    world.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cdp.test")


async def stopped(world: World, document: str, caller: Caller = APP, /, **variables: Any) -> None:
    """The client is refused, is told nothing of why, and nothing is written but that."""
    entries, counts = len(await world.entries()), await world.counts()
    named = {"documentId": hash_of(document)} if caller.partner else {"query": document}
    response = await world.post(named | {"variables": variables}, caller)
    told = response.json()
    assert (response.status_code, told["errors"][0]["extensions"]["code"]) == (403, "CLIENT_SUSPENDED")
    assert "data" not in told
    assert [word for word in ("honey", "Honey", NAME, KEY, "陈家明", "example") if word in response.text] == []
    made = (await world.entries())[entries:]
    assert made[-1]["refused"] == "CLIENT_SUSPENDED"
    assert [word for word in (NAME, KEY, NUMBER[3:]) if word in json.dumps(made, ensure_ascii=False)] == []
    after = await world.counts()
    assert {name for name in after if after[name] != counts[name]} <= {"suspended_client"}


WAYS: Final = {
    "by number": (BY_NUMBER, {"number": NUMBER}, APP),
    "by key": (BY_KEY, {"key": KEY}, APP),
    "in a list": (LISTED, {}, APP),
    "by an officer": (WHY, {"key": KEY}, OFFICER),
}


@pytest.mark.parametrize("way", WAYS)
async def test_whoever_is_shown_one_is_stopped(world: World, lines: io.StringIO, way: str) -> None:
    document, variables, caller = WAYS[way]
    assert await suspended_clients(world.house.stores) == []
    await stopped(world, document, caller, **variables)

    assert {(store, client) for store, client, _ in await suspended_clients(world.house.stores)} == {
        ("cn", caller.client),
        ("hk", caller.client),
    }
    [alarm] = [entry for entry in await world.entries() if entry.get("operation") == "alarm"]
    assert (alarm["client"], len(alarm["customer"])) == (caller.client, 32)
    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    [alarmed] = [line for line in logged if line["event"] == "honey customer opened"]
    assert (alarmed["level"], alarmed["client"], alarmed["store"]) == ("error", caller.client, "cn")
    meters = (await world.http.get("/metrics")).text
    assert "cdp_honey_opened_total 1.0" in meters
    assert 'cdp_refusals_total{code="CLIENT_SUSPENDED"} 1.0' in meters


async def test_an_officer_s_export_by_a_command_is_stopped_like_a_question(world: World) -> None:
    async def timeline(number: str) -> list[Any]:
        asked = {"who": {"number": number}, "region": "CN-GD", "skip": 0}
        return [row async for row in exported(world.house, OFFICER, What.TIMELINE, asked)]

    await timeline(MAINLAND_NUMBER)
    with pytest.raises(AuthError, match="suspended"):
        await timeline(NUMBER)
    assert {client for _, client, _ in await suspended_clients(world.house.stores)} == {OFFICER.client}
    with pytest.raises(AuthError, match="suspended"):
        await timeline(MAINLAND_NUMBER)


async def test_a_stopped_client_gets_nothing_more_in_any_process_and_others_go_on(world: World) -> None:
    ok = (await world.ask(BY_NUMBER, SECOND, number=MAINLAND_NUMBER))["data"]
    audit_id = (await world.ask(BY_NUMBER, number=MAINLAND_NUMBER))["extensions"]["privacy"]["auditId"]
    await stopped(world, BY_KEY, key=KEY)
    for _ in range(2):
        for document, variables in (
            (BY_NUMBER, {"number": MAINLAND_NUMBER}),
            ("{ me { client } }", {}),
            (LOG, {"key": KEY}),
        ):
            await stopped(world, document, **variables)
        proof = await world.http.get(f"/audit/{audit_id}/proof", headers={"authorization": f"Bearer {world.token()}"})
        assert (proof.status_code, proof.json()["errors"][0]["extensions"]["code"]) == (403, "CLIENT_SUSPENDED")
        assert (await world.ask(BY_NUMBER, SECOND, number=MAINLAND_NUMBER))["data"] == ok
        await begin(world)


async def test_a_process_learns_within_its_next_look_what_another_one_found(world: World) -> None:
    front = front_door(world.house)
    asked = GraphqlRequest(query=BY_NUMBER, variables={"number": MAINLAND_NUMBER})
    assert (await front.answer(asked, APP)).status == 200
    await stopped(world, BY_KEY, key=KEY)
    await front.watch.look(world.house.stores["hk"])
    with pytest.raises(AuthError, match="suspended"):
        await front.answer(asked, APP)
    await lift_suspension(world.house, APP.client)
    await front.watch.look(world.house.stores["hk"])
    assert (await front.answer(asked, APP)).status == 200


async def test_it_is_lifted_by_name_and_written_down(world: World) -> None:
    await stopped(world, BY_KEY, key=KEY)
    with pytest.raises(RequestInvalid, match="suspended"):
        await lift_suspension(world.house, "nobody")
    await lift_suspension(world.house, APP.client)
    assert await suspended_clients(world.house.stores) == []
    lifted = [entry for entry in await world.entries() if entry.get("operation") == "lift"]
    assert [entry["lifted"] for entry in lifted] == [APP.client] * 2
    await begin(world)
    assert (await world.ask(BY_NUMBER, number=MAINLAND_NUMBER))["data"]["customer"]["formattedName"] == "陈家明"
    await stopped(world, BY_KEY, key=KEY)


async def test_what_shows_nothing_opens_nothing(world: World) -> None:
    """An id in a list, a partner who is told nothing either way, a number that is nobody's, one who is not marked."""
    await world.ask(IDS_ALONE)
    acme = await world.ask(SHARED, PARTNER, key=KEY)
    nobody = await world.ask(SHARED, PARTNER, key="NOBODY")
    assert acme["data"] == nobody["data"] == {"customer": None}
    await world.ask(BY_NUMBER, number=HONG_KONG_NUMBER)
    await mark_honey(world.house, ("number", NUMBER, "CN-GD"), datetime.now(UTC), honey=False)
    await begin(world)
    assert (await world.ask(BY_KEY, key=KEY))["data"]["customer"]["formattedName"] == NAME
    assert await suspended_clients(world.house.stores) == []


async def test_a_partner_who_may_see_one_is_stopped_and_not_told_why(world: World) -> None:
    agreed = {"purpose": "partner.share", "recipient": "ACME", "kind": "SEPARATE"}
    await world.tell(event("ConsentGiven", "CN-GD", {"customerKey": KEY}, "2026-10-30T08:00:00Z", **agreed))
    await stopped(world, SHARED, PARTNER, key=KEY)
    await stopped(world, SHARED, PARTNER, key="NOBODY")


async def test_who_is_marked_is_written_down_and_must_be_somebody(world: World) -> None:
    marked = [entry for entry in await world.entries() if entry.get("operation") == "honey"]
    assert [(entry["client"], entry["marked"]) for entry in marked] == [("command line", True)]
    with pytest.raises(RequestInvalid, match="identifier that a customer has"):
        await mark_honey(world.house, ("customerKey", "NOBODY", "CN-GD"), datetime.now(UTC), honey=True)
    assert await world.rows("honey") == 1
