"""A bill that was corrected: it asks for what was stated last, and its lines are those, in whatever order that came."""

from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.ingest import Writer, ingest
from tests.cdp.doors import accept, codes, empty, everything, one, rows
from tests.cdp.samples import SAMPLES, event

S = SAMPLES
DAYS = {name: S["BillIssued"][name] for name in ("billDate", "periodStart", "periodEnd")}


def yuan(value: int) -> dict[str, str]:
    return {"value": f"{value}.00", "unit": "CNY"}


def stated(version: int, amounts: list[int]) -> dict[str, Any]:
    """The bill, or what was said of it so many days later."""
    lines = [{"kind": "FEE", "description": f"{version}.{n}", "amount": yuan(one)} for n, one in enumerate(amounts)]
    said = {"billNo": "B-1", "amountDue": yuan(sum(amounts)), "lines": lines, "eventId": f"b-{version}"}
    return event("BillCorrected", 5 + version, **said) if version else event("BillIssued", 5, **said, **DAYS)


PAID = event("PaymentReceived", 9, paymentRef="R-1", billNo="B-1", amount=yuan(3), method="CARD", eventId="paid")


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=3), min_size=1, max_size=4), st.data())
async def test_a_bill_is_what_was_stated_last(writer: Writer, versions: list[list[int]], data: st.DataObject) -> None:
    await empty(writer.stores["cn"])
    await accept(writer, S["CustomerRegistered"])
    events = [PAID, *(stated(version, amounts) for version, amounts in enumerate(versions))]
    order = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=4))))
    edges = [0, *sorted(data.draw(st.sets(st.integers(1, len(order)), max_size=3))), len(order)]
    for start, end in pairwise(edges):
        assert set(codes(await ingest(writer, order[start:end], "test"))) <= {None}
    bill = await one(writer.stores["cn"], "bill")
    assert (bill["amount_due_minor"], bill["paid_minor"]) == (sum(versions[-1]) * 100, 300)
    assert str(bill["bill_on"]) == DAYS["billDate"]
    lines = [row for row in await rows(writer.stores["cn"], "bill_line") if row["statement_id"] == bill["statement_id"]]
    assert [(row["line_no"], row["amount_minor"]) for row in lines] == [
        (n, amount * 100) for n, amount in enumerate(versions[-1], 1)
    ]


async def test_a_correction_that_does_not_add_up_changes_nothing(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], stated(0, [1, 2]))
    before = await everything(writer.stores["cn"])
    (outcome,) = await ingest(writer, [stated(1, [1, 2]) | {"amountDue": yuan(4)}], "test")
    assert (outcome.code, outcome.field) == ("EVENT_INVALID", "lines")
    assert await everything(writer.stores["cn"]) == before
