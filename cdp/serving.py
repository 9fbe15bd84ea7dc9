"""Listening: an app on a socket until the process is asked to end; requests in flight are answered first."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, Final, TypeAlias, TypeVar

import uvicorn

from cdp.bulk import SERVING, keep_for_good, seldom_collected
from cdp.errors import Unavailable
from cdp.sockets import FRAME_BYTES

__all__ = ["App", "free_address", "listen", "multiply", "run", "serve", "url_of"]

GRACE_SECONDS: Final = 10

App: TypeAlias = Callable[..., Awaitable[None]]
Result = TypeVar("Result")

make_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with suppress(ImportError):  # uvloop is not made for every system
    import uvloop

    make_loop = uvloop.new_event_loop


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Runs to the end in an event loop of its own, the fast kind where there is one."""
    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(work)


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket on which clients can wait already; port 0 takes a free one. Raises Unavailable.

    Workers each have a `shared` one on the same port, and the system spreads new connections over them: of one socket
    for all, whoever wakes first would take most.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, reuse_port=shared)
    except OSError as taken:
        raise Unavailable(f"cannot listen on {host} port {port}: {taken.strerror}") from None


def free_address(host: str, port: int) -> int:
    """The port, once it is known that nobody listens there; for port 0 a free one. Raises Unavailable."""
    with listen(host, port) as found:
        number: int = found.getsockname()[1]
        return number


def url_of(listening: socket.socket) -> str:
    """Where a client finds the socket."""
    host, port, *_ = listening.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(app: App, listening: socket.socket) -> None:
    """Serves until SIGTERM or SIGINT, then answers what is in flight and closes the socket."""
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=FRAME_BYTES,
        ws_per_message_deflate=False,  # what a client chooses never stands beside what it must not learn
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    keep_for_good()
    with closing(listening), seldom_collected(SERVING), _signals_kept_quiet():
        await uvicorn.Server(config).serve(sockets=[listening])


def multiply(workers: int) -> bool:
    """Forks so many workers, before anything was opened; True in a worker, False in the parent when all have ended.

    The parent hands SIGTERM and SIGINT on. When one worker dies the others are asked to end: whoever started the parent
    starts it again.
    """
    children = set()
    for _ in range(workers):
        if (child := os.fork()) == 0:
            return True
        children.add(child)

    def pass_on(number: int, *_: object) -> None:
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    while children:
        children.discard(os.wait()[0])
        pass_on(signal.SIGTERM)
    return False


@contextmanager
def _signals_kept_quiet() -> Iterator[None]:
    """uvicorn sends itself the signal again when it has ended: what was opened around it must still be closed then."""
    before = {number: signal.signal(number, _do_nothing) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _do_nothing(*_: object) -> None:
    return None
