"""What customers hear of before they ask: found from what happened, told as far as they agreed, and never twice."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
import pytest
import pytest_asyncio

from cdp import telling
from cdp.app import front_door
from cdp.care.opening import Cause, Gone, open_cases, settle
from cdp.caring import find_daily, find_news
from cdp.errors import GatewayUnavailable
from cdp.identity.honey import mark_honey
from cdp.telling import Teller, quiet
from tests.cdp.doors import rows, settled
from tests.databases import Server
from tests.journeys.world import APP, MAINLAND_NUMBER, World, event, open_world

SUBJECT: Final = {"number": MAINLAND_NUMBER}
NOW: Final = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
"""Noon on the mainland."""
NOTICES: Final = """
query($number: String!) @purpose(id: "service.care") {
  customer(number: $number) { notices { kind state reason textZh textEn } }
}"""


class Hearing:
    """A gateway that keeps what it is given; it fails as often as `down` says."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.down = 0

    async def send(self, number: str, text: str, message_id: str) -> None:
        if self.down:
            self.down -= 1
            raise GatewayUnavailable("the message was not taken (test)")
        self.heard.append((number, text))
        self.ids.append(message_id)


def told(name: str, at: str, /, **fields: Any) -> dict[str, Any]:
    return event(name, "CN-GD", SUBJECT, at, **fields)


def bills(*amounts: int, last: int = 11) -> list[dict[str, Any]]:
    return [
        told(
            "BillIssued",
            f"2026-{month:02}-05T00:00:00Z",
            billNo=f"N-{month}",
            billDate=f"2026-{month:02}-04",
            periodStart=f"2026-{month:02}-01",
            periodEnd=f"2026-{month:02}-02",
            amountDue={"value": f"{amount}.00", "unit": "CNY"},
        )
        for month, amount in enumerate(amounts, last + 1 - len(amounts))
    ]


def line(ref: str = "N-line", **fields: Any) -> dict[str, Any]:
    known = {"name": "移动电话", "kind": "LINE", "startDate": "2025-12-01"}
    return told("ProductActivated", "2025-12-01T00:00:00Z", productRef=ref, eventId=ref, **known, **fields)


@pytest_asyncio.fixture
async def world(database_server: Server, tmp_path: Any) -> AsyncIterator[World]:
    async with open_world(database_server, tmp_path) as world:
        await news(world)
        async with world.house.stores["cn"].transaction() as connection:
            await connection.execute("DELETE FROM care_notice")
            await connection.execute("UPDATE \"case\" SET status = 'CLOSED'")
        yield world


@pytest.fixture
def gateway() -> Hearing:
    return Hearing()


def teller(world: World, gateway: Hearing) -> Teller:
    return Teller(front_door(world.house).answer, world.house.tokens, gateway)


async def test_a_bill_out_of_the_ordinary_is_told_once_by_whatever_it_is_found(world: World, gateway: Hearing) -> None:
    cn = world.house.stores["cn"]
    await world.tell(*bills(50, 50, 50, 90, last=10))
    assert [await news(world, NOW - timedelta(days=20)) for _ in range(2)] == [1, 0]
    await world.tell(*bills(120))
    assert await news(world) == 1
    async with cn.transaction() as connection:
        await connection.execute("DELETE FROM care_position")
    await news(world)
    mine = "told LIKE '%N-1%'"
    assert len(await rows(cn, "care_notice", mine)) == 2
    async with cn.transaction() as connection:
        await connection.execute(f"DELETE FROM care_notice WHERE NOT {mine}")

    assert [await teller(world, gateway).tell(cn, NOW) for _ in range(2)] == [2, 0]
    assert {number for number, _ in gateway.heard} == {MAINLAND_NUMBER}
    assert any("90.00 CNY, 40.00 CNY more than usual" in text and "比平常多 40.00" in text for _, text in gateway.heard)
    found = (await world.ask(NOTICES, number=MAINLAND_NUMBER))["data"]["customer"]["notices"]
    assert [(one["kind"], one["state"], one["reason"]) for one in found] == [("BILL_SHOCK", "SENT", None)] * 2


async def test_an_ordinary_bill_an_old_one_and_a_small_difference_are_nobody_s_shock(world: World) -> None:
    await world.tell(*bills(50, 50, 50, 74))
    assert await news(world) == 0
    await world.tell(told("BillIssued", "2026-09-06T00:00:00Z") | bills(50, 500)[1] | {"eventId": "x", "billNo": "N-x"})
    assert await news(world, NOW + timedelta(days=60)) == 0


async def test_a_contract_that_ends_and_a_line_that_is_back_are_told(world: World, gateway: Hearing) -> None:
    cn = world.house.stores["cn"]
    await world.tell(
        line(termEnd="2026-12-20"), line("N-later", termEnd="2026-12-21"), line("N-over", termEnd="2026-11-19")
    )
    assert [await find_daily(cn, NOW) for _ in range(2)] == [1, 0]
    stopped = told("ProductSuspended", "2026-11-19T09:00:00Z", productRef="N-line", reason="ARREARS")
    await world.tell(stopped, told("ProductResumed", "2026-11-20T03:00:00Z", productRef="N-line"))
    assert await news(world) == 1
    assert await teller(world, gateway).tell(cn, NOW) == 2
    assert sorted(text.splitlines()[1] for _, text in gateway.heard) == [
        "The contract of your 移动电话 ends on 2026-12-20.",
        "Your 移动电话 works again.",
    ]


async def test_an_allowance_that_will_be_used_up_is_told(world: World) -> None:
    cn = world.house.stores["cn"]
    used = [
        told("UsageRecorded", f"2026-11-{day:02}T08:00:00Z", usageType="SMS", quantity="10", units="messages")
        for day in range(7, 20)
    ]
    left = told(
        "BucketReported",
        "2026-11-20T00:00:00Z",
        bucketRef="b",
        usageType="SMS",
        remaining="20",
        units="messages",
        validFrom="2026-11-01T00:00:00Z",
        validTo="2026-12-01T00:00:00Z",
    )
    await world.tell(*used, left)
    assert await news(world) == 1
    (row,) = await rows(cn, "care_notice")
    assert (row["kind"], row["told"]) == ("ALLOWANCE_RUNS_OUT", '{"day": "2026-11-22", "what": "SMS"}')
    # What is used up is, whoever used it and without records of it.
    await world.tell(
        left | {"eventId": "empty", "bucketRef": "c", "remaining": "0", "usageType": "SMS", "isShared": True}
    )
    assert await news(world) == 1
    assert [row["told"] for row in await rows(cn, "care_notice")].count('{"day": "2026-11-20", "what": "SMS"}') == 1


async def test_what_the_platform_found_wrong_is_told_and_that_it_is_right_again(world: World, gateway: Hearing) -> None:
    cn = world.house.stores["cn"]
    await world.tell(line())
    await news(world)
    (product,) = await rows(cn, "product", "product_ref = 'N-line'")
    said = {"product": "飞信", "reason": "ARREARS"} | dict.fromkeys(("suspended_at", "cleared_at"), NOW.isoformat())
    cause = Cause(
        product["customer_id"], "SERVICE_STILL_OFF", "k", "HIGH", "CN-GD", "desk", said, product["product_id"]
    )
    async with cn.transaction() as connection:
        await open_cases(connection, [cause], NOW)
    assert await news(world) == 1
    async with cn.transaction() as connection:
        await settle(connection, [Gone(*cause[:3], NOW)], NOW)
    assert await news(world) == 1
    await teller(world, gateway).tell(cn, NOW)
    assert len(gateway.heard) == 2
    assert any("the service has not come back" in text for _, text in gateway.heard)
    assert any("has worked again since" in text for _, text in gateway.heard)


async def news(world: World, now: datetime = NOW) -> int:
    """What is found in the mainland's outbox once all that was written is settled."""
    cn = world.house.stores["cn"]
    await settled(cn)
    return await find_news(cn, now)


async def offer(world: World, ref: str, minor: int = 9_000) -> None:
    cn = world.house.stores["cn"]
    await world.tell(line(ref))
    async with cn.transaction() as connection:
        await connection.execute(
            "INSERT INTO tariff_proposal SELECT customer_id, product_id, region, (SELECT min(tariff_id) FROM tariff),"
            " 6, $2, 'CNY', $3 FROM product WHERE product_ref = $1",
            ref,
            minor,
            NOW,
        )
    await find_daily(cn, NOW)


TARIFF: Final = (
    "INSERT INTO tariff (tariff_id, name, region, rating_type, monthly_fee_minor, currency)"
    " VALUES ('t', '轻享', 'CN', 'POSTPAID', 100, 'CNY')"
)
CONSENT: Final = {"purpose": "marketing.sms", "channel": "sms", "kind": "SEPARATE", "collectionPoint": "app"}


async def test_an_offer_is_made_to_those_who_agreed_and_three_times_a_year(world: World, gateway: Hearing) -> None:
    cn = world.house.stores["cn"]
    async with cn.transaction() as connection:
        await connection.execute(TARIFF)
    await offer(world, "too-small", 100)
    assert await rows(cn, "care_notice") == []
    await offer(world, "N-0")
    assert await teller(world, gateway).tell(cn, NOW) == 0
    (held,) = await rows(cn, "care_notice")
    assert (held["state"], held["reason"], gateway.heard) == ("WITHHELD", "CONSENT_REQUIRED", [])

    await world.tell(told("ConsentGiven", "2026-11-01T00:00:00Z", **CONSENT))
    for n in range(1, 5):
        await offer(world, f"N-{n}")
        await teller(world, gateway).tell(cn, NOW)
    assert len(gateway.heard) == 3
    assert "少付 90.00 CNY" in gateway.heard[0][1]
    never = await rows(cn, "care_notice", "state = 'WITHHELD'")
    assert sorted(row["reason"] for row in never) == ["CONSENT_REQUIRED", "CONTACTS_A_YEAR"]


async def test_a_withdrawal_or_a_complaint_between_the_finding_and_the_telling_counts(
    world: World, gateway: Hearing
) -> None:
    cn = world.house.stores["cn"]
    async with cn.transaction() as connection:
        await connection.execute(TARIFF)
    await world.tell(told("ConsentGiven", "2026-11-01T00:00:00Z", **CONSENT))
    await offer(world, "N-1")
    await world.tell(told("ConsentWithdrawn", "2026-11-02T00:00:00Z", **CONSENT))
    await teller(world, gateway).tell(cn, NOW)
    await world.tell(told("ConsentGiven", "2026-11-03T00:00:00Z", **CONSENT))
    opened = {"caseRef": "N-c", "ticketType": "complaint", "severity": "LOW", "channel": "APP"}
    await world.tell(told("CaseOpened", "2026-11-19T00:00:00Z", **opened))
    await offer(world, "N-2")
    await teller(world, gateway).tell(cn, NOW)
    assert gateway.heard == []
    assert {row["reason"] for row in await rows(cn, "care_notice")} == {"CONSENT_WITHDRAWN", "OPEN_COMPLAINT"}


async def test_nobody_is_disturbed_at_night_and_a_gateway_that_is_down_is_tried_again(
    world: World, gateway: Hearing
) -> None:
    cn, night = world.house.stores["cn"], NOW.replace(hour=14)
    await world.tell(*bills(50, 50, 90))
    await news(world, night)
    assert await teller(world, gateway).tell(cn, night) == 0
    morning = NOW.replace(day=21, hour=0)
    gateway.down = 1
    assert await teller(world, gateway).tell(cn, morning) == 0
    assert await teller(world, gateway).tell(cn, morning) == 0
    assert await teller(world, gateway).tell(cn, morning + timedelta(minutes=5)) == 1
    gateway.down = 99
    await world.tell(bills(200)[0] | {"eventId": "x", "billNo": "N-x", "billDate": "2026-11-06"})
    await news(world)
    assert await teller(world, gateway).tell(cn, NOW + timedelta(days=4)) == 0
    assert [row["state"] for row in await rows(cn, "care_notice", "state <> 'SENT'")] == ["FAILED"]


async def test_each_message_is_an_entry_of_the_trail_and_no_entry_holds_it(world: World, gateway: Hearing) -> None:
    cn, before = world.house.stores["cn"], len(await world.entries())
    await world.tell(*bills(50, 50, 90))
    await news(world)
    await teller(world, gateway).tell(cn, NOW)
    made = (await world.entries())[before:]
    assert [(entry["client"], entry["purpose"], entry["channel"]) for entry in made] == [
        ("cdp-care", "service.care", "sms")
    ]
    assert MAINLAND_NUMBER[3:] not in str(made)
    assert APP.client != "cdp-care"


async def test_one_that_was_sent_before_a_crash_is_sent_again_with_the_id_it_had(
    world: World, gateway: Hearing, monkeypatch: pytest.MonkeyPatch
) -> None:
    cn = world.house.stores["cn"]
    await world.tell(*bills(50, 50, 90))
    await news(world)
    with monkeypatch.context() as crashing:
        crashing.setattr(telling, "MARK", "UPDATE nowhere SET state = $1")
        with pytest.raises(asyncpg.PostgresError):
            await teller(world, gateway).tell(cn, NOW)
    assert await teller(world, gateway).tell(cn, NOW + telling.LEASE) == 1
    await world.tell(bills(200)[0] | {"eventId": "x", "billNo": "N-x", "billDate": "2026-11-06"})
    await news(world)
    assert await teller(world, gateway).tell(cn, NOW + telling.LEASE) == 1
    first, second, other = gateway.ids
    assert first == second != other


async def test_nobody_tells_a_honey_customer_anything(world: World, gateway: Hearing) -> None:
    cn, sought = world.house.stores["cn"], ("number", MAINLAND_NUMBER, "CN-GD")
    await world.tell(*bills(50, 50, 90))
    assert await news(world) == 1
    await mark_honey(world.house, sought, NOW, honey=True)
    before = len(await world.entries())
    assert (await teller(world, gateway).tell(cn, NOW), gateway.heard) == (0, [])
    assert len(await world.entries()) == before
    await world.tell(bills(200)[0] | {"eventId": "x", "billNo": "N-x", "billDate": "2026-11-06"})
    assert await news(world) == 0
    await mark_honey(world.house, sought, NOW, honey=False)
    assert await teller(world, gateway).tell(cn, NOW) == 1


@pytest.mark.parametrize(("begin", "end", "hours"), [(21, 8, {21, 23, 0, 7}), (1, 5, {1, 4})])
def test_quiet_hours_are_those_of_the_place(begin: int, end: int, hours: set[int]) -> None:
    policy = {"time_zone": "Asia/Shanghai", "quiet_from_hour": begin, "quiet_to_hour": end}
    midnight = datetime(2026, 11, 19, 16, 30, tzinfo=UTC)
    still = {hour for hour in (0, 1, 4, 5, 7, 8, 20, 21, 23) if quiet(policy, midnight + timedelta(hours=hour))}
    assert {hour for hour in still if hour in hours} == hours
    assert still.isdisjoint({8, 20} if begin == 21 else {0, 5, 7, 8, 20, 21, 23})
