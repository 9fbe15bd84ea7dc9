"""What a privacy officer asks: decisions and what decided them, what was said, who read, what a withdrawal stops."""

import strawberry

from privacy.vocabulary import Effect, RecipientClass, TransferBasisKind, Withheld
from schema.fields import word
from schema.words import Instant

strawberry.enum(Effect, description="What a decision does to one category of data.")
strawberry.enum(Withheld, name="WithheldCode", description="Why something is not given.")
strawberry.enum(RecipientClass, description="What a receiving legal entity is to the operator.")
strawberry.enum(TransferBasisKind, description="Why data may leave its jurisdiction.")


@strawberry.type(description="Something a customer said that decided.")
class DecidingWord:
    id: strawberry.ID = word("The opaque id of the consent or objection.")
    source: str = word("`CONSENT` or `OBJECTION`.")
    type: str = word("What was said: `GIVEN`, `WITHDRAWN` ...; of an objection what it is against.")
    purpose: str = word("What it is about.")
    happened_at: Instant = word("When it was said.")
    recorded_at: Instant = word("When it was known here.")


@strawberry.type(description="Whether a field of a customer may be read for a purpose, and why.")
class ConsentDecision:
    effect: Effect = word("Whether it may.")
    rule: str = word("The rule that decided; `plan` where the field was never meant for the purpose.")
    law: str | None = word("Where the rule is written.")
    code: Withheld | None = word("Why not, or not all of it.")
    kind: str | None = word("The consent that would help.")
    notice: str | None = word("The notice to show when asking for it.")
    style: str | None = word("How it is masked.")
    category: str = word("What kind of data the field holds.")
    jurisdiction: str = word("Where the data lives.")
    destination: str = word("Where it would be read.")
    policy_version: int = word("The version of the policy that decided: the one in force now.")
    as_of: Instant = word("What was true by then was looked at.")
    known_at: Instant | None = word("What was known by then; null for everything.")
    decided_by: list[DecidingWord] = word("What the customer said that decided; none where the rule alone did.")


@strawberry.type(description="One thing a customer said about the use of their data, with all that was kept of it.")
class ConsentTimelineEntry:
    id: strawberry.ID = word("The opaque id of the consent or objection.")
    source: str = word("`CONSENT` or `OBJECTION`.")
    type: str = word("What was said; of an objection `RAISED` or `LIFTED`.")
    kind: str = word("How it was expressed; of an objection what it is against.")
    actor: str | None = word("Who spoke.")
    purpose: str = word("For what, `*` for all.")
    category: str = word("Which data, `*` for all.")
    channel: str = word("Through which channel, `*` for all.")
    recipient: str | None = word("By whom: `SELF`, or a legal entity.")
    destination: str | None = word("Into which jurisdiction, `NONE` for none.")
    notice: str | None = word("The text the customer was shown.")
    collection_point: str | None = word("Where they said it.")
    evidence_hash: str | None = word("The SHA-256 of what proves it, in hex.")
    expires_at: Instant | None = word("Until when it holds.")
    number_only: bool = word("Whether it is about one number alone.")
    happened_at: Instant = word("When it was said.")
    recorded_at: Instant = word("When it was known here.")


@strawberry.type(description="A use that a withdrawal would stop.")
class StoppedUse:
    purpose: str = word("For what.")
    recipient: str = word("By whom: `SELF`, or a legal entity.")
    destination: str = word("Read in which jurisdiction.")
    categories: list[str] = word("Which data.")
    fields: list[str] = word("The fields of this schema that hold it, such as `Customer.email`.")


@strawberry.type(description="What would be allowed no more if a customer took back all they agreed to for a purpose.")
class WithdrawalPreview:
    stops: list[StoppedUse] = word("The uses that would stop.")
    partners: list[str] = word("The legal entities that would receive less, or nothing.")


@strawberry.type(description="What one read did with one category of a customer's data.")
class AccessedCategory:
    category: str = word("Which data.")
    effect: Effect = word("Whether it was given, masked, or withheld.")
    rule: str | None = word("The rule that decided; `plan` where the field was never meant for the purpose.")
    code: Withheld | None = word("Why not, or not all of it.")
    decided_by: list[DecidingWord] = word("What the customer said that decided; none where the rule alone did.")


@strawberry.type(description="One read of a customer's data, as the audit trail has it.")
class Access:
    audit_id: strawberry.ID = word("The id of the entry.")
    at: Instant = word("When it was decided.")
    client: str = word("The client that asked.")
    actor: str = word("Who used it, by the pseudonym of the year.")
    role: str = word("What they were.")
    channel: str = word("The channel they asked for.")
    recipient: str = word("Who received the answer: `SELF`, or a legal entity.")
    purpose: str = word("For what.")
    operation: str = word("A query, a mutation or a subscription.")
    document: str = word("The SHA-256 of the document that was run.")
    jurisdiction: str = word("Where the data lives.")
    destination: str = word("Where it was read.")
    policy_version: int = word("The version of the policy that decided.")
    categories: list[AccessedCategory] = word("What was read, masked and withheld.")


@strawberry.type(description="A page of the reads of a customer's data, newest first.")
class AccessLog:
    entries: list[Access] = word("The reads.")
    next: strawberry.ID | None = word("Give it as `after` for older ones; null where there are none.")


@strawberry.type(description="One kind of processing that the policy allows.")
class ProcessingActivity:
    purpose: str = word("For what.")
    description: str = word("The purpose in words.")
    recipient: RecipientClass = word("By whom.")
    bases: list[str] = word("The bases relied on; `CONSENT` where each customer is asked.")
    consent: str | None = word("The kind of consent that is asked for.")
    categories: list[str] = word("Which data.")
    rule: str = word("The rule that allows it.")
    law: str = word("Where the rule is written.")


@strawberry.type(description="Why data may leave its jurisdiction, and how many customers' did.")
class ProcessingTransfer:
    id: strawberry.ID = word("The name of the transfer basis.")
    destination: str = word("Into which jurisdiction.")
    kind: TransferBasisKind = word("What kind of basis it is.")
    categories: list[str] = word("Which data, `*` for all.")
    onward: bool = word("Whether another legal entity may receive it there.")
    ref: str = word("The number of the contract, approval or certificate.")
    cap: int | None = word("How many customers' data may leave in a year; null for any number.")
    customers: int = word("How many customers' data left this year.")
    expires_at: Instant | None = word("Until when it counts.")


@strawberry.type(description="The records of processing of one jurisdiction, as the policy in force has them.")
class RecordsOfProcessing:
    jurisdiction: str = word("Where the data lives.")
    policy_version: int = word("The version of the policy.")
    activities: list[ProcessingActivity] = word("What is done with data.")
    transfers: list[ProcessingTransfer] = word("Where it may go.")
