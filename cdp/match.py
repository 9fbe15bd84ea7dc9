"""Records of a region that may be one person's, found and proposed to stewards; nothing is merged.

The records are read as every answer is: what may not be seen of a customer is not compared, and each page has its entry
in the audit trail.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from rich.progress import Progress

from cdp.auth import SELF, Caller, Role
from cdp.global_ids import read_id
from cdp.house import House
from cdp.identity.blocked import blocklist
from cdp.identity.comparing import Said
from cdp.identity.honey import honey_of
from cdp.identity.likeness import can_compare, likenesses
from cdp.identity.match_proposals import Proposal, keep_proposals, settled
from cdp.identity.match_rules import MatchRules
from cdp.identity.matching import Pair, ruled, traits_of
from cdp.identity.reads import linked_customer
from cdp.region_pages import customers_of, store_of_region

PURPOSE: Final = "service.identity"
RECORDS: Final = """
query($region: Region!, $first: Int!, $after: String) @purpose(id: "service.identity") {
  customers(where: { region: $region }, first: $first, after: $after) {
    edges { node {
      id formattedName birthDate email address
      identifications(first: 10) { documentType documentNumber }
      holdings(first: 20) { number sim { iccid } }
    } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
NOT_COMPARED: Final[tuple[None, Mapping[str, float]]] = (None, {})


@dataclass(frozen=True, slots=True)
class Matching:
    """What is matched: a region, `most` of its records, by which rules, and from which likelihood on (0 to 1)."""

    region: str
    rules: MatchRules
    most: int
    threshold: float


async def match(house: House, matching: Matching, bars: Progress, *, keep: bool) -> list[dict[str, object]]:
    """The proposals for a region, those by a rule first; `keep` makes them those that stewards are shown.

    Raises RequestInvalid for a region that is not served here.
    """
    name = store_of_region(house, matching.region)
    records = await _records(house, matching, name, bars)
    async with house.stores[name].read() as connection:
        blocked = await blocklist(connection, house.rings[name])
        found = [await _customer(connection, house, said["id"]) for said in records]
        honey = await honey_of(connection)
        found = [None if one in honey else one for one in found]
        known = await settled(connection, [one for one in found if one is not None])
    traits = [traits_of(said, blocked.holds) for said in records]
    pairs = ruled(matching.rules, traits)
    like = likenesses(matching.rules, traits) if can_compare() else {}
    proposed: dict[Pair, Proposal] = {}
    for pair in pairs.keys() | {pair for pair, one in like.items() if one.score >= matching.threshold}:
        one, other = (found[place] for place in pair)
        if one is not None and other is not None and not known.holds(one, other):
            proposed[pair] = Proposal(one, other, pairs.get(pair), *like.get(pair, NOT_COMPARED))
    if keep:
        await keep_proposals(house.stores[name], matching.region, list(proposed.values()), datetime.now(UTC))
    in_order = sorted(proposed.items(), key=lambda item: (item[1].rule is None, -(item[1].score or 0.0), item[0]))
    return [_shown([str(records[place]["id"]) for place in pair], proposal) for pair, proposal in in_order]


async def _records(house: House, matching: Matching, store: str, bars: Progress) -> list[Said]:
    found: list[Said] = []
    task = bars.add_task(f"records of {matching.region}", total=matching.most)
    caller = Caller("cdp match", purposes=frozenset({PURPOSE}), stores=(store,), role=Role.STEWARD, channel="cli")
    async for page in customers_of(house, caller, RECORDS, matching.region, matching.most):
        found += page
        bars.update(task, completed=len(found))
    bars.update(task, total=len(found))
    return found


async def _customer(connection: Any, house: House, text: str) -> UUID | None:
    """The customer an id of ours stands for, in the store that was asked."""
    found = read_id(house.tokens, SELF, text)
    assert found is not None, "an id of our own"
    return found.customer_id if found.link is None else await linked_customer(connection, found.link)


def _shown(ids: Sequence[str], proposal: Proposal) -> dict[str, object]:
    components: Mapping[str, float] = {field: round(weight, 2) for field, weight in proposal.components.items()}
    score = None if proposal.score is None else round(proposal.score, 6)
    return {"customer": ids[0], "other": ids[1], "rule": proposal.rule, "score": score, "components": components}
