"""Lives of numbers in the store: whatever the order of arrival, the same graph, and never two holders."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from random import Random
from typing import Any

import asyncpg
import pytest

from cdp.identity.tables import NUMBER_INDEX
from cdp.ingest import Status, Writer, ingest
from cdp.stores import Store
from tests.cdp.doors import NOW, accept, codes, empty, one, rows
from tests.cdp.samples import SAMPLES, event

NUMBER = "+8613800138000"
RECORDED = {"recorded_from", "recorded_to"}
GRAPH = ("number_index", "number_fact", "known_number", "number_holding", "sim", "customer_region", "identifier_index")


def customer(key: str) -> dict[str, Any]:
    return event("CustomerRegistered", 1, {"customerKey": key}, name=key, kind="INDIVIDUAL", eventId=f"r-{key}")


def of(key: str, name: str, day: int, /, number: str = NUMBER, **fields: Any) -> dict[str, Any]:
    return event(name, day, {"customerKey": key}, number=number, eventId=f"{name}-{key}-{day}-{number}", **fields)


LOG = [
    customer("ann"),
    customer("ben"),
    customer("clo"),
    of("ann", "NumberActivated", 2, simRef="S-1"),
    of("clo", "NumberActivated", 2, role="REGISTERED_HOLDER"),
    of("ann", "NumberSuspended", 4),
    of("ann", "NumberResumed", 5),
    of("ann", "SimSwapped", 6, simRef="S-2"),
    of("ann", "NumberReleased", 9),
    of("ben", "NumberReassigned", 12, simRef="S-9"),
    of("ben", "NumberActivated", 13, number="+8613900139000", simRef="S-9"),
    of("ben", "NumberPaired", 14, number="+8613900139000", simRef="S-9"),
    of("ben", "NumberPortedOut", 20, toOperator="China Telecom"),
    of("clo", "NumberPortedIn", 25, fromOperator="China Telecom", servingOperator="China Mobile"),
]


async def graph(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """All rows that say who has what, but for the instants at which we came to know and the cells, which are random."""
    found = {}
    for table in GRAPH:
        kept = [
            {k: v for k, v in row.items() if k not in RECORDED | {"number", "iccid"}}
            for row in await rows(store, table)
        ]
        found[table] = sorted((tuple(map(str, row.values())) for row in kept), key=str)
    return found


async def in_any_order(writer: Writer, log: list[dict[str, Any]], random: Random) -> None:
    """Sends the log in pieces of a random order, some of it twice, and what was refused again, until all is in."""
    waiting = [*log, *random.sample(log, 4)]
    random.shuffle(waiting)
    for _ in range(len(log)):
        refused = []
        while waiting:
            size = random.randint(1, 5)
            piece, waiting = waiting[:size], waiting[size:]
            outcomes = await ingest(writer, piece, "test")
            refused += [one for one, outcome in zip(piece, outcomes, strict=True) if outcome.status is Status.REJECTED]
        if not refused:
            return
        waiting = refused
    raise AssertionError("some events are never accepted")


@pytest.mark.parametrize("seed", range(12))
async def test_the_whole_log_in_any_order_gives_the_same_graph(writer: Writer, seed: int) -> None:
    cn = writer.stores["cn"]
    await accept(writer, *LOG)
    expected = await graph(cn)
    await empty(cn)
    await in_any_order(writer, LOG, Random(seed))  # noqa: S311 -- the same each time
    assert await graph(cn) == expected


async def test_late_facts_move_the_end_of_a_holding_and_the_past_is_kept(writer: Writer) -> None:
    cn, ticks = writer.stores["cn"], count()
    writer = replace(writer, clock=lambda: NOW + timedelta(minutes=next(ticks)))
    ann, ben, *_ = await accept(writer, customer("ann"), customer("ben"), of("ann", "NumberActivated", 2))
    await accept(writer, of("ben", "NumberReassigned", 12))
    assert (await held(cn, ann.customer_id))["valid_to"] == at(12)
    await accept(writer, of("ann", "NumberReleased", 9))
    mine = await held(cn, ann.customer_id)
    assert (mine["valid_to"], mine["state"]) == (at(9), "RELEASED")
    assert (await held(cn, ben.customer_id))["valid_to"] is None
    past = await rows(cn, "number_holding_past")
    assert [(row["valid_to"], row["state"]) for row in sorted(past, key=lambda row: row["recorded_from"])] == [
        (None, "ACTIVE"),
        (at(12), "RELEASED"),
    ]
    spans = sorted((row["recorded_from"], row["recorded_to"]) for row in past)
    assert spans[0][1] == spans[1][0]
    assert spans[1][1] == mine["recorded_from"]


async def test_what_a_previous_holder_did_lands_on_them_though_it_comes_late(writer: Writer) -> None:
    ann, ben, *_ = await accept(
        writer, customer("ann"), customer("ben"), of("ann", "NumberActivated", 2), of("ben", "NumberReassigned", 12)
    )
    by_number = {"number": NUMBER}
    late = [
        SAMPLES["UsageRecorded"] | {"subject": by_number, "at": at(5).isoformat(), "eventId": "u"},
        SAMPLES["TopUpRequested"] | {"subject": by_number, "at": at(5).isoformat(), "eventId": "t"},
        SAMPLES["InteractionLogged"] | {"subject": by_number, "at": at(5).isoformat(), "eventId": "i"},
        SAMPLES["UsageRecorded"] | {"subject": by_number, "at": at(13).isoformat(), "eventId": "u2"},
    ]
    outcomes = await accept(writer, *late)
    assert [outcome.customer_id for outcome in outcomes] == [ann.customer_id] * 3 + [ben.customer_id]


async def test_fifty_writers_at_once_leave_one_holder_at_any_instant(writer: Writer) -> None:
    keys = [f"K-{n}" for n in range(50)]
    await accept(writer, *(customer(key) for key in keys))
    claims = [
        of(key, "NumberActivated", 2 + n % 3) | {"at": (at(2) + timedelta(minutes=n % 7)).isoformat()}
        for n, key in enumerate(keys)
    ]
    outcomes = await asyncio.gather(*(ingest(writer, [claim], "test") for claim in claims))
    assert codes([outcome for [outcome] in outcomes]) == [None] * 50
    spans = sorted(
        (row["valid_from"], row["valid_to"] or datetime.max.replace(tzinfo=UTC))
        for row in await rows(writer.stores["cn"], "number_index")
        if row["valid_to"] != row["valid_from"]
    )
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert [row["valid_to"] for row in await rows(writer.stores["cn"], "number_index")].count(None) == 1


async def test_the_database_itself_forbids_two_holders(writer: Writer) -> None:
    ann, ben, *_ = await accept(writer, customer("ann"), customer("ben"), of("ann", "NumberActivated", 2))
    tag = writer.rings["cn"].tag(NUMBER_INDEX, NUMBER)
    insert = "INSERT INTO number_index VALUES ($1, 'USER', $2, gen_random_uuid(), $3, NULL)"

    async def plant() -> None:
        async with writer.stores["cn"].transaction() as connection:
            await connection.execute(insert, tag, at(9), ben.customer_id)

    with pytest.raises(asyncpg.ExclusionViolationError):
        await plant()
    assert (await one(writer.stores["cn"], "number_index"))["customer_id"] == ann.customer_id


async def test_a_number_nobody_was_accepted_with_is_not_known(writer: Writer) -> None:
    await accept(writer, customer("ann"))
    assert codes(await ingest(writer, [of("ann", "NumberReleased", 5), of("xan", "NumberActivated", 5)], "test")) == [
        "UNKNOWN_REFERENCE",
        "UNKNOWN_CUSTOMER",
    ]
    assert await rows(writer.stores["cn"], "known_number") == []
    assert await rows(writer.stores["cn"], "number_fact") == []


async def test_a_holding_tells_who_serves_its_number_now(writer: Writer) -> None:
    await accept(writer, *LOG)
    (clo,) = (row["customer_id"] for row in await rows(writer.stores["cn"], "number_index", "role <> 'USER'"))
    served = await rows(writer.stores["cn"], "number_holding", f"customer_id = '{clo}'")
    assert {row["serving_operator"] for row in served} == {"China Mobile"}


async def test_one_card_may_have_several_numbers(writer: Writer) -> None:
    await accept(
        writer,
        customer("ann"),
        of("ann", "NumberActivated", 2, simRef="S-1"),
        of("ann", "NumberActivated", 3, number="+8613900139000"),
        of("ann", "NumberPaired", 4, number="+8613900139000", simRef="S-1"),
    )
    cards = {row["sim_id"] for row in await rows(writer.stores["cn"], "number_holding")}
    assert cards == {(await one(writer.stores["cn"], "sim"))["sim_id"]}


def at(day: int) -> datetime:
    return datetime(2026, 3, day, 1, 30, tzinfo=UTC)


async def held(store: Store, customer_id: object) -> Any:
    return await one(store, "number_holding", f"customer_id = '{customer_id}'")
