"""The sweep: after their journeys the planted values are looked for wherever they might have been left behind.

The databases of the sweep log all that PostgreSQL can log: every statement with every value bound to it.
"""

import io
import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
import structlog

from cdp.logs import configure_logs
from tests.canaries.journeys import Answers, Journeys
from tests.canaries.plants import plants, sought_of, values_of
from tests.databases import Server
from tests.journeys.forms import Sought
from tests.journeys.processes import ran
from tests.journeys.world import World, open_world

TALKATIVE: Final = {
    "log_statement": "all",
    "log_min_duration_statement": "0",
    "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "-1",
    "log_min_error_statement": "debug5",
    "log_min_messages": "info",
    "log_error_verbosity": "verbose",
}
# From here on no checkpoint takes a segment away, until the slot goes.
KEEP: Final = "SELECT lsn::text FROM pg_create_physical_replication_slot($1, immediately_reserve => true)"
PAGE: Final = 8192
SEGMENTS: Final = """
SELECT file.name FROM pg_ls_waldir() AS file WHERE file.name BETWEEN pg_walfile_name($1::text::pg_lsn)
    AND pg_walfile_name(pg_current_wal_lsn()) ORDER BY file.name
"""


@dataclass(frozen=True)
class Loud(Server):
    """A server whose databases log all they can."""

    settings: tuple[tuple[str, str], ...] = tuple(TALKATIVE.items())

    @asynccontextmanager
    async def database(self, template: str) -> AsyncIterator[str]:
        async with super().database(template) as url:
            for name, value in self.settings:
                await self.execute(f"ALTER DATABASE {url.split('?')[0].rpartition('/')[2]} SET {name} = '{value}'")
            yield url


@contextmanager
def everything_logged() -> Iterator[io.StringIO]:
    """What this process logs, at the level that logs most."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers, root.level
    configure_logs("DEBUG", stream)
    try:
        yield stream
    finally:
        root.handlers = handlers
        root.setLevel(level)
        structlog.reset_defaults()


@dataclass
class Swept:
    """A world after the journeys. `begun` is the place in the write-ahead log, `logged` in the server's log, where they
    began.
    """

    world: World
    journeys: Journeys
    lines: io.StringIO
    log: Path
    begun: str
    logged: int

    @property
    def sought(self) -> Sought:
        return sought_of(self.journeys.planted)

    @property
    def values(self) -> int:
        return len(values_of(self.journeys.planted))

    async def found(self) -> dict[str, list[str]]:
        """Place -> the values that were found there."""
        sought, found = self.sought, self._answered()
        async for place, content in self._places():
            found.setdefault(place, []).extend(sought.found_in(content))
        return found

    def _answered(self) -> dict[str, list[str]]:
        """Values in answers that may not hold them."""
        answers: Answers = self.journeys.answers
        sought, found = self.sought, list[str]()
        for whose, kept in answers.kept.items():
            own = set(whose.sought.found_in(kept.getvalue())) if whose else set()
            found += [value for value in sought.found_in(kept.getvalue()) if value not in own]
        return {"answers": found}

    async def _places(self) -> AsyncIterator[tuple[str, bytes]]:
        yield "log of the process", self.lines.getvalue().encode()
        yield "log of cdp serve", (self.journeys.folder / "served").read_bytes()
        yield "what was printed", self.journeys.printed.getvalue().encode()
        yield "meters", (await self.world.http.get("/metrics")).content
        yield "log of PostgreSQL", self.log.read_bytes()[self.logged :]
        for file in sorted(one for one in self.world.house.settings.home.rglob("*") if one.is_file()):
            # A message is for the customer alone: what an operator's gateway is told, a laptop keeps as a file.
            if file.parent.name != "messages":
                yield "files of the home", file.read_bytes()
        for name, url in (self.world.house.settings.stores or {}).items():
            yield f"dump of {name}", await ran("pg_dump", url)
            async for place, content in self._files(url):
                yield place, content

    async def _files(self, url: str) -> AsyncIterator[tuple[str, bytes]]:
        """The files of a database, and of the write-ahead log."""
        connection = await asyncpg.connect(url)
        try:
            await connection.execute("CHECKPOINT")
            data = Path(await connection.fetchval("SHOW data_directory"))
            own = await connection.fetchval("SELECT oid FROM pg_database WHERE datname = current_database()")
            segments = [row["name"] for row in await connection.fetch(SEGMENTS, self.begun)]
        finally:
            await connection.close()
        for file in sorted((data / "base" / str(own)).iterdir()):
            yield "data files", file.read_bytes()
        for segment in segments if url == min((self.world.house.settings.stores or {}).values()) else ():
            yield "write-ahead log", unpaged((data / "pg_wal" / segment).read_bytes())


def unpaged(segment: bytes) -> bytes:
    """The records of a segment without the heads of its pages, which would cut a value in two."""
    pages = (segment[start : start + PAGE] for start in range(0, len(segment), PAGE))
    return b"".join(page[40 if number == 0 else 24 :] for number, page in enumerate(pages))


@asynccontextmanager
async def swept(server: Server, home: Path, values: int, log: Path) -> AsyncIterator[Swept]:
    """A world in which so many values went on all journeys; `log` is the log of the server, on this machine."""
    loud = Loud(server.administrator, server.template)
    folder, logged = home / "made", log.stat().st_size  # noqa: ASYNC240 -- nobody waits
    folder.mkdir(parents=True)
    connection = await asyncpg.connect(server.administrator)
    slot = f"sweep_{uuid.uuid4().hex}"
    begun = await connection.fetchval(KEEP, slot)
    try:
        with everything_logged() as lines:
            async with open_world(loud, home, webhook_private=True) as world:
                journeys = Journeys(world, loud, plants(values), folder)
                await journeys.all()
                yield Swept(world, journeys, lines, log, begun, logged)
    finally:
        await connection.execute("SELECT pg_drop_replication_slot($1)", slot)
        await connection.close()
