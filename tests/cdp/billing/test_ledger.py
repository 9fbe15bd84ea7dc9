"""The ledger: every transaction is balanced by what it is, none is ever changed, and rates are exact."""

from collections import Counter
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.billing.events import EVENTS
from cdp.billing.ledger import exchanged
from cdp.billing.tables import ledger_exchange, ledger_transaction
from cdp.changes import NEW, Put
from cdp.ingest import Writer, ingest
from cdp.values import row_id
from tests.cdp.doors import accept, codes, empty, everything, one, rows
from tests.cdp.samples import SAMPLES as S
from tests.test_house import texts

OTHER = {"customerKey": "C-2"}
FIRST = [
    S["CustomerRegistered"],
    S["CustomerRegistered"] | {"subject": OTHER, "eventId": "r-2"},
    S["AccountOpened"],
    S["AccountOpened"] | {"subject": OTHER, "eventId": "a-2", "accountNo": "B-88"},
]
POSTED, CHARGED, CHANGED = S["TopUpPosted"], S["LedgerPosted"], S["ExchangePosted"]
WRONG: list[tuple[dict[str, Any], str]] = [
    (POSTED | {"amount": {"value": "0", "unit": "CNY"}}, "amount.value"),
    (POSTED | {"amount": {"value": "-1", "unit": "CNY"}}, "amount.value"),
    (POSTED | {"amount": {"value": "1", "unit": "XXX"}}, "amount.unit"),
    ({name: value for name, value in POSTED.items() if name != "amount"}, "amount"),
    (POSTED | {"accountNo": "A-unknown"}, "accountNo"),
    (POSTED | {"number": "10086"}, "number"),
    (S["TopUpReversed"] | {"amount": {"value": "-1", "unit": "CNY"}}, "amount.value"),
    (CHARGED | {"amount": {"value": "0.00", "unit": "CNY"}}, "amount.value"),
    (CHARGED | {"accountNo": "B-88"}, "accountNo"),
    (CHARGED | {"kind": "GIFT"}, "kind"),
    (CHANGED | {"bought": {"value": "91.22", "unit": "CNY"}}, "bought.value"),
    (CHANGED | {"bought": {"value": "100", "unit": "HKD"}, "rate": "1"}, "bought.unit"),
    (CHANGED | {"sold": {"value": "-100", "unit": "HKD"}}, "sold.value"),
    *((CHANGED | {"rate": rate}, "rate") for rate in ("0", "-1", "NaN", "Infinity", "one")),
]


def minor(value: int, unit: str = "CNY") -> dict[str, str]:
    return {"value": f"{Decimal(value) / 100:.2f}", "unit": unit}


async def sums(writer: Writer) -> Counter[tuple[str, str]]:
    """(ledger account, currency) -> what is on it, over all customers; a customer's own by its id."""
    found: Counter[tuple[str, str]] = Counter()
    for row in await rows(writer.stores["cn"], "ledger_transaction"):
        for side, sign in (("debit", -1), ("credit", 1)):
            name = str(row["account_id"]) if row[side] == "BALANCE" else row[side]
            found[name, row["currency"]] += sign * row["amount_minor"]
    return found


async def test_what_contradicts_itself_is_refused_and_posts_nothing(writer: Writer) -> None:
    await accept(writer, *FIRST)
    before = await everything(writer.stores["cn"])
    outcomes = await ingest(writer, [body | {"eventId": f"w-{n}"} for n, (body, _) in enumerate(WRONG)], "t")
    assert [outcome.field for outcome in outcomes] == [field for _, field in WRONG]
    assert await everything(writer.stores["cn"]) == before


async def test_a_top_up_lies_on_the_account_it_was_posted_to_whosever_it_is(writer: Writer) -> None:
    outcomes = await accept(writer, *FIRST, POSTED | {"accountNo": "B 88"})
    row = await one(writer.stores["cn"], "ledger_transaction")
    mine, theirs = outcomes[0].customer_id, outcomes[1].customer_id
    assert mine is not None
    assert theirs is not None
    assert (row["customer_id"], row["account_id"]) == (theirs, row_id(theirs, "account", "B88"))
    assert (row["debit"], row["credit"]) == ("CLEARING/APP/CN-GD", "BALANCE")
    assert (row["kind"], row["amount_minor"], row["currency"]) == ("TOP_UP", 5000, "CNY")
    asked = await one(writer.stores["cn"], "top_up")
    assert (asked["customer_id"], asked["top_up_id"]) == (mine, row["top_up_id"])


async def test_the_number_posted_is_held_against_the_one_asked_for_without_being_there(writer: Writer) -> None:
    await accept(writer, *FIRST, S["NumberActivated"], S["TopUpRequested"], POSTED)
    another = POSTED | {"eventId": "p-2", "number": "13900139000"}
    await accept(writer, another)
    asked = await one(writer.stores["cn"], "top_up")
    hashes = [row["number_hash"] for row in await rows(writer.stores["cn"], "ledger_transaction")]
    assert sorted(one == asked["number_hash"] for one in hashes) == [False, True]
    assert all(len(one) >= 16 and b"138001" not in one for one in hashes)


async def test_money_is_changed_in_two_transactions_and_by_a_rate(writer: Writer) -> None:
    await accept(writer, *FIRST, CHANGED)
    rate = await one(writer.stores["cn"], "ledger_exchange")
    both = {row["transaction_id"]: row for row in await rows(writer.stores["cn"], "ledger_transaction")}
    sold, bought = both[rate["sold_id"]], both[rate["bought_id"]]
    assert rate["rate"] == Decimal("0.91225")
    assert (sold["debit"], sold["credit"], sold["amount_minor"], sold["currency"]) == (
        "BALANCE",
        "EXCHANGE/CN-GD",
        10000,
        "HKD",
    )
    assert (bought["debit"], bought["credit"], bought["amount_minor"], bought["currency"]) == (
        "EXCHANGE/CN-GD",
        "BALANCE",
        9123,
        "CNY",
    )


@given(st.integers(1, 10**12), st.decimals("0.000001", "100000", places=6), st.sampled_from(["CNY", "JPY", "KWD"]))
def test_a_rate_is_exact_to_half_the_smallest_coin(amount: int, rate: Decimal, other: str) -> None:
    digits = {"CNY": 0, "JPY": -2, "KWD": 1}[other]
    exact = Fraction(amount) * Fraction(rate) * Fraction(10) ** digits
    off = Fraction(exchanged(amount, "HKD", other, rate)) - exact
    assert -Fraction(1, 2) < off <= Fraction(1, 2)


SHAPES = st.fixed_dictionaries(
    {
        "what": st.sampled_from(["posted", "reversed", "CHARGE", "PAYMENT", "ADJUSTMENT", "exchange"]),
        "account": st.sampled_from(["A-77", "B-88"]),
        "minor": st.integers(1, 10**9),
        "unit": st.sampled_from(["CNY", "HKD"]),
        "sign": st.sampled_from([1, -1]),
    }
)


def told(n: int, shape: dict[str, Any]) -> dict[str, Any]:
    """An event of a shape, about the customer whose account it is but for top-ups, which are the first one's."""
    account, amount = shape["account"], minor(shape["minor"], shape["unit"])
    head = {"eventId": f"e-{n}", "accountNo": account, "subject": {"accountNo": account}}
    if shape["what"] in ("posted", "reversed"):
        name = "TopUpPosted" if shape["what"] == "posted" else "TopUpReversed"
        return S[name] | head | {"subject": {"customerKey": "C-1001"}, "topUpRef": f"T-{n % 3}", "amount": amount}
    if shape["what"] == "exchange":
        other = {"CNY": "HKD", "HKD": "CNY"}[shape["unit"]]
        bought = exchanged(shape["minor"], shape["unit"], other, Decimal("1.07"))
        return CHANGED | head | {"sold": amount, "bought": minor(bought, other), "rate": "1.07"}
    return CHARGED | head | {"kind": shape["what"], "amount": minor(shape["sign"] * shape["minor"], shape["unit"])}


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(SHAPES, min_size=1, max_size=12), st.randoms(use_true_random=False))
async def test_the_ledger_adds_up_to_nothing_whatever_comes_in_whichever_order(
    writer: Writer, shapes: list[dict[str, Any]], chance: Any
) -> None:
    bodies = [told(n, shape) for n, shape in enumerate(shapes)]
    ledgers = []
    for again in (False, True):
        await empty(writer.stores["cn"])
        await accept(writer, *FIRST)
        given_order = [*bodies, *bodies] if again else bodies
        if again:
            chance.shuffle(given_order)
        assert set(codes(await ingest(writer, given_order, "test"))) == {None}
        ledgers.append(await rows(writer.stores["cn"], "ledger_transaction"))
    found = await sums(writer)
    assert ledgers[0] == ledgers[1]
    assert {unit: sum(n for (_, one), n in found.items() if one == unit) for unit in ("CNY", "HKD")} == {
        "CNY": 0,
        "HKD": 0,
    }
    # Every event is there, and for its amount.
    assert len(ledgers[0]) == len(shapes) + sum(shape["what"] == "exchange" for shape in shapes)


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ({"amount_minor": 0}, "ck_ledger_transaction_amount"),
        ({"amount_minor": -1}, "ck_ledger_transaction_amount"),
        ({"debit": "BALANCE"}, "ck_ledger_transaction_balance"),
        ({"credit": "REVENUE/CN-GD"}, "ck_ledger_transaction_balance"),
    ],
)
async def test_the_database_takes_no_transaction_out_of_balance(
    writer: Writer, change: dict[str, Any], broken: str
) -> None:
    await accept(writer, *FIRST, POSTED)
    row = await one(writer.stores["cn"], "ledger_transaction") | {"transaction_id": uuid4()} | change
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        async with writer.stores["cn"].transaction() as connection:
            await connection.copy_records_to_table(
                "ledger_transaction", records=[tuple(row.values())], columns=tuple(row)
            )
    assert refused.value.constraint_name == broken
    assert len(await rows(writer.stores["cn"], "ledger_transaction")) == 1


@pytest.mark.parametrize("table", ["ledger_transaction", "ledger_exchange"])
async def test_the_owner_of_the_tables_may_not_change_a_row(writer: Writer, table: str) -> None:
    await accept(writer, *FIRST, CHANGED)
    before, role = await everything(writer.stores["cn"]), f"plain_{uuid4().hex}"

    async def tried(statement: str) -> None:
        async with writer.stores["cn"].transaction() as connection:
            await connection.execute(f"CREATE ROLE {role}")
            await connection.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
            await connection.execute(f"ALTER TABLE {table} OWNER TO {role}")
            await connection.execute(f"SET LOCAL ROLE {role}")
            await connection.execute(statement)

    for statement in (f"UPDATE {table} SET at = at", f"TRUNCATE {table}"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match=f"permission denied for table {table}"):
            await tried(statement)
    assert await everything(writer.stores["cn"]) == before


@pytest.mark.parametrize("table", ["ledger_transaction", "ledger_exchange"])
async def test_a_superuser_does_not_change_a_row_either(writer: Writer, table: str) -> None:
    await accept(writer, *FIRST, CHANGED)
    before = await everything(writer.stores["cn"])
    with pytest.raises(asyncpg.RestrictViolationError, match="post again"):
        async with writer.stores["cn"].transaction() as connection:
            await connection.execute(f"UPDATE {table} SET at = at + interval '1 day'")
    assert await everything(writer.stores["cn"]) == before


def test_nothing_changes_a_transaction() -> None:
    assert texts(r"(?i)(update|truncate)\s+\"?(only\s+)?\"?ledger_") == set()


async def test_whatever_posts_makes_new_rows_alone(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Put] = []
    for kind in EVENTS:
        apply = kind.apply

        def noted(self: Any, context: Any, apply: Any = apply) -> Any:
            puts = apply(self, context)
            seen.extend(put for put in puts if put.table in (ledger_transaction, ledger_exchange))
            return puts

        monkeypatch.setattr(kind, "apply", noted)
    await accept(writer, *FIRST, POSTED, S["TopUpReversed"], CHARGED, CHANGED)
    assert len(seen) == 6
    assert {put.merge for put in seen} == {NEW}


async def test_the_same_event_posts_once_and_another_one_again(writer: Writer) -> None:
    await accept(writer, *FIRST, POSTED)
    again = await ingest(writer, [POSTED, POSTED | {"amount": minor(1)}], "test")
    assert codes(again) == [None, "EVENT_CONFLICT"]
    assert (await one(writer.stores["cn"], "ledger_transaction"))["amount_minor"] == 5000
    await accept(writer, POSTED | {"eventId": "twice"})
    account = row_id((await one(writer.stores["cn"], "top_up"))["customer_id"], "account", "A77")
    assert await sums(writer) == {(str(account), "CNY"): 10000, ("CLEARING/APP/CN-GD", "CNY"): -10000}


async def test_who_was_erased_is_posted_nothing_by_others(writer: Writer) -> None:
    outcomes = await accept(writer, *FIRST)
    async with writer.stores["cn"].transaction() as connection:
        gone = "UPDATE customer SET state = 'ERASED' WHERE customer_id = $1"
        await connection.execute(gone, outcomes[1].customer_id)
    [refused] = await ingest(writer, [POSTED | {"accountNo": "B-88"}], "test")
    assert (refused.code, refused.field) == ("UNKNOWN_REFERENCE", "accountNo")
    assert await rows(writer.stores["cn"], "ledger_transaction") == []
    assert await rows(writer.stores["cn"], "top_up") == []
