"""The bundled load generator, for machines without wrk: raw sockets under asyncio, one request at a time a connection.

`python -m bench.fallback URL CONNECTIONS SECONDS`, with BENCH_BODIES and BENCH_TOKEN as `rotate.lua` has them. It costs
more CPU than wrk does, so figures of the two are not comparable; ratios of one run are.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

__all__ = ["Seen", "read_answer", "report", "requests_of"]


@dataclass(slots=True)
class Seen:
    """The latencies so far in seconds, and how many answers were none."""

    latencies: list[float] = field(default_factory=list)
    errors: int = 0


def requests_of(url: str, bodies: Sequence[bytes], token: str | None) -> list[bytes]:
    """The bytes of each request."""
    parts = urlsplit(url)
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {token}\r\n" if token else ""
    return [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]


async def read_answer(reader: asyncio.StreamReader) -> bool:
    """Reads one answer to its end; True for a status of 2xx."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"\r\ntransfer-encoding: chunked" in head:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        length = head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
    return head.startswith(b"http/1.1 2")


async def _connection(where: tuple[str, int], requests: Iterator[bytes], until: float, seen: Seen) -> None:
    reader, writer = await asyncio.open_connection(*where)
    try:
        while (started := time.perf_counter()) < until:
            writer.write(next(requests))
            good = await read_answer(reader)
            seen.latencies.append(time.perf_counter() - started)
            seen.errors += not good
    except (OSError, asyncio.IncompleteReadError):
        seen.errors += 1
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def report(seen: Seen, seconds: float) -> str:
    """One line of JSON, as `rotate.lua` writes it."""
    ordered = sorted(seen.latencies) or [0.0]

    def percentile(share: float) -> int:
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e6)

    told = {"requests": len(seen.latencies), "microseconds": round(seconds * 1e6), "p50": percentile(0.5)}
    return json.dumps(told | {"p99": percentile(0.99), "errors": seen.errors, "timeouts": 0})


async def _drive(url: str, requests: Sequence[bytes], connections: int, seconds: float) -> str:
    turn, seen, started = cycle(requests), Seen(), time.perf_counter()
    parts = urlsplit(url)
    where = (parts.hostname or "127.0.0.1", parts.port or 80)
    await asyncio.gather(*(_connection(where, turn, started + seconds, seen) for _ in range(connections)))
    return report(seen, time.perf_counter() - started)


def main(arguments: Sequence[str]) -> None:
    """Drives and prints the report."""
    url, connections, seconds = arguments
    bodies = Path(os.environ["BENCH_BODIES"]).read_bytes().splitlines()
    requests = requests_of(url, bodies, os.environ.get("BENCH_TOKEN"))
    random.shuffle(requests)
    sys.stdout.write(uvloop.run(_drive(url, requests, int(connections), float(seconds))) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
