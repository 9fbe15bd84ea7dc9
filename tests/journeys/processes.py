"""Other processes over the stores of a world: the server itself, and the programs of PostgreSQL."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cdp.embedded import program
from tests.journeys.world import World


async def ran(name: str, *arguments: str, sent: bytes | None = None) -> bytes:
    """What a client program of PostgreSQL printed; it must not fail."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(program(name), *arguments, stdin=pipe, stdout=pipe, stderr=pipe)
    printed, wrong = await process.communicate(sent)
    assert process.returncode == 0, wrong.decode()
    return printed


@asynccontextmanager
async def served(world: World, log: int | None = None, **settings: str) -> AsyncIterator[str]:
    """The URL of `cdp serve`, a process of its own over the same stores; `log` is a descriptor for what it logs."""
    own = {"HOME": str(world.house.settings.home), "STORES": json.dumps(world.house.settings.stores)}
    given = {f"CDP_{name}": value for name, value in (own | {"ENVIRONMENT": "test"} | settings).items()}
    command = (sys.executable, "-m", "cdp", "serve", "--port", "0")
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=log, env=os.environ | given)
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode()
        while line and not line.startswith("serving "):
            line = (await process.stdout.readline()).decode()
        yield line.split()[1].removesuffix("/graphql")
    finally:
        process.terminate()
        await process.wait()
