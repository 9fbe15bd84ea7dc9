"""Events from two sources while whoever takes them in is killed: the server, the worker, a feed, the database.

One source is a feed that goes through the door itself, the other sends to a server over HTTP. Each sends again whatever
it got no answer to. When all is quiet every good event is there once, every bad one is in the dead letters once, a
month is the sum of its records, and whoever is told by webhooks heard of every change, in order for each customer.
"""

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx
import psutil

from cdp.app import prepare, writer_of
from cdp.auth import Caller, issue_token
from cdp.dead_letters import LETTER_INDEX, spelled
from cdp.embedded import Embedded
from cdp.errors import Unavailable
from cdp.house import House, migrate_stores, open_house
from cdp.ingest import ingest
from cdp.seen import EVENT_INDEX
from cdp.serving import free_address
from cdp.settings import Settings
from tests.cdp.doors import rows
from tests.drill.bars import Found, Site
from tests.drill.hooks import heard_all, hooks
from tests.dying import FORKS

Event: TypeAlias = dict[str, Any]

TOGETHER: Final = 200
DUPLICATES, BAD = 0.05, 0.02
AT: Final = datetime.now(UTC).replace(microsecond=0) - timedelta(days=60)
"""Not so long ago that the worker deletes what is over its term."""
DESK: Final = Caller("feed", purposes=frozenset({"service.care"}), stores=("cn",), actor="feed")
MUTATION: Final = 'mutation($events: [Event!]!) @purpose(id: "service.care") { ingest(events: $events) { status } }'
ANSWER_SECONDS: Final = 60.0
NOT_YET: Final = (OSError, TimeoutError, httpx.HTTPError, Unavailable)


class Loss(Exception):
    """An event is missing, or counted twice."""


def _event(name: str, event_id: str, minute: int, subject: dict[str, str], /, **said: Any) -> Event:
    at = (AT + timedelta(minutes=minute)).isoformat()
    return {"type": name, "eventId": event_id, "at": at, "region": "CN-GD", "subject": subject, **said}


def people(source: str, count: int) -> list[Event]:
    """Customers with a number each, those of one source; what is said of them later comes after."""
    made = []
    for n in range(count):
        key = {"customerKey": f"{source}-{n}"}
        made.append(_event("CustomerRegistered", f"{source}r{n}", 0, key, name=f"Person {n}", kind="INDIVIDUAL"))
        made.append(_event("NumberActivated", f"{source}n{n}", 1, key, number=_number(source, n)))
    return made


def _number(source: str, n: int) -> str:
    return f"+8613{'8' if source == 'A' else '9'}{n:08}"


def said(source: str, persons: int, count: int, draw: random.Random) -> tuple[list[Event], list[Event]]:
    """Good events about them, and bad ones."""
    good, bad = list[Event](), list[Event]()
    for n in range(count):
        subject = {"number": _number(source, draw.randrange(persons))}
        used = {"usageType": "SMS", "units": "messages", "quantity": str(draw.randint(1, 9))}
        if draw.random() < BAD:
            wrong: Event = draw.choice(
                [
                    {"units": "hours"},
                    {"quantity": "many"},
                    {"at": "2099-01-01T00:00:00Z"},
                    {"subject": {"customerKey": "nobody"}},
                    {"subject": {"number": "12"}},
                ]
            )
            bad.append(_event("UsageRecorded", f"{source}b{n}", 9, subject, **used) | wrong)
        elif n % 10:
            other = {"counterparty": _number(source, n % persons)} if n % 3 else {}
            good.append(_event("UsageRecorded", f"{source}u{n}", draw.randrange(9, 40_000), subject, **used, **other))
        else:
            noted = {"interactionRef": f"I{n}", "channel": "APP", "direction": "INBOUND", "reason": "top-up"}
            good.append(_event("InteractionLogged", f"{source}i{n}", n % 40_000 + 9, subject, **noted))
    return good, bad


@dataclass
class Load:
    """What the sources send: the first part before the second, each in a place of its own."""

    first: dict[str, list[Event]]
    second: dict[str, list[Event]]
    good: list[Event]
    bad: list[Event]

    @classmethod
    def drawn(cls, count: int) -> "Load":
        """So many events, of which some come twice, from the other source too, and some are wrong."""
        draw = random.Random()  # noqa: S311 -- no secret
        persons = max(20, count // 100)
        first = {source: people(source, persons) for source in ("A", "B")}
        good, bad, second = [one for some in first.values() for one in some], list[Event](), dict[str, list[Event]]()
        each = int((count / (1 + DUPLICATES) - len(good)) / 2)
        for source in first:
            mine, wrong = said(source, persons, each, draw)
            good, bad, second[source] = good + mine, bad + wrong, mine + wrong
        for source in first:
            second[source] = second[source] + draw.sample(good + bad, int(count / 2 * DUPLICATES))
            draw.shuffle(second[source])
        return cls(first, second, good, bad)


@dataclass
class Stage:
    """Who takes part; any of them may be killed at any time, and comes back."""

    home: Path
    embedded: Embedded
    port: int
    urls: dict[str, str]
    say: Any
    acknowledged: int = 0
    killed: Counter[str] = field(default_factory=Counter)
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home, stores=self.urls, environment="test", kms="file:keys")

    async def keep(self, name: str) -> None:
        """Starts the server or the worker, again and again: also when it ended because the database was away."""
        while True:
            await self._begin(name)
            await self.running[name].wait()
            await asyncio.sleep(0.2)

    async def _begin(self, name: str) -> None:
        words = ("serve", "--port", str(self.port)) if name == "server" else ("worker",)
        told = {"HOME": self.home, "STORES": json.dumps(self.urls), "ENVIRONMENT": "test", "KMS": "file:keys"}
        told |= {"WEBHOOK_PRIVATE": "true"}
        environment = {**os.environ, **{f"CDP_{key}": str(value) for key, value in told.items()}}
        with (self.home / f"{name}.log").open("ab") as log:
            self.running[name] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "cdp", *words), env=environment, stdout=log, stderr=log, start_new_session=True
            )

    async def kill(self, name: str) -> None:
        """Kills it, and has it come back."""
        self.killed[name] += 1
        if name == "PostgreSQL":
            await asyncio.to_thread(self._kill_postgres)
        elif name != "feed":
            with suppress(ProcessLookupError):
                self.running[name].kill()
        else:
            FEED.kill()

    def _kill_postgres(self) -> None:
        place = self.home / "postgres.place"
        seat = Path(place.read_text().strip()) if place.exists() else self.home / "postgres"
        postmaster = psutil.Process(int((seat / "data" / "postmaster.pid").read_text().splitlines()[0]))
        for process in (postmaster, *postmaster.children()):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        self.embedded.start(["cn", "hk"])


class Feed:
    """The process that goes through the door itself, a batch at a time."""

    def __init__(self) -> None:
        self._process: Any = None

    def kill(self) -> None:
        """As the kernel does it."""
        if self._process is not None and self._process.is_alive():
            self._process.kill()

    async def send(self, stage: Stage, events: Sequence[Event]) -> None:
        """Returns when the process said that all are taken in; raises OSError where it did not come to that."""
        self._process = FORKS.Process(target=feed, args=(stage.settings.model_dump(exclude_defaults=True), events))
        self._process.start()
        await asyncio.to_thread(self._process.join)
        if self._process.exitcode != 0:
            raise OSError("the feed was killed, or the database was")


FEED: Final = Feed()


def feed(settings: dict[str, Any], events: Sequence[Event]) -> None:
    """In the process: through the door, or an end with another exit code than 0."""

    async def through() -> None:
        async with open_house(Settings(**settings)) as house:
            await ingest(writer_of(house), events, "A")

    asyncio.run(through())


class Post:
    """The source that sends to the server."""

    def __init__(self, stage: Stage, http: httpx.AsyncClient) -> None:
        self._http, self._where = http, f"http://127.0.0.1:{stage.port}/graphql"
        settings = stage.settings
        token = issue_token(settings.home, DESK, issuer=settings.token_issuer, audience=settings.token_audience)
        self._headers = {"authorization": f"Bearer {token}"}

    async def send(self, _: Stage, events: Sequence[Event]) -> None:
        """Returns when the server answered; raises OSError where it did not, or could not take them in."""
        body = {"query": MUTATION, "variables": {"events": events}}
        answer = await self._http.post(self._where, json=body, headers=self._headers)
        if answer.status_code != 200 or answer.json().get("errors"):
            raise OSError("the server could not")


async def sent(stage: Stage, source: Feed | Post, events: Sequence[Event], together: int) -> None:
    """Everything, each part again until there was an answer."""
    for start in range(0, len(events), together):
        part = events[start : start + together]
        while True:
            try:
                await source.send(stage, part)
            except NOT_YET:
                await asyncio.sleep(0.2)
            else:
                break
        stage.acknowledged += len(part)


async def murder(stage: Stage, total: int, kills: int) -> None:
    """So many kills, each when so much of the load was acknowledged."""
    draw = random.Random()  # noqa: S311 -- no secret
    for n, due in enumerate(sorted(draw.randrange(total) for _ in range(kills)), 1):
        while stage.acknowledged < due:  # noqa: ASYNC110 -- whoever sends tells nobody
            await asyncio.sleep(0.05)
        await asyncio.sleep(draw.random() / 2)
        await stage.kill(draw.choice(("server", "worker", "feed", "PostgreSQL")))
        stage.say(f"kill {n} of {kills} after {stage.acknowledged:,} events: {dict(stage.killed)}")


async def kill(site: Site) -> Found:
    """The load with its kills; then everything is counted."""
    home, load = site.home("intake"), Load.drawn(site.scale.events)
    async with AsyncExitStack() as ending:
        embedded = Embedded(home)
        urls = await asyncio.to_thread(embedded.start, ["cn", "hk"])
        ending.callback(embedded.stop)
        stage = Stage(home, embedded, free_address("127.0.0.1", 0), urls, site.say)
        await migrate_stores(stage.settings)
        async with open_house(stage.settings) as house:
            await prepare(house)
            made = await ending.enter_async_context(hooks(house, "NumberActivated", "InteractionLogged"))
        http = await ending.enter_async_context(httpx.AsyncClient(timeout=ANSWER_SECONDS))
        post = Post(stage, http)
        kept = [asyncio.create_task(stage.keep(name)) for name in ("server", "worker")]
        ending.push_async_callback(_end, stage, kept)
        total = sum(len(some) for part in (load.first, load.second) for some in part.values())
        killing = asyncio.create_task(murder(stage, total, site.scale.kills))
        for part in (load.first, load.second):
            await asyncio.gather(sent(stage, FEED, part["A"], 10 * TOGETHER), sent(stage, post, part["B"], TOGETHER))
        await killing
        async with open_house(stage.settings) as house:
            await counted(house, load)
            heard = await heard_all(house, made)
    figure = f"{stage.killed.total()} kills of {len(stage.killed)} kinds, {total:,} events, {len(load.good):,} good and"
    figure += f" {len(load.bad):,} bad ones each there once; webhooks: {heard.figure}"
    return Found(figure, passed=heard.passed and stage.killed.total() == site.scale.kills)


async def _end(stage: Stage, kept: Sequence[asyncio.Task[None]]) -> None:
    FEED.kill()
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
    used = [one for one in load.good if one["type"] == "UsageRecorded"]
    _same("records", _ids(used), await _column(store, "usage_record", "event_id"))
    notes = sum(one["type"] == "InteractionLogged" for one in load.good)
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
