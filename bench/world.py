"""The customers everybody is asked about: the demo's world, loaded through `cdp demo`, on the embedded PostgreSQL."""

import asyncio
import random
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.operations import Operation, Person, World
from bench.processes import BenchFailed, Launch, run_quietly, running
from cdp.demo.cast import MAINLAND_NUMBER
from cdp.demo.world import life_of
from cdp.embedded import Embedded
from cdp.house import open_house
from cdp.identity.tables import NUMBER_INDEX
from cdp.settings import Settings
from privacy.keys import KeyRing

__all__ = ["CHECKOUT", "Stage", "cdp_launch", "open_stage"]

CHECKOUT: Final = Path(__file__).parent.parent
STORES: Final = ("cn", "hk")
MONTHS: Final = 6
PEOPLE: Final = 4_000
"""How many different customers are asked for; drawn at random, the same ones in every run."""
SEED: Final = 20261123
LOOK_SECONDS: Final = 2.0

HELD: Final = "SELECT number_tag FROM number_index WHERE number_tag = ANY($1::bytea[])"
LINKED: Final = "SELECT count(*) FROM link WHERE state = 'ACTIVE'"
REGIONS: Final = "SELECT region FROM customer GROUP BY region HAVING count(*) > 50 ORDER BY region"


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everybody performs: the home of keys and databases, the stores' URLs, PostgreSQL, the world, a token."""

    home: Path
    urls: Mapping[str, str]
    postgres: psutil.Process
    world: World
    token: str
    workers: int = 1
    """Processes of each server."""


def cdp_launch(home: Path, *arguments: str) -> Launch:
    """How a command of this product is started on this home."""
    environment = {"CDP_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}
    return Launch([sys.executable, "-m", "cdp", *arguments], environment, CHECKOUT)


@contextmanager
def open_stage(home: Path, customers: int, console: Console) -> Iterator[Stage]:
    """A loaded world while the block runs; what was loaded before is taken as it is."""
    home.mkdir(parents=True, exist_ok=True)
    embedded = Embedded(home)
    urls = embedded.start(STORES)
    try:
        if (home / "loaded").exists():
            console.print(f"{customers:,} customers, as loaded before")
            run_quietly(cdp_launch(home, "migrate"), home / "migrate.log")
        else:
            _load(home, urls, customers, console)
            asyncio.run(_settle(urls))
            (home / "loaded").touch()
        files = [str(CHECKOUT / "bench" / "operations" / f"{Operation.PROFILE}.graphql")]
        run_quietly(cdp_launch(home, "documents", "register", *files), home / "register.log")
        world, postmaster = asyncio.run(_look(home, urls, customers))
        yield Stage(home, urls, psutil.Process(postmaster), world, _token(home))
    finally:
        embedded.stop()


def _token(home: Path) -> str:
    stores = [word for store in STORES for word in ("--store", store)]
    command = cdp_launch(home, "token", "--client", "bench", "--purpose", "service.care", *stores, "--hours", "24")
    return run_quietly(command, home / "token.log").strip()


def _load(home: Path, urls: Mapping[str, str], customers: int, console: Console) -> None:
    """Runs `cdp demo` and shows how far it has come."""
    command = ["demo", "--customers", str(customers), "--months", str(MONTHS), "--once", "--reset"]
    launch = cdp_launch(home, *command)
    bars = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )
    with bars:
        task = bars.add_task("customers loaded through cdp demo", total=customers)
        with running(launch, home / "demo.log") as loading:
            while loading.poll() is None:
                bars.update(task, completed=asyncio.run(_count(urls)))
                time.sleep(LOOK_SECONDS)
        bars.update(task, completed=customers)
    if loading.returncode:
        raise BenchFailed(f"cdp demo failed; see {home / 'demo.log'}")


async def _count(urls: Mapping[str, str]) -> int:
    try:
        return sum([await _value(url, "SELECT count(*) FROM customer") for url in urls.values()])
    except asyncpg.PostgresError:  # the table is about to be made
        return 0


async def _value(url: str, statement: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        found: int = await connection.fetchval(statement)
        return found
    finally:
        await connection.close()


async def _settle(urls: Mapping[str, str]) -> None:
    """What autovacuum would do in its own time, in the middle of a measurement."""
    for url in urls.values():
        connection = await asyncpg.connect(url)
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
        await connection.close()


async def _look(home: Path, urls: Mapping[str, str], customers: int) -> tuple[World, int]:
    """The world as it was loaded, and the process id of PostgreSQL."""
    async with open_house(Settings(home=home, stores=dict(urls))) as house:
        ring = house.rings["cn"]
        drawn = [_person(number, ring) for number in _numbers(customers)]
        connection = await asyncpg.connect(urls["cn"])
        held = {row[0].hex() for row in await connection.fetch(HELD, [bytes.fromhex(one.tag) for one in drawn])}
        regions = tuple([row[0] for row in await connection.fetch(REGIONS)])
        linked = await connection.fetchval(LINKED)
        backend = await connection.fetchval("SELECT pg_backend_pid()")
        postmaster = psutil.Process(backend).ppid()
        await connection.close()
    people = tuple(one for one in drawn if one.tag in held)
    if not people or not regions or not linked:
        raise BenchFailed(f"the world in {home} is not the demo's; remove the folder to load it anew")
    return World(people, (_person(MAINLAND_NUMBER, ring),), regions), postmaster


def _person(number: str, ring: KeyRing) -> Person:
    return Person(number, ring.tag(NUMBER_INDEX, number).hex())


def _numbers(customers: int) -> list[str]:
    """The first numbers of customers of the mainland, drawn at random."""
    chosen = random.Random(SEED).sample(range(customers), min(customers, PEOPLE * 5 // 4))  # noqa: S311 -- the same each time
    found = []
    for n in chosen:
        events: list[dict[str, Any]] = life_of(n, MONTHS, records=False)
        numbers = [event["number"] for event in events if event["type"] == "NumberActivated"]
        found += [number for number in numbers[:1] if number.startswith("+86")]
    return found[:PEOPLE]
