"""What follows, inside the write door, from a case that was opened or takes a step."""

from typing import Final
from uuid import UUID

from cdp.care.events import CaseOpened, CaseStatusChanged, CaseStep
from cdp.errors import EventInvalid
from cdp.event import Event
from cdp.stores import Connection
from cdp.values import row_id

FOUND: Final = 'SELECT * FROM "case" WHERE customer_id = $1 AND case_id = $2 FOR UPDATE'
MOVE: Final = """
UPDATE "case" SET status = $3, status_at = $4, owner = $5, offered_to = $6, told_at = $7, closed_at = $8,
    root_cause = $9
WHERE customer_id = $1 AND case_id = $2
"""
MOVES: Final = ("owner", "offered_to", "told_at", "closed_at", "root_cause")


async def take_step(connection: Connection, customer_id: UUID, event: Event) -> None:
    """Moves the case an event is about; raises EventInvalid where it may not come to that. Other events are nothing."""
    if isinstance(event, CaseOpened | CaseStatusChanged):
        found = await connection.fetchrow(FOUND, customer_id, row_id(customer_id, "case", event.case_ref))
        if found is not None and found["cause_kind"] is not None:
            raise EventInvalid("caseRef", "a case that another system keeps")
    elif isinstance(event, CaseStep):
        found = await connection.fetchrow(FOUND, customer_id, event.case_id)
        if found is None:
            raise EventInvalid("caseId", "a case of the customer")
        changes = event.moved(found)
        status, at = changes.get("status", found["status"]), event.at if "status" in changes else found["status_at"]
        await connection.execute(
            MOVE, customer_id, event.case_id, status, at, *(changes.get(name, found[name]) for name in MOVES)
        )
