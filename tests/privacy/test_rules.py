"""The starter rules, one by one with their law; the rows a policy refuses, and the files that make no rows."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from privacy.errors import PolicyInvalid
from privacy.policy import ConsentFact, Facts, Policy, Request, Verdict, decide
from privacy.rows import Basis, CategorySensitivity, PolicyRows, Rule, TransferBasis
from privacy.rules import read_rules
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
from tests.privacy.starter import STARTER_TEXT, starter_policy, starter_rows

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
        (
            doubled("rules", id="cn.service.again"),
            "rule cn.service.again: is about the same as cn.service; expected one",
        ),
        (doubled("notices", sha256="0" * 64), "notice cn.privacy.1: given twice"),
        (doubled("transfer_bases"), "transfer basis gba.cn.hk: given twice"),
        (first("purposes", parent="nowhere"), "purpose service: parent 'nowhere'; expected a known dotted prefix"),
        (first("rules", purpose="service.tea"), "rule cn.service: purpose 'service.tea' is unknown"),
        (first("rules", recipients=()), "rule cn.service: no recipients"),
        (first("rules", consent=None), "rule cn.service: consent None with bases"),
        (first("rules", bases=(BasisKind.CONTRACT,)), "rule cn.service: consent GENERAL with bases \\[CONTRACT\\];"),
        (first("rules", bases=(), consent=None), "rule cn.service: no bases"),
        (first("rules", consent=ConsentKind.GUARDIAN), "rule cn.service: consent GUARDIAN; expected it in an age rule"),
        (
            first("rules", jurisdiction="cn"),
            "rule cn.service: jurisdiction 'cn'; expected two capital letters such as CN",
        ),
        (
            first("sensitivities", jurisdiction="China"),
            "sensitivity of .* in China: jurisdiction 'China'; expected two",
        ),
        (first("bases", jurisdiction="*"), "basis of .*: jurisdiction '\\*'; expected two"),
        (first("notices", jurisdiction="CN-GD"), "notice cn.privacy.1: jurisdiction 'CN-GD'; expected two"),
        (first("transfer_bases", origin="cn"), "transfer basis gba.cn.hk: jurisdiction 'cn'; expected two"),
        (first("transfer_bases", destination="Hk"), "transfer basis gba.cn.hk: jurisdiction 'Hk'; expected two"),
        (first("rules", under_age=14), "rule cn.service: expected an age rule to ask for GUARDIAN alone"),
        (first("rules", under_age=151, bases=(), consent=ConsentKind.GUARDIAN), "GUARDIAN alone, from 1 to 150"),
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


FILE_TABLES = ("rule", "sensitivity", "basis", "notice", "transfer_basis")
EMPTY = "version = 3\n" + "".join(f"{table} = []\n" for table in FILE_TABLES)
FIRST_RULE = '[[rule]]\nid = "cn.service"\n'


def changed(old: str, new: str) -> str:
    """The starter file with the first occurrence of a text replaced."""
    assert old in STARTER_TEXT
    return STARTER_TEXT.replace(old, new, 1)


def test_a_file_says_what_its_rows_hold() -> None:
    rows = read_rules(STARTER_TEXT)
    rules = {rule.id: rule for rule in rows.rules}
    assert [len(part) for part in (rows.rules, rows.sensitivities, rows.bases, rows.notices, rows.transfer_bases)] == [
        *(17, 7, 34, 2, 2)
    ]
    assert rules["cn.guardian"] == Rule(
        id="cn.guardian",
        jurisdiction="CN",
        purpose="*",
        sensitivity=None,
        recipients=tuple(RecipientClass),
        bases=(),
        consent=ConsentKind.GUARDIAN,
        under_age=14,
        law="PIPL art. 31",
    )
    assert rules["eu.traffic"].masks == (("usage.location", "city"), ("usage.record", "month"))
    assert (rules["hk.cross_border"].enforced, rules["cn.cross_border"].enforced) == (False, True)
    assert rows.bases[0] == Basis("service", "identity.name", "CN", BasisKind.CONTRACT, "starter")
    assert rows.sensitivities[-1] == CategorySensitivity("usage.counterparty", "EU", Sensitivity.SENSITIVE)
    assert rows.transfer_bases[0] == TransferBasis(
        "gba.cn.hk", "CN", "HK", TransferBasisKind.GBA_CONTRACT, ("*",), False, "starter"
    )
    assert rows.notices[0].sha256 == "35ce39fffe00ab0693dd34d4f75556c292d4bea6737d96d15e655469a2a25f0e"
    assert (rows.purposes, rows.categories) == (tuple(PURPOSES.values()), tuple(CATEGORIES.values()))


def test_a_file_says_what_the_starter_policy_leaves_out() -> None:
    text = changed('ref = "starter"\n', 'ref = "GBA-7"\ncap = 500\nused = 20\nexpires_at = 2027-12-31T00:00:00+08:00\n')
    contract = read_rules(text).transfer_bases[0]
    assert (contract.ref, contract.cap, contract.used) == ("GBA-7", 500, 20)
    assert contract.expires_at == datetime(2027, 12, 30, 16, tzinfo=UTC)
    assert read_rules(EMPTY) == PolicyRows(
        3, tuple(PURPOSES.values()), tuple(CATEGORIES.values()), *((),) * len(FILE_TABLES)
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version = ", r"not TOML: Invalid value \(at end of document\)"),
        ("version = 1", "policy: rule is missing; expected version, rule, sensitivity, basis, notice, transfer_basis"),
        (EMPTY.replace("version = 3", ""), "policy: version is missing"),
        (EMPTY.replace("3", '"3"'), "policy: version '3'; expected a whole number from 0"),
        (EMPTY.replace("3", "-3"), "policy: version -3; expected a whole number from 0"),
        (EMPTY.replace("3", "3000000000"), "policy: version 3000000000; expected a whole number"),
        (EMPTY.replace("3", "true"), "policy: version True; expected a whole number"),
        (EMPTY + "rules = []", "policy: rules is unknown; expected one of version, rule, "),
        (EMPTY.replace("rule = []", "rule = 3"), "policy: rule 3; expected a list in square brackets"),
        (EMPTY.replace("rule = []", "rule = [3]"), "policy: rule 3; expected a table"),
        (EMPTY.replace("rule = []", "rule = [{}]"), "rule 1: id is missing; expected id, jurisdiction, purpose, "),
        (changed(FIRST_RULE, FIRST_RULE + 'lore = "x"\n'), "rule cn.service: lore is unknown; expected one of id, "),
        (changed('law = "PIPL art. 13(1)-(3)"\n', ""), "rule cn.service: law is missing; expected id, "),
        (changed('sensitivity = "GENERAL"\n', ""), "rule cn.service: sensitivity is missing"),
        (changed('"PIPL art. 13(1)-(3)"', "13"), "rule cn.service: law 13; expected a text in quotes"),
        (changed('"PIPL art. 13(1)-(3)"', '""'), "rule cn.service: law ''; expected a text in quotes"),
        (
            changed('sensitivity = "GENERAL"', 'sensitivity = "MILD"'),
            "rule cn.service: sensitivity 'MILD'; expected one",
        ),
        (changed('["SELF", "PROCESSOR"]', '"SELF"'), "rule cn.service: recipients 'SELF'; expected a list in square"),
        (
            changed('["SELF", "PROCESSOR"]', '["ME"]'),
            r"rule cn.service: recipients \['ME'\]; expected one of SELF, PROCESSOR, AFFILIATE, THIRD_PARTY",
        ),
        (
            changed('consent = "GENERAL"', 'consent = "STRONG"'),
            "rule cn.service: consent 'STRONG'; expected one of GEN",
        ),
        (changed('purpose = "service"', 'purpose = "tea"'), "rule cn.service: purpose 'tea' is unknown; expected a"),
        (
            changed("cross_border = true", 'cross_border = "yes"'),
            "rule cn.cross_border: cross_border 'yes'; expected",
        ),
        (changed("under_age = 14", "under_age = 14.0"), "rule cn.guardian: under_age 14.0; expected a whole number"),
        (
            changed('"usage.location" = "city"', '"usage.location" = "fog"'),
            "rule cn.service.sensitive: mask 'usage.loc",
        ),
        (changed('"usage.location" = "city"', '"usage.location" = 1'), "rule cn.service.sensitive: masks .* a text in"),
        (changed(FIRST_RULE, FIRST_RULE + 'masks = "city"\n'), "rule cn.service: masks 'city'; expected a table"),
        (changed('categories = ["identity.document", ', 'categories = ["tea", '), "sensitivity of tea in CN: category"),
        (changed('categories = ["*"]', "categories = []"), r"basis 3: categories \[\]; expected at least one"),
        (changed('categories = ["*"]', ""), "basis 3: categories is missing; expected purpose, categories, "),
        (changed('categories = ["*"]', "categories = [1]"), "basis 3: category 1; expected a text in quotes"),
        (changed('kind = "CONTRACT"', 'kind = "CONSENT"'), "basis of service for identity.name in CN: kind CONSENT"),
        (changed('kind = "CONTRACT"', 'kind = "LUCK"'), "basis 1: kind 'LUCK'; expected one of CONSENT, CONTRACT"),
        (changed('text = "', 'sha256 = "'), "notice cn.privacy.1: sha256 is unknown; expected one of id, .*text"),
        (changed('scopes = ["*"]', "scopes = []"), "notice cn.privacy.1: scopes"),
        (
            changed('scopes = ["*"]', 'scopes = ["*"]\nsuperseded_at = 2026-01-31T00:00:00'),
            "notice cn.privacy.1: superseded_at .*; expected an instant with its offset, such as 2026-01-31T00",
        ),
        (changed('origin = "CN"', 'origin = "HK"'), "transfer basis gba.cn.hk: origin and destination are both 'HK'"),
    ],
)
def test_a_file_that_makes_no_sense_is_told_where(text: str, message: str) -> None:
    with pytest.raises(PolicyInvalid, match=f"^{message}"):
        read_rules(text)
