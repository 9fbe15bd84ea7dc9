"""The officers' queue of privacy requests: no customer's data, so nothing to decide, but ids to go on with."""

from typing import Any

from cdp.global_ids import GlobalId, row_id
from cdp.rights.reads import queue
from schema.plan.accesses import left_out
from schema.plan.targets import Arguments, Reach, officers_page

MOST = 100


async def queued(arguments: Arguments, reach: Reach) -> tuple[str, list[dict[str, Any]]]:
    """The store that was asked, and its requests, oldest due first. Raises AuthError and RequestInvalid."""
    store, first = officers_page(arguments, reach, MOST)
    state, skip = arguments.get("state"), left_out(arguments)
    async with reach.stores[store].store.read() as connection:
        rows = await queue(connection, arguments["region"], getattr(state, "value", state), (first, skip))

    def token(of: str, row: Any) -> str:
        name = row["request_id"] if of == "PrivacyRequest" else row["customer_id"]
        return row_id(reach.tokens, reach.caller.legal_entity, GlobalId(of, store, row["customer_id"], name))

    return store, [
        {
            "id": token("PrivacyRequest", row),
            "customerId": token("Customer", row),
            "records": row["records"],
            "kind": row["kind"],
            "state": row["state"],
            "region": row["region"],
            "openedAt": row["opened_at"],
            "due": row["due_at"],
        }
        for row in rows
    ]
