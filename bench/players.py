"""The contestants of a run as running servers: started, checked, measured."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from bench.check import SAMPLE, ask, check_opened, comparable, compare
from bench.contestants import CONTESTANTS, OURS, Contestant
from bench.load import Target, drive
from bench.operations import Dialect, Operation, request_bodies
from bench.peer import Peer
from bench.processes import cpu_seconds, free_ports, running, wait_ready
from bench.results import Measurement
from bench.schedule import Turn
from bench.world import Stage

__all__ = ["Player", "Team"]

WARM_UP_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Player:
    """A contestant who is running."""

    contestant: Contestant
    process: psutil.Process
    port: int
    token: str | None

    def url(self, operation: Operation) -> str:
        """Where an operation is asked of this player."""
        return self.contestant.url(self.port, operation)


class Team:
    """All players on one stage, and the files of request bodies in each one's words."""

    def __init__(self, stage: Stage, operations: Sequence[Operation]) -> None:
        self._stage, self._operations = stage, operations
        self._bodies: dict[tuple[Operation, Dialect], list[bytes]] = {
            (operation, dialect): request_bodies(operation, dialect, stage.world)
            for operation in operations
            for dialect in Dialect
        }
        self._files: set[Path] = set()
        self.players: Mapping[str, Player] = {}

    def start(self, names: Sequence[str], peer: Peer | None, closing: ExitStack) -> None:
        """Starts everybody and returns when all listen; they end when `closing` does. Raises BenchFailed."""
        logs = self._stage.home / "logs"
        logs.mkdir(exist_ok=True)
        started = {}
        for name, port in zip(names, free_ports(len(names)), strict=True):
            launch = CONTESTANTS[name].start(self._stage, peer, port)
            started[name] = closing.enter_context(running(launch, logs / f"{name}.log")), port
        for name, (process, port) in started.items():
            wait_ready(process, port, logs / f"{name}.log")
        token = self._stage.token
        self.players = {
            name: Player(one, psutil.Process(process.pid), port, token if one.dialect is Dialect.CDP else None)
            for name, (process, port) in started.items()
            for one in (CONTESTANTS[name],)
        }

    def can(self, turn: Turn) -> bool:
        """Whether this contestant has words for the operation."""
        return bool(self._bodies[turn.operation, CONTESTANTS[turn.contestant].dialect])

    def check(self) -> int:
        """Compares a sample of everybody's answers with ours; how many were compared. Raises BenchFailed."""
        compared = 0
        for operation in self._operations:
            for number, body in enumerate(self._bodies[operation, Dialect.CDP][:SAMPLE]):
                ours = self.players[OURS]
                expected = ask(ours.url(operation), body, ours.token)
                if operation is Operation.PROFILE:
                    check_opened(expected, self._stage.world.people[number].number)
                for player in self.players.values():
                    theirs = self._bodies[operation, player.contestant.dialect]
                    if player is ours or not theirs:
                        continue
                    answer = ask(player.url(operation), theirs[number], player.token)
                    dialect, sealed = player.contestant.dialect, player.contestant.sealed
                    mine = comparable(expected, Dialect.CDP, sealed=sealed)
                    compare(mine, comparable(answer, dialect, sealed=sealed), operation, player.contestant.name)
                    compared += 1
        return compared

    def measure(self, turn: Turn, seconds: float) -> Measurement:
        """One turn, warmed up."""
        player = self.players[turn.contestant]
        target = Target(player.url(turn.operation), self._written(turn, player.contestant.dialect), player.token)
        drive(target, turn.connections, WARM_UP_SECONDS)
        server, postgres = cpu_seconds(player.process), cpu_seconds(self._stage.postgres)
        load = drive(target, turn.connections, seconds)
        server, postgres = cpu_seconds(player.process) - server, cpu_seconds(self._stage.postgres) - postgres
        each = 1e6 / max(1, load.requests)
        return Measurement(turn, load, server * each, postgres * each)

    def _written(self, turn: Turn, dialect: Dialect) -> Path:
        """The file with the bodies of an operation, one a line."""
        path = self._stage.home / "bodies" / f"{turn.operation}-{dialect}.jsonl"
        if path not in self._files:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"\n".join(self._bodies[turn.operation, dialect]) + b"\n")
            self._files.add(path)
        return path
