"""Webhooks: told in order, signed, once more after a failure, and never more than the recipient may see by then."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from standardwebhooks import Webhook

from cdp.app import courier_of
from cdp.demo.cast import STILL_OFF_NUMBER
from cdp.documents import register_document
from cdp.outbox import START
from cdp.positions import places_in
from cdp.webhooks.courier import Courier
from cdp.webhooks.endpoints import Endpoint, add_endpoint, enable, endpoint_rows, new_secret, rewind
from privacy.vocabulary import RecipientClass
from tests.databases import Server
from tests.journeys.world import MAINLAND_NUMBER, World, event, hash_of, open_world

OWN: Final = 'query Own($id: ID!) @purpose(id: "service.care") { customer(id: $id) { tier interactions { reason } } }'
SHARED: Final = 'query S($id: ID!) @purpose(id: "partner.share") { customer(id: $id) { formattedName tier } }'
MAINLAND: Final = {"number": MAINLAND_NUMBER}
AGREED: Final = {"purpose": "partner.share", "category": "identity.name", "recipient": "ACME", "kind": "SEPARATE"}
SECONDS: Final = 60.0


@dataclass
class Receiver:
    """Takes messages on this machine; `answers` are the statuses of the next ones, then 200."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    tried: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    secret: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()[1:-1]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.tried.append((headers, body))
        status = self.answers.pop(0) if self.answers else 200
        if status == 200:
            self.taken.append(Webhook(self.secret).verify(body, headers))
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n".encode())
        writer.close()

    @property
    def reasons(self) -> list[str]:
        """The newest reason of a contact that each message told."""
        told = [message["data"]["answer"]["data"]["customer"]["interactions"] for message in self.taken]
        return [contacts[0]["reason"] for contacts in told]


@pytest.fixture
async def world(database_server: Server, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database_server, tmp_path, webhook_private=True) as world:
        yield world


@pytest.fixture
async def courier(world: World) -> AsyncIterator[Courier]:
    courier = courier_of(world.house)
    yield courier
    await courier.close()


@pytest.fixture
async def listening() -> AsyncIterator[Callable[[], Awaitable[Receiver]]]:
    servers = []

    async def listen() -> Receiver:
        receiver = Receiver()
        server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
        servers.append(server)
        receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        return receiver

    yield listen
    for server in servers:
        server.close()


async def add(world: World, receiver: Receiver, entity: str = "SELF", *types: str, source: str = "") -> UUID:
    """Tells a receiver of some events from now on, the operator's own one of contacts."""
    house, source = world.house, source or (OWN if entity == "SELF" else SHARED)
    kind = RecipientClass.SELF if entity == "SELF" else RecipientClass.THIRD_PARTY
    digest = await register_document(house.stores.values(), "told", source, datetime.now(UTC))
    endpoint_id, purpose = uuid4(), "service.care" if entity == "SELF" else "partner.share"
    receiver.secret, sealed = new_secret(house.tokens, endpoint_id)
    events = frozenset(types or ("InteractionLogged",))
    stores = ("cn", "hk")
    made = Endpoint(endpoint_id, receiver.url, f"hook-{entity}", entity, kind, purpose, digest, stores, events, sealed)
    for name in stores:
        async with house.stores[name].transaction() as connection:
            await add_endpoint(connection, made, datetime.now(UTC))
    return endpoint_id


async def contact(world: World, reason: str, number: str = MAINLAND_NUMBER) -> None:
    at = datetime.now(UTC).isoformat()
    fields = {"interactionRef": reason, "channel": "APP", "direction": "INBOUND", "reason": reason}
    await world.tell(event("InteractionLogged", "CN-GD", {"number": number}, at, **fields) | {"eventId": reason})


async def told(world: World, courier: Courier, done: Callable[[], bool]) -> None:
    """Tells what is due until it is done: what others in the server have under way is waited for."""
    async with asyncio.timeout(SECONDS):
        while not done():
            for store in world.house.stores.values():
                await courier.tell(store)
            await asyncio.sleep(0.01)


async def row(world: World, endpoint_id: UUID, store: str = "cn") -> Any:
    async with world.house.stores[store].read() as connection:
        (found,) = [one for one in await endpoint_rows(connection) if one["endpoint_id"] == endpoint_id]
    return found


async def test_what_happens_is_told_in_order_signed_and_audited(
    world: World, courier: Courier, listening: Callable[[], Awaitable[Receiver]]
) -> None:
    receiver = await listening()
    await add(world, receiver)
    for n in range(5):
        await contact(world, f"c-{n}")
    await told(world, courier, lambda: len(receiver.taken) == 5)

    messages = receiver.taken
    assert receiver.reasons == ["c-4"] * 5, "each says how it is when it is told"
    assert {message["type"] for message in messages} == {"InteractionLogged"}
    assert [message["timestamp"] for message in messages] == sorted({message["timestamp"] for message in messages})
    (same_id,) = {message["data"]["id"] for message in messages}
    node = 'query N($id: ID!) @purpose(id: "service.care") { customer(id: $id) { formattedName } }'
    assert (await world.ask(node, id=same_id))["data"]["customer"]["formattedName"] == "陈家明"
    assert len({headers["webhook-id"] for headers, _ in receiver.tried}) == 5
    entries = [entry for entry in await world.entries() if entry.get("client") == "hook-SELF"]
    audited = {message["data"]["answer"]["extensions"]["privacy"]["auditId"] for message in messages}
    assert len(audited) == 5
    assert {(entry["document"], entry["purpose"]) for entry in entries} == {(hash_of(OWN), "service.care")}
    text = json.dumps([headers for headers, _ in receiver.tried])
    assert MAINLAND_NUMBER[3:] not in text


async def test_a_partner_is_told_what_the_customer_lets_them_see_at_that_moment(
    world: World, courier: Courier, listening: Callable[[], Awaitable[Receiver]]
) -> None:
    receiver = await listening()
    endpoint_id = await add(world, receiver, "ACME")
    await contact(world, "before")
    await passed(world, courier, endpoint_id, skipped=1)
    assert receiver.tried == [], "nothing was agreed to"

    await world.tell(event("ConsentGiven", "CN-GD", MAINLAND, "2026-11-02T00:00:00Z", **AGREED))
    await contact(world, "agreed")
    await told(world, courier, lambda: len(receiver.taken) == 1)
    answer = receiver.taken[0]["data"]["answer"]
    assert answer["data"] == {"customer": {"formattedName": "陈家明", "tier": None}}
    assert {one["code"] for one in answer["extensions"]["privacy"]["withheld"]} == {"WITHHELD"}

    await contact(world, "written while they agreed")
    await world.tell(event("ConsentWithdrawn", "CN-GD", MAINLAND, "2026-11-03T00:00:00Z", **AGREED))
    await passed(world, courier, endpoint_id, skipped=2)
    assert len(receiver.tried) == 1, "what was agreed to when it happened does not count"
    entries = [entry for entry in await world.entries() if entry.get("recipient") == "ACME" and entry["from"] == "CN"]
    assert [bool(int(entry["customers"][0]["allowed"], 16)) for entry in entries] == [False, True, False]


async def passed(world: World, courier: Courier, endpoint_id: UUID, *, skipped: int) -> None:
    """Tells until so many messages were left out."""
    async with asyncio.timeout(SECONDS):
        while (await row(world, endpoint_id))["skipped"] < skipped:
            await courier.tell(world.house.stores["cn"])
            await asyncio.sleep(0.01)


async def test_what_fails_is_tried_again_and_holds_up_only_its_own(
    world: World, courier: Courier, listening: Callable[[], Awaitable[Receiver]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdp.webhooks.courier.FIRST_RETRY", timedelta(0))
    failing, steady = await listening(), await listening()
    failing.answers = [500, 302, 429]
    for receiver in (failing, steady):
        await add(world, receiver)
    for n in range(3):
        await contact(world, f"c-{n}")
    await told(world, courier, lambda: len(failing.taken) == len(steady.taken) == 3)

    ids = [headers["webhook-id"] for headers, _ in failing.tried]
    assert ids[0] == ids[1] == ids[2] == ids[3], "nothing comes before what failed"
    assert len(ids) == 6
    assert len(set(ids)) == 3
    assert len(steady.tried) == 3
    assert not set(ids) & {headers["webhook-id"] for headers, _ in steady.tried}


async def test_an_endpoint_that_fails_for_three_days_is_disabled_and_goes_on_when_it_is_enabled(
    world: World, courier: Courier, listening: Callable[[], Awaitable[Receiver]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdp.webhooks.courier.FIRST_RETRY", timedelta(0))
    receiver = await listening()
    receiver.answers = [503] * 1000
    endpoint_id = await add(world, receiver)
    await contact(world, "c-0")
    await told(world, courier, lambda: len(receiver.tried) >= 2)
    assert ((one := await row(world, endpoint_id))["state"], one["reason"]) == ("ACTIVE", None)

    async with world.house.stores["cn"].transaction() as connection:
        await connection.execute("UPDATE webhook_position SET failing_since = failing_since - interval '3 days'")
    async with asyncio.timeout(SECONDS):
        while (await row(world, endpoint_id))["state"] == "ACTIVE":
            await courier.tell(world.house.stores["cn"])
    tried = len(receiver.tried)
    await courier.tell(world.house.stores["cn"])
    assert len(receiver.tried) == tried
    assert (await row(world, endpoint_id))["reason"] == "answered 503"
    assert b'cdp_webhooks{state="DISABLED",store="cn"} 1.0' in (await world.http.get("/metrics")).content
    receiver.answers.clear()
    async with world.house.stores["cn"].transaction() as connection:
        await enable(connection, endpoint_id, datetime.now(UTC))
    await told(world, courier, lambda: len(receiver.taken) == 1)


async def test_an_endpoint_that_is_gone_is_disabled_at_once(
    world: World, courier: Courier, listening: Callable[[], Awaitable[Receiver]]
) -> None:
    receiver = await listening()
    receiver.answers = [410]
    endpoint_id = await add(world, receiver)
    await contact(world, "c-0")
    await told(world, courier, lambda: len(receiver.tried) == 1)
    assert (await row(world, endpoint_id))["state"] == "DISABLED"


async def test_what_was_told_is_told_again_from_a_position(
    world: World, courier: Courier, listening: Callable[[], Awaitable[Receiver]]
) -> None:
    receiver = await listening()
    endpoint_id = await add(world, receiver)
    for n, number in enumerate((MAINLAND_NUMBER, STILL_OFF_NUMBER, MAINLAND_NUMBER)):
        await contact(world, f"c-{n}", number)
        await told(world, courier, lambda n=n: len(receiver.taken) == n + 1)  # type: ignore[misc]  # a default
    first = receiver.taken[0]["data"]["position"]
    (store, place), *_ = places_in(world.house.tokens, f"webhook:{endpoint_id}", first).items()
    async with world.house.stores[store].transaction() as connection:
        await rewind(connection, endpoint_id, place, datetime.now(UTC))
    await told(world, courier, lambda: len(receiver.taken) == 5)
    ids = [headers["webhook-id"] for headers, _ in receiver.tried]
    assert set(ids[3:]) == set(ids[1:3])
    async with world.house.stores[store].transaction() as connection:
        await rewind(connection, endpoint_id, START, datetime.now(UTC))
    await told(world, courier, lambda: set(ids) <= {headers["webhook-id"] for headers, _ in receiver.tried[5:]})


async def test_two_workers_share_what_is_to_be_told(
    world: World, courier: Courier, listening: Callable[[], Awaitable[Receiver]]
) -> None:
    receiver, other = await listening(), courier_of(world.house)
    await add(world, receiver)
    for n in range(10):
        await contact(world, f"c-{n}", (MAINLAND_NUMBER, STILL_OFF_NUMBER)[n % 2])
    async with asyncio.timeout(SECONDS):
        while len(receiver.taken) < 10:
            await asyncio.gather(*(one.tell(world.house.stores["cn"]) for one in (courier, other)))
    await other.close()
    assert len(receiver.tried) == 10, "nothing was told twice"


async def test_who_dies_while_telling_is_followed_by_another(
    world: World, courier: Courier, listening: Callable[[], Awaitable[Receiver]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message was taken, and nobody kept that it was: it comes once more, before all that follow it."""
    monkeypatch.setattr("cdp.webhooks.endpoints.LEASE", timedelta(seconds=3))
    receiver, store = await listening(), world.house.stores["cn"]
    await add(world, receiver)
    for n in range(3):
        await contact(world, f"c-{n}")

    async def die(*_: Any) -> bool:
        raise asyncio.CancelledError

    with monkeypatch.context() as dying:
        dying.setattr("cdp.webhooks.courier.keep", die)
        await told(world, courier, lambda: len(receiver.taken) == 1)
        other = courier_of(world.house)
        await other.tell(store)
        assert len(receiver.tried) == 1, "whoever had it may still be at it"
    await told(world, other, lambda: len(receiver.taken) == 4)
    await other.close()
    ids = [headers["webhook-id"] for headers, _ in receiver.tried]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


async def test_an_erased_customer_is_told_of_to_nobody(
    world: World, courier: Courier, listening: Callable[[], Awaitable[Receiver]]
) -> None:
    receiver = await listening()
    endpoint_id = await add(world, receiver, "SELF", "PrivacyRequestAdvanced")
    request = {"requestRef": "r", "kind": "ERASURE"}
    await world.tell(event("PrivacyRequestOpened", "CN-GD", MAINLAND, "2026-11-02T00:00:00Z", **request))
    async with world.house.stores["cn"].read() as connection:
        request_id, customer_id = await connection.fetchrow("SELECT request_id, customer_id FROM privacy_request")
    for n, state in enumerate(("VERIFIED", "IN_PROGRESS")):
        moved = {"requestId": str(request_id), "state": state}
        whose = {"customerId": str(customer_id)}
        await world.tell(event("PrivacyRequestAdvanced", "CN-GD", whose, f"2026-11-03T00:00:0{n}Z", **moved))
    await passed(world, courier, endpoint_id, skipped=1)
    assert receiver.taken == []
