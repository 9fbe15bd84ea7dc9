"""The write door: once per event, in any order, never all or nothing, and what is refused is kept sealed."""

import asyncio
import gc
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.context import STORE_ITSELF
from cdp.identity.batch import Record
from cdp.identity.tables import customer
from cdp.incoming import CLOCKS_DIFFER, Incoming
from cdp.ingest import EVENTS, Outcome, Status, Writer, ingest
from cdp.key_store import data_keys
from cdp.lane import Lane
from cdp.stores import Store
from cdp.tables import dead_letter
from privacy.errors import KeyUnavailable
from privacy.vocabulary import RetentionClass
from tests.cdp.doors import NOW, accept, codes, empty, everything, one, opened, rows
from tests.cdp.samples import OTHER, SAMPLES, event

CANARY = "CANARY-13912345678"
REGISTERED = SAMPLES["CustomerRegistered"]
NUMBER = SAMPLES["NumberActivated"]
STATUS = SAMPLES["CustomerStatusChanged"]
ABOUT_TWO = ("CustomersMerged", "CustomersParted")
"""Events that are passed on for both their customers."""


def registered(key: str, **fields: Any) -> dict[str, Any]:
    """A customer of their own."""
    return (
        event("CustomerRegistered", 1, {"customerKey": key}, name=key, kind="INDIVIDUAL", eventId=f"r-{key}") | fields
    )


async def test_every_event_is_accepted_once_and_known_ever_after(writer: Writer) -> None:
    await accept(writer, OTHER)
    outcomes = await accept(writer, *SAMPLES.values())
    cn, hk = writer.stores["cn"], writer.stores["hk"]
    before = await everything(cn)
    assert len({outcome.customer_id for outcome in outcomes}) == 1
    assert len(before["event_seen"]) == len(EVENTS) + 1
    assert len(before["outbox"]) == len(EVENTS) + 1 + len(ABOUT_TWO)
    again = await ingest(writer, list(SAMPLES.values()), "test")
    assert {outcome.status for outcome in again} == {Status.DUPLICATE}
    assert await everything(cn) == before
    assert await rows(cn, "dead_letter") == []
    assert not any((await everything(hk)).values())


async def test_the_same_event_twice_in_a_batch_counts_once(writer: Writer) -> None:
    used = SAMPLES["UsageRecorded"]
    await accept(writer, REGISTERED, NUMBER)
    reordered = dict(reversed(used.items()))
    assert [o.status for o in await ingest(writer, [used, reordered, used], "test")] == [
        "ACCEPTED",
        "DUPLICATE",
        "DUPLICATE",
    ]
    assert (await one(writer.stores["cn"], "usage_month"))["voice_seconds"] == 150


async def test_two_doors_at_once_count_once(writer: Writer) -> None:
    events = [OTHER, *SAMPLES.values(), registered("C-2")]
    outcomes = await asyncio.gather(*(ingest(writer, events, "test") for _ in range(3)))
    for position in range(len(events)):
        assert sorted(some[position].status for some in outcomes) == ["ACCEPTED", "DUPLICATE", "DUPLICATE"]
    cn = writer.stores["cn"]
    assert len(await rows(cn, "customer")) == 3
    assert len(await rows(cn, "outbox")) == len(events) + len(ABOUT_TWO)
    assert (await one(cn, "usage_month", "month_on = '2026-03-01'"))["voice_seconds"] == 150


async def test_one_id_with_two_bodies_is_a_conflict_and_the_first_stays(writer: Writer) -> None:
    await accept(writer, OTHER, *SAMPLES.values())
    before = await everything(writer.stores["cn"])
    other = SAMPLES["BalanceReported"] | {"balance": {"value": "999.99", "unit": "CNY"}}
    (outcome,) = await ingest(writer, [other], "test")
    assert (outcome.status, outcome.code, outcome.field) == (Status.REJECTED, "EVENT_CONFLICT", "eventId")
    assert await everything(writer.stores["cn"]) == before
    assert (await one(writer.stores["cn"], "dead_letter"))["reason"] == "EVENT_CONFLICT"


OTHERWISE: dict[str, dict[str, Any]] = {
    "a moment later": {"at": "2026-03-15T09:30:00.000001+08:00"},
    "in another month": {"at": "2026-02-15T09:30:00+08:00"},
    "of another customer": {"subject": {"customerKey": "C-2002"}},
    "in another region": {"region": "CN-BJ"},
    "of another kind": {"type": "UsageSummarized", "month": "2026-02", "smsCount": 1},
}


@pytest.mark.parametrize("changed", OTHERWISE.values(), ids=OTHERWISE)
async def test_an_id_is_known_in_the_whole_store_whatever_else_is_said(writer: Writer, changed: dict[str, Any]) -> None:
    used = event("UsageRecorded", 15, usageType="SMS", quantity="1", units="messages")
    other = used | changed
    if "type" in changed:
        other = {name: other[name] for name in other if name not in ("usageType", "quantity", "units")}
    await accept(writer, OTHER, REGISTERED, used)
    before = await everything(writer.stores["cn"])
    outcomes = await ingest(writer, [used, other, used], "test")
    assert [one.status for one in outcomes] == ["DUPLICATE", "REJECTED", "DUPLICATE"]
    assert (outcomes[1].code, outcomes[1].field) == ("EVENT_CONFLICT", "eventId")
    assert await everything(writer.stores["cn"]) == before
    await empty(writer.stores["cn"])
    await accept(writer, OTHER, REGISTERED)
    outcomes = await ingest(writer, [used, other], "test")
    assert sorted(one.status for one in outcomes) == ["ACCEPTED", "REJECTED"], "of one batch, one goes in"


async def test_an_event_stays_known_when_its_subject_is_somebody_else_by_now(writer: Writer) -> None:
    by_number = STATUS | {"subject": {"number": "13800138000"}, "at": "2026-03-20T00:00:00Z"}
    await accept(writer, OTHER, REGISTERED, NUMBER, by_number)
    gone_before = event("NumberReassigned", 10, {"customerKey": "C-2002"}, number="13800138000")
    await accept(writer, gone_before)
    before = await everything(writer.stores["cn"])
    (outcome,) = await ingest(writer, [by_number], "test")
    assert outcome.status is Status.DUPLICATE
    assert await everything(writer.stores["cn"]) == before


async def test_an_event_takes_the_same_space_whatever_its_id_is(writer: Writer) -> None:
    await accept(writer, REGISTERED | {"eventId": "1"}, STATUS | {"eventId": "2" * 128})
    assert [{len(value) for value in row.values()} for row in await rows(writer.stores["cn"], "event_seen")] == [
        {16}
    ] * 2


async def test_a_conflicting_activation_gives_nobody_the_number(writer: Writer) -> None:
    await accept(writer, REGISTERED, NUMBER)
    false = NUMBER | {"number": "13700137000"}
    used = event("UsageSummarized", 20, {"number": "13700137000"}, month="2026-02", smsCount=1)
    good = STATUS | {"subject": {"number": "13800138000"}}
    assert codes(await ingest(writer, [false, used, good], "test")) == ["EVENT_CONFLICT", "UNKNOWN_CUSTOMER", None]
    assert len(await rows(writer.stores["cn"], "number_holding")) == 1
    assert await rows(writer.stores["cn"], "usage_month") == []


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (STATUS | {"region": "US-CA", "eventId": CANARY}, "EVENT_INVALID", "region"),
    (STATUS | {"subject": {}, "eventId": CANARY}, "EVENT_INVALID", "subject"),
    (STATUS | {"subject": {"customerKey": CANARY}}, "UNKNOWN_CUSTOMER", "subject"),
    (STATUS | {"subject": {"customerId": str(UUID(int=5))}, "eventId": CANARY}, "UNKNOWN_CUSTOMER", "subject"),
    (STATUS | {"subject": {"number": "13700137000"}, "eventId": CANARY}, "UNKNOWN_CUSTOMER", "subject"),
    (STATUS | {"subject": {"number": CANARY}}, "NUMBER_INVALID", "subject.number"),
    (STATUS | {"subject": {"number": "10086"}, "eventId": CANARY}, "NUMBER_INVALID", "subject.number"),
    (STATUS | {"subject": {"customerKey": "null"}, "eventId": CANARY}, "IDENTIFIER_INVALID", "subject"),
    (STATUS | {"subject": {"document": "000000"}, "eventId": CANARY}, "IDENTIFIER_INVALID", "subject"),
    (NUMBER | {"number": CANARY}, "NUMBER_INVALID", "number"),
    (NUMBER | {"number": "12345678", "eventId": CANARY}, "NUMBER_INVALID", "number"),
    (NUMBER | {"validFrom": "2026-03-30T00:00:00Z", "eventId": CANARY}, "EVENT_INVALID", "validFrom"),
    (SAMPLES["NumberReleased"] | {"number": "13700137000", "eventId": CANARY}, "UNKNOWN_REFERENCE", "number"),
    (REGISTERED | {"birthDate": "2026-03-31", "eventId": CANARY}, "EVENT_INVALID", "birthDate"),
    (REGISTERED | {"documentType": None, "eventId": CANARY}, "EVENT_INVALID", "documentNumber"),
    ({"type": CANARY}, "EVENT_INVALID", "type"),
    ({}, "EVENT_INVALID", "type"),
]


async def test_what_is_refused_is_kept_with_its_reason_and_the_rest_goes_through(writer: Writer) -> None:
    cn = writer.stores["cn"]
    await accept(writer, REGISTERED, NUMBER)
    before = await everything(cn)
    bad = [body for body, _, _ in REFUSED]
    outcomes = await ingest(writer, [*bad, STATUS], "feed")
    assert [(o.code, o.field) for o in outcomes[:-1]] == [(code, field) for _, code, field in REFUSED]
    assert outcomes[-1].status is Status.ACCEPTED
    assert all(o.expected and CANARY not in f"{o}" and o.customer_id is None for o in outcomes[:-1])
    after = await everything(cn)
    assert len(after.pop("outbox")) - len(before.pop("outbox")) == 1
    assert len(after.pop("event_seen")) - len(before.pop("event_seen")) == 1
    assert after | {"customer": []} == before | {"customer": []}
    letters = await rows(cn, "dead_letter")
    assert sorted((row["reason"], row["field"]) for row in letters) == sorted(
        (code, field) for _, code, field in REFUSED
    )
    assert not any(CANARY in str(value) for row in letters for value in row.values())
    assert not any(CANARY.encode() in row["body"] for row in letters)


async def test_a_dead_letter_is_sealed_counted_and_can_be_sent_again(writer: Writer) -> None:
    late = STATUS | {"subject": {"customerKey": "C-9"}}
    for _ in range(3):
        assert codes(await ingest(writer, [late, late], "feed")) == ["UNKNOWN_CUSTOMER"] * 2
    letter = await one(writer.stores["cn"], "dead_letter")
    assert (letter["seen"], letter["source"]) == (3, "feed")
    ids = (STORE_ITSELF, letter["dead_letter_id"])
    held = await opened(writer, "cn", dead_letter.c.body, ids, letter["body"])
    assert isinstance(held, dict)
    record = json.loads(held["record"])
    assert record == late
    await accept(writer, registered("C-9"), record)


async def test_what_has_not_happened_yet_is_looked_at_and_goes_in_when_its_time_has_come(writer: Writer) -> None:
    cn = writer.stores["cn"]
    await accept(writer, REGISTERED)
    before = await everything(cn)
    skewed = STATUS | {"at": (NOW + CLOCKS_DIFFER).isoformat(), "eventId": "within"}
    early = STATUS | {"at": (NOW + CLOCKS_DIFFER + timedelta(microseconds=1)).isoformat()}
    (outcome,) = await ingest(writer, [early], "feed")
    assert outcome == Outcome(Status.REVIEW, None, "cn", "EVENT_EARLY", "at", "an instant that has come")
    assert await everything(cn) == before
    letter = await one(cn, "dead_letter")
    assert (letter["source"], letter["reason"], letter["field"]) == ("feed", "EVENT_EARLY", "at")
    held = await opened(writer, "cn", dead_letter.c.body, (STORE_ITSELF, letter["dead_letter_id"]), letter["body"])
    assert isinstance(held, dict)
    later = replace(writer, clock=lambda: NOW + timedelta(days=2))
    assert [one.status for one in await ingest(writer, [skewed, early], "feed")] == ["ACCEPTED", "REVIEW"]
    again = json.loads(held["record"])
    assert [one.status for one in await ingest(later, [again, early], "feed")] == ["ACCEPTED", "DUPLICATE"]


async def test_records_of_any_shape_are_refused_and_kept(writer: Writer) -> None:
    deep: Any = 0
    for _ in range(100_000):
        deep = [deep]
    odd: list[Any] = [
        None,
        [],
        "text",
        7,
        {"type": {}},
        {1: 2},
        {"a": float("nan")},
        {"a": "\ud800"},
        {"a": "\0"},
        {"a": deep},
    ]
    assert codes(await ingest(writer, [*odd, REGISTERED], "feed")) == ["EVENT_INVALID"] * len(odd) + [None]
    assert len(await rows(writer.stores["cn"], "dead_letter")) == len(odd)


async def test_one_record_the_database_refuses_does_not_take_the_others_along(writer: Writer) -> None:
    paid = SAMPLES["PaymentReceived"]
    events = [registered(f"C-{n}") for n in range(20)]
    payments = [
        event(
            "PaymentReceived",
            5,
            {"customerKey": f"C-{n}"},
            eventId=f"p-{n}",
            paymentRef="R",
            amount=paid["amount"],
            method="CARD",
        )
        for n in range(20)
    ]
    clash = payments[7] | {"eventId": "another", "amount": {"value": "5.00", "unit": "CNY"}}
    outcomes = await ingest(writer, [*events, *payments, clash], "test")
    assert codes(outcomes) == [None] * 40 + ["EVENT_CONFLICT"]
    cn = writer.stores["cn"]
    assert [row["amount_minor"] for row in await rows(cn, "payment")] == [8800] * 20
    assert len(await rows(cn, "outbox")) == 40
    assert len(await rows(cn, "event_seen")) == 40


async def test_a_customer_registered_in_the_batch_is_seen_by_all_of_it(writer: Writer) -> None:
    used = event("UsageSummarized", 20, {"number": "13800138000"}, month="2026-02", smsCount=1)
    outcomes = await accept(writer, used, NUMBER, REGISTERED)
    assert len({outcome.customer_id for outcome in outcomes}) == 1
    found = await one(writer.stores["cn"], "customer")
    assert found["customer_id"] == outcomes[0].customer_id
    assert found["customer_id"].version == 7


async def test_one_key_makes_one_customer(writer: Writer) -> None:
    twice = [registered("C-5"), registered("C-5", eventId="again", at="2026-03-02T00:00:00Z", name="later")]
    outcomes = await accept(writer, *twice)
    assert outcomes[0].customer_id == outcomes[1].customer_id
    row = await one(writer.stores["cn"], "customer")
    ids = (row["customer_id"], row["customer_id"])
    assert await opened(writer, "cn", customer.c.formatted_name, ids, row["formatted_name"]) == "later"
    assert row["profile_at"] == datetime(2026, 3, 2, tzinfo=UTC)


async def test_every_given_identifier_finds_the_customer(writer: Writer) -> None:
    await accept(writer, REGISTERED, NUMBER, SAMPLES["AccountOpened"])
    customer_id = (await one(writer.stores["cn"], "customer"))["customer_id"]
    subjects: list[dict[str, Any]] = [
        {"email": " MeiLing.Chen@example.cn"},
        {"document": "440106 19880517-0029"},
        {"accountNo": "a-77"},
        {"number": "0086 138 0013 8000"},
        {"customerId": str(customer_id)},
    ]
    changed = [STATUS | {"eventId": f"s-{n}", "subject": subject} for n, subject in enumerate(subjects)]
    assert {outcome.customer_id for outcome in await accept(writer, *changed)} == {customer_id}


async def test_late_usage_lands_on_the_holder_of_its_own_time(writer: Writer) -> None:
    first, second = {"customerKey": "C-1"}, {"customerKey": "C-2"}
    await accept(
        writer,
        registered("C-1"),
        registered("C-2"),
        NUMBER | {"eventId": "n-1", "subject": first},
        event("NumberReleased", 10, first, number="13800138000"),
        NUMBER | {"eventId": "n-2", "subject": second, "at": "2026-03-20T00:00:00Z"},
    )
    used = [
        event("UsageSummarized", day, {"number": "+8613800138000"}, month="2026-03", smsCount=day, eventId=f"u-{day}")
        for day in (5, 15, 25)
    ]
    outcomes = await ingest(writer, used, "test")
    assert codes(outcomes) == [None, "UNKNOWN_CUSTOMER", None]
    months = {row["customer_id"]: row["sms_count"] for row in await rows(writer.stores["cn"], "usage_month")}
    assert months == {outcomes[0].customer_id: 5, outcomes[2].customer_id: 25}


async def test_the_region_chooses_the_store_and_nothing_is_shared(writer: Writer) -> None:
    hong_kong = {"region": "HK", "subject": {"customerKey": "C-1001"}}
    outcomes = await accept(writer, REGISTERED, REGISTERED | hong_kong, NUMBER | hong_kong | {"number": "9123 4567"})
    assert [outcome.store for outcome in outcomes] == ["cn", "hk", "hk"]
    assert outcomes[0].customer_id != outcomes[1].customer_id
    cn, hk = [await rows(writer.stores[name], "identifier_index") for name in ("cn", "hk")]
    assert {row["identifier_tag"] for row in cn}.isdisjoint(row["identifier_tag"] for row in hk)
    assert await rows(writer.stores["cn"], "number_holding") == []


async def test_names_and_numbers_are_nowhere_in_the_store(writer: Writer) -> None:
    await accept(writer, OTHER, *SAMPLES.values())
    await ingest(writer, [STATUS | {"subject": {"number": "13912345678"}}], "test")
    planted = [
        "陈美玲",
        "13800138000",
        "0138000",
        "440106198805170029",
        "meiling",
        "体育西路",
        "A-77",
        "充值",
        "1988-05-17",
    ]
    planted += ["8986001", "91234567", "C-1001", "13912345678"]
    async with writer.stores["cn"].read() as connection:
        names = [
            row[0] for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ]
        for name in names:
            for row in await connection.fetch(f'SELECT * FROM "{name}"'):
                text = b" ".join(
                    v if isinstance(v, bytes) else str(v).encode() for v in row.values() if not isinstance(v, UUID)
                )
                assert [word for word in planted if word.encode() in text] == [], name


async def set_state(store: Store, state: str) -> None:
    async with store.transaction() as connection:
        await connection.execute("UPDATE customer SET state = $1", state)
        await connection.execute("DELETE FROM data_key")


@pytest.mark.parametrize("state", ["ERASING", "ERASED"])
async def test_an_erased_customer_is_not_found_and_gets_no_key(writer: Writer, state: str) -> None:
    cn = writer.stores["cn"]
    (registration,) = await accept(writer, REGISTERED)
    assert registration.customer_id is not None
    await set_state(cn, state)
    before = await everything(cn)
    by_id = SAMPLES["InteractionLogged"] | {"subject": {"customerId": str(registration.customer_id)}}
    outcomes = await ingest(writer, [SAMPLES["InteractionLogged"], by_id, REGISTERED], "test")
    assert codes(outcomes) == ["UNKNOWN_CUSTOMER"] * 2 + [None]
    assert outcomes[2] == Outcome(Status.DUPLICATE, None, "cn"), "it was taken in once, and is not kept again"
    with pytest.raises(KeyUnavailable):
        async with cn.transaction() as connection:
            await data_keys(connection, writer.rings["cn"], [(registration.customer_id, RetentionClass.SERVICE)])
    assert await rows(cn, "data_key", f"customer_id <> '{STORE_ITSELF}'") == []
    assert await everything(cn) == before


async def test_a_restricted_customer_is_still_written_to(writer: Writer) -> None:
    await accept(writer, REGISTERED)
    async with writer.stores["cn"].transaction() as connection:
        await connection.execute("UPDATE customer SET state = 'RESTRICTED'")
    await accept(writer, REGISTERED | {"eventId": "again", "at": "2026-03-30T00:00:00Z"})
    assert (await one(writer.stores["cn"], "customer"))["state"] == "RESTRICTED"


async def test_months_get_their_partitions_and_old_rows_a_place(writer: Writer) -> None:
    old = event("NumberActivated", 1, eventId="old", number="13800138000") | {"at": "1998-01-01T00:00:00Z"}
    used = SAMPLES["UsageRecorded"]
    await accept(writer, REGISTERED, old, used, used | {"eventId": "u-old", "at": "1999-01-01T00:00:00Z"})
    cn = writer.stores["cn"]
    assert [row["event_id"] for row in await rows(cn, "usage_record_default")] == ["u-old"]
    assert len(await rows(cn, "usage_record_202603")) == 1


def numbered(*events: dict[str, Any]) -> list[dict[str, Any]]:
    return [body | {"eventId": f"h-{n}"} for n, body in enumerate(events)]


S = SAMPLES
TIE = {"at": S["BalanceReported"]["at"]}
FIRST = [REGISTERED, NUMBER, S["AccountOpened"]]
HISTORY = numbered(
    REGISTERED | {"at": "2026-03-09T00:00:00Z", "gender": "MALE", "email": "other@example.cn"},
    REGISTERED | {"at": "2026-02-01T00:00:00Z", "gender": None},
    STATUS | {"status": "SUSPENDED"},
    STATUS | {"status": "TERMINATED"},
    S["CustomerTierChanged"],
    S["NumberSuspended"],
    S["NumberResumed"],
    S["CustomerLinked"],
    S["CustomerUnlinked"],
    S["ConsentGiven"],
    S["ConsentWithdrawn"],
    S["ObjectionRaised"],
    S["UsageRecorded"],
    S["UsageRerated"] | {"record": "h-12", "quantity": "7"},
    S["UsageRerated"] | {"record": "h-12", "quantity": "900", "at": "2026-03-17T00:00:00Z"},
    S["UsageSummarized"],
    S["UsageSummarized"] | {"smsCount": 5},
    S["BalanceReported"],
    S["BalanceReported"] | {"balance": {"value": "1.00", "unit": "CNY"}} | TIE,
    S["BalanceReported"] | {"balance": {"value": "-1.00", "unit": "CNY"}} | TIE,
    S["PaymentStatusReported"],
    S["ProductActivated"] | {"reliesOn": ["P-0"]},
    S["ProductSuspended"],
    S["ProductSuspended"] | {"reason": "LOST"},
    S["ProductResumed"],
    S["BillIssued"],
    S["BillCorrected"],
    S["PaymentReceived"],
    S["PaymentReceived"] | {"paymentRef": "R-2"},
    S["TopUpRequested"],
    S["TopUpConfirmed"],
    S["TopUpConfirmed"] | {"at": "2026-03-23T00:00:00Z"},
    S["TopUpPosted"],
    S["TopUpReversed"],
    S["LedgerPosted"],
    S["ExchangePosted"],
    S["CaseOpened"],
    S["CaseStatusChanged"],
    S["CaseStatusChanged"] | {"status": "DIAGNOSED"},
    S["InteractionLogged"],
)


async def after(writer: Writer, batches: list[list[dict[str, Any]]]) -> dict[str, list[tuple[Any, ...]]]:
    """What an empty store holds after these batches."""
    await empty(writer.stores["cn"])
    for batch in [FIRST, *batches]:
        assert codes(await ingest(writer, batch, "test")) == [None] * len(batch)
    return await everything(writer.stores["cn"])


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.permutations(HISTORY), st.lists(st.integers(1, len(HISTORY) - 1), max_size=6))
async def test_the_order_of_arrival_leaves_no_trace(
    writer: Writer, order: list[dict[str, Any]], cuts: list[int]
) -> None:
    edges = [0, *sorted(set(cuts)), len(order)]
    batches = [order[start:end] for start, end in pairwise(edges)]
    assert await after(writer, batches) == await after(writer, [HISTORY])


async def test_a_number_is_held_in_the_store_of_its_country_alone(writer: Writer) -> None:
    """There alone it is looked for; in another store nobody would find its holder, and it could have a second one."""
    abroad = [
        event("NumberActivated", 2, number="+852 6444 0000", eventId="1"),
        event("NumberReassigned", 2, number="+852 6444 0000", eventId="2"),
        event("NumberPortedIn", 2, number="00852 6444 0000", fromOperator="x", servingOperator="y", eventId="3"),
    ]
    elsewhere = event("NumberActivated", 2, number="+44 7911 123456", eventId="4")
    outcomes = await ingest(writer, [SAMPLES["CustomerRegistered"], *abroad, elsewhere], "test")
    assert codes(outcomes) == [None, *["EVENT_INVALID"] * 3, None]
    assert {(outcome.field, outcome.expected) for outcome in outcomes[1:4]} == {
        ("number", "a number that the store of this region keeps")
    }
    cn = writer.stores["cn"]
    assert [len(await rows(cn, table)) for table in ("known_number", "number_holding", "dead_letter")] == [1, 1, 3]


def test_an_outcome_holds_no_value() -> None:
    assert set(Outcome._fields) == {"status", "customer_id", "store", "code", "field", "expected"}


async def test_a_batch_that_was_taken_in_is_gone_without_being_looked_for(writer: Writer) -> None:
    gc.collect()
    gc.disable()
    try:
        await ingest(writer, [*SAMPLES.values(), {}], "test")
        left = [one for one in gc.get_objects() if type(one) in (Record, Lane, Incoming)]
    finally:
        gc.enable()
    assert left == []
