"""Processes that kill themselves in the middle of something."""

import asyncio
import multiprocessing
import signal
from collections.abc import Callable
from typing import Final

from cdp.settings import Settings

FORKS: Final = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.rotating", "tests.cdp.erasure.killed", "tests.drill.sequences"])


async def in_child(work: Callable[..., None], settings: Settings, *given: object) -> bool:
    """Does `work(settings as a dict, *given)` in another process; False where it came to its end and was not killed."""
    child = FORKS.Process(target=work, args=(settings.model_dump(exclude_defaults=True), *given))
    child.start()
    await asyncio.to_thread(child.join)
    assert child.exitcode in (0, -signal.SIGKILL), child.exitcode
    return child.exitcode != 0
