"""What must be refused over HTTP: a coded error, nothing written, nothing leaked, one audit entry of a known caller."""

import base64
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio

from cdp.auth import Caller
from tests.databases import Server
from tests.journeys.world import APP, HONG_KONG_NUMBER, MAINLAND_NUMBER, PARTNER, PROFILE, World, event, open_world

pytestmark = pytest.mark.asyncio(loop_scope="module")

PURPOSE: Final = '@purpose(id: "service.care")'
NAME: Final = f"query Name($number: String!) {PURPOSE} {{ customer(number: $number) {{ formattedName }} }}"
NODE: Final = f"query Node($id: ID!) {PURPOSE} {{ node(id: $id) {{ __typename id }} }}"
PAGE: Final = f"""
query Page($after: String, $first: Int! = 1) {PURPOSE} {{
  customers(where: {{ region: "CN-GD" }}, first: $first, after: $after) {{ pageInfo {{ endCursor }} }}
}}"""
USAGE: Final = f"""
query Usage($number: String!, $after: String) {PURPOSE} {{
  customer(number: $number) {{ usage(first: 1, after: $after) {{ pageInfo {{ endCursor }} }} }}
}}"""
INGEST: Final = f"mutation Ingest($events: [Event!]!) {PURPOSE} {{ ingest(events: $events) {{ status }} }}"
LOG: Final = f"""
mutation Log($number: String!) {PURPOSE} {{
  logInteraction(input: {{ subject: {{ number: $number }}, channel: "APP", direction: INBOUND, reason: "x" }}) {{
    outcome {{ status }}
  }}
}}"""
REGION: Final = (
    f"query R($region: Region!) {PURPOSE} {{ customers(where: {{ region: $region }}) {{ edges {{ cursor }} }} }}"
)
AS_OF: Final = NAME.replace("String!", "String!, $at: DateTime").replace(
    "number: $number", "number: $number, asOf: $at"
)
WHY: Final = f"""
query Why($number: String!) {PURPOSE} {{
  consentDecision(customer: {{ number: $number }}, field: "Customer.email", purpose: "service.care") {{ effect }}
}}"""
RECEIPT: Final = f"query Receipt($id: ID!) {PURPOSE} {{ consentReceipt(id: $id) }}"
INTROSPECTION: Final = "{ __schema { types { name } } }"

STRANGER: Final = APP._replace(client="other-app", actor="desk 9")
AFFILIATE: Final = APP._replace(client="sister-app", legal_entity="SISTER", actor="sister")

NAMES: Final = ("陈家明", "林晓燕", "深圳市", "kaming.chan")
"""What the stores hold, and no refusal may tell."""
MACHINERY: Final = ("Traceback", "asyncpg", "SELECT", "INSERT", "sqlalchemy", "graphql-core", "/cdp/", ".py")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(database_server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One for all: that nothing here changes it is what is tested."""
    number = {"number": MAINLAND_NUMBER}
    uses = [
        event(
            "UsageRecorded", "CN-GD", number, f"2026-10-2{n}T08:00:00Z", usageType="SMS", quantity="1", units="messages"
        )
        for n in range(3)
    ]
    async with open_world(database_server, tmp_path_factory.mktemp("refusals"), uses) as world:
        await world.register(PROFILE, INGEST, LOG, INTROSPECTION, NODE, PAGE, WHY, RECEIPT)
        yield world


@asynccontextmanager
async def unmoved(world: World, entries: int) -> AsyncIterator[None]:
    """Nothing is written while the block runs but so many entries of the audit trail."""
    counts, audited = await world.counts(), len(await world.entries())
    yield
    made = (await world.entries())[audited:]
    assert await world.counts() == counts
    assert len(made) == entries
    text = json.dumps(made, ensure_ascii=False)
    assert [word for word in (*NAMES, HONG_KONG_NUMBER[4:], MAINLAND_NUMBER[3:]) if word in text] == []


def assert_silent(response: httpx.Response) -> None:
    """The answer tells nothing of what is stored, and nothing of how."""
    assert [word for word in (*NAMES, *MACHINERY) if word in response.text] == []


@dataclass(frozen=True)
class Case:
    """A request and how it is refused; `known` says whether we know who asked."""

    send: Callable[[World], Awaitable[httpx.Response]]
    code: str
    status: int = 400
    known: bool = True


def posted(body: Any, caller: Caller | None = APP, **headers: str) -> Callable[[World], Awaitable[httpx.Response]]:
    async def send(world: World) -> httpx.Response:
        return await world.post(body, caller, **headers)

    return send


def asked(document: str, caller: Caller = APP, /, **variables: Any) -> Callable[[World], Awaitable[httpx.Response]]:
    return posted({"query": document, "variables": variables}, caller)


def with_token(make: Callable[[World], str]) -> Callable[[World], Awaitable[httpx.Response]]:
    async def send(world: World) -> httpx.Response:
        body = {"query": NAME, "variables": {"number": MAINLAND_NUMBER}}
        return await world.post(body, None, authorization=f"Bearer {make(world)}")

    return send


def got(query: str, accept: str = "application/json") -> Callable[[World], Awaitable[httpx.Response]]:
    async def send(world: World) -> httpx.Response:
        headers = {"authorization": f"Bearer {world.token()}", "accept": accept}
        return await world.http.get("/graphql", params={"query": query}, headers=headers)

    return send


def unsigned(world: World) -> str:
    """A token whose header says that it needs no signature."""
    header, claims, _ = world.token().split(".")
    said = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    none = base64.urlsafe_b64encode(json.dumps(said | {"alg": "none"}).encode()).decode().rstrip("=")
    return f"{none}.{claims}."


def nested(depth: int) -> str:
    """A question that goes so many products deep."""
    inner = "{ name }"
    for _ in range(depth):
        inner = f"{{ reliesOn {inner} }}"
    return f'query {PURPOSE} {{ customer(number: "{MAINLAND_NUMBER}") {{ products {inner} }} }}'


def aliased(count: int) -> str:
    names = " ".join(f"a{n}: formattedName" for n in range(count))
    return f'query {PURPOSE} {{ customer(number: "{MAINLAND_NUMBER}") {{ {names} }} }}'


def bomb() -> str:
    """Twenty fragments, each spreading the next one three times."""
    spread = "".join(f"fragment F{n} on Customer {{ {f'...F{n + 1} ' * 3} }}\n" for n in range(20))
    return (
        f'query {PURPOSE} {{ customer(number: "{MAINLAND_NUMBER}") {{ ...F0 }} }}\n'
        f"{spread}fragment F20 on Customer {{ tier }}"
    )


EVENTS: Final = [
    event("CustomerTierChanged", "CN-GD", {"number": MAINLAND_NUMBER}, f"2026-10-01T00:00:00.{n:03}Z", tier="LOW")
    for n in range(501)
]
BODY: Final = {"query": NAME, "variables": {"number": MAINLAND_NUMBER}}

CASES: Final[Mapping[str, Case]] = {
    "malformed JSON": Case(posted(b'{"query": "{ me '), "JSON_INVALID"),
    "a body of null": Case(posted(b"null"), "BODY_INVALID"),
    "an array of operations": Case(posted([BODY, BODY]), "BATCH_REFUSED"),
    "a compressed body": Case(
        posted(gzip.compress(json.dumps(BODY).encode()), content_encoding="gzip"), "ENCODING_UNSUPPORTED", 415
    ),
    "another content type": Case(
        posted(json.dumps(BODY).encode(), content_type="text/plain"), "CONTENT_TYPE_UNSUPPORTED", 415
    ),
    "a body too large": Case(posted(b" " * (1 << 20) + b"{}"), "BODY_TOO_LARGE", 413),
    "no GraphQL": Case(asked("query {"), "GRAPHQL_PARSE_FAILED"),
    "an unknown field": Case(asked(NAME.replace("formattedName", "fullName"), number="x"), "GRAPHQL_VALIDATION_FAILED"),
    "a variable of another type": Case(asked(NAME, number=["x"]), "VARIABLES_INVALID"),
    "an operation that is not there": Case(posted(BODY | {"operationName": "Other"}), "OPERATION_UNKNOWN"),
    "a bad number": Case(asked(NAME, number="12-34"), "NUMBER_INVALID"),
    "a number that is text": Case(asked(NAME, number="null"), "NUMBER_INVALID"),
    "a number without its region": Case(asked(NAME, number="9123 4567"), "NUMBER_INVALID"),
    "a page of ten thousand customers": Case(asked(PAGE, first=10_000), "PAGE_SIZE"),
    "a page of less than none": Case(asked(PAGE, first=-1), "PAGE_SIZE"),
    "a list of ten thousand": Case(
        asked(NAME.replace("formattedName", "bills(first: 10000) { billNo }"), number=MAINLAND_NUMBER), "PAGE_SIZE"
    ),
    "fifty levels deep": Case(asked(nested(50)), "QUERY_TOO_DEEP"),
    "a thousand aliases": Case(asked(aliased(1000)), "TOO_MANY_ALIASES"),
    "fragments that explode": Case(asked(bomb()), "TOO_MANY_FIELDS"),
    "an expired token": Case(with_token(lambda w: w.token(seconds=-3600)), "TOKEN_EXPIRED", 401, known=False),
    "another audience": Case(with_token(lambda w: w.token(audience="bank")), "TOKEN_AUDIENCE", 401, known=False),
    "another issuer": Case(with_token(lambda w: w.token(issuer="https://x.test")), "TOKEN_ISSUER", 401, known=False),
    "a token without signature": Case(with_token(unsigned), "TOKEN_INVALID", 401, known=False),
    "a token of another key": Case(with_token(lambda w: w.token()[:-8] + "A" * 8), "TOKEN_INVALID", 401, known=False),
    "no token": Case(posted(BODY, None), "TOKEN_MISSING", 401, known=False),
    "customer data by GET": Case(
        got(NAME.replace("$number", f'"{MAINLAND_NUMBER}"').replace('("' + MAINLAND_NUMBER + '": String!)', "")),
        "METHOD_NOT_ALLOWED",
        405,
    ),
    "a mutation by GET": Case(got("mutation { __typename }"), "METHOD_NOT_ALLOWED", 405),
    "no purpose": Case(asked(NAME.replace(PURPOSE, ""), number=MAINLAND_NUMBER), "PURPOSE_REQUIRED"),
    "an unknown purpose": Case(asked(NAME.replace("service.care", "service.all"), number="+1"), "PURPOSE_UNKNOWN"),
    "a purpose that was not granted": Case(
        asked(NAME.replace("service.care", "marketing.sms"), number=MAINLAND_NUMBER), "PURPOSE_NOT_GRANTED", 403
    ),
    "a purpose in a variable": Case(
        asked(
            NAME.replace(PURPOSE, "@purpose(id: $why)").replace("String!", 'String!, $why: String! = "service.care"'),
            number=MAINLAND_NUMBER,
            why="service.care",
        ),
        "PURPOSE_REQUIRED",
    ),
    "a purpose in a header": Case(
        posted(BODY | {"query": NAME.replace(PURPOSE, "")}, purpose="service.care", x_purpose="service.care"),
        "PURPOSE_REQUIRED",
    ),
    "a purpose in the extensions": Case(
        posted(BODY | {"query": NAME.replace(PURPOSE, ""), "extensions": {"purpose": "service.care"}}),
        "PURPOSE_REQUIRED",
    ),
    "an unknown hash": Case(posted({"documentId": "ab" * 32}), "DOCUMENT_NOT_FOUND"),
    "an unknown hash of a partner": Case(posted({"documentId": "ab" * 32}, PARTNER), "DOCUMENT_NOT_REGISTERED", 403),
    "a hash that is none": Case(posted({"documentId": MAINLAND_NUMBER}), "DOCUMENT_HASH_INVALID"),
    "text of a partner that is not registered": Case(
        asked(NAME, PARTNER, number=MAINLAND_NUMBER), "DOCUMENT_NOT_REGISTERED", 403
    ),
    "introspection by a partner": Case(
        asked('{ __type(name: "Customer") { name } }', PARTNER), "DOCUMENT_NOT_REGISTERED", 403
    ),
    "registered introspection by a partner": Case(asked(INTROSPECTION, PARTNER), "INTROSPECTION_REFUSED", 403),
    "an unknown field of a partner": Case(
        asked(NAME.replace("formattedName", "formattedNam"), PARTNER, number="x"), "DOCUMENT_NOT_REGISTERED", 403
    ),
    "an order of a partner": Case(asked(LOG, PARTNER, number=MAINLAND_NUMBER), "FORBIDDEN", 403),
    "events of a partner": Case(asked(INGEST, PARTNER, events=EVENTS[:1]), "FORBIDDEN", 403),
    "a page for a partner": Case(asked(PAGE, PARTNER), "FORBIDDEN", 403),
    "a privacy officer's question of another": Case(asked(WHY, number=MAINLAND_NUMBER), "FORBIDDEN", 403),
    "a privacy officer's question of a partner": Case(
        asked(WHY, PARTNER._replace(role="officer"), number=MAINLAND_NUMBER), "FORBIDDEN", 403
    ),
    "a receipt for a partner": Case(asked(RECEIPT, PARTNER, id="x"), "FORBIDDEN", 403),
    "events over five hundred": Case(asked(INGEST, events=EVENTS), "TOO_MANY_EVENTS"),
    "an event that is no object": Case(asked(INGEST, events=["x"]), "EVENT_INVALID"),
    "a region that is none": Case(asked(REGION, region="Guangdong"), "REGION_INVALID"),
    "a region that nobody keeps": Case(asked(REGION, region="TW"), "REGION_UNKNOWN"),
    "an instant without its offset": Case(
        asked(AS_OF, number=MAINLAND_NUMBER, at="2026-01-01T00:00:00"), "INSTANT_INVALID"
    ),
    "two ways to name a customer": Case(
        asked(NAME.replace("number: $number", 'number: $number, id: "x"'), number=MAINLAND_NUMBER), "ARGUMENTS_INVALID"
    ),
    "a cursor made up": Case(asked(PAGE, after="AAAA"), "CURSOR_INVALID"),
}


@pytest.mark.parametrize("name", CASES)
async def test_it_is_refused(world: World, name: str) -> None:
    case = CASES[name]
    async with unmoved(world, 1 if case.known else 0):
        response = await case.send(world)

    told = response.json()
    assert "data" not in told
    assert (response.status_code, [error["extensions"]["code"] for error in told["errors"]]) == (
        case.status,
        [case.code],
    )
    assert told["errors"][0]["message"]
    assert_silent(response)
    if case.known:
        (entry,) = (await world.entries())[-1:]
        assert entry["refused"] == case.code
        assert "customers" not in entry


async def test_nothing_is_read_for_what_is_refused_before_it_runs(world: World) -> None:
    """Only a partner's document is looked up."""
    world.asked()
    for case in CASES.values():
        await case.send(world)
    read = {text for text in world.asked() if "FROM document" not in text}
    assert read == set()


async def test_a_refused_token_says_what_is_wanted(world: World) -> None:
    response = await world.post(BODY, None)
    assert response.headers["www-authenticate"] == "Bearer"


def altered(text: str) -> str:
    middle = len(text) // 2
    return text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]


async def test_an_id_that_is_altered_or_of_another_legal_entity_leads_nowhere(world: World) -> None:
    own = (await world.ask(PROFILE, number=MAINLAND_NUMBER))["data"]["customer"]["id"]
    found = await world.ask(NODE, id=own)
    assert found["data"]["node"] == {"__typename": "Customer", "id": own}
    foreign = (await world.ask(PROFILE, AFFILIATE._replace(), number=MAINLAND_NUMBER))["data"]["customer"]

    for text in (altered(own), own[:-4], "", "💥", "x" * 5000):
        async with unmoved(world, 1):
            response = await world.post({"query": NODE, "variables": {"id": text}})
        assert (response.status_code, response.json()["data"]) == (200, {"node": None})
        assert "errors" not in response.json()
        assert_silent(response)
    for caller in (AFFILIATE, PARTNER):
        async with unmoved(world, 1):
            response = await world.post({"query": NODE, "variables": {"id": own}}, caller)
        assert (response.status_code, response.json()["data"]) == (200, {"node": None})
        assert_silent(response)
    assert foreign is None or foreign["id"] != own


async def test_a_cursor_that_is_altered_or_of_another_client_or_list_is_refused(world: World) -> None:
    page = await world.ask(PAGE)
    use = await world.ask(USAGE, number=MAINLAND_NUMBER)
    cursor = page["data"]["customers"]["pageInfo"]["endCursor"]
    of_usage = use["data"]["customer"]["usage"]["pageInfo"]["endCursor"]
    assert (await world.ask(PAGE, after=cursor))["data"]["customers"]["pageInfo"]["endCursor"] not in (None, cursor)

    wrong: list[tuple[str, Caller, dict[str, Any]]] = [
        (PAGE, APP, {"after": altered(cursor)}),
        (PAGE, APP, {"after": of_usage}),
        (PAGE, STRANGER, {"after": cursor}),
        (USAGE, APP, {"after": cursor, "number": MAINLAND_NUMBER}),
        (USAGE, STRANGER, {"after": of_usage, "number": MAINLAND_NUMBER}),
    ]
    for document, caller, variables in wrong:
        async with unmoved(world, 1):
            response = await world.post({"query": document, "variables": variables}, caller)
        told = response.json()
        assert "data" not in told
        assert (response.status_code, told["errors"][0]["extensions"]["code"]) == (400, "CURSOR_INVALID")
        assert_silent(response)


async def test_a_refused_event_is_kept_for_later_and_its_value_is_not_told(world: World) -> None:
    """The answer names the field and what belongs there; the record rests sealed among the dead letters."""
    number, said = {"number": MAINLAND_NUMBER}, "QX-70-UNTOLD"
    wrong = event("UsageRecorded", "CN-GD", number, "2026-10-25T08:00:00Z", usageType="DATA", quantity="1", units=said)
    before = await world.counts()
    document = INGEST.replace("{ status }", "{ status code field expected }")

    response = await world.post({"query": document, "variables": {"events": [wrong]}})

    (outcome,) = response.json()["data"]["ingest"]
    after = await world.counts()
    assert (outcome["status"], outcome["code"], outcome["field"]) == ("REJECTED", "EVENT_INVALID", "units")
    assert outcome["expected"]
    assert said not in response.text
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {
        "dead_letter": 1,
        "data_key": 1,
    }


async def test_an_event_of_a_store_not_open_to_the_caller_is_refused_by_itself(world: World) -> None:
    before, document = await world.counts(), INGEST.replace("{ status }", "{ status code }")
    told = await world.ask(document, APP._replace(stores=("hk",)), events=EVENTS[:1])
    after = await world.counts()
    assert told["data"]["ingest"] == [{"status": "REJECTED", "code": "FORBIDDEN"}]
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {"dead_letter": 1}


async def test_the_same_refusal_in_plain_json_is_told_with_200(world: World) -> None:
    """GraphQL's own errors, by the GraphQL over HTTP specification; a refused caller is 401 in any format."""
    wrong = {"query": NAME.replace("formattedName", "fullName"), "variables": {"number": "x"}}
    told = await world.post(wrong, accept="application/json")
    unknown = await world.post(wrong, None, accept="application/json")

    assert (told.status_code, unknown.status_code) == (200, 401)
    assert "data" not in told.json()
