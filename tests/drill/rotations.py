"""Keys are rotated: killed at many points, and a big store while it is read."""

import asyncio
import json
import os
import random
import sys
import time
from typing import Any

from cdp.app import writer_of
from cdp.ingest import Status, ingest
from cdp.settings import Settings
from cdp.stores import open_stores
from tests.cdp.doors import open_door
from tests.drill.bars import Found, Site
from tests.journeys.world import APP, World, open_world
from tests.rotating import KINDS, drill, people, points, populate

DEEPEST = 40
TOGETHER = 10_000
MOST_SECONDS = 300
READ = """
query Read($number: String!) @purpose(id: "service.care") {
  customer(number: $number) { formattedName holdings(first: 4) { number } accounts(first: 4) { accountNo } }
}
"""


async def kill(site: Site) -> Found:
    """Rotations killed one after the other, in one store; each is finished before the next one."""
    home, server = site.home("rotations"), site.server
    async with server.database(server.template) as cn, server.database(server.template) as hk:
        settings = Settings(home=home, stores={"cn": cn, "hk": hk}, environment="test", pool_size=4, kms="file:keys")
        stores = await open_stores(settings, {"cn": cn, "hk": hk})
        writer = await open_door(settings, stores, home)
        await populate(writer)
        killed = 0
        for n, (kind, die_at) in enumerate(points(10 * site.scale.kills, DEEPEST, seed=int(time.time())), 1):
            before, between, after, dead = await drill(settings, stores["cn"], kind, die_at)
            if not before == between == after:
                return Found(f"{kind} killed at step {die_at}: something was lost", passed=False)
            await ingest(writer, people(1000 * n, 1), "drill")
            killed += dead
            site.say(f"{kind} at {die_at}: {killed} killed so far, {len(after.values)} cells")
            if killed == site.scale.kills:
                break
        await stores.close()
    return Found(f"{killed} kills, {len(after.values)} cells, 0 lost", passed=killed == site.scale.kills)


async def rekey(site: Site) -> Found:
    """Every rotation of a big store, timed while it is read."""
    count, cells, seconds, reads, failed = site.scale.people, site.scale.cells, dict[str, float](), 0, 0
    async with open_world(site.server, site.home("rekey")) as world:
        await _load(world, count)
        site.say(f"{count:,} people, {cells:,} cells loaded")
        for kind in KINDS:
            began = time.monotonic()
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "cdp", "keys", f"rotate-{kind}", "--store", "cn"),
                env=_environment(world.house.settings),
                stdout=asyncio.subprocess.DEVNULL,
            )
            ended = asyncio.create_task(child.wait())
            while not ended.done():
                failed += not await _reads(world, random.randint(1, count))  # noqa: S311 -- no secret
                reads += 1
            seconds[kind] = time.monotonic() - began
            site.say(
                f"rotate-{kind}: {seconds[kind]:.1f} s, exit {await ended}, {reads:,} reads so far, {failed} failed"
            )
            failed += await ended != 0
    parts = ", ".join(f"{kind} {took:.0f}" for kind, took in seconds.items())
    total = sum(seconds.values())
    return Found(
        f"{cells:,} cells in {total:.0f} s ({parts}), {reads:,} reads, {failed} failed",
        passed=failed == 0 and total < MOST_SECONDS,
    )


async def _load(world: World, count: int) -> None:
    for first in range(1, count + 1, TOGETHER):
        events = people(first, min(TOGETHER, count + 1 - first))
        outcomes = await ingest(writer_of(world.house), events, "drill")
        assert all(one.status is Status.ACCEPTED for one in outcomes), "people were refused"


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
