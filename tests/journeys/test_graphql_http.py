"""The public audit suite of GraphQL over HTTP, against the whole house on a real socket."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn

from cdp.app import serve_house
from tests.journeys.audits import run_audits
from tests.journeys.npm import NpmUnavailable
from tests.journeys.world import World


@pytest.fixture
async def url(world: World) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(serve_house(world.house), log_config=None, access_log=False))
        running = asyncio.create_task(server.serve([listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/graphql"
        server.should_exit = True
        await running


async def test_every_audit_passes(url: str, world: World) -> None:
    try:
        failures = await asyncio.to_thread(run_audits, url, world.token())
    except NpmUnavailable as why:
        pytest.skip(str(why))
    assert failures == []
