"""Products that are not as they should be when they are due: found, led to a case, cleared when their state arrives.

What should be was worked out when the events came in (`cdp.billing.states`); here it is held against the clock, which
is given. A run that is repeated, or stopped anywhere, finds the same: every step is one transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from cdp.accountability import Accountability, answering
from cdp.billing.states import work_out_unknown
from cdp.care.opening import Cause, Gone, open_cases, settle
from cdp.stores import Connection, Store
from cdp.values import row_id

AT_ONCE: Final = 2_000
NOBODY: Final = UUID(int=0)
STILL_OFF, STILL_ON = "SERVICE_STILL_OFF", "SERVICE_STILL_ON"
SEVERITY: Final = {STILL_OFF: "HIGH", STILL_ON: "MEDIUM"}

# What it waited for, and is there: the product it relies on that came back last, or went off first.
ASTRAY: Final = """
SELECT p.customer_id, p.product_id, p.behind_id, p.region, p.status, p.status_at, p.expected_at,
    coalesce(p.status_reason, '') AS reason, coalesce(p.name, p.product_ref) AS name,
    p.expected_at + make_interval(mins => coalesce(own.minutes, other.minutes)) AS due_at, (
        SELECT max(a.payment_status_at) FROM account AS a
        WHERE a.customer_id = p.customer_id AND a.region = p.region AND p.status_reason = 'ARREARS'
        HAVING bool_and(a.payment_status = 'IN_ORDER') AND max(a.payment_status_at) > p.status_at
    ) AS arrears_cleared_at,
    relied.product_id AS relied_id, relied.name AS relied_name, relied.status_at AS relied_at
FROM product AS p
JOIN service_term AS other ON other.kind = '*'
LEFT JOIN service_term AS own ON own.kind = p.kind
LEFT JOIN LATERAL (
    SELECT q.product_id, coalesce(q.name, q.product_ref) AS name, q.status_at
    FROM product_reliance AS r JOIN product AS q ON q.customer_id = r.customer_id AND q.product_id = r.relies_on_id
    WHERE r.customer_id = p.customer_id AND r.product_id = p.product_id AND q.status = p.expected_status
    ORDER BY CASE p.status WHEN 'active' THEN q.status_at END, q.status_at DESC, q.product_id LIMIT 1
) AS relied ON true
WHERE p.expected_status <> p.status AND (p.customer_id, p.product_id) > ($2, $3)
  AND p.expected_at + make_interval(mins => coalesce(own.minutes, other.minutes)) <= $1
  AND NOT EXISTS (SELECT FROM service_anomaly AS a WHERE a.customer_id = p.customer_id
    AND a.product_id = p.product_id AND a.cleared_at IS NULL)
ORDER BY p.customer_id, p.product_id LIMIT $4
"""
# An erasure that is under way is waited for, and of nobody who is gone anything is kept.
KEEP: Final = """
INSERT INTO service_anomaly AS old (customer_id, anomaly_id, product_id, kind, cause_key, region, owner, reason,
    status_at, arrears_cleared_at, relied_id, relied_name, relied_at, expected_at, due_at, found_at)
SELECT n.*, $16 FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::timestamptz[], $10::timestamptz[], $11::uuid[], $12::text[], $13::timestamptz[],
    $14::timestamptz[], $15::timestamptz[])
    AS n (customer_id, anomaly_id, product_id, kind, cause_key, region, owner, reason,
        status_at, arrears_cleared_at, relied_id, relied_name, relied_at, expected_at, due_at)
JOIN customer AS c ON c.customer_id = n.customer_id AND c.state IN ('ACTIVE', 'RESTRICTED')
ORDER BY n.customer_id, n.product_id FOR KEY SHARE OF c
ON CONFLICT (customer_id, anomaly_id) DO UPDATE SET cleared_at = NULL WHERE old.cleared_at IS NOT NULL
RETURNING customer_id
"""
# What came to be known since may put the instant off from which it should have been otherwise.
REFRESH: Final = """
UPDATE service_anomaly AS a SET expected_at = p.expected_at, due_at = p.expected_at + (a.due_at - a.expected_at),
    status_at = p.status_at, reason = coalesce(p.status_reason, '')
FROM product AS p
WHERE a.cleared_at IS NULL AND p.customer_id = a.customer_id AND p.product_id = a.product_id
  AND p.expected_status <> p.status AND p.expected_at <> a.expected_at
  AND a.kind = CASE p.status WHEN 'active' THEN 'SERVICE_STILL_ON' ELSE 'SERVICE_STILL_OFF' END
"""
CLEAR: Final = """
UPDATE service_anomaly AS a SET cleared_at = greatest(p.status_at, p.expected_at) FROM product AS p
WHERE a.cleared_at IS NULL AND p.customer_id = a.customer_id AND p.product_id = a.product_id AND NOT (
    p.expected_status <> p.status
    AND a.kind = CASE p.status WHEN 'active' THEN 'SERVICE_STILL_ON' ELSE 'SERVICE_STILL_OFF' END)
RETURNING a.customer_id, a.kind, a.cause_key
"""
# A case is about all products that waited behind one. What came last may be off for something else by now.
OVER: Final = """
SELECT a.customer_id, a.kind, a.cause_key, max(a.cleared_at), (array_agg(
        CASE a.kind || p.status WHEN 'SERVICE_STILL_OFFsuspended' THEN p.status_reason
            WHEN 'SERVICE_STILL_OFFterminated' THEN 'TERMINATED' END
        ORDER BY a.cleared_at DESC, a.product_id::text = a.cause_key DESC))[1]
FROM service_anomaly AS a JOIN product AS p ON p.customer_id = a.customer_id AND p.product_id = a.product_id
WHERE (a.customer_id, a.kind, a.cause_key) IN (SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]))
GROUP BY a.customer_id, a.kind, a.cause_key HAVING bool_and(a.cleared_at IS NOT NULL)
"""
# Until then it tells of one that is still waited for.
RETELL: Final = """
UPDATE "case" AS k SET cause_text = jsonb_build_object('product', coalesce(p.name, p.product_ref), 'reason', a.reason,
    'suspended_at', CASE a.kind WHEN 'SERVICE_STILL_OFF' THEN a.status_at ELSE a.expected_at END,
    'cleared_at', a.expected_at)::text
FROM (
    SELECT DISTINCT ON (customer_id, kind, cause_key) * FROM service_anomaly
    WHERE cleared_at IS NULL AND (customer_id, kind, cause_key) IN
        (SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]))
    ORDER BY customer_id, kind, cause_key, product_id::text = cause_key DESC, expected_at, product_id
) AS a JOIN product AS p ON p.customer_id = a.customer_id AND p.product_id = a.product_id
WHERE k.customer_id = a.customer_id AND k.cause_kind = a.kind AND k.cause_key = a.cause_key AND k.closed_at IS NULL
"""


class Reconciled(NamedTuple):
    """How many were found that are not as they should be (or not as they were found before), how many came right, how
    many cases that opened and settled.
    """

    found: int
    cleared: int
    opened: int
    settled: int


async def reconcile_services(store: Store, now: datetime) -> Reconciled:
    """Holds the products of a store against what should be of them as of an instant."""
    after: UUID | None = NOBODY
    while after is not None:
        async with store.transaction() as connection:
            after = await work_out_unknown(connection, after, AT_ONCE)
    async with store.transaction() as connection:
        cleared, settled = await _clear(connection, now)
    found, opened, place = 0, 0, (NOBODY, NOBODY)
    while True:
        async with store.transaction() as connection:
            astray = await connection.fetch(ASTRAY, now, *place, AT_ONCE)
            kept, cases = await _keep(connection, astray, now)
        found, opened = found + kept, opened + cases
        if len(astray) < AT_ONCE:
            return Reconciled(found, cleared, opened, settled)
        place = astray[-1]["customer_id"], astray[-1]["product_id"]


async def _clear(connection: Connection, now: datetime) -> tuple[int, int]:
    """How many anomalies are no more, and how many cases were settled by it."""
    await connection.execute(REFRESH)
    cleared = await connection.fetch(CLEAR)
    if not cleared:
        return 0, 0
    causes = [list(column) for column in zip(*cleared, strict=True)]
    await connection.execute(RETELL, *causes)
    over = await connection.fetch(OVER, *causes)
    return len(cleared), await settle(connection, [Gone(*row) for row in over], now)


async def _keep(connection: Connection, astray: Sequence[Any], now: datetime) -> tuple[int, int]:
    """How many of these were kept as anomalies, and how many cases were opened."""
    if not astray:
        return 0, 0
    answers = await answering(connection, [(one["customer_id"], one["region"]) for one in astray], now)
    rows = [_row(one, answer) for one, answer in zip(astray, answers, strict=True)]
    kept = await connection.fetch(KEEP, *map(list, zip(*rows, strict=True)), now)
    # Of several that wait behind one product its own words are the case's: they come last.
    causes = sorted(zip(astray, answers, strict=True), key=lambda pair: pair[0]["product_id"] == pair[0]["behind_id"])
    return len(kept), await open_cases(connection, [_cause(*pair) for pair in causes], now)


def _kind(one: Mapping[str, Any]) -> str:
    return STILL_ON if one["status"] == "active" else STILL_OFF


def _row(one: Mapping[str, Any], answer: Accountability) -> tuple[object, ...]:
    customer_id, product_id, kind = one["customer_id"], one["product_id"], _kind(one)
    anomaly = row_id(customer_id, "serviceAnomaly", f"{product_id}:{kind}:{one['expected_at'].isoformat()}")
    head = (customer_id, anomaly, product_id, kind, str(one["behind_id"]), answer.region, answer.desk)
    names = (
        "reason",
        "status_at",
        "arrears_cleared_at",
        "relied_id",
        "relied_name",
        "relied_at",
        "expected_at",
        "due_at",
    )
    return *head, *(one[name] for name in names)


def _cause(one: Mapping[str, Any], answer: Accountability) -> Cause:
    kind = _kind(one)
    since = one["status_at"] if kind == STILL_OFF else one["expected_at"]
    text = {
        "product": one["name"],
        "reason": one["reason"],
        "suspended_at": since.isoformat(),
        "cleared_at": one["expected_at"].isoformat(),
    }
    of = (one["customer_id"], kind, str(one["behind_id"]), SEVERITY[kind], answer.region, answer.desk, text)
    return Cause(*of, product_id=one["behind_id"])
