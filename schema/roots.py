"""Where an operation begins: the fields of Query and Mutation, with their arguments and payloads."""

from typing import Any

import strawberry
from strawberry.types.arguments import StrawberryArgument

from cdp.rights.events import RequestState
from privacy.vocabulary import RecipientClass
from schema.fields import SERVICE, Plain, answer, argument, personal, word
from schema.identity import Customer, CustomerConnection, HoldingRole
from schema.inputs import (
    CaseClosingInput,
    CaseInput,
    CaseStepInput,
    CaseTransferInput,
    ConsentInput,
    CustomerFilter,
    IdentifierInput,
    InteractionInput,
    MergeInput,
    PrivacyAdvanceInput,
    PrivacyRequestInput,
    SubjectInput,
)
from schema.letters import DeadLetterOutcome, DeadLetterPage, Outcome
from schema.numbers import Accountability, NumberFacts
from schema.officer import AccessLog, ConsentDecision, ConsentTimelineEntry, RecordsOfProcessing, WithdrawalPreview
from schema.proposals import MatchProposal, MergeProposal
from schema.rights import QueuedRequest
from schema.words import Day, EventDocument, Instant, Node, Region


def root(description: str, *arguments: StrawberryArgument) -> Any:
    """A field an operation begins with; the planner knows it by its name."""
    field = strawberry.field(
        description=description,
        directives=[Plain(reason="what is below it is governed field by field")],
        metadata={"cdp": "root"},
    )
    field.arguments = list(arguments)
    return field


@strawberry.type(description="What became of an order, and the customer afterwards.")
class OrderPayload:
    outcome: Outcome = word("What became of the event the order made.")
    customer: Customer | None = word("The customer as they are now.")


@strawberry.type(description="What became of a proposal; it says nothing of who holds the other number, if anybody.")
class LinkProposal:
    outcome: Outcome = word("What became of it.")
    token: strawberry.ID | None = word("Confirms the link once, together with the code.")
    expires_at: Instant | None = word("Until when it can be confirmed.")


@strawberry.type(description="Who is asking.")
class Me:
    client: str = word("The client the token was given to.")
    legal_entity: str = word("The recipient of the answers; `SELF` for the operator.")
    role: str = word("What the caller may do.")
    channel: str = word("The channel the answers are used on.")
    partner: bool = word("Whether the caller is another company.")
    purposes: list[str] = word("What the caller may ask for.")
    stores: list[str] = word("The stores the caller may read.")


REGION = argument(
    "region", Region | None, "The region whose records they are; a number with its country has those of its own.", None
)
MOMENT = (
    argument("asOf", Instant | None, "What was true by then, of whoever held the number then; by default now.", None),
    argument("knownAt", Instant | None, "What was known by then; by default everything.", None),
)


@strawberry.type(description="Questions.")
class Query:
    node: Node | None = root("Whatever has this id.", argument("id", strawberry.ID, "The opaque id."))
    customer: Customer | None = root(
        "One customer: by id, by a number they hold, or by another identifier.",
        argument("id", strawberry.ID | None, "The opaque id.", None),
        argument("number", str | None, "A number in any written form.", None),
        argument("identifier", IdentifierInput | None, "Another identifier.", None),
        argument("region", Region | None, "Where the record lives: needed for a number without its country.", None),
        argument(
            "role",
            HoldingRole | None,
            "What the customer is to the number; by default its user, or its registered holder where it has none.",
            None,
        ),
        argument(
            "asOf", Instant | None, "Whose number it was at this instant; by default now. Not for partners.", None
        ),
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
    consent_decision: ConsentDecision | None = root(
        "Whether a field of a customer may be read, and what decides. For officers.",
        argument("customer", SubjectInput, "Whose data."),
        argument("field", str, "A field of this schema, such as `Customer.email`."),
        argument("purpose", str, "For what."),
        argument("channel", str, "Through which channel.", "api"),
        argument("recipient", str, "By whom: the operator itself, or a legal entity.", "SELF"),
        argument(
            "recipientClass",
            RecipientClass | None,
            "What that entity is to the operator; by default a third party.",
            None,
        ),
        REGION,
        argument("destination", str | None, "The jurisdiction it is read in; by default the record's own.", None),
        *MOMENT,
    )
    consent_timeline: list[ConsentTimelineEntry] | None = root(
        "Everything a customer said about the use of their data, newest first. For officers.",
        argument("customer", SubjectInput, "Who said it."),
        REGION,
        *MOMENT,
        argument("first", int, "How many at most, from 0 to 500.", 100),
        argument("skip", int, "How many of the newest to leave out.", 0),
    )
    withdrawal_preview: WithdrawalPreview | None = root(
        "What would stop if a customer took back all they agreed to for a purpose; nothing is written. For officers.",
        argument("customer", SubjectInput, "Who would."),
        argument("purpose", str, "For what, such as `marketing`; those below it, too."),
        REGION,
        *MOMENT,
    )
    access_log: AccessLog | None = root(
        "Who read which data of a customer, for what, and under what they said. For officers.",
        argument("customer", SubjectInput, "Whose data."),
        argument("from", Instant, "Since when."),
        argument("to", Instant | None, "Until when, 93 days at most; by default now.", None),
        REGION,
        argument("first", int, "How many at most, from 0 to 200.", 50),
        argument("after", strawberry.ID | None, "The `next` of the page before.", None),
    )
    records_of_processing: list[RecordsOfProcessing] = root(
        "What the policy in force lets be done with data, jurisdiction by jurisdiction. For officers.",
        argument("region", Region | None, "Whose law; by default that of every store open to the caller.", None),
    )
    consent_receipt: str | None = root(
        "The signed receipt of a consent: JSON (ISO/IEC TS 27560) that anybody can check by the operator's public key, "
        "with the proof that its event is in the log, once it is.",
        argument("id", strawberry.ID, "The id of the consent."),
    )
    same_holder_since: bool | None = answer(
        personal("number.holding", purposes=(*SERVICE, "partner")),
        "Whether whoever holds a number has held it since the beginning of a day. A partner gets null, listed as "
        "WITHHELD, where nobody holds it as where the holder did not agree.",
        argument("number", str, "A number in any written form."),
        argument("date", Day, "The day, which must have begun."),
        argument("region", Region | None, "Where the number was written down.", None),
    )
    merge_proposals: list[MatchProposal] = root(
        "Records that the last `cdp match --keep` found and no steward has decided on. For stewards.",
        argument("region", Region, "Whose records."),
        argument("first", int, "How many at most, from 0 to 100: those by a rule, then the likeliest.", 20),
    )
    privacy_requests: list[QueuedRequest] = root(
        "What customers asked about their data, oldest due first. For officers.",
        argument("region", Region, "The region it was asked in, or the whole country."),
        argument("state", RequestState | None, "In this state only; by default all that are open.", None),
        argument("first", int, "How many at most, from 0 to 100.", 20),
        argument("skip", int, "How many of those due soonest to leave out.", 0),
    )
    dead_letters: DeadLetterPage = root(
        "What was refused at the write door, newest first, without the records themselves. For officers.",
        argument("region", Region, "A region of the store whose letters they are, or the whole country."),
        argument("reason", str | None, "Only those refused for this reason, such as NUMBER_INVALID.", None),
        argument("source", str | None, "Only those from this source.", None),
        argument("field", str | None, "Only those refused because of this field or column.", None),
        argument("first", int, "How many at most, from 0 to 200.", 50),
        argument("after", strawberry.ID | None, "The `next` of the page before.", None),
    )
    number_facts: NumberFacts | None = root(
        "What a number is, whoever holds it.",
        argument("number", str, "A number in any written form."),
        argument("region", Region | None, "Where it was written down.", None),
    )
    accountability: Accountability | None = root(
        "Who answers for a number, as of an instant; null only for one that was never held here. Not for partners.",
        argument("number", str, "A number in any written form."),
        argument("region", Region | None, "Where it was written down.", None),
        argument("at", Instant | None, "As of when; by default now.", None),
    )
    me: Me = root("Who is asking.")


@strawberry.type(description="Orders. Each makes events and hands them to the write journey.")
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
    approve_correction: OrderPayload = root(
        "What was proposed to put a top-up right is posted, if it still fits what the ledger says. For accountants.",
        argument("anomaly", strawberry.ID, "The opaque id of the anomaly."),
    )
    open_case: OrderPayload = root("Something is owed an answer.", argument("input", CaseInput, "What."))
    accept_case: OrderPayload = root(
        "A desk takes on a case: its own, or one that was offered to it.", argument("input", CaseStepInput, "Which.")
    )
    transfer_case: OrderPayload = root(
        "Another desk is asked to take a case; its owner answers for it until that accepts.",
        argument("input", CaseTransferInput, "Which, and who."),
    )
    diagnose_case: OrderPayload = root("It is known what is behind a case.", argument("input", CaseStepInput, "Which."))
    resolve_case: OrderPayload = root("What was to be done is done.", argument("input", CaseStepInput, "Which."))
    tell_customer: OrderPayload = root(
        "Any desk tells the customer that it is done.", argument("input", CaseStepInput, "Which case.")
    )
    confirm_case: OrderPayload = root("The customer says that it is.", argument("input", CaseStepInput, "Which case."))
    close_case: OrderPayload = root(
        "A case is over: refused while its cause stands, or the customer was not told since it is gone.",
        argument("input", CaseClosingInput, "Which, and what it came from."),
    )
    propose_link: LinkProposal = root(
        "Two numbers that two stores keep are to be one customer's. If anybody holds the other one, it is sent a code.",
        argument("number", str, "A number the customer holds; its side leads."),
        argument("otherNumber", str, "The number they hold elsewhere."),
        argument("region", Region | None, "Where the first number's record lives; by default the number's own.", None),
        argument("otherRegion", Region | None, "The same of the other number.", None),
    )
    confirm_link: OrderPayload = root(
        "The customer has the code, and so the other number: they are one customer from now on.",
        argument("token", strawberry.ID, "The proposal's token."),
        argument("code", str, "The six digits that were sent to the other number."),
    )
    unlink: OrderPayload = root(
        "The two sides forget each other; one that does not answer now is told when it does.",
        argument("number", str, "A number the customer holds, on either side."),
        argument("region", Region | None, "Where its record lives; by default the number's own.", None),
        argument("otherRegion", Region | None, "Whose store is to be forgotten; by default every other one.", None),
    )
    replay_dead_letter: DeadLetterOutcome = root(
        "A refused record is sent again, from where it came. For officers.",
        argument("id", strawberry.ID, "The opaque id of the letter."),
    )
    drop_dead_letter: DeadLetterOutcome = root(
        "A refused record is taken away for good. For officers.",
        argument("id", strawberry.ID, "The opaque id of the letter."),
        argument("why", str, "Why, as a code such as TEST_DATA; it is written down."),
    )
