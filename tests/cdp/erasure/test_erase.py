"""An erasure: nothing of the person opens, is found or comes back; nobody else loses anything."""

import asyncio
import json
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cdp.audit import AuditTrail
from cdp.erasure.erase import Erasure, erase
from cdp.erasure.ledger import Ledger
from cdp.erasure.sweep import Sweeper, certificate_of
from cdp.identity.match_proposals import Proposal, keep_proposals
from cdp.ingest import Status, Writer, ingest
from cdp.rights.kept import KEPT, Goes
from cdp.rights.terms import read_terms
from cdp.seen import EVENT_INDEX
from cdp.stores import Store
from cdp.tables import metadata
from privacy.log import canonical
from tests.cdp.doors import NOW, accept, codes, empty, everything, one, rows
from tests.cdp.rights.steps import HONG_KONG, advanced, opened
from tests.cdp.samples import KEY, OTHER, SAMPLES, event

LATE = ("InteractionLogged", "ConsentGiven", "CustomerRegistered", "UsageRecorded", "NumberActivated", "BillIssued")


async def sweeper(writer: Writer, folder: Path, store: str = "cn") -> Sweeper:
    """Whoever finishes a store's erasures, with a trail that is open as long as the test."""
    trail = AuditTrail(writer.stores[store], writer.rings[store])
    trail.start()
    return Sweeper(writer.stores[store], writer.rings[store], trail, Ledger(folder / "erasures", store), 14)


async def asked_for(writer: Writer, events: Iterable[Mapping[str, Any]] = SAMPLES.values()) -> UUID:
    """A customer of whom everything is known, and who has asked to be erased: verified, not begun."""
    outcomes = await accept(writer, OTHER, *events)
    customer_id = outcomes[1].customer_id
    assert customer_id is not None
    await accept(writer, opened("ERASURE"), advanced(customer_id, "ERASURE", "VERIFIED"))
    return customer_id


async def begin(writer: Writer, customer_id: UUID) -> None:
    await accept(writer, advanced(customer_id, "ERASURE", "IN_PROGRESS"))


async def held(store: Store, customer_id: UUID) -> dict[str, int]:
    """Table -> how many rows name the customer, where any does."""
    named = [name for name, table in metadata.tables.items() if "customer_id" in table.columns]
    found = {name: len(await rows(store, name, f"customer_id = '{customer_id}'")) for name in named}
    return {name: number for name, number in found.items() if number}


async def terms(writer: Writer, **changes: Any) -> None:
    """Changes the terms of the mainland's real-name data."""
    words = ", ".join(f"{name} = {value}" for name, value in changes.items())
    async with writer.stores["cn"].transaction() as connection:
        await connection.execute(
            f"UPDATE retention_term SET {words} WHERE jurisdiction = 'CN' AND subject = 'IDENTITY'"
        )


STAYS = {name for name, kept in KEPT.items() if kept.goes is Goes.STAYS} | {"customer"}


async def test_what_no_law_keeps_goes_from_every_table(writer: Writer, tmp_path: Path) -> None:
    await terms(writer, by_law=False)
    customer_id, store = await asked_for(writer), writer.stores["cn"]
    was = await held(store, customer_id)
    assert was.keys() > {
        "consent_event",
        "bill_line",
        "usage_record",
        "interaction",
        "number_fact",
        "link",
    }
    await begin(writer, customer_id)

    # At once: nothing opens, nobody is found.
    now = await held(store, customer_id)
    assert (await one(store, "customer", f"customer_id = '{customer_id}'"))["state"] == "ERASING"
    assert not now.keys() & {name for name, kept in KEPT.items() if kept.goes is Goes.AT_ONCE} - {"outbox"}
    assert now["outbox"] == 1, "that the erasure began has still to be passed on"

    sweeps = await sweeper(writer, tmp_path)
    assert await sweeps.sweep() == 1
    assert await sweeps.sweep() == 0
    assert (await held(store, customer_id)).keys() == (STAYS & was.keys()) | {"erasure", "erased_rows", "outbox"}
    row = await one(store, "customer", f"customer_id = '{customer_id}'")
    assert row["state"] == "ERASED"
    assert {row[column.name] for column in metadata.tables["customer"].columns if "sealed" in column.info} == {None}
    assert (row["gender"], row["tier"], row["cluster"]) == (None, "LOW", None)

    told = json.loads((await one(store, "erasure"))["certificate"])["certificate"]
    swept = {name: number for name, number in was.items() if name not in STAYS | {"number_fact", "number_index"}}
    assert {name: told["rows"][name] for name in swept if name not in ("outbox", "data_key")} == {
        name: number for name, number in swept.items() if name not in ("outbox", "data_key")
    }
    assert told["rows"]["customer"] == 1
    await sweeps.trail.close()


async def test_nobody_else_loses_anything(writer: Writer, tmp_path: Path) -> None:
    customer_id = await asked_for(writer)
    others = f"customer_id <> '{customer_id}'"
    # Both are known for the number: the one held it before, the other holds it now.
    later = event("NumberReassigned", 30, {"customerKey": "C-2002"}, number="13800138000", eventId="next-holder")
    payer = event("NumberActivated", 30, {"customerKey": "C-2002"}, number="13700137001", role="USER", eventId="user")
    await accept(
        writer, later, payer, event("ConsentGiven", 30, {"customerKey": "C-2002"}, purpose="marketing", eventId="given")
    )
    store = writer.stores["cn"]
    named = [table.name for table in metadata.tables.values() if "customer_id" in table.columns]
    named = [name for name in named if name not in ("merge_edge", "number_fact", "number_index")]
    was = {name: await rows(store, name, others) for name in named}
    index = await rows(store, "number_index", others)
    await begin(writer, customer_id)
    sweeps = await sweeper(writer, tmp_path)
    await sweeps.sweep()
    await sweeps.trail.close()
    assert {name: await rows(store, name, others) for name in named} == was
    nobody = "customer_id <> '00000000-0000-0000-0000-000000000000'"
    assert await rows(store, "number_index", f"{others} AND {nobody}") == index
    assert await rows(store, "merge_edge", f"other_id = '{customer_id}'") == []


async def test_a_number_has_the_same_life_whether_its_holder_was_erased_or_not(writer: Writer) -> None:
    """Who held it before and after is known to the instant; facts that come late find the same."""
    first, last = {"customerKey": "first"}, {"customerKey": "last"}
    registered = [
        event("CustomerRegistered", 1, who, kind="INDIVIDUAL", eventId=who["customerKey"]) for who in (first, last)
    ]
    lives = [
        event("NumberActivated", 2, first, number="13911112222", eventId="a-first"),
        event("NumberActivated", 10, KEY, number="13911112222", eventId="a-erased"),
        event("NumberActivated", 20, last, number="13911112222", eventId="a-last"),
    ]
    customer_id = await asked_for(writer, [SAMPLES["CustomerRegistered"], *registered, *lives])
    store = writer.stores["cn"]
    was = await rows(store, "number_index", f"customer_id <> '{customer_id}'")
    await begin(writer, customer_id)
    late = event("NumberSuspended", 21, last, number="13911112222", eventId="late")
    await accept(writer, late)
    nobody = "customer_id <> '00000000-0000-0000-0000-000000000000'"
    assert await rows(store, "number_index", nobody) == was
    assert (await one(store, "number_holding", f"customer_id = '{was[-1]['customer_id']}'"))["state"] == "SUSPENDED"


async def test_an_open_number_is_free_from_the_erasure_on(writer: Writer) -> None:
    customer_id = await asked_for(
        writer, [SAMPLES["CustomerRegistered"], event("NumberActivated", 10, KEY, number="13911112222")]
    )
    await begin(writer, customer_id)
    assert (await one(writer.stores["cn"], "known_number"))["free_since"] == NOW
    assert {row["customer_id"] for row in await rows(writer.stores["cn"], "number_fact")} == {UUID(int=0)}
    new = event("CustomerRegistered", 30, {"customerKey": "new"}, kind="INDIVIDUAL", eventId="r-new")
    began = event("NumberActivated", 31, {"customerKey": "new"}, number="13911112222", eventId="a-new")
    began["at"] = (NOW + timedelta(hours=1)).isoformat()
    await accept(writer, new, began)


async def test_what_a_law_keeps_stays_under_its_key_until_its_day(writer: Writer, tmp_path: Path) -> None:
    customer_id, store = await asked_for(writer), writer.stores["cn"]
    await begin(writer, customer_id)
    sweeps = await sweeper(writer, tmp_path)
    await sweeps.sweep()
    mine = f"customer_id = '{customer_id}'"
    row = await one(store, "erasure")
    until = f"{NOW + timedelta(days=730):%Y-%m-%d}"
    assert json.loads(row["gone"]) == ["SERVICE", "USAGE", "CONSENTED"]
    assert json.loads(row["kept"])["IDENTITY"]["until"] == until
    assert "MIIT" in json.loads(row["kept"])["IDENTITY"]["law"]
    assert {key["retention"] for key in await rows(store, "data_key", mine)} == {"IDENTITY"}
    assert (await one(store, "customer", mine))["formatted_name"] is not None
    assert await rows(store, "usage_record", mine) == await rows(store, "bill", mine) == []
    assert await rows(store, "identifier_index", mine) == []

    # On that day the rest goes.
    async with store.transaction() as connection:
        later = NOW + timedelta(days=731)
        await erase(connection, writer.rings["cn"], Erasure(customer_id, later), await read_terms(connection, "CN"))
    await sweeps.sweep()
    await sweeps.trail.close()
    assert (await one(store, "customer", mine))["formatted_name"] is None
    assert await rows(store, "data_key", mine) == await rows(store, "identification", mine) == []
    assert json.loads((await one(store, "erasure"))["kept"]) == {}


async def test_the_certificate_is_signed_by_the_stores_log_key(writer: Writer, tmp_path: Path) -> None:
    customer_id, store = await asked_for(writer), writer.stores["cn"]
    await begin(writer, customer_id)
    sweeps = await sweeper(writer, tmp_path)
    await sweeps.sweep()
    async with store.read() as connection:
        text = await certificate_of(connection, customer_id, writer.rings["cn"])
    assert text is not None
    made = json.loads(text)
    key = Ed25519PublicKey.from_public_bytes(writer.rings["cn"].signer.public_key)
    key.verify(b64decode(made["signature"]), canonical(made["certificate"]))
    with pytest.raises(InvalidSignature):
        key.verify(b64decode(made["signature"]), canonical(made["certificate"] | {"gone": []}))
    finished = datetime.fromisoformat(made["certificate"]["finishedAt"])
    assert made["certificate"]["backupsCleanOn"] == f"{finished + timedelta(days=14):%Y-%m-%d}"
    row = await one(store, "privacy_request", "kind = 'ERASURE'")
    assert (row["state"], row["evidence"]) == ("COMPLETED", sha256(text.encode()).hexdigest())
    async with store.transaction() as connection:
        await connection.execute("UPDATE erasure SET certificate = replace(certificate, 'SERVICE', 'NOTHING')")
        assert await certificate_of(connection, customer_id, writer.rings["cn"]) is None
    # It names no value of the person, and neither does anything that stays.
    left = [text]
    for name in ("erasure", "erased_rows", "privacy_request"):
        left += [str(row) for row in await rows(store, name)]
    assert [one for one in left if "meiling" in one or "13800138000" in one or "C-1001" in one] == []
    await sweeps.trail.close()


async def test_an_erasure_is_in_the_trail_and_in_the_ledger(writer: Writer, tmp_path: Path) -> None:
    customer_id, store = await asked_for(writer), writer.stores["cn"]
    await begin(writer, customer_id)
    sweeps = await sweeper(writer, tmp_path)
    await sweeps.sweep()
    await sweeps.trail.close()
    [entry] = [json.loads(row["entry"]) for row in await rows(store, "audit_entry")]
    assert (entry["operation"], entry["gone"]) == ("erasure", ["SERVICE", "USAGE", "CONSENTED"])
    assert entry["customer"] == writer.rings["cn"].pseudonym(customer_id, datetime.now(UTC).year).hex()
    [line] = sweeps.ledger.lines()
    assert (line.customer_id, line.gone, line.region) == (customer_id, ("SERVICE", "USAGE", "CONSENTED"), "CN-GD")


@pytest.mark.parametrize("name", LATE)
async def test_what_comes_late_brings_nobody_back(writer: Writer, name: str, tmp_path: Path) -> None:
    customer_id, store = await asked_for(writer), writer.stores["cn"]
    await begin(writer, customer_id)
    sweeps = await sweeper(writer, tmp_path)
    await sweeps.sweep()
    await sweeps.trail.close()
    was = await everything(store)
    keys = len(await rows(store, "data_key", f"customer_id = '{customer_id}'"))
    by_id = SAMPLES[name] | {"subject": {"customerId": str(customer_id)}, "eventId": "late"}
    known, unknown = await ingest(writer, [SAMPLES[name], by_id], "late")
    assert (known.status, known.customer_id) == (Status.DUPLICATE, None), "known, and not kept with the dead letters"
    assert unknown.code == "UNKNOWN_CUSTOMER"
    assert await everything(store) == was
    assert len(await rows(store, "data_key", f"customer_id = '{customer_id}'")) == keys


async def test_refused_records_of_the_person_go_too(writer: Writer) -> None:
    customer_id, store = await asked_for(writer), writer.stores["cn"]
    bad = SAMPLES["BillIssued"] | {"amountDue": {"value": "1", "unit": "CNY"}}
    subjects = (KEY, {"number": "13800138000"}, {"customerId": str(customer_id)}, {"email": "MEILING.CHEN@example.cn"})
    wrong = [bad | {"eventId": f"wrong-{n}", "subject": subject} for n, subject in enumerate(subjects)]
    stranger = SAMPLES["BillIssued"] | {"eventId": "wrong", "subject": {"customerKey": "C-3003"}}
    assert None not in codes(await ingest(writer, [*wrong, stranger, {"subject": 7}], "test"))
    assert len(await rows(store, "dead_letter")) == 6
    await begin(writer, customer_id)
    assert len(await rows(store, "dead_letter")) == 2
    assert (await one(store, "erased_rows", "table_name = 'dead_letter'"))["row_count"] == 4


async def test_what_else_was_asked_does_not_wait_in_the_queue_for_ever(writer: Writer) -> None:
    """Nobody could bring it on: the customer is not known any more."""
    customer_id, store = await asked_for(writer), writer.stores["cn"]
    await accept(writer, opened("ACCESS"), opened("OBJECTION"), advanced(customer_id, "ACCESS", "VERIFIED"))
    await begin(writer, customer_id)
    queued = {row["kind"]: (row["state"], row["reason"]) for row in await rows(store, "privacy_request")}
    refused = ("REFUSED", "ERASED")
    assert queued == {"ERASURE": ("IN_PROGRESS", None), "ACCESS": refused, "OBJECTION": refused}


async def test_a_ledger_replayed_over_an_older_backup_keeps_everybody_out(writer: Writer, tmp_path: Path) -> None:
    """The backup may be from before the customer came, and the law may want kept today what is long gone."""
    await terms(writer, by_law=False)
    customer_id, store = await asked_for(writer), writer.stores["cn"]
    await begin(writer, customer_id)
    sweeps = await sweeper(writer, tmp_path)
    await sweeps.sweep()
    await empty(store)
    await terms(writer, by_law=True)

    assert [await sweeps.replay(), await sweeps.replay()] == [1, 0]
    assert codes(await ingest(writer, [SAMPLES["CustomerRegistered"]], "again")) == ["UNKNOWN_CUSTOMER"]
    assert await sweeps.sweep() == 1
    row = await one(store, "customer")
    assert (row["customer_id"], row["state"], row["formatted_name"]) == (customer_id, "ERASED", None)
    assert "IDENTITY" in json.loads((await one(store, "erasure"))["gone"])
    await sweeps.trail.close()


async def test_a_ledger_replayed_over_an_older_backup_of_the_keys_takes_them_away(
    writer: Writer, tmp_path: Path
) -> None:
    customer_id, store = await asked_for(writer), writer.stores["cn"]
    before = await rows(store, "data_key")
    await begin(writer, customer_id)
    sweeps = await sweeper(writer, tmp_path)
    await sweeps.sweep()
    after, certificate = await rows(store, "data_key"), (await one(store, "erasure"))["certificate"]
    assert len(after) < len(before)
    async with store.keys.transaction() as connection:
        await connection.execute("DELETE FROM data_key")
        records = [tuple(row.values()) for row in before]
        await connection.copy_records_to_table("data_key", records=records, columns=list(before[0]))

    assert [await sweeps.replay(), await sweeps.replay()] == [1, 0]
    assert {row["wrapped"] for row in await rows(store, "data_key")} == {row["wrapped"] for row in after}
    assert (await one(store, "erasure"))["certificate"] == certificate
    await sweeps.trail.close()


async def test_an_erased_record_leaves_its_cluster_and_its_link(writer: Writer) -> None:
    joined = event("CustomersMerged", 20, KEY, other={"customerKey": "C-2002"}, eventId="joined-again")
    third = event("CustomerRegistered", 5, {"customerKey": "third"}, kind="INDIVIDUAL", eventId="third")
    third_joined = event("CustomersMerged", 21, {"customerKey": "C-2002"}, other={"customerKey": "third"}, eventId="t")
    linked = SAMPLES["CustomerLinked"] | {"eventId": "linked-again", "at": "2026-03-20T00:00:00Z", "token": "ab" * 16}
    customer_id = await asked_for(writer, [*SAMPLES.values(), third, joined, third_joined, linked])
    store = writer.stores["cn"]
    assert {len(row["cluster"]) for row in await rows(store, "customer")} == {3}
    await begin(writer, customer_id)
    for row in await rows(store, "customer"):
        assert (row["cluster"] is None) == (row["customer_id"] == customer_id)
        assert row["cluster"] is None or (len(row["cluster"]) == 2 and customer_id not in row["cluster"])
    assert await rows(store, "link_index") == await rows(store, "link") == []
    # The other store is told by whoever carries links.
    [intent] = await rows(store, "link_intent")
    assert (intent["token"], intent["state"]) == (bytes.fromhex("ab" * 16), "REVOKED")


async def test_no_proposal_names_somebody_who_was_erased(writer: Writer) -> None:
    third = event("CustomerRegistered", 5, {"customerKey": "third"}, kind="INDIVIDUAL", eventId="third")
    customer_id, store = await asked_for(writer, [SAMPLES["CustomerRegistered"], third]), writer.stores["cn"]
    others = [row["customer_id"] for row in await rows(store, "customer", f"customer_id <> '{customer_id}'")]
    pairs = [Proposal(*pair, "R", None, {}) for pair in combinations([customer_id, *others], 2)]
    await keep_proposals(store, "CN-GD", pairs, NOW)
    assert len(await rows(store, "match_proposal")) == 3
    await begin(writer, customer_id)
    left = [(min(others), max(others))]
    assert [(row["customer_id"], row["other_id"]) for row in await rows(store, "match_proposal")] == left
    # A run that had read them before they went.
    await keep_proposals(store, "CN-GD", pairs, NOW)
    assert [(row["customer_id"], row["other_id"]) for row in await rows(store, "match_proposal")] == left


async def test_a_write_that_found_the_customer_before_the_erasure_loses_to_it(writer: Writer, tmp_path: Path) -> None:
    """The writer has everything in hand, keys too, when the erasure commits: nothing of it may stay."""
    customer_id, store = await asked_for(writer), writer.stores["cn"]
    names = ("InteractionLogged", "UsageRecorded", "ConsentGiven")
    late = [SAMPLES[name] | {"eventId": f"race-{name}"} for name in names]
    late[0] |= {"interactionRef": "race"}
    held_up = store.transaction()
    connection = await held_up.__aenter__()
    # Whoever makes months or numbers ready is not held up, whoever writes about the customer is.
    await connection.execute("SELECT FROM customer WHERE customer_id = $1 FOR UPDATE", customer_id)
    writing = [asyncio.create_task(ingest(writer, [one], "race")) for one in late]
    async with asyncio.timeout(60):
        while len(await waiting(store)) < len(late):  # noqa: ASYNC110 -- nobody tells when a lock is waited for
            await asyncio.sleep(0.01)
    await erase(connection, writer.rings["cn"], Erasure(customer_id, NOW, uuid4()), await read_terms(connection, "CN"))
    await held_up.__aexit__(None, None, None)
    outcomes = [outcome for task in writing for outcome in await task]
    assert codes(outcomes) == ["UNKNOWN_CUSTOMER"] * len(late)
    mine = f"customer_id = '{customer_id}'"
    for table, column in (("interaction", "channel"), ("usage_record", "event_id"), ("consent_event", "purpose")):
        assert [row for row in await rows(store, table, mine) if row[column].startswith("race")] == []
    tags = {writer.rings["cn"].digest(EVENT_INDEX, body["eventId"]) for body in late}
    assert not tags & {row["event_tag"] for row in await rows(store, "event_seen")}


async def test_nobody_is_joined_with_somebody_who_is_being_erased(writer: Writer) -> None:
    customer_id, store = await asked_for(writer), writer.stores["cn"]
    held_up = store.transaction()
    connection = await held_up.__aenter__()
    await connection.execute("SELECT FROM customer WHERE customer_id = $1 FOR UPDATE", customer_id)
    joins = event("CustomersMerged", 30, {"customerKey": "C-2002"}, other=KEY, eventId="race")
    joining = asyncio.create_task(ingest(writer, [joins], "race"))
    async with asyncio.timeout(60):
        while not await waiting(store):  # noqa: ASYNC110 -- nobody tells when a lock is waited for
            await asyncio.sleep(0.01)
    await erase(connection, writer.rings["cn"], Erasure(customer_id, NOW, uuid4()), await read_terms(connection, "CN"))
    await held_up.__aexit__(None, None, None)
    [outcome] = await joining
    assert (outcome.status, outcome.field) == (Status.REJECTED, "other")
    assert await rows(store, "merge_edge") == []
    assert {row["cluster"] for row in await rows(store, "customer")} == {None}


async def waiting(store: Store) -> Sequence[Any]:
    """The connections that wait for a lock."""
    async with store.read() as connection:
        return list(
            await connection.fetch(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )


async def test_many_writers_and_an_erasure_leave_no_row_behind(writer: Writer, tmp_path: Path) -> None:
    """Whatever was written before it is swept, and whatever comes after is refused."""
    customer_id, store = await asked_for(writer), writer.stores["cn"]

    async def write(n: int) -> list[str | None]:
        one = SAMPLES["InteractionLogged"] | {"eventId": f"race-{n}", "interactionRef": f"race-{n}"}
        usage = SAMPLES["UsageSummarized"] | {"eventId": f"usage-{n}"}
        return codes(await ingest(writer, [one, usage], "race"))

    before = [asyncio.create_task(write(n)) for n in range(12)]
    began = asyncio.create_task(begin(writer, customer_id))
    after = [asyncio.create_task(write(n)) for n in range(12, 24)]
    found = [code for task in (*before, *after) for code in await task]
    await began
    assert set(found) <= {None, "UNKNOWN_CUSTOMER"}
    sweeps = await sweeper(writer, tmp_path)
    await sweeps.sweep()
    await sweeps.trail.close()
    mine = await held(store, customer_id)
    assert not mine.keys() & {"interaction", "usage_month", "usage_record", "bill"}


@pytest.mark.parametrize(
    "told",
    [
        SAMPLES["CustomerRegistered"] | {"documentType": "HONG_KONG_ID"},
        # Whom a client alone told of has no profile, and goes all the same.
        SAMPLES["CustomerIdentified"] | {"name": "陈美玲"},
    ],
    ids=lambda told: str(told["type"]),
)
async def test_in_hong_kong_everything_goes(writer: Writer, tmp_path: Path, told: Mapping[str, Any]) -> None:
    sample = {**told, "region": "HK", "subject": HONG_KONG}
    await accept(writer, sample)
    store = writer.stores["hk"]
    customer_id = (await one(store, "customer"))["customer_id"]
    steps = [advanced(customer_id, "ERASURE", state) | {"region": "HK"} for state in ("VERIFIED", "IN_PROGRESS")]
    await accept(writer, opened("ERASURE", "hk"), *steps)
    assert await rows(store, "data_key") == []
    sweeps = await sweeper(writer, tmp_path, "hk")
    await sweeps.sweep()
    await sweeps.trail.close()
    gone = await one(store, "customer")
    assert (gone["email"], gone["formatted_name"]) == (None, None)
    assert len({gone[name] for name in ("registered_at", "profile_at", "named_at", "email_at")}) == 1
    assert (await one(writer.stores["hk"], "privacy_request"))["state"] == "COMPLETED"
    (outcome,) = await ingest(writer, [sample], "again")
    assert (outcome.status, outcome.customer_id) == (Status.DUPLICATE, None)
    assert (await one(store, "customer"))["email"] is None
