"""The lane for records of usage: whatever comes, and in whatever company, what is there afterwards and what is answered
are what they are without it.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from operator import itemgetter
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cdp.incoming
import cdp.ingest
import cdp.lane
from cdp.dead_letters import spelled
from cdp.event import EARLIEST, parse_event
from cdp.identity.batch import read
from cdp.identity.tables import NUMBER_INDEX
from cdp.incoming import read_all
from cdp.ingest import EVENTS, Writer, ingest, take_in
from cdp.settings import Settings
from cdp.usage.columns import Reader, month_of
from cdp.usage.events import UsageRecorded
from cdp.usage.tables import usage_record
from cdp.values import to_usage_count
from tests.cdp.doors import NOW, accept, codes, empty, everything, one, opened, rows
from tests.cdp.samples import event
from tests.rotating import begin_index

Body: TypeAlias = Any
MARCH = "2026-03-{:02}T09:30:00+08:00"
ONE, TWO, THREE = ({"customerKey": f"C-{n}"} for n in (1, 2, 3))
MOVED, PAIRED, OTHERS, NEW = "+8613800138000", "+8613800138001", "+85291234567", "+8613800138009"

WORLD = [
    *(
        event("CustomerRegistered", 1, one, eventId=f"r-{one['customerKey']}", name="x", kind="INDIVIDUAL")
        for one in (ONE, TWO)
    ),
    event("NumberActivated", 3, ONE, eventId="n-1", number=MOVED),
    event("NumberReassigned", 10, TWO, eventId="n-2", number=MOVED),
    event("NumberActivated", 3, ONE, eventId="n-3", number=PAIRED),
    event("NumberReassigned", 4, TWO, eventId="n-4", number=PAIRED, role="PAYER"),
    event("CustomerRegistered", 1, THREE, eventId="r-3", name="y", kind="INDIVIDUAL") | {"region": "HK"},
    event("NumberActivated", 3, THREE, eventId="n-5", number=OTHERS) | {"region": "HK"},
    event("AccountOpened", 3, TWO, eventId="a-1", accountNo="A-1", ratingType="PREPAID", currency="CNY"),
]
USUAL = event("UsageRecorded", 5, {"number": MOVED}, eventId="u-1", usageType="SMS", quantity="1", units="messages")
UNUSUAL = USUAL | {"counterparty": "王先生"}

of = st.sampled_from
TEXTS = of([PAIRED, 'a "b" \\ c', "王先生", "x" * 128]) | of(["", "x\x00", "x\x7f", "\ud800", "x" * 129, None, 7])
NUMBERS = of(
    [MOVED, "138 0013 8000", "１３８００１３８０００", "008613800138000", PAIRED, OTHERS, "91234567", NEW]
) | of(["+8613700137000", "13800", "unknown", "", "x\x00", 'a"b', None, 7, ["1"], "1" * 500])
INSTANTS = (
    of([MARCH.format(day) for day in (1, 2, 3, 5, 9, 10, 11, 31)])
    | of(["2026-03-05T01:30:00Z", "2026-02-28T16:00:00.123456+00:00", "2026-02-28T15:59:59-00:00", "20260305T013000Z"])
    | of(['2026-03-05"01:30:00+08:00', "2015-01-01T00:00:00Z", "2026-04-02T11:00:00Z", "2026-04-02T13:00:00Z"])
    | of(["2027-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
    | of(["2026-03-05T01:30:00", "2026-03-05", "soon", None, 7])
)
KINDS = of([("SMS", "messages"), ("VOICE", "minutes"), ("DATA", "kilobytes"), ("ROAMING", "gigabytes")]) | of(
    [("SMS", "seconds"), ("sms", "messages"), ("FAX", "pages"), (None, "messages"), ("SMS", 1), ("SMS", ["messages"])]
)
QUANTITIES = of(["0", "1", "42", "007", "2.5", "0.3", "1.000000000", "9" * 15]) | of(
    ["9" * 16, "-1", "1e3", "٣", "", "1 ", None, 3]
)
REGIONS = of(["CN-GD", "CN-GD", "CN-BJ", "CN", "HK", "US", "CN-XX", "cn-gd", "", None, 4, ["HK"]])
SUBJECTS = st.one_of(
    st.fixed_dictionaries({"number": NUMBERS}),
    st.fixed_dictionaries(
        {"customerKey": of(["C-1", " C-2", "Ｃ-2", "C-3", "N-1", "N-2", "C-9", "unknown", "0"]) | TEXTS}
    ),
    of([ONE, {"number": MOVED, "customerKey": "C-1"}, {"number": MOVED, "x": 1}, {"x": 1}, {}, MOVED, None]),
    of(
        [
            {"accountNo": "A-1"},
            {"accountNo": "a 1"},
            {"accountNo": "A-2"},
            {"email": "x@example.cn"},
            {"customerId": "x"},
        ]
    ),
)
NAMED = of(
    [*({"number": number} for number in (MOVED, PAIRED, NEW)), ONE, {"customerKey": "N-1"}, {"accountNo": "A-1"}]
)
IDS = of([f"u-{n}" for n in range(7)]) | TEXTS
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "at": INSTANTS,
        "eventId": IDS,
        "region": REGIONS,
        "subject": SUBJECTS,
        "quantity": QUANTITIES,
        "counterparty": TEXTS,
        "type": of(["UsageRecorded", "usageRecorded", "", None, 5]),
        "more": st.just(1),
        "month": st.just("2026-03"),
    },
)
LEFT_OUT = of([None] * 8 + sorted(USUAL))


@st.composite
def used(draw: st.DrawFn) -> Body:
    """A record of usage: as usual, but for some of it."""
    body = USUAL | {"eventId": draw(IDS), "at": draw(INSTANTS), "subject": {"number": draw(NUMBERS)}}
    if draw(st.booleans()):
        body = USUAL | {
            "eventId": f"u-{draw(st.integers(0, 6))}",
            "at": draw(of([MARCH.format(n) for n in (5, 9, 11)])),
        }
        body["subject"] = draw(NAMED)
    if draw(st.booleans()):
        body["counterparty"] = draw(TEXTS)
    body |= dict(zip(("usageType", "units"), draw(KINDS), strict=True)) if draw(st.booleans()) else {}
    body |= draw(CHANGES) if draw(st.integers(0, 2)) == 0 else {}
    return {name: value for name, value in body.items() if name != draw(LEFT_OUT)}


def other(n: int, kind: int) -> Body:
    """An event of another kind that has to do with the same people, numbers and ids."""
    at, again = {"at": MARCH.format(3 + n)}, {"eventId": f"o-{n}"}
    return (
        event("NumberActivated", 2, TWO, number=NEW, **again),
        event("NumberReassigned", 6, TWO, number=PAIRED, eventId=f"u-{n}"),
        event("CustomerStatusChanged", 5, {"number": MOVED}, status="ACTIVE", eventId=f"u-{n}"),
        event("UsageSummarized", 5, {"number": MOVED}, month="2026-03", smsCount=n, **again) | at,
        event(
            "UsageRerated",
            31,
            {"number": MOVED},
            record=f"u-{n}",
            usageType="SMS",
            quantity="5",
            units="messages",
            **again,
        )
        | {"recordedAt": MARCH.format(5)},
        event("CustomerRegistered", 2, {"customerKey": f"N-{n % 3}"}, name="z", kind="INDIVIDUAL", eventId=f"u-{n}"),
        event("CustomersMerged", 4, ONE, other=TWO, **again),
        UNUSUAL | {"subject": {"customerKey": f"N-{n % 3}"}, "eventId": f"u-{n}"},
        {"type": "UsageRecorded"},
        None,
    )[kind]


OTHER = st.builds(other, st.integers(0, 8), st.integers(0, 9))
BATCHES = st.lists(st.lists(st.one_of(used(), used(), used(), OTHER), max_size=25), min_size=1, max_size=2)


async def left(writer: Writer) -> dict[str, Any]:
    """What is in the stores afterwards, but for what is random."""
    found: dict[str, Any] = {}
    for name, store in writer.stores.items():
        found |= {f"{name}.{table}": held for table, held in (await everything(store)).items()}
        found[f"{name}.seen"] = await rows(store, "event_seen")
        letters = await rows(store, "dead_letter")
        random = ("body", "dead_letter_id", "source")
        found[f"{name}.letters"] = [{k: v for k, v in row.items() if k not in random} for row in letters]
        passed_on = sorted(await rows(store, "outbox"), key=lambda row: (row["written"], row["outbox_id"]))
        found[f"{name}.passed on"] = [(row["bucket"], row["customer_id"], row["event_id"]) for row in passed_on]
        found[f"{name}.others"] = [
            row["counterparty"]
            and await opened(
                writer, name, usage_record.c.counterparty, (row["customer_id"], row["record_id"]), row["counterparty"]
            )
            for row in await rows(store, "usage_record")
        ]
    return found


async def taken_in(writer: Writer, batches: Sequence[Sequence[Body]]) -> tuple[list[Any], dict[str, Any]]:
    """What became of the events of batches, and what they left, in a world of its own."""
    for store in writer.stores.values():
        await empty(store)
    await accept(writer, *WORLD)
    outcomes = [await ingest(writer, batch, "test") for batch in batches]
    return outcomes, await left(writer)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(BATCHES)
async def test_the_lane_does_what_the_door_does(writer: Writer, batches: list[list[Body]]) -> None:
    by_lane = await taken_in(writer, batches)
    again = [await ingest(writer, batch, "test") for batch in batches]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "read", lambda *_: None)
        assert by_lane == await taken_in(writer, batches)
        assert again == [await ingest(writer, batch, "test") for batch in batches]
        # What the lane took in, this way and that.
        await taken_in(writer, [])
    await taken_in(writer, batches)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "read", lambda *_: None)
        assert again == [await ingest(writer, batch, "test") for batch in batches]


@settings(max_examples=500, deadline=None)
@given(used())
def test_what_is_read_is_what_the_event_says(body: Body) -> None:
    read = Reader({"CN-GD": "cn", "CN-BJ": "cn"}.get, lambda *_: b"tag", NOW + timedelta(days=1)).read(body)
    if read is not None:
        at, event_id, _, kind, count, counterparty, month, _, spelling = read
        said = parse_event(EVENTS, body)
        assert isinstance(said, UsageRecorded)
        assert spelling == spelled(body)
        assert (at, event_id, counterparty, kind.usage_type) == (
            said.at,
            said.event_id,
            said.counterparty,
            said.usage_type,
        )
        assert count == to_usage_count(said.usage_type, said.quantity, said.units)
        assert EARLIEST <= at <= NOW + timedelta(days=1)
        assert month_of(month) == at.date().replace(day=1)


def no_record(*_: object) -> None:
    raise AssertionError("a record as usual is not parsed for itself")


async def test_what_is_as_usual_takes_the_lane(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    await accept(writer, *WORLD)
    monkeypatch.setattr(cdp.incoming, "parse_event", no_record)
    named = (USUAL["subject"], ONE, {"customerKey": "C-1"}, USUAL["subject"])
    some = [USUAL | {"eventId": f"u-{n}", "counterparty": OTHERS, "subject": one} for n, one in enumerate(named)]
    assert {one.store for one in await accept(writer, *some, some[0] | {"eventId": "u-9", "quantity": "1.0"})} == {"cn"}
    outcomes = await ingest(writer, [some[0], some[1] | {"quantity": "2"}], "test")
    assert [(one.status, one.code) for one in outcomes] == [("DUPLICATE", None), ("REJECTED", "EVENT_CONFLICT")]
    months = await rows(writer.stores["cn"], "usage_month")
    assert [month["sms_count"] for month in months] == [5]


async def test_who_is_read_before_the_keys_are_others_is_found(settings: Settings, writer: Writer) -> None:
    await accept(writer, *WORLD)
    before = await read_all(writer, EVENTS, [USUAL, USUAL | {"eventId": "u-2", "subject": ONE}])
    await begin_index(settings.model_copy(update={"kms": "file:keys"}))
    await accept(writer, USUAL | {"eventId": "u-3"})
    batch = before.batches["cn"]
    late = USUAL | {"eventId": "u-4"}
    assert read(batch, parse_event(EVENTS, late), late).epochs[0] == 1, "its tag was made before"
    assert [one.status for one in await take_in(writer, before, "test")] == ["ACCEPTED"] * 2
    assert (await one(writer.stores["cn"], "usage_month"))["sms_count"] == 3


async def test_what_the_database_refuses_is_refused_alone(writer: Writer) -> None:
    await accept(writer, *WORLD, USUAL)
    async with writer.stores["cn"].transaction() as connection:
        await connection.execute("DELETE FROM event_seen")
    outcomes = await ingest(writer, [USUAL | {"eventId": "u-0"}, USUAL, USUAL | {"eventId": "u-2"}], "test")
    assert [(one.status, one.code) for one in outcomes] == [
        ("ACCEPTED", None),
        ("REJECTED", "EVENT_CONFLICT"),
        ("ACCEPTED", None),
    ]
    assert (await one(writer.stores["cn"], "usage_month"))["sms_count"] == 3
    assert len(await rows(writer.stores["cn"], "usage_record")) == 3


@pytest.mark.parametrize("beside", [UNUSUAL, USUAL], ids=["beside others", "alone"])
async def test_of_one_id_the_earlier_goes_in_and_all_are_passed_on_in_their_order(writer: Writer, beside: Body) -> None:
    await accept(writer, *WORLD)

    def at(day: int, name: str, like: Body = USUAL) -> Body:
        return like | {"at": MARCH.format(day), "eventId": name}

    batch = [
        at(9, "a"),
        at(5, "a"),
        at(9, "b", beside),
        at(6, "b"),
        at(7, "c"),
        at(8, "c", beside),
    ]
    outcomes = await ingest(writer, [*batch, at(4, "d", beside), at(3, "e")], "test")
    conflict = "EVENT_CONFLICT"
    assert codes(outcomes) == [conflict, None, conflict, None, None, conflict, None, None]
    passed_on = sorted(
        await rows(writer.stores["cn"], "outbox", "event_type = 'UsageRecorded'"), key=itemgetter("outbox_id")
    )
    assert [row["event_id"] for row in passed_on] == ["e", "d", "a", "b", "c"]


async def test_a_correction_that_was_first_counts(writer: Writer) -> None:
    said = {"usageType": "SMS", "quantity": "7", "units": "messages", "recordedAt": USUAL["at"]}
    await accept(writer, *WORLD, event("UsageRerated", 9, USUAL["subject"], record="u-1", **said))
    await accept(writer, USUAL, USUAL | {"eventId": "u-2"})
    assert (await one(writer.stores["cn"], "usage_month"))["sms_count"] == 8


async def test_a_number_that_is_blocked_is_refused(writer: Writer) -> None:
    await accept(writer, *WORLD)
    tag = writer.rings["cn"].tag(NUMBER_INDEX, MOVED)
    async with writer.stores["cn"].transaction() as connection:
        await connection.execute("INSERT INTO blocked_identifier VALUES ($1, 'number', now())", tag)
    (outcome,) = await ingest(writer, [USUAL], "test")
    assert (outcome.code, outcome.field) == ("IDENTIFIER_BLOCKED", "subject.number")
    assert await rows(writer.stores["cn"], "usage_record") == []


async def test_whoever_is_being_erased_is_waited_for_and_gets_nothing(writer: Writer) -> None:
    await accept(writer, *WORLD)
    cn, later = writer.stores["cn"], USUAL | {"eventId": "u-2", "at": MARCH.format(11)}
    async with cn.transaction() as connection:
        theirs = "WHERE customer_id IN (SELECT customer_id FROM number_index WHERE valid_to IS NOT NULL)"
        await connection.execute(f"SELECT FROM customer {theirs} FOR UPDATE")
        await connection.execute(f"UPDATE customer SET state = 'ERASING' {theirs}")
        waiting = asyncio.create_task(ingest(writer, [USUAL, later], "test"))
        await asyncio.sleep(0.3)
        assert not waiting.done()
    assert codes(await waiting) == ["UNKNOWN_CUSTOMER", None]
    assert [row["event_id"] for row in await rows(cn, "usage_record")] == ["u-2"]


async def test_nothing_is_built_for_a_transaction_that_failed(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    await accept(writer, *WORLD)
    building: list[asyncio.Task[Any] | None] = []

    async def build(*_: object) -> list[bytes]:
        building.append(asyncio.current_task())
        return await asyncio.Future()

    async def refuse(*_: object) -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    monkeypatch.setattr(cdp.lane, "_build", build)
    monkeypatch.setattr(cdp.ingest, "remember", refuse)
    with pytest.raises(ZeroDivisionError):
        await ingest(writer, [USUAL], "test")
    [task] = building
    assert task is not None
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
