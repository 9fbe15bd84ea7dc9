"""A customer is drafted before anybody knows whether they are new: what is written is what would be without drafts."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from cdp.context import STORE_ITSELF
from cdp.errors import StoreUnavailable
from cdp.identity.drafts import new_id
from cdp.identity.tables import customer
from cdp.incoming import Incoming, read_all
from cdp.ingest import EVENTS, Status, Writer, ingest, take_in
from cdp.key_store import add_data_keys
from cdp.usage.tables import usage_record
from privacy.vocabulary import RetentionClass
from tests.cdp.doors import accept, codes, empty, everything, one, opened, rows
from tests.cdp.samples import SAMPLES, event

S = SAMPLES


def registered(key: str, day: int = 1, **fields: Any) -> dict[str, Any]:
    names = {"name": key, "kind": "INDIVIDUAL", "eventId": f"r-{key}-{day}"} | fields
    return event("CustomerRegistered", day, {"customerKey": key}, **names)


async def read(writer: Writer, *events: dict[str, Any]) -> Incoming:
    """Reads a batch; what may make a customer is drafted then."""
    incoming = await read_all(writer, EVENTS, events)
    assert all(record.draft is not None for record in incoming.of_store["cn"] if record.new is not None)
    return incoming


def drafted(incoming: Incoming) -> UUID:
    """The customer whom the first event would make."""
    draft = incoming.of_store["cn"][0].draft
    assert draft is not None
    return draft.customer_id


async def named(writer: Writer) -> object:
    """What the only customer is called."""
    row = await one(writer.stores["cn"], "customer")
    ids = (row["customer_id"], row["customer_id"])
    return await opened(writer, "cn", customer.c.formatted_name, ids, row["formatted_name"])


async def test_a_new_customer_is_written_as_drafted(writer: Writer) -> None:
    incoming = await read(writer, registered("C-1", email="a@example.cn"))
    cell = next(put.row["formatted_name"].cell for put in incoming.of_store["cn"][0].draft.puts)  # type: ignore[union-attr]
    (outcome,) = await take_in(writer, incoming, "test")
    row = await one(writer.stores["cn"], "customer")
    assert outcome.customer_id == row["customer_id"] == drafted(incoming)
    assert row["formatted_name"] == cell
    assert await named(writer) == "C-1"
    assert len(await rows(writer.stores["cn"], "data_key")) == 1


async def test_a_claim_that_was_lost_meanwhile_leaves_nothing_of_the_draft(writer: Writer) -> None:
    incoming = await read(writer, registered("C-1", 2, name="Second", email="b@example.cn"))
    (first,) = await accept(writer, registered("C-1", 1, name="First"))
    (second,) = await take_in(writer, incoming, "test")
    cn = writer.stores["cn"]
    assert second == first
    assert await named(writer) == "Second"
    assert {row["customer_id"] for row in await rows(cn, "data_key")} == {first.customer_id}
    assert {row["customer_id"] for row in await rows(cn, "identifier_index")} == {first.customer_id}
    assert drafted(incoming) != first.customer_id
    assert str(drafted(incoming)) not in repr(await everything(cn))


async def test_the_same_event_by_two_doors_is_one_customer(writer: Writer) -> None:
    body = registered("C-1")
    one_door, other_door = await read(writer, body), await read(writer, body)
    found = await asyncio.gather(take_in(writer, one_door, "test"), take_in(writer, other_door, "test"))
    assert sorted(outcome.status for (outcome,) in found) == [Status.ACCEPTED, Status.DUPLICATE]
    assert await named(writer) == "C-1"
    assert len(await rows(writer.stores["cn"], "data_key")) == 1


@pytest.mark.parametrize("key", ["C-1", "C-2"])
async def test_an_id_that_comes_again_in_its_batch_makes_one_customer(writer: Writer, key: str) -> None:
    other = registered(key, name="Another", eventId="r-C-1-1")
    first, second = await ingest(writer, [registered("C-1"), other], "test")
    assert (first.code, second.code) == (None, "EVENT_CONFLICT")
    assert await named(writer) == "C-1"
    keys = await rows(writer.stores["cn"], "data_key")
    assert {row["customer_id"] for row in keys} == {first.customer_id, STORE_ITSELF}
    assert len(await rows(writer.stores["cn"], "identifier_index")) == 1


async def test_who_is_told_of_several_times_in_a_batch_is_what_they_would_be_one_by_one(writer: Writer) -> None:
    told = [
        registered("C-1", 2, name="Second", tier="HIGH", email="b@example.cn"),
        registered("C-1", 1, name="First", gender="MALE"),
        registered("C-1", 2, name="Also", eventId="also"),
        event("CustomerIdentified", 3, {"customerKey": "C-1"}, eventId="i", email="c@example.cn"),
        event("CustomerTierChanged", 4, {"customerKey": "C-1"}, eventId="t", tier="MIDDLE"),
        *(body | {"subject": {"customerKey": "C-1"}} for body in (S["NumberActivated"], S["AccountOpened"])),
    ]
    cn, found = writer.stores["cn"], []
    # Alone, the earlier ones come first, as a batch would hear them.
    for batches in ([told], [told[::-1]], [[body] for body in sorted(told, key=lambda body: body["at"])]):
        await empty(cn)
        for bodies in batches:
            await accept(writer, *bodies)
        row = await one(cn, "customer")
        ids = (row["customer_id"], row["customer_id"])
        sealed = [await opened(writer, "cn", customer.c[name], ids, row[name]) for name in ("formatted_name", "email")]
        held = [row[name] for name in ("gender", "tier", "named_at", "email_at", "profile_at")]
        kept = {name: len(some) for name, some in (await everything(cn)).items()}
        found.append((sealed[1], held, kept))
    assert found[0] == found[1] == found[2]


async def test_what_is_there_of_somebody_who_is_not_is_met(writer: Writer) -> None:
    """A key, or a row, that nothing should have left behind."""
    cn, ring = writer.stores["cn"], writer.rings["cn"]
    incoming = await read(writer, registered("C-1"), registered("C-2"))
    who = drafted(incoming)
    left = ring.new_data_key(who, RetentionClass.IDENTITY)[1]
    async with cn.transaction() as connection:
        await add_data_keys(connection, [left])
    outcomes = await take_in(writer, incoming, "test")
    assert codes(outcomes) == [None, None]
    found = await rows(cn, "data_key", f"customer_id = '{who}'")
    assert [row["wrapped"] for row in found] == [left.wrapped]
    row = await one(cn, "customer", f"customer_id = '{who}'")
    ids = (row["customer_id"], row["customer_id"])
    assert await opened(writer, "cn", customer.c.formatted_name, ids, row["formatted_name"]) == "C-1"


async def test_a_draft_whose_write_broke_off_goes_in_afterwards(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_off(*_: object) -> None:
        raise StoreUnavailable("cn", "gone in the middle")

    cn, incoming = writer.stores["cn"], await read(writer, registered("C-1"))
    with monkeypatch.context() as broken:
        broken.setattr("cdp.ingest.put", break_off)
        with pytest.raises(StoreUnavailable):
            await take_in(writer, incoming, "test")
    assert not any((await everything(cn)).values())
    assert await rows(cn, "data_key") == []
    await accept(writer, registered("C-1"))
    assert await named(writer) == "C-1"


async def test_who_is_described_again_and_again_is_seldom_drafted(writer: Writer) -> None:
    def drafts(incoming: Incoming) -> int:
        return sum(record.draft is not None for record in incoming.of_store["cn"])

    found = []
    for day, first in ((1, 0), (2, 0), (3, 0), (4, 20), (5, 40)):
        incoming = await read_all(writer, EVENTS, [registered(f"C-{n}", day) for n in range(first, first + 20)])
        assert set(codes(await take_in(writer, incoming, "test"))) == {None}
        found.append(drafts(incoming))
    assert found == [20, 20, 2, 2, 20]
    assert len(await rows(writer.stores["cn"], "customer")) == 60


async def test_nobody_is_drafted_from_what_is_refused(writer: Writer) -> None:
    incoming = await read_all(writer, EVENTS, [registered("C-1", birthDate="2030-01-01")])
    assert incoming.of_store["cn"][0].draft is None
    (outcome,) = await take_in(writer, incoming, "test")
    assert (outcome.code, outcome.field) == ("EVENT_INVALID", "birthDate")
    assert await rows(writer.stores["cn"], "identifier_index") == []


async def test_the_id_of_a_draft_is_that_of_its_event(writer: Writer) -> None:
    incoming = await read(writer, registered("C-1"))
    assert drafted(incoming) == new_id(writer.rings["cn"], incoming.of_store["cn"][0].event)


async def test_a_new_customer_whose_number_is_used_at_once_has_one_key_of_a_class(writer: Writer) -> None:
    key, used = {"customerKey": "C-1"}, S["UsageRecorded"]
    number = {"number": S["NumberActivated"]["number"]}
    told = [
        registered("C-1"),
        S["NumberActivated"] | {"subject": key},
        *(used | {"subject": number, "eventId": f"u-{n}"} for n in range(3)),
        used | {"subject": key | {"number": None}, "eventId": "by key"},
    ]
    first, *others = await accept(writer, *told)
    assert {outcome.customer_id for outcome in others} == {first.customer_id}
    cn = writer.stores["cn"]
    keys = [(row["retention"], row["generation"]) for row in await rows(cn, "data_key")]
    assert len(keys) == len(set(keys)) > 1
    for row in await rows(cn, "usage_record"):
        ids = (row["customer_id"], row["record_id"])
        found = await opened(writer, "cn", usage_record.c.counterparty, ids, row["counterparty"])
        assert found == used["counterparty"]
