"""Merging records of one person: nothing moves, the order of arrival does not matter, and parting gives back all."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.identity.clusters import clusters_of
from cdp.ingest import Status, Writer, ingest
from cdp.stores import Store
from cdp.tables import metadata
from tests.cdp.doors import accept, codes, everything, one, rows
from tests.cdp.samples import event

KEYS = ("ann", "ben", "clo", "dan", "eve")
LATER = ("merge_edge", "event_seen", "outbox")
"""What remembers that there was a merge, when it is over."""
AT = datetime(2026, 3, 1, tzinfo=UTC)

edges = st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(0, 9)), max_size=12)


def registered(key: str, **fields: Any) -> dict[str, Any]:
    fields = {"name": key, "kind": "INDIVIDUAL"} | fields
    return event("CustomerRegistered", 1, {"customerKey": key}, eventId=f"r-{key}", **fields)


def of(key: str, name: str, day: int, /, **fields: Any) -> dict[str, Any]:
    return event(name, day, {"customerKey": key}, **({"eventId": f"{name}-{key}-{day}"} | fields))


def merged(key: str, other: str, day: int) -> dict[str, Any]:
    return of(key, "CustomersMerged", day, other={"customerKey": other}, eventId=f"m-{key}-{other}-{day}")


def parted(key: str, other: str, day: int) -> dict[str, Any]:
    return of(key, "CustomersParted", day, other={"customerKey": other}, eventId=f"p-{key}-{other}-{day}")


async def persons(store: Store) -> set[frozenset[str]]:
    """Who is one person with whom, by their names in the tests; every member of a cluster must say the same."""
    found = await rows(store, "customer")
    names = dict(zip(sorted((row["customer_id"] for row in found), key=by_number), KEYS, strict=False))
    for row in found:
        if row["cluster"] is not None:
            assert sorted(row["cluster"], key=by_number) == row["cluster"], "the first registered one leads"
            assert {r["cluster_since"] for r in found if r["cluster"] == row["cluster"]} == {row["cluster_since"]}
            assert all(r["cluster"] == row["cluster"] for r in found if r["customer_id"] in row["cluster"])
    return {frozenset(names[each] for each in row["cluster"] or [row["customer_id"]]) for row in found}


def by_number(customer: UUID) -> int:
    return customer.int


async def everybody(writer: Writer) -> None:
    """KEYS are registered one after another, so that their ids are in this order."""
    for n, key in enumerate(KEYS):
        await accept(writer, registered(key, at=f"2026-03-01T09:{n:02}:00Z"))


@given(edges, st.randoms())
def test_clusters_do_not_depend_on_the_order_of_their_edges(drawn: list[tuple[int, int, int]], random: Random) -> None:
    mirrored = [(UUID(int=a), UUID(int=b), AT + timedelta(days=d)) for a, b, d in drawn if a != b]
    mirrored += [(b, a, at) for a, b, at in mirrored]
    shuffled = random.sample(mirrored, len(mirrored))
    found = clusters_of(mirrored)
    assert clusters_of(shuffled) == found
    for member, (cluster, since) in found.items():
        assert member in cluster
        assert list(cluster) == sorted(cluster, key=by_number)
        assert since == max(at for a, _, at in mirrored if a in cluster)
        assert not [a for a, b, _ in mirrored if (a in cluster) != (b in cluster)], "no edge leaves a cluster"
    assert {a for a, _, _ in mirrored} == set(found)


async def test_parting_gives_back_every_bit(writer: Writer) -> None:
    await everybody(writer)
    await accept(
        writer,
        of("ann", "NumberActivated", 2, number="13800138001", simRef="S-1"),
        of("ben", "NumberActivated", 2, number="13800138002", simRef="S-2"),
        of("ann", "ConsentGiven", 3, purpose="marketing"),
        of("ben", "ConsentWithdrawn", 3, purpose="marketing"),
    )
    store = writer.stores["cn"]
    before = {name: await rows(store, name) for name in metadata.tables}
    await accept(writer, merged("ben", "ann", 10))
    assert (await rows(store, "customer"))[0]["cluster"] is not None
    await accept(writer, parted("ann", "ben", 11))
    after = {name: await rows(store, name) for name in metadata.tables}
    assert {name for name in after if after[name] != before[name]} == set(LATER)


async def test_what_comes_in_between_goes_to_the_right_one(writer: Writer) -> None:
    await everybody(writer)
    await accept(
        writer,
        of("ann", "NumberActivated", 2, number="13800138001"),
        of("ben", "NumberActivated", 2, number="13800138002"),
        merged("ben", "ann", 10),
    )
    used = {"usageType": "VOICE", "quantity": "61", "units": "seconds"}
    call = event("UsageRecorded", 12, {"number": "13800138002"}, eventId="u", **used)
    [outcome] = await accept(writer, call)
    await accept(writer, parted("ben", "ann", 13))
    found = await rows(writer.stores["cn"], "customer")
    ben = sorted((row["customer_id"] for row in found), key=by_number)[KEYS.index("ben")]
    assert (await one(writer.stores["cn"], "usage_record"))["customer_id"] == outcome.customer_id == ben


@pytest.mark.parametrize("seed", range(12))
async def test_chains_and_rings_in_any_order_are_the_same_persons(writer: Writer, seed: int) -> None:
    """Ann, Ben and Clo are a ring that is opened at one place, Dan and Eve were parted; whoever says so first."""
    random = Random(seed)  # noqa: S311 -- the same each time
    log = [
        merged("ann", "ben", 10),
        merged("ben", "clo", 11),
        merged("clo", "ann", 12),
        parted("ann", "ben", 13),
        merged("dan", "eve", 10),
        parted("eve", "dan", 14),
    ]
    await everybody(writer)
    waiting = [*log, *random.sample(log, 2)]
    random.shuffle(waiting)
    while waiting:
        size = random.randint(1, 4)
        piece, waiting = waiting[:size], waiting[size:]
        outcomes = await ingest(writer, piece, "test")
        assert {outcome.status for outcome in outcomes} <= {Status.ACCEPTED, Status.DUPLICATE}
    assert await persons(writer.stores["cn"]) == {frozenset(("ann", "ben", "clo"))} | {
        frozenset((each,)) for each in ("dan", "eve")
    }


async def test_many_writers_at_once_make_one_chain(writer: Writer) -> None:
    await everybody(writer)
    chain = [merged(a, b, 10) for a, b in pairwise(KEYS)]
    outcomes = await asyncio.gather(*(ingest(writer, [one], "test") for one in (*chain, *reversed(chain))))
    assert {outcome.status for [outcome] in outcomes} == {Status.ACCEPTED, Status.DUPLICATE}
    assert await persons(writer.stores["cn"]) == {frozenset(KEYS)}


async def test_a_person_has_one_national_document(writer: Writer) -> None:
    for key, number in (("ann", "440106198805170029"), ("ben", "440106199001010018"), ("clo", "440106198805170029")):
        document = {"documentType": "NATIONAL_ID", "documentNumber": number} if key != "clo" else {}
        await accept(writer, registered(key, **document))
    before = await everything(writer.stores["cn"])
    refused, fine = await ingest(writer, [merged("ann", "ben", 10), merged("ann", "clo", 10)], "test")
    assert (refused.status, refused.code, refused.field) == (Status.REJECTED, "CLUSTER_TOO_LARGE", "other")
    assert refused.expected is not None
    assert "440106" not in refused.expected
    assert fine.status is Status.ACCEPTED
    after = await everything(writer.stores["cn"])
    ann, ben = sorted({row[0] for row in after["customer"]}, key=by_number)[:2]
    assert {tuple(sorted(row[:2], key=by_number)) for row in after["merge_edge"]} & {(ann, ben)} == set()
    assert {name for name in after if after[name] != before[name]} == {*LATER, "customer"}


async def test_what_is_no_merge_is_refused_and_changes_nothing(writer: Writer) -> None:
    await everybody(writer)
    before = await everything(writer.stores["cn"])
    outcomes = await ingest(
        writer,
        [
            merged("ann", "ann", 10),
            merged("ann", "nobody", 10),
            of("ann", "CustomersMerged", 10, eventId="x"),
            of("ann", "CustomersMerged", 10, eventId="y", other={"number": "12345678"}),
            of("ann", "CustomersMerged", 10, eventId="z", other={"customerId": str(UUID(int=7))}),
        ],
        "test",
    )
    assert codes(outcomes) == ["EVENT_INVALID", "EVENT_INVALID", "EVENT_INVALID", "NUMBER_INVALID", "EVENT_INVALID"]
    assert {outcome.field for outcome in outcomes} == {"other", "other.number"}
    assert await everything(writer.stores["cn"]) == before
