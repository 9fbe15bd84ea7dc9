"""What follows, inside the write door, from a request that was opened or is in its next state."""

import re
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from cdp.erasure.erase import Erasure, erase
from cdp.errors import EventInvalid
from cdp.event import Event
from cdp.rights.events import PrivacyRequestAdvanced, PrivacyRequestOpened
from cdp.rights.terms import read_terms
from cdp.seen import was_applied
from cdp.stores import Connection
from cdp.values import row_id
from privacy.keys import KeyRing
from privacy.vocabulary import CustomerState

OPEN = """
UPDATE privacy_request AS r SET due_at = coalesce(due_at, opened_at + make_interval(days => (
    SELECT days FROM privacy_term AS t WHERE t.kind = r.kind AND t.jurisdiction IN ($3, '*')
    ORDER BY t.jurisdiction = '*' LIMIT 1)))
WHERE customer_id = $1 AND request_id = $2 RETURNING kind
"""
ADVANCE = """
UPDATE privacy_request SET state = $3, state_at = $4, reason = $5, evidence = coalesce($6, evidence)
WHERE customer_id = $1 AND request_id = $2 AND state = ANY($7::text[]) RETURNING kind
"""
RESTRICT = "UPDATE customer SET state = $2 WHERE customer_id = $1 AND state = ANY($3::text[])"

READABLE: Final = [CustomerState.ACTIVE.value, CustomerState.RESTRICTED.value]
RESTRICTS: Final = {"RESTRICTION": CustomerState.RESTRICTED.value, "LIFTING": CustomerState.ACTIVE.value}
RAISED = "SELECT EXISTS (SELECT FROM objection WHERE customer_id = $1 AND objection_id = $2 AND raised)"
HASH: Final = re.compile(r"[0-9a-f]{64}")


class Step(NamedTuple):
    """An event about a request, and whose request it is."""

    customer_id: UUID
    event: Event


async def advance(connection: Connection, step: Step, at: tuple[str, KeyRing], now: datetime) -> None:
    """Opens a request, or brings it into its next state and does what follows; raises EventInvalid where it may not
    come to that.

    `at` is the store's jurisdiction, and its keys.
    """
    jurisdiction, ring = at
    event = step.event
    if isinstance(event, PrivacyRequestOpened):
        await _open(connection, step.customer_id, event, jurisdiction)
        return
    assert isinstance(event, PrivacyRequestAdvanced)
    before = event.before[event.state]
    words = event.state, event.at, event.reason, event.evidence
    kind = await connection.fetchval(ADVANCE, step.customer_id, event.request_id, *words, before)
    if kind is None:
        raise EventInvalid("state", f"a request of the customer that is in state {' or '.join(before)}")
    if event.state == "IN_PROGRESS" and kind == "ERASURE":
        terms = await read_terms(connection, jurisdiction)
        await erase(connection, ring, Erasure(step.customer_id, now, event.request_id), terms)
    elif event.state == "COMPLETED":
        await _complete(connection, ring, step.customer_id, kind, event.evidence)


async def _open(connection: Connection, customer_id: UUID, event: PrivacyRequestOpened, jurisdiction: str) -> None:
    """Says by when it must be answered; raises EventInvalid where its reference names another."""
    request_id = row_id(customer_id, "privacyRequest", event.request_ref)
    if await connection.fetchval(OPEN, customer_id, request_id, jurisdiction) != event.kind:
        raise EventInvalid("requestRef", "a reference that no request of the customer for something else has")


async def _complete(connection: Connection, ring: KeyRing, customer_id: UUID, kind: str, evidence: str | None) -> None:
    if kind in RESTRICTS:
        await connection.execute(RESTRICT, customer_id, RESTRICTS[kind], READABLE)
    elif kind == "RECTIFICATION":
        if not evidence or not await was_applied(connection, ring, evidence, customer_id):
            raise EventInvalid("evidence", "the id of an event of this customer that was taken in")
    elif kind == "OBJECTION":
        if not await connection.fetchval(RAISED, customer_id, row_id(customer_id, "objection", evidence or "")):
            raise EventInvalid("evidence", "the id of an ObjectionRaised of this customer that was taken in")
    elif not HASH.fullmatch(evidence or ""):
        raise EventInvalid("evidence", "the SHA-256 of the archive, as 64 hexadecimal digits")
