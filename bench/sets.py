"""What goes over everybody at once, as rows a second and against a bare sequential scan of the same tables.

A task fills a migrated database of its own with made-up rows, then its statement and the scan are run in turn.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import asyncpg
from rich.console import Console
from rich.table import Table

from cdp.embedded import Embedded
from cdp.migrate import upgrade

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


class Task(NamedTuple):
    """`rows` are made by the statements of `fill`; `work` is timed against `scan`. Each row stands for `parts`."""

    about: str
    rows: int
    parts: int
    fill: Sequence[str]
    work: str
    scan: str


TASKS: Final[Mapping[str, Task]] = {
    "advice": Task(
        "every customer's last six months priced with each of 40 tariffs",
        100_000,
        240,
        (CUSTOMERS, TARIFFS, LINES, MONTHS),
        "SELECT count(*), sum(saving_minor) FROM tariff_advice",
        "SELECT (SELECT count(*) FROM product WHERE status = 'active'), count(*), sum(data_bytes) FROM usage_month",
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
        times = [(await _timed(connection, task.work), await _timed(connection, task.scan)) for _ in range(rounds)]
    await connection.close()
    return Measured(name, rows, task.parts, *(median(column) for column in zip(*times, strict=True)))


async def _timed(connection: Any, statement: str) -> float:
    began = time.perf_counter()
    await connection.fetch(statement)
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
