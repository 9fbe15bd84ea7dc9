"""What somebody may try over HTTP to see what is not theirs: each is refused, and nothing is there afterwards that was
not there before, but the entry that tells of it.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import httpx
import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from graphql import GraphQLInterfaceType, GraphQLObjectType, get_named_type

from cdp.app import serve_house
from cdp.auth import Caller
from cdp.identity.tables import NUMBER_INDEX
from cdp.settings import Settings
from cdp.stores import Stores
from privacy.vocabulary import PURPOSES
from schema.declaration import declare, graphql_schema
from tests.databases import Server
from tests.journeys.world import (
    APP,
    HONG_KONG_NUMBER,
    MAINLAND_NUMBER,
    NOBODYS,
    PARTNER,
    PROFILE,
    World,
    event,
    hash_of,
    open_world,
)

CARE: Final = '@purpose(id: "service.care")'
SHARE: Final = '@purpose(id: "partner.share")'
NAME: Final = f"query Name($number: String!) {CARE} {{ customer(number: $number) {{ formattedName }} }}"
SHARED: Final = f"query Shared($number: String!) {SHARE} {{ customer(number: $number) {{ formattedName email }} }}"
JOINED: Final = f"""query Joined($number: String!) {SHARE} {{
  customer(number: $number) {{ formattedName holdings {{ number region }} }} }}"""
HOLDER: Final = f"""query Holder($number: String!) {SHARE} {{
  sameHolderSince(number: $number, date: "2026-01-01") }}"""
BY_KEY: Final = f"""query ByKey($key: String!) {SHARE} {{
  customer(identifier: {{ kind: CUSTOMER_KEY, value: $key }}) {{ formattedName bills {{ billNo }} }} }}"""
BILLING: Final = """query Bills($number: String!) @purpose(id: "service.billing") {
  customer(number: $number) { bills { billNo amountDue { value } } } }"""
INGEST: Final = f"mutation Ingest($events: [Event!]!) {CARE} {{ ingest(events: $events) {{ status code field }} }}"
CONSENT: Final = """mutation Consent($number: String!, $to: String!) @purpose(id: "service.care") {
  ORDER(input: { subject: { number: $number }, purpose: "service", destination: $to, kind: SEPARATE }) {
    outcome { status } } }"""
ENDED: Final = event("ConsentWithdrawn", "CN-GD", {"number": "+8613800138000"}, "2026-10-01", purpose="service")
STILL_OFF: Final = "+8613912345678"
ALL: Final = APP._replace(purposes=frozenset(PURPOSES))
STORY: Final = {"customerKey": "D-STORY-B-CN"}
NAMES: Final = ("陈家明", "林晓燕", "深圳市", "kaming.chan")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def same(database_server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One for all tests that change nothing."""
    async with open_world(database_server, tmp_path_factory.mktemp("attacks")) as world:
        await world.register(SHARED, JOINED, PROFILE, BILLING, HOLDER, BY_KEY)
        world.token()
        yield world


@asynccontextmanager
async def unmoved(world: World, *stores: str) -> AsyncIterator[list[dict[str, Any]]]:
    """Nothing is written but one entry in each of these stores, which tells no value; they are there afterwards."""
    counts, audited, made = await world.counts(), len(await world.entries()), []  # type: ignore[var-annotated]
    yield made
    made += (await world.entries())[audited:]
    assert await world.counts() == counts
    assert sorted(entry["from"] for entry in made) == sorted(stores)
    text = json.dumps(made, ensure_ascii=False)
    assert [word for word in (*NAMES, HONG_KONG_NUMBER[4:], MAINLAND_NUMBER[3:]) if word in text] == []


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Status and code of an answer that holds no data, and nothing of anybody."""
    told = response.json()
    assert "data" not in told
    assert [word for word in NAMES if word in response.text] == []
    return response.status_code, told["errors"][0]["extensions"]["code"]


def withheld(told: dict[str, Any]) -> dict[str, str]:
    return {".".join(one["path"]): one["code"] for one in told["extensions"]["privacy"]["withheld"]}


# --- what can be told from outside ------------------------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("document", [SHARED, PROFILE, JOINED, HOLDER], ids=["shared", "profile", "joined", "holder"])
async def test_to_a_partner_nobody_and_not_for_you_are_the_same_work(same: World, document: str) -> None:
    """Linked or not, in one store or two: the same statements, the same entries, the same answer."""
    numbers = ((MAINLAND_NUMBER, NOBODYS[0]), (STILL_OFF, NOBODYS[0]), (HONG_KONG_NUMBER, NOBODYS[1]))
    await the_same_work(same, document, [({"number": known}, {"number": nobody}) for known, nobody in numbers])


@pytest.mark.asyncio(loop_scope="module")
async def test_it_is_the_same_work_by_another_identifier(same: World) -> None:
    keys = [({"key": known}, {"key": "D-NOBODY"}) for known in ("D-STORY-B-CN", "D-STORY-B-HK", "D-STORY-A")]
    await the_same_work(same, BY_KEY, keys)


async def the_same_work(same: World, document: str, pairs: list[tuple[dict[str, str], dict[str, str]]]) -> None:
    async def worked(variables: dict[str, str]) -> tuple[Counter[str], Counter[str], dict[str, Any]]:
        audited = len(await same.entries())
        same.statements.clear()
        told = await same.ask(document, PARTNER, **variables)
        statements = Counter(same.statements)
        told["extensions"]["privacy"].pop("auditId")
        made = (await same.entries())[audited:]
        return statements, Counter(entry["from"] for entry in made), told

    for known, _ in pairs:
        await worked(known)  # what is done once in a process is behind it
    for known, nobody in pairs:
        assert await worked(known) == await worked(nobody)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("digits", ["8000", "3800", "567", "138"])
async def test_a_few_digits_find_nobody(same: World, digits: str) -> None:
    async with unmoved(same, "CN"):
        response = await same.post({"query": NAME, "variables": {"number": digits}})
    assert refusal(response) == (400, "NUMBER_INVALID")
    document = f"""query P($value: String!) {CARE} {{
      customer(identifier: {{ kind: ACCOUNT_NO, value: $value }}) {{ formattedName }} }}"""
    async with unmoved(same, "CN"):
        told = await same.ask(document, value=digits)
    assert told["data"] == {"customer": None}


def test_nobody_is_counted_sorted_or_found_by_parts_of_what_is_sealed() -> None:
    """Pages have no totals, so that no group is too small; they are filtered by plain words and sorted by nothing."""
    schema = graphql_schema(declare())
    pages = [one for name, one in schema.type_map.items() if name.endswith("Connection")]
    assert pages
    for page in pages:
        assert isinstance(page, GraphQLObjectType)
        assert set(page.fields) == {"edges", "pageInfo"}
    assert schema.query_type is not None
    arguments = {name: set(field.args) for name, field in schema.query_type.fields.items()}
    assert [name for name, given in arguments.items() if {"orderBy", "sort", "groupBy", "having"} & given] == []
    lists_of_customers = {
        name
        for name, field in schema.query_type.fields.items()
        if get_named_type(field.type).name in ("Customer", "CustomerConnection")
        and not {"id", "number"} & field.args.keys()
    }
    assert lists_of_customers == {"customers"}
    where = get_named_type(schema.query_type.fields["customers"].args["where"].type)
    assert set(where.fields) == {"region", "kind", "status", "tier"}
    counting = [
        f"{name}.{field}"
        for name, one in schema.type_map.items()
        if isinstance(one, GraphQLObjectType | GraphQLInterfaceType) and not name.startswith("__")
        for field in one.fields
        if re.search(r"^count(?!er)|Count(?!er)|[tT]otal|[aA]verage|histogram", field)
    ]
    assert set(counting) <= {"Bucket.smsCount", "Tariff.smsCount", "UsageMonth.smsCount"}


async def test_a_filter_on_what_may_not_be_read_tells_nothing(world: World) -> None:
    """Somebody whose region may be read, and not their tier, is neither found by it nor missed, nor counted: the answer
    is the same for every tier, page by page.
    """
    document = """query($tier: String, $first: Int!, $after: String) @purpose(id: "marketing.sms") {
      customers(where: { region: "CN-GD", tier: $tier }, first: $first, after: $after) {
        edges { node { regions tier } } pageInfo { hasNextPage endCursor } } }"""
    agreed = {"purpose": "marketing", "category": "identity.region"}
    await world.tell(event("ConsentGiven", "CN-GD", {"customerKey": "D-STORY-A"}, "2026-10-30T08:00:00Z", **agreed))
    listed = await world.ask(document, ALL, tier=None, first=50)
    assert [edge["node"]["tier"] for edge in listed["data"]["customers"]["edges"]] == [None]
    for first in (1, 50):
        answers = []
        for tier in ("MIDDLE", "HIGH", "LOW", "nonsense"):
            pages: list[tuple[Any, dict[str, Any]]] = []
            after = None
            while not pages or pages[-1][1]["hasNextPage"]:
                async with unmoved(world, "CN"):
                    told = await world.ask(document, ALL, tier=tier, first=first, after=after)
                assert told["data"]["customers"]["edges"] == []
                pages.append((told["extensions"]["privacy"]["withheld"], told["data"]["customers"]["pageInfo"]))
                after = pages[-1][1]["endCursor"]
            answers.append([(out, page["hasNextPage"], page["endCursor"]) for out, page in pages])
        assert answers[0] == answers[1] == answers[2] == answers[3]
    # Once it may be read, it is found by it.
    await world.tell(
        event("ConsentGiven", "CN-GD", {"customerKey": "D-STORY-A"}, "2026-10-30T09:00:00Z", purpose="marketing")
    )
    found = {tier: await world.ask(document, ALL, tier=tier, first=50) for tier in ("MIDDLE", "HIGH")}
    assert [len(one["data"]["customers"]["edges"]) for one in found.values()] == [1, 0]


# --- other ways to a value that is withheld ---------------------------------------------------------------------------

F: Final = "fragment F on Customer { ...G holdings { number } } fragment G on Customer { hidden: formattedName email }"
MARKETING: Final = '@purpose(id: "marketing.sms")'
PATHS: Final = {
    "an alias": f"query($number: String!) {MARKETING} {{ a: customer(number: $number) {{ x: formattedName }} }}",
    "fragments": f"query($number: String!) {MARKETING} {{ customer(number: $number) {{ ...F }} }} {F}",
    "a node": f"query($id: ID!) {MARKETING} {{ node(id: $id) {{ ... on Customer {{ ...F }} id }} }} {F}",
    "a list": f"""query {MARKETING} {{
      customers(where: {{ region: "CN-GD" }}, first: 50) {{ edges {{ node {{ ...F }} }} }} }} {F}""",
    "what an order gives back": f"""mutation($number: String!) {MARKETING} {{
      logInteraction(input: {{ subject: {{ number: $number }}, channel: "APP", direction: INBOUND, reason: "x" }}) {{
        outcome {{ status }} customer {{ ...F }} }} }} {F}""",
    "both at once": f"""query($number: String!, $id: ID!) {MARKETING} {{
      customer(number: $number) {{ ...F }} other: customer(id: $id) {{ ...F }} }} {F}""",
}


@pytest.mark.parametrize("path", PATHS)
async def test_no_path_leads_to_what_is_withheld(world: World, path: str) -> None:
    """Nobody here agreed to marketing: not by another name, deeper, by an id, in a page or after an order."""
    own = (await world.ask(PROFILE, ALL, number=MAINLAND_NUMBER))["data"]["customer"]["id"]
    variables = {"number": MAINLAND_NUMBER, "id": own}
    response = await world.post({"query": PATHS[path], "variables": variables}, ALL)
    told = response.json()
    assert (response.status_code, "errors" in told) == (200, False)
    assert [word for word in (*NAMES, MAINLAND_NUMBER, HONG_KONG_NUMBER) if word in response.text] == []
    codes = set(withheld(told).values())
    assert codes
    assert codes <= {"CONSENT_REQUIRED", "CROSS_BORDER", "PURPOSE_NOT_DECLARED"}
    assert (await world.entries())[-1]["purpose"] == "marketing.sms"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_document_for_one_purpose_serves_no_other_client(same: World) -> None:
    """Registered or not, whoever was not granted its purpose cannot run it."""
    client = Caller("campaigns", purposes=frozenset({"marketing.sms", "marketing.email"}), stores=("cn", "hk"))
    for caller in (client, PARTNER._replace(purposes=client.purposes)):
        for named in ({"documentId": hash_of(BILLING)}, {"query": BILLING}):
            async with unmoved(same, "CN") as made:
                response = await same.post(named | {"variables": {"number": MAINLAND_NUMBER}}, caller)
            assert refusal(response) == (403, "PURPOSE_NOT_GRANTED")
            assert made[0]["refused"] == "PURPOSE_NOT_GRANTED"


async def test_under_the_gba_contract_nothing_is_handed_on(world: World) -> None:
    """The customer agreed to everything, naming ACME and Hong Kong: the contract still does not let it."""
    for key, region, abroad in (("D-STORY-B-CN", "CN-GD", "HK"), ("D-STORY-B-HK", "HK", "CN")):
        for destination in ("NONE", abroad):
            at = f"2026-10-30T08:00:00.{len(destination)}Z"
            agreed = {"purpose": "partner.share", "recipient": "ACME", "kind": "SEPARATE", "destination": destination}
            await world.tell(event("ConsentGiven", region, {"customerKey": key}, at, **agreed))
    await world.register(JOINED)
    theirs = await world.ask(JOINED, PARTNER, number=HONG_KONG_NUMBER)
    assert {one["region"] for one in theirs["data"]["customer"]["holdings"]} == {"HK"}
    assert set(withheld(theirs).values()) == {"WITHHELD"}
    assert MAINLAND_NUMBER not in json.dumps(theirs)
    # To the operator itself it is shown there.
    ours = await world.ask(PROFILE, number=HONG_KONG_NUMBER)
    assert ours["data"]["customer"]["regions"] == ["CN-GD", "HK"]


# --- words of consent -------------------------------------------------------------------------------------------------


async def test_an_old_yes_sent_again_does_not_undo_a_withdrawal(world: World) -> None:
    """Neither the same event nor another one that says it was before: what was said last counts."""
    yes = event("ConsentGiven", "CN-GD", STORY, "2026-10-30T08:00:00Z", purpose="marketing", kind="SEPARATE")
    no = event("ConsentWithdrawn", "CN-GD", STORY, "2026-10-30T09:00:00Z", purpose="marketing")
    read = NAME.replace("service.care", "marketing.sms")
    await world.tell(yes)
    assert (await world.ask(read, ALL, number=MAINLAND_NUMBER))["data"]["customer"]["formattedName"] == "陈家明"
    await world.tell(no)
    again = await world.ask(INGEST, events=[yes])
    assert again["data"]["ingest"] == [{"status": "DUPLICATE", "code": None, "field": None}]
    before = {**yes, "eventId": "another", "at": "2026-10-30T08:59:59Z"}
    assert (await world.ask(INGEST, events=[before]))["data"]["ingest"][0]["status"] == "ACCEPTED"
    altered = await world.ask(INGEST, events=[{**yes, "recipient": "ACME"}])
    assert altered["data"]["ingest"] == [{"status": "REJECTED", "code": "EVENT_CONFLICT", "field": "eventId"}]
    async with unmoved(world, "CN", "HK"):
        told = await world.ask(read, ALL, number=MAINLAND_NUMBER)
    assert told["data"]["customer"]["formattedName"] is None
    assert withheld(told)["customer.formattedName"] == "CONSENT_WITHDRAWN"


@pytest.mark.parametrize("order", ["giveConsent", "withdrawConsent"])
async def test_a_partner_says_nothing_for_a_customer_today_or_back_then(world: World, order: str) -> None:
    document = CONSENT.replace("ORDER", order)
    told = event("ConsentGiven", "CN-GD", STORY, "2020-01-01T00:00:00Z", purpose="partner.share", recipient="ACME")
    await world.register(document, INGEST)
    for named, variables in (
        (document, {"number": MAINLAND_NUMBER, "to": "HK"}),
        (INGEST, {"events": [told | {"at": "2026-11-01T00:00:00Z"}, told]}),
    ):
        async with unmoved(world, "CN") as made:
            response = await world.post({"documentId": hash_of(named), "variables": variables}, PARTNER)
        assert refusal(response) == (403, "FORBIDDEN")
        assert made[0]["refused"] == "FORBIDDEN"


async def test_nobody_agrees_for_somebody_else_without_the_role_that_shows_it(world: World) -> None:
    document = """mutation($number: String!, $actor: Actor!) @purpose(id: "service.care") {
      giveConsent(input: { subject: { number: $number }, purpose: "marketing", actor: $actor }) {
        outcome { status code field } } }"""
    for actor in ("GUARDIAN", "AGENT"):
        before = await world.counts()
        told = await world.ask(document, number=MAINLAND_NUMBER, actor=actor)
        after = await world.counts()
        outcome = told["data"]["giveConsent"]["outcome"]
        assert outcome == {"status": "REJECTED", "code": "EVENT_INVALID", "field": "actor"}
        assert {name for name in after if after[name] != before[name]} <= {"dead_letter", "data_key"}


async def test_a_birthday_changes_who_may_speak(world: World) -> None:
    """Below 14 the guardian must agree too; from that day on only one's own word counts, if it was said since."""
    today = datetime.now(UTC).date()
    born = {"child": years_before(today, 14) + timedelta(days=2), "grown": years_before(today, 14) - timedelta(days=2)}
    spoke = {"own": {}, "guardian": {"actor": "GUARDIAN", "kind": "GUARDIAN"}}
    events, at = [], "2026-11-01T00:00:00Z"
    parent = {"customerKey": "PARENT"}
    events.append(event("CustomerRegistered", "CN-GD", parent, at, kind="INDIVIDUAL"))
    for n, (age, day) in enumerate(born.items()):
        for m, (word, said) in enumerate(spoke.items()):
            who, number = {"customerKey": f"{age}-{word}"}, f"+861371000{n}{m}00"
            register = event("CustomerRegistered", "CN-GD", who, at, kind="INDIVIDUAL", name="小明", birthDate=f"{day}")
            holds = event("NumberActivated", "CN-GD", who, at, number=number)
            guards = event("NumberActivated", "CN-GD", parent, at, number=number, role="GUARDIAN")
            says = event("ConsentGiven", "CN-GD", who, f"{today - timedelta(1)}T00:00:00Z", purpose="marketing", **said)
            for one in (register, holds, guards, says):
                events.append({**one, "eventId": f"{one['eventId']}-{age}-{word}-{one.get('role')}"})
    await world.tell(*events)
    read = NAME.replace("service.care", "marketing.sms")
    seen = {}
    for n, age in enumerate(born):
        for m, word in enumerate(spoke):
            told = await world.ask(read, ALL, number=f"+861371000{n}{m}00")
            seen[age, word] = told["data"]["customer"]["formattedName"] or withheld(told)["customer.formattedName"]
    assert seen == {
        ("child", "own"): "GUARDIAN_REQUIRED",
        ("child", "guardian"): "CONSENT_REQUIRED",
        ("grown", "own"): "小明",
        ("grown", "guardian"): "CONSENT_REQUIRED",
    }


def years_before(day: date, years: int) -> date:
    return day.replace(year=day.year - years, day=min(day.day, 28))


# --- withdrawals ------------------------------------------------------------------------------------------------------


async def test_a_plan_that_was_made_before_a_withdrawal_shows_nothing_after_it(world: World) -> None:
    """The same text, the same registered document, the same process: partner and desk alike."""
    agreed = {"purpose": "partner.share", "recipient": "ACME", "kind": "SEPARATE"}
    await world.tell(event("ConsentGiven", "CN-GD", STORY, "2026-10-30T08:00:00Z", **agreed))
    await world.register(SHARED)
    for _ in range(3):
        told = await world.ask(SHARED, PARTNER, number=MAINLAND_NUMBER)
        assert told["data"]["customer"] == {"formattedName": "陈家明", "email": "kaming.chan@example.com"}
    del agreed["kind"]
    await world.tell(event("ConsentWithdrawn", "CN-GD", STORY, "2026-10-30T09:00:00Z", **agreed))
    async with unmoved(world, "CN"):
        response = await world.post({"documentId": hash_of(SHARED), "variables": {"number": MAINLAND_NUMBER}}, PARTNER)
    told = response.json()
    assert told["data"] == {"customer": None}
    assert withheld(told) == {"customer": "WITHHELD"}
    assert [word for word in NAMES if word in response.text] == []


async def test_a_withdrawal_in_the_middle_is_before_an_answer_or_after_it(world: World) -> None:
    """An answer that is under way has seen one state of things: all that crossed the border, or nothing of it."""
    lists = ("accounts", "bills", "usageMonths", "interactions")

    async def read(n: int) -> bool:
        await asyncio.sleep(0.004 * n)
        told = await world.ask(PROFILE, number=HONG_KONG_NUMBER)
        there = {any(row["region"] == "CN-GD" for row in told["data"]["customer"][name]) for name in lists}
        assert len(there) == 1
        [all_of_it] = there
        assert ("CN-GD" in told["data"]["customer"]["regions"]) == all_of_it
        assert all_of_it == (withheld(told) == {})
        return all_of_it

    assert await read(0)
    under_way = [asyncio.create_task(read(n)) for n in range(40)]
    await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
    await world.ask(CONSENT.replace("ORDER", "withdrawConsent"), number=MAINLAND_NUMBER, to="HK")
    await asyncio.gather(*under_way)
    assert not await read(0)


# --- what is stored, tampered with ------------------------------------------------------------------------------------


def plain(_: bytes, __: bytes) -> bytes:
    return "陈家明".encode()


TAMPERED: Final[dict[str, Callable[[bytes, bytes], bytes]]] = {
    "a flipped bit": lambda cell, _: cell[:-1] + bytes([cell[-1] ^ 1]),
    "a flipped bit of the nonce": lambda cell, _: cell[:9] + bytes([cell[9] ^ 1]) + cell[10:],
    "another suite": lambda cell, _: cell[:1] + b"\x11" + cell[2:],
    "no padding": lambda cell, _: cell[:2] + bytes([cell[2] & 15]) + cell[3:],
    "another type": lambda cell, _: cell[:2] + bytes([cell[2] & 240]) + cell[3:],
    "an earlier generation": lambda cell, _: cell[:4] + bytes(4) + cell[8:],
    "another format": lambda cell, _: b"\xe0" + cell[1:],
    "cut short": lambda cell, _: cell[:-1],
    "nothing but a header": lambda cell, _: cell[:36],
    "a plaintext": plain,
    "somebody else's": lambda _, other: other,
}


async def cells(world: World, store: str = "cn") -> dict[str, Any]:
    """The rows of the customers of a store, by their number's holder."""
    ring, found = world.house.rings[store], {}
    async with world.house.stores[store].read() as connection:
        for number in (MAINLAND_NUMBER, STILL_OFF) if store == "cn" else (HONG_KONG_NUMBER,):
            found[number] = await connection.fetchrow(
                "SELECT * FROM customer WHERE customer_id = (SELECT customer_id FROM number_index"
                " WHERE number_tag = $1 AND role = 'USER')",
                ring.tag(NUMBER_INDEX, number),
            )
    return found


async def plant(world: World, customer_id: Any, column: str, cell: bytes) -> None:
    async with world.house.stores["cn"].transaction() as connection:
        await connection.execute(f"UPDATE customer SET {column} = $2 WHERE customer_id = $1", customer_id, cell)


EMAIL: Final = f"query E($number: String!) {CARE} {{ customer(number: $number) {{ formattedName address }} }}"


async def shut(world: World, field: str) -> None:
    """The field is withheld, the others are there, nothing is written but the entry."""
    async with unmoved(world, "CN", "HK") as made:
        response = await world.post({"query": EMAIL, "variables": {"number": MAINLAND_NUMBER}})
    told = response.json()
    assert (response.status_code, "errors" in told) == (200, False)
    assert told["data"]["customer"][field] is None
    assert withheld(told) == {f"customer.{field}": "UNAVAILABLE"}
    assert "林晓燕" not in response.text
    assert {entry["from"]: entry["opened"] for entry in made}["CN"] == 1


@pytest.mark.parametrize("how", TAMPERED)
async def test_a_cell_that_was_tampered_with_does_not_open(world: World, how: str) -> None:
    rows = await cells(world)
    await world.ask(EMAIL, number=MAINLAND_NUMBER)  # once a year it is counted that data crosses the border
    mine, theirs = rows[MAINLAND_NUMBER], rows[STILL_OFF]
    await plant(
        world, mine["customer_id"], "formatted_name", TAMPERED[how](mine["formatted_name"], theirs["formatted_name"])
    )
    await shut(world, "formattedName")


async def test_a_cell_of_another_column_row_or_store_does_not_open(world: World) -> None:
    rows = await cells(world)
    await world.ask(EMAIL, number=MAINLAND_NUMBER)
    mine = rows[MAINLAND_NUMBER]
    abroad = (await cells(world, "hk"))[HONG_KONG_NUMBER]
    for cell in (mine["address"], mine["email"], abroad["formatted_name"]):
        await plant(world, mine["customer_id"], "formatted_name", cell)
        await shut(world, "formattedName")
    await plant(world, mine["customer_id"], "formatted_name", mine["formatted_name"])
    assert (await world.ask(NAME, number=MAINLAND_NUMBER))["data"]["customer"]["formattedName"] == "陈家明"


async def test_keys_and_cells_of_somebody_else_do_not_open(world: World) -> None:
    """The whole row of another customer with all of their wrapped keys: whose they are is bound into both."""
    rows = await cells(world)
    mine, theirs = rows[MAINLAND_NUMBER], rows[STILL_OFF]
    async with world.house.stores["cn"].transaction() as connection:
        await connection.execute(
            "UPDATE data_key AS mine SET wrapped = theirs.wrapped FROM data_key AS theirs WHERE mine.customer_id = $1"
            " AND theirs.customer_id = $2 AND mine.retention = theirs.retention",
            mine["customer_id"],
            theirs["customer_id"],
        )
    await plant(world, mine["customer_id"], "formatted_name", theirs["formatted_name"])
    told = await world.ask(EMAIL, number=MAINLAND_NUMBER)
    assert told["data"]["customer"] == {"formattedName": None, "address": None}
    assert set(withheld(told).values()) == {"UNAVAILABLE"}


# --- when things are missing ------------------------------------------------------------------------------------------

FULL: Final = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON audit_entry FOR EACH STATEMENT EXECUTE FUNCTION full_disk();
"""


async def test_without_room_for_its_entry_no_answer_leaves(world: World) -> None:
    """Neither data nor a refusal; afterwards everything goes on, and the chain has no gap."""
    audited = len(await world.entries())
    async with world.house.stores["cn"].transaction() as connection:
        await connection.execute(FULL)
    for document, variables in ((PROFILE, {"number": HONG_KONG_NUMBER}), (NAME, {"number": "1"})):
        response = await world.post({"query": document, "variables": variables})
        assert refusal(response) == (503, "AUDIT_UNAVAILABLE")
        assert "No space" not in response.text
    before, asked = await world.counts(), {"number": MAINLAND_NUMBER, "to": "HK", "events": [ENDED]}
    for document in (CONSENT.replace("ORDER", "withdrawConsent"), INGEST):
        response = await world.post({"query": document, "variables": asked})
        assert refusal(response) == (503, "AUDIT_UNAVAILABLE")
        assert await world.counts() == before
    async with world.house.stores["cn"].transaction() as connection:
        await connection.execute("DROP TRIGGER full_disk ON audit_entry")
    assert {entry["from"] for entry in (await world.entries())[audited:]} <= {"HK"}
    assert (await world.ask(NAME, number=MAINLAND_NUMBER))["data"]["customer"]["formattedName"] == "陈家明"


async def test_a_process_of_one_jurisdiction_cannot_open_the_other(world: World) -> None:
    """It has no key of the mainland and no connection to it: there is nothing to ask."""
    house = world.house
    urls = house.settings.stores
    assert urls is not None
    settings = Settings(
        home=house.settings.home, stores={"hk": urls["hk"]}, regions={"HK": "hk"}, environment="test", pool_size=2
    )
    alone = replace(
        house,
        settings=settings,
        stores=Stores({"hk": house.stores["hk"]}),
        rings={"hk": house.rings["hk"]},
        trails={"hk": house.trails["hk"]},
    )
    http = httpx.AsyncClient(transport=httpx.ASGITransport(serve_house(alone)), base_url="http://hk")
    there = World(alone, http, world.statements)
    async with unmoved(world, "HK"):
        response = await there.post({"query": NAME, "variables": {"number": MAINLAND_NUMBER}})
    told = response.json()
    assert [word for word in NAMES if word in response.text] == []
    assert told.get("data") in (None, {"customer": None})
    own = await there.ask(PROFILE, number=HONG_KONG_NUMBER)
    assert own["data"]["customer"]["regions"] == ["HK"]
    assert set(withheld(own).values()) == {"REGION_UNAVAILABLE"}
    with pytest.raises(KeyError):
        alone.rings["cn"]


# --- names and tokens -------------------------------------------------------------------------------------------------

WRONG_NAMES: Final = {
    "NUL": "陈\0家明",
    "another control character": "陈\x1b家明",
    "half a character": "陈\ud800",
    "a megabyte": "陈" * (1 << 18),
    "too long": "陈" * 401,
    "nothing": "",
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", WRONG_NAMES)
async def test_a_name_that_is_none_is_not_taken_in(same: World, name: str) -> None:
    wrong = event(
        "CustomerRegistered", "CN-GD", {"customerKey": f"N-{name}"}, "2026-01-01T00:00:00Z", kind="INDIVIDUAL"
    )
    body = {"query": INGEST, "variables": {"events": [wrong | {"name": WRONG_NAMES[name]}]}}
    before = await same.counts()
    response = await same.post(body)
    told, after = response.json(), await same.counts()
    if told.get("data"):
        assert told["data"]["ingest"] == [{"status": "REJECTED", "code": "EVENT_INVALID", "field": "name"}]
    else:
        assert refusal(response)[1] in ("BODY_TOO_LARGE", "JSON_INVALID", "TEXT_INVALID")
    assert {one for one in after if after[one] != before[one]} <= {"dead_letter", "data_key"}
    assert WRONG_NAMES[name] == "" or WRONG_NAMES[name][:3] not in response.text
    assert (await same.entries())[-1]["client"] == APP.client


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("key", "whose"),
    [
        ("D-STORY-A", "林晓燕"),
        ("Ｄ－ＳＴＯＲＹ－Ａ", "林晓燕"),
        ("D-STORY-\N{CYRILLIC CAPITAL LETTER A}", None),
        ("D-STORY-\N{GREEK CAPITAL LETTER ALPHA}", None),
        ("D-STORY-A\N{ZERO WIDTH SPACE}", None),
        ("D-STORY-A\0", None),
        ("D-STORY-A%", None),
        ("' OR true --", None),
    ],
)
async def test_what_only_looks_like_an_identifier_finds_nobody(same: World, key: str, whose: str | None) -> None:
    """Wide letters are the same letters; those of another alphabet are others."""
    document = f"""query K($key: String!) {CARE} {{
      customer(identifier: {{ kind: CUSTOMER_KEY, value: $key }}) {{ formattedName }} }}"""
    async with unmoved(same, "CN"):
        response = await same.post({"query": document, "variables": {"key": key}})
    told = response.json()
    found = (told.get("data") or {}).get("customer")
    assert (found and found["formattedName"]) == whose


def forged(world: World, **changes: Any) -> str:
    """A token with other claims (None: without it), signed by the right key unless `key` says otherwise."""
    home = world.house.settings.home
    own = json.loads((home / "tokens" / "signing.json").read_text())
    claims = jwt.decode(world.token(), options={"verify_signature": False})
    key, algorithm = changes.pop("key", jwt.PyJWK(own, "EdDSA")), changes.pop("algorithm", "EdDSA")
    headers = {"kid": changes.pop("kid", own["kid"])}
    claims = {name: value for name, value in (claims | changes).items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


def public_key(world: World) -> bytes:
    """The key everybody may have, used as if it were a secret."""
    own = json.loads((world.house.settings.home / "tokens" / "jwks.json").read_text())["keys"][0]
    return jwt.PyJWK(own, "EdDSA").key.public_bytes(Encoding.Raw, PublicFormat.Raw)  # type: ignore[no-any-return]


TOKENS: Final[dict[str, Callable[[World], str]]] = {
    "HS256 with the public key": lambda world: forged(world, key=public_key(world), algorithm="HS256"),
    "a key that is not ours": lambda world: forged(world, key=Ed25519PrivateKey.generate()),
    "a foreign kid": lambda world: forged(world, kid="somebody-elses"),
    "a kid that is a path": lambda world: forged(world, kid="../../tokens/jwks.json"),
    "no audience": lambda world: forged(world, aud=None),
    "no issuer": lambda world: forged(world, iss=None),
    "no end": lambda world: forged(world, exp=None),
    "no beginning": lambda world: forged(world, iat=None),
    "a partner of our own": lambda world: forged(world, partner=True, legal_entity="SELF"),
    "a role that is none": lambda world: forged(world, role="admin"),
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("token", TOKENS)
async def test_a_token_that_is_forged_opens_nothing(same: World, token: str) -> None:
    bearer = f"Bearer {TOKENS[token](same)}"
    same.asked()
    async with unmoved(same):
        same.asked()
        response = await same.post(
            {"query": NAME, "variables": {"number": MAINLAND_NUMBER}}, None, authorization=bearer
        )
    status, code = refusal(response)
    assert status == 401
    assert code.startswith("TOKEN_")
