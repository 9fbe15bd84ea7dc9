"""Billing: money is exact, bills add up, accounts belong to somebody, and a top-up's steps come in any order."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from cdp.billing.tables import account, top_up
from cdp.ingest import Writer, ingest
from cdp.values import row_id
from tests.cdp.doors import accept, codes, everything, one, opened, rows
from tests.cdp.samples import SAMPLES, event

S = SAMPLES
BILL = S["BillIssued"]


def yuan(value: str) -> dict[str, str]:
    return {"value": value, "unit": "CNY"}


def line(value: str, unit: str = "CNY") -> dict[str, Any]:
    return {"kind": "FEE", "description": "x", "amount": {"value": value, "unit": unit}}


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("BillIssued", {"lines": [line("88.01")]}, "lines"),
    ("BillIssued", {"lines": [line("44"), line("44.5")]}, "lines"),
    ("BillIssued", {"lines": [line("88", "HKD")]}, "lines"),
    ("BillIssued", {"lines": [line("88.001")]}, "lines.0.amount.value"),
    ("BillIssued", {"amountDue": {"value": "88", "unit": "XXX"}}, "amountDue.unit"),
    ("BillIssued", {"amountDue": yuan("eighty")}, "amountDue.value"),
    ("BillIssued", {"periodEnd": "2026-01-31"}, "periodEnd"),
    ("BillIssued", {"accountNo": "A-unknown"}, "accountNo"),
    ("AccountOpened", {"currency": "XXX"}, "currency"),
    ("AccountOpened", {"creditLimit": {"value": "1", "unit": "HKD"}}, "creditLimit.unit"),
    ("BalanceReported", {"accountNo": "A-unknown", "subject": {"customerKey": "C-1001"}}, "accountNo"),
    ("BalanceReported", {"accountNo": None}, "accountNo"),
    ("BalanceReported", {"balance": yuan("1.234")}, "balance.value"),
    ("ProductActivated", {"reliesOn": ["P-1"]}, "reliesOn"),
    ("PaymentReceived", {"accountNo": "A-unknown"}, "accountNo"),
    ("PaymentReceived", {"amount": yuan("0")}, "amount.value"),
    ("PaymentReceived", {"amount": yuan("-88")}, "amount.value"),
    ("TopUpRequested", {"amount": yuan("0")}, "amount.value"),
    ("TopUpRequested", {"amount": yuan("-5")}, "amount.value"),
    ("TopUpRequested", {"number": "10086"}, "number"),
]


async def test_what_contradicts_itself_is_refused_and_leaves_nothing(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], S["AccountOpened"])
    before = await everything(writer.stores["cn"])
    outcomes = await ingest(
        writer, [S[name] | change | {"eventId": f"w-{n}"} for n, (name, change, _) in enumerate(WRONG)], "t"
    )
    assert [outcome.field for outcome in outcomes] == [field for _, _, field in WRONG]
    assert await everything(writer.stores["cn"]) == before


async def test_a_bill_its_lines_and_payments_whichever_comes_first(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], S["AccountOpened"])
    part = S["PaymentReceived"] | {"eventId": "p-2", "paymentRef": "R-2", "amount": yuan("0.50")}
    await accept(writer, S["PaymentReceived"])
    await accept(writer, BILL, part)
    row = await one(writer.stores["cn"], "bill")
    assert (row["amount_due_minor"], row["paid_minor"], row["currency"]) == (8800, 8850, "CNY")
    lines = await rows(writer.stores["cn"], "bill_line")
    assert [(one["line_no"], one["amount_minor"]) for one in lines] == [(1, 9000), (2, -200)]
    assert {payment["bill_id"] for payment in await rows(writer.stores["cn"], "payment")} == {row["bill_id"]}


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_a_payment_in_another_currency_pays_nothing_of_a_bill(writer: Writer, order: Sequence[int]) -> None:
    """Whichever comes first, and together or one by one."""
    await accept(writer, S["CustomerRegistered"], S["AccountOpened"])
    foreign = S["PaymentReceived"] | {"eventId": "p-2", "paymentRef": "R-2", "amount": {"value": "88", "unit": "HKD"}}
    events = [BILL, S["PaymentReceived"] | {"amount": yuan("8")}, foreign]
    for n in order:
        await accept(writer, events[n])
    row = await one(writer.stores["cn"], "bill")
    assert (row["amount_due_minor"], row["paid_minor"], row["currency"]) == (8800, 800, "CNY")
    assert len(await rows(writer.stores["cn"], "payment")) == 2
    other = {"at": "2026-03-30T00:00:00Z", "amountDue": {"value": "90", "unit": "HKD"}, "lines": []}
    await accept(writer, S["BillCorrected"] | other)
    row = await one(writer.stores["cn"], "bill")
    assert (row["amount_due_minor"], row["paid_minor"], row["currency"]) == (9000, 8800, "HKD")


async def test_a_bill_is_not_issued_twice_with_lines(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], S["AccountOpened"], BILL)
    again = BILL | {"eventId": "again", "at": "2026-03-30T00:00:00Z", "amountDue": yuan("1"), "lines": [line("1")]}
    assert codes(await ingest(writer, [again], "test")) == ["EVENT_CONFLICT"]
    assert (await one(writer.stores["cn"], "bill"))["amount_due_minor"] == 8800


async def test_an_account_belongs_to_one_customer(writer: Writer) -> None:
    other = {"subject": {"customerKey": "C-2"}}
    await accept(
        writer, S["CustomerRegistered"], S["CustomerRegistered"] | other | {"eventId": "r-2"}, S["AccountOpened"]
    )
    stolen = [S["AccountOpened"] | other | {"eventId": "a-2"}, S["PaymentStatusReported"] | other | {"eventId": "s-2"}]
    outcomes = await ingest(writer, stolen, "test")
    assert [(outcome.code, outcome.field) for outcome in outcomes] == [
        ("EVENT_INVALID", "accountNo"),
        ("UNKNOWN_REFERENCE", "accountNo"),
    ]
    row = await one(writer.stores["cn"], "account")
    ids = (row["customer_id"], row["account_id"])
    assert await opened(writer, "cn", account.c.account_no, ids, row["account_no"]) == "A-77"
    assert (row["payment_status"], row["credit_limit_minor"]) == ("IN_ORDER", 10000)


async def test_a_product_is_found_with_what_it_relies_on(writer: Writer) -> None:
    messaging = S["ProductActivated"] | {"eventId": "m", "productRef": "M-1", "kind": "MESSAGING", "reliesOn": ["P-1"]}
    await accept(writer, S["CustomerRegistered"], messaging, S["ProductSuspended"], S["ProductActivated"])
    products = {row["product_ref"]: row for row in await rows(writer.stores["cn"], "product")}
    assert (products["P-1"]["status"], products["P-1"]["status_reason"]) == ("suspended", "ARREARS")
    reliance = await one(writer.stores["cn"], "product_reliance")
    assert reliance["product_id"] == products["M-1"]["product_id"]
    assert reliance["relies_on_id"] == products["P-1"]["product_id"]


async def test_a_top_up_posted_to_somebody_elses_account_says_so(writer: Writer) -> None:
    other = {"subject": {"customerKey": "C-2"}}
    outcomes = await accept(
        writer,
        S["CustomerRegistered"],
        S["CustomerRegistered"] | other | {"eventId": "r-2"},
        S["AccountOpened"] | other,
        S["TopUpPosted"],
        S["TopUpConfirmed"],
        S["TopUpRequested"],
    )
    row = await one(writer.stores["cn"], "top_up")
    owner = outcomes[1].customer_id
    assert isinstance(owner, UUID)
    assert row["posted_account_id"] == row_id(owner, "account", "A77")
    assert row["customer_id"] == outcomes[0].customer_id != owner
    assert (row["amount_minor"], row["channel"]) == (5000, "APP")
    assert row["requested_at"] <= row["confirmed_at"] < row["posted_at"]
    number = await opened(writer, "cn", top_up.c.number, (row["customer_id"], row["top_up_id"]), row["number"])
    assert number == "+8613800138000"


async def test_balances_are_exact(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], S["AccountOpened"])
    for day, (value, minor) in enumerate([("0.01", 1), ("-12.5", -1250), ("99999999999.99", 9999999999999)], 20):
        await accept(writer, event("BalanceReported", day, accountNo="a 77", balance=yuan(value), eventId=value))
        assert (await one(writer.stores["cn"], "account"))["balance_minor"] == minor
