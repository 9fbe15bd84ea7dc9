"""Takes a batch in and dies after the commit, before the stream is told: python -m ... URL STREAM DURABLE"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence

from cdp.app import writer_of
from cdp.consume import Message, NatsStream, Source, consume, opened
from cdp.house import open_house
from cdp.settings import read_settings


async def die(self: NatsStream, messages: Sequence[Message]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def run(source: Source) -> None:
    NatsStream.done = die  # type: ignore[method-assign]  # what comes after the commit
    async with open_house(read_settings()) as house, opened(source) as stream:
        await consume(stream, writer_of(house), source, asyncio.Event())


url, stream, durable = sys.argv[1:]
asyncio.run(run(Source(url, stream, durable, most=10)))
