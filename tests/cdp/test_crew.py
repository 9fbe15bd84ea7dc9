"""Several processes at the door do what one does: nothing that belongs together is parted, nothing is done twice."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.app import writer_of
from cdp.crew import deal, open_crew, open_door, packed, unpacked
from cdp.errors import StoreUnavailable
from cdp.house import House
from cdp.ingest import Outcome, Status, ingest
from cdp.stores import Store
from tests.cdp.doors import codes, empty, everything, rows
from tests.cdp.samples import OTHER, SAMPLES, event


def life(n: int) -> list[dict[str, Any]]:
    """A customer, and what is said of them by their key, their number and their account."""
    key, number, account = {"customerKey": f"C-{n}"}, f"+86138{n:08}", f"A-{n}"
    opened = {"accountNo": account, "ratingType": "PREPAID", "currency": "CNY"}
    used = {"usageType": "SMS", "units": "messages", "quantity": "2"}
    return [
        event("CustomerRegistered", 1, key, eventId=f"r-{n}", name=f"Person {n}", kind="INDIVIDUAL"),
        event("NumberActivated", 2, key, eventId=f"n-{n}", number=number),
        event("AccountOpened", 2, key, eventId=f"a-{n}", **opened),
        event("UsageRecorded", 3, {"number": number}, eventId=f"u-{n}", **used),
        event("BalanceReported", 4, {"accountNo": account}, eventId=f"b-{n}", accountNo=account, balance=MONEY),
        event("UsageRecorded", 3, {"number": "+8613900000000"}, eventId=f"x-{n}", **used),
    ]


MONEY = {"value": "5.00", "unit": "CNY"}


BEGAN = datetime.now(UTC)


async def told(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """What a store holds, whenever it was written down."""
    held = await everything(store)
    return {
        name: sorted((tuple(None if _now(value) else value for value in row) for row in some), key=repr)
        for name, some in held.items()
    }


def _now(value: object) -> bool:
    return isinstance(value, datetime) and value > BEGAN


async def test_several_processes_do_what_one_does(house: House) -> None:
    events: list[Any] = [OTHER, *SAMPLES.values(), *(body for n in range(40) for body in life(n)), {}, None]
    store, again = house.stores["cn"], [*events[::-1], *events[::3]]
    alone = [await ingest(writer_of(house), events, "test"), await ingest(writer_of(house), again, "test")]
    wanted = await told(store)
    await empty(store)
    async with open_crew(house, 3) as crew:
        together = [await crew.finish(crew.begin(some), "test") for some in (events, again)]
    assert [[one.status for one in some] for some in together] == [[one.status for one in some] for some in alone]
    assert [codes(some) for some in together] == [codes(some) for some in alone]
    assert await told(store) == wanted
    assert len(await rows(store, "dead_letter")) == 42


@pytest.mark.parametrize("processes", [1, 2])
async def test_what_is_begun_is_taken_in_in_its_turn_or_not_at_all(house: House, processes: int) -> None:
    first, second = life(1)[:3], [*life(1)[3:5], *life(2)[:3]]
    async with open_door(house, writer_of(house), processes) as door:
        begun = [door.begin(some) for some in (first, second, life(3)[:3])]
        taken = [await door.finish(one, "test") for one in begun[:2]]
    assert [codes(some) for some in taken] == [[None] * len(first), [None] * len(second)]
    assert len(await rows(house.stores["cn"], "outbox")) == len(first) + len(second)


async def test_a_process_that_died_is_told_and_the_same_events_go_in_afterwards(house: House) -> None:
    events = [body for n in range(20) for body in life(n)[:5]]
    async with open_crew(house, 2) as crew:
        first = crew.members[0].process
        first.kill()
        first.join()
        with pytest.raises(StoreUnavailable):
            await crew.finish(crew.begin(events), "test")
    async with open_crew(house, 2) as crew:
        assert set(codes(await crew.finish(crew.begin(events), "test"))) == {None}
    assert len(await rows(house.stores["cn"], "outbox")) == len(events)


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=2)), st.integers(1, 4))
def test_what_shares_a_name_stays_together_and_in_order(named: list[list[int]], processes: int) -> None:
    events = [{"subject": {"customerKey": str(names[0])}, "number": str(names[-1])} for names in named]
    shares = deal(events, processes)
    assert sorted(place for share in shares for place, _ in share) == list(range(len(events)))
    where = dict[int, int]()
    for number, share in enumerate(shares):
        assert [place for place, _ in share] == sorted(place for place, _ in share)
        for place, body in share:
            assert body is events[place]
            assert {where.setdefault(name, number) for name in named[place]} == {number}


@given(st.lists(st.builds(Outcome, st.sampled_from(Status), st.none() | st.uuids(), *[st.none() | st.text()] * 4)))
def test_outcomes_come_through_the_line_as_they_are(outcomes: list[Outcome]) -> None:
    assert unpacked(packed(outcomes)) == outcomes
