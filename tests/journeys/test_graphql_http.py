"""The public audit suite of GraphQL over HTTP, against the front door on a real socket, a small schema behind it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from graphql import GraphQLError, GraphQLSchema, build_schema, execute_sync, validate

from cdp.app import Parts, create_app
from cdp.auth import Caller
from cdp.endpoint import Door
from cdp.exchange import Answer, GraphqlRequest
from schema.plan.limits import Limits, parse_limited, reads_schema_only
from tests.journeys.audits import AuditsUnavailable, run_audits

SCHEMA: GraphQLSchema = build_schema("type Query { hello: String }")


async def answer(request: GraphqlRequest, _: Caller) -> Answer:
    try:
        document = parse_limited(request.query or "", Limits())
        errors = validate(SCHEMA, document)
    except GraphQLError as error:
        errors = [error]
    if errors:
        return Answer(400, json.dumps({"errors": [error.formatted for error in errors]}).encode())
    result = execute_sync(
        SCHEMA, document, variable_values=dict(request.variables), operation_name=request.operation_name
    )
    body = {name: value for name, value in result.formatted.items() if value is not None}
    return Answer(200 if "data" in body else 400, json.dumps(body).encode())


async def verify(_: str) -> Caller:
    return Caller("auditor")


async def refused(_: Caller, __: str) -> None:
    return


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = create_app(Parts(Door(verify, answer, refused, lambda query: reads_schema_only(query, Limits())), {}))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        running = asyncio.create_task(server.serve([listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/graphql"
        server.should_exit = True
        await running


async def test_every_audit_passes(url: str) -> None:
    try:
        failures = await asyncio.to_thread(run_audits, url, "any")
    except AuditsUnavailable as why:
        pytest.skip(str(why))
    assert failures == []
