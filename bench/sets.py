"""What goes over everybody at once, as rows a second and against a bare sequential scan of the same tables.

A task fills a migrated database of its own with made-up rows, then its statement and the scan are run in turn.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import asyncpg
from rich.console import Console
from rich.table import Table

from cdp.embedded import Embedded
from cdp.migrate import upgrade
from cdp.reconcile.money import reconcile_money
from cdp.reconcile.services import Reconciled, reconcile_services
from cdp.settings import Settings
from cdp.stores import Store, open_stores

CUSTOMERS: Final = """
INSERT INTO customer
    (customer_id, region, kind, state, registered_at, is_minor, profile_at, status, status_at, tier, tier_at)
SELECT md5(n::text)::uuid, 'CN-GD', 'INDIVIDUAL', 'ACTIVE', now(), false, now(), 'ACTIVE', now(), 'MIDDLE', now()
FROM generate_series(1, {rows}) AS n
"""
TARIFFS: Final = """
INSERT INTO tariff (tariff_id, name, region, rating_type, monthly_fee_minor, currency, voice_minutes, sms_count,
    data_megabytes, voice_price, sms_price, data_price, roaming_price)
SELECT 't-' || n, 'x', 'CN', 'POSTPAID', 500 + 397 * n, 'CNY', 20 * n, 10 * n, 1024 * n, 15, 10, 0.4883, 2.93
FROM generate_series(1, 40) AS n
"""
LINES: Final = """
INSERT INTO product (customer_id, product_id, product_ref, kind, region, tariff_id, status)
SELECT customer_id, customer_id, 'p', 'LINE', 'CN-GD', 't-' || 1 + abs(hashtext(customer_id::text)) % 40, 'active'
FROM customer
"""
MONTHS: Final = """
INSERT INTO usage_month (customer_id, month_on, region, voice_seconds, sms_count, data_bytes, roaming_bytes)
SELECT customer_id, month::date, 'CN-GD', random() * 36000, random() * 100, random() * 30e9, random() * 1e8
FROM customer, generate_series(timestamp '2026-01-01', '2026-07-01', '1 month') AS month
"""
# Four products each, in a chain; with one customer of a hundred all but the line stayed off when it came back.
SUBSCRIBERS: Final = CUSTOMERS.replace("{rows}", "{rows} / 4")
CHAINS: Final = """
INSERT INTO product (customer_id, product_id, product_ref, name, kind, region, start_on, described_at, status,
    status_reason, status_at, expected_status, expected_at, behind_id)
SELECT customer_id, md5(customer_id::text || n)::uuid, 'p-' || n, 'x', CASE n WHEN 1 THEN 'LINE' ELSE 'CONTENT' END,
    'CN-GD', '2026-01-01', '2026-01-01', CASE WHEN off THEN 'suspended' ELSE 'active' END,
    CASE WHEN off THEN 'ARREARS' END, CASE WHEN off THEN timestamptz '2026-03-01' ELSE '2026-03-02' END,
    'active', '2026-03-02', CASE WHEN off THEN md5(customer_id::text || 2)::uuid END
FROM (SELECT customer_id, n, n > 1 AND abs(hashtext(customer_id::text)) % 100 = 0 AS off
      FROM customer, generate_series(1, 4) AS n) AS made
"""
RELIANCES: Final = """
INSERT INTO product_reliance (customer_id, product_id, relies_on_id)
SELECT customer_id, md5(customer_id::text || n)::uuid, md5(customer_id::text || n - 1)::uuid
FROM customer, generate_series(2, 4) AS n
"""
TURNS: Final = """
INSERT INTO product_turn (customer_id, product_id, at, status, reason)
SELECT customer_id, product_id, at::timestamptz, turn, reason
FROM product, (VALUES
    ('2026-01-01', 'active', ''), ('2026-03-01', 'suspended', 'ARREARS'), ('2026-03-02', 'active', '')
) AS said (at, turn, reason)
WHERE at = '2026-01-01' OR kind = 'LINE' OR (product.status = 'suspended' AND turn = 'suspended')
"""
SERVICES: Final = (SUBSCRIBERS, CHAINS, RELIANCES, TURNS)
UNFOUND: Final = 'TRUNCATE service_anomaly, "case", case_step, outbox'
PRODUCTS: Final = "SELECT count(*) FROM product WHERE status <> expected_status OR expected_status IS NULL"
LATER: Final = datetime(2026, 3, 3, tzinfo=UTC)


ACCOUNTS: Final = """
INSERT INTO account (customer_id, account_id, region, rating_type, currency, opened_at, payment_status,
    payment_status_at)
SELECT customer_id, customer_id, 'CN-GD', 'PREPAID', 'CNY', '2026-01-01', 'IN_ORDER', '2026-01-01' FROM customer
"""
# Four top-ups each; of a thousand one is not posted, and one with another amount.
TOP_UPS: Final = """
INSERT INTO top_up (customer_id, top_up_id, top_up_ref, region, amount_minor, currency, channel, requested_at,
    confirmed_at, posted_account_id, posted_at, number_hash)
SELECT customer_id, md5(customer_id::text || n)::uuid, customer_id::text || n, 'CN-GD', 5000, 'CNY', 'APP',
    '2026-03-01', '2026-03-01', customer_id, '2026-03-01', sha256(customer_id::text::bytea)
FROM customer, generate_series(1, 4) AS n
"""
POSTINGS: Final = """
INSERT INTO ledger_transaction (customer_id, transaction_id, kind, debit, credit, currency, amount_minor, account_id,
    at, top_up_id, number_hash)
SELECT customer_id, top_up_id, 'TOP_UP', 'CLEARING/APP/CN-GD', 'BALANCE', 'CNY',
    CASE abs(hashtext(top_up_ref)) % 1000 WHEN 1 THEN 4000 ELSE 5000 END, customer_id, '2026-03-01', top_up_id,
    number_hash
FROM top_up WHERE abs(hashtext(top_up_ref)) % 1000 <> 0
"""
UNSEEN: Final = 'TRUNCATE money_anomaly, "case", case_step, outbox'
BOTH_SIDES: Final = """
SELECT (SELECT count(*) FROM top_up WHERE amount_minor > 0), count(*) FROM ledger_transaction WHERE amount_minor > 0
"""


def reconcile(step: Callable[[Store, datetime], Awaitable[Reconciled]]) -> Callable[[str], Awaitable[int]]:
    """Reconciles a database, given its URL; how many were found."""

    async def work(url: str) -> int:
        stores = await open_stores(Settings(stores={"cn": url}, regions={"CN": "cn"}), {"cn": url})
        try:
            return (await step(stores["cn"], LATER)).found
        finally:
            await stores.close()

    return work


class Task(NamedTuple):
    """`rows` are made by the statements of `fill`; `work` (a statement, or what is done with the database of a URL)
    is timed against `scan`. Each row stands for `parts`; `again` undoes what the work did, for the next round.
    """

    about: str
    rows: int
    parts: int
    fill: Sequence[str]
    work: str | Callable[[str], Awaitable[int]]
    scan: str
    again: Sequence[str] = ()


TASKS: Final[Mapping[str, Task]] = {
    "advice": Task(
        "every customer's last six months priced with each of 40 tariffs",
        100_000,
        240,
        (CUSTOMERS, TARIFFS, LINES, MONTHS),
        "SELECT count(*), sum(saving_minor) FROM tariff_advice",
        "SELECT (SELECT count(*) FROM product WHERE status = 'active'), count(*), sum(data_bytes) FROM usage_month",
    ),
    "money": Task(
        "top-ups against the ledger, two of a thousand astray: found, each with its case and its correction",
        1_000_000,
        1,
        (SUBSCRIBERS, ACCOUNTS, TOP_UPS, POSTINGS),
        reconcile(reconcile_money),
        BOTH_SIDES,
        (UNSEEN,),
    ),
    "services": Task(
        "products against what should be of them, three of four hundred astray: found, each cause with its case",
        1_000_000,
        1,
        SERVICES,
        reconcile(reconcile_services),
        PRODUCTS,
        (UNFOUND,),
    ),
    "expected": Task(
        "the same, when what should be of each product has to be worked out anew from all that was said of it",
        1_000_000,
        1,
        SERVICES,
        reconcile(reconcile_services),
        PRODUCTS,
        (UNFOUND, "UPDATE product SET expected_status = NULL", "VACUUM product"),
    ),
}


class Measured(NamedTuple):
    """Seconds of the work and of the scan: the median of the rounds."""

    task: str
    rows: int
    parts: int
    work_seconds: float
    scan_seconds: float


def measure_sets(home: Path, names: Sequence[str], rows: int | None, rounds: int, console: Console) -> list[Measured]:
    """Measures the named tasks, each with its own number of rows or with `rows`."""
    home.mkdir(parents=True, exist_ok=True)
    embedded = Embedded(home)
    url = embedded.start(["sets"])["sets"]
    try:
        return [asyncio.run(_measured(url, name, rows or TASKS[name].rows, rounds, console)) for name in names]
    finally:
        embedded.stop()


async def _measured(url: str, name: str, rows: int, rounds: int, console: Console) -> Measured:
    task = TASKS[name]
    connection = await asyncpg.connect(url)
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await upgrade(url)
    with console.status(f"{task.about}: making {rows:,} rows"):
        for statement in task.fill:
            await connection.execute(statement.format(rows=rows))
        await connection.execute("VACUUM ANALYZE")
    with console.status(f"{task.about}: measuring"):
        times = []
        for _ in range(rounds):
            for statement in task.again:
                await connection.execute(statement)
            times.append((await _timed(url, connection, task.work), await _timed(url, connection, task.scan)))
    await connection.close()
    return Measured(name, rows, task.parts, *(median(column) for column in zip(*times, strict=True)))


async def _timed(url: str, connection: Any, work: str | Callable[[str], Awaitable[int]]) -> float:
    began = time.perf_counter()
    await (connection.fetch(work) if isinstance(work, str) else work(url))
    return time.perf_counter() - began


def table_of(measured: Sequence[Measured]) -> Table:
    """What was measured, for a terminal."""
    table = Table(title="over everybody at once", title_justify="left", title_style="bold")
    for number, heading in enumerate(("task", "rows", "seconds", "rows/s", "parts/s", "scan", "x scan")):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for one in measured:
        table.add_row(
            one.task,
            f"{one.rows:,}",
            f"{one.work_seconds:.1f}",
            f"{one.rows / one.work_seconds:,.0f}",
            f"{one.rows * one.parts / one.work_seconds:,.0f}",
            f"{one.scan_seconds:.2f} s",
            f"{one.work_seconds / one.scan_seconds:,.1f}",
        )
    return table
