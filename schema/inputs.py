"""What is given with a question or an order: the inputs of the schema."""

from enum import StrEnum
from typing import Any

import strawberry

from cdp.rights.events import RequestKind, RequestState
from privacy.vocabulary import Actor, ConsentKind
from schema.care import TicketType
from schema.fields import REQUIRED
from schema.identity import CustomerKind
from schema.interaction import Direction
from schema.words import Instant, Region


def given(description: str, default: object = REQUIRED) -> Any:
    """A field of an input; without a default it must be given."""
    options: dict[str, Any] = {} if default is REQUIRED else {"default": default}
    return strawberry.field(description=description, **options)


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


@strawberry.input(
    description="Which customers a page is of. Filtering by a field is a read of it: a page has its place in the region"
    " whoever fits, and is the shorter for those who do not or may not be read."
)
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
    actor: Actor = given(
        "Who spoke for the customer. A guardian or agent (administrator) who agrees has that role in their number.",
        Actor.SELF,
    )
    notice: str | None = given("The text the customer was shown.", None)
    expires_at: Instant | None = given("Until when it holds.", None)
    number_only: bool | None = given("Whether it is about the subject's number alone, and ends with it.", None)
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
    owner: str | None = given("The desk that answers for it; by default the one that answers for the number.", None)
    event_id: strawberry.ID | None = given("Makes a repetition harmless; made up where absent.", None)


@strawberry.input(description="A step that a desk takes in a case.")
class CaseStepInput:
    case: strawberry.ID = given("The opaque id of the case.")
    desk: str = given("The desk that takes it, such as desk-CN-GD.")
    note: str | None = given("What there is to be said of it.", None)
    at: Instant | None = given("When; by default now.", None)
    event_id: strawberry.ID | None = given("Makes a repetition harmless; made up where absent.", None)


@strawberry.input(description="A case that another desk is to take.")
class CaseTransferInput(CaseStepInput):
    to: str = given("The desk that is asked; until it accepts, the one that asks it answers.")


@strawberry.input(description="A case that is over.")
class CaseClosingInput(CaseStepInput):
    root_cause: str = given("What it came from, as a code such as RESUME_NOT_PROPAGATED.")


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
