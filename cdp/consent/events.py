"""How consent changes: asked for, given, refused, withdrawn, renewed, invalidated, confirmed; objections come and go.

Nothing is overwritten: each event is a row of its own, and the latest in a covering scope decides.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, StringConstraints

from cdp.changes import NEW, Put
from cdp.consent.tables import consent_event, objection, unlogged_word
from cdp.context import Context
from cdp.errors import EventInvalid
from cdp.event import Event, Hex256, Instant, Kind, Ref, Text
from cdp.numbers import PhoneNumber
from privacy.vocabulary import ANY, CATEGORIES, NOWHERE, PURPOSES, SELF, ConsentType, covers


def _purpose(value: str) -> str:
    if value not in PURPOSES:
        raise ValueError("a purpose of the vocabulary")
    return value


def _scope(value: str) -> str:
    if value != ANY and value not in PURPOSES:
        raise ValueError("a purpose of the vocabulary, or *")
    return value


def _category(value: str) -> str:
    if value not in CATEGORIES and not any(covers(value, category) for category in CATEGORIES):
        raise ValueError("a data category of the vocabulary, a parent of one, or *")
    return value


YES: Final = (ConsentType.GIVEN, ConsentType.RENEWED, ConsentType.CONFIRMED)
SPEAKERS: Final = {"GUARDIAN": "GUARDIAN", "AGENT": "ORG_ADMIN"}
"""Who agrees for somebody else, and the role that shows it; anybody may say no."""
Purpose = Annotated[Ref, AfterValidator(_purpose)]
Scope = Annotated[Ref, AfterValidator(_scope)]
Category = Annotated[Ref, AfterValidator(_category)]
Destination = Annotated[str, StringConstraints(strict=True, pattern=r"^(NONE|[A-Z]{2})$")]


def _unlogged(context: Context, row_id: UUID, kind: str) -> Put:
    return Put(unlogged_word, {"customer_id": context.customer_id, "row_id": row_id, "kind": kind}, NEW)


class _Consent(Event):
    """A word of the customer, or for the customer, about one scope of consent."""

    purpose: Purpose
    category: Category = ANY
    channel: Ref = ANY
    recipient: Ref = SELF
    destination: Destination = NOWHERE
    kind: Literal["GENERAL", "SEPARATE", "WRITTEN", "GUARDIAN", "NO_OBJECTION"] = "GENERAL"
    actor: Literal["SELF", "GUARDIAN", "AGENT"] = "SELF"
    notice: Ref | None = None
    collection_point: Ref | None = None
    expires_at: Instant | None = None
    evidence_hash: Hex256 | None = None
    number_only: bool = False
    """Whether it is about the subject's number alone, and ends with its holding."""
    number: Text | None = None
    """The number of the customer's that it is about alone, where the subject is not that number."""

    says: ClassVar[ConsentType]

    @property
    def needs_role(self) -> str | None:
        return SPEAKERS.get(self.actor) if self.says in YES else None

    def names(self) -> Sequence[tuple[Kind, str]]:
        return () if self.number is None else (("number", self.number),)

    def _holding(self, context: Context) -> UUID | None:
        """The holding of the number it is about alone; raises EventInvalid where there is none."""
        if self.number is not None:
            return context.held(PhoneNumber.parse(self.number, self.region).e164, self.at)
        if self.number_only and context.holding_id is None:
            raise EventInvalid("numberOnly", "a subject by number")
        return context.holding_id if self.number_only else None

    def apply(self, context: Context) -> list[Put]:
        if self.says in YES and self.kind == "GUARDIAN" and self.actor != "GUARDIAN":
            raise EventInvalid("actor", "GUARDIAN, where the kind is: nobody else agrees for them")
        if (role := self.needs_role) and not context.known.has(context.customer_id, role, self.at):
            raise EventInvalid(
                "actor", f"SELF, or somebody who is {role} of one of the customer's numbers at that time"
            )
        row_id = context.row_id("consent", self.event_id)
        row = {
            "customer_id": context.customer_id,
            "consent_event_id": row_id,
            "type": self.says.value,
            "kind": self.kind,
            "actor": self.actor,
            "purpose": self.purpose,
            "category": self.category,
            "channel": self.channel,
            "recipient": SELF if self.recipient.lower() == context.operator.lower() else self.recipient,
            "destination": self.destination,
            "notice": self.notice,
            "collection_point": self.collection_point,
            "evidence_hash": None if self.evidence_hash is None else bytes.fromhex(self.evidence_hash),
            "expires_at": self.expires_at,
            "holding_id": self._holding(context),
            "happened_at": self.at,
            "recorded_at": context.recorded_at,
        }
        return [Put(consent_event, row, NEW), _unlogged(context, row_id, "consent")]


class ConsentRequested(_Consent):
    """The customer was asked."""

    says: ClassVar[ConsentType] = ConsentType.REQUESTED


class ConsentGiven(_Consent):
    """The customer agreed."""

    says: ClassVar[ConsentType] = ConsentType.GIVEN


class ConsentRefused(_Consent):
    """The customer said no."""

    says: ClassVar[ConsentType] = ConsentType.REFUSED


class ConsentWithdrawn(_Consent):
    """The customer took it back."""

    says: ClassVar[ConsentType] = ConsentType.WITHDRAWN


class ConsentRenewed(_Consent):
    """The customer agreed again before it ran out."""

    says: ClassVar[ConsentType] = ConsentType.RENEWED


class ConsentInvalidated(_Consent):
    """It turned out never to have been valid."""

    says: ClassVar[ConsentType] = ConsentType.INVALIDATED


class ConsentConfirmed(_Consent):
    """The customer confirmed which of two contradicting words holds."""

    says: ClassVar[ConsentType] = ConsentType.CONFIRMED


class _Objection(Event):
    """A word about a right to object."""

    kind: Literal["DIRECT_MARKETING", "AUTOMATED_DECISION", "RESTRICTION", "DO_NOT_CONTACT"]
    scope: Scope = ANY

    raised: ClassVar[bool]

    def apply(self, context: Context) -> list[Put]:
        row_id = context.row_id("objection", self.event_id)
        row = {
            "customer_id": context.customer_id,
            "objection_id": row_id,
            "kind": self.kind,
            "scope": self.scope,
            "raised": self.raised,
            "happened_at": self.at,
            "recorded_at": context.recorded_at,
        }
        return [Put(objection, row, NEW), _unlogged(context, row_id, "objection")]


class ObjectionRaised(_Objection):
    """The customer objects."""

    raised: ClassVar[bool] = True


class ObjectionLifted(_Objection):
    """The customer no longer objects."""

    raised: ClassVar[bool] = False


EVENTS: Final[tuple[type[Event], ...]] = (
    ConsentRequested,
    ConsentGiven,
    ConsentRefused,
    ConsentWithdrawn,
    ConsentRenewed,
    ConsentInvalidated,
    ConsentConfirmed,
    ObjectionRaised,
    ObjectionLifted,
)
