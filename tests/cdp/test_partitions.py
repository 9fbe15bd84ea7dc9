"""Partitions by month: made once, whoever asks first, and a row always finds a place."""

import asyncio
from datetime import UTC, date, datetime
from uuid import uuid4

from cdp.partitions import ensure_partitions, is_partition
from cdp.stores import Connection, Stores
from cdp.usage.tables import usage_record

INSERT = """
INSERT INTO usage_record (customer_id, at, event_id, record_id, usage_type, quantity, units, status, region)
VALUES ($1, $2, 'e', gen_random_uuid(), 'SMS', 1, 'messages', 'received', 'HK')
"""
PLACES = "SELECT tableoid::regclass::text FROM usage_record ORDER BY at"


async def ensure(stores: Stores, *days: date) -> None:
    async with stores["cn"].transaction() as connection:
        await ensure_partitions(connection, usage_record, days)


async def put(connection: Connection, *instants: datetime) -> None:
    for instant in instants:
        await connection.execute(INSERT, uuid4(), instant)


async def places(stores: Stores) -> list[str]:
    async with stores["cn"].read() as connection:
        return [row[0] for row in await connection.fetch(PLACES)]


async def test_a_row_lies_in_the_month_of_its_instant_in_utc(stores: Stores) -> None:
    await ensure(stores, date(2025, 12, 31), date(2026, 1, 15))
    async with stores["cn"].transaction() as connection:
        await put(
            connection,
            datetime(2025, 12, 1, tzinfo=UTC),
            datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC),
            datetime(2026, 1, 1, tzinfo=UTC),
            datetime(2026, 2, 1, tzinfo=UTC),
        )
    assert await places(stores) == [
        "usage_record_202512",
        "usage_record_202512",
        "usage_record_202601",
        "usage_record_default",
    ]


async def test_a_month_that_began_in_the_default_partition_stays_there(stores: Stores) -> None:
    async with stores["cn"].transaction() as connection:
        await put(connection, datetime(2026, 1, 31, tzinfo=UTC))
    await ensure(stores, date(2026, 1, 1), date(2026, 2, 1))
    async with stores["cn"].transaction() as connection:
        await put(connection, datetime(2026, 1, 31, 5, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    assert await places(stores) == ["usage_record_default", "usage_record_default", "usage_record_202602"]


async def test_writers_that_need_the_same_month_do_not_disturb_each_other(stores: Stores) -> None:
    await asyncio.gather(*(ensure(stores, date(2026, month, 1), date(2026, 7, 1)) for month in (5, 6, 7, 8)))
    async with stores["cn"].transaction() as connection:
        await put(connection, *(datetime(2026, month, 2, tzinfo=UTC) for month in (5, 6, 7, 8)))
    assert await places(stores) == [
        "usage_record_202605",
        "usage_record_202606",
        "usage_record_202607",
        "usage_record_202608",
    ]


def test_a_partition_is_known_by_its_name() -> None:
    assert all(map(is_partition, ("usage_record_202601", "usage_record_default", "usage_record_202512")))
    assert not any(map(is_partition, ("usage_record", "usage_month", "customer", "bill_2026")))
