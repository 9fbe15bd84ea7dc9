"""Does one thing to a store and kills itself at the n-th transaction: `python -m ... STEP N EVENT`, settings as ever.

An odd N is the beginning of a transaction, an even one its end, before the commit.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from cdp.app import writer_of
from cdp.house import open_house
from cdp.ingest import ingest
from cdp.settings import Settings, read_settings
from cdp.stores import Connection, Store
from cdp.worker import sweepers


def deadly(at: int) -> Any:
    """`Store.transaction`, but for its end."""
    passed, real = count(1), Store.transaction

    def step() -> None:
        if next(passed) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    @asynccontextmanager
    async def transaction(self: Store) -> AsyncIterator[Connection]:
        step()
        async with real(self) as connection:
            yield connection
            step()

    return transaction


async def run(settings: Settings, step: str, at: int, event: str) -> None:
    async with open_house(settings) as house:
        Store.transaction = deadly(at)  # type: ignore[method-assign]  # it is what has to die
        if step == "sweep":
            await sweepers(house)["cn"].sweep()
        else:
            await ingest(writer_of(house), [json.loads(event)], "killed")


def die_in(settings: dict[str, Any], step: str, at: int, event: str) -> None:
    """The same in a process that has nothing else to do."""
    asyncio.run(run(Settings(**settings), step, at, event))


if __name__ == "__main__":
    asyncio.run(run(read_settings(), sys.argv[1], int(sys.argv[2]), sys.argv[3]))
