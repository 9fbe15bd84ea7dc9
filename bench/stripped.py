"""`cdp serve` with parts of its privacy taken out, to see what each costs: `python -m bench.stripped audit,consent ...`

The product has no such switches and must not get any. The parts are replaced from outside, in this process alone, which
listens on the loopback address and ends with the benchmark:

    audit    nothing is written down: an operation's entry is neither made nor made durable
    consent  everything is allowed; the facts of consent are neither fetched nor looked at
    sealing  a sealed cell is not opened: a constant stands in its place; data keys are neither fetched nor unwrapped
"""
# ruff: noqa: ARG001 -- a part takes what the part it replaces takes

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, false

import cdp.admission
import schema.plan.statement
from cdp.__main__ import main
from cdp.asked import Asked
from cdp.audit import AuditTrail, uuid7
from cdp.query import Query
from privacy.facts import Facts, Request
from privacy.policy import _MINT, Decision, Permit  # a forged permit is the point of this file
from privacy.rulebook import Policy, Verdict
from privacy.seal import CellType, Opener, Place, Sealed
from privacy.vocabulary import CustomerState, Effect

__all__ = ["PARTS", "strip"]

ALLOWED: Final = Verdict(Effect.ALLOW, "bench")
CONSTANTS: Final[Mapping[CellType, object]] = {
    CellType.BYTES: b"-",
    CellType.TEXT: "-",
    CellType.INT64: 0,
    CellType.DECIMAL: 0,
    CellType.DATE: date(2000, 1, 1),
    CellType.JSON: {},
}


async def _not_written(query: Query, asked: Asked, code: str | None = None) -> UUID:
    return uuid7(asked.at)


async def _not_recorded(trail: AuditTrail, entry: Mapping[str, object], entry_id: UUID | None = None) -> UUID:
    return entry_id or UUID(int=0)


def _no_facts(customer_id: UUID, *_: Any) -> Facts:
    return Facts(customer_id, CustomerState.ACTIVE, None, (), ())


class _Allows:
    """Stands where a decider stands: what it says is worked out once for the categories of a plan."""

    def __init__(self, policy: Policy, request: Request, categories: tuple[str, ...]) -> None:
        self._opens, self._verdicts = _allowed(categories)

    def decide(self, facts: Facts) -> Decision:
        return Decision(Permit(facts.customer_id, self._opens, _MINT), self._verdicts, clear=True)

    def together(self, members: Sequence[Facts]) -> Decision:
        return self.decide(members[0])

    def carriers(self, decision: Decision) -> frozenset[str]:
        return frozenset()


@cache
def _allowed(categories: tuple[str, ...]) -> tuple[frozenset[str], Mapping[str, Verdict]]:
    return frozenset(categories), dict.fromkeys(categories, ALLOWED)


def _constant(opener: Opener, sealed: Sealed, place: Place, row_id: UUID) -> object:
    return CONSTANTS[place.column.cell_type]


def _no_rows(rows: Callable[..., Select[Any]]) -> Callable[..., Select[Any]]:
    def none(*arguments: Any) -> Select[Any]:
        return rows(*arguments).where(false())

    return none


def _replace(owner: Any, name: str, part: Any) -> None:
    """Puts `part` in the place of something that must be there: a benchmark of nothing would look like a success."""
    if not hasattr(owner, name):
        raise SystemExit(f"{owner.__name__}.{name} is gone: bench/stripped.py must learn where it went")
    setattr(owner, name, part)


def _fetch_none(*names: str) -> None:
    """Statements are built without these rows."""
    for name in names:
        rows: Callable[..., Select[Any]] = getattr(schema.plan.statement, name)
        _replace(schema.plan.statement, name, _no_rows(rows))


def _without_audit() -> None:
    _replace(Query, "write_down", _not_written)
    _replace(AuditTrail, "record", _not_recorded)


def _without_consent() -> None:
    _replace(cdp.admission, "Decider", _Allows)
    _replace(cdp.admission, "facts_of", _no_facts)
    _fetch_none("consent_rows", "objection_rows")


def _without_sealing() -> None:
    _replace(Opener, "open", _constant)
    _fetch_none("data_key_rows")


PARTS: Final[Mapping[str, Callable[[], None]]] = {
    "audit": _without_audit,
    "consent": _without_consent,
    "sealing": _without_sealing,
}


def strip(names: Sequence[str]) -> None:
    """Takes the named parts out of this process."""
    for name in names:
        PARTS[name]()


if __name__ == "__main__":
    strip(sys.argv[1].split(","))
    main(sys.argv[2:])
