"""Top-ups against the ledger: what went astray is found once, cleared by the facts, and put right to the cent."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.billing.anomalies import Account, AnomalyKind, Asked, Finding, Held, Whose, judge
from cdp.care.texts import spelled
from cdp.correcting import Approval, approve
from cdp.ingest import Outcome, Status, Writer, ingest
from cdp.reconcile.money import reconcile_money
from tests.cdp.doors import NOW, accept, empty, everything, one, rows
from tests.cdp.samples import SAMPLES as S
from tests.cdp.samples import event

OTHER = {"customerKey": "C-2"}
AGO = "2026-01-{:02}T09:30:00+08:00"
LONG_AGO = [
    S["CustomerRegistered"] | {"at": AGO.format(1)},
    S["CustomerRegistered"] | {"at": AGO.format(1), "subject": OTHER, "eventId": "r-2"},
    S["NumberActivated"] | {"at": AGO.format(2), "subject": OTHER, "eventId": "n-2", "simRef": "S-9"},
    S["NumberReleased"] | {"at": AGO.format(9), "subject": OTHER, "eventId": "n-3"},
    S["NumberActivated"],
    S["AccountOpened"] | {"at": AGO.format(3)},
    S["AccountOpened"] | {"at": AGO.format(3), "subject": OTHER, "eventId": "a-2", "accountNo": "B-88"},
    S["AccountOpened"] | {"at": AGO.format(3), "eventId": "a-3", "accountNo": "A-99"} | {"region": "CN-BJ"},
]
STRANGER = [
    S["CustomerRegistered"] | {"at": AGO.format(1), "subject": {"customerKey": "C-3"}, "eventId": "r-3"},
    S["AccountOpened"]
    | {"at": AGO.format(3), "subject": {"customerKey": "C-3"}, "eventId": "a-4", "accountNo": "C-66"},
]
ASKED, TOLD, POSTED = S["TopUpRequested"], S["TopUpConfirmed"], S["TopUpPosted"]
DUE = datetime(2026, 3, 23, 2, 30, tzinfo=UTC)
NOTHING = (0, 0, 0, 0)


def yuan(value: str, unit: str = "CNY") -> dict[str, str]:
    return {"value": value, "unit": unit}


VARIANTS: dict[str, tuple[list[dict[str, Any]], tuple[Any, ...]]] = {
    "not posted": ([], ("NOT_POSTED", None, None, 5000)),
    "somebody else's": ([{"accountNo": "C-66"}], ("POSTED_ELSEWHERE", "OTHER_CUSTOMER", 5000, 5000)),
    "a former holder's": ([{"accountNo": "B-88"}], ("POSTED_ELSEWHERE", "FORMER_HOLDER", 5000, 5000)),
    "the other region's": ([{"accountNo": "A-99"}], ("POSTED_ELSEWHERE", "OTHER_NUMBER", 5000, 5000)),
    "the other number": ([{"number": "13900139000"}], ("POSTED_ELSEWHERE", "OTHER_NUMBER", 5000, 5000)),
    "twice": ([{}, {"eventId": "p-2"}], ("POSTED_TWICE", "OWN", 5000, None)),
    "twice, once elsewhere": (
        [{}, {"eventId": "p-2", "accountNo": "B-88"}],
        ("POSTED_TWICE", "FORMER_HOLDER", 5000, None),
    ),
    "too little": ([{"amount": yuan("49.99")}], ("WRONG_AMOUNT", "OWN", None, 1)),
    "too much": ([{"amount": yuan("500")}], ("WRONG_AMOUNT", "OWN", 45000, None)),
    "another currency": ([{"amount": yuan("50", "HKD")}], ("WRONG_CURRENCY", "OWN", 5000, 5000)),
}


async def told(writer: Writer, postings: list[dict[str, Any]], *more: dict[str, Any]) -> None:
    """A top-up of 50 yuan, asked for and confirmed, with these postings."""
    bodies = [POSTED | {"eventId": "p-1"} | change for change in postings]
    await accept(writer, *LONG_AGO, *STRANGER, ASKED, TOLD, *bodies, *more)


async def holdings(writer: Writer) -> dict[tuple[UUID, str], int]:
    """(account, currency) -> what lies on it, where that is not nothing."""
    found: dict[tuple[UUID, str], int] = {}
    for row in await rows(writer.stores["cn"], "ledger_transaction"):
        key, sign = (row["account_id"], row["currency"]), 1 if row["credit"] == "BALANCE" else -1
        found[key] = found.get(key, 0) + sign * row["amount_minor"]
    return {key: minor for key, minor in found.items() if minor}


async def approved(writer: Writer, row: dict[str, Any], at: datetime = NOW) -> Outcome:
    _, outcome = await approve(writer, Approval("cn", row["customer_id"], row["anomaly_id"], "desk 9", at))
    return outcome


@pytest.mark.parametrize("variant", VARIANTS)
async def test_each_way_to_go_astray_is_found_once_and_put_right_to_the_cent(writer: Writer, variant: str) -> None:
    cn, (postings, expected) = writer.stores["cn"], VARIANTS[variant]
    await told(writer, postings)
    assert await reconcile_money(cn, NOW) == (1, 0, 1, 0)
    row = await one(cn, "money_anomaly")
    assert (row["kind"], row["posted_to"], row["take_minor"], row["give_minor"]) == expected
    assert (row["state"], row["top_up_ref"], row["region"], row["owner"]) == (
        "PROPOSED",
        "T-1",
        "CN-GD",
        "desk-CN-GD",
    )
    before = await everything(cn)
    assert await reconcile_money(cn, NOW + timedelta(days=1)) == NOTHING
    assert await everything(cn) == before

    assert (await approved(writer, row)).status is Status.ACCEPTED
    accounts = {one["account_id"]: one["region"] for one in await rows(cn, "account")}
    mine = [one["account_id"] for one in await rows(cn, "account") if one["customer_id"] == row["customer_id"]]
    [((account_id, unit), minor)] = (await holdings(writer)).items()
    assert (minor, unit, accounts[account_id], account_id in mine) == (5000, "CNY", "CN-GD", True)
    corrections = await rows(cn, "ledger_transaction", "kind = 'CORRECTION'")
    assert {one["approved_by"] for one in corrections} == {"desk 9"}
    assert (await one(cn, "money_anomaly"))["state"] == "CORRECTED"

    assert await reconcile_money(cn, NOW + timedelta(days=1)) == (0, 0, 0, 1)
    assert (await one(cn, "case"))["status"] == "RESOLVED"
    assert await reconcile_money(cn, NOW + timedelta(days=2)) == NOTHING


async def test_there_is_time_until_the_deadline_and_a_posting_clears_what_was_found(writer: Writer) -> None:
    cn = writer.stores["cn"]
    await told(writer, [])
    for at in (DUE - timedelta(microseconds=1), DUE - timedelta(minutes=30)):
        assert await reconcile_money(cn, at) == NOTHING
    assert await reconcile_money(cn, DUE) == (1, 0, 1, 0)
    await accept(writer, POSTED)
    assert await reconcile_money(cn, NOW) == (0, 1, 0, 1)
    row, case = await one(cn, "money_anomaly"), await one(cn, "case")
    assert (row["state"], row["found_at"], row["state_at"]) == ("CLEARED", DUE, NOW)
    assert (case["status"], case["cause_kind"], case["top_up_id"]) == ("RESOLVED", "TOP_UP_ASTRAY", row["top_up_id"])
    assert await reconcile_money(cn, NOW) == NOTHING
    assert (await approved(writer, row)).code == "CORRECTION_NONE"
    assert await rows(cn, "ledger_transaction", "kind = 'CORRECTION'") == []


@pytest.mark.parametrize(
    ("terms", "minutes"),
    [
        ([("APP", "*", 600)], 10),
        ([("*", "CN-GD", 60), ("*", "CN", 120)], 1),
        ([("*", "CN", 120), ("APP", "*", 600)], 10),
        ([("APP", "CN-GD", 180), ("APP", "*", 60)], 3),
        ([("SHOP", "CN-GD", 60), ("APP", "HK", 60)], 60),
    ],
)
async def test_the_deadline_is_the_nearest_row(writer: Writer, terms: list[tuple[str, str, int]], minutes: int) -> None:
    cn = writer.stores["cn"]
    await told(writer, [])
    async with cn.transaction() as connection:
        await connection.executemany("INSERT INTO top_up_term VALUES ($1, $2, $3)", terms)
    due = DUE - timedelta(minutes=60 - minutes)
    assert await reconcile_money(cn, due - timedelta(microseconds=1)) == NOTHING
    assert await reconcile_money(cn, due) == (1, 0, 1, 0)


async def test_what_failed_or_was_posted_as_it_should_be_is_nothing(writer: Writer) -> None:
    failed = S["TopUpFailed"] | {"topUpRef": "T-1"}
    await told(writer, [], failed)
    assert await reconcile_money(writer.stores["cn"], NOW) == NOTHING
    await empty(writer.stores["cn"])
    await told(writer, [{}])
    assert await reconcile_money(writer.stores["cn"], NOW) == NOTHING
    assert await rows(writer.stores["cn"], "case") == []


async def test_a_failure_before_the_confirmation_is_none(writer: Writer) -> None:
    cn, failed = writer.stores["cn"], S["TopUpFailed"] | {"topUpRef": "T-1", "at": "2026-03-23T09:29:59+08:00"}
    await told(writer, [], failed)
    assert await reconcile_money(cn, NOW) == (1, 0, 1, 0)
    assert (await one(cn, "money_anomaly"))["kind"] == "NOT_POSTED"


async def test_nobody_is_told_that_money_is_there_which_is_not(writer: Writer) -> None:
    cn = writer.stores["cn"]
    await told(writer, [])
    assert await reconcile_money(cn, NOW) == (1, 0, 1, 0)
    await accept(writer, S["TopUpFailed"] | {"topUpRef": "T-1"})
    assert await reconcile_money(cn, NOW) == (0, 1, 0, 1)
    case = await one(cn, "case")
    said = spelled(case["cause_kind"], json.loads(case["cause_text"]), "CN", NOW, case["gone_at"])
    assert "failed and was not credited" in said["en"]
    assert "未成功，没有入账" in said["zh"]


async def test_a_posting_told_by_whoever_has_the_account_is_the_one_that_is_missing(writer: Writer) -> None:
    cn = writer.stores["cn"]
    theirs = {"subject": {"accountNo": "B-88"}, "accountNo": "B-88", "eventId": "p-1"}
    await told(writer, [theirs])
    assert await reconcile_money(cn, NOW) == (1, 0, 1, 0)
    row = await one(cn, "money_anomaly")
    assert (row["kind"], row["posted_to"], row["state"]) == ("POSTED_ELSEWHERE", "FORMER_HOLDER", "PROPOSED")
    assert (await approved(writer, row)).status is Status.ACCEPTED
    assert list((await holdings(writer)).values()) == [5000]
    assert await reconcile_money(cn, NOW) == (0, 0, 0, 1)


async def test_a_posting_that_nobody_asked_for_is_found_after_a_while_and_taken_back(writer: Writer) -> None:
    cn = writer.stores["cn"]
    await accept(writer, *LONG_AGO, POSTED)
    posted_at = datetime.fromisoformat(POSTED["at"])
    assert await reconcile_money(cn, posted_at + timedelta(minutes=59)) == NOTHING
    assert await reconcile_money(cn, posted_at + timedelta(minutes=60)) == (1, 0, 1, 0)
    row = await one(cn, "money_anomaly")
    assert (row["kind"], row["take_minor"], row["give_minor"]) == ("NOT_REQUESTED", 5000, None)
    assert (await approved(writer, row)).status is Status.ACCEPTED
    assert await holdings(writer) == {}
    assert await reconcile_money(cn, NOW) == (0, 0, 0, 1)


async def test_two_approvals_at_once_post_once(writer: Writer) -> None:
    await told(writer, VARIANTS["a former holder's"][0])
    await reconcile_money(writer.stores["cn"], NOW)
    row = await one(writer.stores["cn"], "money_anomaly")
    later = (NOW + timedelta(seconds=n) for n in range(4))
    outcomes = await asyncio.gather(*(approved(writer, row, at) for at in later))
    assert [one.status for one in outcomes].count(Status.ACCEPTED) == 1
    assert len(await rows(writer.stores["cn"], "ledger_transaction", "kind = 'CORRECTION'")) == 2
    assert list((await holdings(writer)).values()) == [5000]


async def test_what_does_not_fit_any_more_is_not_posted(writer: Writer) -> None:
    cn = writer.stores["cn"]
    await told(writer, [])
    await reconcile_money(cn, NOW)
    row = await one(cn, "money_anomaly")
    await accept(writer, POSTED)
    assert (await approved(writer, row)).code == "CORRECTION_STALE"
    assert await rows(cn, "ledger_transaction", "kind = 'CORRECTION'") == []
    # Corrected, and then posted after all: that is twice, and found.
    await empty(cn)
    await told(writer, [])
    await reconcile_money(cn, NOW)
    assert (await approved(writer, await one(cn, "money_anomaly"))).status is Status.ACCEPTED
    await accept(writer, POSTED)
    assert (await reconcile_money(cn, NOW + timedelta(days=1)))[0] == 1
    kinds = {row["kind"]: row["state"] for row in await rows(cn, "money_anomaly")}
    assert kinds == {"NOT_POSTED": "CORRECTED", "POSTED_TWICE": "PROPOSED"}


async def test_where_nobody_can_tell_the_account_nothing_is_proposed(writer: Writer) -> None:
    second = S["AccountOpened"] | {"at": AGO.format(4), "eventId": "a-5", "accountNo": "A-55"}
    await told(writer, [], second)
    await reconcile_money(writer.stores["cn"], NOW)
    row = await one(writer.stores["cn"], "money_anomaly")
    assert (row["kind"], row["state"], row["give_minor"]) == ("NOT_POSTED", "OPEN", None)
    assert (await approved(writer, row)).code == "CORRECTION_NONE"


async def test_of_whom_is_gone_nothing_is_kept(writer: Writer) -> None:
    cn = writer.stores["cn"]
    await told(writer, [])
    async with cn.transaction() as connection:
        await connection.execute("UPDATE customer SET state = 'ERASED'")
    assert await reconcile_money(cn, NOW) == NOTHING
    assert await rows(cn, "money_anomaly") == await rows(cn, "case") == []


MONEY = [
    ASKED,
    TOLD,
    POSTED | {"eventId": "p-1", "accountNo": "B-88"},
    POSTED | {"eventId": "p-2"},
    S["TopUpReversed"] | {"accountNo": "B-88"},
    event("TopUpRequested", 20, topUpRef="T-5", number="13800138000", amount=yuan("8"), channel="SHOP"),
    event("TopUpConfirmed", 20, topUpRef="T-5"),
    event("TopUpRequested", 21, topUpRef="T-6", number="13800138000", amount=yuan("7"), channel="SHOP"),
    event("TopUpPosted", 21, topUpRef="T-6", accountNo="A-77", amount=yuan("7", "HKD")),
]
MONEY = [body | {"eventId": f"m-{n}"} for n, body in enumerate(MONEY)]


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.permutations(MONEY), st.sets(st.integers(1, len(MONEY) - 1), max_size=3))
async def test_the_order_of_arrival_and_looking_in_between_change_nothing(
    writer: Writer, order: list[dict[str, Any]], looks: set[int]
) -> None:
    cn = writer.stores["cn"]
    await empty(cn)
    await accept(writer, *LONG_AGO)
    for start, end in zip([0, *sorted(looks)], [*sorted(looks), len(order)], strict=True):
        assert {one.code for one in await ingest(writer, order[start:end], "test")} == {None}
        await reconcile_money(cn, NOW)
    assert await reconcile_money(cn, NOW) == NOTHING
    standing = await rows(cn, "money_anomaly", "state IN ('OPEN', 'PROPOSED')")
    found = {(row["top_up_ref"], row["kind"], row["take_minor"], row["give_minor"]) for row in standing}
    assert found == {("T-5", "NOT_POSTED", None, 800), ("T-6", "WRONG_CURRENCY", 700, 700)}
    assert {row["cause_key"] for row in await rows(cn, "case", "gone_at IS NULL")} == {
        str(row["top_up_id"]) for row in standing
    }


# --- what is proposed puts it right, whatever it is -------------------------------------------------------------------

ME, OTHERS = UUID(int=1), UUID(int=2)
ACCOUNTS = {UUID(int=11): (ME, "CN-GD"), UUID(int=12): (ME, "CN-BJ"), UUID(int=21): (OTHERS, "CN-GD")}
OWN = [Account(account_id, region, "CNY") for account_id, (owner, region) in ACCOUNTS.items() if owner == ME]
WHEN = datetime(2026, 3, 1, tzinfo=UTC)


@st.composite
def lying(draw: st.DrawFn) -> Held:
    account_id = draw(st.sampled_from(sorted(ACCOUNTS, key=str)))
    owner, region = ACCOUNTS[account_id]
    times = draw(st.integers(1, 3))
    minor, currency = draw(st.sampled_from([1, 4000, 5000, 10_000, -5000])), draw(st.sampled_from(["CNY", "HKD"]))
    hashed = draw(st.sampled_from([None, b"mine", b"other"]))
    at = WHEN + timedelta(seconds=draw(st.integers(0, 5)))
    against = draw(st.sampled_from(["CLEARING/APP/CN-GD", "CLEARING/SHOP/CN-GD"]))
    return Held(UUID(int=5), owner, account_id, region, currency, against, hashed, minor, times, at, owner == OTHERS)


def place(one: Held) -> tuple[Any, ...]:
    return one.top_up_id, one.customer_id, one.account_id, one.currency, one.against


def after(asked: Asked, held: list[Held], finding: Finding) -> list[Held]:
    """What lies on accounts when all that was proposed is posted."""
    kept = {place(one): one for one in held}
    for move in finding.moves or ():
        owner, region = ACCOUNTS[move.account_id]
        fresh = Held(
            *(move.top_up_id, owner, move.account_id, region, move.currency, move.against, move.number_hash),
            *(0, 1, WHEN, owner == OTHERS),
        )
        old = kept.get(place(fresh), fresh)
        hashed = move.number_hash if move.minor > 0 and move.number_hash else old.number_hash
        kept[place(fresh)] = old._replace(minor=old.minor + move.minor, number_hash=hashed)
    return [one for one in kept.values() if one.minor]


@given(st.lists(lying(), max_size=4, unique_by=place), st.booleans(), st.booleans(), st.randoms())
def test_what_is_proposed_leaves_nothing_wrong_and_the_order_is_not_asked_for(
    held: list[Held], is_late: bool, wanted: bool, chance: Any
) -> None:
    amount: tuple[Any, Any] = (5000, "CNY") if wanted else (None, None)
    minor, unit = amount
    asked = Asked(ME, UUID(int=5), "CN-GD", minor, unit, "APP", b"mine", is_late)
    finding = judge(asked, held, OWN)
    shuffled = list(held)
    chance.shuffle(shuffled)
    assert judge(asked, shuffled, OWN) == finding
    if finding is None or finding.moves is None:
        return
    assert all(move.minor for move in finding.moves)
    right = after(asked, held, finding)
    if wanted:
        assert judge(asked, right, OWN) is None
        assert [(one.customer_id, one.minor, one.currency) for one in right] == [(ME, 5000, "CNY")]
    else:
        assert (finding.kind, right) == (AnomalyKind.NOT_REQUESTED, [])
        assert finding.whose in (Whose.OWN, Whose.OTHER_CUSTOMER)
