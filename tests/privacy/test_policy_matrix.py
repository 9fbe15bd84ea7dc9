"""The decision against a naive oracle over 50,000 cells, and the laws no decision may break.

The oracle knows no rows, rules or indexes: it restates the law of each jurisdiction as plain branches, and replays a
customer's events from the first to the last, where the product looks for the latest one.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.policy import ConsentFact, Decider, Facts, ObjectionFact, Policy, Request, Verdict, decide
from privacy.rows import Notice, TransferBasis
from privacy.vocabulary import (
    CATEGORIES,
    Actor,
    ConsentKind,
    ConsentType,
    CustomerState,
    Effect,
    ObjectionKind,
    RecipientClass,
    TransferBasisKind,
)
from tests.privacy.starter import starter_rows

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ASKED: Final = (*CATEGORIES, "identity.shoe_size")
PURPOSES: Final = (
    *("service.care", "service.identity", "marketing.sms", "marketing.call", "insight.profiling", "insight.churn"),
    *("partner.share", "legal.realname", "legal.audit", "service", "service.tea"),
)
SENSITIVE: Final = {
    "CN": {"identity.document", "usage.location", "usage.record", "usage.counterparty"},
    "EU": {"usage.location", "usage.record", "usage.counterparty"},
}
BUCKETS: Final = {"usage.summary", "billing.amount", "billing.topup", "insight.score", "identity.birth"}
OLD_NOTICE: Final = Notice("cn.old", 1, "CN", "en", "0" * 64, ("*",), NOW - DAY * 30)
TRANSFERS: Final = (
    TransferBasis("a", "CN", "HK", TransferBasisKind.GBA_CONTRACT, ("*",), False, "", expires_at=NOW + DAY * 20),
    TransferBasis("b", "CN", "EU", TransferBasisKind.STANDARD_CONTRACT, ("identity", "usage.record"), True, "", 10, 9),
    TransferBasis("c", "CN", "MO", TransferBasisKind.STANDARD_CONTRACT, ("*",), True, "", 10, 10),
)


def policy_of_the_matrix() -> Policy:
    rows = starter_rows()
    return Policy.of(dataclasses.replace(rows, notices=(*rows.notices, OLD_NOTICE), transfer_bases=TRANSFERS))


POLICY = policy_of_the_matrix()
Answer = tuple[str, str | None, str | None]  # effect, code, mask style
Need = tuple[str, bool, str | None]  # consent kind, whether an entity must be named, mask style


def oracle(asked: Request, facts: Facts, category: str) -> Answer:
    """What the law says about one category, written down naively."""
    family = asked.purpose.split(".")[0]
    walls = (
        (asked.purpose in {"service", "service.tea"}, "UNAVAILABLE"),
        ((asked.recipient == "SELF") != (asked.recipient_class == "SELF"), "UNAVAILABLE"),
        (asked.purpose not in asked.granted and family not in asked.granted, "PURPOSE_NOT_DECLARED"),
        (facts.state in {"ERASING", "ERASED"}, "UNAVAILABLE"),
        (facts.state == "RESTRICTED" and family != "legal", "RESTRICTED"),
        (category in CATEGORIES and not crosses(asked, facts, category, family), "CROSS_BORDER"),
        (objected(asked, facts, family), "OBJECTION"),
    )
    for closed, code in walls:
        if closed:
            return "DENY", code, None
    applying = [asked.origin] + [asked.destination] * (asked.destination in {"CN", "HK", "EU"} - {asked.origin})
    answers = [at_home(asked, facts, category, jurisdiction) for jurisdiction in applying]
    for effect in ("DENY", "MASK"):
        strict = [answer for answer in answers if answer[0] == effect]
        if strict:
            return next((answer for answer in strict if answer[1] == "UNAVAILABLE"), strict[0])
    return "ALLOW", None, None


def crosses(asked: Request, facts: Facts, category: str, family: str) -> bool:
    """Whether the border lets the category through."""
    if asked.origin == asked.destination:
        return True
    other = asked.recipient_class in {"AFFILIATE", "THIRD_PARTY"}
    if family == "legal" or asked.origin not in {"CN", "HK"}:
        return False
    status = replay(asked, facts, category, ("SEPARATE", other, None), (asked.origin, asked.destination))
    if asked.origin == "HK":
        return status != "CONSENT_WITHDRAWN"
    contract = asked.destination == "HK" and not other and asked.as_of < NOW + DAY * 20
    clauses = asked.destination == "EU" and (category.startswith("identity.") or category == "usage.record")
    return (contract or clauses) and status is None


def objected(asked: Request, facts: Facts, family: str) -> bool:
    for fact in facts.objections:
        known = asked.known_at is None or fact.recorded_at <= asked.known_at
        seen = asked.as_of if asked.known_at is None else min(asked.as_of, asked.known_at)
        lifted = fact.lifted_at is not None and fact.lifted_at <= seen
        if not known or lifted or fact.happened_at > asked.as_of or fact.scope not in {"*", family, asked.purpose}:
            continue
        if fact.kind in {"DIRECT_MARKETING", "DO_NOT_CONTACT"} and family == "marketing":
            return True
        if fact.kind == "AUTOMATED_DECISION" and family == "insight":
            return True
        if fact.kind == "RESTRICTION" and family != "legal":
            return True
    return False


def at_home(asked: Request, facts: Facts, category: str, jurisdiction: str) -> Answer:
    """The answer of one jurisdiction's law, borders aside."""
    need = law(asked, category, jurisdiction)
    status = replay(asked, facts, category, need, (jurisdiction, "NONE")) if isinstance(need, tuple) else need
    if status is None:
        return "ALLOW", None, None
    style = need[2] if isinstance(need, tuple) and status != "CONSENT_WITHDRAWN" else None
    return ("MASK", status, style) if style else ("DENY", status, None)


def law(asked: Request, category: str, jurisdiction: str) -> str | Need | None:
    """The consent one jurisdiction asks for, None where it needs none, a code where nothing would help."""
    if category not in CATEGORIES or jurisdiction not in {"CN", "HK", "EU"}:
        return "UNAVAILABLE"
    other = asked.recipient_class in {"AFFILIATE", "THIRD_PARTY"}
    if jurisdiction == "EU":
        style = {"usage.location": "city", "usage.record": "month"}.get(category)
        return ("GENERAL", other, style) if category in SENSITIVE["EU"] else "UNAVAILABLE"
    family = asked.purpose.split(".")[0]
    necessary = family == "service" and category not in {"identity.document", "usage.location", "insight.score"}
    document = asked.purpose == "service.identity" and category == "identity.document"
    if (family == "legal" or necessary or document) and not other:
        return None
    return chinese(family, category, other) if jurisdiction == "CN" else hong_kong(family, other)


def hong_kong(family: str, other: bool) -> Need:
    """The consent a new purpose needs in Hong Kong."""
    if family == "marketing":
        return ("WRITTEN", True, None) if other else ("NO_OBJECTION", False, None)
    return "GENERAL", other, None


def chinese(family: str, category: str, other: bool) -> Need | str:
    """The consent needed on the mainland where no contract and no duty allows the use."""
    if other:
        return "SEPARATE", True, None
    if category in SENSITIVE["CN"]:
        return "SEPARATE", False, "city" if family == "service" and category == "usage.location" else None
    bucket = "bucket" if family == "insight" and category in BUCKETS else None
    return "UNAVAILABLE" if family == "partner" else ("GENERAL", False, bucket)


def replay(asked: Request, facts: Facts, category: str, need: Need, place: tuple[str, str]) -> str | None:
    """Replay the customer's own events, then the guardian's; None where the need is met.

    `place` is the jurisdiction whose law asks, and the destination a consent must speak of.
    """
    jurisdiction, destination = place
    birthday = None
    if jurisdiction == "CN" and facts.birth_on is not None:
        birthday = datetime(facts.birth_on.year + 14, facts.birth_on.month, facts.birth_on.day, tzinfo=UTC)
    child = birthday is not None and asked.as_of < birthday
    strength = ["NO_OBJECTION", "GENERAL", "SEPARATE", "WRITTEN"]
    status, ended, guarded = "CONSENT_REQUIRED", "", False
    for fact in in_order(asked, facts, category, need, destination):
        yes = fact.type in {"GIVEN", "RENEWED", "CONFIRMED"}
        if fact.kind == "GUARDIAN":
            if fact.actor == "GUARDIAN" or not yes:
                guarded = yes and not lapse(asked, fact)
        elif fact.type in {"EXPIRED", "INVALIDATED"}:
            ended = "CONSENT_EXPIRED" if fact.type == "EXPIRED" else "CONSENT_REQUIRED"
        elif not yes:
            status, ended = "CONSENT_WITHDRAWN", ""
        else:
            own = fact.actor != "GUARDIAN" and (birthday is None or fact.happened_at >= birthday)
            if (child or own) and strength.index(fact.kind) >= strength.index(need[0]):
                status, ended = lapse(asked, fact), ""
    if status != "CONSENT_WITHDRAWN" and ended:
        return ended
    return status or ("GUARDIAN_REQUIRED" if child and not guarded else None)


def in_order(asked: Request, facts: Facts, category: str, need: Need, destination: str) -> list[ConsentFact]:
    """The events that speak to a need, first to last, the stricter after the milder."""
    heard = []
    for fact in facts.consents:
        no = fact.type in {"REFUSED", "WITHDRAWN", "EXPIRED", "INVALIDATED"}
        recipients = {asked.recipient, "*"} | ({"SELF"} if asked.recipient_class == "PROCESSOR" else set())
        places = {destination, "*"} if no or destination == "NONE" else {destination}
        if need[1] and not no:
            recipients = {asked.recipient}
        if (
            fact.type != "REQUESTED"
            and fact.happened_at <= asked.as_of
            and (asked.known_at is None or fact.recorded_at <= asked.known_at)
            and fact.purpose in {"*", asked.purpose.split(".")[0], asked.purpose}
            and fact.category in {"*", category.partition(".")[0], category}
            and fact.channel in {"*", asked.channel}
            and fact.recipient in recipients
            and fact.destination in places
        ):
            heard.append(fact)
    harsh = ["", "NOTICE_SUPERSEDED", "CONSENT_EXPIRED", "INVALIDATED", "WITHDRAWN"]

    def harshness(fact: ConsentFact) -> int:
        if fact.type in {"REFUSED", "WITHDRAWN"}:
            return 4
        if fact.type in {"EXPIRED", "INVALIDATED"}:
            return 2 if fact.type == "EXPIRED" else 3
        return harsh.index(lapse(asked, fact))

    return sorted(heard, key=lambda fact: (fact.happened_at, fact.recorded_at, harshness(fact)))


def lapse(asked: Request, fact: ConsentFact) -> str:
    if fact.expires_at is not None and fact.expires_at <= asked.as_of:
        return "CONSENT_EXPIRED"
    old = fact.notice == "cn.old" and asked.as_of >= NOW - DAY * 30
    return "NOTICE_SUPERSEDED" if old or fact.notice == "nobody.knows" else ""


# Cases: small sets of values, so that scopes, instants and people meet often.


def a_request(random: Random) -> Request:
    purpose = random.choice(PURPOSES[:9] * 6 + PURPOSES)
    recipient_class = random.choice((RecipientClass.SELF,) * 5 + tuple(RecipientClass))
    recipient = "SELF" if recipient_class is RecipientClass.SELF else "ACME"
    granted = {purpose, purpose.split(".")[0]} if random.random() < 0.97 else {"legal"}
    origin = random.choice(("CN",) * 5 + ("HK",) * 3 + ("EU", "XX"))
    destination = origin if random.random() < 0.5 else random.choice(("CN", "HK", "HK", "EU", "MO", "XX"))
    return Request(
        "app",
        recipient if random.random() < 0.98 else "SELF",
        recipient_class,
        purpose,
        frozenset(granted),
        random.choice(("app", "shop")),
        origin,
        destination,
        NOW + DAY * random.choice((-10, 0, 0, 0, 15, 20, 25)),
        random.choice((None, None, None, NOW - DAY * 8, NOW)),
    )


def a_consent(random: Random, asked: Request) -> ConsentFact:
    happened_at = random.choice((*(NOW - DAY * days for days in (40, 20, 12, 5, 5, 1, -3)), asked.as_of))
    yes = (ConsentType.GIVEN,) * 7 + (ConsentType.RENEWED, ConsentType.CONFIRMED)
    kinds = (ConsentKind.SEPARATE, ConsentKind.WRITTEN) * 3 + tuple(ConsentKind) + (ConsentKind.GUARDIAN,) * 2
    return ConsentFact(
        type=random.choice(yes + tuple(ConsentType)),
        kind=random.choice(kinds),
        purpose=random.choice(("*", asked.purpose, asked.purpose.split(".")[0], asked.purpose[:-1], "marketing")),
        happened_at=happened_at,
        recorded_at=happened_at + DAY * random.choice((0, 0, 0, 1, 9)),
        category=random.choice(("*",) * 6 + ("identity", "usage", "usage.location", "billing.amount")),
        channel=random.choice(("*", "*", "*", "app", "shop")),
        recipient=random.choice((asked.recipient,) * 4 + ("*", "SELF", "OTHER")),
        destination=random.choice(("NONE", "NONE", "*", asked.destination, asked.destination, "HK")),
        notice=random.choice((None,) * 5 + ("cn.privacy.1", "cn.old", "nobody.knows")),
        expires_at=random.choice((None,) * 6 + (happened_at + DAY * 10, asked.as_of)),
        actor=random.choice((Actor.SELF,) * 5 + (Actor.GUARDIAN, Actor.AGENT)),
    )


def an_objection(random: Random, asked: Request) -> ObjectionFact:
    at = NOW - DAY * random.choice((20, 9, 1, -3))
    lifted_at = random.choice((None, None, NOW - DAY * 9, NOW + DAY * 5))
    scope = random.choice(("*", asked.purpose, asked.purpose.split(".")[0], "marketing.call"))
    return ObjectionFact(random.choice(tuple(ObjectionKind)), scope, at, at + DAY, lifted_at)


def a_case(random: Random) -> tuple[Request, Facts]:
    asked = a_request(random)
    state = random.choice((CustomerState.ACTIVE,) * 24 + tuple(CustomerState))
    birth_on = random.choice((None, None, date(1990, 1, 1), date(2015, 1, 1), date(2011, 6, 10), date(2011, 5, 25)))
    consents = [a_consent(random, asked) for _ in range(random.choice((0, 1, 2, 3, 5, 8)))]
    for destination in sorted({"NONE", asked.destination} - {asked.origin}) if random.random() < 0.3 else ():
        yes = (ConsentType.GIVEN, ConsentKind.WRITTEN, "*", NOW - DAY * 15, NOW - DAY * 15)
        consents.append(ConsentFact(*yes, recipient=asked.recipient, destination=destination))
    objections = tuple(an_objection(random, asked) for _ in range(random.choice((0, 0, 0, 1, 2))))
    return asked, Facts(UUID(int=1), state, birth_on, tuple(consents), objections)


def test_50_000_cells_agree_with_the_oracle(record_property: Callable[[str, object], None]) -> None:
    random = Random(20250601)  # noqa: S311 -- the same cases in every run
    seen: Counter[tuple[str, str | None]] = Counter()
    for _ in range(2_000):
        asked, facts = a_case(random)
        verdicts = decide(POLICY, asked, facts, ASKED).verdicts
        for category in ASKED:
            found = verdicts[category]
            answer = (found.effect, found.code, found.style)
            assert answer == oracle(asked, facts, category), f"{category} of {asked} for {facts}: {found}"
            seen[found.effect, found.code] += 1
    assert seen.total() >= 50_000
    assert {code for effect, code in seen if effect == "DENY"} == {
        *("UNAVAILABLE", "PURPOSE_NOT_DECLARED", "RESTRICTED", "CROSS_BORDER", "OBJECTION", "CONSENT_REQUIRED"),
        *("CONSENT_WITHDRAWN", "CONSENT_EXPIRED", "NOTICE_SUPERSEDED", "GUARDIAN_REQUIRED"),
    }
    assert {code for effect, code in seen if effect == "MASK"} == {
        *("CONSENT_REQUIRED", "CONSENT_EXPIRED", "NOTICE_SUPERSEDED", "GUARDIAN_REQUIRED"),
    }
    assert min(seen.values()) >= 10, "every answer is met often enough to mean something"
    record_property("cells", seen.total())


# Laws.

STRICTNESS = {Effect.ALLOW: 0, Effect.MASK: 1, Effect.DENY: 2}
cases = st.randoms(use_true_random=False)
often = settings(max_examples=300, deadline=None)


def decided(asked: Request, facts: Facts) -> dict[str, Verdict]:
    return dict(decide(POLICY, asked, facts, ASKED).verdicts)


def assert_never_wider(before: dict[str, Verdict], after: dict[str, Verdict]) -> None:
    wider = {key for key in before if STRICTNESS[after[key].effect] < STRICTNESS[before[key].effect]}
    assert wider == set()


@often
@given(
    cases, st.sampled_from((ConsentType.WITHDRAWN, ConsentType.REFUSED, ConsentType.EXPIRED, ConsentType.INVALIDATED))
)
def test_a_no_never_widens(random: Random, no: ConsentType) -> None:
    asked, facts = a_case(random)
    fact = a_consent(random, asked)._replace(type=no)
    assert_never_wider(decided(asked, facts), decided(asked, facts._replace(consents=(*facts.consents, fact))))


@often
@given(cases)
def test_an_objection_never_widens(random: Random) -> None:
    asked, facts = a_case(random)
    objections = (*facts.objections, an_objection(random, asked))
    assert_never_wider(decided(asked, facts), decided(asked, facts._replace(objections=objections)))


@often
@given(cases, st.integers(0, 3_000))
def test_a_later_date_never_widens(random: Random, days: int) -> None:
    """All has been said by the first date: what then passes is only time, birthdays included."""
    asked, facts = a_case(random)
    asked = asked._replace(as_of=max(asked.as_of, NOW + DAY * 5))
    later = asked._replace(as_of=asked.as_of + DAY * days)
    assert_never_wider(decided(asked, facts), decided(later, facts))


@often
@given(cases, st.sampled_from(("purpose", "channel", "recipient", "destination")))
def test_an_event_about_something_else_changes_nothing(random: Random, scope: str) -> None:
    asked, facts = a_case(random)
    changes: dict[str, Any] = {scope: "ELSEWHERE"}
    elsewhere = a_consent(random, asked)._replace(**changes)
    assert decided(asked, facts) == decided(asked, facts._replace(consents=(*facts.consents, elsewhere)))


@often
@given(cases)
def test_the_order_of_events_does_not_matter(random: Random) -> None:
    asked, facts = a_case(random)
    consents, objections = list(facts.consents), list(facts.objections)
    random.shuffle(consents)
    random.shuffle(objections)
    shuffled = facts._replace(consents=tuple(consents), objections=tuple(objections))
    assert decided(asked, facts) == decided(asked, shuffled)


@often
@given(cases)
def test_each_category_is_decided_for_itself(random: Random) -> None:
    asked, facts = a_case(random)
    alone = {key: decide(policy_of_the_matrix(), asked, facts, [key]).verdicts[key] for key in random.sample(ASKED, 3)}
    together = decided(asked, facts)
    assert alone == {key: together[key] for key in alone}


# Explanations.


@often
@given(cases)
def test_an_explanation_is_the_decision(random: Random) -> None:
    """For one record and for several of one person: the same verdict, because of words that were said."""
    asked, facts = a_case(random)
    members = [facts, *(a_case(random)[1] for _ in range(random.choice((0, 0, 1, 2))))]
    decider = Decider(POLICY, asked, ASKED)
    verdicts = decider.together(members).verdicts
    for category in ASKED:
        why = decider.explain(members, category)
        assert why.verdict == verdicts[category], category
        assert set(why.consents) <= {fact for one in members for fact in one.consents}
        assert (why.objection is None) == (why.verdict.code != "OBJECTION")
        assert all(asked.knows(fact) for fact in why.consents)
        assert why.objection is None or asked.knows(why.objection)


@often
@given(cases)
def test_nothing_is_allowed_without_the_words_that_allowed_it(random: Random) -> None:
    asked, facts = a_case(random)
    decider = Decider(POLICY, asked, ASKED)
    for category in ASKED:
        why = decider.explain([facts], category)
        for fact in why.consents if why.verdict.effect is Effect.ALLOW else ():
            # What was said before may say the same: without it, too.
            later = tuple(other for other in facts.consents if other.happened_at > fact.happened_at)
            assert decider.explain([facts._replace(consents=later)], category).verdict.effect is not Effect.ALLOW


@often
@given(cases)
def test_a_basis_that_is_used_up_never_widens_and_carries_nothing(random: Random) -> None:
    asked, facts = a_case(random)
    decider = Decider(POLICY, asked, ASKED)
    decision = decider.decide(facts)
    carried = decider.carriers(decision)
    assert carried <= {"a", "b"}
    assert not carried or asked.origin != asked.destination
    spent = asked._replace(exhausted=carried)
    after = Decider(POLICY, spent, ASKED)
    assert_never_wider(dict(decision.verdicts), dict(after.decide(facts).verdicts))
    assert after.carriers(after.decide(facts)) == frozenset()
