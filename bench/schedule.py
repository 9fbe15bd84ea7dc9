"""What is measured in which order: within a round everybody takes a turn at one operation before the next is asked."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bench.contestants import BARE, FLOOR, OURS, STRIPPED
from bench.operations import Operation

__all__ = ["Plan", "Turn", "full", "quick"]

MAIN: Final = (FLOOR, "postgraphile", "strawberry", OURS)


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for: who, which operations, over how many connections, in how many rounds of how many seconds."""

    contestants: Sequence[str]
    operations: Sequence[Operation]
    connections: Sequence[int]
    rounds: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Turn:
    """One contestant's turn at one operation in one round."""

    round: int
    operation: Operation
    connections: int
    contestant: str


def full(plan: Plan) -> Iterator[Turn]:
    """Everybody at everything; the rounds of one operation follow each other, so that the machine is the same."""
    for connections in plan.connections:
        for operation in plan.operations:
            for number in range(plan.rounds):
                for name in plan.contestants:
                    yield Turn(number, operation, connections, name)


def quick(plan: Plan) -> Iterator[Turn]:
    """The most telling turns first, for a run that may be cut off: three rounds of the profile, one of the rest."""
    yield from _turns(plan, Operation.PROFILE, 0, MAIN)
    yield from _turns(plan, Operation.REGION, 0, MAIN)
    yield from _turns(plan, Operation.PROFILE, 1, (*MAIN, BARE))
    yield from _turns(plan, Operation.PROFILE, 2, (*MAIN, *reversed(STRIPPED)))
    for operation in (Operation.LOOKUP, Operation.TWO_STORES, Operation.DOCUMENT):
        yield from _turns(plan, operation, 0, (FLOOR, OURS))


def _turns(plan: Plan, operation: Operation, number: int, names: Collection[str]) -> list[Turn]:
    if operation not in plan.operations or number >= plan.rounds:
        return []
    chosen = [name for name in names if name in plan.contestants]
    return [Turn(number, operation, connections, name) for connections in plan.connections for name in chosen]
