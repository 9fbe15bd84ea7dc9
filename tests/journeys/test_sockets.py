"""Sockets and event streams: what is no message, no caller or too much ends with its code, and tells nothing."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus

from tests.databases import Server
from tests.journeys.listening import PROTOCOL, TIER, Socket, connected, id_of, served, streamed
from tests.journeys.world import APP, MAINLAND_NUMBER, World, open_world

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAME: Final = 'query N($n: String!) @purpose(id: "service.care") { customer(number: $n) { formattedName } }'
LOG: Final = """mutation L($n: String!) @purpose(id: "service.care") {
  logInteraction(input: { subject: { number: $n }, channel: "APP", direction: INBOUND, reason: "x" }) {
    outcome { status } customer { tier }
  }
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(database_server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with open_world(database_server, tmp_path_factory.mktemp("sockets")) as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(world: World) -> AsyncIterator[str]:
    async with served(world) as address:
        yield address


async def asked(world: World) -> list[dict[str, Any]]:
    """What was asked so far, by whoever asked: the words of customers come into the trail of their own accord."""
    return [entry for entry in await world.entries() if entry.get("client") not in (None, "cdp")]


@pytest.mark.parametrize(
    "frame",
    [
        *("[]", "null", "1", '"connection_init"', "{}", '{"type":1}', '{"type":null}', "{", "", "[" * 200),
        *('{"type":"connection_init","payload":null}', '{"type":"connection_init","payload":[]}'),
        *(
            '{"type":"subscribe","id":"a","payload":null}',
            '{"type":"subscribe","id":"a"}',
            '{"type":"ping","payload":1}',
        ),
        *('{"type":"subscribe","id":1,"payload":{}}', '{"type":"subscribe","payload":{}}', '{"type":"complete"}'),
        *('{"type":"start","id":"1","payload":{}}', '{"type":"connection_terminate"}', b'{"type":"ping"}', b"\xff"),
        *('{"type":"ping","x":"\\ud800"}', '{"type":"subscribe","id":"","payload":{}}'),
    ],
)
@pytest.mark.parametrize("begun", [False, True], ids=["before it began", "after"])
async def test_what_is_no_message_ends_it(world: World, address: str, frame: Any, begun: bool) -> None:
    entries = len(await asked(world))
    async with connected(address, world.token() if begun else None) as socket:
        await socket.wire.send(frame)
        assert await socket.ended() == 4400
    assert len(await asked(world)) == entries


async def test_nothing_is_answered_before_it_began(world: World, address: str) -> None:
    entries = len(await asked(world))
    async with connected(address, None) as socket:
        await socket.say("ping")
        assert await socket.hear() == {"type": "pong"}
        await socket.subscribe("a", NAME, n=MAINLAND_NUMBER)
        assert await socket.ended() == 4401
    assert len(await asked(world)) == entries


async def test_it_has_to_begin_in_time(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdp.sockets.INIT_SECONDS", 0.05)
    async with connected(address, None) as socket:
        assert await socket.ended() == 4408


@pytest.mark.parametrize("claims", [{"seconds": -3600}, {"audience": "bank"}, {"issuer": "https://x.test"}])
async def test_a_token_that_is_refused_over_http_is_refused(world: World, address: str, claims: dict[str, Any]) -> None:
    for token in (world.token(APP, **claims), "x", None, 7):
        async with connected(address, None) as socket:
            await socket.say("connection_init", payload={} if token is None else {"token": token})
            assert await socket.ended() == 4403


async def test_a_token_may_come_with_the_handshake_and_ends_the_socket_when_it_ends(world: World, address: str) -> None:
    headers = {"authorization": f"Bearer {world.token(seconds=3)}"}
    async with connected(address, None, additional_headers=headers) as socket:
        await socket.say("connection_init")
        assert await socket.hear() == {"type": "connection_ack"}
        await socket.subscribe("a", TIER, id=await id_of(world))
        assert await socket.ended() == 4403


async def test_one_init_and_one_operation_of_a_name(world: World, address: str) -> None:
    async with connected(address, world.token()) as socket:
        await socket.say("connection_init", payload={"token": world.token()})
        assert await socket.ended() == 4429
    async with connected(address, world.token()) as socket:
        for _ in range(2):
            await socket.subscribe("a", TIER, id=await id_of(world))
        assert await socket.ended() == 4409


async def test_a_client_has_so_many_sockets_and_streams_and_a_socket_so_many_operations(
    world: World, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdp.streams.MOST_STREAMS", 1)
    monkeypatch.setattr("cdp.sockets.MOST_OPERATIONS", 1)
    subject = await id_of(world)
    async with connected(address, world.token()) as socket:
        await socket.subscribe("a", TIER, id=subject)
        await socket.subscribe("b", TIER, id=subject)
        told = await socket.hear()
        assert (told["id"], told["payload"][0]["extensions"]["code"]) == ("b", "TOO_MANY_OPERATIONS")
        async with connected(address, None) as other:
            await other.say("connection_init", payload={"token": world.token()})
            assert await other.ended() == 4429
        async with streamed(address, world.token(), TIER, id=subject) as events:
            assert b"TOO_MANY_STREAMS" in await events.response.aread()
        async with connected(address, world.token(APP._replace(client="other"))) as other:
            await other.say("ping")
            assert await other.hear() == {"type": "pong"}


async def test_a_frame_too_large_ends_it(address: str) -> None:
    async with connected(address, None) as socket:
        await socket.wire.send("x" * 200_000)
        assert await socket.ended() == 1009


@pytest.mark.parametrize("protocols", [["graphql-ws"], ["graphql-ws", "other"], None])
async def test_the_legacy_protocol_is_refused(world: World, address: str, protocols: list[str] | None) -> None:
    entries = len(await asked(world))
    async with connected(address, None, protocols=protocols) as socket:
        assert await socket.ended() == 4406
    assert len(await asked(world)) == entries
    async with connected(address, world.token(), protocols=["graphql-ws", PROTOCOL]) as socket:
        assert socket.wire.subprotocol == PROTOCOL


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1.evil.example"]
)
async def test_sockets_of_other_origins_are_refused(address: str, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connected(address, None, origin=origin):
            pass
    assert refused.value.response.status_code == 403


async def test_our_own_page_has_a_socket(world: World, address: str) -> None:
    async with connected(address, world.token(), origin=f"http://{address}") as socket:
        await socket.say("pong")
        await socket.say("ping")
        assert await socket.hear() == {"type": "pong"}


async def test_there_is_no_other_socket(address: str) -> None:
    response = await get(address, "/healthz")
    assert response.status_code == 403


async def get(address: str, path: str) -> httpx.Response:
    """A handshake of a WebSocket."""
    handshake = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    handshake |= {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-protocol": PROTOCOL}
    async with httpx.AsyncClient() as client:
        return await client.get(f"http://{address}{path}", headers=handshake)


async def run(socket: Socket, name: str, document: str, **variables: Any) -> list[dict[str, Any]]:
    """Whatever is told of an operation until it ends."""
    await socket.subscribe(name, document, **variables)
    told = [await socket.hear()]
    while told[-1]["type"] == "next":
        told.append(await socket.hear())
    return told


async def test_questions_and_orders_go_the_same_way_as_over_http(world: World, address: str) -> None:
    async with connected(address, world.token()) as socket:
        answer, over = await run(socket, "q", NAME, n=MAINLAND_NUMBER)
        order, _ = await run(socket, "m", LOG, n=MAINLAND_NUMBER)
        refused = [
            (await run(socket, f"{n}", document, n="x"))[0]["payload"][0]["extensions"]["code"]
            for n, document in enumerate(
                (
                    "{",
                    NAME.replace("formattedName", "fullName"),
                    NAME,
                    NAME.replace("service.care", "marketing.sms"),
                    'subscription S { customerChanged(id: "x") { customer { tier } } }',
                    'subscription S($n: String) { customerChanged(id: "x", purpose: $n) { customer { tier } } }',
                    'subscription S { customerChanged(id: "x", purpose: "service.care") { eventType } }',
                    'subscription S { customerChanged(id: "x", purpose: "marketing.sms") { customer { tier } } }',
                )
            )
        ]
    assert answer["payload"]["data"] == {"customer": {"formattedName": "陈家明"}}
    assert over == {"id": "q", "type": "complete"}
    assert order["payload"]["data"]["logInteraction"]["outcome"] == {"status": "ACCEPTED"}
    assert refused == [
        *("GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "NUMBER_INVALID", "PURPOSE_NOT_GRANTED"),
        *("PURPOSE_REQUIRED", "PURPOSE_REQUIRED", "SUBSCRIPTION_EMPTY", "PURPOSE_NOT_GRANTED"),
    ]
    assert [entry["refused"] for entry in await asked(world) if "refused" in entry][-8:] == refused


async def test_a_subscription_needs_a_stream_and_a_question_may_have_one(world: World, address: str) -> None:
    body = {"query": TIER, "variables": {"id": "x"}}
    assert (await world.post(body)).json()["errors"][0]["extensions"]["code"] == "STREAM_REQUIRED"
    async with streamed(address, world.token(), NAME, n=MAINLAND_NUMBER) as events:
        assert events.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert events.response.headers["cache-control"] == "no-store"
        told = [await events.hear() for _ in range(2)]
    assert told[0][2]["data"] == {"customer": {"formattedName": "陈家明"}}
    assert told[1] == (None, "complete", None)
    either = await world.post(
        {"query": NAME, "variables": {"n": MAINLAND_NUMBER}}, accept="application/json, text/event-stream"
    )
    assert either.headers["content-type"].startswith("application/json")
    refused = await world.post(body, None, accept="text/event-stream")
    assert (refused.status_code, json.loads(refused.content)["errors"][0]["extensions"]["code"]) == (
        401,
        "TOKEN_MISSING",
    )


async def test_a_stream_ends_with_its_token_and_its_client_comes_back(world: World, address: str) -> None:
    async with streamed(address, world.token(seconds=3), TIER, id=await id_of(world)) as events:
        begun, event, _ = await events.hear()
        assert (begun is not None, event) == (True, None)
        with pytest.raises(StopAsyncIteration):
            await events.hear()


async def test_what_is_open_is_counted(world: World, address: str) -> None:
    async with connected(address, world.token()), httpx.AsyncClient() as client:
        assert "cdp_streams_open 1.0" in (await client.get(f"http://{address}/metrics")).text
