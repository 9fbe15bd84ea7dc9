"""What explains bills and prices tariffs, against sums done by hand: it adds up to the cent, whatever the bills."""

from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from math import ceil
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.ingest import Writer
from tests.cdp.doors import accept, empty, rows
from tests.cdp.samples import SAMPLES

S = SAMPLES
KINDS: Final = {"FEE": "TARIFF", "ROAMING": "USAGE", "USAGE": "USAGE", "DEVICE": "ONE_OFF", "DISCOUNT": "DISCOUNT"}
LINES: Final = st.lists(
    st.tuples(st.sampled_from((*KINDS, "SURPRISE")), st.integers(-9_999, 99_999)), min_size=0, max_size=4
)
TARIFF: Final = """
INSERT INTO tariff (tariff_id, name, region, rating_type, monthly_fee_minor, currency, voice_minutes, sms_count,
    data_megabytes, voice_price, sms_price, data_price, roaming_price, customer_kind, withdrawn_on)
VALUES ($1, 'x', $2, $3, $4, 'CNY', $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
PRICES: Final = st.one_of(st.none(), st.decimals(0, 99, places=3))
ALLOWED: Final = st.one_of(st.none(), st.integers(0, 300))
OFFER: Final = st.tuples(st.integers(0, 9_999), ALLOWED, ALLOWED, ALLOWED, PRICES, PRICES, PRICES, PRICES)
USED: Final = st.tuples(*[st.integers(0, 40_000), st.integers(0, 400), *[st.integers(0, 500 << 20)] * 2])


def yuan(minor: int) -> dict[str, str]:
    return {"value": f"{Decimal(minor) / 100:.2f}", "unit": "CNY"}


def bill(month: int, lines: list[tuple[str, int]], bare: int) -> dict[str, Any]:
    """The bill of a month of 2025; without lines it asks for `bare`."""
    due = sum(amount for _, amount in lines) if lines else bare
    return S["BillIssued"] | {
        "eventId": f"b-{month}",
        "billNo": f"B-{month}",
        "at": f"2025-{month:02}-05T00:00:00Z",
        "billDate": f"2025-{month:02}-03",
        "periodStart": f"2025-{month:02}-01",
        "periodEnd": f"2025-{month:02}-02",
        "amountDue": yuan(due),
        "lines": [{"kind": kind, "description": "x", "amount": yuan(amount)} for kind, amount in lines],
    }


def causes(body: Mapping[str, Any]) -> dict[str, int]:
    """What each cause adds to a bill."""
    found: dict[str, int] = {}
    for line in body["lines"]:
        amount = int(Decimal(line["amount"]["value"]) * 100)
        cause = KINDS.get(line["kind"], "DISCOUNT" if amount < 0 else "OTHER")
        found[cause] = found.get(cause, 0) + amount
    if not body["lines"]:
        found["OTHER"] = int(Decimal(body["amountDue"]["value"]) * 100)
    return found


def half_up(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(LINES, st.integers(0, 9_999)), min_size=1, max_size=6))
async def test_what_makes_a_bill_different_adds_up_to_the_cent(writer: Writer, made: list[Any]) -> None:
    await empty(writer.stores["cn"])
    bills = [bill(month, lines, bare) for month, (lines, bare) in enumerate(made, 1)]
    bills = [one for one in bills if not one["amountDue"]["value"].startswith("-")]
    await accept(writer, S["CustomerRegistered"], S["AccountOpened"], *bills)
    ids = {row["bill_no"]: row["bill_id"] for row in await rows(writer.stores["cn"], "bill")}
    changes = await rows(writer.stores["cn"], "bill_change")
    whole = {row["bill_id"]: row for row in await rows(writer.stores["cn"], "bill_difference")}

    for n, body in enumerate(bills):
        before = bills[max(0, n - 3) : n]
        mine = {row["cause"]: row for row in changes if row["bill_id"] == ids[body["billNo"]]}
        found = causes(body)
        for cause, row in mine.items():
            past = sum(causes(one).get(cause, 0) for one in before)
            assert row["amount_minor"] == found.get(cause, 0)
            assert row["usual_minor"] == half_up(Decimal(past) / len(before))
            assert row["difference_minor"] == row["amount_minor"] - row["usual_minor"]
        if not before or not mine:
            assert ids[body["billNo"]] not in whole
            continue
        summed = whole[ids[body["billNo"]]]
        due = int(Decimal(body["amountDue"]["value"]) * 100)
        assert summed["bills"] == len(before)
        assert summed["difference_minor"] == sum(row["difference_minor"] for row in mine.values())
        assert summed["usual_minor"] + summed["difference_minor"] == due


def priced(offer: tuple[Any, ...], used: tuple[int, int, int, int]) -> int | None:
    """What a month costs with an offer, None where it cannot be had."""
    fee, minutes, messages, megabytes, *prices = offer
    seconds, sms, data, roaming = used
    counts = (ceil(seconds / 60), sms, ceil(data / (1 << 20)), ceil(roaming / (1 << 20)))
    cost = fee
    for count, allowed, price in zip(counts, (minutes, messages, megabytes, None), prices, strict=True):
        beyond = max(count - (allowed or 0), 0)
        if beyond and price is None:
            return None
        cost += half_up(beyond * price) if beyond else 0
    return int(cost)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(OFFER, min_size=1, max_size=5), st.lists(USED, min_size=2, max_size=9))
async def test_every_tariff_is_priced_as_by_hand(writer: Writer, offers: list[Any], used: list[Any]) -> None:
    cn = writer.stores["cn"]
    await empty(cn)
    async with cn.transaction() as connection:
        await connection.execute("DELETE FROM tariff")
        for n, offer in enumerate(offers):
            await connection.execute(TARIFF, f"t-{n}", "CN", "POSTPAID", *offer, None, None)
    months = [
        S["UsageSummarized"]
        | {"eventId": f"u-{n}", "month": f"2025-{n:02}", "at": f"2025-{n:02}-28T00:00:00Z"}
        | dict(zip(("voiceSeconds", "smsCount", "dataBytes", "roamingBytes"), use, strict=True))
        for n, use in enumerate(used, 1)
    ]
    await accept(writer, S["CustomerRegistered"], S["ProductActivated"] | {"tariffId": "t-0", "reliesOn": []}, *months)

    looked_at = used[-7:-1]
    expected = {}
    for n, offer in enumerate(offers):
        costs = [priced(offer, use) for use in looked_at]
        if None not in costs:
            expected[f"t-{n}"] = sum(cost for cost in costs if cost is not None)
    assert {row["tariff_id"]: row["cost_minor"] for row in await rows(cn, "tariff_option")} == expected
    advice = await rows(cn, "tariff_advice")
    if "t-0" not in expected:
        assert advice == []
        return
    (found,) = advice
    assert (found["months"], found["present_minor"]) == (len(looked_at), expected["t-0"])
    assert found["cheapest_minor"] == min(expected.values())
    assert expected[found["cheapest_id"]] == found["cheapest_minor"]
    assert found["saving_minor"] == found["present_minor"] - found["cheapest_minor"]


NOT_OFFERED: Final = {
    "of another region": ("CN-BJ", "POSTPAID", None, None),
    "paid before": ("CN", "PREPAID", None, None),
    "for companies": ("CN", "POSTPAID", "ORGANIZATION", None),
    "not sold any more": ("CN", "POSTPAID", None, date(2025, 1, 1)),
}


@pytest.mark.parametrize("why", NOT_OFFERED)
async def test_what_is_not_for_this_customer_is_not_offered(writer: Writer, why: str) -> None:
    region, rating, kind, withdrawn = NOT_OFFERED[why]
    cheap, free = (1_000, 10, 10, 10, *[Decimal(1)] * 4), (0, 999, 999, 999, *[Decimal(0)] * 4)
    cn = writer.stores["cn"]
    async with cn.transaction() as connection:
        await connection.execute(TARIFF, "present", "CN", "POSTPAID", *cheap, None, date(2020, 1, 1))
        await connection.execute(TARIFF, "other", region, rating, *free, kind, withdrawn)
    months = [
        S["UsageSummarized"] | {"eventId": f"u-{n}", "month": f"2025-0{n}", "at": f"2025-0{n}-28T00:00:00Z"}
        for n in (1, 2)
    ]
    product = S["ProductActivated"] | {"tariffId": "present", "reliesOn": []}
    await accept(writer, S["CustomerRegistered"], product, *months)
    assert [row["tariff_id"] for row in await rows(cn, "tariff_option")] == ["present"]
    await accept(writer, product | {"eventId": "second", "productRef": "P-second"})
    assert await rows(cn, "tariff_advice") == []


async def test_arrears_say_what_is_open_and_what_follows(writer: Writer) -> None:
    bills = [bill(month, [("FEE", 5_000)], 0) | {"at": f"2025-0{month}-05T00:00:00Z"} for month in (1, 2)]
    paid = S["PaymentReceived"] | {"billNo": "B-1", "amount": yuan(2_000)}
    await accept(writer, S["CustomerRegistered"], S["AccountOpened"], *bills, paid)
    (found,) = await rows(writer.stores["cn"], "arrears")
    assert (found["owed_minor"], found["bills"]) == (8_000, 2)
    assert (found["due_on"], found["suspends_on"]) == (date(2025, 1, 23), date(2025, 2, 22))
    rest = [
        S["PaymentReceived"] | {"eventId": f"r-{n}", "paymentRef": f"r-{n}", "billNo": f"B-{n}", "amount": yuan(amount)}
        for n, amount in ((1, 3_000), (2, 5_000))
    ]
    await accept(writer, *rest)
    assert await rows(writer.stores["cn"], "arrears") == []


async def test_days_add_up_to_what_was_used(writer: Writer) -> None:
    uses = [
        S["UsageRecorded"] | {"eventId": f"d-{n}", "at": at, "usageType": "SMS", "units": "messages", "quantity": "2"}
        for n, at in enumerate(("2026-03-21T00:00:00Z", "2026-03-21T23:59:59Z", "2026-03-22T00:00:00Z"))
    ]
    await accept(writer, S["CustomerRegistered"], S["NumberActivated"], *uses)
    days = await rows(writer.stores["cn"], "usage_day")
    assert [(row["day_on"], row["quantity"], row["records"]) for row in days] == [
        (date(2026, 3, 21), 4, 2),
        (date(2026, 3, 22), 2, 1),
    ]
