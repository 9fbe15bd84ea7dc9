"""Subscriptions: what happens is told as it is and may be seen by then, in any process, until it ends."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.databases import Server
from tests.journeys.listening import (
    MAINLAND,
    TIER,
    connected,
    id_of,
    said,
    served,
    streamed,
    tier,
)
from tests.journeys.world import APP, HONG_KONG_NUMBER, MAINLAND_NUMBER, PARTNER, World, event, hash_of, open_world

SERVICE: Final = {"purpose": "service"}
SHARED: Final = """subscription Shared($id: ID!, $after: ID) @purpose(id: "partner.share") {
  customerChanged(id: $id, after: $after) { position eventType at customer { formattedName tier } }
}"""
AGREED: Final = {"purpose": "partner.share", "category": "identity.name", "recipient": "ACME", "kind": "SEPARATE"}
CONSENTS: Final = """subscription C($id: ID!) {
  consentChanged(id: $id, purpose: "service.care") { eventType customer { consents(first: 1) { purpose type } } }
}"""
CASES: Final = """subscription Cases($id: ID!) @purpose(id: "service.care") {
  caseChanged(id: $id) { eventType case { id caseRef status } }
}"""


@pytest.fixture
async def world(database_server: Server, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database_server, tmp_path) as world:
        yield world


async def test_what_happens_is_told_as_it_is_now_and_audited(world: World) -> None:
    subject = await id_of(world)
    async with served(world) as address, connected(address, world.token()) as socket:
        await socket.subscribe("a", TIER, id=subject)
        await listening(world, 1)
        before = len(await world.entries())
        await tier(world, "HIGH")
        told = await socket.hear()
        await socket.say("ping")
        assert await socket.hear() == {"type": "pong"}
        await socket.say("complete", id="a")
        await tier(world, "LOW")
        await socket.subscribe("a", "{ me { client } }")
        assert [(await socket.hear())["type"] for _ in range(2)] == ["next", "complete"], "the first one is over"
    change = told["payload"]["data"]["customerChanged"]
    assert (told["id"], told["type"]) == ("a", "next")
    assert change.pop("position")
    assert change == {"eventType": "CustomerTierChanged", "customer": {"tier": "HIGH", "formattedName": "陈家明"}}
    entries = (await world.entries())[before:]
    assert len(entries) > 0
    audited = {entry["document"] for entry in entries if entry.get("operation") == "subscription"}
    assert audited == {hash_of(TIER)}
    assert told["payload"]["extensions"]["privacy"]["purpose"] == "service.care"


async def listening(world: World, number: int) -> None:
    """Returns when so many subscriptions have begun: each has read once whom it is about."""
    async with asyncio.timeout(30):
        while await begun(world) < number:  # noqa: ASYNC110 - the trail is asked
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)


async def begun(world: World) -> int:
    read = [entry for entry in await world.entries() if entry.get("operation") == "subscription"]
    return len([entry for entry in read if entry["from"] == "CN"])


async def test_a_withdrawal_withholds_at_once_and_of_everything_ends_it_within_a_second(world: World) -> None:
    subject = await id_of(world)
    async with served(world) as address, connected(address, world.token(APP._replace(stores=("cn",)))) as socket:
        await socket.subscribe("a", TIER, id=subject)
        await listening(world, 1)
        await tier(world, "HIGH")
        await socket.hear()
        began = time.monotonic()
        await said(world, "ObjectionRaised", kind="RESTRICTION")
        told, over = await socket.hear(), await socket.hear()
        took = time.monotonic() - began
        await tier(world, "LOW")
        await socket.say("ping")
        assert await socket.hear() == {"type": "pong"}, "nothing comes after the end"
    customer = told["payload"]["data"]["customerChanged"]["customer"]
    assert customer == {"tier": None, "formattedName": None}
    assert {one["code"] for one in told["payload"]["extensions"]["privacy"]["withheld"]} == {"OBJECTION"}
    assert over == {"id": "a", "type": "complete"}
    assert took < 5, "a second where nobody else keeps the machine busy"


async def test_a_partner_hears_only_of_what_changes_for_them(world: World) -> None:
    await world.register(SHARED)
    await said(world, "ConsentGiven", **AGREED)
    subject = await partners_id(world)
    async with served(world) as address, connected(address, world.token(PARTNER)) as socket:
        await socket.say("subscribe", id="a", payload={"documentId": hash_of(SHARED), "variables": {"id": subject}})
        await socket.say("subscribe", id="b", payload={"query": TIER, "variables": {"id": subject}})
        assert (await socket.hear())["payload"][0]["extensions"]["code"] == "DOCUMENT_NOT_REGISTERED"
        await listening(world, 1)
        await tier(world, "HIGH")
        anew = {"name": "陈大明", "kind": "INDIVIDUAL"}
        await world.tell(event("CustomerRegistered", "CN-GD", MAINLAND, "2026-11-20T00:00:00Z", **anew))
        told = await socket.hear()
        await said(world, "ConsentWithdrawn", **AGREED)
        last, over = await socket.hear(), await socket.hear()
    change = told["payload"]["data"]["customerChanged"]
    assert (change["eventType"], change["at"], change["customer"]) == (
        None,
        None,
        {"formattedName": "陈大明", "tier": None},
    )
    assert last["payload"]["data"]["customerChanged"]["customer"] is None
    assert {one["code"] for one in last["payload"]["extensions"]["privacy"]["withheld"]} == {"WITHHELD"}
    assert over["type"] == "complete"


async def partners_id(world: World) -> str:
    document = 'query I($n: String!) @purpose(id: "partner.share") { customer(number: $n) { id formattedName } }'
    await world.register(document)
    found: str = (await world.ask(document, PARTNER, n=MAINLAND_NUMBER))["data"]["customer"]["id"]
    return found


async def test_after_a_withdrawal_a_subscription_tells_nothing(world: World) -> None:
    """To a partner it looks like one for somebody who is not there."""
    await world.register(SHARED)
    await said(world, "ConsentGiven", **AGREED)
    subject = await partners_id(world)
    await said(world, "ConsentWithdrawn", **AGREED)
    told = []
    async with served(world) as address, connected(address, world.token(PARTNER)) as socket:
        for name, one in (("a", subject), ("b", "made up")):
            await socket.say("subscribe", id=name, payload={"documentId": hash_of(SHARED), "variables": {"id": one}})
            message, over = await socket.hear(), await socket.hear()
            assert over == {"id": name, "type": "complete"}
            privacy = message["payload"]["extensions"]["privacy"]
            privacy.pop("auditId")
            message["payload"]["data"]["customerChanged"].pop("position")
            told.append(message["payload"])
    assert told[0] == told[1]
    assert told[0]["data"]["customerChanged"]["customer"] is None
    assert "陈家明" not in str(told)


async def test_either_side_of_a_link_is_heard_of(world: World) -> None:
    subject = await id_of(world)
    async with served(world) as address, connected(address, world.token()) as socket:
        await socket.subscribe("a", TIER, id=subject)
        await listening(world, 1)
        await tier(world, "HIGH", HONG_KONG_NUMBER, "HK")
        assert (await socket.hear())["payload"]["data"]["customerChanged"]["eventType"] == "CustomerTierChanged"


async def test_it_goes_on_after_a_reconnect_in_another_process(world: World) -> None:
    subject = await id_of(world)
    async with served(world) as address, connected(address, world.token()) as socket:
        await socket.subscribe("a", TIER, id=subject)
        await listening(world, 1)
        await tier(world, "HIGH")
        seen = (await socket.hear())["payload"]["data"]["customerChanged"]["position"]
    for value in ("LOW", "MIDDLE"):
        await tier(world, value)
    async with served(world) as address:
        async with streamed(address, world.token(), TIER, seen, id=subject) as events:
            begun = await events.hear()
            missed = [await events.hear() for _ in range(2)]
            await tier(world, "HIGH")
            live = await events.hear()
        async with streamed(address, world.token(), TIER, missed[0][0], id=subject) as events:
            again = [await events.hear() for _ in range(3)]
    assert begun[1:] == (None, None)
    assert [event for _, event, _ in (*missed, live)] == ["next"] * 3
    assert live[2]["data"]["customerChanged"]["customer"]["tier"] == "HIGH"
    positions = [told[2]["data"]["customerChanged"]["position"] for told in (*missed, live)]
    assert [told[0] for told in (*missed, live)] == positions
    assert len({*positions, seen}) == 4
    assert again[0][1] is None
    assert [told[1] for told in again[1:]] == ["next"] * 2


@pytest.mark.parametrize("position", ["made up", "of another client"])
async def test_a_position_that_is_none_of_theirs_is_refused(world: World, position: str) -> None:
    subject = await id_of(world)
    async with served(world) as address:
        if position == "of another client":
            async with streamed(address, world.token(APP._replace(client="other")), TIER, id=subject) as events:
                position = (await events.hear())[0] or ""
                assert position
        async with streamed(address, world.token(), TIER, position, id=subject) as events:
            assert events.response.status_code == 200
            told = await events.response.aread()
    assert b"POSITION_INVALID" in told


async def test_an_erased_customer_ends_it(world: World) -> None:
    subject = await id_of(world)
    request = {"requestRef": "r", "kind": "ERASURE"}
    await world.tell(event("PrivacyRequestOpened", "CN-GD", MAINLAND, "2026-11-02T00:00:00Z", **request))
    async with world.house.stores["cn"].read() as connection:
        request_id, customer_id = await connection.fetchrow("SELECT request_id, customer_id FROM privacy_request")
    whose, about = {"customerId": str(customer_id)}, {"requestId": str(request_id)}
    moved = [
        event("PrivacyRequestAdvanced", "CN-GD", whose, f"2026-11-03T00:00:0{n}Z", state=state) | about
        for n, state in enumerate(("VERIFIED", "IN_PROGRESS"))
    ]
    await world.tell(moved[0])
    async with served(world) as address, connected(address, world.token(APP._replace(stores=("cn",)))) as socket:
        await socket.subscribe("a", TIER, id=subject)
        await listening(world, 1)
        await world.tell(moved[1])
        told, over = await socket.hear(), await socket.hear()
    assert told["payload"]["data"]["customerChanged"]["customer"] is None
    assert over["type"] == "complete"


async def test_cases_and_words_of_consent_are_told_and_nothing_else_of_theirs(world: World) -> None:
    subject = await id_of(world)
    opened = {"caseRef": "K-1", "ticketType": "fault", "severity": "LOW", "channel": "APP"}
    async with served(world) as address, connected(address, world.token()) as socket:
        await socket.subscribe("cases", CASES, id=subject)
        await socket.subscribe("words", CONSENTS, id=subject)
        await listening(world, 2)
        await tier(world, "HIGH")
        await world.tell(event("CaseOpened", "CN-GD", MAINLAND, "2026-11-20T00:00:00Z", **opened))
        first = await socket.hear()
        await said(world, "ConsentGiven", purpose="marketing.sms")
        words = await socket.hear()
        only = first["payload"]["data"]["caseChanged"]["case"]["id"]
        before = await begun(world)
        await socket.subscribe("one", CASES, id=only)
        await listening(world, before + 1)
        await world.tell(event("CaseOpened", "CN-GD", MAINLAND, "2026-11-21T00:00:00Z", **opened | {"caseRef": "K-2"}))
        second = await socket.hear()
        await world.tell(
            event("CaseStatusChanged", "CN-GD", MAINLAND, "2026-11-22T00:00:00Z", caseRef="K-1", status="ACCEPTED")
        )
        both = [await socket.hear(), await socket.hear()]
    assert (first["id"], first["payload"]["data"]["caseChanged"]["case"]["status"]) == ("cases", "OPEN")
    told: Any = words["payload"]["data"]["consentChanged"]
    assert told == {
        "eventType": "ConsentGiven",
        "customer": {"consents": [{"purpose": "marketing.sms", "type": "GIVEN"}]},
    }
    assert (second["id"], second["payload"]["data"]["caseChanged"]["case"]["caseRef"]) == ("cases", "K-2")
    assert {message["id"] for message in both} == {"cases", "one"}
    assert [message["payload"]["data"]["caseChanged"]["case"]["status"] for message in both] == ["ACCEPTED"] * 2


async def test_who_takes_nothing_is_dropped_with_a_code_and_goes_on_from_where_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events of a customer come faster than they are read; what waits is bounded."""
    monkeypatch.setattr("cdp.news.MOST_WAITING", 4)
    subject = await id_of(world)
    async with served(world) as address, connected(address, world.token()) as socket:
        await socket.subscribe("a", TIER, id=subject)
        await listening(world, 1)
        await world.tell(
            *(
                event("CustomerTierChanged", "CN-GD", MAINLAND, f"2026-11-20T00:00:{n:02}Z", tier="LOW")
                for n in range(40)
            )
        )
        first = await socket.hear()
        assert await socket.ended() == 1013
    after = first["payload"]["data"]["customerChanged"]["position"]
    monkeypatch.undo()
    async with served(world) as address, streamed(address, world.token(), TIER, after, id=subject) as events:
        await events.hear()
        assert [(await events.hear())[1] for _ in range(39)] == ["next"] * 39
    codes = [entry["refused"] for entry in await world.entries() if "refused" in entry]
    assert codes == ["SLOW_CONSUMER"]
