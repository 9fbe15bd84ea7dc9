"""Server-sent events: a stream of answers over HTTP, for those behind proxies (graphql-sse, distinct connections).

Each message has its position as id, so that a client that reconnects goes on by Last-Event-ID, in whatever process. A
stream that is over ends with `complete`; one that is broken off does not, and its client comes back: when its token has
expired, when it takes no more, when a store is down.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final, Protocol

from cdp.errors import RequestInvalid
from cdp.exchange import Answer, Sent

SEND_SECONDS: Final = 10.0
"""One who takes nothing for so long takes nothing."""
BEAT_SECONDS: Final = 15.0
MOST_STREAMS: Final = 64
"""Streams and sockets that a client may have open in a process."""

COMPLETE: Final = b"event: complete\ndata: \n\n"
BEAT: Final = b":\n\n"


class Stream(Protocol):
    """Answers as they come; `only` is set where there is but one, which is at hand."""

    @property
    def only(self) -> Answer | None: ...

    def answers(self) -> AsyncGenerator[Sent, None]:
        """Each answer; raises as a front door does, and RequestInvalid SLOW_CONSUMER."""

    def close(self) -> None:
        """Lets go of what it holds; after it nothing comes."""


class Seats(Counter[str]):
    """How many streams and sockets each client has open."""

    def take(self, client: str) -> bool:
        """Whether there is another one for this client."""
        if self[client] >= MOST_STREAMS:
            return False
        self[client] += 1
        return True

    def leave(self, client: str) -> None:
        self[client] -= 1
        if not self[client]:
            del self[client]


def event_of(sent: Sent) -> bytes:
    """An answer as an event; a position without an answer only moves the client's on."""
    place = b"" if sent.position is None else b"id: %b\n" % sent.position.encode()
    return b"%b\n" % place if sent.body is None else b"event: next\n%bdata: %b\n\n" % (place, sent.body)


async def stream_events(
    stream: Stream, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]], until: float
) -> Exception | None:
    """Sends the body of a response that has begun: every answer, until it is over, the client is gone or `until` (Unix
    time) has come. Returns what broke it off.
    """
    turn = asyncio.Lock()

    async def write(chunk: bytes, *, more: bool = True) -> None:
        async with turn, asyncio.timeout(SEND_SECONDS):
            await send({"type": "http.response.body", "body": chunk, "more_body": more})

    async def tell() -> None:
        async with aclosing(stream.answers()) as answers:
            async for sent in answers:
                await write(event_of(sent))
        await write(COMPLETE)

    async def beat() -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            await write(BEAT)

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    broken = await first_of((tell(), beat(), gone()), max(0.0, until - time.time()))
    stream.close()
    with suppress(OSError):
        await write(b"", more=False)
    return RequestInvalid("SLOW_CONSUMER", "", 429) if isinstance(broken, TimeoutError) else broken


async def first_of(works: Sequence[Any], seconds: float | None) -> Exception | None:
    """Runs these until one of them ends or the time is over; the others are called off. What that one raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    raised = [task.exception() for task in done]
    return next((one for one in raised if isinstance(one, Exception)), None)
