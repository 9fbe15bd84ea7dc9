"""Erasures killed at many points: each has not begun or goes on where it was, and nobody else loses a cell."""

import json
import random
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

from cdp.erasure.sweep import Sweeper
from cdp.ingest import Writer, ingest
from cdp.rights.kept import KEPT, Goes
from cdp.settings import Settings
from cdp.stores import open_stores
from cdp.values import row_id
from tests.cdp.doors import accept, one, open_door, rows
from tests.cdp.erasure.killed import die_in
from tests.cdp.erasure.test_erase import sweeper
from tests.drill.bars import Found, Site
from tests.dying import in_child
from tests.rotating import people, populate, values_of

SWEPT = [name for name, kept in KEPT.items() if kept.goes is Goes.ROWS]
BEGINNING, SWEEPING = 3, 2 * len(SWEPT) + 4
"""Points in the transaction that erases, and in the sweep after it."""


class Loss(Exception):
    """An erasure that was killed took along what it should not, or left what it should have taken."""


async def kill(site: Site) -> Found:
    """One person after the other is erased, killed and finished; each time everything else still opens."""
    home, server = site.home("erasures"), site.server
    drawn, killed, tried, cells = random.Random(), 0, 0, 0  # noqa: S311 -- no secret
    async with AsyncExitStack() as closing:
        urls = {name: await closing.enter_async_context(server.database(server.template)) for name in ("cn", "hk")}
        settings = Settings(home=home, stores=urls, environment="test", pool_size=4, kms="file:keys")
        stores = await open_stores(settings, urls)
        closing.push_async_callback(stores.close)
        writer = await open_door(settings, stores, home)
        await populate(writer)
        async with stores["cn"].transaction() as connection:
            await connection.execute("UPDATE retention_term SET by_law = false")
        sweeps = await sweeper(writer, home)
        closing.push_async_callback(sweeps.trail.close)
        while killed < site.scale.kills and tried < 2 * site.scale.kills:
            tried += 1
            point = ("ingest", drawn.randint(1, BEGINNING)) if tried % 4 == 0 else ("sweep", drawn.randint(1, SWEEPING))
            dead, cells = await erased((writer, sweeps), settings, tried, point)
            killed += dead
            site.say(f"erasure {tried}: {point[0]} at {point[1]}, {killed} killed so far, {cells} cells of others")
    return Found(f"{killed} kills, {cells} cells of others, 0 lost", passed=killed == site.scale.kills)


async def erased(doors: tuple[Writer, Sweeper], settings: Settings, n: int, point: tuple[str, int]) -> tuple[bool, int]:
    """Whether it was killed at the point, and how many cells others have. Raises Loss."""
    writer, sweeps = doors
    store, key = writer.stores["cn"], {"customerKey": f"P-{100_000 + n}"}
    outcomes = await accept(writer, *people(100_000 + n, 1))
    customer_id = outcomes[0].customer_id
    assert customer_id is not None
    order = step(key, customer_id, "IN_PROGRESS")
    opened = {**step(key, customer_id, "OPENED"), "type": "PrivacyRequestOpened", "requestRef": "D", "kind": "ERASURE"}
    opened = {name: value for name, value in opened.items() if name not in ("requestId", "state")}
    await accept(writer, opened, step(key, customer_id, "VERIFIED"))
    mine, everybody = {customer_id}, await values_of(settings, store)
    others = {name: value for name, value in everybody.items() if customer_id not in name}
    if point[0] == "ingest":
        dead = await in_child(die_in, settings, *point, json.dumps(order))
        begun = bool(await rows(store, "erasure", f"customer_id = '{customer_id}'"))
        if begun == dead or (not begun and await values_of(settings, store) != everybody):
            raise Loss("an erasure was half done")
    await ingest(writer, [order], "drill")
    held = {name: len(await rows(store, name, f"customer_id = '{customer_id}'")) for name in SWEPT}
    if point[0] == "sweep":
        dead = await in_child(die_in, settings, *point, "null")
    if await values_of(settings, store, mine) != others:
        raise Loss("somebody else lost something")
    await finished(writer, sweeps, customer_id, held)
    if await values_of(settings, store) != others:
        raise Loss("somebody else lost something")
    return dead, len(others)


async def finished(writer: Writer, sweeps: Sweeper, customer_id: UUID, held: dict[str, int]) -> None:
    """Goes on with the sweep, and looks at what it certifies."""
    store, mine = writer.stores["cn"], f"customer_id = '{customer_id}'"
    await sweeps.sweep()
    certified = json.loads((await one(store, "erasure", mine))["certificate"])["certificate"]["rows"]
    left = {name: len(await rows(store, name, mine)) for name in SWEPT}
    if (await one(store, "customer", mine))["state"] != "ERASED" or any(left.values()):
        raise Loss("somebody was not erased")
    if any(certified.get(name, 0) < number for name, number in held.items()):
        raise Loss("a certificate leaves out what went")
    if customer_id not in {line.customer_id for line in sweeps.ledger.lines()}:
        raise Loss("the ledger does not know")


def step(key: dict[str, str], customer_id: UUID, state: str) -> dict[str, Any]:
    event_id = f"{customer_id} {state}"
    head = {"type": "PrivacyRequestAdvanced", "eventId": event_id, "at": "2026-03-20T00:00:00Z", "region": "CN-GD"}
    return head | {"subject": key, "requestId": str(row_id(customer_id, "privacyRequest", "D")), "state": state}
