"""Everybody of a region for a command: asked for page by page as every answer is, each page with its audit entry."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

from cdp.app import front_door
from cdp.auth import Caller
from cdp.errors import RequestInvalid
from cdp.exchange import GraphqlRequest
from cdp.house import House

PAGE: Final = 100


def store_of_region(house: House, region: str) -> str:
    """The store that keeps a region; raises RequestInvalid for one that is not served here."""
    name = house.settings.store_of(region)
    if name not in house.stores:
        raise RequestInvalid("REGION_UNKNOWN", "region: expected one that is served here")
    return name


async def customers_of(
    house: House, caller: Caller, document: str, region: str, most: int | None = None
) -> AsyncIterator[list[Any]]:
    """The customers of a region, `most` of them at most, as a document with $region, $first and $after asks for them:
    a list of nodes for each page, of those who may be seen.
    """
    front, left, after = front_door(house), most, None
    while left is None or left > 0:
        first = PAGE if left is None else min(PAGE, left)
        asked: dict[str, Any] = {"region": region, "first": first, "after": after}
        answer = await front.answer(GraphqlRequest(document, variables=asked), caller)
        page = json.loads(answer.body)["data"]["customers"]
        yield [edge["node"] for edge in page["edges"]]
        after, left = page["pageInfo"]["endCursor"], None if left is None else left - first
        if not page["pageInfo"]["hasNextPage"]:
            return
