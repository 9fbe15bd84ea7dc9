"""Policy: the rows of rows.py, checked, immutable and compiled into cells.

A cell holds all that follows from the policy alone for one route (from, to, purpose, recipient class) and one
category, so that a decision reads only what differs between customers. Cells are made once and kept in the policy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple, Self

from privacy.errors import PolicyInvalid
from privacy.rows import Basis, Notice, PolicyRows, Rule, TransferBasis
from privacy.vocabulary import (
    ANY,
    NOWHERE,
    BasisKind,
    Category,
    ConsentKind,
    Effect,
    Purpose,
    RecipientClass,
    Sensitivity,
    Withheld,
    covers,
)

DEFAULT_RULE: Final = "default"
MOST_SETS: Final = 4096
"""Sets of categories that are remembered for a route."""
_OTHERS: Final = frozenset({RecipientClass.AFFILIATE, RecipientClass.THIRD_PARTY})  # entities with ends of their own


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one category: effect, id of the deciding rule and, unless allowed, why and what would help."""

    effect: Effect
    rule: str
    code: Withheld | None = None
    kind: ConsentKind | None = None
    notice: str | None = None
    style: str | None = None


SEVERITY: Final = {Effect.ALLOW: 0, Effect.MASK: 1, Effect.DENY: 2}


def narrowed(before: Mapping[str, Verdict], after: Mapping[str, Verdict]) -> set[str]:
    """The categories that are decided more strictly after than before."""
    return {name for name in before if SEVERITY[before[name].effect] < SEVERITY[after[name].effect]}


UNRULED: Final = Verdict(Effect.DENY, DEFAULT_RULE, Withheld.UNAVAILABLE)


class Route(NamedTuple):
    """From which jurisdiction to which, for what and to whom."""

    origin: str
    destination: str
    purpose: str
    recipient_class: RecipientClass


@dataclass(frozen=True, slots=True)
class Demand:
    """A consent that a rule asks for: how strong, naming what, and the verdict for every way it can be answered.

    Two demands with the same `asks` ask for the same thing, so that one answer serves many categories.
    """

    asks: str
    kind: ConsentKind
    destination: str
    names_recipient: bool
    under_age: int | None
    met: Verdict
    refusals: Mapping[Withheld, Verdict]


@dataclass(frozen=True, slots=True)
class Border:
    """What leaving a jurisdiction asks: one of `transfers` and the demand; not enforced, only that nobody said no."""

    enforced: bool
    transfers: tuple[TransferBasis, ...]
    demand: Demand | None
    refused: Verdict


@dataclass(frozen=True, slots=True)
class Cell:
    """`verdict` holds once the border is passed, no objection stands and every demand is met."""

    verdict: Verdict
    border: Border | None = None
    demands: tuple[Demand, ...] = ()
    settled: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settled", self.border is None and not self.demands)


class Outcome(NamedTuple):
    """Verdicts by category; the categories whose cells they open; whether all of them are ALLOW."""

    verdicts: Mapping[str, Verdict]
    opens: frozenset[str]
    clear: bool

    @classmethod
    def of(cls, verdicts: Mapping[str, Verdict]) -> "Outcome":
        """The outcome of these verdicts; a category to be masked is opened too."""
        opens = [
            category
            for category, verdict in verdicts.items()
            if verdict.effect is Effect.ALLOW or verdict.style is not None
        ]
        return cls(verdicts, frozenset(opens), all(verdict.effect is Effect.ALLOW for verdict in verdicts.values()))


class Cells(dict[str, Cell]):
    """category -> cell of one route, compiled on first use; unknown categories are answered and not kept."""

    def __init__(self, policy: "Policy", route: Route) -> None:
        super().__init__()
        self._policy, self._route = policy, route
        self._settled: dict[tuple[str, ...], Outcome | None] = {}

    def settled(self, categories: tuple[str, ...]) -> Outcome | None:
        """What the policy alone says of these categories, where nothing a customer said could change it; else None."""
        try:
            return self._settled[categories]
        except KeyError:
            pass
        cells = {category: self[category] for category in categories}
        settled = all(cell.settled for cell in cells.values())
        outcome = Outcome.of({category: cell.verdict for category, cell in cells.items()}) if settled else None
        if len(self._settled) < MOST_SETS:
            self._settled[categories] = outcome
        return outcome

    def __missing__(self, category: str) -> Cell:
        if category not in self._policy.categories:
            return Cell(UNRULED)
        return self.setdefault(category, _compile(self._policy, self._route, category))


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """All rows of one version, made by `of`. `rules` are ordered, the more specific first."""

    version: int
    purposes: Mapping[str, Purpose]
    categories: Mapping[str, Category]
    sensitivities: Mapping[tuple[str, str], Sensitivity]
    rules: tuple[Rule, ...]
    bases: tuple[Basis, ...]
    notices: Mapping[str, Notice]
    transfer_bases: tuple[TransferBasis, ...]
    lineage: Mapping[str, frozenset[str]]  # purpose -> itself and its parents
    groups: frozenset[str]  # purposes that have children: no operation has such a purpose
    jurisdictions: frozenset[str]  # those with an enforced rule of their own
    _routes: dict[Route, Cells] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, rows: PolicyRows) -> Self:
        """Check and index the rows. Raises PolicyInvalid naming the row and what was expected."""
        rows.check()
        purposes = {row.id: row for row in rows.purposes}
        ranks = {(row.category, row.jurisdiction): row.sensitivity for row in rows.sensitivities}
        return cls(
            version=rows.version,
            purposes=MappingProxyType(purposes),
            categories=MappingProxyType({row.id: row for row in rows.categories}),
            sensitivities=MappingProxyType(ranks),
            rules=tuple(sorted(rows.rules, key=lambda rule: rule.breadth)),
            bases=rows.bases,
            notices=MappingProxyType({row.id: row for row in rows.notices}),
            transfer_bases=rows.transfer_bases,
            lineage=MappingProxyType({purpose: _lineage(purpose, purposes) for purpose in purposes}),
            groups=frozenset(row.parent for row in rows.purposes if row.parent),
            jurisdictions=frozenset(rule.jurisdiction for rule in rows.rules if rule.enforced) - {ANY},
        )

    def cells(self, route: Route) -> Cells:
        """The cells of one route. The route's purpose must be a known one, so that the cache stays small."""
        found = self._routes.get(route)
        return self._routes.setdefault(route, Cells(self, route)) if found is None else found

    def held(self, jurisdiction: str, purpose: str, category: str) -> set[BasisKind]:
        """The bases other than consent that the operator relies on."""
        return {
            basis.kind
            for basis in self.bases
            if basis.jurisdiction == jurisdiction
            and covers(basis.purpose, purpose)
            and covers(basis.category, category)
        }

    def notice_for(self, jurisdiction: str, purpose: str) -> str | None:
        """Id of the notice to show when asking consent: in force, of the highest version."""
        fitting = [
            (notice.version, notice.id)
            for notice in self.notices.values()
            if notice.jurisdiction == jurisdiction
            and notice.superseded_at is None
            and any(covers(scope, purpose) for scope in notice.scopes)
        ]
        return max(fitting)[1] if fitting else None


def _lineage(purpose: str, purposes: Mapping[str, Purpose]) -> frozenset[str]:
    parent = purposes[purpose].parent
    return frozenset({purpose}) | (_lineage(parent, purposes) if parent else frozenset())


def _compile(policy: Policy, route: Route, category: str) -> Cell:
    """Several jurisdictions apply where data crosses a border: the origin's and, if it has rules, the destination's."""
    border = _border(policy, route, category) if route.origin != route.destination else None
    applying = [route.origin, *({route.destination} & policy.jurisdictions - {route.origin})]
    grounds = [_ground(policy, route, jurisdiction, category) for jurisdiction in applying]
    for ground in grounds:
        if ground is UNRULED:
            return Cell(UNRULED, border)
    first = grounds[0]
    verdict = first.met if isinstance(first, Demand) else first
    return Cell(verdict, border, tuple(ground for ground in grounds if isinstance(ground, Demand)))


def _ground(policy: Policy, route: Route, jurisdiction: str, category: str) -> Verdict | Demand:
    """What allows the use under one jurisdiction: a basis, a consent to be asked for, or nothing."""
    rank = policy.sensitivities.get((category, jurisdiction), Sensitivity.GENERAL)
    held = policy.held(jurisdiction, route.purpose, category)
    for rule in policy.rules:
        if not (rule.ordinary and _applies(rule, route, jurisdiction) and rule.sensitivity in {None, rank}):
            continue
        if held.intersection(rule.bases):
            return Verdict(Effect.ALLOW, rule.id)
        if rule.consent is not None:
            return _demand(policy, rule, route, jurisdiction, dict(rule.masks).get(category))
    return UNRULED


def _border(policy: Policy, route: Route, category: str) -> Border:
    """What the origin's law asks before data leaves; without a rule nothing leaves."""
    fitting = (rule for rule in policy.rules if rule.cross_border)
    rule = next((rule for rule in fitting if _applies(rule, route, route.origin, enforced=False)), None)
    if rule is None or rule.consent is None:
        refused = Verdict(Effect.DENY, rule.id if rule else DEFAULT_RULE, Withheld.CROSS_BORDER)
        return Border(enforced=True, transfers=(), demand=None, refused=refused)
    onward = route.recipient_class in _OTHERS
    transfers = tuple(
        basis
        for basis in policy.transfer_bases
        if (basis.origin, basis.destination) == (route.origin, route.destination) and basis.carries(category, onward)
    )
    demand = _demand(policy, rule, route, route.origin, None)
    return Border(rule.enforced, transfers, demand, Verdict(Effect.DENY, rule.id, Withheld.CROSS_BORDER))


def _applies(rule: Rule, route: Route, jurisdiction: str, *, enforced: bool = True) -> bool:
    return (
        rule.jurisdiction in {jurisdiction, ANY}
        and route.recipient_class in rule.recipients
        and covers(rule.purpose, route.purpose)
        and (rule.enforced or not enforced)
    )


def _demand(policy: Policy, rule: Rule, route: Route, jurisdiction: str, style: str | None) -> Demand:
    """The consent one rule asks for. A customer who said no is not served a mask either."""
    if rule.consent is None:
        raise PolicyInvalid(f"rule {rule.id}: no consent kind; expected one where consent is asked for")
    ages = [age.under_age for age in policy.rules if age.under_age and _applies(age, route, jurisdiction)]
    notice = policy.notice_for(jurisdiction, route.purpose)
    refusals = {}
    for code in Withheld:
        kind = ConsentKind.GUARDIAN if code is Withheld.GUARDIAN_REQUIRED else rule.consent
        shown = None if rule.cross_border or code is Withheld.CONSENT_WITHDRAWN else style
        effect = Effect.DENY if shown is None else Effect.MASK
        reason = Withheld.CROSS_BORDER if rule.cross_border else code
        refusals[code] = Verdict(effect, rule.id, reason, kind, notice, shown)
    destination = route.destination if rule.cross_border else NOWHERE
    named = rule.names_recipient and route.recipient_class in _OTHERS
    under_age = max(ages, default=None)
    return Demand(
        asks=f"{rule.consent} {destination} {named} {under_age}",
        kind=rule.consent,
        destination=destination,
        names_recipient=named,
        under_age=under_age,
        met=Verdict(Effect.ALLOW, rule.id),
        refusals=MappingProxyType(refusals),
    )
