"""Costs that should stay flat: the profile and the look-up of a number among more and more customers, and a hot
document among many others.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Final, TypeAlias

import asyncpg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.clones import Cloner, number_of
from bench.contestants import FLOOR, OURS
from bench.fallback import read_answer, requests_of
from bench.operations import Dialect, Operation, Person, World, document_text, request_bodies
from bench.players import Player, Team
from bench.results import Measurement
from bench.schedule import Plan, Turn
from bench.world import Stage, open_stage
from cdp.house import open_house
from cdp.identity.tables import NUMBER_INDEX
from cdp.settings import Settings

__all__ = ["Crowd", "Growth", "Scale", "measure_scale"]

FIRST: Final = 10_000
PEOPLE: Final = 4_000
SEED: Final = 20261125
CLONED: Final = "SELECT number_tag FROM number_index WHERE number_tag = ANY($1::bytea[])"
SENDERS: Final = 4
HEADINGS: Final = (
    "customers",
    "conn.",
    "database",
    "p50 ms",
    "x first",
    "p99 ms",
    "lookup p50",
    "x first",
    "floor p50",
    "req/s",
    "CPU us",
    "worker",
)


Turns: TypeAlias = dict[tuple[Operation, str], list[Measurement]]


@dataclass(frozen=True, slots=True)
class Scale:
    """What is asked for: how many customers (rising), how many different documents, and how it is measured."""

    sizes: Sequence[int]
    documents: int
    plan: Plan


@dataclass(frozen=True, slots=True)
class Growth:
    """The profile among so many customers, and `lookup`, which only finds one by number; latencies in milliseconds, CPU
    in microseconds a request.
    """

    customers: int
    connections: int
    database_bytes: int
    p50_ms: float
    p99_ms: float
    lookup_p50_ms: float
    floor_p50_ms: float
    per_second: float
    server_cpu_us: float
    postgres_cpu_us: float
    worker_bytes: int


@dataclass(frozen=True, slots=True)
class Crowd:
    """A hot document before and after so many others were asked for; memory of the worker in bytes."""

    documents: int
    p50_before_ms: float
    p50_after_ms: float
    bytes_before: int
    bytes_after: int


def measure_scale(home: Path, scale: Scale, console: Console) -> tuple[list[Growth], Crowd]:
    """Grows one world step by step and measures at each; raises BenchFailed when somebody answers wrongly."""
    grown: list[Growth] = []
    with open_stage(home / "world-scale", min(scale.sizes[0], FIRST), console) as stage:
        for size in scale.sizes:
            grown += _measured(_among(stage, size, console), size, scale, console)
        crowd = _crowded(stage, scale, console)
    return grown, crowd


def _among(stage: Stage, size: int, console: Console) -> Stage:
    """The stage once it has so many customers, some of them to be asked for."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console) as bars:
        task = bars.add_task("customers of the store cn", total=size)
        people = asyncio.run(_grown(stage, size, lambda have: bars.update(task, completed=have)))
        bars.update(task, completed=size)
    return replace(stage, world=World(people or stage.world.people, stage.world.linked, stage.world.regions))


async def _grown(stage: Stage, size: int, tell: Any) -> tuple[Person, ...]:
    async with open_house(Settings(home=stage.home, stores=dict(stage.urls))) as house:
        ring = house.rings["cn"]
        connection = await asyncpg.connect(stage.urls["cn"])
        before: int = await connection.fetchval("SELECT count(*) FROM customer")
        async for have in Cloner(connection, ring).grow(size):
            tell(have)
        if before < size:
            await connection.execute("VACUUM ANALYZE")
            await connection.execute("CHECKPOINT")
        # Not every row that was cloned is a number's: of those drawn, the ones that are.
        drawn = Random(SEED).choices(range(size * 12), k=PEOPLE * 10)  # noqa: S311 -- the same each time
        tags = {ring.tag(NUMBER_INDEX, number_of(n)): number_of(n) for n in drawn}
        held = [row[0] for row in await connection.fetch(CLONED, [*tags])]
        await connection.close()
    return tuple(Person(tags[tag], tag.hex()) for tag in held[:PEOPLE])


def _measured(stage: Stage, size: int, scale: Scale, console: Console) -> Iterator[Growth]:
    with ExitStack() as ending:
        team = Team(stage, [Operation.PROFILE, Operation.LOOKUP])
        team.start([OURS, FLOOR], None, ending)
        console.print(f"{size:,} customers: {team.check()} answers agree with the floor's")
        for connections in scale.plan.connections:
            turns: Turns = {(Operation.PROFILE, OURS): [], (Operation.PROFILE, FLOOR): [], (Operation.LOOKUP, OURS): []}
            for number in range(scale.plan.rounds):
                for (operation, name), mine in turns.items():
                    mine.append(team.measure(Turn(number, operation, connections, name), scale.plan.seconds))
            yield _growth(stage, size, connections, turns, team.players[OURS])


def _growth(stage: Stage, size: int, connections: int, turns: Turns, player: Player) -> Growth:
    ours = turns[Operation.PROFILE, OURS]
    return Growth(
        size,
        connections,
        asyncio.run(_size_of(stage.urls["cn"])),
        median(one.load.p50 for one in ours),
        median(one.load.p99 for one in ours),
        median(one.load.p50 for one in turns[Operation.LOOKUP, OURS]),
        median(one.load.p50 for one in turns[Operation.PROFILE, FLOOR]),
        median(one.per_second for one in ours),
        median(one.server_cpu for one in ours),
        median(one.postgres_cpu for one in ours),
        player.process.memory_info().rss,
    )


async def _size_of(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        found: int = await connection.fetchval("SELECT pg_database_size(current_database())")
        return found
    finally:
        await connection.close()


def _crowded(stage: Stage, scale: Scale, console: Console) -> Crowd:
    """One worker asked for the profile, then for many documents it never saw, then for the profile again."""
    with ExitStack() as ending:
        team = Team(stage, [Operation.PROFILE])
        team.start([OURS], None, ending)
        player, turn = team.players[OURS], Turn(0, Operation.PROFILE, 1, OURS)
        before = team.measure(turn, scale.plan.seconds).load.p50, player.process.memory_info().rss
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=console) as bars:
            task = bars.add_task("documents the worker never saw", total=scale.documents)
            bodies = _documents(stage.world, scale.documents)
            asyncio.run(_send(player, bodies, lambda: bars.advance(task)))
        after = team.measure(turn, scale.plan.seconds).load.p50, player.process.memory_info().rss
    return Crowd(scale.documents, before[0], after[0], before[1], after[1])


def _documents(world: World, count: int) -> Iterator[bytes]:
    """Bodies of requests whose documents differ in an alias."""
    asked = json.loads(request_bodies(Operation.LOOKUP, Dialect.CDP, world)[0])
    text = document_text(Operation.LOOKUP)
    for n in range(count):
        yield json.dumps(asked | {"query": text.replace("customer(", f"c{n}: customer(")}).encode()


async def _send(player: Player, bodies: Iterator[bytes], told: Any) -> None:
    async def sender() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", player.port)
        with closing(writer):
            for body in bodies:
                writer.write(requests_of(player.url(Operation.LOOKUP), [body], player.token)[0])
                assert await read_answer(reader), "a small document is answered"
                told()

    await asyncio.gather(*(sender() for _ in range(SENDERS)))


def tables_of(grown: Sequence[Growth], crowd: Crowd) -> list[Table]:
    """What was measured, for a terminal."""
    table = Table(title="profile and lookup - among more and more customers", title_justify="left", title_style="bold")
    for number, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    first = {one.connections: one for one in reversed(grown)}
    for one in grown:
        table.add_row(
            f"{one.customers:,}",
            str(one.connections),
            f"{one.database_bytes / 1e9:,.1f} GB",
            f"{one.p50_ms:.2f}",
            f"{one.p50_ms / first[one.connections].p50_ms:.2f}",
            f"{one.p99_ms:.2f}",
            f"{one.lookup_p50_ms:.2f}",
            f"{one.lookup_p50_ms / first[one.connections].lookup_p50_ms:.2f}",
            f"{one.floor_p50_ms:.2f}",
            f"{one.per_second:,.0f}",
            f"{one.server_cpu_us:,.0f} + {one.postgres_cpu_us:,.0f}",
            f"{one.worker_bytes / 1e6:,.0f} MB",
        )
    other = Table(title="a hot document among others", title_justify="left", title_style="bold")
    for heading in ("documents", "p50 before", "p50 after", "worker before", "worker after"):
        other.add_column(heading, justify="right", no_wrap=True)
    other.add_row(
        f"{crowd.documents:,}",
        f"{crowd.p50_before_ms:.2f} ms",
        f"{crowd.p50_after_ms:.2f} ms",
        f"{crowd.bytes_before / 1e6:,.0f} MB",
        f"{crowd.bytes_after / 1e6:,.0f} MB",
    )
    return [table, other]


def told(grown: Sequence[Growth], crowd: Crowd) -> dict[str, Any]:
    """What was measured, for JSON."""
    return {"growth": [asdict(one) for one in grown], "crowd": asdict(crowd)}
