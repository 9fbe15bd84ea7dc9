"""Databases for tests: made in a moment as copies of a migrated template, gone with the test."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

from cdp.migrate import upgrade

MEMORY, ROOM_BYTES = Path("/dev/shm"), 4 << 30  # noqa: S108 - a name that nobody can guess is made in it


def place() -> str:
    """Where the server of a run lives: a database is copied for nearly every test, twice as fast where no disk is."""
    usable = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    return str(MEMORY) if usable else tempfile.gettempdir()


@dataclass(frozen=True)
class Server:
    """Where databases are made; `administrator` is the URL of a superuser, `template` the migrated database."""

    administrator: str
    template: str

    def url(self, database: str) -> str:
        """Where `database` is."""
        return urlsplit(self.administrator)._replace(path=f"/{database}").geturl()

    async def execute(self, statement: str) -> str:
        """Runs one statement as the superuser, outside any transaction, and returns its tag."""
        connection = await asyncpg.connect(self.administrator)
        try:
            return str(await connection.execute(statement))
        finally:
            await connection.close()

    async def wait_for_no_disk(self) -> None:
        """Nothing here has to outlive the machine: a database is made and dropped without a sync."""
        for setting in ("fsync", "full_page_writes"):
            await self.execute(f"ALTER SYSTEM SET {setting} = off")
        await self.execute("SELECT pg_reload_conf()")

    async def prepare_template(self) -> None:
        """Migrates the template once; callers hold the lock of the run."""
        if (await self.execute(f"SELECT FROM pg_database WHERE datname = '{self.template}'")) == "SELECT 0":
            await self.execute(f"CREATE DATABASE {self.template}_unfinished")
            await upgrade(self.url(f"{self.template}_unfinished"))
            await self.execute(f"ALTER DATABASE {self.template}_unfinished RENAME TO {self.template}")

    @asynccontextmanager
    async def database(self, template: str) -> AsyncIterator[str]:
        """The URL of a fresh copy of `template`, dropped at the end."""
        name = f"t_{uuid4().hex}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            await self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @asynccontextmanager
    async def away(self, url: str) -> AsyncIterator[None]:
        """While the block runs nobody can connect to the database at `url`, and those who were are not."""
        name = urlsplit(url).path[1:]
        await self.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await self.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")
        await self.execute(f'ALTER DATABASE "{name}" RENAME TO "{name}_away"')
        await self.execute(f'ALTER DATABASE "{name}_away" ALLOW_CONNECTIONS true')
        try:
            yield
        finally:
            await self.execute(f'ALTER DATABASE "{name}_away" RENAME TO "{name}"')
