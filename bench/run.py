"""One run: the stage is set, everybody is started and checked, takes turns, and is sent home again."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.contestants import OURS
from bench.ingest import Intake
from bench.peer import Peer, prepare_peer
from bench.players import WARM_UP_SECONDS, Team
from bench.processes import BenchFailed
from bench.results import Measurement
from bench.scale import Scale
from bench.schedule import Plan, Turn, full, quick
from bench.world import open_stage

__all__ = ["Outcome", "Wish", "perform"]

QUICK_SECONDS: Final = 228.0
"""A quick run begins no turn that would end later: with sending everybody home it ends within four minutes."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line."""

    home: Path
    customers: int
    plan: Plan
    quick: bool
    workers: int = 1
    """Processes of each server."""
    scale: Scale | None = None
    """Given where something else is to be measured instead."""
    sets: Sequence[str] = ()
    """The same: tasks over everybody at once, each with `rows` rows, or with its own number."""
    rows: int | None = None
    intake: Intake | None = None
    """The same."""


@dataclass(slots=True)
class Outcome:
    """What was measured, who or what was left out and why, and the version of the peer's Node.js."""

    measurements: list[Measurement] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    node: str = ""


def perform(wish: Wish, console: Console) -> Outcome:
    """Everything from the loading to the last turn; whatever was started is ended, also when it is interrupted.

    Raises BenchFailed when somebody does not start or answers wrongly.
    """
    began, outcome = time.monotonic(), Outcome()
    wish.home.mkdir(parents=True, exist_ok=True)
    turns = list((quick if wish.quick else full)(wish.plan))
    with ExitStack() as closing:
        fetching = closing.enter_context(ThreadPoolExecutor(1)).submit(_fetch, wish)
        stage = closing.enter_context(open_stage(wish.home / f"world-{wish.customers}", wish.customers, console))
        peer = _fetched(fetching, outcome)
        names = dict.fromkeys([OURS, *(turn.contestant for turn in turns)])
        team = Team(replace(stage, workers=wish.workers), wish.plan.operations)
        team.start([name for name in names if name not in outcome.left_out], peer, closing)
        with console.status("comparing answers"):
            compared = team.check()
        console.print(f"{compared:,} answers agree with those of {OURS}, field by field")
        turns = [turn for turn in turns if turn.contestant in team.players and team.can(turn)]
        deadline = began + QUICK_SECONDS if wish.quick else None
        outcome.measurements += _take_turns(team, turns, wish.plan.seconds, deadline, console)
        if missing := len(turns) - len(outcome.measurements):
            outcome.left_out["turns"] = f"{missing} of {len(turns)} for want of time; run again, all is loaded"
    return outcome


def _fetch(wish: Wish) -> Peer | None:
    return prepare_peer(wish.home) if "postgraphile" in wish.plan.contestants else None


def _fetched(fetching: "Future[Peer | None]", outcome: Outcome) -> Peer | None:
    """The peer; without a network the others compete alone."""
    try:
        peer = fetching.result()
    except BenchFailed as failed:
        outcome.left_out["postgraphile"] = str(failed)
        return None
    if peer is not None:
        outcome.node = peer.version()
    return peer


def _take_turns(
    team: Team, turns: Sequence[Turn], seconds: float, deadline: float | None, console: Console
) -> Iterator[Measurement]:
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as bars:
        task = bars.add_task("", total=len(turns))
        for turn in turns:
            if deadline and time.monotonic() + seconds + 1.5 * WARM_UP_SECONDS > deadline:
                return
            where = f"{turn.operation}, {turn.connections} connections, round {turn.round + 1}"
            bars.update(task, description=f"{where}: {turn.contestant}")
            yield team.measure(turn, seconds)
            bars.advance(task)
