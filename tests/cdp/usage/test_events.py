"""Usage: units are exact, and a month is the sum of what came in, each counted once."""

from datetime import date
from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.ingest import Writer, ingest
from cdp.usage.tables import usage_record
from cdp.values import USAGE_UNITS
from tests.cdp.doors import accept, empty, one, opened, rows
from tests.cdp.samples import SAMPLES, event

S = SAMPLES
TOTALS = {"VOICE": "voice_seconds", "SMS": "sms_count", "DATA": "data_bytes", "ROAMING": "roaming_bytes"}
UNITS = [(usage_type, units) for usage_type, known in USAGE_UNITS.items() for units in known]


def used(n: int, **fields: Any) -> dict[str, Any]:
    return event("UsageRecorded", 5, eventId=f"u-{n}", **fields)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(UNITS), st.integers(0, 1000)), max_size=8), st.integers(1, 3))
async def test_a_month_is_the_sum_of_its_records(writer: Writer, records: list[Any], times: int) -> None:
    await empty(writer.stores["cn"])
    await accept(writer, S["CustomerRegistered"])
    events = [used(n, usageType=kind, units=units, quantity=str(q)) for n, ((kind, units), q) in enumerate(records)]
    for _ in range(times):
        await ingest(writer, events, "test")
    wanted = dict.fromkeys(TOTALS.values(), 0)
    for (kind, units), quantity in records:
        wanted[TOTALS[kind]] += quantity * USAGE_UNITS[kind][units]
    months = await rows(writer.stores["cn"], "usage_month")
    assert [{name: month[name] for name in wanted} for month in months] == ([wanted] if records else [])
    assert len(await rows(writer.stores["cn"], "usage_record")) == len(records)


async def test_months_are_utc_and_regions_are_kept_apart(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"])
    edge = {"usageType": "SMS", "units": "messages", "quantity": "1"}
    await accept(
        writer,
        used(1, **edge) | {"at": "2026-03-01T07:59:59+08:00"},
        used(2, **edge) | {"at": "2026-03-01T08:00:00+08:00"},
        used(3, **edge) | {"region": "CN-BJ"},
    )
    months = {(row["month_on"], row["region"]) for row in await rows(writer.stores["cn"], "usage_month")}
    assert months == {(date(2026, 2, 1), "CN-GD"), (date(2026, 3, 1), "CN-GD"), (date(2026, 3, 1), "CN-BJ")}


async def test_a_record_knows_its_holding_and_hides_the_other_party(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], S["NumberActivated"], S["UsageRecorded"])
    row = await one(writer.stores["cn"], "usage_record")
    assert (row["quantity"], row["units"], row["status"]) == (150, "seconds", "received")
    assert row["holding_id"] == (await one(writer.stores["cn"], "number_holding"))["holding_id"]
    ids = (row["customer_id"], row["record_id"])
    assert await opened(writer, "cn", usage_record.c.counterparty, ids, row["counterparty"]) == "+85291234567"


async def test_an_unknown_unit_or_quantity_is_refused_not_ignored(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], S["NumberActivated"])
    changes = [("units", "hours"), ("units", "bytes"), ("quantity", "-1"), ("quantity", "0.01"), ("quantity", "lots")]
    outcomes = await ingest(writer, [S["UsageRecorded"] | {field: value} for field, value in changes], "test")
    assert [(o.code, o.field) for o in outcomes] == [("EVENT_INVALID", field) for field, _ in changes]
    assert await rows(writer.stores["cn"], "usage_record") == []
    assert await rows(writer.stores["cn"], "usage_month") == []


def left(day: int, remaining: str, **fields: Any) -> dict[str, Any]:
    said = {"bucketRef": "B-1", "usageType": "DATA", "units": "megabytes", "remaining": remaining}
    return event("BucketReported", day, eventId=f"b-{day}", **said | fields)


@pytest.mark.parametrize("days", [*permutations((7, 8, 9))])
async def test_the_latest_report_of_a_bucket_stands_in_any_order(writer: Writer, days: tuple[int, ...]) -> None:
    await accept(writer, S["CustomerRegistered"], S["NumberActivated"])
    await accept(
        writer, *(left(day, str(100 - day), isShared=day == 9, number=S["NumberActivated"]["number"]) for day in days)
    )
    bucket = await one(writer.stores["cn"], "bucket")
    assert (bucket["remaining"], bucket["units"], bucket["is_shared"]) == (91 << 20, "bytes", True)
    assert bucket["holding_id"] == (await one(writer.stores["cn"], "number_holding"))["holding_id"]


async def test_a_bucket_is_of_a_number_its_holder_has_and_ends_after_it_begins(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], S["NumberActivated"], S["NumberReleased"])
    number = S["NumberActivated"]["number"]
    wrong = [
        left(29, "1", number=number),
        left(7, "1", number="13900139000"),
        left(7, "1.5", units="bytes"),
        left(7, "1", units="seconds"),
        left(7, "1", validFrom="2026-03-02T00:00:00Z", validTo="2026-03-02T00:00:00Z"),
        left(7, "1", validTo="2026-03-02T00:00:00Z"),
    ]
    outcomes = await ingest(writer, wrong, "test")
    assert [one.field for one in outcomes] == ["number", "number", "remaining", "units", "validTo", "validTo"]
    assert await rows(writer.stores["cn"], "bucket") == []
