"""What people ask about their own data, over HTTP: asked at a desk, answered by officers, seen by nobody else."""

import csv
import io
import json
import stat
import zipfile
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from structlog.testing import capture_logs

from cdp import archive
from cdp.app import writer_for, writer_of
from cdp.archive import CLIENT, export
from cdp.auth import Caller, Role
from cdp.errors import AuthError, RequestInvalid
from cdp.identity.honey import lift_suspension, mark_honey
from cdp.ingest import ingest
from cdp.linking import link_job
from cdp.worker import sweepers, work_once
from privacy.vocabulary import PURPOSES
from tests.databases import Server
from tests.journeys.processes import ran, served
from tests.journeys.world import APP, HONG_KONG_NUMBER, MAINLAND_NUMBER, PARTNER, PROFILE, World, event, open_world

EMPTY = b"DROP SCHEMA public CASCADE; CREATE SCHEMA public;\n"
OFFICER = Caller("officers", purposes=frozenset(PURPOSES), stores=("cn", "hk"), role=Role.OFFICER, actor="officer 1")
OPEN = """mutation($n: String!, $kind: PrivacyRequestKind!) @purpose(id: "service.care") {
  openPrivacyRequest(input: { subject: { number: $n }, kind: $kind }) {
    outcome { status code field } customer { id privacyRequests { id kind state due } } } }"""
ADVANCE = """mutation($id: ID!, $state: PrivacyRequestState!, $reason: String, $evidence: String)
@purpose(id: "legal.access") { advancePrivacyRequest(
  input: { request: $id, state: $state, reason: $reason, evidence: $evidence }) {
    outcome { status code field } customer { id formattedName } } }"""
QUEUE = """query($region: Region!, $state: PrivacyRequestState) @purpose(id: "legal.access") {
  privacyRequests(region: $region, state: $state) { id customerId records kind state region openedAt due } }"""
BY_ID = 'query($id: ID!) @purpose(id: "service.care") { customer(id: $id) { id formattedName accounts { accountNo } } }'
NODE = 'query($id: ID!) @purpose(id: "service.care") { node(id: $id) { id } }'
USAGE = """query($n: String!, $after: String) @purpose(id: "service.care") { customer(number: $n) {
  id usage(first: 1, after: $after) { pageInfo { endCursor } } } }"""
LISTED = """query @purpose(id: "service.care") { customers(where: { region: "CN-GD" }, first: 100) {
  edges { node { id formattedName } } } }"""


async def opened(world: World, kind: str, number: str = MAINLAND_NUMBER) -> str:
    """The opaque id of a new request, as the officers' queue has it."""
    made = (await world.ask(OPEN, n=number, kind=kind))["data"]["openPrivacyRequest"]
    assert made["outcome"] == {"status": "ACCEPTED", "code": None, "field": None}
    region = "CN" if number.startswith("+86") else "HK"
    queue = (await world.ask(QUEUE, OFFICER, region=region))["data"]["privacyRequests"]
    [request] = [one["id"] for one in queue if one["kind"] == kind]
    return str(request)


async def advanced(world: World, request: str, *states: str, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for state in states:
        answer = await world.ask(ADVANCE, OFFICER, id=request, state=state, **fields)
        made = answer["data"]["advancePrivacyRequest"]
        assert made["outcome"]["status"] == "ACCEPTED", made
    return made


async def erased(world: World, number: str = MAINLAND_NUMBER) -> str:
    """A customer of the stories, erased and swept; the id of the request."""
    request = await opened(world, "ERASURE", number)
    await advanced(world, request, "VERIFIED", "IN_PROGRESS")
    for sweeper in sweepers(world.house).values():
        await sweeper.sweep()
    return request


async def test_the_queue_is_the_officers_and_tells_nothing_of_the_person(world: World) -> None:
    for kind in ("RECTIFICATION", "ACCESS", "ERASURE"):
        await opened(world, kind)
    async with world.house.stores["cn"].transaction() as connection:
        sooner = "UPDATE privacy_request SET due_at = due_at - interval '9 days' WHERE kind = 'ERASURE'"
        await connection.execute(sooner)
    response = await world.ask(QUEUE, OFFICER, region="CN")
    found = response["data"]["privacyRequests"]
    assert found[0]["kind"] == "ERASURE"
    assert [one["due"] for one in found] == sorted(one["due"] for one in found)
    paged = QUEUE.replace("state: $state)", "state: $state, first: 1, skip: 2)")
    assert (await world.ask(paged, OFFICER, region="CN"))["data"]["privacyRequests"] == found[2:]
    assert "陈" not in json.dumps(response, ensure_ascii=False)
    assert (await world.ask(QUEUE, OFFICER, region="HK"))["data"]["privacyRequests"] == []
    assert (await world.ask(QUEUE, OFFICER, region="CN", state="COMPLETED"))["data"]["privacyRequests"] == []
    entry = (await world.entries())[-1]
    assert (entry["role"], entry["purpose"]) == ("officer", "legal.access")
    # What it tells leads to the customer, for those who may see them.
    shown = await world.ask(BY_ID, OFFICER, id=found[0]["customerId"])
    assert shown["data"]["customer"]["formattedName"] == "陈家明"


@pytest.mark.parametrize("caller", [APP._replace(purposes=frozenset(PURPOSES)), PARTNER], ids=["desk", "partner"])
async def test_nobody_else_sees_the_queue_or_advances_a_request(world: World, caller: Caller) -> None:
    request = await opened(world, "ERASURE")
    before = await world.counts()
    take_in = 'mutation($e: [Event!]!) @purpose(id: "service.care") { ingest(events: $e) { status code } }'
    step = {"type": "PrivacyRequestAdvanced", "eventId": "x", "at": "2026-01-01T00:00:00Z", "region": "CN"}
    await world.register(QUEUE, ADVANCE, take_in)
    for document, variables in (
        (QUEUE, {"region": "CN"}),
        (ADVANCE, {"id": request, "state": "VERIFIED"}),
        (take_in, {"e": [step]}),
    ):
        named = {"documentId": sha256(document.encode()).hexdigest()} if caller.partner else {"query": document}
        response = await world.post(named | {"variables": variables}, caller)
        # Events are refused one by one, into the dead letters.
        expected = 200 if document == take_in and not caller.partner else 403
        assert (response.status_code, "FORBIDDEN" in response.text) == (expected, True), response.text
    after = await world.counts()
    assert {name for name in after if after[name] != before[name]} <= {"document", "dead_letter", "data_key"}
    [one] = (await world.ask(QUEUE, OFFICER, region="CN"))["data"]["privacyRequests"]
    assert one["state"] == "RECEIVED"


async def test_a_restricted_customer_is_read_for_the_law_alone(world: World) -> None:
    request = await opened(world, "RESTRICTION")
    await advanced(world, request, "VERIFIED", "IN_PROGRESS", "COMPLETED")
    answer = await world.ask(PROFILE, number=MAINLAND_NUMBER)
    assert answer["data"]["customer"]["formattedName"] is None
    assert {one["code"] for one in answer["extensions"]["privacy"]["withheld"]} >= {"RESTRICTED"}
    legal = await world.ask(PROFILE.replace("service.care", "legal.access"), OFFICER, number=MAINLAND_NUMBER)
    assert legal["data"]["customer"]["formattedName"] == "陈家明"
    await advanced(world, await opened(world, "LIFTING"), "VERIFIED", "IN_PROGRESS", "COMPLETED")
    again = await world.ask(PROFILE, number=MAINLAND_NUMBER)
    assert again["data"]["customer"]["formattedName"] == "陈家明"


async def test_an_erased_customer_is_nobody_to_everybody(world: World) -> None:
    """By number, key, id, cursor, row and list: the same as for who was never there."""
    async with world.house.stores["cn"].transaction() as connection:
        await connection.execute("UPDATE retention_term SET by_law = false")
    was = (await world.ask(USAGE, n=MAINLAND_NUMBER))["data"]["customer"]
    theirs = (await world.ask(USAGE, n=HONG_KONG_NUMBER))["data"]["customer"]
    listed = [one["node"]["id"] for one in (await world.ask(LISTED))["data"]["customers"]["edges"]]
    request = await erased(world)
    nobody = "+8613712340000"
    await world.register(PROFILE, BY_ID, USAGE)
    for caller in (APP, OFFICER, PARTNER):
        for number in (MAINLAND_NUMBER, nobody):
            answer = await world.ask(PROFILE, caller, number=number)
            assert answer["data"] == {"customer": None}
            answer["extensions"]["privacy"].pop("auditId")
            if number == MAINLAND_NUMBER:
                erased_one = answer
        assert erased_one == answer
    cursor = was["usage"]["pageInfo"]["endCursor"] if was["usage"] else None
    assert (await world.ask(USAGE, n=MAINLAND_NUMBER, after=cursor))["data"] == {"customer": None}
    assert (await world.ask(NODE, OFFICER, id=request))["data"] == {"node": None}
    # The Hong Kong record of theirs is another one: it stands, without what the other store added.
    alone = await world.ask(PROFILE, number=HONG_KONG_NUMBER)
    assert alone["data"]["customer"]["regions"] == ["HK"]
    assert theirs["id"] == was["id"], "they were one before"
    now = [one["node"]["id"] for one in (await world.ask(LISTED))["data"]["customers"]["edges"]]
    assert len(now) == len(listed) - 1
    # Officers see that it was done.
    [done] = (await world.ask(QUEUE, OFFICER, region="CN", state="COMPLETED"))["data"]["privacyRequests"]
    assert (done["kind"], done["id"]) == ("ERASURE", request)
    assert (await world.ask(BY_ID, OFFICER, id=done["customerId"]))["data"] == {"customer": None}


async def test_the_other_side_of_a_link_is_told_of_an_erasure(world: World) -> None:
    links = link_job(writer_for(world.house.settings, world.house.stores))
    await work_once(world.house.stores.values(), [links])
    assert await linked(world, "hk") == {"ACTIVE"}
    await erased(world)
    assert await linked(world, "cn") == set()

    for _ in range(2):
        assert await work_once(world.house.stores.values(), [links]) == 0

        assert (await linked(world, "cn"), await linked(world, "hk")) == (set(), {"REVOKED"})
        assert await world.rows("link_intent") == 0
    alone = await world.ask(PROFILE, number=HONG_KONG_NUMBER)
    assert (alone["data"]["customer"]["regions"], alone["extensions"]["privacy"]["withheld"]) == (["HK"], [])


async def linked(world: World, store: str) -> set[str]:
    """The states of the links that a store has."""
    async with world.house.stores[store].read() as connection:
        return {row[0] for row in await connection.fetch("SELECT state FROM link")}


async def test_nothing_of_a_honey_customer_is_handed_out(world: World, tmp_path: Path) -> None:
    request, file, sought = await opened(world, "ACCESS"), tmp_path / "mine.zip", ("number", MAINLAND_NUMBER, "CN-GD")
    await advanced(world, request, "VERIFIED")
    await mark_honey(world.house, sought, datetime.now(UTC), honey=True)
    before = await world.counts()
    with pytest.raises(AuthError, match="suspended"):
        await export(world.house, request, file)
    after = await world.counts()
    assert {name for name in after if after[name] != before[name]} <= {"suspended_client"}
    assert not file.exists()
    [alarm] = [one for one in await world.entries() if one["operation"] == "alarm"]
    assert alarm["client"] == CLIENT

    await mark_honey(world.house, sought, datetime.now(UTC), honey=False)
    with pytest.raises(AuthError, match="suspended"):
        await export(world.house, request, file)
    await lift_suspension(world.house, CLIENT)
    await export(world.house, request, file)


async def test_everything_held_is_in_one_archive(world: World, tmp_path: Path) -> None:
    request, file = await opened(world, "ACCESS"), tmp_path / "mine.zip"
    with pytest.raises(RequestInvalid, match="state VERIFIED"):
        await export(world.house, request, file)
    assert not file.exists()
    await advanced(world, request, "VERIFIED")
    formula = {"interactionRef": "r", "channel": "APP", "direction": "INBOUND", "reason": "r", "note": "=1+1"}
    said = event("InteractionLogged", "CN-GD", {"number": MAINLAND_NUMBER}, "2026-11-01T00:00:00Z", **formula)
    await world.tell(said)
    before_them = said | {"at": "2001-01-01T00:00:00Z"}
    others = said | {"subject": {"number": "+8613712340000"}, "direction": "BOTH"}
    wrong = [before_them, said | {"direction": "BOTH", "note": "a secret of somebody else"}, others]
    for n, one in enumerate(wrong):
        await ingest(writer_of(world.house), [one | {"eventId": f"wrong-{n}"}], "desk")
    digest = await export(world.house, request, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sha256(file.read_bytes()).hexdigest() == digest

    with zipfile.ZipFile(file) as made:
        names = set(made.namelist())
        read = {name: made.read(name).decode() for name in names}
    assert {name.partition("/")[0] for name in names} == {"index.html", "cn", "hk"}
    assert not [name for name in names if "data_key" in name]
    [row] = json.loads(read["cn/customer.json"])
    assert row["formatted_name"] == "陈家明"
    [same] = csv.DictReader(io.StringIO(read["cn/customer.csv"]))
    assert same["formatted_name"] == "陈家明"
    assert MAINLAND_NUMBER in read["cn/number_holding.json"]
    assert HONG_KONG_NUMBER in read["hk/number_holding.csv"]
    for name in names - {"index.html"}:
        assert f"'{name}'" in read["index.html"], name
        assert "\\\\x" not in read[name]
    for store in ("cn", "hk"):
        for table in ("bill", "account", "consent_event", "interaction"):
            held = await one_number(world, store, table, json.loads(read[f"{store}/customer.json"])[0]["customer_id"])
            assert len(json.loads(read[f"{store}/{table}.json"])) == held, (store, table)

    refused = json.loads(read["cn/dead_letter.json"])
    assert {(one["source"], one["field"]) for one in refused} == {("desk", "subject"), ("desk", "direction")}
    assert "<td>cn</td><td>2</td><td>2</td><td><a href='cn/dead_letter.json'>" in read["index.html"]
    assert not [name for name in names if "a secret of somebody else" in read[name]]
    spoken = list(csv.DictReader(io.StringIO(read["cn/interaction.csv"])))
    assert [one["note"] for one in spoken if one["reason"] == "r"] == ["'=1+1"]
    assert read["cn/customer.csv"].startswith("\ufeff"), "a spreadsheet shows the names"

    entries = [entry for entry in await world.entries() if entry.get("operation") == "export"]
    assert [(entry["purpose"], entry["archive"]) for entry in entries] == [("legal.access", digest)] * 2
    [done] = (await world.ask(QUEUE, OFFICER, region="CN", state="COMPLETED"))["data"]["privacyRequests"]
    node = 'query($id: ID!) @purpose(id: "legal.access") { node(id: $id) { ... on PrivacyRequest { state evidence } } }'
    assert (await world.ask(node, OFFICER, id=done["id"]))["data"]["node"] == {"state": "COMPLETED", "evidence": digest}
    with pytest.raises(RequestInvalid, match="state VERIFIED"):
        await export(world.house, request, tmp_path / "again.zip")


async def one_number(world: World, store: str, table: str, customer_id: str) -> int:
    count = f'SELECT count(*) FROM "{table}" WHERE customer_id = $1::text::uuid'
    async with world.house.stores[store].read() as connection:
        return int(await connection.fetchval(count, customer_id))


async def test_an_archive_is_opened_by_keys_in_a_database_of_their_own(database_server: Server, tmp_path: Path) -> None:
    """What is damaged is withheld, counted and an alarm; the rest is there."""
    async with (
        database_server.database(database_server.template) as keys,
        open_world(database_server, tmp_path, key_store={"cn": keys}) as world,
    ):
        request, file = await opened(world, "ACCESS"), tmp_path / "mine.zip"
        await advanced(world, request, "VERIFIED")
        async with world.house.stores["cn"].transaction() as connection:
            await connection.execute("UPDATE customer SET email = set_byte(email, 30, 255 - get_byte(email, 30))")
        with capture_logs() as said:
            await export(world.house, request, file)
    with zipfile.ZipFile(file) as made:
        [row] = json.loads(made.read("cn/customer.json"))
        index = made.read("index.html").decode()
    assert (row["formatted_name"], row["email"]) == ("陈家明", None)
    assert index.count("</td><td>1</td><td>1</td><td>") == 1
    [alarm] = [one for one in said if one["event"] == "cell_unopened"]
    assert (alarm["store"], alarm["log_level"]) == ("cn", "warning")


async def test_an_archive_of_somebody_who_is_erased_meanwhile_is_not_left(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, file, erasure = await opened(world, "ACCESS"), tmp_path / "mine.zip", await opened(world, "ERASURE")
    await advanced(world, request, "VERIFIED")
    whole = archive._write_down

    async def erase_first(*given: Any) -> None:
        await advanced(world, erasure, "VERIFIED", "IN_PROGRESS")
        await whole(*given)

    monkeypatch.setattr(archive, "_write_down", erase_first)
    with pytest.raises(RequestInvalid, match="went on while the archive was made"):
        await export(world.house, request, file)
    assert not file.exists()


async def test_an_archive_overwrites_nothing_and_portability_is_what_was_given(world: World, tmp_path: Path) -> None:
    request, file = await opened(world, "PORTABILITY"), tmp_path / "mine.zip"
    await advanced(world, request, "VERIFIED")
    file.write_text("something")
    entries = len(await world.entries())
    with pytest.raises(RequestInvalid, match="there already"):
        await export(world.house, request, file)
    with pytest.raises(RequestInvalid, match="a folder that is there"):
        await export(world.house, request, tmp_path / "nowhere" / "mine.zip")
    assert (file.read_text(), len(await world.entries())) == ("something", entries)
    file.unlink()
    await export(world.house, request, file)
    with zipfile.ZipFile(file) as made:
        names = set(made.namelist())
    assert {"cn/customer.csv", "hk/usage_month.json"} <= names
    assert not {"cn/bill.json", "cn/number_fact.json", "cn/identifier_index.csv"} & names
    for wrong in ("nothing", request[:-4] + "AAAA"):
        with pytest.raises(RequestInvalid, match="id of a privacy request"):
            await export(world.house, wrong, tmp_path / "wrong.zip")


async def test_a_backup_brings_nobody_back(world: World) -> None:
    """The drill: dump, erase, restore, and whoever serves erases again before anybody is answered."""
    urls = world.house.settings.stores
    assert urls is not None
    # The setting is of PostgreSQL 17 and later; an older server, whose own pg_dump does not write it, refuses it.
    dumped = (await ran("pg_dump", urls["cn"])).replace(b"SET transaction_timeout = 0;\n", b"")
    await erased(world)
    before = await rows_of(urls["cn"])
    assert (await world.ask(PROFILE, number=MAINLAND_NUMBER))["data"] == {"customer": None}

    await ran("psql", "-q", "-v", "ON_ERROR_STOP=1", urls["cn"], sent=EMPTY + dumped)
    back = await world.ask(PROFILE, number=MAINLAND_NUMBER)
    assert back["data"]["customer"]["formattedName"] == "陈家明", "the backup has them"
    async with served(world) as url, httpx.AsyncClient(base_url=url) as http:
        headers = {"authorization": f"Bearer {world.token()}"}
        asked = {"query": PROFILE, "variables": {"number": MAINLAND_NUMBER}}
        answer = await http.post("/graphql", json=asked, headers=headers)
        assert answer.json()["data"] == {"customer": None}
    for sweeper in sweepers(world.house).values():
        assert await sweeper.replay() == 0
        await sweeper.sweep()
    assert await rows_of(urls["cn"]) == before


async def rows_of(url: str) -> dict[str, int]:
    """Table -> rows, but for those that tell of the request, which the backup does not have."""
    told = {
        "audit_entry",
        "audit_chain",
        "event_seen",
        "unlogged_word",
        "privacy_request",
        "outbox",
        "erased_rows",
        "alembic_version",
    }
    connection = await asyncpg.connect(url)
    try:
        names = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        )
        return {
            name: await connection.fetchval(f'SELECT count(*) FROM "{name}"') for (name,) in names if name not in told
        }
    finally:
        await connection.close()
