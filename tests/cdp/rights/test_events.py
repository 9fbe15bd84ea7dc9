"""Requests about one's own data: tracked step by step, due when the law says, and doing what they say they do."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from cdp.ingest import Status, Writer, ingest
from tests.cdp.doors import NOW, accept, codes, everything, one, rows
from tests.cdp.rights.steps import HONG_KONG, advanced, opened
from tests.cdp.samples import KEY, SAMPLES, event


async def customer(writer: Writer, store: str = "cn") -> UUID:
    """The customer of the examples, there from now on."""
    sample = SAMPLES["CustomerRegistered"]
    if store == "hk":
        sample = sample | {"region": "HK", "subject": HONG_KONG, "documentType": "HONG_KONG_ID"}
    await accept(writer, sample)
    found: UUID = (await one(writer.stores[store], "customer"))["customer_id"]
    return found


async def worked_at(writer: Writer, kind: str) -> UUID:
    """A request that somebody works at."""
    customer_id = await customer(writer)
    steps = [advanced(customer_id, kind, state) for state in ("VERIFIED", "IN_PROGRESS")]
    await accept(writer, opened(kind), *steps)
    return customer_id


@pytest.mark.parametrize(("store", "kind", "days"), [("cn", "ACCESS", 15), ("hk", "ACCESS", 40), ("cn", "ERASURE", 15)])
async def test_a_request_is_due_when_its_jurisdiction_says(writer: Writer, store: str, kind: str, days: int) -> None:
    await customer(writer, store)
    await accept(writer, opened(kind, store))
    row = await one(writer.stores[store], "privacy_request")
    assert (row["state"], row["kind"]) == ("RECEIVED", kind)
    assert row["due_at"] - row["opened_at"] == timedelta(days=days)


async def test_a_changed_row_changes_the_day(writer: Writer) -> None:
    await customer(writer)
    async with writer.stores["cn"].transaction() as connection:
        await connection.execute("UPDATE privacy_term SET days = 3 WHERE jurisdiction = 'CN' AND kind = 'ACCESS'")
    await accept(writer, opened("ACCESS"))
    row = await one(writer.stores["cn"], "privacy_request")
    assert row["due_at"] - row["opened_at"] == timedelta(days=3)


@pytest.mark.parametrize(
    ("before", "state"),
    [
        ((), "IN_PROGRESS"),
        ((), "COMPLETED"),
        (("VERIFIED",), "COMPLETED"),
        (("VERIFIED",), "VERIFIED"),
        (("VERIFIED", "IN_PROGRESS", "COMPLETED"), "REFUSED"),
        (("REFUSED",), "VERIFIED"),
    ],
)
async def test_no_step_is_left_out_and_none_is_taken_back(writer: Writer, before: tuple[str, ...], state: str) -> None:
    customer_id = await customer(writer)
    reasons: dict[str, dict[str, Any]] = {"REFUSED": {"reason": "NOT_VERIFIED"}}
    steps = [advanced(customer_id, "RESTRICTION", one, **reasons.get(one, {})) for one in before]
    await accept(writer, opened("RESTRICTION"), *steps)
    was = await everything(writer.stores["cn"])

    step = advanced(customer_id, "RESTRICTION", state, eventId="again", **reasons.get(state, {}))
    [outcome] = await ingest(writer, [step], "test")

    assert (outcome.status, outcome.field) == (Status.REJECTED, "state")
    assert await everything(writer.stores["cn"]) == was


async def test_a_reference_names_one_request_whoever_opens_it_again(writer: Writer) -> None:
    customer_id = await worked_at(writer, "ACCESS")
    before = await rows(writer.stores["cn"], "privacy_request")
    await accept(writer, opened("ACCESS") | {"eventId": "told again"})
    [outcome] = await ingest(writer, [opened("ERASURE") | {"requestRef": "ACCESS"}], "test")
    assert (outcome.code, outcome.field) == ("EVENT_INVALID", "requestRef")
    assert await rows(writer.stores["cn"], "privacy_request") == before
    assert before[0]["customer_id"] == customer_id


async def test_an_erasure_that_nobody_verified_erases_nothing(writer: Writer) -> None:
    customer_id = await customer(writer)
    await accept(writer, opened("ERASURE"))
    was = await everything(writer.stores["cn"])
    assert codes(await ingest(writer, [advanced(customer_id, "ERASURE", "IN_PROGRESS")], "test")) == ["EVENT_INVALID"]
    assert await everything(writer.stores["cn"]) == was
    assert len(await rows(writer.stores["cn"], "data_key", f"customer_id = '{customer_id}'")) > 0


async def test_a_request_of_somebody_else_is_not_advanced(writer: Writer) -> None:
    customer_id = await customer(writer)
    other = event("CustomerRegistered", 1, {"customerKey": "other"}, eventId="other", kind="INDIVIDUAL")
    await accept(writer, opened("ERASURE"), other)
    stolen = advanced(customer_id, "ERASURE", "VERIFIED") | {"subject": {"customerKey": "other"}}
    assert codes(await ingest(writer, [stolen], "test")) == ["EVENT_INVALID"]
    assert (await one(writer.stores["cn"], "privacy_request"))["state"] == "RECEIVED"


async def test_a_refusal_has_its_reason_and_nothing_else_has(writer: Writer) -> None:
    customer_id = await customer(writer)
    await accept(writer, opened("ACCESS"))
    for state, reason in (("REFUSED", {}), ("VERIFIED", {"reason": "LATE"})):
        [outcome] = await ingest(writer, [advanced(customer_id, "ACCESS", state, **reason)], "test")
        assert outcome.field == "reason"
    await accept(writer, advanced(customer_id, "ACCESS", "REFUSED", reason="NOT_VERIFIED"))
    row = await one(writer.stores["cn"], "privacy_request")
    assert (row["state"], row["reason"]) == ("REFUSED", "NOT_VERIFIED")


async def test_a_restriction_holds_until_it_is_lifted(writer: Writer) -> None:
    customer_id = await worked_at(writer, "RESTRICTION")
    store = writer.stores["cn"]
    assert (await one(store, "customer"))["state"] == "ACTIVE"
    await accept(writer, advanced(customer_id, "RESTRICTION", "COMPLETED"))
    assert (await one(store, "customer"))["state"] == "RESTRICTED"
    # What is told of the customer meanwhile does not lift it.
    await accept(writer, event("CustomerRegistered", 5, KEY, eventId="anew", kind="INDIVIDUAL", name="Anew"))
    assert (await one(store, "customer"))["state"] == "RESTRICTED"
    steps = [advanced(customer_id, "LIFTING", state) for state in ("VERIFIED", "IN_PROGRESS", "COMPLETED")]
    await accept(writer, opened("LIFTING"), *steps)
    assert (await one(store, "customer"))["state"] == "ACTIVE"


@pytest.mark.parametrize(
    ("kind", "done"),
    [
        ("RECTIFICATION", event("CustomerRegistered", 4, KEY, eventId="corrected", kind="INDIVIDUAL", name="陈美琳")),
        ("OBJECTION", event("ObjectionRaised", 4, KEY, eventId="corrected", kind="DIRECT_MARKETING")),
    ],
)
async def test_what_another_event_does_is_done_when_that_event_was_taken_in(
    writer: Writer, kind: str, done: dict[str, Any]
) -> None:
    customer_id = await worked_at(writer, kind)
    completed = advanced(customer_id, kind, "COMPLETED", evidence="corrected")
    # What came before and is no objection raises none.
    lifted = event("ObjectionLifted", 4, KEY, eventId="lifted", kind="DIRECT_MARKETING")
    await accept(writer, lifted)
    instead = () if kind == "RECTIFICATION" else ("lifted", str(SAMPLES["CustomerRegistered"]["eventId"]))
    wrong = [advanced(customer_id, kind, "COMPLETED", evidence=one) for one in instead]
    for missing in (completed, advanced(customer_id, kind, "COMPLETED"), *wrong):
        [outcome] = await ingest(writer, [missing], "test")
        assert outcome.field == "evidence"
    assert (await one(writer.stores["cn"], "privacy_request"))["state"] == "IN_PROGRESS"
    await accept(writer, done, completed)
    row = await one(writer.stores["cn"], "privacy_request")
    assert (row["state"], row["evidence"]) == ("COMPLETED", "corrected")
    assert row["state_at"] < NOW


@pytest.mark.parametrize("evidence", [None, "handed out", "a" * 63])
async def test_an_archive_is_named_by_its_hash(writer: Writer, evidence: str | None) -> None:
    customer_id = await worked_at(writer, "ACCESS")
    [outcome] = await ingest(writer, [advanced(customer_id, "ACCESS", "COMPLETED", evidence=evidence)], "test")
    assert (outcome.field, outcome.expected) == ("evidence", "the SHA-256 of the archive, as 64 hexadecimal digits")
    assert (await one(writer.stores["cn"], "privacy_request"))["state"] == "IN_PROGRESS"
