"""The demo world into the stores, through the write door like everything else; then its stories."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cdp.app import writer_of
from cdp.bulk import seldom_collected
from cdp.changes import write
from cdp.demo.catalogue import tariff_rows
from cdp.demo.plays import Stage, play_a, play_b
from cdp.demo.stories import desk_of, invite
from cdp.demo.world import Event, customer_key, life_of
from cdp.house import House
from cdp.identity.resolve import Tags
from cdp.ingest import BATCH, Status, Writer, ingest
from cdp.stores import Store

SOURCE: Final = "demo"
MOST_WITH_RECORDS: Final = 20_000
"""In a larger world nobody has single calls and sessions: months tell enough, and load in half the time."""
LOOKED_UP: Final = 10_000
COUNTRIES: Final = ("CN", "HK")

KNOWN = "SELECT identifier_tag FROM identifier_index WHERE identifier_tag = ANY($1::bytea[]) AND kind = 'customerKey'"


async def run_demo(house: House, customers: int, months: int, console: Console, port: int = 8000) -> None:
    """Loads what is missing of a world of so many customers and months, and tells its stories.

    A customer who is there already is left as they are. `port` is where the printed command will look for the server.
    Raises RequestInvalid where no store keeps the mainland or Hong Kong.
    """
    stores = {country: house.settings.store_of(country) for country in COUNTRIES}
    writer = writer_of(house)
    for country, name in stores.items():
        async with house.stores[name].transaction() as connection:
            await write(connection, tariff_rows(country))
    refused = Counter[str]()
    missing = await _missing(writer, range(customers))
    if missing:
        with seldom_collected(), _bar(console) as bar:
            task = bar.add_task(f"{months} months of customers", total=len(missing))
            for done, events in _chunks(missing, months, records=customers <= MOST_WITH_RECORDS):
                refused += await _send(writer, events)
                bar.advance(task, done)
    console.print(f"The stores hold the demo world: {customers:,} customers" + (", as before." if not missing else "."))
    for code, count in refused.items():
        console.print(f"{count:,} events were refused: {code}. They lie in the dead letters.", style="yellow")
    if not missing:
        console.print("The stories were played before: what follows is how they ended.")
    desk = desk_of(house)
    stage = Stage(house, desk, console)
    await play_b(stage)
    await play_a(stage)
    invite(house, desk, console, port)


async def _missing(writer: Writer, numbers: Sequence[int]) -> list[int]:
    """The customers of the world whom no store has. A life is committed at once: nobody is there by half."""
    missing = []
    for start in range(0, len(numbers), LOOKED_UP):
        some = numbers[start : start + LOOKED_UP]
        there: set[int] = set()
        for name, store in writer.stores.items():
            tags = Tags(writer.rings[name])
            there |= await _known(store, {tags.of("customerKey", customer_key(n), None): n for n in some})
        missing += [n for n in some if n not in there]
    return missing


async def _known(store: Store, tags: dict[bytes, int]) -> set[int]:
    async with store.read() as connection:
        return {tags[row[0]] for row in await connection.fetch(KNOWN, list(tags))}


def _chunks(numbers: Iterable[int], months: int, *, records: bool) -> Iterator[tuple[int, list[Event]]]:
    """Whole lives, as many as go through the door at once, with their number."""
    lives, events = 0, list[Event]()
    for n in numbers:
        life = life_of(n, months, records=records)
        if events and len(events) + len(life) > BATCH:
            yield lives, events
            lives, events = 0, []
        lives, events = lives + 1, events + life
    if events:
        yield lives, events


async def _send(writer: Writer, events: Sequence[Event]) -> Counter[str]:
    """How many of the events were refused, by reason."""
    outcomes = await ingest(writer, events, SOURCE)
    return Counter(outcome.code or "" for outcome in outcomes if outcome.status is Status.REJECTED)


def _bar(console: Console) -> Progress:
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *times, console=console)
