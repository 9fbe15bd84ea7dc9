"""Top-ups held against the ledger: what the customer was told, against what lies on accounts.

The database finds whatever does not fit, over all top-ups at once; `cdp.billing.anomalies` says what is wrong with it.
A store knows its own side alone: a top-up of a mainland number that was posted in Hong Kong is NOT_POSTED in one store
and NOT_REQUESTED in the other, by the same reference, and whoever may read both, by the customer's link, sees both.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

from cdp.accountability import Accountability, answering
from cdp.billing.anomalies import ANOMALY, ANOMALY_STATE, Account, AnomalyState, Asked, Finding, Held, judge
from cdp.billing.reads import top_up_failed
from cdp.billing.tables import money_anomaly, top_up
from cdp.care.opening import Cause, Gone, open_cases, settle
from cdp.changes import Put, Row, write
from cdp.outbox import Entry, put
from cdp.reconcile.services import Reconciled
from cdp.stores import Connection, Store
from cdp.values import row_id

AT_ONCE: Final = 2_000
ASTRAY: Final = "TOP_UP_ASTRAY"
STANDING: Final = [AnomalyState.OPEN.value, AnomalyState.PROPOSED.value]
TICK: Final = timedelta(microseconds=1)
Key: TypeAlias = tuple[UUID, UUID]
"""A customer and their top-up."""

GAINED = "CASE credit WHEN 'BALANCE' THEN l.amount_minor ELSE -l.amount_minor END"
AGAINST = "CASE credit WHEN 'BALANCE' THEN l.debit ELSE l.credit END"
TERM = """(SELECT make_interval(secs => m.seconds) FROM top_up_term AS m
    WHERE m.channel IN ({channel}, '*') AND m.region IN ({region}, left({region}, 2), '*')
    ORDER BY m.channel = '*', length(m.region) DESC LIMIT 1)"""
UNFAILED = f"NOT {top_up_failed(top_up.alias('t'))}"
NOT_POSTED = f"(t.confirmed_at + {TERM.format(channel='t.channel', region='t.region')} <= $1 AND {UNFAILED})"
NOT_REQUESTED = "({0}.at + " + TERM.format(channel="'*'", region="a.region") + " <= $1)"
# Whatever does not fit by itself, or took several postings: these are looked at more closely.
SUSPECTS: Final = f"""
SELECT t.customer_id, t.top_up_id
FROM top_up AS t
LEFT JOIN ledger_transaction AS l ON l.top_up_id = t.top_up_id
LEFT JOIN account AS a ON a.customer_id = l.customer_id AND a.account_id = l.account_id
WHERE CASE
    WHEN l.top_up_id IS NULL THEN {NOT_POSTED}
    WHEN t.requested_at IS NULL THEN {NOT_REQUESTED.format("l")}
    ELSE l.credit <> 'BALANCE' OR l.customer_id <> t.customer_id OR l.amount_minor <> t.amount_minor
        OR l.currency <> t.currency OR l.number_hash <> t.number_hash OR (a.region <> t.region AND EXISTS (
            SELECT FROM account AS o WHERE o.customer_id = t.customer_id AND o.region = t.region)) END
UNION SELECT t.customer_id, t.top_up_id
FROM (
    SELECT top_up_id FROM ledger_transaction WHERE top_up_id IS NOT NULL GROUP BY top_up_id HAVING count(*) > 1
) AS several JOIN top_up AS t ON t.top_up_id = several.top_up_id
UNION SELECT customer_id, top_up_id FROM money_anomaly WHERE state = ANY($2::text[])
"""  # noqa: S608 -- nothing of it comes from outside
# A posting that nobody asked for here may be told of by whoever has the account: the only request of its name, if there
# is one, is what it belongs to.
ASKED: Final = """
SELECT DISTINCT ON (k.customer_id, k.top_up_id) k.customer_id, k.top_up_id
FROM unnest($1::uuid[], $2::uuid[]) AS n (customer_id, top_up_id)
JOIN top_up AS t ON t.customer_id = n.customer_id AND t.top_up_id = n.top_up_id
LEFT JOIN LATERAL (
    SELECT min(r.customer_id::text)::uuid AS customer_id, min(r.top_up_id::text)::uuid AS top_up_id FROM top_up AS r
    WHERE r.top_up_ref = t.top_up_ref AND r.requested_at IS NOT NULL AND t.requested_at IS NULL HAVING count(*) = 1
) AS r ON true
CROSS JOIN LATERAL (VALUES (coalesce(r.customer_id, t.customer_id), coalesce(r.top_up_id, t.top_up_id)))
    AS k (customer_id, top_up_id)
"""
FACTS: Final = f"""
SELECT t.customer_id, t.top_up_id, t.region, t.amount_minor, t.currency, t.channel, t.number_hash, t.top_up_ref,
    coalesce(t.confirmed_at, t.requested_at) AS told_at, s.top_up_id AS of_id, h.*, a.region AS account_region,
    h.owner_id <> t.customer_id AND EXISTS (
        SELECT FROM number_index AS mine JOIN number_index AS once ON once.number_tag = mine.number_tag
        WHERE mine.customer_id = t.customer_id AND once.customer_id = h.owner_id AND once.valid_to <= $1
    ) AS had_number, coalesce(CASE WHEN t.requested_at IS NULL AND h.at IS NOT NULL
        THEN {NOT_REQUESTED.format("h")} ELSE {NOT_POSTED} END, false) OR ({UNFAILED} AND EXISTS (
        SELECT FROM money_anomaly AS m WHERE m.customer_id = t.customer_id AND m.top_up_id = t.top_up_id
          AND m.kind IN ('NOT_POSTED', 'NOT_REQUESTED') AND m.state = ANY($2::text[]))) AS is_late
FROM unnest($3::uuid[], $4::uuid[]) AS n (customer_id, top_up_id)
JOIN top_up AS t ON t.customer_id = n.customer_id AND t.top_up_id = n.top_up_id
CROSS JOIN LATERAL (
    SELECT t.top_up_id UNION ALL
    SELECT s.top_up_id FROM top_up AS s WHERE s.top_up_ref = t.top_up_ref AND s.requested_at IS NULL
      AND t.requested_at IS NOT NULL AND s.customer_id <> t.customer_id AND NOT EXISTS (
        SELECT FROM top_up AS o WHERE o.top_up_ref = t.top_up_ref AND o.requested_at IS NOT NULL
          AND o.top_up_id <> t.top_up_id)
) AS s
LEFT JOIN LATERAL (
    SELECT l.customer_id AS owner_id, l.account_id, l.currency AS unit, {AGAINST} AS against,
        (array_agg(l.number_hash ORDER BY l.at DESC, l.transaction_id)
            FILTER (WHERE l.credit = 'BALANCE' AND l.number_hash IS NOT NULL))[1] AS posted_hash,
        sum({GAINED})::bigint AS minor, min(l.at) AS at,
        (2 * count(*) FILTER (WHERE l.credit = 'BALANCE') - count(*)) AS times
    FROM ledger_transaction AS l WHERE l.top_up_id = s.top_up_id
    GROUP BY l.customer_id, l.account_id, l.currency, {AGAINST} HAVING sum({GAINED}) <> 0
) AS h ON true
LEFT JOIN account AS a ON a.customer_id = h.owner_id AND a.account_id = h.account_id
"""  # noqa: S608 -- nothing of it comes from outside
OWN: Final = "SELECT customer_id, account_id, region, currency FROM account WHERE customer_id = ANY($1::uuid[])"
BEFORE: Final = """
SELECT * FROM money_anomaly WHERE (customer_id, top_up_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
"""
# An erasure that is under way is waited for, and of nobody who is gone anything is kept.
THERE: Final = """
SELECT customer_id FROM customer WHERE customer_id = ANY($1::uuid[]) AND state IN ('ACTIVE', 'RESTRICTED')
ORDER BY customer_id FOR KEY SHARE
"""
OVER: Final = """
SELECT k.customer_id, k.cause_kind, k.cause_key, coalesce(max(a.state_at), $2),
    CASE WHEN bool_or(t.failed_at IS NOT NULL AND t.posted_at IS NULL) THEN 'FAILED' END
FROM "case" AS k
LEFT JOIN top_up AS t ON t.customer_id = k.customer_id AND t.top_up_id = k.top_up_id
LEFT JOIN money_anomaly AS a ON a.customer_id = k.customer_id AND a.top_up_id = k.top_up_id
WHERE k.cause_kind = $1 AND k.closed_at IS NULL AND k.gone_at IS NULL
GROUP BY k.customer_id, k.cause_kind, k.cause_key HAVING bool_or(a.state = ANY($3::text[])) IS NOT TRUE
"""


class Judged(NamedTuple):
    """A top-up that was looked at and what is wrong with it; the customer has been waiting since `told_at`."""

    asked: Asked
    top_up_ref: str
    told_at: datetime | None
    finding: Finding | None

    @property
    def key(self) -> Key:
        return self.asked.customer_id, self.asked.top_up_id


async def reconcile_money(store: Store, now: datetime) -> Reconciled:
    """Holds the top-ups of a store against its ledger as of an instant; may be repeated, and stopped anywhere."""
    # Looking at all of them takes longer than a read may.
    async with store.transaction() as connection:
        suspects = [(row[0], row[1]) for row in await connection.fetch(SUSPECTS, now, STANDING)]
    found = cleared = opened = 0
    for start in range(0, len(suspects), AT_ONCE):
        async with store.transaction() as connection:
            some = await judged(connection, suspects[start : start + AT_ONCE], now)
            changes = await _changes(connection, suspects[start : start + AT_ONCE], some, now)
            await write(connection, changes)
            events = [_entry(change, now) for change in changes]
            await put(connection, events, now)
            opened += await open_cases(connection, await _causes(connection, some, now), now)
        over = sum(event.event_type == "MoneyAnomalyCleared" for event in events)
        found, cleared = found + len(events) - over, cleared + over
    async with store.transaction() as connection:
        gone = [Gone(*row) for row in await connection.fetch(OVER, ASTRAY, now, STANDING)]
        return Reconciled(found, cleared, opened, await settle(connection, gone, now))


async def judged(connection: Connection, suspects: Sequence[Key], now: datetime) -> list[Judged]:
    """What is wrong with top-ups, by all that their store knows; of a posting nobody asked for, with the one that was
    asked for under its name.
    """
    keys = await connection.fetch(ASKED, *_columns(suspects))
    facts: dict[Key, list[Mapping[str, Any]]] = defaultdict(list)
    for row in await connection.fetch(FACTS, now, STANDING, *_columns(keys)):
        facts[row["customer_id"], row["top_up_id"]].append(row)
    own: dict[UUID, list[Account]] = defaultdict(list)
    for customer_id, *account in await connection.fetch(OWN, [customer_id for customer_id, _ in facts]):
        own[customer_id].append(Account(*account))
    return [_judged(rows, own[customer_id]) for (customer_id, _), rows in facts.items()]


def _judged(rows: Sequence[Mapping[str, Any]], own: Sequence[Account]) -> Judged:
    held = [_held(row) for row in rows if row["account_id"] is not None]
    first, late = rows[0], any(row["is_late"] for row in rows)
    region = first["region"] or next((one.region for one in held), None)
    amount = first["amount_minor"], first["currency"]
    meant = first["channel"], first["number_hash"]
    asked = Asked(first["customer_id"], first["top_up_id"], region, *amount, *meant, late)
    told_at = first["told_at"] or min((one.at for one in held), default=None)
    return Judged(asked, first["top_up_ref"], told_at, judge(asked, held, own))


def _held(row: Mapping[str, Any]) -> Held:
    names = "of_id owner_id account_id account_region unit against posted_hash minor times at had_number"
    return Held._make(row[name] for name in names.split())


async def _changes(connection: Connection, suspects: Sequence[Key], some: Sequence[Judged], now: datetime) -> list[Put]:
    """The rows that are other than before: found, found to be otherwise, or over."""
    keys = sorted({*suspects, *(one.key for one in some)})
    before = {row["anomaly_id"]: row for row in await connection.fetch(BEFORE, *_columns(keys))}
    there = {row[0] for row in await connection.fetch(THERE, sorted({customer_id for customer_id, _ in keys}))}
    wrong = [one for one in some if one.finding is not None and one.asked.customer_id in there]
    answers = await _answering(connection, wrong, now)
    rows = [anomaly(one) | {"owner": answer.desk} for one, answer in zip(wrong, answers, strict=True)]
    changes = []
    for row in rows:
        old = before.pop(row["anomaly_id"], None)
        if old is None or any(old[name] != value for name, value in row.items() if name != "owner"):
            stands = old is not None and old["state"] in STANDING
            row |= {"state_at": _after(old, now), "found_at": old["found_at"] if old and stands else now}
            changes.append(Put(money_anomaly, row, ANOMALY))
    for old in before.values():
        if old["state"] in STANDING:
            key = {"customer_id": old["customer_id"], "anomaly_id": old["anomaly_id"]}
            over = {"state": AnomalyState.CLEARED.value, "state_at": _after(old, now)}
            changes.append(Put(money_anomaly, key | over, ANOMALY_STATE))
    return changes


def anomaly(one: Judged) -> Row:
    """What is kept of something that is wrong: no id of anybody but the customer it is about."""
    finding, (customer_id, top_up_id) = one.finding, one.key
    assert finding is not None, "something is wrong"
    moves, posted = finding.moves or (), finding.posted
    take = next((move for move in moves if move.minor < 0), None)
    give = next((move for move in moves if move.minor > 0), None)
    return {
        "customer_id": customer_id,
        "anomaly_id": row_id(customer_id, "moneyAnomaly", f"{top_up_id} {finding.kind}"),
        "top_up_id": top_up_id,
        "top_up_ref": one.top_up_ref,
        "kind": finding.kind.value,
        "state": AnomalyState.OPEN.value if finding.moves is None else AnomalyState.PROPOSED.value,
        "region": one.asked.region,
        "posted_to": finding.whose and finding.whose.value,
        "posted_region": posted and posted.region,
        "posted_minor": posted and posted.minor,
        "posted_currency": posted and posted.currency,
        "posted_at": posted and posted.at,
        "take_minor": take and -take.minor,
        "take_currency": take and take.currency,
        "give_minor": give and give.minor,
        "give_currency": give and give.currency,
        "give_account_id": give and give.account_id,
    }


async def _answering(connection: Connection, some: Sequence[Judged], now: datetime) -> list[Accountability]:
    asked = [(one.asked.customer_id, one.asked.region) for one in some]
    return await answering(connection, asked, now) if asked else []


async def _causes(connection: Connection, some: Sequence[Judged], now: datetime) -> list[Cause]:
    """A case for each top-up with which something is wrong."""
    wrong = [(one, one.finding) for one in some if one.finding is not None]
    answers = await _answering(connection, [one for one, _ in wrong], now)
    return [
        Cause(
            one.asked.customer_id,
            ASTRAY,
            str(one.asked.top_up_id),
            "HIGH",
            answer.region,
            answer.desk,
            {"top_up": one.top_up_ref, "what": finding.kind.value, "told_at": (one.told_at or now).isoformat()},
            top_up_id=one.asked.top_up_id,
        )
        for (one, finding), answer in zip(wrong, answers, strict=True)
    ]


def _entry(change: Put, now: datetime) -> Entry:
    over = change.row["state"] == AnomalyState.CLEARED
    event = "MoneyAnomalyCleared" if over else "MoneyAnomalyFound"
    return Entry(change.row["customer_id"], event, str(change.row["anomaly_id"]), now)


def _after(old: Mapping[str, Any] | None, now: datetime) -> datetime:
    """Whatever the clocks say, what comes later is later."""
    return now if old is None else max(now, old["state_at"] + TICK)


def _columns(keys: Sequence[Any]) -> tuple[list[UUID], list[UUID]]:
    return [key[0] for key in keys], [key[1] for key in keys]
