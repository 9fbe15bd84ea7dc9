"""What reaches the stores: one statement each for a read, none for what is refused, no consent that is remembered."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

from cdp.app import front_door
from cdp.audit import AuditTrail
from cdp.errors import AuthError, RequestInvalid
from cdp.stores import open_stores
from tests.schema.people import NUMBERS
from tests.schema.world import CARE, World

pytestmark = pytest.mark.asyncio(loop_scope="session")
OPERATIONS = Path(__file__).parent / "operations"
PROFILE = (OPERATIONS / "profile.graphql").read_text()
PAGE = (OPERATIONS / "customers_of_region.graphql").read_text()
WITHDRAW = """mutation($input: ConsentInput!) @purpose(id: "service.care") {
  withdrawConsent(input: $input) { outcome { status } } }"""
JOINED = ("regions", "holdings", "consents", "accounts", "usageMonths", "bills", "interactions")
"""What the other store adds to a profile."""


class Log:
    """The statements of all connections, in order, as (database, text)."""

    def __init__(self) -> None:
        self.statements: list[tuple[str, str]] = []

    async def listen(self, connection: asyncpg.Connection) -> None:
        database = await connection.fetchval("SELECT current_database()")
        connection.add_query_logger(lambda record: self.statements.append((database, record.query)))

    @property
    def reads(self) -> list[str]:
        """The databases that were read from, one for each statement."""
        return [database for database, text in self.statements if text.startswith("SELECT")]

    @property
    def audits(self) -> list[str]:
        """The databases in which an audit entry was written."""
        return [database for database, text in self.statements if text.strip().startswith("INSERT INTO audit_entry")]

    @property
    def others(self) -> list[str]:
        """Whatever else was said."""
        known = ("SELECT", "INSERT INTO audit_entry", "BEGIN", "COMMIT")
        # asyncpg asks each connection once what the types of a statement's arrays are.
        texts = [text.strip() for _, text in self.statements if "typeinfo_tree" not in text]
        return [text for text in texts if not text.startswith(known)]


@pytest_asyncio.fixture(loop_scope="session")
async def overheard(fresh_world: World) -> AsyncIterator[tuple[World, Log]]:
    """The world over stores whose connections tell what they are asked; its policy has been read already."""
    log, house = Log(), fresh_world.house
    urls = house.settings.stores
    assert urls is not None
    stores = await open_stores(house.settings, urls, log.listen)
    trails = {name: AuditTrail(store, house.rings[name]) for name, store in stores.items()}
    for trail in trails.values():
        trail.start()
    heard = replace(house, stores=stores, trails=trails)
    world = World(heard, front_door(heard))
    await world.ask(f'query @purpose(id: "service.care") {{ customer(number: "{NUMBERS["b-cn"]}") {{ regions }} }}')
    log.statements.clear()
    yield world, log
    for trail in trails.values():
        await trail.close()
    await stores.close()


def databases(world: World) -> dict[str, str]:
    """Store -> the name of its database."""
    return {name: urlsplit(url).path[1:] for name, url in (world.house.settings.stores or {}).items()}


async def test_a_profile_is_one_statement_for_each_store(overheard: tuple[World, Log]) -> None:
    world, log = overheard
    cn, hk = databases(world)["cn"], databases(world)["hk"]
    for customer, order in (("b-cn", [cn, hk]), ("b-hk", [hk, cn]), ("many", [cn]), ("solo", [hk])):
        log.statements.clear()
        profile = json.loads(await world.ask(PROFILE, CARE, {"number": NUMBERS[customer]}))
        # The other store is asked with the link that the number's own store knows, so the order is theirs.
        assert log.reads == order
        assert sorted(log.audits) == sorted(order) or profile["data"]["customer"] is None
        assert log.others == []


async def test_a_page_of_customers_is_one_statement(overheard: tuple[World, Log]) -> None:
    world, log = overheard
    page = json.loads(await world.ask(PAGE, CARE, {"region": "CN-GD"}))
    assert len(page["data"]["customers"]["edges"]) == 9
    assert (log.reads, log.audits, log.others) == ([databases(world)["cn"]], [databases(world)["cn"]], [])


CARING = 'query @purpose(id: "service.care")'
EDGES = "edges { node { bills(first: 50) { billNo region billDate state lines(first: 100) { kind } } } }"
REFUSED = {
    '{ customer(number: "+8613800138000") { id } }': "PURPOSE_REQUIRED",
    "mutation { ingest(events: []) { status } }": "PURPOSE_REQUIRED",
    'query @purpose(id: "service.gossip") { customer(number: "+8613800138000") { id } }': "PURPOSE_UNKNOWN",
    'query @purpose(id: "service") { customer(number: "+8613800138000") { id } }': "PURPOSE_NOT_GRANTED",
    f'{CARING} {{ customer(number: "91234567") {{ id }} }}': "NUMBER_INVALID",
    f'{CARING} {{ customer(number: "1") {{ id }} }}': "NUMBER_INVALID",
    f"{CARING} {{ customer {{ id }} }}": "ARGUMENTS_INVALID",
    f'{CARING} {{ customer(id: "x", number: "1") {{ id }} }}': "ARGUMENTS_INVALID",
    f'{CARING} {{ customers(where: {{ region: "HK" }}, first: 10000) {{ edges {{ cursor }} }} }}': "PAGE_SIZE",
    f'{CARING} {{ customers(where: {{ region: "HK" }}, first: -1) {{ edges {{ cursor }} }} }}': "PAGE_SIZE",
    f'{CARING} {{ customers(where: {{ region: "HK" }}, after: "x") {{ edges {{ cursor }} }} }}': "CURSOR_INVALID",
    f'{CARING} {{ customers(where: {{ region: "US" }}) {{ edges {{ cursor }} }} }}': "REGION_UNKNOWN",
    f'{CARING} {{ me {{ client }} customer(number: "+8613800138000") {{ bills(first: 51) {{ id }} }} }}': "PAGE_SIZE",
    f'{CARING} {{ customers(where: {{ region: "HK" }}, first: 100) {{ {EDGES} }} }}': "QUERY_TOO_COSTLY",
}


async def test_what_is_refused_is_not_asked(overheard: tuple[World, Log]) -> None:
    world, log = overheard
    caller = CARE._replace(purposes=CARE.purposes - {"service"})
    for source, code in REFUSED.items():
        with pytest.raises((RequestInvalid, AuthError)) as refused:
            await world.ask(source, caller)
        assert refused.value.code == code, source
    assert log.statements == []


async def test_a_withdrawal_counts_from_the_next_read_on(fresh_world: World) -> None:
    before = json.loads(await fresh_world.ask(PROFILE, CARE, {"number": NUMBERS["b-hk"]}))
    assert before["extensions"]["privacy"]["withheld"] == []
    subject = {"subject": {"number": NUMBERS["b-cn"]}, "purpose": "service", "destination": "HK"}
    done = json.loads(await fresh_world.ask(WITHDRAW, CARE, {"input": subject}))
    assert done["data"]["withdrawConsent"]["outcome"] == {"status": "ACCEPTED"}
    after = json.loads(await fresh_world.ask(PROFILE, CARE, {"number": NUMBERS["b-hk"]}))
    withheld = after["extensions"]["privacy"]["withheld"]
    assert {(*place["path"],) for place in withheld} == {("customer", name) for name in JOINED}
    assert {(place["code"], place["kind"]) for place in withheld} == {("CROSS_BORDER", "SEPARATE")}
    alone = json.loads(await fresh_world.ask(PROFILE, CARE._replace(stores=("hk",)), {"number": NUMBERS["b-hk"]}))
    assert after["data"] == alone["data"]
    assert {key for key, value in after["data"]["customer"].items() if value != before["data"]["customer"][key]} == {
        *JOINED
    }


async def test_a_withdrawal_is_honoured_by_every_read_that_starts_after_it_among_many(fresh_world: World) -> None:
    """Readers never stop asking, so that reads wait and share statements all the time while it is committed."""
    warm, withdrawn = asyncio.Event(), asyncio.Event()
    seen: list[tuple[bool, bool]] = []

    async def reader() -> None:
        for left in range(25):
            await withdrawn.wait() if left == 5 else None
            after = withdrawn.is_set()
            answer = json.loads(await fresh_world.ask(PROFILE, CARE, {"number": NUMBERS["b-hk"]}))
            seen.append((after, bool(answer["extensions"]["privacy"]["withheld"])))
            warm.set()

    async def withdraw() -> None:
        await warm.wait()
        subject = {"subject": {"number": NUMBERS["b-cn"]}, "purpose": "service", "destination": "HK"}
        done = json.loads(await fresh_world.ask(WITHDRAW, CARE, {"input": subject}))
        assert done["data"]["withdrawConsent"]["outcome"] == {"status": "ACCEPTED"}
        withdrawn.set()

    await asyncio.gather(*(reader() for _ in range(20)), withdraw())
    assert {withheld for after, withheld in seen if after} == {True}
    assert (False, False) in seen, "some were answered before it"


async def test_nothing_changes_for_who_asks_in_the_other_store(fresh_world: World) -> None:
    before = json.loads(await fresh_world.ask(PROFILE, CARE, {"number": NUMBERS["b-cn"]}))
    subject = {"subject": {"number": NUMBERS["b-cn"]}, "purpose": "service", "destination": "HK"}
    await fresh_world.ask(WITHDRAW, CARE, {"input": subject})
    after = json.loads(await fresh_world.ask(PROFILE, CARE, {"number": NUMBERS["b-cn"]}))
    assert after["extensions"]["privacy"]["withheld"] == []
    # The withdrawal itself is something the customer said.
    assert after["data"]["customer"].pop("consents") != before["data"]["customer"].pop("consents")
    assert after["data"] == before["data"]


async def test_two_schemas_in_one_process(world: World) -> None:
    other = front_door(world.house)
    assert other.documents.schema is not world.front.documents.schema
    variables = {"number": NUMBERS["many"]}
    answers = [await world.ask(PROFILE, CARE, variables), await World(world.house, other).ask(PROFILE, CARE, variables)]
    assert json.loads(answers[0])["data"] == json.loads(answers[1])["data"]
    assert world.front.documents.get(PROFILE) is not other.documents.get(PROFILE)
