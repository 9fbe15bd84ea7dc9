"""Rotations of keys: nothing is lost wherever they are killed, and no key that was replaced is used again."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from cdp.accountability import find_number
from cdp.app import front_door, writer_of
from cdp.auth import Caller, Role
from cdp.consent.policy_rows import load_policy, starter_rows
from cdp.errors import RequestInvalid
from cdp.exchange import GraphqlRequest
from cdp.house import migrate_stores, open_house
from cdp.identity.blocked import block, blocklist, lift, read_blocked
from cdp.incoming import read_all
from cdp.ingest import EVENTS, Writer, ingest, take_in
from cdp.key_store import HOLD_ALONE, data_keys, hold_keys, unlock
from cdp.letters import Drawer
from cdp.root_keys import root_kms
from cdp.rotation import alone
from cdp.settings import Settings
from cdp.stores import Store
from cdp.waiting import send_due
from privacy.errors import KeyUnavailable
from privacy.keys import StoreKeyKind
from privacy.seal import Suite
from privacy.vocabulary import RetentionClass
from tests.cdp.doors import accept, rows
from tests.cdp.erasure.test_erase import asked_for, begin
from tests.cdp.house import prepared_house
from tests.cdp.samples import SAMPLES
from tests.rotating import KINDS, begin_index, drill, finish, people, points, populate, state_of

NOW = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture
def rotating(settings: Settings, writer: Writer) -> Settings:
    """The settings of the commands, whose root keys are those of the writer."""
    return settings.model_copy(update={"kms": "file:keys"})


@pytest.fixture
async def store(writer: Writer) -> Store:
    await populate(writer)
    return writer.stores["cn"]


async def store_keys_of(store: Store) -> list[tuple[str, int, bytes]]:
    return [(row["kind"], row["epoch"], row["wrapped"]) for row in await rows(store, "store_key")]


async def test_a_rotation_of_the_root_wraps_every_key_of_the_store_again(rotating: Settings, store: Store) -> None:
    before, wrapped = await state_of(rotating, store), await store_keys_of(store)
    assert await finish(rotating, "root") == {"root version": 2, "store keys": 5}
    after = await store_keys_of(store)
    assert [key[:2] for key in after] == [key[:2] for key in wrapped]
    assert not {key[2] for key in after} & {key[2] for key in wrapped}
    await root_kms(rotating).destroy("cdp.cn", 1, datetime.now(UTC))
    assert await state_of(rotating, store) == before


async def test_a_rotation_of_the_kek_wraps_every_data_key_again(rotating: Settings, store: Store) -> None:
    before, keys = await state_of(rotating, store), await rows(store, "data_key")
    report = await finish(rotating, "kek")
    after = await rows(store, "data_key")
    assert report == {"epoch": 2, "data keys": len(keys)}
    assert {key["epoch"] for key in after} == {2}
    assert not {key["wrapped"] for key in after} & {key["wrapped"] for key in keys}
    assert [key[:2] for key in await store_keys_of(store) if key[0] == "KEK"] == [("KEK", 2)]
    assert await state_of(rotating, store) == before


async def test_a_rotation_of_data_keys_seals_every_cell_again(rotating: Settings, store: Store) -> None:
    before, keys = await state_of(rotating, store), await rows(store, "data_key")
    report = await finish(rotating, "dek")
    after = await rows(store, "data_key")
    assert report == {"generation": 2, "cells": len(before.values)}
    assert {(key["customer_id"], key["retention"]) for key in after} == {
        (key["customer_id"], key["retention"]) for key in keys
    }
    assert {key["generation"] for key in after} == {2}
    assert len(after) == len(keys)
    assert await state_of(rotating, store) == before


async def test_a_store_changes_its_suite_with_its_next_data_keys(rotating: Settings, store: Store) -> None:
    before = await state_of(rotating, store)
    mainland = rotating.model_copy(update={"suites": {"cn": "SM4-GCM"}})
    await finish(mainland, "dek")
    cells = [row["formatted_name"] for row in await rows(store, "customer") if row["formatted_name"]]
    assert {cell[1] for cell in cells} == {Suite.SM4_GCM}
    assert await state_of(mainland, store) == before
    await finish(rotating, "dek")
    assert {row["formatted_name"][1] for row in await rows(store, "customer")} == {Suite.AES_256_GCM}
    assert await state_of(rotating, store) == before


async def test_a_rotation_of_the_index_moves_every_tag(rotating: Settings, writer: Writer, store: Store) -> None:
    before = await state_of(rotating, store)
    old = {row["number_tag"] for row in await rows(store, "known_number")}
    for epoch in (2, 3):
        report = await finish(rotating, "index")
        tags = {row["number_tag"] for row in await rows(store, "known_number")}
        assert report["epoch"] == epoch
        assert len(tags) == len(old)
        assert {tag[0] for tag in tags} == {epoch}
        assert {len(tag) for tag in tags} == {17}
        assert await state_of(rotating, store) == before
    # Whoever has not heard of it writes by the new tags all the same: nobody becomes two people.
    customers = len(await rows(store, "customer"))
    again = [event | {"eventId": f"{event['eventId']} again"} for event in people(1)[:1]]
    await accept(writer, *again)
    assert len(await rows(store, "customer")) == customers
    assert not [row for row in await rows(store, "identifier_index") if len(row["identifier_tag"]) != 17]


HALF = pytest.mark.parametrize("half", [False, True], ids=["whole", "half"])
"""A rotation of the index that is through, and one that has moved nothing yet."""


@HALF
async def test_what_is_blocked_stays_blocked_and_can_be_lifted(settings: Settings, half: bool) -> None:
    lines = ["kind,value,region", "email,shop@example.cn,CN", "number,13800000000,CN"]
    async with prepared_house(settings) as house:
        store, ring = house.stores["cn"], house.rings["cn"]
        await block(house, read_blocked(house, lines), NOW)
        sought = read_blocked(house, lines)
        await (begin_index(settings) if half else finish(settings, "index"))
        async with store.read() as connection:
            blocked = await blocklist(connection, ring)
        assert blocked.holds("email", "Shop@example.cn")
        assert blocked.holds("number", "+8613800000000")
        assert not blocked.holds("email", "other@example.cn")
        await block(house, sought, NOW)
        assert len(await rows(store, "blocked_identifier")) == 2
        shop = people(1)[0] | {"email": "shop@example.cn"}
        [refused] = await ingest(writer_of(house), [shop], "test")
        assert (refused.code, refused.field) == ("IDENTIFIER_BLOCKED", "email")
        await finish(settings, "index")
        assert {row["tag"][0] for row in await rows(store, "blocked_identifier")} == {2 if half else 3}
        await begin_index(settings)
        await lift(house, sought)
        assert await rows(store, "blocked_identifier") == []
        await accept(writer_of(house), shop)


@HALF
async def test_letters_move_with_those_they_are_about(settings: Settings, half: bool) -> None:
    """An erasure finds them, and so do they who become known."""
    registered, activated, *_ = people(1)
    async with prepared_house(settings) as house:
        writer, cn = writer_of(house), house.stores["cn"]
        customer_id = await asked_for(writer)
        about = ({"number": "13800138000"}, SAMPLES["UsageRecorded"]["subject"], {"customerId": str(customer_id)})
        wrong = [
            SAMPLES["UsageRecorded"] | {"eventId": f"u-{n}", "subject": subject, "quantity": "-1"}
            for n, subject in enumerate(about * 2)
        ]
        await ingest(writer, [*wrong[:3], activated, {"type": "Nothing"}], "test")
        await (begin_index(settings) if half else finish(settings, "index"))
        await ingest(writer, wrong[3:], "test")
        assert len(await rows(cn, "dead_letter")) == 8
        await accept(writer, registered)
        drawer = Drawer(cn, house.rings["cn"], house.trails["cn"])
        assert await send_due(drawer, writer, writer.clock()) == 1
        await begin(writer, customer_id)
        [left] = await rows(cn, "dead_letter")
        assert (left["field"], left["subject_kind"]) == ("type", None)
        await ingest(writer, [wrong[0] | {"subject": {"customerKey": "P-9"}}], "test")
        await finish(settings, "index")
        newest = await rows(cn, "dead_letter", "subject_kind IS NOT NULL")
        assert [row["subject_tag"][0] for row in newest] == [2 if half else 3]


@HALF
async def test_one_document_is_one_whatever_its_tag(
    rotating: Settings, writer: Writer, store: Store, half: bool
) -> None:
    card = {"documentType": "NATIONAL_ID", "documentNumber": "440106198805170029"}
    ann, ben = (people(n)[0] | card for n in (100, 101))
    await accept(writer, ann)
    await (begin_index(rotating) if half else finish(rotating, "index"))
    await accept(writer, ben)
    both = {"type": "CustomersMerged", "eventId": "m", "at": "2026-03-05T00:00:00Z", "region": "CN-GD"}
    await accept(writer, both | {"subject": ann["subject"], "other": ben["subject"]})
    await finish(rotating, "index")
    [tag] = {row["document_tag"] for row in await rows(store, "identification")}
    assert tag[0] == (2 if half else 3)


@HALF
async def test_somebody_answers_for_a_number_that_is_moved(rotating: Settings, writer: Writer, half: bool) -> None:
    await populate(writer)
    ring, found = writer.rings["cn"], []
    for again in (False, True, True):
        if again:
            await (begin_index(rotating) if half else finish(rotating, "index"))
        async with writer.stores["cn"].read() as connection:
            found.append(await find_number(connection, ring, "+8613800000001", NOW))
            assert await find_number(connection, ring, "+8613712340000", NOW) is None
    assert found[0] is not None
    assert found[0].holdings
    assert found == [found[0]] * 3


async def test_events_are_still_known_after_rotations(rotating: Settings, writer: Writer, store: Store) -> None:
    for kind in KINDS:
        await finish(rotating, kind)
        outcomes = await ingest(writer, people(1), "test")
        assert {one.status.value for one in outcomes} == {"DUPLICATE"}, kind


async def test_a_rotation_that_was_killed_goes_on(rotating: Settings, store: Store) -> None:
    """More points in `make drill`."""
    # The last one is through before it could be killed: the other process does all of it alone.
    for kind, die_at in (*points(8, 12, seed=20260401), ("dek", 60.0), ("index", 2.0), ("dek", 1e9)):
        before, between, after, _ = await drill(rotating, store, kind, die_at)
        assert between == before, (kind, die_at)
        assert after == before, (kind, die_at)


async def test_what_is_written_meanwhile_is_there_afterwards(
    rotating: Settings, writer: Writer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdp.rotation.BATCH", 2)
    monkeypatch.setattr("cdp.resealing.CUSTOMERS", 1)
    before = await state_of(rotating, store)
    written = 0
    for kind in KINDS:
        rotated, begun = asyncio.create_task(finish(rotating, kind)), written
        while not rotated.done() or written == begun:
            # New people, and known ones with new classes and new numbers.
            events = people(100 + written, 1)
            more = {"eventId": f"more-{written}", "subject": {"customerKey": f"P-{written % 7 + 1}"}}
            await accept(writer, *events, events[1] | more | {"number": f"+86137{written:08}"})
            written += 1
        await rotated
    after = await state_of(rotating, store)
    assert before.values.items() <= after.values.items()
    assert before.found == after.found
    names = [value for name, value in after.values.items() if name[1] == "formatted_name"]
    assert {f"Person {100 + n}" for n in range(written)} <= set(names)
    assert len(names) == len(set(names))


async def test_one_rotation_runs_at_a_time(rotating: Settings, store: Store) -> None:
    before = await store_keys_of(store)
    async with alone(store):
        with pytest.raises(RequestInvalid) as refused:
            await finish(rotating, "kek")
    assert refused.value.code == "ROTATION_RUNNING"
    assert await store_keys_of(store) == before


async def test_a_rotation_waits_for_whoever_writes_with_the_key_before(
    rotating: Settings, writer: Writer, store: Store
) -> None:
    async with store.transaction() as connection:
        await hold_keys(connection, writer.rings["cn"])
        rotated = asyncio.create_task(finish(rotating, "kek"))
        await asyncio.sleep(0.3)
        assert not rotated.done()
        assert [key[:2] for key in await store_keys_of(store) if key[0] == "KEK"] == [("KEK", 1)]
        late = UUID(int=99)
        await connection.execute(
            "INSERT INTO customer SELECT (jsonb_populate_record(c, jsonb_build_object('customer_id', $1::uuid))).*"
            " FROM customer c LIMIT 1",
            late,
        )
        await data_keys(connection, writer.rings["cn"], [(late, RetentionClass.USAGE)])
    await rotated
    assert {key["epoch"] for key in await rows(store, "data_key")} == {2}
    assert any(key["customer_id"] == late for key in await rows(store, "data_key"))


async def test_an_erased_customer_gets_no_key_by_a_rotation(rotating: Settings, store: Store) -> None:
    gone = (await rows(store, "customer"))[0]["customer_id"]
    async with store.transaction() as connection:
        await connection.execute("UPDATE customer SET state = 'ERASED' WHERE customer_id = $1", gone)
        await connection.execute("DELETE FROM data_key WHERE customer_id = $1", gone)
    await finish(rotating, "dek")
    assert [key for key in await rows(store, "data_key") if key["customer_id"] == gone] == []


async def test_a_store_with_tables_nobody_has_heard_of_keeps_its_keys(rotating: Settings, store: Store) -> None:
    before = await rows(store, "data_key")
    async with store.transaction() as connection:
        await connection.execute("CREATE TABLE newer (customer_id uuid, secret bytea)")
    with pytest.raises(RequestInvalid, match="newer") as refused:
        await finish(rotating, "dek")
    assert refused.value.code == "TABLES_UNKNOWN"
    assert await rows(store, "data_key") == before


async def test_a_cell_that_does_not_open_keeps_its_key_and_is_told(rotating: Settings, store: Store) -> None:
    victim = (await rows(store, "customer"))[0]
    broken = bytearray(victim["formatted_name"])
    broken[-1] ^= 1
    async with store.transaction() as connection:
        await connection.execute(
            "UPDATE customer SET formatted_name = $2 WHERE customer_id = $1", victim["customer_id"], bytes(broken)
        )
    with pytest.raises(RequestInvalid) as refused:
        await finish(rotating, "dek")
    assert refused.value.code == "CELLS_BROKEN"
    kept = [key for key in await rows(store, "data_key") if key["customer_id"] == victim["customer_id"]]
    assert {key["generation"] for key in kept} == {1, 2}
    found = await rows(store, "customer", f"customer_id = '{victim['customer_id']}'")
    assert found[0]["formatted_name"] == bytes(broken)
    others = [key for key in await rows(store, "data_key") if key["customer_id"] != victim["customer_id"]]
    assert {key["generation"] for key in others} == {2}


async def test_rings_hold_what_they_held(rotating: Settings, writer: Writer, store: Store) -> None:
    ring = writer.rings["cn"]
    key = ring.new_data_key(UUID(int=5), RetentionClass.USAGE)[1]
    await finish(rotating, "kek")
    fresh = await unlock(store, root_kms(rotating), "cdp")
    assert (ring.epoch_of(StoreKeyKind.KEK), fresh.epoch_of(StoreKeyKind.KEK)) == (1, 2)
    assert not fresh.holds([key.row])
    async with store.transaction() as connection:
        await connection.execute(HOLD_ALONE)
        await hold_keys(connection, ring)
    assert ring.epoch_of(StoreKeyKind.KEK) == 2
    assert ring.holds([key.row])
    assert ring.unwrap(key).customer_id == UUID(int=5)


async def test_a_draft_is_made_anew_with_keys_that_came_meanwhile(
    rotating: Settings, writer: Writer, store: Store
) -> None:
    incoming = await read_all(
        writer, EVENTS, [SAMPLES["CustomerRegistered"] | {"subject": {"customerKey": "new"}, "eventId": "new"}]
    )
    await finish(rotating, "kek")
    (outcome,) = await take_in(writer, incoming, "test")
    assert outcome.customer_id is not None
    kept = await rows(store, "data_key", f"customer_id = '{outcome.customer_id}'")
    assert {row["epoch"] for row in kept} == {2}


@pytest.fixture
async def apart(tmp_path: Path, store_urls: dict[str, str], empty_url: str) -> Settings:
    """Settings under which the keys of `cn` are in a database of their own."""
    keys = Settings(
        home=tmp_path, stores=store_urls, key_store={"cn": empty_url}, environment="test", pool_wait_seconds=1,
        statement_seconds=1, pool_size=4,
    )  # fmt: skip
    await migrate_stores(keys)
    return keys


async def test_keys_in_a_database_of_their_own_rotate_too(apart: Settings) -> None:
    async with open_house(apart) as house:
        store, writer = house.stores["cn"], writer_of(house)
        await populate(writer)
        assert await rows(store, "data_key") == await rows(store, "store_key") == []
        assert await rows(store.keys, "customer") == []
        before = await state_of(apart, store)
        assert len(before.values) > 40
        for kind, die_at in (("root", 1.5), ("kek", 2.5), ("dek", 5.5), ("index", 3.0), ("dek", 9.0)):
            _, between, after, _ = await drill(apart, store, kind, die_at)
            assert between == before == after, kind
        outcomes = await ingest(writer, [*people(1), *people(50)], "test")
        assert {one.status.value for one in outcomes} == {"DUPLICATE", "ACCEPTED"}
        assert await rows(store, "data_key") == []
        fresh = await state_of(apart, store)
        assert before.values.items() < fresh.values.items()


async def test_a_store_that_has_data_gets_no_other_keys(apart: Settings) -> None:
    """Its keys are looked for in the wrong place, or lost: with new ones nobody would be found, and all could write."""
    async with open_house(apart) as house:
        await populate(writer_of(house))
        with pytest.raises(KeyUnavailable, match="store cn has data, and no keys"):
            await migrate_stores(apart.model_copy(update={"key_store": {}}))
        assert await rows(house.stores["cn"], "store_key") == []
        await migrate_stores(apart)


DECISION = """query($at: DateTime) @purpose(id: "legal.audit") { consentDecision(customer: { customerKey: "child" },
  field: "Customer.gender", purpose: "insight.profiling", asOf: $at) { effect code } }"""


async def test_an_officer_is_shown_who_is_of_age_wherever_the_keys_are(apart: Settings) -> None:
    """A birth date that does not open makes everybody the youngest, of whom a guardian may speak for ever."""
    about = {"region": "CN-GD", "subject": {"customerKey": "child"}, "at": "2026-01-02T00:00:00Z"}
    told: list[dict[str, Any]] = [
        {"type": "CustomerRegistered", "kind": "INDIVIDUAL", "name": "child", "birthDate": "2013-03-01"},
        {"type": "NumberActivated", "number": "13800138077", "simRef": "s"},
        {"type": "NumberActivated", "number": "13800138077", "role": "GUARDIAN", "subject": {"customerKey": "C-1001"}},
        {"type": "ConsentGiven", "purpose": "insight"},
        {"type": "ConsentGiven", "purpose": "insight", "kind": "GUARDIAN", "actor": "GUARDIAN"},
    ]
    async with open_house(apart) as house:
        events = [SAMPLES["CustomerRegistered"], *(about | one | {"eventId": f"e{n}"} for n, one in enumerate(told))]
        outcomes = await ingest(writer_of(house), [event | {"at": "2026-01-02T00:00:00Z"} for event in events], "test")
        assert {one.status.value for one in outcomes} == {"ACCEPTED"}
        await load_policy(house.stores.values(), starter_rows(), datetime.now(UTC))
        officer = Caller("desk", purposes=frozenset({"legal.audit"}), stores=("cn",), role=Role.OFFICER, actor="o")
        front = front_door(house)

        async def shown(at: str) -> tuple[str, str | None]:
            answer = await front.answer(GraphqlRequest(DECISION, variables={"at": at}), officer)
            return tuple(json.loads(answer.body)["data"]["consentDecision"].values())

        async def both() -> None:
            assert await shown("2027-02-28T00:00:00Z") == ("ALLOW", None)
            assert await shown("2027-03-02T00:00:00Z") == ("DENY", "CONSENT_REQUIRED")

        await both()
        await finish(apart, "kek")
        await both()
