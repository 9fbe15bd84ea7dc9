"""Processes that are started before their database: they wait for it, say so, and give up in the end."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from shutil import rmtree
from uuid import uuid4

import pytest

from cdp.embedded import Embedded
from cdp.errors import StoreUnavailable
from cdp.house import migrate_stores, open_house
from cdp.settings import Settings


@pytest.fixture
async def away() -> AsyncIterator[tuple[Embedded, Settings]]:
    """A PostgreSQL with migrated stores that does not run, and where it will be."""
    home = Path(tempfile.gettempdir(), f"cdp-{uuid4().hex[:8]}")
    embedded = Embedded(home)
    settings = Settings(home=home, stores=embedded.start(["cn", "hk"]), environment="test")
    await migrate_stores(settings)
    assert embedded.stop()
    yield embedded, settings
    assert embedded.stop()
    if (place := home / "postgres.place").exists():
        rmtree(place.read_text().strip(), ignore_errors=True)
    rmtree(home)


@pytest.mark.parametrize("words", [("serve", "--port", "0"), ("worker", "--once")])
async def test_a_database_that_comes_late_is_waited_for(away: tuple[Embedded, Settings], words: Sequence[str]) -> None:
    embedded, settings = away
    told = {"HOME": str(settings.home), "STORES": json.dumps(settings.stores), "ENVIRONMENT": "test"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cdp", *words),
        env={**os.environ, **{f"CDP_{name}": value for name, value in told.items()}},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    waiting = json.loads(await process.stderr.readline())
    assert (waiting["event"], waiting["store"], waiting["attempt"]) == ("waiting for a store", "cn", 1)
    assert waiting["code"] == "STORE_UNAVAILABLE"
    await asyncio.to_thread(embedded.start, ["cn", "hk"])
    if words[0] == "serve":
        while b"startup complete" not in (line := await process.stderr.readline()):
            assert line, "it ended"
        process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 0


async def test_one_that_does_not_come_is_given_up(away: tuple[Embedded, Settings]) -> None:
    with pytest.raises(StoreUnavailable, match="store cn: cannot connect"):
        async with open_house(away[1], 0.3):
            pass
