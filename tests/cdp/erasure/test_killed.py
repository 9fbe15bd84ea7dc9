"""kill -9 anywhere in an erasure: it has not begun, or it goes on where it was; what is certified is the same."""

import asyncio
import json
import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cdp.ingest import Writer
from cdp.rights.kept import KEPT, Goes
from cdp.settings import Settings
from tests.cdp.doors import everything, one, rows
from tests.cdp.erasure.test_erase import asked_for, begin, sweeper
from tests.cdp.rights.steps import advanced

STEPS = len([kept for kept in KEPT.values() if kept.goes is Goes.ROWS])


async def killed(settings: Settings, step: str, at: int, event: Any = None) -> int:
    """The exit code of a process that does a step and dies at its `at`-th transaction; 0 where it has fewer."""
    own = {"CDP_HOME": str(settings.home), "CDP_STORES": json.dumps(settings.stores), "CDP_ENVIRONMENT": "test"}
    program = (sys.executable, "-m", "tests.cdp.erasure.killed", step, str(at), json.dumps(event))
    process = await asyncio.create_subprocess_exec(*program, env=os.environ | own)
    return await process.wait()


@pytest.fixture
def at_home(settings: Settings, tmp_path: Path) -> Settings:
    """The keys that the tests' door made, where a process of its own looks for them."""
    (tmp_path / "kms").symlink_to(tmp_path / "keys")
    return settings


async def test_an_erasure_that_is_killed_before_its_commit_has_not_begun(writer: Writer, at_home: Settings) -> None:
    customer_id, store = await asked_for(writer), writer.stores["cn"]
    was, keys = await everything(store), await rows(store, "data_key")
    order = advanced(customer_id, "ERASURE", "IN_PROGRESS")
    points = count(1)
    for at in points:
        if await killed(at_home, "ingest", at, order) == 0:
            break
        assert await everything(store) == was
        assert await rows(store, "data_key") == keys
    assert at > 2, "it was killed in the transaction that erases"
    assert (await one(store, "customer", f"customer_id = '{customer_id}'"))["state"] == "ERASING"


@pytest.mark.parametrize("at", [1, 2, STEPS, 2 * STEPS + 1, 2 * STEPS + 2, 2 * STEPS + 3, 2 * STEPS + 4])
async def test_a_sweep_that_is_killed_goes_on_where_it_was(
    writer: Writer, at_home: Settings, tmp_path: Path, at: int
) -> None:
    async with writer.stores["cn"].transaction() as connection:
        await connection.execute("UPDATE retention_term SET by_law = false")
    customer_id, store = await asked_for(writer), writer.stores["cn"]
    mine = f"customer_id = '{customer_id}'"
    swept = [name for name, kept in KEPT.items() if kept.goes is Goes.ROWS]
    held = {name: len(await rows(store, name, mine)) for name in swept}
    await begin(writer, customer_id)
    assert await killed(at_home, "sweep", at) == -signal.SIGKILL
    assert (await one(store, "customer", mine))["state"] == "ERASING"
    assert (await one(store, "privacy_request", "kind = 'ERASURE'"))["state"] == "IN_PROGRESS"

    sweeps = await sweeper(writer, tmp_path)
    assert await sweeps.sweep() == 1
    await sweeps.trail.close()
    assert (await one(store, "customer", mine))["state"] == "ERASED"
    certified = json.loads((await one(store, "erasure"))["certificate"])["certificate"]["rows"]
    assert {name: certified.get(name, 0) for name in swept} == held
    assert certified["customer"] == 1
    assert {line.customer_id for line in sweeps.ledger.lines()} == {customer_id}
