"""Events that come before what they are about: they go in by themselves, once, and nothing else does."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.app import writer_of
from cdp.dead_letters import LONGEST_BODY, SOON
from cdp.errors import AuditUnavailable
from cdp.house import House
from cdp.ingest import Writer, ingest
from cdp.letters import Which, drop, letters_of
from cdp.outcome import UNKNOWN_CUSTOMER, Outcome, Status
from cdp.refused import bury_rejected
from cdp.waiting import AT_ONCE, HAND, LEASE, letter_job, send_due
from cdp.worker import work_once
from tests.cdp.doors import NOW, codes, empty, everything, rows
from tests.cdp.erasure.test_erase import asked_for, begin
from tests.cdp.house import fingerprint
from tests.cdp.samples import SAMPLES
from tests.cdp.test_ingest import FIRST, HISTORY
from tests.cdp.test_letters import drawer_of, trail

REGISTERED, NUMBER, ACCOUNT = SAMPLES["CustomerRegistered"], SAMPLES["NumberActivated"], SAMPLES["AccountOpened"]
USED = SAMPLES["UsageRecorded"] | {"subject": {"number": "13800138000"}}
BILLED = SAMPLES["BillIssued"] | {"subject": {"accountNo": ACCOUNT["accountNo"]}}
BY_NUMBER = ("UsageRecorded", "ConsentGiven", "CustomerTierChanged")
# Each by what its source knows, all but the two that would make the customer anew.
LATER = [
    body | {"subject": USED["subject"]}
    if body["type"] in BY_NUMBER
    else body | {"subject": BILLED["subject"]}
    if body["type"] == "BillIssued"
    else body
    for body in HISTORY[2:]
]
ALL = [*FIRST, *LATER]
LONG: timedelta = timedelta(days=2)


@pytest.fixture
def writer(house: House) -> Writer:
    return replace(writer_of(house), clock=lambda: NOW)


async def send(house: House, writer: Writer, after: timedelta = timedelta()) -> int:
    return await send_due(drawer_of(house), replace(writer, clock=lambda: NOW + after), NOW + after)


async def refuse(writer: Writer, *events: Mapping[str, Any], source: str = "events:shop") -> None:
    assert None not in codes(await ingest(writer, events, source))


async def due(house: House) -> list[datetime | None]:
    return [row["due_at"] for row in await rows(house.stores["cn"], "dead_letter")]


async def test_what_came_too_soon_goes_in_when_its_customer_is_known(house: House, writer: Writer) -> None:
    await refuse(writer, NUMBER, USED, BILLED, source="file.csv")
    assert await send(house, writer, LONG) == 0
    assert [letter.seen for letter in await letters_of(house.stores["cn"], Which())] == [1, 1, 1]
    assert await trail(house) == [], "nobody opened anything"
    await ingest(writer, [REGISTERED], "crm")
    # The number makes its usage go in; of the account nobody told yet.
    assert await send(house, writer) == 2
    [left] = await letters_of(house.stores["cn"], Which())
    assert (left.source, left.field, left.seen) == ("file.csv", "subject", 1)
    await ingest(writer, [ACCOUNT], "billing")
    assert await send(house, writer) == 1
    counted = [len(await rows(house.stores["cn"], table)) for table in ("usage_record", "bill", "dead_letter")]
    assert counted == [1, 1, 0]
    did = [(entry["did"], entry["client"], entry["channel"]) for entry in await trail(house)]
    assert did == [(what, "cdp-worker", "worker") for _ in range(3) for what in ("replayed", "went in")]


async def test_the_job_of_the_worker_sends_them(house: House) -> None:
    writer = writer_of(house)
    await refuse(writer, NUMBER)
    await ingest(writer, [REGISTERED], "crm")
    assert await work_once(house.stores.values(), [letter_job(house, writer)]) == 0
    assert await rows(house.stores["cn"], "dead_letter") == []
    assert len(await rows(house.stores["cn"], "number_holding")) == 1


async def test_whoever_is_known_before_the_letter_lies_there_is_found_at_its_first_look(
    house: House, writer: Writer
) -> None:
    await refuse(writer, NUMBER)
    cn = house.stores["cn"]
    letter = await rows(cn, "dead_letter")
    await ingest(writer, [REGISTERED], "crm")
    async with cn.transaction() as connection:
        await connection.execute("UPDATE dead_letter SET due_at = $1", letter[0]["due_at"])
    assert await send(house, writer) == 0
    assert await send(house, writer, SOON) == 1


async def test_whoever_is_told_of_while_a_letter_is_looked_at_is_not_missed(house: House, writer: Writer) -> None:
    await refuse(writer, NUMBER)
    async with house.stores["cn"].transaction() as looking:
        await looking.execute("SELECT FROM dead_letter FOR UPDATE")
        telling = asyncio.create_task(ingest(writer, [REGISTERED], "crm"))
        await asyncio.wait([telling], timeout=0.2)
        await looking.execute("UPDATE dead_letter SET due_at = $1", NOW + LONG)
    await telling
    assert await send(house, writer) == 1


async def test_what_is_refused_anew_stays_with_the_new_reason_and_waits_for_an_officer(
    house: House, writer: Writer
) -> None:
    await refuse(writer, NUMBER | {"validFrom": "2026-03-30T00:00:00Z"})
    await ingest(writer, [REGISTERED], "crm")
    assert await send(house, writer) == 0
    [left] = await letters_of(house.stores["cn"], Which())
    assert (left.reason, left.field, left.seen, left.first_at) == ("EVENT_INVALID", "validFrom", 2, NOW)
    assert await due(house) == [None]
    before = await fingerprint(house)
    await ingest(writer, [REGISTERED | {"eventId": "again", "at": "2026-01-01T00:00:00Z"}], "crm")
    assert await send(house, writer, LONG) == 0
    assert (await fingerprint(house))["cn.dead_letter"] == before["cn.dead_letter"]


async def test_who_stays_unknown_is_looked_for_ever_more_seldom(house: House, writer: Writer) -> None:
    """And one that is sent in vain, as the number was not theirs yet, after twice as long each time."""
    before_it_was = USED | {"at": "2026-01-01T00:00:00Z"}
    await ingest(writer, [REGISTERED, NUMBER], "crm")
    await refuse(writer, before_it_was, BILLED)
    looked, at = [], NOW
    while at < NOW + timedelta(days=8):
        at = min(one for one in await due(house) if one)
        looked.append(at)
        await send(house, writer, at - NOW)
    assert len(looked) < 60
    seen = sorted(letter.seen for letter in await letters_of(house.stores["cn"], Which()))
    assert seen[0] == 1
    assert 12 < seen[1] < 20


async def test_one_number_with_many_letters_brings_them_all(house: House, writer: Writer) -> None:
    many = [USED | {"eventId": f"u-{n}"} for n in range(AT_ONCE + 30)]
    await refuse(writer, *many, USED | {"eventId": "never", "at": "2026-01-01T00:00:00Z"})
    await ingest(writer, [REGISTERED, NUMBER], "crm")
    woken = [at for at in await due(house) if at == NOW]
    assert len(woken) == 10, "the door has little work with it"
    assert await send(house, writer) == len(many)
    assert len(await rows(house.stores["cn"], "usage_record")) == len(many)
    [left] = await letters_of(house.stores["cn"], Which())
    assert left.seen <= 4


async def test_two_workers_at_once_do_nothing_twice(house: House, writer: Writer) -> None:
    await refuse(writer, *(USED | {"eventId": f"u-{n}"} for n in range(40)), NUMBER)
    await ingest(writer, [REGISTERED], "crm")
    assert sum(await asyncio.gather(*(send(house, writer, SOON) for _ in range(4)))) == 41
    assert await send(house, writer, LONG) == 0
    cn = house.stores["cn"]
    assert [len(await rows(cn, table)) for table in ("usage_record", "outbox", "dead_letter")] == [40, 42, 0]
    went = [letter for entry in await trail(house) if entry["did"] == "went in" for letter in entry["letters"]]
    assert len(went) == len({*went}) == 41


async def test_one_that_a_dead_worker_held_is_taken_up_again(house: House, writer: Writer) -> None:
    await refuse(writer, NUMBER)
    await ingest(writer, [REGISTERED], "crm")
    await house.trails["cn"].close()
    with pytest.raises(AuditUnavailable):
        await send(house, writer)
    assert await due(house) == [NOW + LEASE]
    assert await rows(house.stores["cn"], "number_holding") == []


async def test_one_that_does_not_open_keeps_no_other_from_going_in(house: House, writer: Writer) -> None:
    cn, many = house.stores["cn"], [USED | {"eventId": f"u-{n}"} for n in range(5)]
    await refuse(writer, *many)
    broken = (await letters_of(cn, Which()))[2].letter_id
    await ingest(writer, [REGISTERED, NUMBER], "crm")
    async with cn.transaction() as connection:
        damage = "UPDATE dead_letter SET body = set_byte(body, 30, get_byte(body, 30) # 1) WHERE dead_letter_id = $1"
        await connection.execute(damage, broken)
    assert await send(house, writer, SOON) == 4
    assert [letter.letter_id for letter in await letters_of(cn, Which())] == [broken]
    assert len(await rows(cn, "usage_record")) == 4


async def test_what_was_dropped_stays_dropped(house: House, writer: Writer) -> None:
    await refuse(writer, NUMBER)
    [letter] = await letters_of(house.stores["cn"], Which())
    await drop(drawer_of(house), [letter.letter_id], HAND, "TEST_DATA")
    await ingest(writer, [REGISTERED], "crm")
    assert await send(house, writer, LONG) == 0
    assert await rows(house.stores["cn"], "number_holding") == []


async def test_who_was_erased_stays_erased(house: House, writer: Writer) -> None:
    customer_id, cn = await asked_for(writer), house.stores["cn"]
    await refuse(writer, USED | {"eventId": "before", "at": "2026-01-01T00:00:00Z"})
    await begin(writer, customer_id)
    assert await rows(cn, "dead_letter") == [], "what had waited is gone"
    was = await everything(cn)
    late = [
        USED | {"eventId": f"late-{n}", "subject": subject}
        for n, subject in enumerate((USED["subject"], REGISTERED["subject"], {"customerId": str(customer_id)}))
    ]
    await refuse(writer, *late, REGISTERED | {"eventId": "late", "subject": {"customerId": str(customer_id)}})
    assert await send(house, writer, LONG) == 0
    assert await everything(cn) == was
    assert {letter.seen for letter in await letters_of(cn, Which())} == {1}


@pytest.mark.parametrize("source", ["order:shop", "order:link"])
async def test_what_somebody_was_told_is_not_done_is_not_done_later(house: House, writer: Writer, source: str) -> None:
    await refuse(writer, SAMPLES["ConsentGiven"], source=source)
    await ingest(writer, [REGISTERED], "crm")
    assert await due(house) == [None]
    assert await send(house, writer, LONG) == 0
    assert await rows(house.stores["cn"], "consent_event") == []


async def test_one_that_is_not_there_as_a_whole_waits_for_its_source(house: House, writer: Writer) -> None:
    cut, whole = ({"subject": REGISTERED["subject"], "note": "x" * length} for length in (LONGEST_BODY, 10))
    for body in (cut, whole):
        outcome = Outcome(Status.REJECTED, None, "cn", UNKNOWN_CUSTOMER, "subject", "a customer")
        await bury_rejected(writer, "file.csv", [(body, outcome)], NOW)
    assert sorted(map(str, await due(house))) == sorted(["None", str(NOW + SOON)])


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.permutations(ALL), st.lists(st.integers(1, len(ALL) - 1), max_size=6), st.booleans())
async def test_any_order_and_the_worker_end_where_the_right_order_does(
    house: House, writer: Writer, order: Sequence[Mapping[str, Any]], cuts: list[int], often: bool
) -> None:
    cn = house.stores["cn"]
    await empty(cn)
    assert codes(await ingest(writer, ALL, "test")) == [None] * len(ALL)
    right = await everything(cn)

    await empty(cn)
    for start, end in pairwise([0, *sorted({*cuts}), len(order)]):
        await ingest(writer, order[start:end], "test")
        if often:
            await send(house, writer)
    at = timedelta()
    for _ in range(4):
        await send_due(drawer_of(house), writer, NOW + at)
        at += LONG
    assert await rows(cn, "dead_letter") == []
    assert await everything(cn) == right
    assert await send(house, writer, at) == 0
    assert await everything(cn) == right
