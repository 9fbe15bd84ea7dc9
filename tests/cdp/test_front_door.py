"""The app over ASGI with a fake answer: what reaches it, what is refused before it, and what every response carries."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx
import pytest

from cdp.app import Parts, create_app
from cdp.auth import Caller
from cdp.endpoint import Door
from cdp.errors import AuditUnavailable, AuthError, RequestInvalid, StoreUnavailable
from cdp.exchange import GRAPHQL_TYPE, JSON_TYPE, Answer, GraphqlRequest
from cdp.headers import SECURITY_HEADERS
from schema.plan.limits import Limits, reads_schema_only
from schema.subscribing import Single

NUMBER = "+8613800138000"
BODY_BYTES = 2048


class House:
    """Stands behind the door: answers, and keeps what it was asked and what it was told of refusals."""

    def __init__(self) -> None:
        self.asked: list[GraphqlRequest] = []
        self.refused: list[tuple[str, str]] = []
        self.answer_with: Answer | Exception = Answer(200, b'{"data":{"__typename":"Query"}}')
        self.audit_is_full = False
        self.stores = {"cn": True, "hk": True}

    async def verify(self, token: str) -> Caller:
        if token != "good":
            raise AuthError("TOKEN_INVALID", "The token is not valid.")
        return Caller("desk")

    async def answer(self, request: GraphqlRequest, caller: Caller) -> Answer:
        assert caller.client == "desk"
        self.asked.append(request)
        if isinstance(self.answer_with, Exception):
            raise self.answer_with
        return self.answer_with

    async def refuse(self, caller: Caller, code: str) -> None:
        if self.audit_is_full:
            raise AuditUnavailable
        self.refused.append((caller.client, code))

    async def stream(self, request: GraphqlRequest, caller: Caller, after: str | None) -> Single:
        return Single(await self.answer(request, caller))

    def expires_at(self, token: str) -> float:
        return float("inf")

    async def is_ready(self, store: str) -> bool:
        if not self.stores[store]:
            raise ConnectionError
        return True


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    gets = partial(reads_schema_only, limits=Limits())
    streams = (house.stream, house.expires_at)
    door = Door(house.verify, house.answer, house.refuse, gets, *streams, BODY_BYTES, 0.2)
    app = create_app(Parts(door, {"cn": lambda: house.is_ready("cn"), "hk": lambda: house.is_ready("hk")}))
    transport = httpx.ASGITransport(app)
    headers = {"authorization": "Bearer good", "content-type": JSON_TYPE, "accept": GRAPHQL_TYPE}
    async with httpx.AsyncClient(transport=transport, base_url="http://cdp.test", headers=headers) as client:
        yield client


def code_of(response: httpx.Response) -> str:
    body = response.json()
    assert "data" not in body
    return str(body["errors"][0]["extensions"]["code"])


async def test_an_operation_is_answered(client: httpx.AsyncClient, house: House) -> None:
    response = await client.post("/graphql", json={"query": "{__typename}", "variables": {"number": NUMBER}})

    assert (response.status_code, response.json()) == (200, {"data": {"__typename": "Query"}})
    assert response.headers["content-type"] == f"{GRAPHQL_TYPE}; charset=utf-8"
    assert house.asked == [GraphqlRequest("{__typename}", variables={"number": NUMBER})]
    assert house.refused == []


async def test_every_response_carries_the_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/graphql", "/healthz", "/nowhere", "/console/static/boot.js"):
        response = await client.get(path)
        assert SECURITY_HEADERS.items() <= dict(response.headers).items(), path


@pytest.mark.parametrize(
    ("content", "headers", "refusal"),
    [
        (b"null", {}, (400, "BODY_INVALID")),
        (b'"text"', {}, (400, "BODY_INVALID")),
        (b"", {}, (400, "JSON_INVALID")),
        (b'{"query": "{a', {}, (400, "JSON_INVALID")),
        (b"\xff\xfe\xfd", {}, (400, "BODY_NOT_UTF8")),
        (gzip.compress(b'{"query": "{a}"}', mtime=0), {}, (400, "BODY_NOT_UTF8")),
        (gzip.compress(b'{"query": "{a}"}', mtime=0), {"content-encoding": "gzip"}, (415, "ENCODING_UNSUPPORTED")),
        (b"[" * 2000, {}, (400, "JSON_TOO_DEEP")),
        (b'[{"query": "{a}"}, {"query": "{a}"}]', {}, (400, "BATCH_REFUSED")),
        (b'{"query": "{a}"}', {"content-type": "text/plain"}, (415, "CONTENT_TYPE_UNSUPPORTED")),
        (b'{"query": "{a}"}', {"content-type": ""}, (415, "CONTENT_TYPE_UNSUPPORTED")),
        (b"x" * (BODY_BYTES + 1), {}, (413, "BODY_TOO_LARGE")),
        (b"{}", {"content-length": "9" * 40}, (413, "BODY_TOO_LARGE")),
        (b'{"variables": {}}', {}, (400, "QUERY_MISSING")),
    ],
)
async def test_wrong_bodies_get_no_further(
    client: httpx.AsyncClient, house: House, content: bytes, headers: dict[str, str], refusal: tuple[int, str]
) -> None:
    for accept in (JSON_TYPE, GRAPHQL_TYPE):
        response = await client.post("/graphql", content=content, headers={"accept": accept} | headers)
        assert (response.status_code, code_of(response)) == refusal
    assert house.asked == []
    assert house.refused == [("desk", refusal[1])] * 2


async def test_a_stream_without_end_is_read_no_further_than_its_cap(client: httpx.AsyncClient, house: House) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(64 * 1024):
            sent += 1024
            yield b" " * 1024

    response = await client.post("/graphql", content=chunks())

    assert (response.status_code, code_of(response)) == (413, "BODY_TOO_LARGE")
    assert response.headers["connection"] == "close"
    assert sent <= BODY_BYTES + 1024
    assert house.asked == []


async def test_a_body_that_stalls_is_given_up(client: httpx.AsyncClient, house: House) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    response = await client.post("/graphql", content=chunks())

    assert (response.status_code, code_of(response)) == (408, "BODY_TIMEOUT")
    assert house.asked == []


@pytest.mark.parametrize(
    ("authorization", "code"), [("", "TOKEN_MISSING"), ("Basic good", "TOKEN_MISSING"), ("Bearer bad", "TOKEN_INVALID")]
)
async def test_without_a_caller_nothing_is_read(
    client: httpx.AsyncClient, house: House, authorization: str, code: str
) -> None:
    read: list[str] = []

    async def body() -> AsyncIterator[bytes]:
        read.append("body")
        yield b""

    response = await client.post("/graphql", content=body(), headers={"authorization": authorization})

    assert (response.status_code, code_of(response)) == (401, code)
    assert response.headers["www-authenticate"] == "Bearer"
    assert (read, house.asked, house.refused) == ([], [], [])


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_refused(client: httpx.AsyncClient, house: House, method: str) -> None:
    response = await client.request(method, "/graphql", json={"query": "{a}"})

    assert (response.status_code, code_of(response), response.headers["allow"]) == (405, "METHOD_NOT_ALLOWED", "POST")
    assert house.asked == []


@pytest.mark.parametrize(
    "query", [f'{{ customer(number: "{NUMBER}") {{ id }} }}', "mutation { __typename }", "{ a: customer { id } }"]
)
@pytest.mark.parametrize("accept", ["text/html", "*/*", GRAPHQL_TYPE])
async def test_customer_data_is_never_asked_for_in_a_url(
    client: httpx.AsyncClient, house: House, query: str, accept: str
) -> None:
    response = await client.get("/graphql", params={"query": query}, headers={"accept": f"{accept}, {JSON_TYPE}"})

    assert (response.status_code, code_of(response), response.headers["allow"]) == (405, "METHOD_NOT_ALLOWED", "POST")
    assert house.asked == []
    assert house.refused == [("desk", "METHOD_NOT_ALLOWED")]


async def test_the_schema_may_be_read_by_url_with_a_token(client: httpx.AsyncClient, house: House) -> None:
    response = await client.get("/graphql", params={"query": "{ __typename }"})
    assert response.status_code == 200
    assert house.asked == [GraphqlRequest("{ __typename }")]

    response = await client.get("/graphql", params={"query": "{ __typename }"}, headers={"authorization": ""})
    assert (response.status_code, len(house.asked)) == (401, 1)


async def test_a_browser_gets_the_page(client: httpx.AsyncClient, house: House) -> None:
    response = await client.get("/graphql", headers={"accept": "text/html", "authorization": ""})

    assert response.status_code == 200
    assert "script-src 'self';" in response.headers["content-security-policy"]
    assert "unsafe" not in response.headers["content-security-policy"]
    files = [part.split('"')[0] for part in response.text.split('"console/')[1:]]
    assert len(files) == 6
    for file in files:
        assert (await client.get(f"/console/{file}")).status_code == 200
    assert "://" not in response.text
    assert house.asked == []


async def test_a_path_out_of_the_static_folder_is_not_found(client: httpx.AsyncClient) -> None:
    for path in ("/console/static/../__init__.py", "/console/static/%2e%2e/__init__.py", "/console/static/"):
        assert (await client.get(path)).status_code == 404


async def test_what_cannot_be_answered_in_an_accepted_type_is_refused(client: httpx.AsyncClient, house: House) -> None:
    response = await client.post("/graphql", json={"query": "{a}"}, headers={"accept": "application/xml"})

    assert (response.status_code, code_of(response)) == (406, "NOT_ACCEPTABLE")
    assert house.asked == []


@pytest.mark.parametrize(
    ("error", "statuses", "code"),
    [
        (RequestInvalid("QUERY_TOO_DEEP", "The document nests too deep."), (400, 200), "QUERY_TOO_DEEP"),
        (AuthError("PURPOSE_NOT_GRANTED", "The purpose is not granted.", 403), (403, 403), "PURPOSE_NOT_GRANTED"),
        (StoreUnavailable("cn", "canary"), (503, 503), "STORE_UNAVAILABLE"),
        (ZeroDivisionError("canary"), (500, 500), "INTERNAL"),
    ],
)
async def test_exceptions_of_the_answer(
    client: httpx.AsyncClient, house: House, error: Exception, statuses: tuple[int, int], code: str
) -> None:
    house.answer_with = error
    for accept, status in zip((GRAPHQL_TYPE, JSON_TYPE), statuses, strict=True):
        response = await client.post("/graphql", json={"query": "{a}"}, headers={"accept": accept})
        assert (response.status_code, code_of(response)) == (status, code)
        assert response.headers.get("retry-after") == ("1" if status == 503 else None)
        assert "canary" not in response.text
    assert house.refused == [("desk", code)] * 2


async def test_a_refusal_that_cannot_be_audited_is_not_told(client: httpx.AsyncClient, house: House) -> None:
    house.audit_is_full = True
    response = await client.post("/graphql", content=b"null")
    assert (response.status_code, code_of(response)) == (503, "AUDIT_UNAVAILABLE")

    house.answer_with = AuditUnavailable()
    response = await client.post("/graphql", json={"query": "{a}"})
    assert (response.status_code, code_of(response)) == (503, "AUDIT_UNAVAILABLE")


async def test_a_request_error_of_the_answer_is_200_in_plain_json(client: httpx.AsyncClient, house: House) -> None:
    house.answer_with = Answer(400, b'{"errors":[{"message":"no"}]}', ((b"x-plan", b"miss"),))

    statuses = {}
    for accept in (GRAPHQL_TYPE, JSON_TYPE):
        response = await client.post("/graphql", json={"query": "{"}, headers={"accept": accept})
        statuses[accept] = response.status_code
        assert response.headers["x-plan"] == "miss"

    assert statuses == {GRAPHQL_TYPE: 400, JSON_TYPE: 200}


async def test_health_and_readiness(client: httpx.AsyncClient, house: House) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).json() == {"stores": {"cn": "ready", "hk": "ready"}}
    house.stores["hk"] = False

    response = await client.get("/readyz")

    assert (response.status_code, response.json()) == (503, {"stores": {"cn": "ready", "hk": "unavailable"}})


async def test_metrics_count_and_name_nobody(client: httpx.AsyncClient) -> None:
    await client.post("/graphql", json={"query": "{a}", "variables": {"number": NUMBER}})
    await client.post("/graphql", content=b"null")

    text = (await client.get("/metrics")).text

    assert 'cdp_answers_total{status="200"} 1.0' in text
    assert 'cdp_answers_total{status="400"} 1.0' in text
    assert 'cdp_refusals_total{code="BODY_INVALID"} 1.0' in text
    assert "cdp_requests_in_flight 0.0" in text
    assert NUMBER not in text
    assert "desk" not in text


async def test_a_client_that_goes_away_is_no_error(house: House) -> None:
    door = Door(house.verify, house.answer, house.refuse, lambda _: False, house.stream, house.expires_at)
    app = create_app(Parts(door, {}))
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "root_path": ""}
    scope["headers"] = [(b"authorization", b"Bearer good"), (b"content-type", b"application/json")]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(json.dumps(message))

    await app(scope, receive, send)

    assert (sent, house.asked, house.refused) == ([], [], [])
