"""What a customer asked about their own data, as it is asked for, and the queue of those who answer."""

import strawberry

from cdp.rights.events import RequestKind, RequestState
from cdp.rights.tables import privacy_request
from schema.fields import column, personal, record, token, word
from schema.words import Instant, Node, Region

REQUEST = personal("case.record")

strawberry.enum(RequestKind, name="PrivacyRequestKind", description="What a person asks; LIFTING ends a RESTRICTION.")
strawberry.enum(RequestState, name="PrivacyRequestState", description="How far a privacy request has come.")


@record(privacy_request, privacy_request.c.request_id)
class PrivacyRequest(Node):
    """Something the customer asked about their own data, and by when they must have it."""

    id: strawberry.ID = token("Its opaque id.")
    kind: RequestKind | None = column(privacy_request.c.kind, REQUEST, "What was asked.")
    state: RequestState | None = column(privacy_request.c.state, REQUEST, "How far it has come.")
    state_at: Instant | None = column(privacy_request.c.state_at, REQUEST, "Since when it is in that state.")
    region: Region | None = column(privacy_request.c.region, REQUEST, "The region it was made in.")
    opened_at: Instant | None = column(privacy_request.c.opened_at, REQUEST, "When it was made.")
    due: Instant | None = column(privacy_request.c.due_at, REQUEST, "When the law wants it answered.")
    reason: str | None = column(privacy_request.c.reason, REQUEST, "Why it was refused.")
    evidence: str | None = column(
        privacy_request.c.evidence, REQUEST, "What was done: an event's id, or the hash of an archive or certificate."
    )


@strawberry.type(description="A privacy request in the officers' queue; it tells nothing else of the person.")
class QueuedRequest:
    id: strawberry.ID = word("The opaque id of the request.")
    customer_id: strawberry.ID = word("The opaque id of the customer it is about.")
    records: int = word("How many records are joined with the customer's, their own included; each has its requests.")
    kind: RequestKind = word("What was asked.")
    state: RequestState = word("How far it has come.")
    region: str = word("The region it was made in.")
    opened_at: Instant = word("When it was made.")
    due: Instant | None = word("When the law wants it answered.")
