"""Servers killed at many points of writing down and sequencing: no gap, no fork, no answer that is not in the trail.

Whoever got an answer tells its audit id at once. What was told has to be in the trail after the kill.
"""

import asyncio
import json
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from multiprocessing.connection import Connection as Pipe
from typing import Any
from uuid import UUID

from cdp import app
from cdp.app import front_door
from cdp.audited import verify
from cdp.errors import Unavailable
from cdp.exchange import GraphqlRequest
from cdp.house import House, open_house
from cdp.proofs import newest_checkpoint
from cdp.sequencer import extend_tree
from cdp.settings import Settings
from cdp.stores import Connection, Line, Store
from schema.answers import FrontDoor
from schema.declaration import declare, graphql_schema
from schema.plan.document import Documents
from tests.cdp.test_sequencer import gone_over
from tests.drill.bars import Found, Site
from tests.dying import FORKS
from tests.journeys.world import APP, HONG_KONG_NUMBER, MAINLAND_NUMBER, PROFILE, World, open_world

SHALLOWEST, DEEPEST = 1, 240
READERS = 6
SCHEMA = graphql_schema(declare())
"""Made once, and not in every server that is killed."""
TOLD = "SELECT entry_id FROM audit_entry WHERE entry_id = ANY($1::uuid[])"


async def kill(site: Site) -> Found:
    """One server after the other; after each kill whatever it had told is looked for."""
    drawn, answers, notes = random.Random(), 0, dict[str, list[str]](cn=[], hk=[])  # noqa: S311 -- no secret
    async with open_world(site.server, site.home("sequences"), kms="file:keys") as world:
        for n in range(1, site.scale.kills + 1):
            told = await killed(world.house.settings, drawn.randint(SHALLOWEST, DEEPEST))
            if missing := len(set(told) - await written(world, told)):
                return Found(f"{missing} answers are not in the trail", passed=False)
            answers += len(told)
            for name, store in world.house.stores.items():
                async with store.read() as connection:
                    notes[name] += filter(None, [await newest_checkpoint(connection)])
            site.say(f"server {n} killed: {answers} answers so far, all of them in the trail")
        wrong, size = await gaps(world, notes)
    figure = f"{n} kills, {answers:,} answers, 0 unlogged; {size:,} entries in the tree, {len(wrong)} gaps or forks"
    return Found(figure, passed=not wrong and answers > 0)


async def gaps(world: World, notes: dict[str, list[str]]) -> tuple[list[str], int]:
    """What does not fit once all entries have their place, and how many they are."""
    wrong, size = list[str](), 0
    for name, store in world.house.stores.items():
        ring = world.house.rings[name]
        while await extend_tree(store, ring):
            pass
        done, waiting = await gone_over(store, ring, kept=sorted(set(notes[name])))
        async with store.read() as connection:
            chains = await verify(connection)
        wrong += [*done.problems, *map(str, chains.breaks), *["an entry waits"] * waiting]
        wrong += [] if done.size == chains.entries else ["the tree lacks entries"]
        size += done.size
    return wrong, size


async def written(world: World, told: Sequence[UUID]) -> set[UUID]:
    found = set[UUID]()
    for store in world.house.stores.values():
        async with store.read() as connection:
            found |= {row[0] for row in await connection.fetch(TOLD, told)}
    return found


async def killed(settings: Settings, die_at: int) -> list[UUID]:
    """The audit ids that a server told before it was killed at a step."""
    ours, theirs = FORKS.Pipe(duplex=False)
    child = FORKS.Process(target=serve_in_child, args=(settings.model_dump(exclude_defaults=True), die_at, theirs))
    child.start()
    theirs.close()
    told = await asyncio.to_thread(_all_of, ours)
    await asyncio.to_thread(child.join)
    assert child.exitcode == -signal.SIGKILL, child.exitcode
    return told


def _all_of(pipe: Pipe) -> list[UUID]:
    told = []
    try:
        while True:
            told.append(UUID(bytes=pipe.recv_bytes()))
    except (EOFError, OSError):
        return told


def serve_in_child(settings: dict[str, Any], die_at: int, told: Pipe) -> None:
    """Answers and sequences until it is killed: before or after a statement that writes entries, or a transaction."""
    steps = count(1)

    def step() -> None:
        if next(steps) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    fetch: Callable[..., Awaitable[Any]] = Line.fetch
    begun = Store.transaction

    async def deadly_fetch(self: Line, *given: object) -> Any:
        step()
        rows = await fetch(self, *given)
        step()
        return rows

    @asynccontextmanager
    async def deadly_transaction(self: Store) -> AsyncIterator[Connection]:
        step()
        async with begun(self) as connection:
            yield connection
            step()
        step()

    async def serve() -> None:
        async with open_house(Settings(**settings)) as house:
            Line.fetch, Store.transaction = deadly_fetch, deadly_transaction  # type: ignore[method-assign, assignment]  # they are what has to die
            front = front_door(house)
            await asyncio.gather(*(read(front, told) for _ in range(READERS)), sequence(house))

    app._documents = lambda: Documents(SCHEMA)
    asyncio.run(serve())


async def read(front: FrontDoor, told: Pipe) -> None:
    for n in count():
        number = (MAINLAND_NUMBER, HONG_KONG_NUMBER)[n % 2]
        try:
            answer = await front.answer(GraphqlRequest(PROFILE, variables={"number": number}), APP)
        except Unavailable:
            continue  # nobody was told anything
        told.send_bytes(UUID(json.loads(answer.body)["extensions"]["privacy"]["auditId"]).bytes)


async def sequence(house: House) -> None:
    while True:
        for name, store in house.stores.items():
            with suppress(Unavailable):
                await extend_tree(store, house.rings[name])
        await asyncio.sleep(0.002)
