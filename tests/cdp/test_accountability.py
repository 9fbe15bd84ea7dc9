"""Who answers: somebody does for every number that was ever held, at any instant, and the reason is said."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.accountability import (
    Accountability,
    Held,
    KnownNumber,
    Reason,
    accountability,
    decided,
    find_number,
)
from cdp.identity.tables import NUMBER_INDEX
from cdp.identity.timeline import Fact, FactKind, HoldingState, life_of
from cdp.ingest import Writer, ingest
from tests.cdp.doors import accept, rows
from tests.cdp.identity.test_timeline import day, facts
from tests.cdp.samples import event

NUMBER = "+8613800138000"
REGIONS = st.sampled_from(["CN-GD", "CN-BJ", "CN-SH"])


def known_from(some: list[Fact], at: datetime) -> KnownNumber:
    held = tuple(
        Held(*span, one.state is HoldingState.RELEASED)
        for one in life_of(some).spans
        for span in [(one.customer_id, one.holding_id, one.role, one.valid_from, one.valid_to)]
    )
    kept_back = [fact.at for fact in some if fact.kind is FactKind.QUARANTINED and fact.at <= at]
    return KnownNumber("CN", None, max(kept_back, default=None), held, timedelta(days=3))


@given(facts(), st.integers(-1, 13))
def test_a_holding_decides_wherever_there_was_one(some: list[Fact], number: int) -> None:
    at = day(number)
    known = known_from(some, at)
    held, reason = known.of(at)
    covering = {one for one in known.holdings if one.covers(at)}
    ended = {one for one in known.holdings if one.valid_to is not None and one.valid_to <= at}
    assert (held is None) == (not known.holdings)
    assert (reason is Reason.NUMBER) == (not covering and not ended)
    if covering:
        assert (held in covering, reason) == (True, Reason.HOLDING)
        assert held is not None
        assert held.role == "USER" or "USER" not in {one.role for one in covering}
    elif held is not None and not ended:
        assert held.valid_from == min(one.valid_from for one in known.holdings)
    elif held is not None:
        assert held in ended
        assert held.valid_to == max(one.valid_to for one in ended if one.valid_to)
        assert held.valid_to is not None
        begun = [one for one in (known.kept_back_at, held.valid_to if held.released else None) if one]
        kept_back = [one for one in begun if held.valid_to <= one <= at < one + known.keeping]
        assert reason is (Reason.QUARANTINE if kept_back else Reason.FORMER_HOLDING)
        assert known.free_at(at) == (max(kept_back) + known.keeping if kept_back else None)


@given(REGIONS, st.sampled_from(Reason), st.lists(REGIONS, max_size=3), st.lists(REGIONS, max_size=3))
def test_who_answers_is_where_the_money_is_then_the_line_then_the_number(
    region: str, reason: Reason, accounts: list[str], lines: list[str]
) -> None:
    found = decided(region, reason, accounts, lines)
    if reason is not Reason.HOLDING or region in accounts or (not accounts and region in lines):
        assert found == Accountability(region, reason)
    elif accounts:
        assert found == Accountability(accounts[0], Reason.LEDGER)
    elif lines:
        assert found == Accountability(lines[0], Reason.PRODUCT)
    else:
        assert found == Accountability(region, Reason.HOLDING)


def test_a_desk_is_that_of_the_region_and_of_what_is_elsewhere() -> None:
    desks = {reason: Accountability("CN-GD", reason).desk for reason in Reason}
    assert desks == dict.fromkeys(Reason, "desk-CN-GD") | {
        Reason.LEDGER: "desk-CN-GD-billing",
        Reason.PRODUCT: "desk-CN-GD-service",
    }


def of(name: str, number: int, key: str = "ann", /, **fields: Any) -> dict[str, Any]:
    told = event(name, number, {"customerKey": key}, eventId=f"{name}-{key}-{number}-{fields.get('role')}", **fields)
    return told | {"at": at(number).isoformat()}


def customer(key: str) -> dict[str, Any]:
    return of("CustomerRegistered", 1, key, name=key, kind="INDIVIDUAL") | {"subject": {"customerKey": key}}


def at(number: int) -> datetime:
    return datetime(2026, 3, 1, 1, 30, tzinfo=UTC) + timedelta(days=number - 1)


async def answers(writer: Writer, number: int, e164: str = NUMBER) -> tuple[str, str] | None:
    async with writer.stores["cn"].read() as connection:
        known = await find_number(connection, writer.rings["cn"], e164, at(number))
        if known is None:
            return None
        found = await accountability(connection, known, at(number))
    return found.desk, found.reason.value


async def test_a_number_through_its_life(writer: Writer) -> None:
    await accept(
        writer,
        customer("ann"),
        customer("ben"),
        of("NumberActivated", 3, number=NUMBER),
        of("NumberReleased", 9, number=NUMBER),
        of("NumberQuarantined", 10, number=NUMBER),
        of("NumberReassigned", 20, "ben", number=NUMBER, region="CN-BJ"),
        of("NumberPortedOut", 25, "ben", number=NUMBER, toOperator="China Telecom"),
    )
    assert [await answers(writer, day) for day in (2, 3, 8, 9, 10, 19, 20, 24, 25)] == [
        ("desk-CN-GD", "NUMBER"),
        *[("desk-CN-GD", "HOLDING")] * 2,
        *[("desk-CN-GD", "QUARANTINE")] * 3,
        *[("desk-CN-BJ", "HOLDING")] * 2,
        ("desk-CN-BJ", "FORMER_HOLDING"),
    ]
    assert await answers(writer, 20, "+8613900139000") is None


async def test_a_quarantine_ends_with_the_days_of_the_jurisdiction(writer: Writer) -> None:
    held = of("NumberActivated", 3, number=NUMBER), of("NumberReleased", 9, number=NUMBER)
    await accept(writer, customer("ann"), *held)
    assert [await answers(writer, day) for day in (98, 99)] == [
        ("desk-CN-GD", "QUARANTINE"),
        ("desk-CN-GD", "FORMER_HOLDING"),
    ]
    async with writer.stores["cn"].transaction() as connection:
        await connection.execute("UPDATE quarantine_term SET days = 5 WHERE jurisdiction = 'CN'")
    assert [await answers(writer, day) for day in (13, 14)] == [
        ("desk-CN-GD", "QUARANTINE"),
        ("desk-CN-GD", "FORMER_HOLDING"),
    ]


async def test_money_and_lines_elsewhere_are_answered_for_there(writer: Writer) -> None:
    line = {"name": "Line", "kind": "LINE"}
    opened = {"ratingType": "PREPAID", "currency": "CNY"}
    await accept(
        writer,
        customer("ann"),
        of("NumberActivated", 2, number=NUMBER),
        of(
            "ProductActivated",
            3,
            productRef="sms",
            region="CN-TJ",
            name="SMS",
            kind="MESSAGING",
            startDate="2026-03-03",
        ),
        of("ProductActivated", 4, productRef="line", region="CN-SH", startDate="2026-03-04", **line),
        of("ProductTerminated", 6, productRef="line", region="CN-SH"),
        of("ProductActivated", 7, productRef="line2", region="CN-ZJ", startDate="2026-03-07", **line),
        of("AccountOpened", 9, accountNo="A-1", region="CN-BJ", **opened),
        of("AccountOpened", 11, accountNo="A-2", region="CN-GD", **opened),
    )
    assert [await answers(writer, number) for number in (3, 5, 6, 8, 9, 10, 11)] == [
        ("desk-CN-GD", "HOLDING"),
        ("desk-CN-SH-service", "PRODUCT"),
        ("desk-CN-GD", "HOLDING"),
        ("desk-CN-ZJ-service", "PRODUCT"),
        *[("desk-CN-BJ-billing", "LEDGER")] * 2,
        ("desk-CN-GD", "HOLDING"),
    ]


def history(random: Random) -> list[dict[str, Any]]:
    """Some of all that can happen to two numbers of three customers, in an order in which some of it is refused."""
    made = [customer(key) for key in ("ann", "ben", "clo")]
    for n in range(30):
        name = random.choice(
            ["NumberActivated", "NumberReassigned", "NumberReleased", "NumberQuarantined", "NumberPortedOut"]
        )
        told = of(name, random.randint(2, 20), random.choice(["ann", "ben", "clo"]), number=f"+861380013800{n % 2}")
        told |= {"region": random.choice(["CN-GD", "CN-BJ", "CN"]), "eventId": f"h{n}"}
        if name in ("NumberActivated", "NumberReassigned"):
            told["role"] = random.choice(["USER", "PAYER", "REGISTERED_HOLDER"])
        made.append(told | ({"toOperator": "China Telecom"} if name == "NumberPortedOut" else {}))
    return made


@pytest.mark.parametrize("seed", range(8))
async def test_somebody_answers_for_every_number_at_any_time(writer: Writer, seed: int) -> None:
    await ingest(writer, history(Random(seed)), "test")  # noqa: S311 -- the same each time
    cn, ring = writer.stores["cn"], writer.rings["cn"]
    tags = [row["number_tag"] for row in await rows(cn, "known_number")]
    told = {ring.tag(NUMBER_INDEX, e164): e164 for e164 in ("+8613800138000", "+8613800138001")}
    assert tags
    for tag in tags:
        for number in range(22):
            async with cn.read() as connection:
                known = await find_number(connection, ring, told[tag], at(number))
                assert known is not None
                found = await accountability(connection, known, at(number))
            assert found.region in ("CN-GD", "CN-BJ", "CN")
            assert found.desk.startswith(f"desk-{found.region}")


async def test_a_holder_who_was_forgotten_leaves_the_number_its_region(writer: Writer) -> None:
    await accept(writer, customer("ann"), of("NumberActivated", 2, number=NUMBER))
    async with writer.stores["cn"].transaction() as connection:
        await connection.execute("DELETE FROM number_holding")
    assert await answers(writer, 3) == ("desk-CN-GD", "NUMBER")
