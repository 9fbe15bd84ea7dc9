"""decide(): which categories of one customer's data may leave, masked or not, and why the rest may not.

The only place where consent is decided. Pure: the instants come with the request, the facts with the row snapshot.
Steps, the first decisive one wins: 0 the request, 1 the customer, 2 the field declares the purpose (`declares`, asked
while planning), 3 the border, 4 objections, 5 a basis other than consent, 6 consent, 7 a guardian's, 8 mask.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass
from typing import Final, NamedTuple
from uuid import UUID

from privacy.errors import PermitMissing
from privacy.facts import ConsentFact, Facts, ObjectionFact, Request
from privacy.hearing import Hearing
from privacy.rulebook import SEVERITY, UNRULED, Cells, Outcome, Policy, Route, Verdict
from privacy.vocabulary import LEGAL, SELF, CustomerState, Effect, RecipientClass, Withheld

__all__ = [
    "ConsentFact",
    "Decider",
    "Decision",
    "Facts",
    "ObjectionFact",
    "Permit",
    "Policy",
    "Request",
    "Verdict",
    "decide",
    "declares",
]

_MINT: Final = object()
_UNAVAILABLE: Final = Verdict(Effect.DENY, "customer", Withheld.UNAVAILABLE)
_RESTRICTED: Final = Verdict(Effect.DENY, "customer", Withheld.RESTRICTED)
_STRANGER: Final = Verdict(Effect.DENY, "request", Withheld.UNAVAILABLE)
_NOT_GRANTED: Final = Verdict(Effect.DENY, "request", Withheld.PURPOSE_NOT_DECLARED)


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to open one customer's cells, made by decide() alone; anyone else gets PermitMissing.

    `opens` are the categories whose cells may be opened; what is opened of a masked one must be masked by whoever did.
    """

    customer_id: UUID
    opens: frozenset[str]
    mint: InitVar[object]

    def __post_init__(self, mint: object) -> None:
        if mint is not _MINT:
            raise PermitMissing("a permit is made by a decision, not by hand")


class Decision(NamedTuple):
    """The permit for one customer and the verdict for each category asked about; `clear` where all are ALLOW."""

    permit: Permit
    verdicts: Mapping[str, Verdict]
    clear: bool


def declares(field_purposes: Collection[str], purpose: str, policy: Policy) -> bool:
    """Whether a field declares a purpose or a parent of it; False for an unknown purpose."""
    return not policy.lineage.get(purpose, frozenset()).isdisjoint(field_purposes)


def decide(policy: Policy, request: Request, facts: Facts, categories: Iterable[str]) -> Decision:
    """Decide every category for one customer. Nothing is remembered of the customer; nothing is raised."""
    return Decider(policy, request, tuple(categories)).decide(facts)


class Decider:
    """Decides for the customers of one request: what does not depend on them is worked out once."""

    __slots__ = ("_categories", "_cells", "_legal", "_policy", "_request", "_settled", "_wall")

    def __init__(self, policy: Policy, request: Request, categories: tuple[str, ...]) -> None:
        self._policy, self._request, self._categories = policy, request, categories
        lineage = policy.lineage.get(request.purpose, frozenset())
        self._wall, self._legal = _wall(policy, request, lineage), LEGAL in lineage
        route = Route(request.origin, request.destination, request.purpose, request.recipient_class)
        self._cells = policy.cells(route) if self._wall is None else Cells(policy, route)
        self._settled = self._cells.settled(categories) if self._wall is None else None

    def decide(self, facts: Facts) -> Decision:
        """As the function of this name."""
        wall = self._wall or self._closed(facts.state)
        if wall is not None:
            return _decision(facts, dict.fromkeys(self._categories, wall))
        if self._settled is not None and not facts.objections:
            verdicts, opens, clear = self._settled
            return Decision(Permit(facts.customer_id, opens, _MINT), verdicts, clear)
        hearing = Hearing(self._policy, self._request, facts)
        verdicts = {}
        for category in self._categories:
            cell = self._cells[category]
            known = cell.settled and hearing.objection is None
            verdicts[category] = cell.verdict if known else hearing.judge(cell, category)
        return _decision(facts, verdicts)

    def together(self, members: Sequence[Facts]) -> Decision:
        """The decision for the first of several records of one person: for each category the strictest of all."""
        each = [self.decide(facts).verdicts for facts in members]
        strictest = {
            category: max((verdicts[category] for verdicts in each), key=lambda verdict: SEVERITY[verdict.effect])
            for category in self._categories
        }
        return _decision(members[0], strictest)

    def _closed(self, state: CustomerState) -> Verdict | None:
        """Step 1: what closes the whole record, or None."""
        if state is CustomerState.ACTIVE or (state is CustomerState.RESTRICTED and self._legal):
            return None
        return _RESTRICTED if state is CustomerState.RESTRICTED else _UNAVAILABLE


def _decision(facts: Facts, verdicts: Mapping[str, Verdict]) -> Decision:
    outcome = Outcome.of(verdicts)
    return Decision(Permit(facts.customer_id, outcome.opens, _MINT), verdicts, outcome.clear)


def _wall(policy: Policy, request: Request, lineage: frozenset[str]) -> Verdict | None:
    """Step 0: what closes every record to the request, or None."""
    if not lineage or request.purpose in policy.groups:
        return UNRULED
    itself = request.recipient_class == RecipientClass.SELF
    if not request.client or not request.recipient or itself != (request.recipient == SELF):
        return _STRANGER
    return _NOT_GRANTED if lineage.isdisjoint(request.granted) else None
