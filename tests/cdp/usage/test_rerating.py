"""Corrections of usage: whatever comes first, twice or late, a month is the sum of its records as they were said to be
last.
"""

import asyncio
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.ingest import Writer, ingest
from tests.cdp.doors import accept, codes, empty, everything, one, rows
from tests.cdp.samples import SAMPLES, event

S = SAMPLES
MONTHS = {"VOICE": "voice_seconds", "SMS": "sms_count", "DATA": "data_bytes", "ROAMING": "roaming_bytes"}
UNITS = {"VOICE": "seconds", "SMS": "messages", "DATA": "bytes", "ROAMING": "bytes"}
FIRST = datetime.fromisoformat("2026-02-27T00:00:00+00:00")


def usage(n: int, kind: str, quantity: int) -> dict[str, Any]:
    """The n-th record; they are on both sides of the end of a month."""
    at = (FIRST + timedelta(days=n)).isoformat()
    said = {"usageType": kind, "units": UNITS[kind], "quantity": str(quantity)}
    return event("UsageRecorded", 1, eventId=f"u-{n}", **said) | {"at": at}


def rerated(n: int, version: int, kind: str, quantity: int) -> dict[str, Any]:
    """What was said of the n-th record so many days after."""
    at = FIRST + timedelta(days=n)
    said = {"usageType": kind, "units": UNITS[kind], "quantity": str(quantity)}
    body = event("UsageRerated", 1, eventId=f"c-{n}-{version}", record=f"u-{n}", recordedAt=at.isoformat(), **said)
    return body | {"at": (at + timedelta(days=version)).isoformat()}


SAID = st.tuples(st.sampled_from(sorted(MONTHS)), st.integers(0, 1000))
RECORDS = st.lists(st.tuples(SAID, st.lists(SAID, max_size=3)), min_size=1, max_size=4)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(RECORDS, st.data())
async def test_a_month_is_the_sum_of_what_was_said_last(
    writer: Writer, records: list[Any], data: st.DataObject
) -> None:
    await empty(writer.stores["cn"])
    await accept(writer, S["CustomerRegistered"] | {"at": "2026-01-01T00:00:00Z"})
    events, wanted = [], dict[str, dict[str, int]]()
    for n, (first, corrections) in enumerate(records):
        events.append(usage(n, *first))
        events += [rerated(n, version, *said) for version, said in enumerate(corrections, 1)]
        kind, quantity = corrections[-1] if corrections else first
        month = wanted.setdefault(f"{FIRST + timedelta(days=n):%Y-%m-01}", dict.fromkeys(MONTHS.values(), 0))
        month[MONTHS[kind]] += quantity
    order = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=4))))
    edges = [0, *sorted(data.draw(st.sets(st.integers(1, len(order)), max_size=4))), len(order)]
    for start, end in pairwise(edges):
        assert set(codes(await ingest(writer, order[start:end], "test"))) <= {None}
    months = await rows(writer.stores["cn"], "usage_month")
    assert {str(row["month_on"]): {name: row[name] for name in MONTHS.values()} for row in months} == wanted
    found = {row["event_id"]: row for row in await rows(writer.stores["cn"], "usage_record")}
    for n, (first, corrections) in enumerate(records):
        kind, quantity = corrections[-1] if corrections else first
        row = found[f"u-{n}"]
        assert (row["usage_type"], int(row["quantity"]), row["units"]) == (kind, quantity, UNITS[kind])
        assert row["status"] == ("rerated" if corrections else "received")
    assert await rows(writer.stores["cn"], "usage_correction", "waits") == []


async def test_a_record_and_its_correction_at_two_doors_at_once_do_not_miss_each_other(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"] | {"at": "2026-01-01T00:00:00Z"})
    for n in range(8):
        pair = [usage(n, "SMS", 5), rerated(n, 1, "SMS", 2)]
        await asyncio.gather(*(ingest(writer, [body], "test") for body in pair))
    months = await rows(writer.stores["cn"], "usage_month")
    assert sum(month["sms_count"] for month in months) == 16


async def test_a_correction_waits_for_a_record_and_counts_nothing(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"] | {"at": "2026-01-01T00:00:00Z"}, rerated(1, 1, "SMS", 2))
    assert await rows(writer.stores["cn"], "usage_month") == []
    assert (await one(writer.stores["cn"], "usage_correction"))["waits"]


async def test_a_number_is_meant_as_of_the_record(writer: Writer) -> None:
    """Whoever has the number by the time of the correction has nothing to do with it."""
    by_number = {"subject": {"number": "13800138000"}}
    other = event("CustomerRegistered", 1, {"customerKey": "C-2"}, eventId="r-2", name="Other", kind="INDIVIDUAL")
    taken = event("NumberReassigned", 4, {"customerKey": "C-2"}, number="13800138000")
    used = usage(4, "SMS", 5) | by_number
    await accept(writer, S["CustomerRegistered"], S["NumberActivated"], other, taken, used)
    await accept(writer, rerated(4, 20, "SMS", 1) | by_number)
    assert (await one(writer.stores["cn"], "usage_month"))["sms_count"] == 1


async def test_a_correction_that_makes_no_sense_changes_nothing(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"] | {"at": "2026-01-01T00:00:00Z"}, usage(1, "SMS", 5))
    before = await everything(writer.stores["cn"])
    good = rerated(1, 1, "SMS", 1)
    wrong = [good | {"units": "seconds"}, good | {"quantity": "-1"}, good | {"recordedAt": "2026-03-30T00:00:00Z"}]
    outcomes = await ingest(writer, wrong, "test")
    assert [(one.code, one.field) for one in outcomes] == [
        ("EVENT_INVALID", field) for field in ("units", "quantity", "recordedAt")
    ]
    assert await everything(writer.stores["cn"]) == before
