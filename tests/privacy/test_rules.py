"""The starter rules, one by one with their law, and the rows a policy refuses."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from privacy.errors import PolicyInvalid
from privacy.policy import ConsentFact, Facts, Policy, Request, Verdict, decide
from privacy.rows import PolicyRows
from privacy.rules import starter_policy, starter_rows
from privacy.vocabulary import (
    CATEGORIES,
    PURPOSES,
    BasisKind,
    ConsentKind,
    ConsentType,
    CustomerState,
    Effect,
    RecipientClass,
    Sensitivity,
    TransferBasisKind,
    Withheld,
    covers,
)

POLICY = starter_policy()
NOW = datetime(2025, 6, 1, tzinfo=UTC)
NEED = {ConsentKind.GENERAL, ConsentKind.SEPARATE, ConsentKind.WRITTEN, ConsentKind.NO_OBJECTION}


def verdict(
    jurisdiction: str,
    purpose: str,
    category: str,
    recipient: RecipientClass,
    *kinds: ConsentKind,
    policy: Policy = POLICY,
) -> Verdict:
    """The verdict at home for a customer who gave these kinds of consent, naming the recipient."""
    name = "SELF" if recipient is RecipientClass.SELF else "ACME"
    consents = tuple(ConsentFact(ConsentType.GIVEN, kind, "*", NOW, NOW, recipient=name) for kind in kinds)
    asked = Request("app", name, recipient, purpose, frozenset({purpose}), "app", jurisdiction, jurisdiction, NOW)
    facts = Facts(UUID(int=1), CustomerState.ACTIVE, None, consents, ())
    return decide(policy, asked, facts, [category]).verdicts[category]


OWN, ACME = RecipientClass.SELF, RecipientClass.THIRD_PARTY


@pytest.mark.parametrize(
    ("place", "rule", "law", "needs", "otherwise"),
    [
        (("CN", "service.care", "billing.amount", OWN), "cn.service", "PIPL art. 13", None, None),
        (("CN", "service.care", "insight.score", OWN), "cn.service", "PIPL art. 13", ConsentKind.GENERAL, None),
        (
            ("CN", "service.care", "usage.location", OWN),
            "cn.service.sensitive",
            "art. 28",
            ConsentKind.SEPARATE,
            "city",
        ),
        (("CN", "marketing.sms", "usage.location", OWN), "cn.sensitive", "art. 28", ConsentKind.SEPARATE, None),
        (("CN", "insight.churn", "usage.record", OWN), "cn.sensitive", "art. 28", ConsentKind.SEPARATE, None),
        (("CN", "marketing.sms", "contact.number", OWN), "cn.marketing", "art. 43", ConsentKind.GENERAL, None),
        (("CN", "marketing.call", "contact.number", OWN), "cn.marketing", "art. 43", ConsentKind.GENERAL, None),
        (("CN", "insight.profiling", "usage.summary", OWN), "cn.profiling", "art. 24", ConsentKind.GENERAL, "bucket"),
        (("CN", "insight.profiling", "identity.name", OWN), "cn.profiling", "art. 24", ConsentKind.GENERAL, None),
        (("CN", "partner.share", "usage.summary", ACME), "cn.third_party", "art. 23", ConsentKind.SEPARATE, None),
        (("CN", "service.care", "identity.name", ACME), "cn.third_party", "art. 23", ConsentKind.SEPARATE, None),
        (("CN", "legal.realname", "identity.document", OWN), "cn.legal", "Fraud Law", None, None),
        (("CN", "legal.antifraud", "usage.location", OWN), "cn.legal", "Fraud Law", None, None),
        (("CN", "legal.audit", "consent.record", OWN), "cn.legal", "PIPL art. 13", None, None),
        (("HK", "service.care", "identity.name", OWN), "hk.original", "DPP3", None, None),
        (("HK", "legal.realname", "identity.document", OWN), "hk.original", "DPP3", None, None),
        (("HK", "insight.profiling", "usage.summary", OWN), "hk.new_purpose", "DPP3", ConsentKind.GENERAL, None),
        (("HK", "partner.share", "usage.summary", ACME), "hk.new_purpose", "DPP3", ConsentKind.GENERAL, None),
        (("HK", "marketing.sms", "contact.number", OWN), "hk.marketing", "s.35C", ConsentKind.NO_OBJECTION, None),
        (
            ("HK", "marketing.sms", "contact.number", ACME),
            "hk.marketing.third_party",
            "s.35J",
            ConsentKind.WRITTEN,
            None,
        ),
        (("EU", "service.care", "usage.location", OWN), "eu.traffic", "ePrivacy", ConsentKind.GENERAL, "city"),
        (("EU", "service.care", "usage.record", OWN), "eu.traffic", "ePrivacy", ConsentKind.GENERAL, "month"),
    ],
)
def test_each_starter_rule(
    place: tuple[str, str, str, RecipientClass], rule: str, law: str, needs: ConsentKind | None, otherwise: str | None
) -> None:
    assert law in next(row.law for row in POLICY.rules if row.id == rule)
    silent = verdict(*place)
    assert silent.rule == rule
    if needs is None:
        assert silent == Verdict(Effect.ALLOW, rule)
        return
    effect = Effect.DENY if otherwise is None else Effect.MASK
    assert (silent.effect, silent.code, silent.kind) == (effect, Withheld.CONSENT_REQUIRED, needs)
    assert silent.style == otherwise
    ladder = [ConsentKind.NO_OBJECTION, ConsentKind.GENERAL, ConsentKind.SEPARATE, ConsentKind.WRITTEN]
    for kind in ladder:
        enough = ladder.index(kind) >= ladder.index(needs)
        assert verdict(*place, kind) == (Verdict(Effect.ALLOW, rule) if enough else silent)
    assert verdict(*place, ConsentKind.GUARDIAN) == silent


def test_eu_special_categories_need_an_explicit_consent() -> None:
    ranked = dataclasses.replace(starter_rows().sensitivities[0], jurisdiction="EU", sensitivity=Sensitivity.SPECIAL)
    policy = Policy.of(dataclasses.replace(starter_rows(), sensitivities=(ranked,)))
    place = ("EU", "service.care", ranked.category, OWN)
    assert verdict(*place, ConsentKind.GENERAL, policy=policy).code is Withheld.CONSENT_REQUIRED
    assert verdict(*place, ConsentKind.SEPARATE, policy=policy) == Verdict(Effect.ALLOW, "eu.special")


@pytest.mark.parametrize(
    "place",
    [
        ("EU", "service.care", "identity.name", OWN),
        ("US", "service.care", "identity.name", OWN),
        ("CN", "partner.share", "identity.name", OWN),
    ],
)
def test_anything_else_is_denied(place: tuple[str, str, str, RecipientClass]) -> None:
    assert verdict(*place, *NEED) == Verdict(Effect.DENY, "default", Withheld.UNAVAILABLE)


@pytest.mark.parametrize("recipient", [RecipientClass.AFFILIATE, RecipientClass.THIRD_PARTY])
@pytest.mark.parametrize(
    ("jurisdiction", "purpose"), [("CN", "partner.share"), ("HK", "partner.share"), ("HK", "marketing.sms")]
)
def test_another_entity_must_be_named(jurisdiction: str, purpose: str, recipient: RecipientClass) -> None:
    asked = Request("app", "ACME", recipient, purpose, frozenset({purpose}), "app", jurisdiction, jurisdiction, NOW)

    def allowed(name: str) -> bool:
        consent = ConsentFact(ConsentType.GIVEN, ConsentKind.WRITTEN, "*", NOW, NOW, recipient=name)
        facts = Facts(UUID(int=1), CustomerState.ACTIVE, None, (consent,), ())
        return bool(decide(POLICY, asked, facts, CATEGORIES).permit.opens)

    assert [allowed(name) for name in ("ACME", "*", "OTHER", "SELF")] == [True, False, False, False]


WITHHELD_FROM_CARE = {"identity.document", "usage.location", "insight.score"}


@pytest.mark.parametrize("jurisdiction", ["CN", "HK"])
def test_care_sees_what_the_service_needs(jurisdiction: str) -> None:
    seen = {key for key in CATEGORIES if verdict(jurisdiction, "service.care", key, OWN).effect is Effect.ALLOW}
    assert seen == set(CATEGORIES) - WITHHELD_FROM_CARE
    assert {verdict(jurisdiction, "service.care", key, ACME).effect for key in CATEGORIES} == {Effect.DENY}


def test_the_vocabulary_is_whole() -> None:
    assert all(purpose.id == key and purpose.description.endswith(".") for key, purpose in PURPOSES.items())
    assert all(category.id == key and category.description.endswith(".") for key, category in CATEGORIES.items())
    assert {key for key, purpose in PURPOSES.items() if purpose.direct_marketing} == {
        key for key in PURPOSES if covers("marketing", key)
    }
    assert {key for key, purpose in PURPOSES.items() if purpose.automated_decision} == {
        key for key in PURPOSES if covers("insight", key)
    }
    assert covers("usage", "usage.record")
    assert not covers("usage.rec", "usage.record")
    assert not covers("usage.record", "usage")


def first(table: str, **changes: Any) -> Callable[[PolicyRows], PolicyRows]:
    """A change to the first row of a table."""

    def change(rows: PolicyRows) -> PolicyRows:
        row, *rest = getattr(rows, table)
        changed: dict[str, Any] = {table: (dataclasses.replace(row, **changes), *rest)}
        return dataclasses.replace(rows, **changed)

    return change


def doubled(table: str, **changes: Any) -> Callable[[PolicyRows], PolicyRows]:
    """A second copy of the first row of a table."""

    def change(rows: PolicyRows) -> PolicyRows:
        every = getattr(rows, table)
        longer: dict[str, Any] = {table: (*every, dataclasses.replace(every[0], **changes))}
        return dataclasses.replace(rows, **longer)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (doubled("purposes"), "purpose service: given twice"),
        (doubled("categories"), "category identity.name: given twice"),
        (doubled("sensitivities"), "given twice"),
        (doubled("rules"), "rule cn.service: given twice"),
        (doubled("rules", id="cn.service.again"), "rule place .*: given twice"),
        (doubled("notices", sha256="0" * 64), "notice cn.privacy.1: given twice"),
        (doubled("transfer_bases"), "transfer basis gba.cn.hk: given twice"),
        (first("purposes", parent="nowhere"), "purpose service: parent 'nowhere'; expected a known dotted prefix"),
        (first("rules", purpose="service.tea"), "rule cn.service: purpose 'service.tea' is unknown"),
        (first("rules", recipients=()), "rule cn.service: no recipients"),
        (first("rules", consent=None), "rule cn.service: consent None with bases"),
        (first("rules", bases=(BasisKind.CONTRACT,)), "rule cn.service: consent GENERAL with bases"),
        (first("rules", bases=(), consent=None), "rule cn.service: no bases"),
        (first("rules", consent=ConsentKind.GUARDIAN), "rule cn.service: consent GUARDIAN; expected it in an age rule"),
        (first("rules", under_age=14), "rule cn.service: expected an age rule to ask for GUARDIAN alone"),
        (first("rules", cross_border=True), "rule cn.service: expected a border rule"),
        (first("rules", masks=(("usage.tea", "city"),)), "rule cn.service: mask 'usage.tea' 'city'"),
        (first("rules", masks=(("usage.location", "fog"),)), "rule cn.service: mask 'usage.location' 'fog'"),
        (
            first("rules", bases=(BasisKind.CONTRACT,), consent=None, masks=(("usage.location", "city"),)),
            "rule cn.service: masks; expected them only where",
        ),
        (first("sensitivities", category="tea"), "sensitivity of tea in CN: category 'tea' is unknown"),
        (first("bases", kind=BasisKind.CONSENT), "basis of service for identity.name in CN: kind CONSENT"),
        (first("bases", purpose="*"), "basis of \\* for identity.name in CN: purpose '\\*' is unknown"),
        (first("bases", category="tea"), "category 'tea' is unknown"),
        (first("notices", sha256="abc"), "notice cn.privacy.1: sha256 'abc'; expected 64"),
        (first("notices", scopes=()), "notice cn.privacy.1: scopes"),
        (first("notices", scopes=("tea",)), "notice cn.privacy.1: scopes"),
        (first("transfer_bases", destination="CN"), "transfer basis gba.cn.hk: origin and destination are both 'CN'"),
        (first("transfer_bases", onward=True), "transfer basis gba.cn.hk: expected a GBA contract"),
        (first("transfer_bases", destination="US"), "transfer basis gba.cn.hk: expected a GBA contract"),
        (first("transfer_bases", cap=-1), "transfer basis gba.cn.hk: cap -1"),
        (first("transfer_bases", categories=("tea",)), "transfer basis gba.cn.hk: category 'tea' is unknown"),
    ],
)
def test_a_row_that_makes_no_sense_is_named(change: Callable[[PolicyRows], PolicyRows], message: str) -> None:
    with pytest.raises(PolicyInvalid, match=message):
        Policy.of(change(starter_rows()))


def test_a_rule_that_is_not_in_force_is_not_applied() -> None:
    policy = Policy.of(first("rules", enforced=False)(starter_rows()))
    assert verdict("CN", "service.care", "billing.amount", OWN, policy=policy).rule == "default"


def test_an_onward_transfer_needs_a_contract_that_allows_it() -> None:
    contract = {"kind": TransferBasisKind.STANDARD_CONTRACT, "onward": True}
    policy = Policy.of(first("transfer_bases", **contract)(starter_rows()))
    consents = tuple(
        ConsentFact(ConsentType.GIVEN, ConsentKind.SEPARATE, "*", NOW, NOW, recipient="ACME", destination=destination)
        for destination in ("HK", "NONE")
    )
    asked = Request("app", "ACME", ACME, "partner.share", frozenset({"partner"}), "app", "CN", "HK", NOW)
    facts = Facts(UUID(int=1), CustomerState.ACTIVE, None, consents, ())
    assert decide(policy, asked, facts, ["usage.summary"]).permit.opens == {"usage.summary"}
    assert decide(POLICY, asked, facts, ["usage.summary"]).permit.opens == frozenset()
