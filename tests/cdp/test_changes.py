"""Rows meet rows that are there already: the result does not depend on who came first, or in how many batches."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.billing.tables import bill, product, top_up
from cdp.changes import KEEP, NEW, Add, Earliest, Merge, Newest, Parts, Put, write
from cdp.identity.tables import customer, identifier_index
from cdp.ingest import Writer
from cdp.stores import Store
from cdp.usage.tables import usage_month
from tests.cdp.doors import accept, empty, one, rows
from tests.cdp.samples import SAMPLES

STATUS = Newest(("status", "status_reason"), "status_at")
DAYS = [datetime(2026, 3, day, tzinfo=UTC) for day in range(1, 4)]


async def put(store: Store, *puts: Put) -> None:
    async with store.transaction() as connection:
        await write(connection, puts)


@pytest.fixture
async def owner(writer: Writer) -> UUID:
    """A customer for the rows to belong to."""
    (outcome,) = await accept(writer, SAMPLES["CustomerRegistered"])
    assert outcome.customer_id is not None
    return outcome.customer_id


@pytest.fixture
def cn(writer: Writer) -> Store:
    return writer.stores["cn"]


def status(owner: UUID, at: datetime, value: str, reason: str | None) -> Put:
    key = {"customer_id": owner, "product_id": UUID(int=1), "product_ref": "P"}
    return Put(product, key | {"status": value, "status_reason": reason, "status_at": at}, STATUS)


SEEN = st.tuples(st.sampled_from(DAYS), st.sampled_from("AB"), st.sampled_from([None, "x", "y"]))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(SEEN, min_size=1, max_size=5), st.randoms(use_true_random=False), st.booleans())
async def test_the_newest_wins_in_any_order(
    cn: Store,
    owner: UUID,
    seen: list[tuple[datetime, str, str | None]],
    random: Any,
    together: bool,
) -> None:
    results = []
    for _ in range(2):
        async with cn.transaction() as connection:
            await connection.execute("DELETE FROM product")
        puts = [status(owner, *one) for one in seen]
        if together:
            await put(cn, *puts)
        else:
            for change in puts:
                await put(cn, change)
        results.append(await one(cn, "product"))
        random.shuffle(seen)
        together = not together
    assert results[0] == results[1]
    assert results[0]["status_at"] == max(at for at, _, _ in seen)


PARTS = Parts((STATUS, Newest(("name",), "described_at")))
TOLD = st.tuples(SEEN, st.sampled_from(DAYS), st.sampled_from("XY"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TOLD, min_size=1, max_size=5), st.randoms(use_true_random=False))
async def test_each_part_of_a_row_is_the_newest_in_any_order(
    cn: Store, owner: UUID, told: list[tuple[tuple[datetime, str, str | None], datetime, str]], random: Any
) -> None:
    results = []
    for made in ((), (), [owner], [owner]):
        async with cn.transaction() as connection:
            await connection.execute("DELETE FROM product")
            random.shuffle(told)
            puts = [
                Put(product, status(owner, *seen).row | {"name": name, "described_at": at}, PARTS)
                for seen, at, name in told
            ]
            cut = random.randint(1, len(puts))
            await write(connection, puts[:cut], made)
            await write(connection, puts[cut:])
        results.append(await one(cn, "product"))
    assert results == results[:1] * 4
    assert results[0]["status_at"] == max(seen[0] for seen, _, _ in told)
    assert (results[0]["described_at"], results[0]["name"]) == max((at, name) for _, at, name in told)


async def test_rows_of_who_is_made_are_copied_once_and_the_others_meet_them(cn: Store, owner: UUID) -> None:
    kept = {"customer_id": owner, "product_id": UUID(int=1), "product_ref": "P", "status": "A"}
    later = status(owner, DAYS[1], "B", None)
    async with cn.transaction() as connection:
        await write(connection, [later, Put(product, kept, KEEP), status(owner, DAYS[0], "C", None)], [owner])
        with pytest.raises(asyncpg.UniqueViolationError):
            async with connection.transaction():
                await write(connection, [later], [owner])
    assert (await one(cn, "product"))["status"] == "B"


async def test_add_adds_every_row_once(cn: Store) -> None:
    counts = ("voice_seconds", "sms_count", "data_bytes", "roaming_bytes")
    key = {"customer_id": UUID(int=1), "month_on": DAYS[0].date(), "region": "HK"}
    month = [Put(usage_month, key | dict.fromkeys(counts, n), Add(counts)) for n in (1, 2, 3)]
    await put(cn, *month)
    await put(cn, month[0])
    assert {name: value for name, value in (await one(cn, "usage_month")).items() if name in counts} == dict.fromkeys(
        counts, 7
    )


async def test_earliest_keeps_the_earlier_and_any_before_none(cn: Store, owner: UUID) -> None:
    key = {"customer_id": owner, "top_up_id": UUID(int=1), "top_up_ref": "T"}
    merge = Earliest(("confirmed_at",))
    for at, kept in ((None, None), (DAYS[1], DAYS[1]), (DAYS[2], DAYS[1]), (DAYS[0], DAYS[0]), (None, DAYS[0])):
        await put(cn, Put(top_up, key | {"confirmed_at": at}, merge))
        assert (await one(cn, "top_up"))["confirmed_at"] == kept
    await put(cn, *(Put(top_up, key | {"confirmed_at": at}, merge) for at in (None, DAYS[2], DAYS[0])))
    assert (await one(cn, "top_up"))["confirmed_at"] == DAYS[0]


async def test_keep_keeps_the_first_row(cn: Store) -> None:
    def claim(owner: int) -> Put:
        return Put(identifier_index, {"identifier_tag": b"t", "kind": "email", "customer_id": UUID(int=owner)}, KEEP)

    await put(cn, claim(1), claim(2))
    await put(cn, claim(3))
    assert (await one(cn, "identifier_index", "identifier_tag = 't'"))["customer_id"] == UUID(int=1)


@pytest.mark.parametrize("merge", [Newest(("tier",), "tier_at", amend=True), Earliest(("tier_at",), amend=True)])
async def test_amending_never_makes_a_row(cn: Store, merge: Merge) -> None:
    await put(cn, Put(customer, {"customer_id": UUID(int=1), "tier": "HIGH", "tier_at": DAYS[0]}, merge))
    assert await rows(cn, "customer") == []


async def test_a_new_row_that_is_there_fails_the_whole_write(cn: Store, owner: UUID) -> None:
    row = {"customer_id": owner, "bill_id": UUID(int=1), "bill_no": "B", "paid_minor": 5}
    await put(cn, Put(bill, row, NEW))
    with pytest.raises(asyncpg.UniqueViolationError):
        await put(cn, status(owner, DAYS[0], "A", None), Put(bill, row | {"paid_minor": 9}, NEW))
    assert (await one(cn, "bill"))["paid_minor"] == 5
    assert await rows(cn, "product") == []


@pytest.mark.parametrize("plain", ["+8613800138000", b"+8613800138000", 5])
async def test_a_plaintext_never_gets_into_a_sealed_column(cn: Store, owner: UUID, plain: object) -> None:
    row = {"customer_id": owner, "top_up_id": UUID(int=1), "top_up_ref": "T", "number": plain}
    for merge in (NEW, KEEP, Newest(("number",), "requested_at")):
        with pytest.raises(TypeError, match="sealed") as refused:
            await put(cn, Put(top_up, row | {"requested_at": DAYS[0]}, merge))
        assert "1380" not in str(refused.value)
    assert await rows(cn, "top_up") == []


async def test_parents_come_before_their_children(cn: Store, writer: Writer) -> None:
    await empty(cn)
    await accept(writer, SAMPLES["NumberActivated"], SAMPLES["CustomerRegistered"])
    holding, sim = await one(cn, "number_holding"), await one(cn, "sim")
    assert holding["sim_id"] == sim["sim_id"]
