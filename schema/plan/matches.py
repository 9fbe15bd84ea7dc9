"""Records that may be one person's, as they were found, for stewards to decide on."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from cdp.errors import AuthError, RequestInvalid
from cdp.global_ids import GlobalId, link_id, row_id
from cdp.identity.match_proposals import open_proposals
from schema.plan.targets import Reach, only_stewards

MOST = 100


async def merge_proposals(arguments: Mapping[str, Any], reach: Reach) -> tuple[str, list[dict[str, Any]]]:
    """The store of a region, and the proposals of it as the schema has them.

    Raises AuthError for all but stewards to whom the region is open, RequestInvalid for a page out of bounds.
    """
    only_stewards(reach.caller)
    region, first = arguments["region"], arguments["first"]
    if first is None or not 0 <= first <= MOST:
        raise RequestInvalid("PAGE_SIZE", f"mergeProposals(first): expected 0 to {MOST}")
    store = reach.store_of(region)
    if store is None:
        raise RequestInvalid("REGION_UNKNOWN", "region: no store keeps this region")
    if not reach.open_to(store):
        raise AuthError("FORBIDDEN", "region: not open to this caller", 403)
    async with reach.stores[store].store.read() as connection:
        found = await open_proposals(connection, region, first)
    return store, [
        {
            "customer": _id(reach, store, proposal.one, links[0]),
            "other": _id(reach, store, proposal.other, links[1]),
            "rule": proposal.rule,
            "score": proposal.score,
            "components": [{"field": field, "weight": weight} for field, weight in proposal.components.items()],
        }
        for proposal, links in found
    ]


def _id(reach: Reach, store: str, customer_id: UUID, link: bytes | None) -> str:
    audience = reach.caller.legal_entity
    if link is not None:
        return link_id(reach.tokens, audience, link)
    return row_id(reach.tokens, audience, GlobalId("Customer", store, customer_id, customer_id))
