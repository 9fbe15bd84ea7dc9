"""The decision order, one step after the other, each with what must not happen."""

import dataclasses
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from privacy.errors import PermitMissing
from privacy.policy import ConsentFact, Decision, Facts, ObjectionFact, Permit, Policy, Request, decide, declares
from privacy.rows import PolicyRows
from privacy.vocabulary import (
    CATEGORIES,
    Actor,
    ConsentKind,
    ConsentType,
    CustomerState,
    Effect,
    ObjectionKind,
    RecipientClass,
    Withheld,
)
from tests.privacy.starter import starter_policy, starter_rows

POLICY = starter_policy()
CUSTOMER = UUID("019a0000-0000-7000-8000-000000000001")
NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def request(purpose: str = "service.care", origin: str = "CN", destination: str = "", **changes: Any) -> Request:
    asked = Request(
        "app", "SELF", RecipientClass.SELF, purpose, frozenset({purpose}), "app", origin, destination or origin, NOW
    )
    return asked._replace(**changes)


def customer(
    *consents: ConsentFact,
    objections: tuple[ObjectionFact, ...] = (),
    state: CustomerState = CustomerState.ACTIVE,
    birth_on: date | None = None,
) -> Facts:
    return Facts(CUSTOMER, state, birth_on, consents, objections)


def said(kind: ConsentType, strength: ConsentKind, purpose: str, days_ago: float = 10, **changes: Any) -> ConsentFact:
    at = NOW - DAY * days_ago
    fact = ConsentFact(kind, strength, purpose, at, at)
    return fact._replace(**changes)


def given(strength: ConsentKind, purpose: str, days_ago: float = 10, **changes: Any) -> ConsentFact:
    return said(ConsentType.GIVEN, strength, purpose, days_ago, **changes)


def withdrawn(purpose: str, days_ago: float = 5, **changes: Any) -> ConsentFact:
    return said(ConsentType.WITHDRAWN, ConsentKind.GENERAL, purpose, days_ago, **changes)


def answer(asked: Request, facts: Facts, category: str, policy: Policy = POLICY) -> tuple[str, str, str | None]:
    """Effect, rule and code for one category; checks that permit and verdict agree."""
    decision = decide(policy, asked, facts, [category])
    verdict = decision.verdicts[category]
    assert decision.permit.customer_id == CUSTOMER
    assert (category in decision.permit.opens) == (verdict.effect is not Effect.DENY)
    assert decision.clear == (verdict.effect is Effect.ALLOW)
    assert (verdict.style is not None) == (verdict.effect is Effect.MASK)
    return verdict.effect, verdict.rule, verdict.code


def withheld(decision: Decision) -> set[Withheld | None]:
    """The codes of a decision that must open nothing at all."""
    assert decision.permit.opens == frozenset()
    assert not decision.clear
    return {verdict.code for verdict in decision.verdicts.values()}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (request("service.tea"), Withheld.UNAVAILABLE),
        (request("service"), Withheld.UNAVAILABLE),
        (request(client=""), Withheld.UNAVAILABLE),
        (request(recipient=""), Withheld.UNAVAILABLE),
        (request(recipient="ACME"), Withheld.UNAVAILABLE),
        (request(recipient_class=RecipientClass.THIRD_PARTY), Withheld.UNAVAILABLE),
        (request(granted=frozenset()), Withheld.PURPOSE_NOT_DECLARED),
        (request(granted=frozenset({"marketing", "service.billing", "*"})), Withheld.PURPOSE_NOT_DECLARED),
        (request(origin="XX"), Withheld.UNAVAILABLE),
    ],
)
def test_step_0_refuses_what_is_not_the_clients_to_ask(asked: Request, code: Withheld) -> None:
    everything = given(ConsentKind.WRITTEN, "*", recipient="*", destination="*")
    assert withheld(decide(POLICY, asked, customer(everything), CATEGORIES)) == {code}


def test_step_0_a_granted_group_covers_its_purposes() -> None:
    assert answer(request(granted=frozenset({"service"})), customer(), "identity.name")[0] == Effect.ALLOW


@pytest.mark.parametrize("state", [CustomerState.ERASED, CustomerState.ERASING])
@pytest.mark.parametrize("purpose", ["service.care", "legal.realname"])
def test_step_1_an_erased_customer_is_not_there(state: CustomerState, purpose: str) -> None:
    assert withheld(decide(POLICY, request(purpose), customer(state=state), CATEGORIES)) == {Withheld.UNAVAILABLE}


def test_step_1_a_restricted_customer_is_there_for_legal_purposes_only() -> None:
    facts = customer(state=CustomerState.RESTRICTED)
    assert withheld(decide(POLICY, request(), facts, CATEGORIES)) == {Withheld.RESTRICTED}
    assert answer(request("legal.audit"), facts, "identity.name") == ("ALLOW", "cn.legal", None)


def test_step_2_a_declared_group_covers_its_purposes_and_nothing_else() -> None:
    assert declares({"service"}, "service.care", POLICY)
    assert declares({"service.care"}, "service.care", POLICY)
    assert not declares({"service.billing", "*"}, "service.care", POLICY)
    assert not declares({"service", "service.tea"}, "service.tea", POLICY)


def joining(**changes: Any) -> ConsentFact:
    fact = given(ConsentKind.SEPARATE, "service", destination="HK")
    return fact._replace(**changes)


@pytest.mark.parametrize(
    ("consents", "passes"),
    [
        ((), False),
        ((joining(),), True),
        ((joining(destination="*"),), False),
        ((joining(destination="NONE"),), False),
        ((joining(kind=ConsentKind.GENERAL),), False),
        ((joining(purpose="marketing"),), False),
        ((joining(category="billing"),), False),
        ((joining(expires_at=NOW),), False),
        ((joining(), withdrawn("service", destination="HK")), False),
        ((joining(), withdrawn("*", destination="*")), False),
        ((joining(), withdrawn("service", destination="MO")), True),
        ((joining(), withdrawn("service", destination="NONE")), True),
        ((joining(), withdrawn("service", days_ago=20, destination="HK")), True),
    ],
)
def test_step_3_data_leaves_the_mainland_with_a_separate_consent_naming_where(
    consents: tuple[ConsentFact, ...], passes: bool
) -> None:
    allowed, refused = ("ALLOW", "cn.service", None), ("DENY", "cn.cross_border", "CROSS_BORDER")
    facts = customer(*consents)
    assert answer(request(destination="HK"), facts, "identity.name") == (allowed if passes else refused)
    assert answer(request(), facts, "identity.name") == allowed, "at home nothing changes"
    assert answer(request(destination="HK"), facts, "usage.location")[0] == "DENY", "a border never masks"


def test_step_3_hong_kong_asks_nothing_yet_hears_a_no() -> None:
    abroad = request(origin="HK", destination="CN")
    assert answer(abroad, customer(), "identity.name") == ("ALLOW", "hk.original", None)
    for destination in ("CN", "*"):
        facts = customer(withdrawn("service", destination=destination))
        assert answer(abroad, facts, "identity.name") == ("DENY", "hk.cross_border", "CROSS_BORDER")
        again = given(ConsentKind.SEPARATE, "service", 1, destination="CN")
        assert answer(abroad, customer(*facts.consents, again), "identity.name")[0] == "ALLOW"
    assert answer(abroad, customer(withdrawn("service", destination="MO")), "identity.name")[0] == "ALLOW"
    invalid = said(ConsentType.INVALIDATED, ConsentKind.SEPARATE, "service", 1, destination="CN")
    told = customer(withdrawn("service", destination="CN"), invalid)
    assert answer(abroad, told, "identity.name")[0] == "DENY", "what ends a yes does not end a no"


@pytest.mark.parametrize("origin", ["CN", "HK", "EU"])
def test_step_3_a_legal_duty_ends_at_the_border(origin: str) -> None:
    consent = given(ConsentKind.WRITTEN, "*", destination="MO")
    decision = decide(POLICY, request("legal.audit", origin, "MO"), customer(consent), CATEGORIES)
    assert withheld(decision) == {Withheld.CROSS_BORDER}


def changed(**rows: Any) -> Policy:
    return Policy.of(dataclasses.replace(starter_rows(), **rows))


@pytest.mark.parametrize(
    ("change", "passes"),
    [
        ({}, True),
        ({"categories": ("identity",)}, True),
        ({"categories": ("billing",)}, False),
        ({"cap": 10, "used": 9}, True),
        ({"cap": 10, "used": 10}, False),
        ({"expires_at": NOW + DAY}, True),
        ({"expires_at": NOW}, False),
        ({"destination": "MO"}, False),
    ],
)
def test_step_3_a_transfer_basis_must_fit(change: dict[str, Any], passes: bool) -> None:
    there = starter_rows().transfer_bases[0]
    policy = changed(transfer_bases=(dataclasses.replace(there, **change),))
    result = answer(request(destination="HK"), customer(joining()), "identity.name", policy)
    assert result[2] == (None if passes else "CROSS_BORDER")


def test_step_3_no_onward_transfer_under_the_gba_contract() -> None:
    partner = request(destination="HK", recipient="ACME", recipient_class=RecipientClass.THIRD_PARTY)
    consents = (joining(recipient="ACME"), given(ConsentKind.SEPARATE, "service", recipient="ACME"))
    assert answer(partner, customer(*consents), "identity.name") == ("DENY", "cn.cross_border", "CROSS_BORDER")


def test_step_3_the_law_of_the_destination_applies_too() -> None:
    result = answer(request(origin="HK", destination="CN"), customer(), "insight.score")
    assert result == ("DENY", "hk.new_purpose", "CONSENT_REQUIRED")
    express = given(ConsentKind.GENERAL, "service")
    home, abroad = request(origin="HK"), request(origin="HK", destination="CN")
    assert answer(home, customer(express), "usage.location") == ("ALLOW", "hk.new_purpose", None)
    assert answer(abroad, customer(express), "usage.location") == ("MASK", "cn.service.sensitive", "CONSENT_REQUIRED")


@pytest.mark.parametrize(
    ("kind", "purpose", "hit"),
    [
        (ObjectionKind.DIRECT_MARKETING, "marketing.sms", True),
        (ObjectionKind.DIRECT_MARKETING, "service.care", False),
        (ObjectionKind.DIRECT_MARKETING, "insight.profiling", False),
        (ObjectionKind.DO_NOT_CONTACT, "marketing.call", True),
        (ObjectionKind.DO_NOT_CONTACT, "service.care", False),
        (ObjectionKind.AUTOMATED_DECISION, "insight.profiling", True),
        (ObjectionKind.AUTOMATED_DECISION, "insight.churn", True),
        (ObjectionKind.AUTOMATED_DECISION, "marketing.sms", False),
        (ObjectionKind.RESTRICTION, "service.care", True),
        (ObjectionKind.RESTRICTION, "legal.realname", False),
    ],
)
def test_step_4_objections_beat_every_consent(kind: ObjectionKind, purpose: str, hit: bool) -> None:
    consent = given(ConsentKind.WRITTEN, "*", 1)
    objection = ObjectionFact(kind, "*", NOW - DAY * 9, NOW - DAY * 9)
    result = answer(request(purpose), customer(consent, objections=(objection,)), "usage.summary")
    assert result[0] == ("DENY" if hit else "ALLOW")
    assert (result[2] == "OBJECTION") == hit


def test_step_4_an_objection_has_a_scope_and_an_end() -> None:
    at = NOW - DAY * 9
    facts = customer(given(ConsentKind.GENERAL, "marketing"))

    def stands(scope: str, lifted_at: datetime | None = None, asked: Request | None = None) -> bool:
        objection = ObjectionFact(ObjectionKind.DIRECT_MARKETING, scope, at, at + DAY, lifted_at)
        objected = facts._replace(objections=(objection,))
        return answer(asked or request("marketing.sms"), objected, "contact.number")[2] == "OBJECTION"

    assert stands("marketing")
    assert stands("marketing.sms")
    assert not stands("marketing.call")
    assert not stands("marketing", NOW)
    assert stands("marketing", NOW + DAY)
    assert stands("marketing", NOW - DAY, request("marketing.sms", known_at=NOW - DAY * 2))
    assert not stands("marketing", None, request("marketing.sms", known_at=at))


def test_step_5_a_basis_needs_no_consent_and_survives_a_withdrawal() -> None:
    facts = customer(withdrawn("*", 1))
    assert answer(request(), facts, "identity.name") == ("ALLOW", "cn.service", None)
    assert answer(request("service.identity"), facts, "identity.document") == ("ALLOW", "cn.service.sensitive", None)
    assert answer(request("service.identity", "HK"), facts, "identity.document") == ("ALLOW", "hk.original", None)
    assert answer(request(), facts, "identity.document") == ("DENY", "cn.service.sensitive", "CONSENT_WITHDRAWN")


MARKETING = given(ConsentKind.GENERAL, "marketing")


@pytest.mark.parametrize(
    ("consents", "code"),
    [
        ((), "CONSENT_REQUIRED"),
        ((said(ConsentType.REQUESTED, ConsentKind.GENERAL, "marketing.sms"),), "CONSENT_REQUIRED"),
        ((MARKETING,), None),
        ((said(ConsentType.RENEWED, ConsentKind.GENERAL, "marketing"),), None),
        ((said(ConsentType.CONFIRMED, ConsentKind.SEPARATE, "marketing"),), None),
        ((given(ConsentKind.GENERAL, "*"),), None),
        ((given(ConsentKind.NO_OBJECTION, "marketing"),), "CONSENT_REQUIRED"),
        ((given(ConsentKind.GUARDIAN, "marketing"),), "CONSENT_REQUIRED"),
        ((given(ConsentKind.GENERAL, "marketing", actor=Actor.GUARDIAN),), "CONSENT_REQUIRED"),
        ((given(ConsentKind.GENERAL, "marketing", actor=Actor.AGENT),), None),
        ((given(ConsentKind.GENERAL, "marketing.call"),), "CONSENT_REQUIRED"),
        ((given(ConsentKind.GENERAL, "market"),), "CONSENT_REQUIRED"),
        ((given(ConsentKind.GENERAL, "marketing", channel="app"),), None),
        ((given(ConsentKind.GENERAL, "marketing", channel="shop"),), "CONSENT_REQUIRED"),
        ((given(ConsentKind.GENERAL, "marketing", category="contact"),), None),
        ((given(ConsentKind.GENERAL, "marketing", category="contact.email"),), "CONSENT_REQUIRED"),
        ((given(ConsentKind.GENERAL, "marketing", recipient="*"),), None),
        ((given(ConsentKind.GENERAL, "marketing", recipient="ACME"),), "CONSENT_REQUIRED"),
        ((given(ConsentKind.GENERAL, "marketing", destination="HK"),), "CONSENT_REQUIRED"),
        ((given(ConsentKind.GENERAL, "marketing", -1),), "CONSENT_REQUIRED"),
        ((given(ConsentKind.GENERAL, "marketing", expires_at=NOW),), "CONSENT_EXPIRED"),
        ((given(ConsentKind.GENERAL, "marketing", expires_at=NOW + DAY),), None),
        ((given(ConsentKind.GENERAL, "marketing", notice="cn.privacy.1"),), None),
        ((given(ConsentKind.GENERAL, "marketing", notice="nobody.knows"),), "NOTICE_SUPERSEDED"),
        ((MARKETING, withdrawn("marketing")), "CONSENT_WITHDRAWN"),
        ((MARKETING, withdrawn("*")), "CONSENT_WITHDRAWN"),
        ((MARKETING, withdrawn("marketing.sms")), "CONSENT_WITHDRAWN"),
        ((MARKETING, withdrawn("marketing.call")), None),
        ((MARKETING, withdrawn("marketing", channel="shop")), None),
        ((MARKETING, withdrawn("marketing", channel="APP")), "CONSENT_WITHDRAWN"),
        ((MARKETING, withdrawn("marketing", recipient="self")), "CONSENT_WITHDRAWN"),
        ((given(ConsentKind.GENERAL, "marketing", channel="App"),), None),
        ((MARKETING, withdrawn("marketing", category="contact.email")), None),
        ((MARKETING, withdrawn("marketing", destination="HK")), None),
        ((MARKETING, said(ConsentType.REFUSED, ConsentKind.GENERAL, "marketing", 5)), "CONSENT_WITHDRAWN"),
        ((MARKETING, said(ConsentType.EXPIRED, ConsentKind.GENERAL, "marketing", 5)), "CONSENT_EXPIRED"),
        ((MARKETING, said(ConsentType.INVALIDATED, ConsentKind.GENERAL, "marketing", 5)), "CONSENT_REQUIRED"),
        ((withdrawn("marketing", 20), MARKETING), None),
        ((MARKETING, given(ConsentKind.NO_OBJECTION, "marketing", 5)), None),
        ((MARKETING, withdrawn("marketing", 10)), "CONSENT_WITHDRAWN"),
        ((MARKETING, withdrawn("marketing", 10, recorded_at=NOW - DAY * 11)), None),
    ],
)
def test_step_6_the_latest_event_in_a_covering_scope_wins(consents: tuple[ConsentFact, ...], code: str | None) -> None:
    for ordered in (consents, consents[::-1]):
        result = answer(request("marketing.sms"), customer(*ordered), "contact.number")
        assert result == ("DENY" if code else "ALLOW", "cn.marketing", code)


def test_step_6_a_no_is_heard_however_the_recipient_is_spelled_and_a_yes_names_it_as_it_is() -> None:
    asked = request("partner.share", recipient="ACME", recipient_class=RecipientClass.THIRD_PARTY)
    yes = given(ConsentKind.SEPARATE, "partner", recipient="ACME")
    assert answer(asked, customer(yes), "usage.summary")[0] == Effect.ALLOW
    no = withdrawn("partner", recipient="Acme")
    assert answer(asked, customer(yes, no), "usage.summary")[2] == "CONSENT_WITHDRAWN"
    assert answer(asked, customer(yes._replace(recipient="Acme")), "usage.summary")[2] == "CONSENT_REQUIRED"


def test_step_6_a_replaced_notice_no_longer_carries_a_consent() -> None:
    notice = starter_rows().notices[0]
    newer = dataclasses.replace(notice, id="cn.privacy.2", version=2)
    policy = changed(notices=(dataclasses.replace(notice, superseded_at=NOW), newer))
    facts = customer(given(ConsentKind.GENERAL, "marketing", notice=notice.id))
    asked = request("marketing.sms")
    assert answer(asked, facts, "contact.number", policy)[2] == "NOTICE_SUPERSEDED"
    assert decide(policy, asked, facts, ["contact.number"]).verdicts["contact.number"].notice == newer.id
    before = asked._replace(as_of=NOW - timedelta(seconds=1))
    assert answer(before, facts, "contact.number", policy)[0] == "ALLOW"


def test_step_6_time_travel() -> None:
    late = withdrawn("marketing", 5, recorded_at=NOW - DAY)
    facts = customer(MARKETING, late)
    asked = request("marketing.sms")
    assert answer(asked, facts, "contact.number")[2] == "CONSENT_WITHDRAWN"
    known_before = asked._replace(known_at=NOW - DAY * 2)
    assert answer(known_before, facts, "contact.number")[0] == "ALLOW", "not yet known then"
    true_before = asked._replace(as_of=NOW - DAY * 6)
    assert answer(true_before, facts, "contact.number")[0] == "ALLOW", "not yet true then"


CHILD_ON = date(2015, 3, 1)  # ten years old
GUARDIAN = given(ConsentKind.GUARDIAN, "marketing", actor=Actor.GUARDIAN)


@pytest.mark.parametrize(
    ("birth_on", "consents", "code"),
    [
        (CHILD_ON, (MARKETING,), "GUARDIAN_REQUIRED"),
        (CHILD_ON, (GUARDIAN,), "CONSENT_REQUIRED"),
        (CHILD_ON, (MARKETING, GUARDIAN), None),
        (
            CHILD_ON,
            (MARKETING, GUARDIAN, withdrawn("*")._replace(kind=ConsentKind.GUARDIAN)),
            "GUARDIAN_REQUIRED",
        ),
        (CHILD_ON, (given(ConsentKind.GENERAL, "*", actor=Actor.GUARDIAN), GUARDIAN), None),
        (date(2011, 6, 2), (MARKETING,), "GUARDIAN_REQUIRED"),
        (date(2011, 6, 1), (MARKETING, GUARDIAN), "CONSENT_REQUIRED"),
        (date(2011, 6, 1), (given(ConsentKind.GENERAL, "marketing", 0),), None),
        (date(2011, 6, 1), (given(ConsentKind.GENERAL, "marketing", 0, actor=Actor.GUARDIAN),), "CONSENT_REQUIRED"),
        (date(2011, 5, 1), (MARKETING,), None),
    ],
)
def test_step_7_a_child_needs_its_guardian_and_an_adult_speaks_alone(
    birth_on: date, consents: tuple[ConsentFact, ...], code: str | None
) -> None:
    facts = customer(*consents, birth_on=birth_on)
    assert answer(request("marketing.sms"), facts, "contact.number")[2] == code
    assert answer(request(), facts, "identity.name")[0] == "ALLOW", "a contract asks no guardian"


def test_step_7_born_on_29_february_is_of_age_on_1_march() -> None:
    facts = customer(given(ConsentKind.GENERAL, "marketing", -999), birth_on=date(2012, 2, 29))
    assert facts.aged_on(14) == date(2026, 3, 1)
    assert facts.aged_on(16) == date(2028, 3, 1)


def test_step_8_mask_where_a_yes_is_missing_deny_where_a_no_was_said() -> None:
    assert answer(request(), customer(), "usage.location") == ("MASK", "cn.service.sensitive", "CONSENT_REQUIRED")
    yes = given(ConsentKind.SEPARATE, "service")
    assert answer(request(), customer(yes), "usage.location")[0] == "ALLOW"
    no = customer(yes, withdrawn("service"))
    assert answer(request(), no, "usage.location") == ("DENY", "cn.service.sensitive", "CONSENT_WITHDRAWN")
    expired = customer(said(ConsentType.EXPIRED, ConsentKind.SEPARATE, "service", 1), *no.consents)
    assert answer(request(), expired, "usage.location")[0] == "DENY", "what ends a yes does not end a no"


def test_unknown_categories_are_denied_by_default() -> None:
    facts = customer(given(ConsentKind.WRITTEN, "*"))
    assert answer(request(), facts, "identity.shoe_size") == ("DENY", "default", "UNAVAILABLE")


def test_a_verdict_says_what_would_help() -> None:
    verdicts = decide(POLICY, request(destination="HK"), customer(), ["identity.name"]).verdicts
    assert (verdicts["identity.name"].kind, verdicts["identity.name"].notice) == (ConsentKind.SEPARATE, "cn.privacy.1")
    closed = decide(POLICY, request(destination="MO"), customer(), ["identity.name"]).verdicts
    assert closed["identity.name"].kind is None, "no consent opens a border without a transfer basis"


def test_a_permit_is_made_by_a_decision_alone() -> None:
    with pytest.raises(PermitMissing):
        Permit(CUSTOMER, frozenset({"identity.name"}), object())
    permit = decide(POLICY, request(), customer(), ["identity.name", "usage.location"]).permit
    assert permit.customer_id == CUSTOMER
    assert permit.opens == {"identity.name", "usage.location"}, "the location to be masked"
    with pytest.raises(dataclasses.FrozenInstanceError):
        permit.opens = frozenset(CATEGORIES)  # type: ignore[misc]  # that it is refused is the point


def test_a_processor_stands_in_for_the_operator() -> None:
    asked = request("marketing.sms", recipient="SENDER", recipient_class=RecipientClass.PROCESSOR)
    assert answer(asked, customer(MARKETING), "contact.number")[0] == "ALLOW"
    assert answer(asked, customer(MARKETING, withdrawn("marketing")), "contact.number")[2] == "CONSENT_WITHDRAWN"


def test_rows_come_back_as_they_went() -> None:
    rows = starter_rows()
    assert isinstance(rows, PolicyRows)
    assert Policy.of(rows).rules == POLICY.rules
