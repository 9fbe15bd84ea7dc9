"""Driving a server: wrk where it is installed, else the bundled `bench.fallback`. Both report one line of JSON."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.processes import BenchFailed

__all__ = ["Load", "Target", "drive", "generator", "read_report"]

HERE: Final = Path(__file__).parent
ANSWER_SECONDS: Final = 60
"""How long a request may take: a slow contestant shall be slow, not wrong."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is driven: the URL, the file of request bodies (one a line), the bearer token where one is needed."""

    url: str
    bodies: Path
    token: str | None


@dataclass(frozen=True, slots=True)
class Load:
    """What a load generator saw; `p50` and `p99` in milliseconds, `errors` counts answers that were none."""

    requests: int
    seconds: float
    p50: float
    p99: float
    errors: int


def generator() -> str:
    """The load generator there is: `wrk` or `bundled`."""
    return "wrk" if shutil.which("wrk") else "bundled"


def drive(target: Target, connections: int, seconds: float) -> Load:
    """Sends the bodies in turn over so many connections for so long; BenchFailed when the generator fails."""
    environment = {"BENCH_BODIES": str(target.bodies), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    if target.token:
        environment["BENCH_TOKEN"] = target.token
    done = subprocess.run(
        _command(target.url, connections, seconds),
        env=environment,
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        timeout=seconds + 2 * ANSWER_SECONDS,
        check=False,
    )
    if done.returncode:
        raise BenchFailed(f"the load generator failed: {done.stderr.strip() or done.stdout.strip()}")
    return read_report(done.stdout)


def _command(url: str, connections: int, seconds: float) -> Sequence[str]:
    wrk = shutil.which("wrk")
    if wrk is None:
        return [sys.executable, "-m", "bench.fallback", url, str(connections), str(seconds)]
    # wrk counts in whole seconds.
    duration = f"{max(1, round(seconds))}s"
    wait = f"{ANSWER_SECONDS}s"
    return [wrk, "-t1", f"-c{connections}", f"-d{duration}", "--timeout", wait, "-s", str(HERE / "rotate.lua"), url]


def read_report(printed: str) -> Load:
    """The report in what a generator printed: its last line of JSON; BenchFailed where there is none."""
    lines = [line for line in printed.splitlines() if line.startswith("{")]
    if not lines:
        raise BenchFailed(f"the load generator reported nothing: {printed.strip()[:200]}")
    told = json.loads(lines[-1])
    return Load(
        told["requests"],
        told["microseconds"] / 1e6,
        told["p50"] / 1e3,
        told["p99"] / 1e3,
        told["errors"] + told["timeouts"],
    )
