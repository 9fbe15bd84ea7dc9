"""Listening: clients are answered, a signal ends it after the answers in flight, and an address is taken once."""

import asyncio
import os
import signal
from collections.abc import MutableMapping
from typing import Any

import httpx
import pytest

from cdp.errors import Unavailable
from cdp.serving import free_address, listen, run, serve, url_of

Message = MutableMapping[str, Any]


class Slow:
    """An app that answers when it is let go, and knows that it was started and ended."""

    def __init__(self) -> None:
        self.asked, self.let_go = asyncio.Event(), asyncio.Event()
        self.life: list[str] = []

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for event in ("startup", "shutdown"):
                await receive()
                self.life.append(event)
                await send({"type": f"lifespan.{event}.complete"})
            return
        self.asked.set()
        await self.let_go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"late"})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_after_the_answers_in_flight(number: signal.Signals) -> None:
    app, listening = Slow(), listen("127.0.0.1", 0)
    before = signal.getsignal(number)
    serving = asyncio.create_task(serve(app, listening))
    async with asyncio.timeout(20), httpx.AsyncClient() as client:
        answer = asyncio.create_task(client.get(url_of(listening)))
        await app.asked.wait()
        os.kill(os.getpid(), number)
        app.let_go.set()
        found = await answer
        await serving
    assert (found.text, "server" in found.headers) == ("late", False)
    assert app.life == ["startup", "shutdown"]
    assert signal.getsignal(number) == before


def test_an_address_that_is_taken_is_refused() -> None:
    with listen("127.0.0.1", 0) as first, pytest.raises(Unavailable, match="cannot listen on 127"):
        listen("127.0.0.1", first.getsockname()[1])


def test_workers_share_a_port_that_nobody_else_has() -> None:
    port = free_address("127.0.0.1", 0)
    workers = [listen("127.0.0.1", port, shared=True) for _ in range(2)]
    with pytest.raises(Unavailable, match=f"cannot listen on 127.0.0.1 port {port}"):
        free_address("127.0.0.1", port)
    for worker in workers:
        worker.close()
    assert free_address("127.0.0.1", port) == port


def test_work_runs_to_its_end_and_its_result_comes_back() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert run(work()) == 7
