"""One customer in two stores over HTTP: proposed, proved with a code, joined and parted, whatever breaks meanwhile."""

import asyncio
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import structlog
from rich.progress import Progress

from cdp import linking
from cdp.app import serve_house, writer_for
from cdp.consent.policy_rows import starter_rows, write_policy
from cdp.errors import StoreUnavailable
from cdp.identity.proposals import Intent
from cdp.ingest import Outcome, Writer, ingest
from cdp.linking import MOST_PROPOSALS, MOST_TRIES, carry, link_job
from cdp.logs import configure_logs
from cdp.rotation import rotate
from cdp.stores import Stores
from cdp.worker import work_once
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
    open_world,
)
from tests.rotating import begin_index

PURPOSE: Final = '@purpose(id: "service.care")'
PROPOSE: Final = f"""
mutation Propose($number: String!, $other: String!) {PURPOSE} {{
  proposeLink(number: $number, otherNumber: $other) {{ outcome {{ status code field expected }} token expiresAt }}
}}"""
CONFIRM: Final = f"""
mutation Confirm($token: ID!, $code: String!) {PURPOSE} {{
  confirmLink(token: $token, code: $code) {{ outcome {{ status code field }} customer {{ id regions }} }}
}}"""
UNLINK: Final = f"""
mutation Unlink($number: String!, $other: Region) {PURPOSE} {{
  unlink(number: $number, otherRegion: $other) {{ outcome {{ status code field }} customer {{ id regions }} }}
}}"""
CONSENT: Final = f"""
mutation Consent($number: String!, $to: String!) {PURPOSE} {{
  ORDER(input: {{ subject: {{ number: $number }}, purpose: "service", destination: $to, kind: SEPARATE }}) {{
    outcome {{ status }}
  }}
}}"""
GIVE, WITHDRAW = CONSENT.replace("ORDER", "giveConsent"), CONSENT.replace("ORDER", "withdrawConsent")

SECOND_MAINLAND, SECOND_HONG_KONG = "+8613800138099", "+85291234599"
LINKS = ("link", "link_index", "link_proposal", "link_intent", "event_seen", "outbox", "dead_letter")
ACCEPTED = {"status": "ACCEPTED", "code": None, "field": None}
LISTS = ("accounts", "bills", "consents", "holdings", "interactions", "regions", "usageMonths")


def refused(code: str, field: str) -> dict[str, Any]:
    return {"status": "REJECTED", "code": code, "field": field}


def second(number: str, region: str, abroad: str) -> list[dict[str, Any]]:
    """Somebody else with a number, who agreed that the other side may see what is needed for service."""
    key = {"customerKey": f"SECOND-{region}"}
    at = "2026-01-05T08:00:00Z"
    return [
        event("CustomerRegistered", region, key, at, name="王小明", kind="INDIVIDUAL", birthDate="1970-01-01"),
        event("NumberActivated", region, key, at, number=number, simRef="s"),
        event("ConsentGiven", region, key, at, purpose="service", kind="SEPARATE", destination=abroad),
    ]


OTHERS = (*second(SECOND_MAINLAND, "CN-GD", "HK"), *second(SECOND_HONG_KONG, "HK", "CN"))


@pytest.fixture
async def world(database_server: Server, tmp_path: Path) -> AsyncIterator[World]:
    """Nobody is linked; the customer of story B has records, consents and bills on either side."""
    async with open_world(database_server, tmp_path, OTHERS) as world:
        await unlink(world, MAINLAND_NUMBER)
        yield world


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers, root.level
    configure_logs("DEBUG", stream)
    yield stream
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def propose(world: World, number: str = HONG_KONG_NUMBER, other: str = MAINLAND_NUMBER) -> dict[str, Any]:
    told: dict[str, Any] = (await world.ask(PROPOSE, number=number, other=other))["data"]["proposeLink"]
    return told


async def confirm(world: World, token: str, code: str) -> dict[str, Any]:
    told: dict[str, Any] = (await world.ask(CONFIRM, token=token, code=code))["data"]["confirmLink"]
    return told


async def unlink(world: World, number: str) -> dict[str, Any]:
    told: dict[str, Any] = (await world.ask(UNLINK, number=number))["data"]["unlink"]
    return told


async def messages(world: World) -> list[dict[str, str]]:
    """What was brought to customers so far."""
    await asyncio.gather(*(task for task in asyncio.all_tasks() if "Outgoing._send" in repr(task.get_coro())))
    files = sorted((world.house.settings.home / "messages").glob("*.json"))
    return [json.loads(file.read_text()) for file in files]


async def proposed(world: World, number: str = HONG_KONG_NUMBER, other: str = MAINLAND_NUMBER) -> tuple[str, str]:
    """The token of a proposal, and the code that was sent for it."""
    token = (await propose(world, number, other))["token"]
    sent = (await messages(world))[-1]
    assert sent["number"] == other
    [code, again] = re.findall(r"\d{6}", sent["text"])
    assert code == again
    return token, code


async def test_a_link_is_made_while_tags_are_moved(world: World) -> None:
    """By a house that has not heard of the new index roots, from the proposal to the end."""
    settings = world.house.settings
    for name in ("cn", "hk"):
        await begin_index(settings, name)
    token, code = await proposed(world)
    for name in ("cn", "hk"):
        with Progress(disable=True) as bars:
            await rotate(settings, [name], "index", bars)
    for name in ("cn", "hk"):
        await begin_index(settings, name)
    told = await confirm(world, token, code)
    assert told["outcome"] == ACCEPTED
    assert told["customer"]["regions"] == ["CN-GD", "HK"]
    assert (await unlink(world, MAINLAND_NUMBER))["outcome"] == ACCEPTED


async def linked(world: World) -> dict[str, Any]:
    return await confirm(world, *await proposed(world))


async def merge(world: World, number: str, other: str) -> Outcome:
    """What became of joining two mainland records."""
    door = writer_for(world.house.settings, world.house.stores)
    at = datetime.now(UTC).isoformat()
    order = event("CustomersMerged", "CN-GD", {"number": number}, at, other={"number": other})
    return (await ingest(await door("cn"), [order], "test"))[0]


async def customer(world: World, number: str) -> dict[str, Any]:
    found: dict[str, Any] = (await world.ask(PROFILE, number=number))["data"]["customer"]
    return found


async def withheld(world: World, number: str) -> set[tuple[tuple[str, ...], str]]:
    told = await world.ask(PROFILE, number=number)
    return {(tuple(one["path"]), one["code"]) for one in told["extensions"]["privacy"]["withheld"]}


async def states(world: World, since: str = "2026-01-01") -> dict[str, list[tuple[str, str, bool]]]:
    """Store -> (state, other store, leads) of the links that changed since then, the oldest first."""
    found = {}
    for name, store in world.house.stores.items():
        async with store.read() as connection:
            rows = await connection.fetch(
                "SELECT state, other_store, leads FROM link WHERE state_at > $1 ORDER BY state_at",
                datetime.fromisoformat(since).replace(tzinfo=UTC),
            )
        found[name] = [tuple(row) for row in rows]
    return found


async def count(world: World, tables: Sequence[str] = LINKS) -> dict[str, int]:
    return {table: await world.rows(table) for table in tables}


async def change(world: World, store: str, statement: str) -> None:
    async with world.house.stores[store].transaction() as connection:
        await connection.execute(statement)


async def heal(world: World) -> int:
    """What the worker does when everything is due; how much of it failed."""
    for name in world.house.stores:
        with suppress(StoreUnavailable):
            await change(world, name, "UPDATE link_intent SET due_at = at")
    job = link_job(writer_for(world.house.settings, world.house.stores))
    return await work_once(world.house.stores.values(), [job])


def url_of(world: World, store: str) -> str:
    assert world.house.settings.stores is not None
    return world.house.settings.stores[store]


# --- the whole path ---------------------------------------------------------------------------------------------------


async def test_two_numbers_become_one_customer_and_two_again(world: World) -> None:
    apart = {number: await customer(world, number) for number in (HONG_KONG_NUMBER, MAINLAND_NUMBER)}
    assert [one["regions"] for one in apart.values()] == [["HK"], ["CN-GD"]]
    assert apart[HONG_KONG_NUMBER]["id"] != apart[MAINLAND_NUMBER]["id"]

    told = await linked(world)

    assert told["outcome"] == ACCEPTED
    assert told["customer"]["regions"] == ["CN-GD", "HK"]
    one, other = await customer(world, HONG_KONG_NUMBER), await customer(world, MAINLAND_NUMBER)
    assert one == other
    assert one["id"] == told["customer"]["id"]
    assert {holding["number"] for holding in one["holdings"]} == {HONG_KONG_NUMBER, MAINLAND_NUMBER}
    assert {(a["region"], a["balance"]["unit"]) for a in one["accounts"]} == {("CN-GD", "CNY"), ("HK", "HKD")}
    for name in ("bills", "usageMonths", "interactions"):
        assert {item["region"] for item in one[name]} == {"CN-GD", "HK"}, name
    assert await withheld(world, HONG_KONG_NUMBER) == await withheld(world, MAINLAND_NUMBER) == set()
    assert await states(world) == {
        "cn": [("REVOKED", "", False), ("ACTIVE", "hk", False)],
        "hk": [("REVOKED", "", False), ("ACTIVE", "cn", True)],
    }

    await world.ask(WITHDRAW, number=MAINLAND_NUMBER, to="HK")

    assert await withheld(world, HONG_KONG_NUMBER) == {(("customer", name), "CROSS_BORDER") for name in LISTS}
    local = await customer(world, HONG_KONG_NUMBER)
    assert {name: local[name] for name in local if name != "id"} == {
        name: value for name, value in apart[HONG_KONG_NUMBER].items() if name != "id"
    }
    assert await withheld(world, MAINLAND_NUMBER) == set()
    assert (await customer(world, MAINLAND_NUMBER))["regions"] == ["CN-GD", "HK"]

    parted = await unlink(world, MAINLAND_NUMBER)

    assert parted == {"outcome": ACCEPTED, "customer": {"id": apart[MAINLAND_NUMBER]["id"], "regions": ["CN-GD"]}}
    assert await customer(world, HONG_KONG_NUMBER) == apart[HONG_KONG_NUMBER]
    assert await withheld(world, HONG_KONG_NUMBER) == set()
    assert [rows[-1][0] for rows in (await states(world)).values()] == ["REVOKED", "REVOKED"]
    assert await world.rows("link_intent") == 0
    told = await unlink(world, HONG_KONG_NUMBER)
    assert told["outcome"] == {"status": "DUPLICATE", "code": None, "field": None}


async def test_what_crosses_is_a_token_and_nothing_else(world: World) -> None:
    await linked(world)
    texts: dict[str, str] = {}
    own: dict[str, list[str]] = {}
    for name, store in world.house.stores.items():
        async with store.read() as connection:
            rows = [row[0] for table in LINKS for row in await connection.fetch(f'SELECT t::text FROM "{table}" AS t')]
            [[customer_id]] = await connection.fetch("SELECT customer_id FROM link WHERE state = 'ACTIVE'")
            tags = await connection.fetch("SELECT number_tag FROM number_index WHERE customer_id = $1", customer_id)
        texts[name], own[name] = "\n".join(rows), [str(customer_id), *(row[0].hex() for row in tags)]
    for here, there in (("cn", "hk"), ("hk", "cn")):
        assert [word for word in own[there] if word in texts[here]] == []
        assert [number for number in (MAINLAND_NUMBER, HONG_KONG_NUMBER) if number[4:] in texts[here]] == []
        assert [word for word in own[here][:1] if word in texts[here]] == own[here][:1]


async def test_both_stores_write_down_who_made_a_link(world: World) -> None:
    audited = len(await world.entries())
    token, code = await proposed(world)
    await confirm(world, token, code)
    made = (await world.entries())[audited:]

    assert sorted(entry["from"] for entry in made if "begun" not in entry) == ["CN", "CN", "HK", "HK"]
    assert len([entry for entry in made if "begun" in entry]) == 2
    assert {(entry["operation"], entry["purpose"]) for entry in made} == {("mutation", "service.care")}
    assert {entry["client"] for entry in made} == {APP.client}


# --- what a proposal tells --------------------------------------------------------------------------------------------


async def test_a_proposal_never_tells_whether_anybody_holds_the_other_number(world: World) -> None:
    await propose(world)
    world.asked()
    held, statements = await propose(world), world.asked()
    nobodys, others = await propose(world, other=NOBODYS[0]), world.asked()

    assert held["outcome"] == nobodys["outcome"] == ACCEPTED | {"expected": None}
    assert len(held["token"]) == len(nobodys["token"])
    assert len(held["expiresAt"]) == len(nobodys["expiresAt"])
    assert statements == others
    assert [one["number"] for one in await messages(world)] == [MAINLAND_NUMBER, MAINLAND_NUMBER]
    for code in ("000000", "999999"):
        assert (await confirm(world, nobodys["token"], code))["outcome"] == refused("LINK_CODE_WRONG", "code")


async def test_so_much_is_proposed_to_a_customer_a_day_and_no_more(world: World) -> None:
    for _ in range(MOST_PROPOSALS):
        assert (await propose(world))["outcome"]["status"] == "ACCEPTED"
    before = await count(world)

    told = await propose(world)

    assert (told["token"], told["outcome"]["code"]) == (None, "LINK_TOO_MANY")
    assert await count(world) == before
    # For the other number nothing is sent any more, which nobody is told.
    quiet = await propose(world, SECOND_HONG_KONG)
    assert (quiet["outcome"]["status"], len(await messages(world))) == ("ACCEPTED", MOST_PROPOSALS)
    for store in ("cn", "hk"):
        await change(world, store, "UPDATE link_proposal SET proposed_at = proposed_at - interval '1 day'")
    assert (await propose(world))["outcome"]["status"] == "ACCEPTED"
    assert len(await messages(world)) == MOST_PROPOSALS + 1


# --- what makes no link -----------------------------------------------------------------------------------------------


async def no_link(world: World) -> None:
    """Nobody is joined, and nothing is on its way."""
    assert {rows[-1][0] for rows in (await states(world)).values()} == {"REVOKED"}
    assert await world.rows("link_intent") == 0
    assert (await customer(world, HONG_KONG_NUMBER))["regions"] == ["HK"]
    assert (await customer(world, MAINLAND_NUMBER))["regions"] == ["CN-GD"]


async def test_a_wrong_code_makes_no_link_and_a_few_of_them_end_the_proposal(world: World) -> None:
    token, code = await proposed(world)
    wrong = f"{(int(code) + 1) % 10**6:06}"
    for _ in range(MOST_TRIES):
        told = await confirm(world, token, wrong)
        assert told == {"outcome": refused("LINK_CODE_WRONG", "code"), "customer": None}
    assert (await confirm(world, token, code))["outcome"] == refused("LINK_OVER", "token")
    await no_link(world)


async def test_the_code_of_another_proposal_is_a_wrong_one(world: World) -> None:
    (token, code), (other_token, other_code) = await proposed(world), await proposed(world)
    assert token != other_token
    if code != other_code:
        assert (await confirm(world, token, other_code))["outcome"] == refused("LINK_CODE_WRONG", "code")
        assert (await confirm(world, other_token, code))["outcome"] == refused("LINK_CODE_WRONG", "code")
    # Not even one who writes to the database moves a code from one to the other.
    first = "(SELECT code_hash FROM link_proposal ORDER BY proposed_at LIMIT 1)"
    await change(world, "hk", f"UPDATE link_proposal SET code_hash = {first}")
    assert (await confirm(world, other_token, code))["outcome"] == refused("LINK_CODE_WRONG", "code")
    await no_link(world)
    assert (await confirm(world, token, code))["outcome"] == ACCEPTED


async def test_an_old_proposal_is_over(world: World) -> None:
    token, code = await proposed(world)
    for store in ("cn", "hk"):
        await change(world, store, "UPDATE link_proposal SET proposed_at = proposed_at - interval '10 minutes'")
    assert (await confirm(world, token, code))["outcome"] == refused("LINK_OVER", "token")
    await no_link(world)


async def test_a_token_is_good_once_for_whom_it_was_given_to(world: World) -> None:
    token, code = await proposed(world)
    sister = APP._replace(client="sister-app", legal_entity="SISTER", actor="sister")
    for given, caller in ((token, sister), (token[:-1] + ("A" if token[-1] != "A" else "B"), APP), ("", APP)):
        response = await world.post({"query": CONFIRM, "variables": {"token": given, "code": code}}, caller)
        assert response.json()["errors"][0]["extensions"]["code"] == "LINK_UNKNOWN"
    await no_link(world)

    answers = await asyncio.gather(*(confirm(world, token, code) for _ in range(3)))

    assert sorted(one["outcome"]["status"] for one in answers) == ["ACCEPTED", "REJECTED", "REJECTED"]
    assert [rows[-1][0] for rows in (await states(world)).values()] == ["ACTIVE", "ACTIVE"]
    assert await world.rows("link_intent") == 0
    await unlink(world, MAINLAND_NUMBER)
    assert (await confirm(world, token, code))["outcome"] == refused("LINK_OVER", "token")
    await no_link(world)


async def test_a_second_link_to_the_same_store_is_refused_on_either_side(world: World) -> None:
    token, code = await proposed(world)
    late, late_code = await proposed(world, SECOND_HONG_KONG, MAINLAND_NUMBER)
    twice, twice_code = await proposed(world, HONG_KONG_NUMBER, SECOND_MAINLAND)
    await confirm(world, token, code)
    before, as_one = await count(world, LINKS[:2]), await customer(world, HONG_KONG_NUMBER)

    told = await propose(world, HONG_KONG_NUMBER, SECOND_MAINLAND)

    assert (told["outcome"]["code"], told["outcome"]["field"]) == ("LINK_EXISTS", "number")
    assert (await confirm(world, late, late_code))["outcome"] == refused("LINK_EXISTS", "otherNumber")
    assert (await confirm(world, twice, twice_code))["outcome"] == refused("LINK_EXISTS", "number")
    assert await count(world, LINKS[:2]) == before
    assert await customer(world, MAINLAND_NUMBER) == as_one
    assert (await customer(world, SECOND_HONG_KONG))["regions"] == ["HK"]


async def test_records_that_were_merged_have_one_link_and_any_of_their_numbers_ends_it(world: World) -> None:
    await linked(world)
    await merge(world, SECOND_MAINLAND, MAINLAND_NUMBER)

    told = await propose(world, SECOND_MAINLAND, SECOND_HONG_KONG)
    assert (told["outcome"]["code"], told["outcome"]["field"]) == ("LINK_EXISTS", "number")
    back = await proposed(world, SECOND_HONG_KONG, SECOND_MAINLAND)
    assert (await confirm(world, *back))["outcome"] == refused("LINK_EXISTS", "otherNumber")

    assert (await unlink(world, SECOND_MAINLAND))["outcome"] == ACCEPTED
    assert (await customer(world, HONG_KONG_NUMBER))["regions"] == ["HK"]
    assert (await customer(world, MAINLAND_NUMBER))["regions"] == ["CN-GD"]


async def test_records_with_a_link_each_to_another_store_are_not_merged(world: World) -> None:
    """Of two links one would be followed, and what is behind the other would be seen no more."""
    await linked(world)
    await confirm(world, *await proposed(world, SECOND_HONG_KONG, SECOND_MAINLAND))
    refused = await merge(world, SECOND_MAINLAND, MAINLAND_NUMBER)
    assert (refused.code, refused.field) == ("CLUSTER_TOO_LARGE", "other")
    for number in (MAINLAND_NUMBER, SECOND_MAINLAND):
        assert (await customer(world, number))["regions"] == ["CN-GD", "HK"]
    await unlink(world, SECOND_MAINLAND)
    assert (await merge(world, SECOND_MAINLAND, MAINLAND_NUMBER)).code is None


async def test_a_link_that_the_other_side_refuses_after_all_is_undone_here(world: World) -> None:
    """Two confirmed at once: the database of the other side lets one of them in."""
    first, second = await proposed(world), await proposed(world, SECOND_HONG_KONG, MAINLAND_NUMBER)
    await confirm(world, *first)
    await change(world, "cn", "UPDATE link SET other_store = 'elsewhere' WHERE state = 'ACTIVE'")

    async def in_between(writer: Writer, events: Sequence[Mapping[str, Any]], source: str) -> list[Outcome]:
        if events[0]["region"] == "CN" and events[0]["type"] == "CustomerLinked":
            await change(world, "cn", "UPDATE link SET other_store = 'hk' WHERE state = 'ACTIVE'")
        return await ingest(writer, events, source)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linking, "ingest", in_between)
        told = await confirm(world, *second)

    assert told == {"outcome": refused("LINK_EXISTS", "number"), "customer": None}
    assert await world.rows("link_intent") == 0
    assert (await customer(world, SECOND_HONG_KONG))["regions"] == ["HK"]
    assert (await customer(world, MAINLAND_NUMBER))["regions"] == ["CN-GD", "HK"]
    assert sorted(row[0] for row in (await states(world))["hk"]) == ["ACTIVE", "REVOKED", "REVOKED"]


@pytest.mark.parametrize(
    ("number", "other", "code", "field"),
    [
        (HONG_KONG_NUMBER, "12", "NUMBER_INVALID", None),
        (HONG_KONG_NUMBER, SECOND_HONG_KONG, "LINK_ONE_STORE", "otherNumber"),
        (HONG_KONG_NUMBER, "+447911123456", "REGION_UNKNOWN", None),
    ],
)
async def test_a_proposal_that_makes_no_sense_is_an_error(
    world: World, number: str, other: str, code: str, field: str | None
) -> None:
    before = await count(world)
    response = await world.post({"query": PROPOSE, "variables": {"number": number, "other": other}})
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] == code
    assert field is None or error["message"].startswith(field)
    assert other not in response.text
    assert await count(world) == before
    assert await messages(world) == []


async def test_nobody_proposes_with_a_number_that_nobody_holds(world: World) -> None:
    before = await count(world)
    told = await propose(world, NOBODYS[1])
    assert (told["token"], told["outcome"]["code"]) == (None, "UNKNOWN_CUSTOMER")
    assert (await unlink(world, NOBODYS[1]))["outcome"] == refused("UNKNOWN_CUSTOMER", "number")
    assert await count(world) == before
    assert await messages(world) == []


# --- what the law asks ------------------------------------------------------------------------------------------------


async def test_without_the_consent_of_the_one_side_nothing_is_proposed(world: World) -> None:
    await world.ask(WITHDRAW, number=MAINLAND_NUMBER, to="HK")
    before = await count(world)

    told = await propose(world, MAINLAND_NUMBER, HONG_KONG_NUMBER)

    assert (told["token"], told["outcome"]["code"], told["outcome"]["field"]) == (None, "CROSS_BORDER", "number")
    assert await count(world) == before
    assert await messages(world) == []


@pytest.mark.parametrize(("number", "to"), [(MAINLAND_NUMBER, "HK"), (HONG_KONG_NUMBER, "CN")])
@pytest.mark.parametrize("first", [MAINLAND_NUMBER, HONG_KONG_NUMBER])
async def test_the_consent_of_either_side_must_stand_when_the_link_is_made(
    world: World, number: str, to: str, first: str
) -> None:
    token, code = await proposed(world, first, ({MAINLAND_NUMBER, HONG_KONG_NUMBER} - {first}).pop())
    await world.ask(WITHDRAW, number=number, to=to)

    told = await confirm(world, token, code)

    field = "number" if number == first else "otherNumber"
    assert told == {"outcome": refused("CROSS_BORDER", field), "customer": None}
    await no_link(world)
    await world.ask(GIVE, number=number, to=to)
    assert (await confirm(world, token, code))["outcome"] == ACCEPTED


async def test_without_a_transfer_basis_nothing_is_joined(world: World) -> None:
    token, code = await proposed(world)
    starter = starter_rows()
    async with world.house.stores["cn"].transaction() as connection:
        await write_policy(connection, replace(starter, version=2, transfer_bases=()), datetime.now(UTC))
    assert (await confirm(world, token, code))["outcome"] == refused("CROSS_BORDER", "otherNumber")
    assert (await propose(world, MAINLAND_NUMBER, HONG_KONG_NUMBER))["outcome"]["code"] == "CROSS_BORDER"
    await no_link(world)


async def test_a_purpose_for_which_nothing_is_read_across_joins_nobody(world: World) -> None:
    officer = APP._replace(purposes=frozenset({"legal.audit"}))
    document = PROPOSE.replace("service.care", "legal.audit")
    told = await world.ask(document, officer, number=HONG_KONG_NUMBER, other=MAINLAND_NUMBER)
    assert told["data"]["proposeLink"]["outcome"]["status"] == "REJECTED"
    assert await world.rows("link_proposal") == 0


# --- what breaks meanwhile --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "down"), [(MAINLAND_NUMBER, "hk"), (HONG_KONG_NUMBER, "cn")])
@pytest.mark.parametrize("said_there_too", [False, True])
async def test_a_link_ends_while_the_other_side_is_down_and_there_when_it_is_back(
    world: World, database_server: Server, number: str, down: str, said_there_too: bool
) -> None:
    await linked(world)
    own = {"hk": "CN-GD", "cn": "HK"}[down]
    async with database_server.away(url_of(world, down)):
        told = await unlink(world, number)
        assert told["outcome"] == ACCEPTED
        assert told["customer"]["regions"] == [own]
        assert await withheld(world, number) == set()
        assert await heal(world) == 1  # the one that is down
        assert await heal(world) == 1

    assert await world.rows("link_intent") == 1
    assert (await states(world))[down][-1][0] == "ACTIVE"
    other = ({MAINLAND_NUMBER, HONG_KONG_NUMBER} - {number}).pop()
    assert own not in (await customer(world, other))["regions"]
    if said_there_too:
        assert (await unlink(world, other))["outcome"] == ACCEPTED
    assert await heal(world) == 0
    await no_link(world)
    assert (await unlink(world, other))["outcome"]["status"] == "DUPLICATE"


async def test_what_cannot_be_carried_is_tried_later_and_later(world: World, database_server: Server) -> None:
    await linked(world)
    pauses = []
    async with database_server.away(url_of(world, "hk")):
        await unlink(world, MAINLAND_NUMBER)
        for tried in range(1, 4):
            began = datetime.now(UTC)
            await heal(world)
            async with world.house.stores["cn"].read() as connection:
                [(attempts, due_at)] = await connection.fetch("SELECT attempts, due_at FROM link_intent")
            assert attempts == tried
            pauses.append((due_at - began).total_seconds())
        job = link_job(writer_for(world.house.settings, world.house.stores))
        assert await work_once([world.house.stores["cn"]], [job]) == 0  # not due
        assert attempts == 3
    assert pauses == sorted(set(pauses))


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("order", ["link", "unlink"])
async def test_a_process_that_dies_between_the_two_commits_leaves_nothing_half_done(
    world: World, monkeypatch: pytest.MonkeyPatch, place: int, order: str
) -> None:
    told = 0

    async def dying(writer: Writer, events: Sequence[Mapping[str, Any]], source: str) -> list[Outcome]:
        nonlocal told
        if told == place:
            raise Killed
        told += 1
        return await ingest(writer, events, source)

    token, code = await proposed(world)
    if order == "unlink":
        await confirm(world, token, code)
    monkeypatch.setattr(linking, "ingest", dying)
    with pytest.raises(Killed):
        await (confirm(world, token, code) if order == "link" else unlink(world, HONG_KONG_NUMBER))
    monkeypatch.undo()

    assert await world.rows("link_intent") == 1
    assert await heal(world) == 0
    assert await heal(world) == 0
    assert await world.rows("link_intent") == 0
    state = {"link": "ACTIVE", "unlink": "REVOKED"}[order]
    assert [rows[-1][0] for rows in (await states(world)).values()] == [state, state]
    regions = {"link": [["CN-GD", "HK"], ["CN-GD", "HK"]], "unlink": [["HK"], ["CN-GD"]]}[order]
    assert [(await customer(world, number))["regions"] for number in (HONG_KONG_NUMBER, MAINLAND_NUMBER)] == regions


async def test_what_was_ended_is_not_brought_back_by_what_was_meant_before(world: World) -> None:
    await linked(world)
    async with world.house.stores["hk"].read() as connection:
        [(token, at)] = await connection.fetch("SELECT token, state_at FROM link WHERE state = 'ACTIVE'")
    await unlink(world, MAINLAND_NUMBER)

    door = writer_for(world.house.settings, world.house.stores)
    assert await carry(door, "hk", Intent(token, "cn", "ACTIVE", at))

    await no_link(world)


async def test_a_link_ends_whatever_the_clock_says_that_made_it(world: World) -> None:
    await linked(world)
    for store in ("cn", "hk"):
        await change(world, store, "UPDATE link SET state_at = state_at + interval '1 hour' WHERE state = 'ACTIVE'")
    await unlink(world, HONG_KONG_NUMBER)
    await no_link(world)


async def test_a_link_is_ended_with_the_store_that_was_meant(world: World) -> None:
    await linked(world)
    told = (await world.ask(UNLINK, number=HONG_KONG_NUMBER, other="HK"))["data"]["unlink"]
    assert (told["outcome"]["status"], told["customer"]["regions"]) == ("DUPLICATE", ["CN-GD", "HK"])
    told = (await world.ask(UNLINK, number=HONG_KONG_NUMBER, other="CN-GD"))["data"]["unlink"]
    assert (told["outcome"]["status"], told["customer"]["regions"]) == ("ACCEPTED", ["HK"])
    await no_link(world)


async def test_old_proposals_are_forgotten(world: World) -> None:
    await propose(world)
    await heal(world)
    assert await world.rows("link_proposal") == 2
    for store in ("cn", "hk"):
        await change(world, store, "UPDATE link_proposal SET proposed_at = proposed_at - interval '30 days'")
    await heal(world)
    assert await world.rows("link_proposal") == 0


# --- a process with one store -----------------------------------------------------------------------------------------


async def test_a_process_with_one_store_says_so_and_ends_its_side(world: World) -> None:
    await linked(world)
    alone = replace(world.house, stores=Stores({"cn": world.house.stores["cn"]}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(serve_house(alone)), base_url="http://cdp.test") as http:
        single = World(alone, http)
        assert {code for _, code in await withheld(single, MAINLAND_NUMBER)} == {"REGION_UNAVAILABLE"}
        assert (await customer(single, MAINLAND_NUMBER))["regions"] == ["CN-GD"]
        for one, other in ((MAINLAND_NUMBER, HONG_KONG_NUMBER), (HONG_KONG_NUMBER, MAINLAND_NUMBER)):
            response = await single.post({"query": PROPOSE, "variables": {"number": one, "other": other}})
            assert response.json()["errors"][0]["extensions"]["code"] == "REGION_UNAVAILABLE"
        assert (await unlink(single, MAINLAND_NUMBER))["outcome"] == ACCEPTED
        assert await withheld(single, MAINLAND_NUMBER) == set()

    assert (await states(world))["hk"][-1][0] == "ACTIVE"
    assert await heal(world) == 0
    await no_link(world)


async def test_a_caller_with_one_store_links_nobody(world: World) -> None:
    token, code = await proposed(world)
    local = APP._replace(stores=("hk",))
    asked = (
        (PROPOSE, {"number": HONG_KONG_NUMBER, "other": MAINLAND_NUMBER}),
        (CONFIRM, {"token": token, "code": code}),
    )
    for document, variables in asked:
        response = await world.post({"query": document, "variables": variables}, local)
        assert response.json()["errors"][0]["extensions"]["code"] == "REGION_UNAVAILABLE"
    await no_link(world)


# --- who may not, and what is not told --------------------------------------------------------------------------------


async def test_a_partner_links_nobody(world: World) -> None:
    token, code = await proposed(world)
    await world.register(PROPOSE, CONFIRM, UNLINK)
    before, sent = await count(world), await messages(world)
    for document, variables in (
        (PROPOSE, {"number": HONG_KONG_NUMBER, "other": MAINLAND_NUMBER}),
        (PROPOSE, {"number": NOBODYS[1], "other": NOBODYS[0]}),
        (CONFIRM, {"token": token, "code": code}),
        (UNLINK, {"number": HONG_KONG_NUMBER}),
    ):
        response = await world.post({"query": document, "variables": variables}, PARTNER)
        assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN")
    assert (await count(world), await messages(world)) == (before, sent)
    await no_link(world)


async def test_nothing_of_a_number_a_code_or_a_token_is_told(
    world: World, lines: io.StringIO, database_server: Server
) -> None:
    token, code = await proposed(world)
    answers = [
        await world.post({"query": CONFIRM, "variables": {"token": token, "code": text}})
        for text in ("000000" if code != "000000" else "000001", "x" * 6, "１２３４５６")
    ]
    assert [one.json().get("errors", [{}])[0].get("extensions", {}).get("code") for one in answers] == [
        None,
        *["LINK_CODE_INVALID"] * 2,
    ]
    await confirm(world, token, code)
    async with world.house.stores["hk"].read() as connection:
        [(secret,)] = await connection.fetch("SELECT token FROM link WHERE state = 'ACTIVE'")
    async with database_server.away(url_of(world, "hk")):
        await unlink(world, MAINLAND_NUMBER)
        await heal(world)
        answers += [
            await world.post({"query": PROPOSE, "variables": {"number": MAINLAND_NUMBER, "other": HONG_KONG_NUMBER}})
        ]
    assert answers[-1].json()["errors"][0]["extensions"]["code"] == "STORE_UNAVAILABLE"

    told = lines.getvalue() + "".join(one.text for one in answers) + json.dumps(await world.entries())
    assert "link not carried" in told
    words = (HONG_KONG_NUMBER[4:], MAINLAND_NUMBER[3:], token, secret.hex())
    assert [word for word in words if word in told] == []
    assert re.search(rf"(?<!\d){code}(?!\d)", told) is None
