"""The gate of the read journey: one customer's rows of one store, what may be seen of them, and what was withheld.

A `Spot` is a place in an operation's answer that holds personal data. A `Part` is one customer's rows from one store
together with the verdicts for them; `Findings` collects what did not leave, or left masked, for the answer and the
audit trail.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog

from cdp.statement import LEADER
from privacy.errors import PrivacyError
from privacy.policy import Decision, Verdict
from privacy.seal import Opener, Place, Sealed, SealedColumn
from privacy.vocabulary import Effect, Withheld

log = structlog.get_logger()

Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Spot:
    """A governed place. `path` holds response keys, with `*` for a list; `refused` is set when planning already
    denied it.

    `category` is None for a place that says nothing about a person. `number` is its bit in the audit entry.
    """

    path: tuple[str, ...]
    category: str | None
    number: int
    refused: Withheld | None = None

    def refuse(self, findings: "Findings") -> None:
        """Note that planning already denied this place."""
        assert self.refused is not None
        findings.withhold(self.path, self.refused)


@dataclass(slots=True)
class Findings:
    """What did not leave, with a count for places in lists, and what left masked."""

    withheld: dict[tuple[tuple[str, ...], Withheld, str | None, str | None], int] = field(default_factory=dict)
    masked: dict[tuple[tuple[str, ...], str], int] = field(default_factory=dict)

    def withhold(
        self, path: tuple[str, ...], code: Withheld, kind: str | None = None, notice: str | None = None
    ) -> None:
        key = (path, code, kind, notice)
        self.withheld[key] = self.withheld.get(key, 0) + 1

    def copy(self) -> "Findings":
        """What was found so far."""
        return Findings(dict(self.withheld), dict(self.masked))

    def forget(self, path: tuple[str, ...]) -> None:
        """Drop what was found under a path, where a coarser answer is given instead."""
        self.withheld = {key: count for key, count in self.withheld.items() if key[0][: len(path)] != path}

    def mask(self, path: tuple[str, ...], style: str) -> None:
        self.masked[path, style] = self.masked.get((path, style), 0) + 1

    def report(self, *, partner: bool) -> dict[str, list[dict[str, Any]]]:
        """The `withheld` and `masked` lists of an answer; a partner learns no cause."""
        withheld: dict[tuple[Any, ...], int] = {}
        for (path, code, kind, notice), count in self.withheld.items():
            shown = (path, "WITHHELD", None, None) if partner else (path, code.value, kind, notice)
            withheld[shown] = withheld.get(shown, 0) + count
        return {
            "withheld": [
                _place(path, count) | {"code": code} | _given(kind=kind, notice=notice)
                for (path, code, kind, notice), count in withheld.items()
            ],
            "masked": [_place(path, count) | {"style": style} for (path, style), count in self.masked.items()],
        }


def _place(path: tuple[str, ...], count: int) -> dict[str, Any]:
    return {"path": list(path)} | ({"count": count} if "*" in path else {})


def _given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


class Places:
    """The sealed columns of one store, worked out once."""

    def __init__(self, tenant: str, store: str) -> None:
        self._tenant, self._store = tenant, store
        self._places: dict[int, Place] = {}

    def of(self, column: SealedColumn) -> Place:
        place = self._places.get(column.uid)
        if place is None:
            place = self._places[column.uid] = Place(self._tenant, self._store, column)
        return place


@dataclass(slots=True)
class Part:
    """One customer's rows of one store: `head` is the row of the root, `arrays` its lists in the plan's order.
    `destination` is the jurisdiction they are read in.
    """

    store: str
    customer_id: UUID
    head: Row
    arrays: Sequence[Sequence[Row]]
    link: bytes | None
    decision: Decision
    opener: Opener
    places: Places
    policy_version: int
    consents: int
    destination: str
    holding: UUID | None = None
    """The holding by whose number the customer was found."""
    holder: UUID = field(init=False)
    """Whose that holding is: one of those this one was merged with, perhaps."""
    _grouped: dict[int, dict[Any, dict[Row, None]]] | None = None

    def __post_init__(self) -> None:
        self.holder = self.customer_id

    @property
    def leader(self) -> UUID:
        """The customer whose id stands for all that this one was merged with."""
        leader: UUID | None = self.head[LEADER]
        return self.customer_id if leader is None else leader

    def shows_any(self, categories: Iterable[str]) -> bool:
        """Whether any of these categories of the plan may be seen."""
        return any(self.decision.verdicts[category].effect is not Effect.DENY for category in categories)

    def verdict(self, spot: Spot) -> Verdict | None:
        """The verdict for a spot; None where nothing about a person is at stake."""
        if spot.refused is not None:
            return Verdict(Effect.DENY, "plan", spot.refused)
        return None if spot.category is None else self.decision.verdicts[spot.category]

    def sees(self, spot: Spot, findings: Findings) -> bool:
        """Whether the spot may be filled, noting it when not."""
        verdict = self.verdict(spot)
        if verdict is None or verdict.effect is not Effect.DENY:
            return True
        assert verdict.code is not None, "a denial has a code"
        findings.withhold(spot.path, verdict.code, verdict.kind, verdict.notice)
        return False

    def style(self, spot: Spot) -> str | None:
        """How the value at a visible spot must be masked, if at all."""
        verdict = self.verdict(spot)
        return verdict.style if verdict is not None and verdict.effect is Effect.MASK else None

    def open(self, cell: bytes, column: SealedColumn, row_id: UUID, spot: Spot, findings: Findings) -> Any:
        """The value of a cell, or None where it does not open: withheld outside, an alarm inside."""
        try:
            return self.opener.open(Sealed(cell), self.places.of(column), row_id)
        except PrivacyError as broken:
            log.warning("cell_unopened", store=self.store, column=column.uid, code=broken.code)
            findings.withhold(spot.path, Withheld.UNAVAILABLE)
            return None

    def rows(self, array: int, parent: Any) -> Sequence[Row]:
        """The rows of a list; those of one parent row when `parent` is not None (their first value names it)."""
        if parent is None:
            return self.arrays[array] or ()
        if self._grouped is None:
            self._grouped = {}
        groups = self._grouped.get(array)
        if groups is None:
            groups = self._grouped[array] = {}
            for row in self.arrays[array] or ():
                # Several rows may share a parent (two numbers on one SIM): its rows then come once for each of them.
                groups.setdefault(row[0], {})[row] = None
        return tuple(groups.get(parent, ()))
