"""Opening the house: tables, keys and trails are there when it is open, and what waits is written when it closes."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest

from cdp.app import prepare, writer_of
from cdp.dead_letters import spelled
from cdp.documents import find_document, list_documents, register_document
from cdp.errors import AuditUnavailable
from cdp.house import House, migrate_stores, open_house
from cdp.ingest import ingest
from cdp.migrate import downgrade
from cdp.seen import BODY_INDEX, was_applied
from cdp.settings import Settings
from cdp.stores import Stores
from privacy.errors import KeyUnavailable, KmsRefused
from privacy.vocabulary import RetentionClass
from tests.cdp.samples import SAMPLES

CUSTOMER = UUID(int=7)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
KNEW = "INSERT INTO event_seen (customer_id, at, event_id, body_hash) VALUES ($1, $2, $3, $4)"
MARCH = "CREATE TABLE usage_record_202603 PARTITION OF usage_record FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')"


@pytest.fixture
async def migrated(settings: Settings) -> Settings:
    await migrate_stores(settings)
    return settings


async def test_each_store_has_its_own_keys_and_they_last(migrated: Settings) -> None:
    async with open_house(migrated) as house:
        assert [*house.stores] == [*house.rings] == [*house.trails] == ["cn", "hk"]
        _, wrapped = house.rings["cn"].new_data_key(CUSTOMER, RetentionClass.SERVICE)
        token = house.tokens.seal("node", "shop-app", b"7")
    await migrate_stores(migrated)
    async with open_house(migrated) as house:
        assert house.rings["cn"].unwrap(wrapped).customer_id == CUSTOMER
        assert house.tokens.open("node", "shop-app", token) == b"7"
        assert house.rings["hk"].tokens.open("node", "shop-app", token) == b"7"
        with pytest.raises(KeyUnavailable):
            house.rings["hk"].unwrap(wrapped)


async def test_closing_writes_the_entries_that_wait(migrated: Settings) -> None:
    async with open_house(migrated) as house:
        waiting = [asyncio.create_task(house.trails["hk"].record({"client": "shop-app"})) for _ in range(100)]
        await asyncio.sleep(0)
    assert len({await task for task in waiting}) == 100
    with pytest.raises(AuditUnavailable):
        await house.trails["hk"].record({"client": "shop-app"})


async def test_without_its_keys_the_house_stays_closed(settings: Settings) -> None:
    with pytest.raises(KeyUnavailable):
        async with open_house(settings):
            pytest.fail("the stores have no keys")


async def test_keys_in_files_are_refused_in_production(migrated: Settings) -> None:
    with pytest.raises(KmsRefused):
        async with open_house(migrated.model_copy(update={"environment": "production"})):
            pytest.fail("keys in files are not safe")


async def test_a_reset_leaves_empty_stores_with_new_keys(migrated: Settings, stores: Stores) -> None:
    async with open_house(migrated) as house:
        await fill(house)
    await migrate_stores(migrated, reset=True)
    async with open_house(migrated) as house, house.stores["cn"].read() as connection:
        assert await list_documents(connection) == []
        assert await connection.fetchval("SELECT count(*) FROM audit_entry") == 0


async def fill(house: House) -> None:
    await house.trails["cn"].record({"client": "shop-app"})
    async with house.stores["cn"].transaction() as connection:
        await connection.execute(MARCH)
    await register_document(house.stores.values(), "me", "{ me { client } }", NOW)


async def test_a_document_is_found_by_its_hash_in_every_store(stores: Stores) -> None:
    source = "query Me { me { client } }\r\n"
    digest = await register_document(stores.values(), "me", source, NOW)
    again = await register_document(stores.values(), "other name", source, NOW)
    assert again == digest
    for store in stores.values():
        async with store.read() as connection:
            assert await find_document(connection, digest) == source
            assert await find_document(connection, digest[::-1]) is None
            assert [one.name for one in await list_documents(connection)] == ["me"]


async def test_what_a_store_knew_of_events_before_it_went_by_ids_it_still_knows(migrated: Settings) -> None:
    async with open_house(migrated) as house:
        writer, ring = writer_of(house), house.rings["cn"]
        await prepare(house)
        (outcome,) = await ingest(writer, [SAMPLES["CustomerRegistered"]], "test")
    url = (migrated.stores or {})["cn"]
    body = ring.digest(BODY_INDEX, spelled(SAMPLES["CustomerRegistered"]))
    await downgrade(url, "0021_care_notices")
    connection = await asyncpg.connect(url)
    await connection.execute(KNEW, outcome.customer_id, NOW, SAMPLES["CustomerRegistered"]["eventId"], body)
    await connection.close()
    await migrate_stores(migrated)
    async with open_house(migrated) as house:
        known, other = SAMPLES["CustomerRegistered"], SAMPLES["CustomerRegistered"] | {"name": "other"}
        outcomes = await ingest(writer_of(house), [known, other], "test")
        assert [(one.status, one.code) for one in outcomes] == [("DUPLICATE", None), ("REJECTED", "EVENT_CONFLICT")]
        async with house.stores["cn"].read() as reading:
            assert not await reading.fetchval("SELECT to_regclass('event_seen_before') IS NOT NULL")
            event_id = SAMPLES["CustomerRegistered"]["eventId"]
            assert outcome.customer_id is not None
            assert await was_applied(reading, house.rings["cn"], event_id, outcome.customer_id)
            assert not await was_applied(reading, house.rings["cn"], event_id, CUSTOMER)
