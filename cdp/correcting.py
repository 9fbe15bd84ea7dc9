"""A proposed correction is approved: what was proposed is worked out again, and posted if it is still the same."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from cdp.billing.anomalies import AnomalyState, Move
from cdp.dead_letters import ORDERED
from cdp.ingest import Outcome, Status, Writer, ingest
from cdp.reconcile.money import TICK, Judged, anomaly, judged
from cdp.values import money_text

ANOMALY: Final = "SELECT * FROM money_anomaly WHERE customer_id = $1 AND anomaly_id = $2"


class Approval(NamedTuple):
    """Which anomaly's correction is approved, by whom, and when."""

    store: str
    customer_id: UUID
    anomaly_id: UUID
    by: str
    at: datetime


async def approve(writer: Writer, approval: Approval) -> tuple[str | None, Outcome]:
    """The id of the event that corrects, and what became of it; of several customers' the first that was refused.

    Each customer's accounts are put right by an event of their own, all of them in one transaction. Refused where
    nothing is proposed, or something else is by now. Raises StoreUnavailable.
    """
    async with writer.stores[approval.store].read() as connection:
        row = await connection.fetchrow(ANOMALY, approval.customer_id, approval.anomaly_id)
        if row is None or row["state"] != AnomalyState.PROPOSED:
            return None, _refused(approval, "CORRECTION_NONE", "an anomaly whose correction is proposed")
        [now] = await judged(connection, [(row["customer_id"], row["top_up_id"])], approval.at)
    if not _is_same(row, now):
        return None, _refused(approval, "CORRECTION_STALE", "a correction that fits what the ledger says by now")
    events = _events(approval, row, now)
    outcomes = await ingest(writer, events, f"{ORDERED}correction")
    refused = [one for one in outcomes if one.status is Status.REJECTED]
    return str(events[0]["eventId"]), refused[0] if refused else outcomes[0]


def _is_same(row: Mapping[str, Any], now: Judged) -> bool:
    if now.finding is None or now.asked.customer_id != row["customer_id"]:
        return False
    return all(row[name] == value for name, value in anomaly(now).items())


def _events(approval: Approval, row: Mapping[str, Any], now: Judged) -> list[dict[str, Any]]:
    """One event for the customer whose top-up it is, and one for anybody else from whom money is taken back."""
    assert now.finding is not None, "something is wrong"
    by_customer: dict[UUID, list[Move]] = {approval.customer_id: []}
    for move in now.finding.moves or ():
        by_customer.setdefault(move.customer_id, []).append(move)
    correction = f"{approval.anomaly_id}:{row['state_at'].isoformat()}"
    at = max(approval.at, row["state_at"] + TICK).isoformat()
    events = []
    for n, (customer_id, moves) in enumerate(by_customer.items()):
        told = {
            "type": "LedgerCorrected",
            "eventId": f"{correction}:{n}",
            "at": at,
            "region": next((move.region for move in moves if move.region), now.asked.region),
            "subject": {"customerId": str(customer_id)},
            "correction": correction,
            "approvedBy": approval.by,
            "movements": [_movement(move) for move in moves],
        }
        own = {"anomalyId": str(approval.anomaly_id)} if customer_id == approval.customer_id else {}
        events.append(told | own)
    return events


def _movement(move: Move) -> dict[str, Any]:
    amount = {"value": money_text(move.minor, move.currency), "unit": move.currency}
    told = {"topUpId": str(move.top_up_id), "accountId": str(move.account_id), "amount": amount}
    hashed = {} if move.number_hash is None else {"numberHash": move.number_hash.hex()}
    return told | {"against": move.against} | hashed


def _refused(approval: Approval, code: str, expected: str) -> Outcome:
    return Outcome(Status.REJECTED, None, approval.store, code, "anomaly", expected)
