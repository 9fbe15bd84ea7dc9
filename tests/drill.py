"""Drills that take too long for every day: `make drill`, or `python -m tests.drill kill 200`, `... rekey 50000`.

kill N    rotations killed at N points; after each kill and each end every cell opens to what it was, and everybody is
          found
rekey N   N people (six cells each): every rotation timed, in a process of its own, while another reads
"""

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cdp.app import writer_of
from cdp.embedded import Embedded
from cdp.ingest import Status, ingest
from cdp.settings import Settings
from cdp.stores import open_stores
from tests.cdp.doors import open_door
from tests.databases import Server
from tests.journeys.world import APP, World, open_world
from tests.rotating import KINDS, drill, people, points, populate

DEEPEST = 40
TOGETHER = 10_000
READ = """
query Read($number: String!) @purpose(id: "service.care") {
  customer(number: $number) { formattedName holdings(first: 4) { number } accounts(first: 4) { accountNo } }
}
"""


async def kill(server: Server, home: Path, count: int) -> None:
    """Rotations killed one after the other, in one store."""
    async with server.database(server.template) as cn, server.database(server.template) as hk:
        settings = Settings(home=home, stores={"cn": cn, "hk": hk}, environment="test", pool_size=4, kms="file:keys")
        stores = await open_stores(settings, {"cn": cn, "hk": hk})
        writer = await open_door(settings, stores, home)
        await populate(writer)
        killed = 0
        for n, (kind, die_at) in enumerate(points(count, DEEPEST, seed=int(time.time())), 1):
            before, between, after, dead = await drill(settings, stores["cn"], kind, die_at)
            if not before == between == after:
                raise SystemExit(f"{kind} killed at step {die_at}: something was lost")
            await ingest(writer, people(1000 * n, 1), "drill")
            killed += dead
            _say(f"{n} of {count}: {kind} at {die_at}, {killed} killed so far, {len(after.values)} cells, 0 lost")
        await stores.close()


async def rekey(server: Server, home: Path, count: int) -> None:
    """Every rotation of a big store, timed while it is read."""
    async with open_world(server, home) as world:
        began = time.monotonic()
        for first in range(1, count + 1, TOGETHER):
            events = people(first, min(TOGETHER, count + 1 - first))
            outcomes = await ingest(writer_of(world.house), events, "drill")
            if any(one.status is not Status.ACCEPTED for one in outcomes):
                raise SystemExit("people were refused")
        _say(f"{count:,} people, {count * 6:,} cells loaded in {time.monotonic() - began:.0f} s")
        for kind in KINDS:
            began = time.monotonic()
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "cdp", "keys", f"rotate-{kind}", "--store", "cn"),
                env=_environment(world.house.settings),
                stdout=asyncio.subprocess.DEVNULL,
            )
            ended = asyncio.create_task(child.wait())
            reads, failed = 0, 0
            while not ended.done():
                failed += not await _reads(world, random.randint(1, count))  # noqa: S311 -- no secret
                reads += 1
            seconds = time.monotonic() - began
            _say(f"rotate-{kind}: {seconds:.1f} s, exit {await ended}, {reads:,} reads meanwhile, {failed} failed")


async def _reads(world: World, n: int) -> bool:
    answer: dict[str, Any] = await world.ask(READ, APP, number=f"+86138{n:08}")
    want = {
        "formattedName": f"Person {n}",
        "holdings": [{"number": f"+86138{n:08}"}],
        "accounts": [{"accountNo": f"AC-{n}"}],
    }
    return bool(answer["data"]["customer"] == want)


def _environment(settings: Settings) -> dict[str, str]:
    given = {"HOME": settings.home, "STORES": json.dumps(settings.stores), "ENVIRONMENT": settings.environment}
    return {**os.environ, **{f"CDP_{name}": str(value) for name, value in given.items()}}


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 -- told to whoever drills


@asynccontextmanager
async def _server(home: Path) -> AsyncIterator[Server]:
    embedded = Embedded(home)
    server = Server(embedded.start(["drill"])["drill"], "template_drill")
    try:
        await server.prepare_template()
        yield server
    finally:
        embedded.stop()


async def main(what: str, count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="cdp-drill-") as folder:
        async with _server(Path(folder, "postgres")) as server:
            await {"kill": kill, "rekey": rekey}[what](server, Path(folder, "home"), count)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
