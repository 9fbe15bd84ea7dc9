"""The floor: the least a Python server can do with this database. One prepared statement returns the finished JSON,
which is passed through. No token, no limits, no GraphQL, nothing opened, no consent, no audit.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import asyncpg
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.floor_sql import LOOKUP, OTHER_STORE, PROFILE, REGION, TWO_STORES
from cdp.serving import listen, multiply

POOL_SIZE: Final = 10
"""As many connections a store as every other contestant has."""
NOBODY: Final = '{"data":{"customer":null}}'
SESSION: Final = {"plan_cache_mode": "force_generic_plan", "jit": "off"}


async def _keep_session(_: asyncpg.Connection) -> None:
    """asyncpg's own reset between two requests costs a round trip; nothing here changes the session."""


async def open_pool(store: str) -> asyncpg.Pool:
    """The connections to a store, whose URL stands in the environment."""
    return await asyncpg.create_pool(
        os.environ[f"BENCH_{store.upper()}"],
        min_size=POOL_SIZE,
        max_size=POOL_SIZE,
        max_inactive_connection_lifetime=0,
        reset=_keep_session,
        max_cached_statement_lifetime=0,
        server_settings=SESSION,
    )


@asynccontextmanager
async def _open(app: Starlette) -> AsyncIterator[None]:
    async with await open_pool("cn") as app.state.cn, await open_pool("hk") as app.state.hk:
        yield


async def _variables(request: Request) -> dict[str, Any]:
    variables: dict[str, Any] = json.loads(await request.body())["variables"]
    return variables


def _answer(text: str | None) -> Response:
    return Response(text or NOBODY, media_type="application/json")


async def profile(request: Request) -> Response:
    tag = bytes.fromhex((await _variables(request))["number"])
    return _answer(await request.app.state.cn.fetchval(PROFILE, tag))


async def lookup(request: Request) -> Response:
    tag = bytes.fromhex((await _variables(request))["number"])
    return _answer(await request.app.state.cn.fetchval(LOOKUP, tag))


async def customers_of_region(request: Request) -> Response:
    variables = await _variables(request)
    after = variables.get("after")
    return _answer(await request.app.state.cn.fetchval(REGION, variables["region"], after and UUID(after)))


async def two_store(request: Request) -> Response:
    """Both records side by side, not joined."""
    tag = bytes.fromhex((await _variables(request))["number"])
    found = await request.app.state.cn.fetchrow(TWO_STORES, tag)
    if found is None:
        return _answer(None)
    other = await request.app.state.hk.fetchval(OTHER_STORE, found[1]) if found[1] else None
    return _answer(f'{{"data":{{"customer":{found[0]},"other":{other or "null"}}}}}')


app = Starlette(
    lifespan=_open,
    routes=[
        Route("/profile", profile, methods=["POST"]),
        Route("/document", profile, methods=["POST"]),
        Route("/lookup", lookup, methods=["POST"]),
        Route("/customers_of_region", customers_of_region, methods=["POST"]),
        Route("/two_store", two_store, methods=["POST"]),
    ],
)


def serve(application: Any) -> None:
    """Serves an ASGI app on the loopback port of the environment, on uvicorn with uvloop and httptools.

    Several processes share the port as those of `cdp serve` do: of one socket for all, one would take most.
    """
    port, workers = int(os.environ["BENCH_PORT"]), int(os.environ["BENCH_WORKERS"])
    if workers > 1 and not multiply(workers):
        return
    config = uvicorn.Config(
        application, loop="uvloop", http="httptools", ws="none", access_log=False, log_level="warning"
    )
    with listen("127.0.0.1", port, shared=workers > 1) as listening:
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    serve(app)
