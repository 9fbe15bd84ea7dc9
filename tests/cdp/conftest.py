"""The write door, for every test of the house that fills its stores through it."""

from pathlib import Path

import pytest

from cdp.ingest import Writer
from cdp.settings import Settings
from cdp.stores import Stores
from tests.cdp.doors import open_door


@pytest.fixture
async def writer(settings: Settings, stores: Stores, tmp_path: Path) -> Writer:
    return await open_door(settings, stores, tmp_path)
