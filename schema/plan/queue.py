"""The officers' queue of privacy requests: no customer's data, so nothing to decide, but ids to go on with."""

from typing import Any

from cdp.errors import AuthError, RequestInvalid
from cdp.global_ids import GlobalId, row_id
from cdp.rights.reads import queue
from schema.plan.targets import Arguments, Reach, only_officers

MOST = 100


async def queued(arguments: Arguments, reach: Reach) -> tuple[str, list[dict[str, Any]]]:
    """The store that was asked, and its requests, oldest due first. Raises AuthError and RequestInvalid."""
    only_officers(reach.caller)
    store, first = reach.store_of(arguments["region"]), arguments["first"]
    if store is None or not reach.open_to(store):
        raise AuthError("FORBIDDEN", "region: not open to this caller", 403)
    if not 0 <= first <= MOST:
        raise RequestInvalid("PAGE_SIZE", f"first: expected 0 to {MOST}")
    state = arguments.get("state")
    async with reach.stores[store].store.read() as connection:
        rows = await queue(connection, arguments["region"], getattr(state, "value", state), first)

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
