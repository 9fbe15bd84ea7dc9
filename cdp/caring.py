"""What a customer should hear of before they ask: found in what was taken in, and written down as notices.

A reader of the outbox looks at whoever something happened to; what only time brings is looked for once a day. Each
finding has a key, so that nobody hears of the same thing twice. What they are told and whether at all is decided when
it is sent (`cdp.telling`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from cdp.outbox import START, WAITING, Position, read, settled_below
from cdp.stores import Connection, Store
from cdp.tables import BUCKETS, written_out
from cdp.usage.reads import forecast_rows

READ_AT_ONCE: Final = 2_000
KEEP: Final = """
INSERT INTO care_notice (customer_id, notice_id, kind, region, told, state, state_at, made_at, due_at, tries)
SELECT f.customer_id, md5(f.customer_id::text || f.kind || f.key)::uuid, f.kind, f.region, f.told::text, 'WAITING',
       $1::timestamptz, $1, $1, 0
FROM ({found}) AS f JOIN customer AS c ON c.customer_id = f.customer_id AND c.state = 'ACTIVE'
WHERE NOT EXISTS (SELECT FROM honey AS h WHERE h.customer_id = f.customer_id)
ORDER BY 1, 2 ON CONFLICT DO NOTHING
"""
CASES: Final = """
SELECT k.customer_id, '{kind}' AS kind, k.case_id::text || {since} AS key, k.region,
       k.cause_text::jsonb
           || jsonb_build_object('cause', k.cause_kind, 'due_at', k.due_at, 'gone_at', k.gone_at) AS told
FROM "case" AS k WHERE k.cause_kind IS NOT NULL AND k.closed_at IS NULL AND {state} AND {whose}
"""
ALLOWANCE: Final = f"""
SELECT k.customer_id, 'ALLOWANCE_RUNS_OUT' AS kind, k.bucket_id::text || coalesce(k.valid_from::text, '') AS key,
       k.region, jsonb_build_object('what', k.usage_type, 'day', k.runs_out_on) AS told
FROM ({written_out(forecast_rows())}) AS k JOIN care_term AS t ON t.kind = 'ALLOWANCE_RUNS_OUT'
WHERE k.runs_out_on BETWEEN ($1::timestamptz)::date AND ($1::timestamptz)::date + t.days AND {{whose}}
"""  # noqa: S608 -- put together from our own texts alone
CONTRACTS: Final = """
SELECT k.customer_id, 'CONTRACT_ENDS' AS kind, k.product_id::text || k.term_end_on AS key, k.region,
       jsonb_build_object('product', k.name, 'day', k.term_end_on) AS told
FROM product AS k JOIN care_term AS t ON t.kind = 'CONTRACT_ENDS'
WHERE k.status = 'active' AND k.term_end_on BETWEEN ($1::timestamptz)::date AND ($1::timestamptz)::date + t.days
  AND {whose}
"""
BILLS: Final = """
SELECT k.customer_id, 'BILL_SHOCK' AS kind, k.bill_id::text AS key, k.region,
       jsonb_build_object('bill', k.bill_no, 'amount_minor', k.amount_due_minor, 'more_minor', d.difference_minor,
           'unit', k.currency) AS told
FROM bill AS k JOIN bill_difference AS d ON d.customer_id = k.customer_id AND d.bill_id = k.bill_id
JOIN care_term AS t ON t.kind = 'BILL_SHOCK'
WHERE k.bill_on >= ($1::timestamptz)::date - t.days AND d.difference_minor >= t.minor
  AND d.difference_minor * 100 >= d.usual_minor * t.percent AND {whose}
"""
# What a case tells of is told by the case.
RESTORED: Final = """
SELECT k.customer_id, 'SERVICE_RESTORED' AS kind, k.product_id::text || k.status_at AS key, k.region,
       jsonb_build_object('product', k.name, 'since_at', k.status_at) AS told
FROM product AS k JOIN care_term AS t ON t.kind = 'SERVICE_RESTORED'
WHERE k.status = 'active' AND k.status_at > $1::timestamptz - make_interval(days => t.days) AND k.name IS NOT NULL
  AND NOT EXISTS (SELECT FROM "case" AS o
                  WHERE o.customer_id = k.customer_id AND o.product_id = k.product_id AND o.closed_at IS NULL)
  AND {whose}
"""
TARIFFS: Final = """
SELECT k.customer_id, 'BETTER_TARIFF' AS kind, k.product_id::text || k.tariff_id AS key, k.region,
       jsonb_build_object('tariff', o.name, 'saving_minor', k.saving_minor, 'unit', k.currency, 'months', k.months)
       AS told
FROM tariff_proposal AS k JOIN tariff AS o USING (tariff_id) JOIN care_term AS t ON t.kind = 'BETTER_TARIFF'
WHERE k.saving_minor >= t.minor AND {whose}
"""
FOUND: Final[Mapping[str, str]] = {
    "CASE_OPENED": CASES.format(kind="CASE_OPENED", since="''", state="k.gone_at IS NULL", whose="{whose}"),
    "CASE_SETTLED": CASES.format(
        kind="CASE_SETTLED", since="k.gone_at::text", state="k.gone_at IS NOT NULL", whose="{whose}"
    ),
    "ALLOWANCE_RUNS_OUT": ALLOWANCE,
    "CONTRACT_ENDS": CONTRACTS,
    "BILL_SHOCK": BILLS,
    "SERVICE_RESTORED": RESTORED,
    "BETTER_TARIFF": TARIFFS,
}
"""Kind of notice -> who is to hear of it: customer, kind, key, region, and what is told. `$1` is now."""
AFTER: Final[Mapping[str, str]] = {
    "CaseOpened": "CASE_OPENED",
    "CaseReopened": "CASE_OPENED",
    "CaseSettled": "CASE_SETTLED",
    "BucketReported": "ALLOWANCE_RUNS_OUT",
    "BillIssued": "BILL_SHOCK",
    "BillCorrected": "BILL_SHOCK",
    "ProductResumed": "SERVICE_RESTORED",
}
"""What happened -> what may have to be told of it."""
DAILY: Final = ("CONTRACT_ENDS", "BETTER_TARIFF")
# Nearly always there is nothing: one look tells, instead of a transaction for each bucket.
NEWS: Final = f"""
SELECT p.bucket FROM (
    SELECT b.bucket::smallint, coalesce(c.written, 0) AS written, coalesce(c.outbox_id, $3::uuid) AS outbox_id
    FROM generate_series(0, $1::integer - 1) AS b (bucket) LEFT JOIN care_position AS c ON c.bucket = b.bucket
) AS p WHERE {WAITING}
"""  # noqa: S608 -- put together from our own texts alone
PLACE: Final = "SELECT written, outbox_id FROM care_position WHERE bucket = $1 FOR UPDATE"
MOVE: Final = """
INSERT INTO care_position (bucket, written, outbox_id) VALUES ($1, $2, $3)
ON CONFLICT (bucket) DO UPDATE SET written = excluded.written, outbox_id = excluded.outbox_id
"""


async def find_news(store: Store, now: datetime) -> int:
    """Reads what happened since the last time and writes down who is to hear of it; how many notices were made."""
    made = 0
    async with store.read() as connection:
        settled = await settled_below(connection)
        news = await connection.fetch(NEWS, BUCKETS, settled, START.outbox_id)
    for (bucket,) in news:
        more = True
        while more:
            async with store.transaction() as connection:
                found = await _read_on(connection, bucket, now)
            made, more = made + (found or 0), found is not None
    return made


async def find_daily(store: Store, now: datetime) -> int:
    """Looks at everybody for what no event brings; how many notices were made."""
    async with store.transaction() as connection:
        return sum([await _keep(connection, kind, now, None) for kind in DAILY])


async def _read_on(connection: Connection, bucket: int, now: datetime) -> int | None:
    """One step in a bucket, with its position in the same transaction; None where nothing was left."""
    settled, place = await settled_below(connection), await connection.fetchrow(PLACE, bucket)
    entries = await read(connection, bucket, Position(*place) if place else START, settled, READ_AT_ONCE)
    if not entries:
        return None
    whose: dict[str, set[UUID]] = {}
    for entry in entries:
        if entry.event_type in AFTER:
            whose.setdefault(AFTER[entry.event_type], set()).add(entry.customer_id)
    made = sum([await _keep(connection, kind, now, sorted(whose[kind])) for kind in sorted(whose)])
    await connection.execute(MOVE, bucket, *entries[-1].position)
    return made


async def _keep(connection: Connection, kind: str, now: datetime, whose: Sequence[UUID] | None) -> int:
    asked = FOUND[kind].replace("{whose}", "true" if whose is None else "k.customer_id = ANY($2::uuid[])")
    given = () if whose is None else (whose,)
    status = await connection.execute(KEEP.replace("{found}", asked), now, *given)
    return int(status.rpartition(" ")[2])
