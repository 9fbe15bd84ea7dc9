"""Products against what should be of them: found when due, one case for a cause, cleared by the state, no flapping."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as law
from hypothesis import strategies as st

from cdp.care.texts import spelled
from cdp.ingest import Writer, ingest
from cdp.reconcile.services import Reconciled, reconcile_services
from tests.cdp.doors import accept, codes, empty, everything, one, rows
from tests.cdp.samples import SAMPLES

S = SAMPLES
DAY = datetime(2026, 3, 20, tzinfo=UTC)
LINE, MESSAGING, RICH = "line", "messaging", "rich"
NOTHING = Reconciled(0, 0, 0, 0)


def at(hour: float) -> str:
    return (DAY + timedelta(hours=hour)).isoformat()


def told(name: str, hour: float, /, **fields: Any) -> dict[str, Any]:
    return S[name] | {"eventId": f"{name}-{hour}-{fields.get('productRef')}", "at": at(hour)} | fields


def has(ref: str, *relies_on: str, kind: str = "MESSAGING") -> dict[str, Any]:
    return told("ProductActivated", 0, productRef=ref, kind=kind, name=f"the {ref}", reliesOn=list(relies_on))


def off(ref: str, hour: float, reason: str = "ARREARS") -> dict[str, Any]:
    return told("ProductSuspended", hour, productRef=ref, reason=reason)


def on(ref: str, hour: float, **reason: str) -> dict[str, Any]:
    return told("ProductResumed", hour, productRef=ref, **reason)


CUSTOMER = (S["CustomerRegistered"], S["NumberActivated"])
CHAIN = (has(LINE, kind="LINE"), has(MESSAGING, LINE), has(RICH, MESSAGING))
MORNING = tuple(off(ref, 8) for ref in (LINE, MESSAGING, RICH))


async def run(writer: Writer, hour: float) -> Reconciled:
    return await reconcile_services(writer.stores["cn"], DAY + timedelta(hours=hour))


async def states(writer: Writer) -> dict[str, tuple[str, str]]:
    found = await rows(writer.stores["cn"], "product")
    return {row["product_ref"]: (row["status"], row["expected_status"]) for row in found}


async def readable(writer: Writer) -> str:
    """What a desk reads out about the one case."""
    case = await one(writer.stores["cn"], "case")
    return spelled(case["cause_kind"], json.loads(case["cause_text"]), "CN", case["opened_at"], case["gone_at"])["en"]


async def test_what_stays_off_is_found_when_it_is_due_and_is_one_case(writer: Writer) -> None:
    await accept(writer, *CUSTOMER, *CHAIN, *MORNING, on(LINE, 12))
    assert await states(writer) == {
        LINE: ("active", "active"),
        MESSAGING: ("suspended", "active"),
        RICH: ("suspended", "active"),
    }
    assert await run(writer, 12.2) == NOTHING
    assert await run(writer, 12.3) == Reconciled(2, 0, 1, 0)
    assert await run(writer, 12.3) == await run(writer, 20) == NOTHING

    case = await one(writer.stores["cn"], "case")
    assert (case["owner"], case["region"], case["severity"]) == ("desk-CN-GD", "CN-GD", "HIGH")
    products = {row["product_id"]: row["product_ref"] for row in await rows(writer.stores["cn"], "product")}
    assert products[case["product_id"]] == MESSAGING
    assert '"product": "the messaging"' in case["cause_text"]
    anomalies = {products[row["product_id"]]: row for row in await rows(writer.stores["cn"], "service_anomaly")}
    found = anomalies[MESSAGING]
    assert (found["reason"], found["status_at"].isoformat(), found["expected_at"].isoformat()) == (
        "ARREARS",
        at(8),
        at(12),
    )
    assert (products[found["relied_id"]], found["relied_at"].isoformat()) == (LINE, at(12))
    assert found["due_at"].isoformat() == at(12.25)
    assert {row["cause_key"] for row in anomalies.values()} == {case["cause_key"]}


async def test_it_clears_itself_and_the_case_when_all_behind_it_are_back(writer: Writer) -> None:
    await accept(writer, *CUSTOMER, *CHAIN, *MORNING, on(LINE, 12))
    await run(writer, 13)
    await accept(writer, on(MESSAGING, 14))
    assert await run(writer, 14) == Reconciled(0, 1, 0, 0)
    assert (await one(writer.stores["cn"], "case"))["gone_at"] is None
    await accept(writer, on(RICH, 15))
    assert await run(writer, 15.5) == Reconciled(0, 1, 0, 1)
    case = await one(writer.stores["cn"], "case")
    assert (case["status"], case["gone_at"].isoformat()) == ("RESOLVED", at(15))
    assert await run(writer, 16) == NOTHING


@pytest.mark.parametrize("reason", ["FRAUD", "REQUEST"])
@pytest.mark.parametrize("hour", [7, 9, 13])
async def test_a_second_suspension_for_another_reason_stays(writer: Writer, reason: str, hour: int) -> None:
    """Whether it came before the arrears, while they stood, or after the line was back and before it was due."""
    await accept(writer, *CUSTOMER, *CHAIN[:2], *MORNING[:2], on(LINE, 12), off(MESSAGING, hour, reason))
    assert await run(writer, 24) == NOTHING
    assert (await states(writer))[MESSAGING] == ("suspended", "suspended")
    # Its own reason goes, and now nothing keeps it off but what the line is back from.
    await accept(writer, on(MESSAGING, 20, reason=reason))
    assert await run(writer, 24) == Reconciled(1, 0, 1, 0)
    assert (await states(writer))[MESSAGING] == ("suspended", "active")


async def test_a_reason_of_its_own_that_is_heard_of_late_takes_the_anomaly_back(writer: Writer) -> None:
    await accept(writer, *CUSTOMER, *CHAIN[:2], *MORNING[:2], on(LINE, 12))
    assert await run(writer, 13) == Reconciled(1, 0, 1, 0)
    await accept(writer, off(MESSAGING, 9, "FRAUD"))
    assert await run(writer, 14) == Reconciled(0, 1, 0, 1)
    assert await run(writer, 15) == NOTHING


@pytest.mark.parametrize(
    ("instead", "because"),
    [
        (off(MESSAGING, 14, "FRAUD"), "of a measure against fraud"),
        (off(LINE, 14), "of arrears"),
        (told("ProductTerminated", 14, productRef=MESSAGING), "of its end"),
    ],
)
async def test_nobody_is_told_that_something_is_back_which_is_not(
    writer: Writer, instead: dict[str, Any], because: str
) -> None:
    await accept(writer, *CUSTOMER, *CHAIN, *MORNING, on(LINE, 12))
    await run(writer, 13)
    await accept(writer, instead)
    assert (await run(writer, 15)).settled == 1
    said = await readable(writer)
    assert said.startswith(
        f"Your the messaging has not come back: since 20 March 2026, 22:00 it is off because {because}"
    )
    if instead["productRef"] == LINE:
        await accept(writer, on(LINE, 16))
        await run(writer, 20)
        assert "The reason has been gone since 21 March 2026, 00:00" in await readable(writer)


async def test_a_case_tells_of_what_is_still_waited_for(writer: Writer) -> None:
    await accept(writer, *CUSTOMER, *CHAIN, *MORNING, on(LINE, 12))
    await run(writer, 13)
    assert (await readable(writer)).startswith("Your the messaging has been suspended since")
    await accept(writer, on(MESSAGING, 14))
    await run(writer, 14)
    assert (await readable(writer)).startswith("Your the rich has been suspended since")
    await accept(writer, on(RICH, 15))
    await run(writer, 16)
    assert (await readable(writer)).startswith("Your the rich has worked again since 20 March 2026, 23:00")


async def test_nothing_flaps_while_the_line_goes_off_and_on_again(writer: Writer) -> None:
    await accept(writer, *CUSTOMER, *CHAIN[:2], *MORNING[:2], on(LINE, 12))
    await run(writer, 13)
    await accept(writer, off(LINE, 14), on(LINE, 14.5))
    assert await run(writer, 14.6) == await run(writer, 20) == NOTHING
    assert len(await rows(writer.stores["cn"], "case")) == 1


async def test_what_stays_on_though_its_line_is_off_is_found_too(writer: Writer) -> None:
    await accept(writer, *CUSTOMER, *CHAIN[:2], off(LINE, 8, "LOST"))
    assert await run(writer, 9) == Reconciled(1, 0, 1, 0)
    case = await one(writer.stores["cn"], "case")
    assert (case["cause_kind"], case["severity"]) == ("SERVICE_STILL_ON", "MEDIUM")
    await accept(writer, off(MESSAGING, 10, "LOST"))
    assert await run(writer, 10) == Reconciled(0, 1, 0, 1)
    await accept(writer, on(LINE, 12))
    assert await run(writer, 12.5) == Reconciled(1, 0, 1, 0)


async def test_a_line_that_stays_off_after_the_payment_is_found_by_it(writer: Writer) -> None:
    paid = S["PaymentStatusReported"] | {"at": at(12), "paymentStatus": "IN_ORDER", "eventId": "paid"}
    owed = S["PaymentStatusReported"] | {"at": at(7), "eventId": "owed"}
    account = S["AccountOpened"] | {"at": at(1)}
    await accept(writer, *CUSTOMER, account, owed, *CHAIN[:2], *MORNING[:2])
    assert await run(writer, 24) == NOTHING
    await accept(writer, paid)
    assert await run(writer, 24) == Reconciled(2, 0, 1, 0)
    found = await rows(writer.stores["cn"], "service_anomaly")
    assert {row["arrears_cleared_at"].isoformat() for row in found} == {at(12)}
    assert len({row["cause_key"] for row in found}) == 1


async def test_an_ended_product_is_expected_to_be_nothing(writer: Writer) -> None:
    ended = told("ProductTerminated", 13, productRef=MESSAGING)
    await accept(writer, *CUSTOMER, *CHAIN[:2], *MORNING[:2], on(LINE, 12), ended)
    assert await run(writer, 24) == NOTHING


async def test_a_circle_of_products_is_refused_whichever_closes_it(writer: Writer) -> None:
    circle = [has("a", "b"), has("b", "c"), has("c", "a")]
    outcomes = await ingest(writer, [*CUSTOMER, *circle], "test")
    assert sorted(code or "" for code in codes(outcomes[2:])) == ["", "", "EVENT_INVALID"]
    assert {outcome.field for outcome in outcomes} == {None, "reliesOn"}
    assert len(await rows(writer.stores["cn"], "product_reliance")) == 2


async def test_writers_at_the_products_of_one_customer_do_not_miss_each_other(writer: Writer) -> None:
    """Each describes and turns another product of the chain at the same time; what is expected follows from all."""
    await accept(writer, *CUSTOMER, *CHAIN)
    again = [has(ref) | {"eventId": f"again-{ref}", "at": at(1), "name": "new"} for ref in (LINE, MESSAGING, RICH)]
    pairs = zip(again, (off(ref, 8) for ref in (LINE, MESSAGING, RICH)), strict=True)
    outcomes = await asyncio.gather(*(ingest(writer, pair, "test") for pair in pairs))
    assert [one.code for pair in outcomes for one in pair] == [None] * 6
    assert set((await states(writer)).values()) == {("suspended", "suspended")}
    await accept(writer, on(LINE, 12))
    assert await run(writer, 13) == Reconciled(2, 0, 1, 0)


STORY = [
    *CHAIN,
    *MORNING,
    on(LINE, 12),
    off(MESSAGING, 9, "FRAUD"),
    on(MESSAGING, 13, reason="FRAUD"),
    off(RICH, 14, "REQUEST"),
]


@law(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(len(STORY))), st.integers(0, 4), st.randoms())
async def test_neither_the_order_of_arrival_nor_repetition_changes_what_is_found(
    writer: Writer, order: Sequence[int], batches: int, chance: Random
) -> None:
    """Run at the end, once or again: the same products, expectations, anomalies and cases."""
    store = writer.stores["cn"]
    await empty(store)
    await accept(writer, *CUSTOMER, *STORY)
    assert await run(writer, 24) == Reconciled(1, 0, 1, 0)
    wanted = without_bookkeeping(await everything(store))

    await empty(store)
    await accept(writer, *CUSTOMER)
    cuts = sorted(chance.sample(range(len(STORY)), batches))
    for start, end in zip([0, *cuts], [*cuts, len(STORY)], strict=True):
        some = [STORY[n] for n in order[start:end]]
        await ingest(writer, [*some, *some[:2]], "test")
    await run(writer, 24)
    assert await run(writer, 24) == NOTHING
    assert without_bookkeeping(await everything(store)) == wanted


@law(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(len(STORY))), st.sets(st.integers(1, len(STORY) - 1), max_size=4))
@example([0, 1, 6, 3, 4, 5, 2, 7, 8, 9], {1, 2, 5})
async def test_whoever_looks_in_between_finds_the_same_in_the_end_and_nothing_twice(
    writer: Writer, order: Sequence[int], cuts: set[int]
) -> None:
    """What half the events let one believe is taken back; of what is left, each product and each cause is open once."""
    store = writer.stores["cn"]
    await empty(store)
    await accept(writer, *CUSTOMER)
    for start, end in pairwise([0, *sorted(cuts), len(STORY)]):
        await accept(writer, *(STORY[n] for n in order[start:end]))
        await run(writer, 24)
        assert await run(writer, 24) == NOTHING
    [anomaly] = await rows(store, "service_anomaly", "cleared_at IS NULL")
    [case] = await rows(store, "case", "gone_at IS NULL")
    products = {row["product_id"]: row["product_ref"] for row in await rows(store, "product")}
    assert (products[anomaly["product_id"]], anomaly["expected_at"].isoformat()) == (MESSAGING, at(13))
    assert (products[case["product_id"]], case["cause_key"], case["status"]) == (
        MESSAGING,
        anomaly["cause_key"],
        "OPEN",
    )


def without_bookkeeping(kept: dict[str, Any]) -> dict[str, Any]:
    return {name: found for name, found in kept.items() if name not in ("outbox", "event_seen")}
