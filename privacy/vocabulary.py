"""Purposes, data categories, retention classes: the words that law, schema and code share.

Purposes and categories follow the W3C Data Privacy Vocabulary in spirit: dotted ids, one parent, one sentence each.
They are defaults: an operator's rows in the reference tables may add to them, never contradict the enums.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ANY: Final = "*"  # a scope that covers everything of its kind
SELF: Final = "SELF"  # the recipient that is the operator itself
NOWHERE: Final = "NONE"  # the destination of data that stays in its own jurisdiction
LEGAL: Final = "legal"  # the purpose above all that the law itself asks for


def is_jurisdiction(text: str) -> bool:
    """Whether a text is spelled like a jurisdiction: two capital letters (ISO 3166-1)."""
    return len(text) == 2 and text.isascii() and text.isalpha() and text.isupper()


class RetentionClass(StrEnum):
    """How long a sealed value lives; one data key per customer and class."""

    IDENTITY = "IDENTITY"
    SERVICE = "SERVICE"
    USAGE = "USAGE"
    CONSENTED = "CONSENTED"


class Effect(StrEnum):
    """What a decision does to one category."""

    ALLOW = "ALLOW"
    MASK = "MASK"
    DENY = "DENY"


class RecipientClass(StrEnum):
    """What the receiving legal entity is to the operator."""

    SELF = "SELF"
    PROCESSOR = "PROCESSOR"
    AFFILIATE = "AFFILIATE"
    THIRD_PARTY = "THIRD_PARTY"


class Sensitivity(StrEnum):
    """How a jurisdiction ranks a category."""

    GENERAL = "GENERAL"
    SENSITIVE = "SENSITIVE"
    SPECIAL = "SPECIAL"


class Actor(StrEnum):
    """Who spoke for the customer."""

    SELF = "SELF"
    GUARDIAN = "GUARDIAN"
    AGENT = "AGENT"


class ConsentType(StrEnum):
    """What a consent event says."""

    REQUESTED = "REQUESTED"
    GIVEN = "GIVEN"
    REFUSED = "REFUSED"
    WITHDRAWN = "WITHDRAWN"
    RENEWED = "RENEWED"
    EXPIRED = "EXPIRED"
    INVALIDATED = "INVALIDATED"
    CONFIRMED = "CONFIRMED"


class ConsentKind(StrEnum):
    """How a consent was expressed. NO_OBJECTION < GENERAL < SEPARATE < WRITTEN; GUARDIAN stands beside the ladder."""

    GENERAL = "GENERAL"
    SEPARATE = "SEPARATE"
    WRITTEN = "WRITTEN"
    GUARDIAN = "GUARDIAN"
    NO_OBJECTION = "NO_OBJECTION"


class BasisKind(StrEnum):
    """Why personal data may be processed."""

    CONSENT = "CONSENT"
    CONTRACT = "CONTRACT"
    LEGAL_DUTY = "LEGAL_DUTY"
    COLLECTED_PURPOSE = "COLLECTED_PURPOSE"
    VITAL_INTEREST = "VITAL_INTEREST"
    PUBLIC_TASK = "PUBLIC_TASK"
    LEGITIMATE_INTEREST = "LEGITIMATE_INTEREST"


class ObjectionKind(StrEnum):
    """What a customer objects to."""

    DIRECT_MARKETING = "DIRECT_MARKETING"
    AUTOMATED_DECISION = "AUTOMATED_DECISION"
    RESTRICTION = "RESTRICTION"
    DO_NOT_CONTACT = "DO_NOT_CONTACT"


class TransferBasisKind(StrEnum):
    """Why data may leave its jurisdiction."""

    ASSESSMENT = "ASSESSMENT"
    STANDARD_CONTRACT = "STANDARD_CONTRACT"
    GBA_CONTRACT = "GBA_CONTRACT"
    CERTIFICATION = "CERTIFICATION"
    EXEMPT = "EXEMPT"


class CustomerState(StrEnum):
    """Whether a customer's record may be read at all."""

    ACTIVE = "ACTIVE"
    RESTRICTED = "RESTRICTED"
    ERASING = "ERASING"
    ERASED = "ERASED"


class Withheld(StrEnum):
    """Why a value is not in the answer."""

    PURPOSE_NOT_DECLARED = "PURPOSE_NOT_DECLARED"
    CONSENT_REQUIRED = "CONSENT_REQUIRED"
    CONSENT_WITHDRAWN = "CONSENT_WITHDRAWN"
    CONSENT_EXPIRED = "CONSENT_EXPIRED"
    NOTICE_SUPERSEDED = "NOTICE_SUPERSEDED"
    OBJECTION = "OBJECTION"
    GUARDIAN_REQUIRED = "GUARDIAN_REQUIRED"
    CROSS_BORDER = "CROSS_BORDER"
    REGION_UNAVAILABLE = "REGION_UNAVAILABLE"
    RESTRICTED = "RESTRICTED"
    HOLDING_ENDED = "HOLDING_ENDED"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Purpose:
    """Why data is read. A purpose with children is a group: fields and consents may name it, an operation may not."""

    id: str
    parent: str | None
    direct_marketing: bool
    automated_decision: bool
    necessary_for_service: bool
    description: str


@dataclass(frozen=True, slots=True)
class Category:
    """What kind of personal data a field holds."""

    id: str
    description: str


def covers(scope: str, value: str) -> bool:
    """Whether a scope covers a dotted id: by equality, as a dotted parent, or because it is "*"."""
    return scope in {value, ANY} or value.startswith(scope + ".")


def _purpose(purpose_id: str, description: str, *, automated: bool = False) -> Purpose:
    """A starter purpose: its family says whether it is marketing or a part of the service."""
    family = purpose_id.partition(".")[0]
    parent = family if family != purpose_id else None
    return Purpose(purpose_id, parent, family == "marketing", automated, family == "service", description)


PURPOSES: Final[dict[str, Purpose]] = {
    purpose.id: purpose
    for purpose in (
        _purpose("service", "Provide the communication service the customer has a contract for."),
        _purpose("service.care", "Answer the customer's questions and repair what does not work."),
        _purpose("service.billing", "Rate usage, issue bills, take payments and settle disputes about them."),
        _purpose("service.identity", "Verify who the customer is before a service is changed."),
        _purpose("service.fraud", "Protect the customer and the service from fraudulent use."),
        _purpose("marketing", "Tell the customer about offers."),
        _purpose("marketing.sms", "Send offers by text message."),
        _purpose("marketing.call", "Make offers by telephone call."),
        _purpose("marketing.email", "Send offers by e-mail."),
        _purpose("insight", "Learn about customers from the data held.", automated=True),
        _purpose("insight.profiling", "Derive segments, habits and value of a customer.", automated=True),
        _purpose("insight.churn", "Estimate whether a customer is about to leave.", automated=True),
        _purpose("partner", "Work with other legal entities."),
        _purpose("partner.share", "Give a customer's data to another legal entity for its own ends."),
        _purpose("legal", "Do what a law obliges the operator to do."),
        _purpose("legal.realname", "Register and verify the real name behind a number."),
        _purpose("legal.antifraud", "Detect and report telecom fraud as the law demands."),
        _purpose("legal.access", "Give customers what they ask of their own data."),
        _purpose("legal.audit", "Let privacy officers examine what was recorded and why."),
    )
}

_CATEGORY_DESCRIPTIONS: Final = {
    "identity.name": "Name of a person or an organisation.",
    "identity.birth": "Date of birth and what follows from it, such as the age.",
    "identity.gender": "Gender as registered.",
    "identity.document": "Kind, number and validity of an identity document.",
    "identity.status": "State of the customer relationship and of the real-name verification.",
    "identity.tier": "Service tier the customer belongs to.",
    "identity.region": "Region in which the customer's account lives.",
    "contact.number": "Telephone number by which the customer is reached.",
    "contact.email": "E-mail address.",
    "contact.address": "Postal or installation address.",
    "number.holding": "Which number was held in which role and when.",
    "number.sim": "SIM card, its identifiers and its state.",
    "consent.record": "What the customer agreed to, refused or withdrew.",
    "usage.summary": "Totals of voice, messages and data per month.",
    "usage.record": "One call, message or data session: time, kind, quantity.",
    "usage.counterparty": "The other party of a call or a message.",
    "usage.location": "Where a device was when it used the network.",
    "billing.account": "Billing account, its state and its payer.",
    "billing.amount": "Balance, charges and payments in money.",
    "billing.product": "Products and tariffs subscribed to, and what they rely on.",
    "billing.topup": "Top-ups: amount, channel, times and state.",
    "interaction.log": "That a contact took place: time, channel, direction, reason.",
    "interaction.content": "What was said or written in a contact.",
    "case.record": "A complaint, fault or request: kind, state, owner, due time.",
    "case.content": "What a case is about in free text.",
    "insight.score": "A score or segment derived from the customer's data.",
}
CATEGORIES: Final[dict[str, Category]] = {key: Category(key, text) for key, text in _CATEGORY_DESCRIPTIONS.items()}
