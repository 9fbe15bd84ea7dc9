"""The house on a port for tests, and clients that listen to it: over a WebSocket, and by server-sent events."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from cdp.app import serve_house
from cdp.auth import Caller
from cdp.serving import listen, serve
from tests.journeys.world import APP, MAINLAND_NUMBER, World, event, hash_of

PROTOCOL: Final = "graphql-transport-ws"
SECONDS: Final = 30.0
MAINLAND: Final = {"number": MAINLAND_NUMBER}
TIER: Final = """subscription Tier($id: ID!, $after: ID) @purpose(id: "service.care") {
  customerChanged(id: $id, after: $after) { position eventType customer { tier formattedName } }
}"""
ID: Final = 'query I($n: String!) @purpose(id: "service.care") { customer(number: $n) { id } }'


@asynccontextmanager
async def served(world: World) -> AsyncIterator[str]:
    """The address of a server of the world's house, such as `127.0.0.1:4711`."""
    listening = listen("127.0.0.1", 0)
    host, port = listening.getsockname()
    serving = asyncio.create_task(serve(serve_house(world.house), listening))
    try:
        yield f"{host}:{port}"
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        await serving


@dataclass
class Socket:
    """A client of the protocol."""

    wire: ClientConnection

    async def say(self, kind: str, **members: Any) -> None:
        await self.wire.send(json.dumps({"type": kind} | members))

    async def hear(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(SECONDS):
            told: dict[str, Any] = json.loads(await self.wire.recv())
        return told

    async def subscribe(self, name: str, document: str, **variables: Any) -> None:
        await self.say("subscribe", id=name, payload={"query": document, "variables": variables})

    async def ended(self) -> int:
        """The code it was closed with; whatever came before is skipped."""
        with suppress(ConnectionClosed):
            async with asyncio.timeout(SECONDS):
                while True:
                    await self.wire.recv()
        assert self.wire.close_code is not None
        return self.wire.close_code


@asynccontextmanager
async def connected(address: str, token: str | None, **options: Any) -> AsyncIterator[Socket]:
    """A socket; acknowledged already where there is a token."""
    async with connect(f"ws://{address}/graphql", subprotocols=options.pop("protocols", [PROTOCOL]), **options) as wire:
        socket = Socket(wire)
        if token is not None:
            await socket.say("connection_init", payload={"token": token})
            assert await socket.hear() == {"type": "connection_ack"}
        yield socket


@dataclass
class Events:
    """An event stream, event by event: (id, event, data)."""

    response: httpx.Response
    lines: AsyncIterator[str]

    async def hear(self) -> tuple[str | None, str | None, Any]:
        """The next event; comments are skipped. Raises StopAsyncIteration where the stream ends."""
        found: dict[str, str] = {}
        async with asyncio.timeout(SECONDS):
            while True:
                line = await anext(self.lines)
                if not line and found:
                    break
                if line and not line.startswith(":"):
                    name, _, value = line.partition(":")
                    found[name] = value.removeprefix(" ")
        data = json.loads(found["data"]) if found.get("data") else None
        return found.get("id"), found.get("event"), data


@asynccontextmanager
async def streamed(
    address: str, token: str, document: str, /, last: str | None = None, **variables: Any
) -> AsyncIterator[Events]:
    """A subscription by server-sent events, after the event with the id `last`."""
    headers = {"authorization": f"Bearer {token}", "accept": "text/event-stream"}
    headers |= {} if last is None else {"last-event-id": last}
    body = {"query": document, "variables": variables}
    async with (
        httpx.AsyncClient(timeout=SECONDS) as client,
        client.stream("POST", f"http://{address}/graphql", json=body, headers=headers) as response,
    ):
        yield Events(response, response.aiter_lines())


async def id_of(world: World, number: str = MAINLAND_NUMBER, caller: Caller = APP) -> str:
    found: str = (await world.ask(ID, caller, n=number))["data"]["customer"]["id"]
    return found


async def tier(world: World, value: str, number: str = MAINLAND_NUMBER, region: str = "CN-GD") -> None:
    """Something happens to a customer."""
    at = datetime.now(UTC).isoformat()
    await world.tell(event("CustomerTierChanged", region, {"number": number}, at, tier=value))


async def said(world: World, name: str, number: str = MAINLAND_NUMBER, **scope: Any) -> None:
    """A customer says something about the use of their data, now."""
    region = "HK" if number.startswith("+852") else "CN-GD"
    await world.tell(event(name, region, {"number": number}, datetime.now(UTC).isoformat(), **scope))


__all__ = [
    "ID",
    "MAINLAND",
    "PROTOCOL",
    "SECONDS",
    "TIER",
    "Events",
    "Socket",
    "connected",
    "hash_of",
    "id_of",
    "said",
    "served",
    "streamed",
    "tier",
]
