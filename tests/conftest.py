"""One PostgreSQL for the whole run, shared by its workers; a migrated template in it; fresh databases copied from it.

`CDP_TEST_POSTGRES=postgresql://superuser@host/postgres` uses that server instead of the embedded one.
"""

import asyncio
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from hypothesis import HealthCheck
from hypothesis import settings as laws

from cdp.embedded import Embedded
from cdp.settings import Settings
from cdp.stores import Stores, open_stores
from tests.databases import Server, place

# No law is timed; where nobody watches, the same examples are drawn each time.
laws.register_profile(
    "cdp", deadline=None, derandomize=bool(os.environ.get("CI")), suppress_health_check=[HealthCheck.too_slow]
)
laws.load_profile("cdp")

HOME, SERVER = "CDP_TEST_HOME", "CDP_TEST_POSTGRES"


def template_of(home: Path) -> str:
    return f"template_{home.name[-12:]}"


def pytest_configure(config: pytest.Config) -> None:
    # The workers of a run inherit the environment of the process that started them.
    os.environ.setdefault(HOME, str(Path(place(), f"cdp-test-{uuid4().hex[:12]}")))


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        home = Path(os.environ.pop(HOME))
        if outside := os.environ.get(SERVER):
            asyncio.run(Server(outside, template_of(home)).execute(f"DROP DATABASE IF EXISTS {template_of(home)}"))
        Embedded(home).stop()
        shutil.rmtree(home, ignore_errors=True)
        Path(f"{home}.lock").unlink(missing_ok=True)


@pytest.fixture(scope="session")
def administrator() -> Iterator[str]:
    """The URL of a superuser, whom every worker shares."""
    embedded = Embedded(Path(os.environ[HOME]))
    if (url := os.environ.get(SERVER)) is None:
        url = embedded.start(["tests"])["tests"]
        asyncio.run(Server(url, "").wait_for_no_disk())
    yield url
    embedded.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database_server(administrator: str) -> Server:
    home = Path(os.environ[HOME])
    server = Server(administrator, template_of(home))
    handle = os.open(f"{home}.lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    await server.prepare_template()
    os.close(handle)
    return server


@pytest.fixture
async def empty_url(database_server: Server) -> AsyncIterator[str]:
    """The URL of a database with nothing in it."""
    async with database_server.database("template0") as url:
        yield url


@pytest.fixture
async def store_urls(database_server: Server) -> AsyncIterator[dict[str, str]]:
    """Store -> URL of a migrated database of its own, for `cn` and `hk`."""
    template = database_server.template
    async with database_server.database(template) as cn, database_server.database(template) as hk:
        yield {"cn": cn, "hk": hk}


@pytest.fixture
def settings(tmp_path: Path, store_urls: dict[str, str]) -> Settings:
    return Settings(home=tmp_path, stores=store_urls, environment="test", pool_size=4)


@pytest.fixture
async def stores(settings: Settings, store_urls: dict[str, str]) -> AsyncIterator[Stores]:
    stores = await open_stores(settings, store_urls)
    yield stores
    await stores.close()
