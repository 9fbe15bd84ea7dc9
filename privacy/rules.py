"""The starter rows: what the law of a jurisdiction asks, as data that counsel may replace row by row.

Product defaults, not legal advice. What no row allows is denied: that default is code, so that no row can lift it.
"""

from hashlib import sha256
from typing import Final

from privacy.rows import (
    Basis,
    CategorySensitivity,
    Notice,
    PolicyRows,
    Rule,
    TransferBasis,
)
from privacy.rulebook import Policy
from privacy.vocabulary import (
    ANY,
    CATEGORIES,
    PURPOSES,
    BasisKind,
    ConsentKind,
    RecipientClass,
    Sensitivity,
    TransferBasisKind,
)

STARTER_VERSION: Final = 1

_OWN: Final = (RecipientClass.SELF, RecipientClass.PROCESSOR)  # a processor acts for the operator
_OTHERS: Final = (RecipientClass.AFFILIATE, RecipientClass.THIRD_PARTY)
_ALL: Final = tuple(RecipientClass)
_CONSENT: Final = (BasisKind.CONSENT,)
_SERVICE_BASES: Final = (BasisKind.CONTRACT, BasisKind.LEGAL_DUTY, BasisKind.CONSENT)
_PROFILE_MASKS: Final = tuple(
    (category, "bucket")
    for category in ("usage.summary", "billing.amount", "billing.topup", "insight.score", "identity.birth")
)

_CN_RULES: Final = (
    Rule(
        id="cn.service",
        jurisdiction="CN",
        purpose="service",
        sensitivity=Sensitivity.GENERAL,
        recipients=_OWN,
        bases=_SERVICE_BASES,
        consent=ConsentKind.GENERAL,
        law="PIPL art. 13(1)-(3)",
    ),
    Rule(
        id="cn.service.sensitive",
        jurisdiction="CN",
        purpose="service",
        sensitivity=Sensitivity.SENSITIVE,
        recipients=_OWN,
        bases=_SERVICE_BASES,
        consent=ConsentKind.SEPARATE,
        masks=(("usage.location", "city"),),
        law="PIPL art. 28, 29",
    ),
    Rule(
        id="cn.sensitive",
        jurisdiction="CN",
        purpose=ANY,
        sensitivity=Sensitivity.SENSITIVE,
        recipients=_OWN,
        bases=_SERVICE_BASES,
        consent=ConsentKind.SEPARATE,
        law="PIPL art. 28, 29",
    ),
    Rule(
        id="cn.marketing",
        jurisdiction="CN",
        purpose="marketing",
        sensitivity=Sensitivity.GENERAL,
        recipients=_OWN,
        bases=_CONSENT,
        consent=ConsentKind.GENERAL,
        law="Advertising Law art. 43; MIIT short message rules art. 18",
    ),
    Rule(
        id="cn.profiling",
        jurisdiction="CN",
        purpose="insight",
        sensitivity=Sensitivity.GENERAL,
        recipients=_OWN,
        bases=_CONSENT,
        consent=ConsentKind.GENERAL,
        masks=_PROFILE_MASKS,
        law="PIPL art. 24",
    ),
    Rule(
        id="cn.third_party",
        jurisdiction="CN",
        purpose=ANY,
        sensitivity=None,
        recipients=_OTHERS,
        bases=_CONSENT,
        consent=ConsentKind.SEPARATE,
        names_recipient=True,
        law="PIPL art. 23",
    ),
    Rule(
        id="cn.cross_border",
        jurisdiction="CN",
        purpose=ANY,
        sensitivity=None,
        recipients=_ALL,
        bases=_CONSENT,
        consent=ConsentKind.SEPARATE,
        cross_border=True,
        names_recipient=True,
        law="PIPL art. 38, 39",
    ),
    Rule(
        id="cn.guardian",
        jurisdiction="CN",
        purpose=ANY,
        sensitivity=None,
        recipients=_ALL,
        bases=(),
        consent=ConsentKind.GUARDIAN,
        under_age=14,
        law="PIPL art. 31",
    ),
    Rule(
        id="cn.legal",
        jurisdiction="CN",
        purpose="legal",
        sensitivity=None,
        recipients=_OWN,
        bases=(BasisKind.LEGAL_DUTY,),
        consent=None,
        law="PIPL art. 13(3); Anti-Telecom Fraud Law art. 9; Cybersecurity Law art. 24",
    ),
)
_HK_RULES: Final = (
    Rule(
        id="hk.original",
        jurisdiction="HK",
        purpose=ANY,
        sensitivity=None,
        recipients=_OWN,
        bases=(BasisKind.COLLECTED_PURPOSE, BasisKind.LEGAL_DUTY),
        consent=None,
        law="PDPO DPP3(1), (4)",
    ),
    Rule(
        id="hk.new_purpose",
        jurisdiction="HK",
        purpose=ANY,
        sensitivity=None,
        recipients=_ALL,
        bases=_CONSENT,
        consent=ConsentKind.GENERAL,
        names_recipient=True,
        law="PDPO DPP3(1), s.2(3)",
    ),
    Rule(
        id="hk.marketing",
        jurisdiction="HK",
        purpose="marketing",
        sensitivity=None,
        recipients=_OWN,
        bases=_CONSENT,
        consent=ConsentKind.NO_OBJECTION,
        law="PDPO s.35C, 35E",
    ),
    Rule(
        id="hk.marketing.third_party",
        jurisdiction="HK",
        purpose="marketing",
        sensitivity=None,
        recipients=_OTHERS,
        bases=_CONSENT,
        consent=ConsentKind.WRITTEN,
        names_recipient=True,
        law="PDPO s.35J, 35K",
    ),
    Rule(
        id="hk.cross_border",
        jurisdiction="HK",
        purpose=ANY,
        sensitivity=None,
        recipients=_ALL,
        bases=_CONSENT,
        consent=ConsentKind.SEPARATE,
        cross_border=True,
        enforced=False,
        law="PDPO s.33 (not in force)",
    ),
)
_EU_RULES: Final = (
    Rule(
        id="eu.traffic",
        jurisdiction="EU",
        purpose=ANY,
        sensitivity=Sensitivity.SENSITIVE,
        recipients=_ALL,
        bases=_CONSENT,
        consent=ConsentKind.GENERAL,
        masks=(("usage.location", "city"), ("usage.record", "month")),
        names_recipient=True,
        law="ePrivacy Directive art. 6(3), 9(1)",
    ),
    Rule(
        id="eu.special",
        jurisdiction="EU",
        purpose=ANY,
        sensitivity=Sensitivity.SPECIAL,
        recipients=_ALL,
        bases=_CONSENT,
        consent=ConsentKind.SEPARATE,
        names_recipient=True,
        law="GDPR art. 9(2)(a)",
    ),
)
_LEGAL_STAYS: Final = Rule(
    id="legal.cross_border",
    jurisdiction=ANY,
    purpose="legal",
    sensitivity=None,
    recipients=_ALL,
    bases=(),
    consent=None,
    cross_border=True,
    law="a legal duty ends at the border: PIPL art. 41; PDPO DPP3",
)
STARTER_RULES: Final = (*_CN_RULES, *_HK_RULES, *_EU_RULES, _LEGAL_STAYS)

_RANKED: Final = {
    "CN": ("identity.document", "usage.location", "usage.record", "usage.counterparty"),
    "EU": ("usage.location", "usage.record", "usage.counterparty"),
}
STARTER_SENSITIVITIES: Final = tuple(
    CategorySensitivity(category, jurisdiction, Sensitivity.SENSITIVE)
    for jurisdiction, categories in _RANKED.items()
    for category in categories
)

# What the service cannot be given without. Documents, locations and scores are not among it.
_SERVICE_CATEGORIES: Final = (
    *("identity.name", "identity.birth", "identity.gender", "identity.status", "identity.tier", "identity.region"),
    *("contact", "number", "consent", "usage.summary", "usage.record", "usage.counterparty"),
    *("billing", "interaction", "case"),
)
_SERVICE_KINDS: Final = {"CN": BasisKind.CONTRACT, "HK": BasisKind.COLLECTED_PURPOSE}
STARTER_BASES: Final = (
    *(
        Basis("service", category, jurisdiction, kind, "starter")
        for jurisdiction, kind in _SERVICE_KINDS.items()
        for category in _SERVICE_CATEGORIES
    ),
    *(
        Basis(purpose, category, jurisdiction, BasisKind.LEGAL_DUTY, "starter")
        for jurisdiction in _SERVICE_KINDS
        for purpose, category in (("legal", ANY), ("service.identity", "identity.document"))
    ),
)

_NOTICE_TEXTS: Final = (
    ("cn.privacy.1", "CN", "zh-Hans", "我们为提供通信服务处理您的个人信息；其他用途须经您同意，您可随时撤回。"),
    ("hk.privacy.1", "HK", "zh-Hant", "我們為提供通訊服務使用您的個人資料；其他用途須經您同意，您可隨時撤回。"),
)
STARTER_NOTICES: Final = tuple(
    Notice(notice_id, 1, jurisdiction, language, sha256(text.encode()).hexdigest(), (ANY,))
    for notice_id, jurisdiction, language, text in _NOTICE_TEXTS
)

STARTER_TRANSFER_BASES: Final = tuple(
    TransferBasis(f"gba.{origin}.{to}".lower(), origin, to, TransferBasisKind.GBA_CONTRACT, (ANY,), False, "starter")
    for origin, to in (("CN", "HK"), ("HK", "CN"))
)


def starter_rows() -> PolicyRows:
    """Every starter row, to be written to the reference tables."""
    return PolicyRows(
        version=STARTER_VERSION,
        purposes=tuple(PURPOSES.values()),
        categories=tuple(CATEGORIES.values()),
        sensitivities=STARTER_SENSITIVITIES,
        rules=STARTER_RULES,
        bases=STARTER_BASES,
        notices=STARTER_NOTICES,
        transfer_bases=STARTER_TRANSFER_BASES,
    )


def starter_policy() -> Policy:
    """The policy made of the starter rows."""
    return Policy.of(starter_rows())
