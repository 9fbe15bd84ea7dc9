"""Where an operation begins: the fields of Query and Mutation, with their arguments and payloads."""

from enum import StrEnum
from typing import Any

import strawberry
from strawberry.directive import DirectiveLocation
from strawberry.types.arguments import StrawberryArgument

from cdp.outcome import Status
from cdp.rights.events import RequestKind, RequestState
from privacy.vocabulary import ConsentKind
from schema.fields import REQUIRED, Plain, argument, word
from schema.identity import Customer, CustomerConnection, CustomerKind, HoldingRole
from schema.interaction import Direction, TicketType
from schema.rights import QueuedRequest
from schema.words import EventDocument, Instant, Node, Region


def given(description: str, default: object = REQUIRED) -> Any:
    """A field of an input; without a default it must be given."""
    options: dict[str, Any] = {} if default is REQUIRED else {"default": default}
    return strawberry.field(description=description, **options)


def root(description: str, *arguments: StrawberryArgument) -> Any:
    """A field an operation begins with; the planner knows it by its name."""
    field = strawberry.field(
        description=description,
        directives=[Plain(reason="what is below it is governed field by field")],
        metadata={"cdp": "root"},
    )
    field.arguments = list(arguments)
    return field


@strawberry.enum(description="What identifies a customer, besides a number.")
class IdentifierKind(StrEnum):
    CUSTOMER_KEY = "customerKey"
    ACCOUNT_NO = "accountNo"
    EMAIL = "email"
    DOCUMENT = "document"


@strawberry.input(description="An identifier other than a number.")
class IdentifierInput:
    kind: IdentifierKind = given("What kind of identifier it is.")
    value: str = given("The identifier as it is written.")


@strawberry.input(description="Which customers a page is of. Filtering by a field is a read of it.")
class CustomerFilter:
    region: Region = given("The region their account lives in.")
    kind: CustomerKind | None = given("Persons or organizations only.", None)
    status: str | None = given("Those with this status only.", None)
    tier: str | None = given("Those of this tier only.", None)


@strawberry.input(one_of=True, description="The customer something is about: exactly one of these.")
class SubjectInput:
    id: strawberry.ID | None = given("The opaque id.", strawberry.UNSET)
    number: str | None = given("A number they hold.", strawberry.UNSET)
    customer_key: str | None = given("The operator's own key.", strawberry.UNSET)


@strawberry.input(description="What a customer says about the use of their data.")
class ConsentInput:
    subject: SubjectInput = given("Whose data it is.")
    region: Region | None = given("The region whose records it is about; by default the number's own.", None)
    purpose: str = given("What the data may be used for, such as `marketing.sms`.")
    category: str = given("Which data; `*` for all.", "*")
    channel: str = given("Through which channel; `*` for all.", "*")
    recipient: str = given("By whom: the operator itself, or a legal entity.", "SELF")
    destination: str = given("Into which jurisdiction (`HK`, `CN`) the data may go; `NONE`: it stays.", "NONE")
    kind: ConsentKind = given("How it was expressed.", ConsentKind.GENERAL)
    notice: str | None = given("The text the customer was shown.", None)
    expires_at: Instant | None = given("Until when it holds.", None)
    event_id: strawberry.ID | None = given("Makes a repetition harmless; made up where absent.", None)


@strawberry.input(description="A contact with a customer.")
class InteractionInput:
    subject: SubjectInput = given("Who was spoken with.")
    region: Region | None = given("The region that answered; by default the number's own.", None)
    channel: str = given("Where: SHOP, APP, HOTLINE, WECHAT ...")
    direction: Direction = given("Who spoke first.")
    reason: str = given("What it was about.")
    note: str | None = given("What was said.", None)
    at: Instant | None = given("When; by default now.", None)
    event_id: strawberry.ID | None = given("Makes a repetition harmless; made up where absent.", None)


@strawberry.input(description="Something the customer must have an answer for.")
class CaseInput:
    subject: SubjectInput = given("Who must have an answer.")
    region: Region | None = given("The region it is opened in; by default the number's own.", None)
    ticket_type: TicketType = given("What it is about.")
    severity: str = given("How much it hurts: low, medium, high, critical.", "medium")
    channel: str = given("Where it is opened.")
    description: str | None = given("What the customer said.", None)
    product_ref: str | None = given("The product it is about.", None)
    owner: str | None = given("The desk that answers for it.", None)
    event_id: strawberry.ID | None = given("Makes a repetition harmless; made up where absent.", None)


@strawberry.input(description="Two records of one store that are one person's.")
class MergeInput:
    subject: SubjectInput = given("One of the two.")
    other: SubjectInput = given("The other.")
    region: Region | None = given("The region whose records they are; by default that of the first one's number.", None)
    reason: str | None = given("Why they are, or are not, one person.", None)
    event_id: strawberry.ID | None = given("Makes a repetition harmless; made up where absent.", None)


@strawberry.input(description="What a customer asks about their own data.")
class PrivacyRequestInput:
    subject: SubjectInput = given("Whose data it is.")
    region: Region | None = given("The region whose records it is about; by default the number's own.", None)
    kind: RequestKind = given("What they ask.")
    event_id: strawberry.ID | None = given("Makes a repetition harmless; made up where absent.", None)


@strawberry.input(description="The next state of a privacy request.")
class PrivacyAdvanceInput:
    request: strawberry.ID = given("The opaque id of the request.")
    state: RequestState = given("VERIFIED, then IN_PROGRESS (where an ERASURE erases), then COMPLETED; or REFUSED.")
    reason: str | None = given("Why it is refused, as a code such as NOT_VERIFIED.", None)
    evidence: str | None = given("What was done: the id of the event that corrected or objected.", None)
    event_id: strawberry.ID | None = given("Makes a repetition harmless; made up where absent.", None)


strawberry.enum(Status, name="OutcomeStatus", description="What became of an event.")


@strawberry.type(description="What became of one event; a rejected one lies in the dead letters and can be replayed.")
class Outcome:
    event_id: strawberry.ID | None = word("The event's id, where it had one.")
    status: Status = word("What became of it.")
    code: str | None = word("Why it was rejected, for machines.")
    field: str | None = word("The field that was wrong.")
    expected: str | None = word("What was expected there.")


@strawberry.type(description="What became of an order, and the customer afterwards.")
class OrderPayload:
    outcome: Outcome = word("What became of the event the order made.")
    customer: Customer | None = word("The customer as they are now.")


@strawberry.type(description="What one of two records allows and both together would not.")
class ConsentEffect:
    purpose: str = word("For what.")
    recipient: str = word("To whom: `SELF`, or a legal entity.")
    categories: list[str] = word("Which data.")


@strawberry.type(description="What joining two records would mean; nothing is written.")
class MergeProposal:
    customer: Customer | None = word("The one.")
    other: Customer | None = word("The other.")
    already_merged: bool = word("Whether they are joined as it is.")
    evidence: list[str] = word("What both tell, and tell alike.")
    conflicts: list[str] = word("What both tell, and tell differently; the earlier registered one's is shown.")
    consent_effect: list[ConsentEffect] = word("What would not be allowed any more: the stricter of the two holds.")
    too_many: str | None = word("Of which identifiers one person would have too many; such a merge is refused.")


@strawberry.type(description="What a number is, whoever holds it.")
class NumberFacts:
    number: str = word("The number in E.164.")
    region: str = word("The jurisdiction it belongs to.")
    kind: str = word("Mobile, fixed, IoT ...")
    issuer: str | None = word("Who holds the block it is from, where that is known.")


@strawberry.type(description="Who is asking.")
class Me:
    client: str = word("The client the token was given to.")
    legal_entity: str = word("The recipient of the answers; `SELF` for the operator.")
    role: str = word("What the caller may do.")
    channel: str = word("The channel the answers are used on.")
    partner: bool = word("Whether the caller is another company.")
    purposes: list[str] = word("What the caller may ask for.")
    stores: list[str] = word("The stores the caller may read.")


@strawberry.type(description="Questions.")
class Query:
    node: Node | None = root("Whatever has this id.", argument("id", strawberry.ID, "The opaque id."))
    customer: Customer | None = root(
        "One customer: by id, by a number they hold, or by another identifier.",
        argument("id", strawberry.ID | None, "The opaque id.", None),
        argument("number", str | None, "A number in any written form.", None),
        argument("identifier", IdentifierInput | None, "Another identifier.", None),
        argument("region", Region | None, "Where the record lives: needed for a number without its country.", None),
        argument("role", HoldingRole, "What the customer is to the number.", HoldingRole.USER),
        argument("asOf", Instant | None, "Whose number it was at this instant; by default now.", None),
    )
    customers: CustomerConnection | None = root(
        "The customers of one region, page by page.",
        argument("where", CustomerFilter, "Which customers."),
        argument("first", int, "How many at most, from 0 to 100.", 20),
        argument("after", str | None, "The cursor of the last customer already seen.", None),
    )
    propose_merge: MergeProposal | None = root(
        "What joining two records would mean. For stewards.", argument("input", MergeInput, "Which two.")
    )
    privacy_requests: list[QueuedRequest] = root(
        "What customers asked about their data, oldest due first. For officers.",
        argument("region", Region, "The region it was asked in, or the whole country."),
        argument("state", RequestState | None, "In this state only; by default all that are open.", None),
        argument("first", int, "How many at most, from 0 to 100.", 20),
    )
    number_facts: NumberFacts | None = root(
        "What a number is, whoever holds it.",
        argument("number", str, "A number in any written form."),
        argument("region", Region | None, "Where it was written down.", None),
    )
    me: Me = root("Who is asking.")


@strawberry.type(description="Orders. Each makes one event and hands it to the write journey.")
class Mutation:
    ingest: list[Outcome] = root(
        "Take in events; each has its own outcome, in order.",
        argument("events", list[EventDocument], "The events, 500 at most."),
    )
    give_consent: OrderPayload = root("A customer agrees.", argument("input", ConsentInput, "To what."))
    withdraw_consent: OrderPayload = root(
        "A customer takes back what they agreed to.", argument("input", ConsentInput, "What.")
    )
    log_interaction: OrderPayload = root("Something was said.", argument("input", InteractionInput, "What."))
    merge: OrderPayload = root(
        "Two records are one person's: they are read as one from now on. For stewards.",
        argument("input", MergeInput, "Which two."),
    )
    unmerge: OrderPayload = root(
        "Two records are not one person's after all: each is as it would be without the merge. For stewards.",
        argument("input", MergeInput, "Which two."),
    )
    open_privacy_request: OrderPayload = root(
        "A customer asks about their own data.", argument("input", PrivacyRequestInput, "What.")
    )
    advance_privacy_request: OrderPayload = root(
        "A privacy request is in its next state, and what has to happen happens. For officers.",
        argument("input", PrivacyAdvanceInput, "Which, and how far."),
    )
    open_case: OrderPayload = root("Something is owed an answer.", argument("input", CaseInput, "What."))


@strawberry.directive(
    locations=[DirectiveLocation.QUERY, DirectiveLocation.MUTATION],
    description="What the answer will be used for; every operation on customer data names one.",
    name="purpose",
)
def purpose(id: str) -> None:  # noqa: A002 - the argument is called `id` in every document
    """Read by the planner; it never runs."""
