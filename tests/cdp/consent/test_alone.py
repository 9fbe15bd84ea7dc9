"""Words about one number alone: whatever their order of arrival, the same decisions; the end of a holding widens none.

What is read is read through the front door, by every way to the two customers who had the number.
"""

import json
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.app import front_door, prepare, writer_of
from cdp.house import migrate_stores, open_house
from cdp.ingest import Status, ingest
from cdp.settings import Settings
from tests.databases import Server
from tests.schema.world import CARE, World

pytestmark = pytest.mark.asyncio(loop_scope="module")
READ = """query Read($number: String!, $ann: String!, $ben: String!) @purpose(id: "marketing.sms") {
  now: customer(number: $number) { ...C } keeper: customer(number: $number, role: REGISTERED_HOLDER) { ...C }
  early: customer(number: $number, asOf: "2025-03-04T12:00:00Z") { ...C }
  late: customer(number: $number, asOf: "2025-03-09T12:00:00Z") { ...C }
  ann: customer(identifier: { kind: CUSTOMER_KEY, value: $ann }) { ...C }
  ben: customer(identifier: { kind: CUSTOMER_KEY, value: $ben }) { ...C } }
  fragment C on Customer { kind formattedName email }"""
RUN = count(10_000_001)
LAW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(database_server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One for all examples: each has customers and a number of its own."""
    server, home = database_server, Path(tmp_path_factory.mktemp("alone"))
    async with server.database(server.template) as cn, server.database(server.template) as hk:
        settings = Settings(home=home, stores={"cn": cn, "hk": hk}, environment="test", pool_size=2)
        await migrate_stores(settings)
        async with open_house(settings) as house:
            await prepare(house)
            yield World(house, front_door(house))


class Word(NamedTuple):
    """Something one of them said on a day of March 2025."""

    who: str
    day: int
    says: str
    alone: bool
    expires: bool


class Story(NamedTuple):
    """Who said what, how ann's holding ended on the sixth, whether ben has the number from the eighth on."""

    words: list[Word]
    end: str | None
    passed_on: bool

    def events(self, run: int) -> list[dict[str, Any]]:
        """Everything that happened, in its order, to customers and a number of this run."""
        number = f"+86138{run:08}"
        told = [
            event(run, who, "CustomerRegistered", 1, customerKey=f"{who}-{run}", name=who, kind="INDIVIDUAL")
            for who in ("ann", "ben")
        ]
        told.append(event(run, "ann", "NumberActivated", 2, number=number))
        told.append(event(run, "ann", "NumberActivated", 3, number=number, role="REGISTERED_HOLDER"))
        for n, word in enumerate(self.words):
            scope = {"purpose": "marketing.sms", "kind": "SEPARATE"}
            scope |= {"number": number} if word.alone else {}
            scope |= {"expiresAt": "2025-03-20T00:00:00Z"} if word.expires else {}
            told.append(event(run, word.who, f"Consent{word.says}", word.day, **scope) | told_as(run, n, word))
        if self.end is not None:
            operator = {"toOperator": "China Unicom"} if self.end == "NumberPortedOut" else {}
            told.append(event(run, "ann", self.end, 6, number=number, **operator))
        if self.passed_on:
            told.append(event(run, "ben", "NumberReassigned", 8, number=number))
        return sorted(told, key=lambda one: str(one["at"]))


def event(run: int, who: str, name: str, day: int, /, **fields: Any) -> dict[str, Any]:
    head = {"type": name, "eventId": f"{name}-{who}-{day}-{run}", "at": f"2025-03-{day:02}T08:00:00Z"}
    return {**head, "region": "CN-GD", "subject": {"customerKey": f"{who}-{run}"}, **fields}


def told_as(run: int, n: int, word: Word) -> dict[str, str]:
    """No two words have one instant."""
    return {"eventId": f"w-{run}-{n}", "at": f"2025-03-{word.day:02}T09:{n:02}:00Z"}


SAID = st.sampled_from(("Given", "Given", "Withdrawn", "Refused", "Renewed", "Confirmed"))
WORDS = st.one_of(
    st.builds(Word, st.just("ann"), st.integers(3, 5), SAID, st.booleans(), st.booleans()),
    st.builds(Word, st.just("ben"), st.integers(9, 11), SAID, st.booleans(), st.booleans()),
)
STORIES = st.builds(
    Story,
    st.lists(WORDS, min_size=1, max_size=5),
    st.sampled_from((None, "NumberReleased", "NumberPortedOut")),
    st.booleans(),
).map(lambda story: story._replace(words=[w for w in story.words if story.passed_on or w.who == "ann" or not w.alone]))


async def told(world: World, events: list[dict[str, Any]], random: Random | None = None) -> None:
    """Sends the events, in pieces of a random order where one is given, and what was refused again until all is in."""
    waiting = [*events]
    if random is not None:
        random.shuffle(waiting)
    for _ in events:
        refused = []
        while waiting:
            size = random.randint(1, 4) if random else 1
            piece, waiting = waiting[:size], waiting[size:]
            outcomes = await ingest(writer_of(world.house), piece, "test")
            refused += [one for one, outcome in zip(piece, outcomes, strict=True) if outcome.status is Status.REJECTED]
        if not refused:
            return
        waiting = refused
    raise AssertionError("some events are never accepted")


async def decisions(world: World, run: int) -> dict[str, Any]:
    """What each way shows, with the codes of what it withholds."""
    variables = {"number": f"+86138{run:08}", "ann": f"ann-{run}", "ben": f"ben-{run}"}
    answer = json.loads(await world.ask(READ, CARE, variables))
    codes = sorted((".".join(one["path"]), one["code"]) for one in answer["extensions"]["privacy"]["withheld"])
    return {"data": answer["data"], "codes": codes}


def shown(decided: dict[str, Any]) -> set[tuple[str, str]]:
    """(way, name) of who is shown."""
    return {(way, one["formattedName"]) for way, one in decided["data"].items() if one and one["formattedName"]}


@LAW
@given(story=STORIES, random=st.randoms(use_true_random=False))
async def test_the_same_words_and_lives_in_any_order_give_the_same_decisions(
    house: World, story: Story, random: Random
) -> None:
    first, second = next(RUN), next(RUN)
    await told(house, story.events(first))
    await told(house, story.events(second), random)
    assert await decisions(house, second) == await decisions(house, first)


@LAW
@given(story=STORIES.filter(lambda story: story.end is not None))
async def test_the_end_of_a_holding_never_widens(house: World, story: Story) -> None:
    held, ended = next(RUN), next(RUN)
    lasting = story._replace(end=None, passed_on=False, words=[w for w in story.words if w.who == "ann" or not w.alone])
    await told(house, lasting.events(held))
    await told(house, lasting._replace(end=story.end).events(ended))
    before, after = shown(await decisions(house, held)), shown(await decisions(house, ended))
    # By `late`, ann was found on the ninth; once her holding has ended on the sixth, nobody is.
    assert after <= before


async def test_a_word_about_a_number_alone_is_for_that_number_while_it_is_held(house: World) -> None:
    run = next(RUN)
    yes = Story([Word("ann", 4, "Given", alone=True, expires=False)], None, passed_on=False)
    await told(house, yes.events(run))
    assert shown(await decisions(house, run)) == {("now", "ann"), ("early", "ann"), ("late", "ann")}
    await told(house, [event(run, "ann", "NumberReleased", 6, number=f"+86138{run:08}")])
    over = await decisions(house, run)
    assert shown(over) == set()
    assert ("early.formattedName", "CONSENT_EXPIRED") in over["codes"]
    assert ("ann.formattedName", "CONSENT_REQUIRED") in over["codes"]
    await told(house, [event(run, "ben", "NumberReassigned", 8, number=f"+86138{run:08}")])
    after = await decisions(house, run)
    assert shown(after) == set(), "the next holder starts at nothing"
    assert ("now.formattedName", "CONSENT_REQUIRED") in after["codes"]


async def test_who_comes_back_to_a_number_starts_at_nothing_too(house: World) -> None:
    run = next(RUN)
    yes = Story([Word("ann", 4, "Given", alone=True, expires=False)], "NumberReleased", passed_on=False)
    await told(house, [*yes.events(run), event(run, "ann", "NumberActivated", 10, number=f"+86138{run:08}")])
    assert shown(await decisions(house, run)) == set()


async def test_a_no_about_a_number_alone_is_heard_however_one_reads_and_after_its_end(house: World) -> None:
    run = next(RUN)
    words = [
        Word("ann", 3, "Given", alone=False, expires=False),
        Word("ann", 4, "Withdrawn", alone=True, expires=False),
    ]
    await told(house, Story(words, None, passed_on=False).events(run))
    assert shown(await decisions(house, run)) == set()
    await told(house, [event(run, "ann", "NumberReleased", 6, number=f"+86138{run:08}")])
    after = await decisions(house, run)
    assert shown(after) == set()
    assert ("ann.formattedName", "CONSENT_WITHDRAWN") in after["codes"]


async def test_who_gave_a_number_on_and_stays_its_registered_holder_agreed_as_its_user(house: World) -> None:
    run = next(RUN)
    yes = Story([Word("ann", 4, "Given", alone=True, expires=False)], None, passed_on=False)
    await told(house, yes.events(run))
    await told(house, [event(run, "ben", "NumberActivated", 8, number=f"+86138{run:08}")])
    found = await decisions(house, run)
    assert found["data"]["keeper"] is not None
    assert shown(found) == set()


async def test_a_word_about_a_number_that_is_not_the_customers_is_refused(house: World) -> None:
    run = next(RUN)
    await told(house, Story([], "NumberReleased", passed_on=False).events(run))
    number = f"+86138{run:08}"
    late = event(run, "ann", "ConsentGiven", 7, purpose="marketing.sms", number=number)
    strangers = event(run, "ben", "ConsentGiven", 5, purpose="marketing.sms", number=number)
    outcomes = await ingest(writer_of(house.house), [late, strangers], "test")
    assert [(one.status, one.field) for one in outcomes] == [(Status.REJECTED, "number")] * 2
    assert shown(await decisions(house, run)) == set()
