"""A world of its own for each test that changes it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.databases import Server
from tests.journeys.world import World, open_world


@pytest.fixture
async def world(database_server: Server, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database_server, tmp_path) as world:
        yield world
