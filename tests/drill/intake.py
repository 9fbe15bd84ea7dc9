"""Events from two sources while whoever takes them in is killed: the server, the worker, a loader, the database.

One source is files that `cdp load` takes in, which goes on where it was when it was killed; the other posts to the
server with a write key, and posts again whatever it got no answer to. When all is quiet every good event is there once,
every bad one is in the dead letters once, a month is the sum of its records, and whoever is told by webhooks heard of
every change, in order for each customer.
"""

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from cdp.app import prepare
from cdp.dead_letters import LETTER_INDEX, spelled
from cdp.embedded import Embedded
from cdp.house import House, migrate_stores, open_house
from cdp.seen import EVENT_INDEX
from cdp.serving import free_address
from cdp.settings import Settings
from cdp.write_keys import WriteKey, new_write_key
from tests.cdp.doors import rows
from tests.drill.bars import Found, Site
from tests.drill.hooks import heard_all, hooks
from tests.drill.sources import MAPPING, NOTED, REGION, USED, Event, Load

TOGETHER: Final = 50
FILES_A_KILL: Final = 1 / 20
PEOPLE_SHARE: Final = 0.1
"""Of the kills, those while nobody is known yet."""
LONGEST_BREATH: Final = 4.0
AHEAD: Final = 0.1
"""So much of the kills may come before as much of the load, on however slow a machine."""
ANSWER_SECONDS: Final = 60.0
MOST_TRIES: Final = 100


class Loss(Exception):
    """An event is missing, or counted twice."""


@dataclass
class Stage:
    """Who takes part; any of them may be killed at any time, and comes back."""

    home: Path
    embedded: Embedded
    port: int
    urls: dict[str, str]
    kills: int
    say: Any
    sent: dict[str, float] = field(default_factory=lambda: {"file": 0.0, "post": 0.0})
    """Which share of it each source has sent."""
    killed: Counter[str] = field(default_factory=Counter)
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home, stores=self.urls, environment="test", kms="file:keys")

    async def keep(self, name: str, *words: str) -> None:
        """Starts the server or the worker, again and again."""
        while True:
            await self.run(name, *words)
            await asyncio.sleep(0.2)

    async def run(self, name: str, *words: str) -> int:
        """Runs a command; its exit code."""
        told = {"HOME": self.home, "STORES": json.dumps(self.urls), "ENVIRONMENT": "test", "KMS": "file:keys"}
        told |= {"WEBHOOK_PRIVATE": "true"}
        environment = {**os.environ, **{f"CDP_{key}": str(value) for key, value in told.items()}}
        with (self.home / f"{name}.log").open("ab") as log:
            process = self.running[name] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "cdp", *words), env=environment, stdout=log, stderr=log, start_new_session=True
            )
        return await process.wait()

    async def load(self, file: Path, mapping: Path) -> None:
        """Loads a file; whoever is killed at it, or finds no database, goes on when the same command is given again."""
        for _ in range(MOST_TRIES):
            if await self.run("loader", "load", str(file), "--mapping", str(mapping)) == 0:
                return
            await asyncio.sleep(0.2)
        raise Loss("a file cannot be loaded")

    async def turn(self, share: float) -> None:
        """Waits until so much of the kills is done, so that they come in the middle of the load."""
        await _until(lambda: self.killed.total() >= int(share * self.kills))

    async def kill(self, name: str) -> None:
        """Kills it, and has it come back."""
        self.killed[name] += 1
        if name == "PostgreSQL":
            await asyncio.to_thread(self._kill_postgres)
        else:
            with suppress(ProcessLookupError):
                self.running[name].kill()

    def _kill_postgres(self) -> None:
        place = self.home / "postgres.place"
        seat = Path(place.read_text().strip()) if place.exists() else self.home / "postgres"
        postmaster = psutil.Process(int((seat / "data" / "postmaster.pid").read_text().splitlines()[0]))
        for process in (postmaster, *postmaster.children()):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        self.embedded.start(["cn", "hk"])

    async def murder(self) -> None:
        """All the kills, at random moments, each of somebody who is alive."""
        draw = random.Random()  # noqa: S311 -- no secret
        for n in range(self.kills):
            await _until(lambda share=n / self.kills: min(self.sent.values()) >= share - AHEAD)  # type: ignore[misc]
            await asyncio.sleep(draw.uniform(0, LONGEST_BREATH))
            alive = [name for name, process in self.running.items() if process.returncode is None]
            await self.kill(draw.choice((*alive, "PostgreSQL")))
            self.say(f"kill {n + 1} of {self.kills} after {min(self.sent.values()):.0%}: {dict(self.killed)}")


async def _until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 -- whoever sends, or kills, tells nobody
        await asyncio.sleep(0.05)


async def load_files(stage: Stage, rows: Sequence[Event], files: int, share: tuple[float, float]) -> None:
    """Rows in so many files, from one share of the kills to another."""
    mapping = stage.home / "mapping.toml"
    mapping.write_text(MAPPING)
    begin, end = share
    for n in range(files):
        await stage.turn(begin + n / files * (end - begin))
        file = stage.home / f"rows-{begin}-{n}.ndjson"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows[n::files]))
        await stage.load(file, mapping)
        stage.sent["file"] = begin + (n + 1) / files * (end - begin)


@dataclass
class Post:
    """The source that posts to the server, a few events at a time."""

    stage: Stage
    http: httpx.AsyncClient
    key: str

    async def send(self, events: Sequence[Event], share: tuple[float, float]) -> None:
        """Everything, each part again until there was an answer, from one share of the kills to another."""
        begin, end = share
        for start in range(0, len(events), TOGETHER):
            await self.stage.turn(begin + start / len(events) * (end - begin))
            part = events[start : start + TOGETHER]
            while not await self._post(part):  # noqa: ASYNC110 -- an answer is asked for, nothing waited for
                await asyncio.sleep(0.2)
            self.stage.sent["post"] = begin + min(1, (start + TOGETHER) / len(events)) * (end - begin)

    async def _post(self, events: Sequence[Event]) -> bool:
        """Whether the server says what became of each."""
        body = "".join(json.dumps(one) + "\n" for one in events).encode()
        where = f"http://127.0.0.1:{self.stage.port}/v1/events"
        try:
            answer = await self.http.post(where, content=body, auth=(self.key, ""))
        except (OSError, httpx.HTTPError):
            return False
        if answer.status_code in (429, 503):
            return False
        if answer.status_code != 200 or len(answer.json()["verdicts"]) != len(events):
            wrong = [line for line in (self.stage.home / "server.log").read_text().splitlines() if "INTERNAL" in line]
            raise Loss(f"the server answered {answer.status_code}: {wrong[-1:]}")
        return True


async def kill(site: Site) -> Found:
    """The load with its kills; then everything is counted."""
    home = site.home("intake")
    async with AsyncExitStack() as ending:
        embedded = Embedded(home)
        urls = await asyncio.to_thread(embedded.start, ["cn", "hk"])
        ending.callback(embedded.stop)
        stage = Stage(home, embedded, free_address("127.0.0.1", 0), urls, site.scale.kills, site.say)
        await migrate_stores(stage.settings)
        async with open_house(stage.settings) as house:
            await prepare(house)
            load = Load.drawn(site.scale.events, house.rings["cn"])
            made = await ending.enter_async_context(
                hooks(house, ("NumberActivated", NOTED), ("CustomerRegistered", "NumberActivated"))
            )
            key = await new_write_key(
                house.stores["cn"], WriteKey("drill", REGION, "API", 1_000_000), datetime.now(UTC)
            )
        http = await ending.enter_async_context(httpx.AsyncClient(timeout=ANSWER_SECONDS))
        commands = {"server": ("serve", "--port", str(stage.port)), "worker": ("worker",)}
        kept = [asyncio.create_task(stage.keep(name, *words)) for name, words in commands.items()]
        ending.push_async_callback(_end, stage, kept)
        await _send(stage, Post(stage, http, key), load)
        async with open_house(stage.settings) as house:
            await counted(house, load)
            heard = await heard_all(house, made)
    figure = f"{stage.killed.total()} kills ({_told(stage.killed)}), {load.total:,} events, {len(load.good):,} good and"
    figure += f" {len(load.bad):,} bad ones each there once; webhooks: {heard.figure}"
    return Found(figure, passed=heard.passed)


async def _send(stage: Stage, post: Post, load: Load) -> None:
    files = max(2, int(stage.kills * FILES_A_KILL))
    async with asyncio.TaskGroup() as sending:
        sending.create_task(stage.murder())
        for n, share in enumerate(((0, PEOPLE_SHARE), (PEOPLE_SHARE, 1))):
            async with asyncio.TaskGroup() as part:
                part.create_task(load_files(stage, load.rows[n], files if n else 1, share))
                part.create_task(post.send(load.posts[n], share))


def _told(killed: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in killed.items())


async def _end(stage: Stage, kept: Sequence[asyncio.Task[None]]) -> None:
    for task in kept:
        task.cancel()
    await asyncio.gather(*kept, return_exceptions=True)
    for process in stage.running.values():
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def counted(house: House, load: Load) -> None:
    """Raises Loss where something is not there, or not there once."""
    store, ring = house.stores["cn"], house.rings["cn"]
    _same(
        "events known",
        [ring.digest(EVENT_INDEX, one["eventId"]) for one in load.good],
        await _column(store, "event_seen", "event_tag"),
    )
    _same("events to follow", _ids(load.good), await _column(store, "outbox", "event_id"))
    used = [one for one in load.good if one["type"] == USED]
    _same("records", _ids(used), await _column(store, "usage_record", "event_id"))
    notes = sum(one["type"] == NOTED for one in load.good)
    _same("interactions", [notes], [len(await rows(store, "interaction"))])
    months = sum(await _column(store, "usage_month", "sms_count"))
    _same("what the months add up to", [sum(int(one["quantity"]) for one in used)], [months])
    tags = [ring.digest(LETTER_INDEX, spelled(one)) for one in load.bad]
    _same("dead letters", tags, await _column(store, "dead_letter", "body_tag"))


async def _column(store: Any, table: str, column: str) -> list[Any]:
    return [row[column] for row in await rows(store, table)]


def _ids(events: Iterable[Event]) -> list[str]:
    return [one["eventId"] for one in events]


def _same(what: str, wanted: Iterable[Any], found: Iterable[Any]) -> None:
    missing, extra = Counter(wanted), Counter(found)
    missing, extra = missing - extra, extra - missing
    if missing or extra:
        raise Loss(f"{what}: {missing.total()} missing, {extra.total()} too many")
