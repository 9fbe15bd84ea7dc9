"""The real nats-server with JetStream, for a test: a process on a free port of this machine."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest


def missing() -> str | None:
    """What is not installed here."""
    if shutil.which("nats-server") is None:
        return "nats-server is not installed"
    return None if find_spec("nats") else "nats-py is not installed"


@asynccontextmanager
async def nats_server(folder: Path, port: int | None = None) -> AsyncIterator[str]:
    """The URL of a server that keeps its streams in a folder."""
    if why := missing():
        pytest.skip(why)
    if port is None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
    command = ("nats-server", "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder))
    server = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        while not await _answers(port):  # noqa: ASYNC110 - a process does not tell when it is ready
            await asyncio.sleep(0.05)
        yield f"nats://127.0.0.1:{port}"
    finally:
        server.terminate()
        await server.wait()


async def _answers(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    told = await reader.read(4)
    writer.close()
    await writer.wait_closed()
    return told == b"INFO"
