"""How identity changes: customers are registered, described and linked; numbers come and go."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final, Literal

from pydantic import StringConstraints

from cdp.changes import KEEP, Newest, Parts, Put, Row
from cdp.context import Context
from cdp.errors import EventInvalid
from cdp.event import EARLIEST, Day, Event, Kind, Ref, Subject, Text
from cdp.identity.holdings import HOLDINGS
from cdp.identity.merges import MERGES
from cdp.identity.tables import IDENTIFIER_INDEXES, customer, identification, link, link_index
from cdp.values import age_on, compact
from privacy.vocabulary import CustomerState

Tier = Literal["HIGH", "MIDDLE", "LOW"]
Status = Literal["PROSPECT", "ACTIVE", "SUSPENDED", "TERMINATED"]
DocumentType = Literal["NATIONAL_ID", "HONG_KONG_ID", "PASSPORT", "TRAVEL_PERMIT", "BUSINESS_LICENCE", "OTHER"]
Email = Annotated[str, StringConstraints(strict=True, max_length=254, pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+$")]
Token = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-f]{32}$")]

ADULT_YEARS = 18
PROFILE = Newest(("kind", "gender", "is_minor", "birth_date", "address"), "profile_at")
# What others than the profile's source tell too, each with its own instant.
NAME = Newest(("formatted_name",), "named_at", amend=True)
EMAIL = Newest(("email",), "email_at", amend=True)
STATUS = Newest(("status",), "status_at", amend=True)
TIER = Newest(("tier",), "tier_at", amend=True)
DESCRIBED = Parts((PROFILE, NAME, EMAIL))
DESCRIBED_WITH_TIER = Parts((*DESCRIBED.parts, TIER))
# Looked up once: to find a column by its name takes longer than to seal a value for it.
NAMED, BORN, MAILED, LIVES = (customer.c[name] for name in ("formatted_name", "birth_date", "email", "address"))
LINK = Newest(("other_store", "leads", "state"), "state_at")


class CustomerRegistered(Event):
    """A customer is known, or described anew. A subject nobody has yet makes a new customer."""

    customer_key: Ref | None = None
    name: Text | None = None
    kind: Literal["INDIVIDUAL", "ORGANIZATION"]
    birth_date: Day | None = None
    gender: Literal["FEMALE", "MALE", "OTHER"] | None = None
    email: Email | None = None
    address: Text | None = None
    tier: Tier | None = None
    document_type: DocumentType | None = None
    document_number: Ref | None = None

    establishes_presence: ClassVar[bool] = True
    rank: ClassVar[int] = 0

    def gives(self) -> Sequence[tuple[Kind, str]]:
        given = _naming(self.subject)
        if self.customer_key is not None:
            given.append(("customerKey", self.customer_key))
        if self.email is not None:
            given.append(("email", self.email))
        if self.document_number is not None:
            given.append(("document", self.document_number))
        return given

    def apply(self, context: Context) -> list[Put]:
        if self.birth_date is not None and self.birth_date > self.at.date():
            raise EventInvalid("birthDate", "a day before the event")
        if (self.document_type is None) != (self.document_number is None):
            raise EventInvalid("documentNumber", "documentType and documentNumber together")
        merge = DESCRIBED if self.tier is None else DESCRIBED_WITH_TIER
        puts = [Put(customer, self._profile(context), merge)]
        if self.document_number is not None:
            puts.append(self._identification(context, self.document_number))
        return puts

    def _profile(self, context: Context) -> dict[str, object]:
        row, born = context.customer_id, self.birth_date
        return {
            "customer_id": row,
            "region": self.region,
            "kind": self.kind,
            "state": CustomerState.ACTIVE.value,
            "registered_at": self.at,
            "formatted_name": context.seal(NAMED, self.name, row),
            "birth_date": context.seal(BORN, born, row),
            "gender": self.gender,
            "is_minor": born is not None and age_on(born, self.at.date()) < ADULT_YEARS,
            "email": context.seal(MAILED, self.email, row),
            "address": context.seal(LIVES, self.address, row),
            "profile_at": self.at,
            "named_at": self.at,
            "email_at": self.at,
            "status": "ACTIVE",
            "status_at": self.at,
            "tier": self.tier or "LOW",
            "tier_at": self.at,
        }

    def _identification(self, context: Context, number: str) -> Put:
        row = context.row_id("identification", f"{self.document_type}:{compact(number)}")
        return Put(
            identification,
            {
                "customer_id": context.customer_id,
                "identification_id": row,
                "document_type": self.document_type,
                "document_number": context.seal(identification.c.document_number, number, row),
                "issuing_region": self.region,
                "document_tag": context.tag(IDENTIFIER_INDEXES["document"], compact(number)),
            },
            KEEP,
        )


class CustomerIdentified(Event):
    """A client of ours knows a customer, by the subject, and what they are called there; nothing else of a profile is
    touched. A subject nobody has yet makes a new customer.
    """

    name: Text | None = None
    email: Email | None = None

    establishes_presence: ClassVar[bool] = True
    rank: ClassVar[int] = 0

    def gives(self) -> Sequence[tuple[Kind, str]]:
        given = _naming(self.subject)
        return given if self.email is None else [*given, ("email", self.email)]

    def apply(self, context: Context) -> list[Put]:
        row = context.customer_id
        said = {
            "formatted_name": context.seal(NAMED, self.name, row),
            "named_at": EARLIEST if self.name is None else self.at,
            "email": context.seal(MAILED, self.email, row),
            "email_at": EARLIEST if self.email is None else self.at,
        }
        # Of whoever is new nothing else is known yet: whatever is said of it comes later.
        unsaid = dict.fromkeys(("profile_at", "status_at", "tier_at"), EARLIEST)
        words = {"region": self.region, "kind": "INDIVIDUAL", "state": CustomerState.ACTIVE.value, "is_minor": False}
        made = words | {"status": "ACTIVE", "tier": "LOW", "registered_at": self.at} | unsaid | said
        made["customer_id"] = row
        given = [merge for merge, value in ((NAME, self.name), (EMAIL, self.email)) if value is not None]
        return [Put(customer, made, KEEP), *(_amended(made, merge) for merge in given)]


def _amended(row: Row, merge: Newest) -> Put:
    """A part of a customer's row that has its own instant."""
    return Put(customer, {name: row[name] for name in ("customer_id", *merge.columns, merge.at)}, merge)


def _naming(subject: Subject) -> list[tuple[Kind, str]]:
    """The identifier by which a customer is named, where it is a lasting one."""
    kind, value = subject.only()
    return [(kind, value)] if kind not in ("number", "customerId") and isinstance(value, str) else []


class CustomerStatusChanged(Event):
    """The relationship with the customer is in another state."""

    status: Status

    def apply(self, context: Context) -> list[Put]:
        row = {"customer_id": context.customer_id, "status": self.status, "status_at": self.at}
        return [Put(customer, row, STATUS)]


class CustomerTierChanged(Event):
    """The customer's service tier is another one."""

    tier: Tier

    def apply(self, context: Context) -> list[Put]:
        return [Put(customer, {"customer_id": context.customer_id, "tier": self.tier, "tier_at": self.at}, TIER)]


class CustomerLinked(Event):
    """The customer is known in another store too; both sides know the token and nothing else of each other."""

    token: Token
    other_store: Ref
    leads: bool

    def apply(self, context: Context) -> list[Put]:
        token = bytes.fromhex(self.token)
        found = {"token": token, "customer_id": context.customer_id}
        return [_link(context, self, self.other_store, self.leads, "ACTIVE"), Put(link_index, found, KEEP)]


class CustomerUnlinked(Event):
    """The two customers no longer know of each other."""

    token: Token

    def apply(self, context: Context) -> list[Put]:
        return [_link(context, self, "", False, "REVOKED")]


def _link(context: Context, event: CustomerLinked | CustomerUnlinked, other: str, leads: bool, state: str) -> Put:
    return Put(
        link,
        {
            "customer_id": context.customer_id,
            "token": bytes.fromhex(event.token),
            "other_store": other,
            "leads": leads,
            "state": state,
            "state_at": event.at,
        },
        LINK,
    )


EVENTS: Final[tuple[type[Event], ...]] = (
    CustomerRegistered,
    CustomerIdentified,
    CustomerStatusChanged,
    CustomerTierChanged,
    *HOLDINGS,
    *MERGES,
    CustomerLinked,
    CustomerUnlinked,
)
