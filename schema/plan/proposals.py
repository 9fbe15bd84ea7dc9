"""A proposal to join two records: what both were found to say, and what would follow, as the schema has it."""

import json
from collections.abc import Mapping
from uuid import UUID

from cdp.errors import RequestInvalid
from cdp.global_ids import NOBODY, GlobalId
from cdp.identity.comparing import Said, compare
from cdp.identity.reads import linked_customer
from cdp.joining import prospect
from privacy.facts import Request
from schema.plan.operation import HIDDEN, OperationRoot
from schema.plan.picks import payload
from schema.plan.targets import Reach


async def proposal(root: OperationRoot, seen: Mapping[str, str], reach: Reach) -> str:
    """A proposal as JSON text; `null` where one of the two is not known.

    Raises RequestInvalid for records of two stores.
    """
    assert root.picks is not None
    one, other = (json.loads(seen[side]) for side in HIDDEN)
    if one is None or other is None:
        return "null"
    at_hand = await _found(one, other, reach)
    return payload(root.picks, at_hand, {key: text for key, text in seen.items() if key not in HIDDEN})


async def _found(one: Said, other: Said, reach: Reach) -> dict[str, object]:
    store, mine, theirs = await _places(one, other, reach)
    at, caller = reach.stores[store], reach.caller
    here = at.store.jurisdiction
    asks = Request(
        caller.client,
        caller.legal_entity,
        caller.recipient_class,
        "",
        frozenset(),
        caller.channel,
        here,
        here,
        reach.at,
    )
    joined = mine == theirs
    coming = await prospect(at, asks, mine, theirs)
    compared = [] if joined else list(compare(one, other))
    return {
        "alreadyMerged": joined,
        "evidence": [one.field for one in compared if one.agrees],
        "conflicts": [one.field for one in compared if not one.agrees],
        "consentEffect": [loss._asdict() for loss in coming.losses],
        "tooMany": coming.too_many,
    }


async def _places(one: Said, other: Said, reach: Reach) -> tuple[str, UUID, UUID]:
    """The store both are in, and their ids there."""
    found = [reach.global_id(said["id"]) for said in (one, other)]
    stores = {place.store for place in found if place is not None and place.link is None} or set(reach.all_open[:1])
    if len(stores) > 1:
        raise RequestInvalid("STORES_DIFFER", "input.other: expected a customer of the same store; others are linked")
    [store] = stores
    mine, theirs = [await _id_in(store, place, reach) for place in found]
    return store, mine, theirs


async def _id_in(store: str, place: GlobalId | None, reach: Reach) -> UUID:
    assert place is not None, "an id of our own"
    if place.link is None:
        return place.customer_id
    async with reach.stores[store].store.read() as connection:
        return await linked_customer(connection, place.link) or NOBODY
