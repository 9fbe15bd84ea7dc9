"""The write door, for every test that fills its stores through it, and a house for those that need all of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cdp.house import House
from cdp.ingest import Writer
from cdp.settings import Settings
from cdp.stores import Stores
from tests.cdp.doors import open_door
from tests.cdp.house import prepared_house


@pytest.fixture
async def writer(settings: Settings, stores: Stores, tmp_path: Path) -> Writer:
    return await open_door(settings, stores, tmp_path)


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    async with prepared_house(settings) as house:
        yield house
