"""Retention: what is over goes, by the rows of the law; what is not over stays; a dry run only counts."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from cdp.erasure.expire import expire, expired
from cdp.errors import RequestInvalid
from cdp.ingest import Writer, ingest
from tests.cdp.doors import NOW, accept, everything, one, rows
from tests.cdp.erasure.test_erase import waiting
from tests.cdp.samples import KEY, OTHER, SAMPLES, event

YEARS: Any = timedelta(days=365)


async def told(writer: Writer) -> None:
    await accept(writer, OTHER, *SAMPLES.values())


async def after(writer: Writer, now: datetime) -> Counter[str]:
    """Table -> how many rows went, in the store of the mainland."""
    store = writer.stores["cn"]
    was = {name: len(found) for name, found in (await everything(store)).items()}
    counted = {name: number for name, number in (await expired(store, now)).items() if number}
    assert {name: len(found) for name, found in (await everything(store)).items()} == was, "a dry run writes nothing"
    steps: list[int] = []
    await expire(store, writer.rings["cn"], now, steps.append)
    assert sum(steps) == sum(counted.values())
    left = {name: len(found) for name, found in (await everything(store)).items()}
    gone = Counter({name: was[name] - left[name] for name in was if was[name] > left[name]})
    assert {name: gone[name] for name in counted if name not in ("customer", "dead_letter")} == {
        name: number for name, number in counted.items() if name not in ("customer", "dead_letter")
    }
    return gone


async def test_nothing_goes_before_its_time(writer: Writer) -> None:
    await told(writer)
    assert await after(writer, NOW) == Counter()


async def test_rows_go_by_their_own_age(writer: Writer) -> None:
    await told(writer)
    assert set(await after(writer, NOW + timedelta(days=181))) == {"usage_record", "usage_correction", "bucket"}
    gone = await after(writer, NOW + 4 * YEARS)
    assert gone.keys() >= {"usage_month", "bill", "bill_line", "payment", "top_up", "interaction", "case"}
    assert not gone.keys() & {"customer", "account", "product", "consent_event", "number_holding", "identifier_index"}
    # Whoever is still a customer is still known.
    assert (await one(writer.stores["cn"], "customer", "formatted_name IS NOT NULL AND email IS NOT NULL"))[
        "state"
    ] == "ACTIVE"


async def test_a_row_of_the_law_changes_what_goes(writer: Writer) -> None:
    await told(writer)
    async with writer.stores["cn"].transaction() as connection:
        await connection.execute(
            "INSERT INTO retention_term (jurisdiction, subject, days, by_law, law)"
            " VALUES ('CN', 'interaction', 1, false, 'a law')"
        )
    assert await after(writer, NOW) == Counter({"interaction": 1})


@pytest.mark.parametrize(
    "wrong", ["DELETE FROM retention_term WHERE subject = '{}'", "UPDATE retention_term SET days = 0"]
)
@pytest.mark.parametrize("subject", ["USAGE", "IDENTITY"])
async def test_without_a_term_nothing_goes(writer: Writer, wrong: str, subject: str) -> None:
    await told(writer)
    store, ring = writer.stores["cn"], writer.rings["cn"]
    async with store.transaction() as connection:
        await connection.execute(wrong.format(subject))
    before = await everything(store)
    for keep_terms in (expired(store, NOW + 9 * YEARS), expire(store, ring, NOW + 9 * YEARS)):
        with pytest.raises(RequestInvalid, match="retention_term: expected a row for"):
            await keep_terms
    assert await everything(store) == before


async def test_those_who_left_go_with_the_day_they_did(writer: Writer) -> None:
    await told(writer)
    left = event("CustomerStatusChanged", 30, KEY, status="TERMINATED", eventId="left")
    await accept(writer, left)
    store, mine = writer.stores["cn"], "state = 'ERASING'"
    assert not (await after(writer, NOW + timedelta(days=500))).keys() & {"account", "identifier_index"}
    gone = await after(writer, NOW + timedelta(days=731))
    assert gone.keys() >= {"identifier_index", "link_index"}
    customer_id = (await one(store, "customer", mine))["customer_id"]
    assert await rows(store, "data_key", f"customer_id = '{customer_id}'") == []
    erasure = await one(store, "erasure")
    assert (erasure["customer_id"], erasure["request_id"], erasure["kept"]) == (customer_id, None, "{}")
    assert {row["state"] for row in await rows(store, "customer", f"customer_id <> '{customer_id}'")} == {"ACTIVE"}
    # What waits for its sweep is not counted again.
    assert (await expired(store, NOW + timedelta(days=731)))["customer"] == 0


@pytest.mark.parametrize("apart", [False, True], ids=["keys with the data", "keys of their own"])
async def test_who_comes_back_meanwhile_stays(writer: Writer, *, apart: bool) -> None:
    await told(writer)
    # What is done to keys of their own is not taken back with what is done to the data.
    writer.rings["cn"].kept_in = writer.stores["cn"] if apart else None
    await accept(writer, event("CustomerStatusChanged", 30, KEY, status="TERMINATED", eventId="left"))
    store = writer.stores["cn"]
    keys = await rows(store, "data_key")
    coming = store.transaction()
    connection = await coming.__aenter__()
    await connection.execute("UPDATE customer SET status = 'ACTIVE' WHERE status = 'TERMINATED'")
    expiring = asyncio.create_task(expire(store, writer.rings["cn"], NOW + timedelta(days=731)))
    async with asyncio.timeout(60):
        while not await waiting(store):  # noqa: ASYNC110 -- nobody tells when a lock is waited for
            await asyncio.sleep(0.01)
    await coming.__aexit__(None, None, None)
    await expiring
    assert {row["state"] for row in await rows(store, "customer")} == {"ACTIVE"}
    assert await rows(store, "erasure") == []
    assert await rows(store, "number_index") != []
    assert await rows(store, "data_key") == keys


async def test_what_a_law_kept_goes_on_its_day(writer: Writer) -> None:
    await told(writer)
    store = writer.stores["cn"]
    async with store.transaction() as connection:
        customer = (await one(store, "customer", "email IS NOT NULL"))["customer_id"]
        await connection.execute(
            "INSERT INTO erasure (customer_id, region, erased_at, gone, kept, kept_until, finished_at)"
            " VALUES ($1, 'CN-GD', $2, '[\"SERVICE\"]', '{\"IDENTITY\": {}}', $3, $2)",
            customer,
            NOW,
            NOW + 2 * YEARS,
        )
        await connection.execute("UPDATE customer SET state = 'ERASED' WHERE customer_id = $1", customer)
    assert (await expired(store, NOW + 2 * YEARS - timedelta(seconds=1)))["customer"] == 0
    assert (await expired(store, NOW + 2 * YEARS))["customer"] == 1
    await expire(store, writer.rings["cn"], NOW + 2 * YEARS)
    row = await one(store, "erasure")
    assert (row["finished_at"], row["kept"]) == (None, "{}")


async def test_refused_records_have_a_term_of_their_own(writer: Writer) -> None:
    await told(writer)
    store = writer.stores["cn"]
    async with store.transaction() as connection:
        await connection.execute("DELETE FROM dead_letter")
    await accept_none(writer)
    assert (await expired(store, NOW + timedelta(days=90)))["dead_letter"] == 0
    assert (await expired(store, NOW + timedelta(days=91)))["dead_letter"] == 1
    await expire(store, writer.rings["cn"], NOW + timedelta(days=91))
    assert await rows(store, "dead_letter") == []


async def accept_none(writer: Writer) -> None:
    await ingest(writer, [SAMPLES["InteractionLogged"] | {"eventId": "x", "subject": {"customerKey": "Z-9"}}], "test")
