"""Cases by themselves: what the platform finds wrong opens one case for each cause, and says when the cause is gone.

Whoever finds something wrong hands over all of it in one transaction, as often as it likes: a cause that has an open
case gets no second one, whatever runs at the same time.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from cdp.care.texts import spelled
from cdp.outbox import Entry, put
from cdp.stores import Connection
from cdp.values import row_id

REOPENED, SETTLED, ESCALATED = BY_ITSELF = ("CaseReopened", "CaseSettled", "CaseEscalated")
"""What the platform tells of a case that nobody sends it."""
# An erasure that is under way is waited for, and nobody who is gone gets a case.
OPEN: Final = """
INSERT INTO "case" AS old (customer_id, case_id, case_ref, ticket_type, severity, region, channel, owner, opened_at,
    due_at, product_id, top_up_id, cause_kind, cause_key, cause_text, status, status_at)
SELECT n.customer_id, n.case_id, n.case_ref, n.ticket_type, n.severity, n.region, 'PLATFORM', n.owner,
    $14::timestamptz, $14 + make_interval(mins => (SELECT t.minutes FROM case_term AS t
        WHERE t.severity = n.severity AND t.tier IN (c.tier, '*') ORDER BY t.tier = '*' LIMIT 1)),
    n.product_id, n.top_up_id, n.kind, n.key, n.text, 'OPEN', $14
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::uuid[], $9::uuid[],
    $10::text[], $11::text[], $12::text[], $13::int[]) AS n (customer_id, case_id, case_ref, ticket_type, severity,
    region, owner, product_id, top_up_id, kind, key, text, turn)
JOIN customer AS c ON c.customer_id = n.customer_id AND c.state IN ('ACTIVE', 'RESTRICTED')
ORDER BY n.turn FOR KEY SHARE OF c
ON CONFLICT (customer_id, cause_kind, cause_key) WHERE closed_at IS NULL
DO UPDATE SET gone_at = NULL, status = 'OPEN', status_at = excluded.status_at, cause_text = excluded.cause_text
WHERE old.gone_at IS NOT NULL
RETURNING customer_id, case_id, case_ref, opened_at = $14 AS is_new
"""
# What was to be done has been done, by whomever: what is left is to tell the customer.
SETTLE: Final = """
UPDATE "case" AS k SET gone_at = n.at, cause_text = CASE WHEN n.instead IS NULL THEN k.cause_text
        ELSE (k.cause_text::jsonb || jsonb_build_object('instead', n.instead))::text END,
    status = CASE WHEN k.status IN ('OPEN', 'ACCEPTED', 'DIAGNOSED') THEN 'RESOLVED' ELSE k.status END,
    status_at = CASE WHEN k.status IN ('OPEN', 'ACCEPTED', 'DIAGNOSED') THEN $5 ELSE k.status_at END
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $6::text[])
    AS n (customer_id, kind, key, at, instead)
WHERE k.customer_id = n.customer_id AND k.cause_kind = n.kind AND k.cause_key = n.key
  AND k.closed_at IS NULL AND k.gone_at IS NULL
RETURNING k.customer_id, k.case_id, k.case_ref
"""


class Cause(NamedTuple):
    """Something that is wrong for a customer: `kind` is one of `cdp.care.texts.TEXTS`, `key` tells it from others of
    the kind (ids and references, no personal value).

    `region` and `owner` (a desk) answer for it, as `cdp.accountability` has it. `text` is what the kind's text tells:
    no personal value either, instants as ISO 8601 under names that end in `_at`. `severity` is LOW, MEDIUM, HIGH or
    CRITICAL, `ticket_type` a word of TMF.
    """

    customer_id: UUID
    kind: str
    key: str
    severity: str
    region: str
    owner: str
    text: Mapping[str, str]
    product_id: UUID | None = None
    top_up_id: UUID | None = None
    ticket_type: str = "fault"


class Gone(NamedTuple):
    """A cause that is no more, since `at`: when things came right, not when that was noticed. `instead` is the code of
    why they are not to come right, where that is so.
    """

    customer_id: UUID
    kind: str
    key: str
    at: datetime
    instead: str | None = None


async def open_cases(connection: Connection, causes: Sequence[Cause], now: datetime) -> int:
    """Opens a case for each cause that has no open one; how many were opened. Inside a transaction.

    A cause that comes back while its case is still open reopens that. Raises ValueError for a kind without a text, and
    for a text without what it tells: a desk must have something to read out.
    """
    by_cause = {(one.customer_id, one.kind, one.key): one for one in causes}
    if not by_cause:
        return 0
    ordered = [by_cause[key] for key in sorted(by_cause, key=lambda key: (key[0].int, *key[1:]))]
    rows = [_row(cause, turn, now) for turn, cause in enumerate(ordered)]
    made = await connection.fetch(OPEN, *map(list, zip(*rows, strict=True)), now)
    await put(connection, [entry_of("CaseOpened" if row[3] else REOPENED, row, now) for row in made], now)
    return sum(row[3] for row in made)


def entry_of(event_type: str, row: Sequence[Any], now: datetime) -> Entry:
    """What follows from what the platform did about a case: its row begins with customer, id and reference."""
    customer_id, case_id, case_ref, *_ = row
    return Entry(customer_id, event_type, case_ref, now, case_id)


def _row(cause: Cause, turn: int, now: datetime) -> tuple[object, ...]:
    spelled(cause.kind, cause.text)
    ref = f"{cause.kind}:{cause.key}:{now:%Y%m%dT%H%M%S.%fZ}"
    return (
        cause.customer_id,
        row_id(cause.customer_id, "case", ref),
        ref,
        cause.ticket_type,
        cause.severity,
        cause.region,
        cause.owner,
        cause.product_id,
        cause.top_up_id,
        cause.kind,
        cause.key,
        json.dumps(dict(cause.text), ensure_ascii=False, sort_keys=True),
        turn,
    )


async def settle(connection: Connection, gone: Sequence[Gone], now: datetime) -> int:
    """Says of open cases that their cause is gone, so that they can be closed once the customer is told; how many.

    One that nobody had resolved is RESOLVED by it. Inside a transaction.
    """
    if not gone:
        return 0
    *which, instead = map(list, zip(*sorted(set(gone), key=lambda one: one[:4]), strict=True))
    made = await connection.fetch(SETTLE, *which, now, instead)
    await put(connection, [entry_of(SETTLED, row, now) for row in made], now)
    return len(made)
