"""One world for all tests that only read, and fresh ones for those that write."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.databases import Server
from tests.schema.reference import Reference
from tests.schema.world import World, open_world


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(database_server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """For reading only."""
    async with open_world(database_server, tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def fresh_world(database_server: Server, tmp_path: Path) -> AsyncIterator[World]:
    """For a test that changes it."""
    async with open_world(database_server, tmp_path) as world:
        yield world


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def reference(world: World) -> Reference:
    """The other way of reading the same world."""
    return Reference(world.house)
