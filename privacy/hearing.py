"""What one customer said, heard for one request: steps 3 to 8 of a decision (see policy.py)."""

from datetime import date, datetime
from typing import Final, NamedTuple, TypeAlias

from privacy.facts import ConsentFact, Facts, ObjectionFact, Request
from privacy.rows import TransferBasis
from privacy.rulebook import SEVERITY, Border, Cell, Demand, Policy, Verdict
from privacy.vocabulary import (
    ANY,
    LEGAL,
    NOWHERE,
    SELF,
    Actor,
    ConsentKind,
    ConsentType,
    Effect,
    ObjectionKind,
    RecipientClass,
    Withheld,
    covers,
)

_MARKETING: Final = "marketing"
_LADDER: Final = {
    ConsentKind.GUARDIAN: -1,
    ConsentKind.NO_OBJECTION: 0,
    ConsentKind.GENERAL: 1,
    ConsentKind.SEPARATE: 2,
    ConsentKind.WRITTEN: 3,
}
_NO: Final = {
    ConsentType.REFUSED: Withheld.CONSENT_WITHDRAWN,
    ConsentType.WITHDRAWN: Withheld.CONSENT_WITHDRAWN,
    ConsentType.INVALIDATED: Withheld.CONSENT_REQUIRED,
    ConsentType.EXPIRED: Withheld.CONSENT_EXPIRED,
}
_ENDS: Final = frozenset({ConsentType.INVALIDATED, ConsentType.EXPIRED})
# Of two events of one instant the stricter is heard.
_STRICTNESS: Final = {
    None: 0,
    Withheld.NOTICE_SUPERSEDED: 1,
    Withheld.CONSENT_EXPIRED: 2,
    Withheld.CONSENT_REQUIRED: 3,
    Withheld.CONSENT_WITHDRAWN: 4,
}
_OBJECTED: Final = {
    kind: Verdict(Effect.DENY, f"objection.{kind}".lower(), Withheld.OBJECTION) for kind in ObjectionKind
}
_Answer: TypeAlias = tuple[Withheld | None, tuple[ConsentFact, ...]]
"""Why a demand is not met, or None; and the words of the customer that decided it."""


def carrier(border: Border, request: Request) -> TransferBasis | None:
    """The transfer basis over which data crosses a border, None where there is none: in force and not used up."""
    for basis in border.transfers:
        if basis.id not in request.exhausted and (basis.expires_at is None or basis.expires_at > request.as_of):
            return basis
    return None


class _Voice(NamedTuple):
    """One consent event that speaks to this request; `no` is why it says no, None for a yes that still holds."""

    happened_at: datetime
    recorded_at: datetime
    strictness: int
    no: Withheld | None
    fact: ConsentFact


class Hearing:
    """What one customer said, heard for one request: the objection that stands, and the consent events as voices."""

    __slots__ = ("_answers", "_facts", "_heard", "_policy", "_request", "objection", "objector")

    def __init__(self, policy: Policy, request: Request, facts: Facts) -> None:
        self._policy, self._request, self._facts = policy, request, facts
        self._heard: list[_Voice] | None = None
        self._answers: dict[str, _Answer] = {}  # what holds for every category, by what was asked
        self.objector = self._objector() if facts.objections else None
        self.objection = None if self.objector is None else _OBJECTED[self.objector.kind]

    def judge(self, cell: Cell, category: str) -> Verdict:
        """Steps 3 to 8 for one category; where several jurisdictions ask, the strictest answer."""
        refused = self._border(cell.border, category) if cell.border is not None else None
        if decisive := refused or self.objection:
            return decisive
        strictest = cell.verdict
        for demand in cell.demands:
            code, _ = self._answer(demand, category)
            verdict = demand.met if code is None else demand.refusals[code]
            strictest = max(strictest, verdict, key=lambda answer: SEVERITY[answer.effect])
        return strictest

    def _border(self, border: Border, category: str) -> Verdict | None:
        """Step 3. A border rule not in force asks nothing, but an explicit no naming the destination still counts."""
        if border.demand is None:
            return border.refused
        if border.enforced and carrier(border, self._request) is None:
            return border.refused
        code, _ = self._answer(border.demand, category)
        if code is None or not (border.enforced or code is Withheld.CONSENT_WITHDRAWN):
            return None
        return border.demand.refusals[code]

    def _objector(self) -> ObjectionFact | None:
        """Step 4: an objection that hits the purpose."""
        request = self._request
        purpose = self._policy.purposes[request.purpose]
        lineage = self._policy.lineage[request.purpose]
        hit = {
            ObjectionKind.DIRECT_MARKETING: purpose.direct_marketing,
            ObjectionKind.AUTOMATED_DECISION: purpose.automated_decision,
            ObjectionKind.RESTRICTION: LEGAL not in lineage,
            ObjectionKind.DO_NOT_CONTACT: _MARKETING in lineage,
        }
        standing = {fact.kind: fact for fact in self._facts.objections if hit[fact.kind] and self._stands(fact)}
        return next((standing[kind] for kind in ObjectionKind if kind in standing), None)

    def _stands(self, fact: ObjectionFact) -> bool:
        request = self._request
        horizon = request.as_of if request.known_at is None else min(request.as_of, request.known_at)
        lifted = fact.lifted_at is not None and fact.lifted_at <= horizon
        return not lifted and covers(fact.scope, request.purpose) and request.knows(fact)

    def _answer(self, demand: Demand, category: str) -> _Answer:
        """Steps 6 and 7: why the demand is not met, or None. Worked out once where no event names a category."""
        if demand.asks in self._answers:
            return self._answers[demand.asks]
        majority_on = None if demand.under_age is None else self._facts.aged_on(demand.under_age)
        minor = majority_on is not None and self._request.as_of.date() < majority_on
        answer = self._own(demand, category, majority_on, minor=minor)
        if answer[0] is None and minor:
            code, said = self._guardian(demand, category)
            answer = (code, said if code else answer[1] + said)
        if all(voice.fact.category == ANY for voice in self._voices()):
            self._answers[demand.asks] = answer
        return answer

    def _own(self, demand: Demand, category: str, majority_on: date | None, *, minor: bool) -> _Answer:
        """The latest event in a covering scope: any no, or a yes as strong and as plainly addressed as demanded.

        Of age, a yes of a guardian or of the child no longer counts, so that a birthday never widens access. An event
        that ends a yes does not end a no: the withdrawal before it is still heard.
        """
        ended: _Voice | None = None
        for voice in self._voices():
            fact = voice.fact
            if fact.kind == ConsentKind.GUARDIAN or not self._reaches(fact, demand, category):
                continue
            if fact.type in _ENDS:
                ended = ended or voice
                continue
            grown = majority_on is None or fact.happened_at.date() >= majority_on
            counts = minor or (grown and fact.actor != Actor.GUARDIAN)
            if fact.type in _NO or (counts and _LADDER[fact.kind] >= _LADDER[demand.kind]):
                decisive = voice if ended is None or voice.no is Withheld.CONSENT_WITHDRAWN else ended
                return decisive.no, (decisive.fact,)
        return (Withheld.CONSENT_REQUIRED, ()) if ended is None else (ended.no, (ended.fact,))

    def _guardian(self, demand: Demand, category: str) -> _Answer:
        """Step 7: the latest event of the guardian's own kind; nobody else can say such a yes."""
        for voice in self._voices():
            fact = voice.fact
            theirs = fact.kind == ConsentKind.GUARDIAN and (fact.actor == Actor.GUARDIAN or fact.type in _NO)
            if theirs and self._reaches(fact, demand, category):
                return None if voice.no is None else Withheld.GUARDIAN_REQUIRED, (voice.fact,)
        return Withheld.GUARDIAN_REQUIRED, ()

    def _reaches(self, fact: ConsentFact, demand: Demand, category: str) -> bool:
        """Whether an event speaks to a demand. In a yes "*" names neither a destination nor a recipient."""
        if not covers(fact.category, category):
            return False
        if fact.type in _NO or demand.destination == NOWHERE:
            named = fact.destination in {demand.destination, ANY}
        else:
            named = fact.destination == demand.destination
        due = demand.names_recipient and fact.type not in _NO
        return named and not (due and fact.recipient != self._request.recipient)

    def _voices(self) -> list[_Voice]:
        """The events in scope and known by then, latest first; read once, and only if some rule asks for consent."""
        if self._heard is None:
            request = self._request
            # A processor acts for the operator: what was said to the operator is said to it.
            itself = {SELF.lower()} if request.recipient_class == RecipientClass.PROCESSOR else set()
            recipients, channel = {request.recipient.lower(), ANY} | itself, request.channel.lower()
            heard = [
                self._voice(fact)
                for fact in self._facts.consents
                if covers(fact.purpose, request.purpose)
                and fact.type != ConsentType.REQUESTED
                and covers(fact.channel.lower(), channel)
                and fact.recipient.lower() in recipients
                and request.knows(fact)
            ]
            self._heard = sorted(heard, key=lambda voice: voice[:3], reverse=True)
        return self._heard

    def _voice(self, fact: ConsentFact) -> _Voice:
        no = _NO.get(fact.type) or self._lapsed(fact)
        return _Voice(fact.happened_at, fact.recorded_at, _STRICTNESS[no], no, fact)

    def _lapsed(self, fact: ConsentFact) -> Withheld | None:
        """Whether a yes has run out, or was given to a notice that was replaced or that nobody knows."""
        if fact.expires_at is not None and fact.expires_at <= self._request.as_of:
            return Withheld.CONSENT_EXPIRED
        if fact.notice is None:
            return None
        notice = self._policy.notices.get(fact.notice)
        if notice is None or (notice.superseded_at is not None and notice.superseded_at <= self._request.as_of):
            return Withheld.NOTICE_SUPERSEDED
        return None


class Witness(Hearing):
    """A hearing that remembers by which words of the customer each demand was answered."""

    __slots__ = ("_answered",)

    def __init__(self, policy: Policy, request: Request, facts: Facts) -> None:
        super().__init__(policy, request, facts)
        self._answered: list[tuple[Verdict, Withheld | None, tuple[ConsentFact, ...]]] = []

    def _answer(self, demand: Demand, category: str) -> _Answer:
        code, said = super()._answer(demand, category)
        self._answered.append((demand.met if code is None else demand.refusals[code], code, said))
        return code, said

    def _border(self, border: Border, category: str) -> Verdict | None:
        refused = super()._border(border, category)
        if refused is None and not border.enforced:
            self._answered.clear()  # a law that is not in force needed nothing
        return refused

    def because(self, verdict: Verdict) -> tuple[ConsentFact, ...]:
        """The words that decided a verdict: of an ALLOW all that were needed, of any other those it follows from."""
        if verdict.effect is Effect.ALLOW:
            return tuple(dict.fromkeys(fact for _, code, said in self._answered if code is None for fact in said))
        return next((said for answer, _, said in self._answered if answer == verdict), ())
