"""The ways of the planted values through the house: put in by every door, read, refused, failed, exported, erased.

Whatever is answered on the way is kept by `Answers`: `may_hold` says whose values those answers may hold just then.
"""

import asyncio
import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console
from rich.progress import Progress

from cdp.app import courier_of
from cdp.archive import export
from cdp.export import export_log
from cdp.ingest import EVENTS
from cdp.load import Task, load_file
from cdp.mapping import read_mapping
from cdp.officer.exports import QUESTIONS, What
from cdp.worker import evidence_jobs, jobs, privacy_jobs, work_once
from privacy.vocabulary import PURPOSES
from tests.canaries.plants import CSV_HEAD, MAPPING, REFUSALS, Plant
from tests.databases import Server
from tests.journeys.processes import served
from tests.journeys.test_requests import OFFICER, advanced, opened
from tests.journeys.test_webhooks import Receiver, add, told
from tests.journeys.world import APP, PARTNER, PROFILE, World

AT_ONCE: Final = 50
PURPOSE: Final = '@purpose(id: "service.care")'
INGEST: Final = f"mutation In($events: [Event!]!) {PURPOSE} {{ ingest(events: $events) {{ status code field }} }}"
LOG: Final = f"""
mutation Log($input: InteractionInput!) {PURPOSE} {{
  logInteraction(input: $input) {{ outcome {{ status }} customer {{ interactions(first: 1) {{ note }} }} }}
}}"""
CASE: Final = f"""
mutation Open($input: CaseInput!) {PURPOSE} {{
  openCase(input: $input) {{ outcome {{ status }} customer {{ cases(first: 1) {{ description }} }} }}
}}"""
LINK: Final = f"""
mutation Link($number: String!, $other: String!) {PURPOSE} {{
  proposeLink(number: $number, otherNumber: $other) {{ outcome {{ status code field expected }} token expiresAt }}
}}"""
ALL: Final = f"""
query All($number: String!) {PURPOSE} {{
  customer(number: $number) {{
    formattedName email address birthDate holdings {{ number sim {{ iccid }} }} accounts {{ accountNo }}
    usage(first: 5) {{ edges {{ node {{ counterparty }} }} }} topUps {{ number }}
    interactions {{ note }} cases {{ description }}
  }}
}}"""
TOLD: Final = f"""
query Told($id: ID!) {PURPOSE} {{
  customer(id: $id) {{ formattedName email address holdings {{ number }} interactions(first: 1) {{ note }} }}
}}"""
LONG: Final = 120.0
"""Seconds: nobody is timed here."""
OTHERWISE: Final = ("marketing.sms", "insight.profiling", "partner.share")
"""Purposes for which nobody here has said yes: what is read for them is withheld or masked."""
ANYTHING: Final = APP._replace(client="anything", purposes=frozenset(PURPOSES))


@dataclass
class Answers:
    """Everything that was answered, by whose values it may hold (None: nobody's)."""

    kept: dict[Plant | None, io.BytesIO] = field(default_factory=dict)
    whose: Plant | None = None
    count: int = 0

    async def keep(self, response: httpx.Response) -> None:
        await response.aread()
        self.note(str(response.headers).encode() + response.content)

    def note(self, content: bytes) -> None:
        self.count += 1
        self.kept.setdefault(self.whose, io.BytesIO()).write(content + b"\n")

    @contextmanager
    def may_hold(self, plant: Plant) -> Iterator[None]:
        self.whose = plant
        yield
        self.whose = None


@dataclass
class Journeys:
    """`folder` is where files are made on the way; `printed` is what commands told."""

    world: World
    server: Server
    planted: Sequence[Plant]
    folder: Path
    answers: Answers = field(default_factory=Answers)
    printed: io.StringIO = field(default_factory=io.StringIO)

    async def all(self) -> None:
        self.world.http.event_hooks = {"response": [self.answers.keep]}
        await self.world.register(ALL, *(for_purpose(ALL, purpose) for purpose in OTHERWISE))
        await self.sown()
        await self.loaded()
        for plant in self.planted:
            await self.read(plant)
            await misused(self.world, plant)
        await self.failed()
        await self.hooked()
        await self.asked_about()
        await self.left_alone()
        await self.another_process()

    async def sown(self) -> None:
        """Events that are taken in and events that are refused, and what a desk writes down."""
        for what, status in ((Plant.events, "ACCEPTED"), (Plant.refused, "REJECTED"), (Plant.refused, "REJECTED")):
            events = [one for plant in self.planted for one in what(plant)]
            for first in range(0, len(events), AT_ONCE):
                done = await self.world.ask(INGEST, events=events[first : first + AT_ONCE])
                assert {one["status"] for one in done["data"]["ingest"]} == {status}, done
        for plant in self.planted:
            subject = {"subject": {"number": plant.numbers[0]}, "channel": "APP"}
            said = subject | {"direction": "INBOUND", "reason": "top-up", "note": plant.texts["note"]}
            with self.answers.may_hold(plant):
                noted = await self.world.ask(LOG, input=said)
                fault = subject | {"ticketType": "fault", "description": plant.texts["case"]}
                case = await self.world.ask(CASE, input=fault)
            assert noted["data"]["logInteraction"]["customer"]["interactions"] == [{"note": plant.texts["note"]}]
            assert case["data"]["openCase"]["customer"]["cases"] == [{"description": plant.texts["case"]}]

    async def loaded(self) -> None:
        """A file, most of which does not fit its mapping."""
        file, mapping = self.folder / "people.csv", self.folder / "people.toml"
        file.write_text(CSV_HEAD + "".join(line for plant in self.planted for line in plant.lines()))
        mapping.write_text(MAPPING)
        with Progress(console=Console(file=self.printed)) as progress:
            loaded = await load_file(self.world.house, file, Task(read_mapping(str(mapping), EVENTS)), progress)
        self.printed.write(str(loaded))
        counts, refused = loaded.counts, loaded.rejects
        assert counts["accepted"] == len(self.planted) * 2
        assert counts["rows refused"] == len(self.planted) * 2
        assert await self.world.rows("dead_letter") == (REFUSALS + 2) * len(self.planted)
        # What was refused is beside the file as it was in it, for its owner alone.
        assert refused is not None
        assert all(plant.texts["name"] in refused.read_text() for plant in self.planted)
        refused.unlink()
        file.unlink()

    async def read(self, plant: Plant) -> None:
        """What is there is read by whoever may, and by nobody else: that it is not found below says something."""
        with self.answers.may_hold(plant):
            found = (await self.world.ask(ALL, number=plant.numbers[0]))["data"]["customer"]
        assert (found["formattedName"], found["email"]) == (plant.texts["name"], plant.texts["email"])
        assert found["address"] == plant.texts["address"]
        assert found["holdings"] == [{"number": plant.numbers[0], "sim": {"iccid": plant.texts["iccid"]}}]
        assert found["accounts"] == [{"accountNo": plant.texts["account"]}]
        assert found["usage"]["edges"] == [{"node": {"counterparty": plant.numbers[1]}}]
        assert found["topUps"] == [{"number": plant.numbers[2]}]
        await self.world.ask(ALL, PARTNER, number=plant.numbers[0])
        for purpose in OTHERWISE:
            for caller in (ANYTHING, PARTNER):
                told = await self.world.ask(for_purpose(ALL, purpose), caller, number=plant.numbers[0])
                assert told["extensions"]["privacy"]["withheld"]
        for number in plant.numbers[1:4]:
            assert (await self.world.ask(ALL, number=number))["data"] == {"customer": None}

    async def failed(self) -> None:
        """Stores that are away, and statements that the server refuses."""
        urls = self.world.house.settings.stores or {}
        for name, plant in (("hk", self.planted[1]), ("cn", self.planted[0])):
            asked = {"query": ALL, "variables": {"number": plant.numbers[0]}}
            taken = {"query": INGEST, "variables": {"events": [*plant.events(), *plant.refused()]}}
            async with self.server.away(urls[name]):
                for body in (asked, taken):
                    await self.world.post(body)
        for table, body in (("account", asked), ("audit_entry", asked), ("dead_letter", taken), ("event_seen", taken)):
            await self.renamed(table, "lost")
            response = await self.world.post(body)
            assert response.status_code >= 500, response.text
            await self.renamed("lost", table)

    async def renamed(self, table: str, name: str) -> None:
        for store in self.world.house.stores.values():
            async with store.transaction() as connection:
                await connection.execute(f"ALTER TABLE {table} RENAME TO {name}")

    async def hooked(self) -> None:
        """Webhooks: the operator's own is told what it may be, a partner's nothing of anybody."""
        own, partner, house = Receiver(), Receiver(), self.world.house
        async with AsyncExitStack() as closing:
            for receiver, entity, source in (
                (own, "SELF", TOLD),
                (partner, "ACME", for_purpose(TOLD, "partner.share")),
            ):
                server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
                closing.callback(server.close)
                receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
                await add(self.world, receiver, entity, source=source)
            courier = courier_of(house)
            closing.push_async_callback(courier.close)
            for n, plant in enumerate(self.planted[:2], 1):
                said = {
                    "subject": {"number": plant.numbers[0]},
                    "channel": "APP",
                    "direction": "INBOUND",
                    "reason": "hook",
                }
                with self.answers.may_hold(plant):
                    await self.world.ask(LOG, input=said | {"note": plant.texts["note"]})
                    await told(self.world, courier, partial(heard, own, n))
                    headers, body = own.tried[-1]
                    self.answers.note(str(headers).encode() + body)
                assert plant.sought.found_in(body)
        for headers, body in partner.tried:
            self.answers.note(str(headers).encode() + body)

    async def asked_about(self) -> None:
        """Officers' questions, archives, an erasure with its certificate, and the trail as files."""
        since = datetime.now(UTC) - timedelta(days=1)
        mainland, hong_kong, erased = self.planted[:3]
        await self.world.post(
            {"query": LINK, "variables": {"number": mainland.numbers[0], "other": hong_kong.numbers[0]}}
        )
        for plant in (mainland, hong_kong):
            who = {"who": {"number": plant.numbers[0]}, "skip": 0, "from": since.isoformat()}
            for what, region in ((What.TIMELINE, None), (What.ACCESS, None), (What.PROCESSING, plant.region)):
                names = [name for name in (*who, "region") if f"${name}:" in QUESTIONS[what]]
                asked = {name: (who | {"region": region})[name] for name in names}
                await self.world.ask(QUESTIONS[what], OFFICER, **asked)
            request, file = await opened(self.world, "ACCESS", plant.numbers[0]), self.folder / f"{plant.n}.zip"
            with self.answers.may_hold(plant):
                await advanced(self.world, request, "VERIFIED")
            self.printed.write(await export(self.world.house, request, file))
            with self.answers.may_hold(plant), zipfile.ZipFile(file) as archive:
                content = b"".join(archive.read(name) for name in archive.namelist())
                self.answers.note(content)
            assert len(plant.sought.found_in(content)) > 8
            file.unlink()
        request = await opened(self.world, "ERASURE", erased.numbers[0])
        with self.answers.may_hold(erased):
            await advanced(self.world, request, "VERIFIED", "IN_PROGRESS")

    async def left_alone(self) -> None:
        """What a worker does, and the trail as files."""
        house = self.world.house
        todo = (*jobs(), *evidence_jobs(house), *privacy_jobs(house))
        assert [await work_once(house.stores.values(), todo) for _ in range(2)] == [0, 0]
        for name, store in house.stores.items():
            async with store.read() as connection:
                await export_log(connection, self.folder / "log" / name)
                kept = await connection.fetch("SELECT certificate FROM erasure WHERE finished_at IS NOT NULL")
            for [certificate] in kept:
                self.answers.note(str(certificate).encode())
        assert (await self.world.http.get("/audit/cn/checkpoint")).status_code == 200

    async def another_process(self) -> None:
        """The server as an operator runs it, telling as much as it can."""
        with (self.folder / "served").open("wb") as log:
            async with served(self.world, log.fileno(), LOG_LEVEL="DEBUG") as url:
                hooks = {"response": [self.answers.keep]}
                async with httpx.AsyncClient(base_url=url, event_hooks=hooks, timeout=LONG) as http:
                    world = World(self.world.house, http)
                    for plant in self.planted[:2]:
                        await self.read_there(world, plant)
                    await http.get("/metrics")
        assert b'"level"' in (self.folder / "served").read_bytes()

    async def read_there(self, world: World, plant: Plant) -> None:
        with self.answers.may_hold(plant):
            found = (await world.ask(ALL, number=plant.numbers[0]))["data"]["customer"]
        assert found["formattedName"] == plant.texts["name"]
        await world.ask(ALL, PARTNER, number=plant.numbers[0])
        done = await world.ask(INGEST, events=list(plant.refused()))
        assert {one["status"] for one in done["data"]["ingest"]} == {"REJECTED"}
        await misused(world, plant)


def heard(receiver: Receiver, count: int) -> bool:
    return len(receiver.taken) == count


def for_purpose(document: str, purpose: str) -> str:
    return document.replace("service.care", purpose)


async def misused(world: World, plant: Plant) -> None:
    """Requests that are refused, with values in every place that has room for one."""
    number, text = plant.numbers[3], plant.texts["name"]
    for body in (
        {"query": f'{{ customer(number: "{number}") {{ {text} }} }}'},
        {"query": f"{{ customer(number: {number[1:]}) {{ id }} }}"},
        {"query": f'{{ customers(where: {{ email: "{plant.texts["email"]}" }}) {{ edges {{ cursor }} }} }}'},
        {"query": PROFILE, "operationName": text, "variables": {"number": number}},
        {"query": PROFILE, "variables": {"number": [number, text]}},
        {"query": PROFILE, "variables": {"number": plant.texts["email"]}},
        {"documentId": number, "extensions": {text: number}},
        {"query": PROFILE.replace("service.care", number), "variables": {"number": number}},
    ):
        for caller in (APP, PARTNER):
            assert (await world.post(body, caller)).status_code >= 400
    await world.post(f'{{"query": "{text}'.encode(), authorization=f"Bearer {number}", accept=text.encode().hex())
    await world.http.get("/graphql", params={"query": number, text: number}, headers={"accept": "application/json"})
    await world.http.get(f"/{number}", headers={"x-number": number})
