"""The official SDKs, unmodified, against the whole house on a real socket."""

import asyncio
import gzip
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import uvicorn

from cdp.app import serve_house
from cdp.serving import App
from cdp.write_keys import WriteKey, new_write_key
from tests.cdp.doors import rows
from tests.journeys.npm import NpmUnavailable
from tests.journeys.sdks import SDKS, say
from tests.journeys.world import World

SAID = {f"one-{name}" for name in ("identify", "track", "page", "screen", "consent", "group", "alias")}


class Unlucky:
    """An app whose first answer is lost (503, though all was done) and whose second says to come again (429)."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.attempts: Counter[str] = Counter()
        self.told: list[dict[str, Any]] = []
        self._requests = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        self._requests += 1
        turn = self._requests
        if turn == 2:
            return await nothing(send, 429, (b"retry-after", b"1"))
        body, packed = [], any(name == b"content-encoding" for name, _ in scope["headers"])

        async def read() -> Any:
            message = await receive()
            body.append(message.get("body", b""))
            return message

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.body":
                self.told.append(json.loads(message["body"]))
            if turn > 1:
                await send(message)

        await self._app(scope, read, answer)
        text = b"".join(body)
        self.attempts.update(one["messageId"] for one in json.loads(gzip.decompress(text) if packed else text)["batch"])
        return await nothing(send, 503) if turn == 1 else None


async def nothing(send: Any, status: int, *headers: tuple[bytes, bytes]) -> None:
    """An answer without a body."""
    empty = [(b"content-length", b"0"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": empty})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def unlucky(world: World) -> Unlucky:
    return Unlucky(serve_house(world.house))


@pytest.fixture
async def url(unlucky: Unlucky) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(unlucky, log_config=None, access_log=False))
        running = asyncio.create_task(server.serve([listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await running


@pytest.mark.parametrize("sdk", SDKS)
async def test_an_sdk_is_understood_and_what_it_sends_again_counts_once(
    world: World, unlucky: Unlucky, url: str, sdk: str
) -> None:
    cn = world.house.stores["cn"]
    key = await new_write_key(cn, WriteKey("shop-app", "CN", "APP", 1000), datetime.now(UTC))
    consents = await world.rows("consent_event")
    try:
        await asyncio.to_thread(say, sdk, url, key)
    except NpmUnavailable as why:
        pytest.skip(str(why))

    assert unlucky.attempts.keys() == SAID
    assert max(unlucky.attempts.values()) >= 2
    verdicts = [verdict for told in unlucky.told for verdict in told["verdicts"]]
    states = Counter((verdict["messageId"], verdict["status"]) for verdict in verdicts)
    refused = {"one-group", "one-alias"}
    assert {name for name, state in states if state == "rejected"} == refused
    assert {name for name, state in states if state == "accepted"} == SAID - refused
    assert {count for (_, state), count in states.items() if state == "accepted"} == {1}
    assert any(state == "duplicate" for _, state in states)

    logged = await rows(cn, "interaction", "reason IN ('Order Completed', 'page Home', 'screen Plans')")
    assert len(logged) == 3
    assert all(abs((row["at"] - datetime.now(UTC)).total_seconds()) < 120 for row in logged)
    assert await world.rows("consent_event") == consents + 1
    assert await world.rows("dead_letter") == 2
    assert await rows(cn, "customer", "email_at = named_at AND kind = 'INDIVIDUAL' AND profile_at < '1971-01-01'")
