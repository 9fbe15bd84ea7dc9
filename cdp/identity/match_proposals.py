"""Proposals that two records are one person's: kept until the next run, and told to stewards."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import product
from typing import NamedTuple
from uuid import UUID

from cdp.identity.merges import PARTED
from cdp.identity.resolve import GONE
from cdp.stores import Connection, Store

MEMBERS = "SELECT customer_id, coalesce(cluster, ARRAY[customer_id]) FROM customer WHERE customer_id = ANY($1::uuid[])"
APART = "SELECT customer_id, other_id FROM merge_edge WHERE customer_id = ANY($1::uuid[]) AND state = $2"
# Held until the commit: an erasure waits, or was first.
HOLD = """
SELECT customer_id FROM customer WHERE customer_id = ANY($1::uuid[]) AND state <> ALL($2::text[])
ORDER BY customer_id FOR KEY SHARE
"""
FORGET = "DELETE FROM match_proposal WHERE region = $1"
KEEP = """
INSERT INTO match_proposal (customer_id, other_id, region, rule, score, components, found_at)
SELECT one, other, $1, rule, score, components, $2
FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::float8[], $7::jsonb[]) AS new (one, other, rule, score, components)
ON CONFLICT (customer_id, other_id) DO UPDATE SET region = excluded.region, rule = excluded.rule,
    score = excluded.score, components = excluded.components, found_at = excluded.found_at
"""
PERSON = "coalesce({0}.cluster, ARRAY[{0}.customer_id])"
SHOWN = """(coalesce({0}.cluster, ARRAY[{0}.customer_id]))[1],
    (SELECT token FROM link WHERE customer_id = ANY(coalesce({0}.cluster, ARRAY[{0}.customer_id])) AND state = 'ACTIVE'
     ORDER BY token LIMIT 1)"""
# Whatever a steward said of two since they were proposed, there is an edge between them, or they are in one cluster.
OPEN = f"""
SELECT p.rule, p.score, p.components, {SHOWN.format("c")}, {SHOWN.format("o")}
FROM match_proposal AS p JOIN customer AS c USING (customer_id) JOIN customer AS o ON o.customer_id = p.other_id
WHERE p.region = $1 AND c.state <> 'ERASED' AND o.state <> 'ERASED' AND NOT p.other_id = ANY({PERSON.format("c")})
  AND NOT EXISTS (SELECT FROM merge_edge AS e WHERE e.customer_id = ANY({PERSON.format("c")})
                  AND e.other_id = ANY({PERSON.format("o")}))
ORDER BY p.rule IS NULL, p.score DESC NULLS LAST, p.customer_id, p.other_id LIMIT $2
"""  # noqa: S608 -- put together from our own texts alone


class Proposal(NamedTuple):
    """Two customers of a store; by which rule they were found, if by one; how likely they are one person's, where that
    was worked out, and what each field adds to it, in bits.
    """

    one: UUID
    other: UUID
    rule: str | None
    score: float | None
    components: Mapping[str, float]


class Settled(NamedTuple):
    """What stewards have said already: customer -> all who are one person with them; the pairs that were parted."""

    persons: Mapping[UUID, Sequence[UUID]]
    parted: frozenset[tuple[UUID, UUID]]

    def holds(self, one: UUID, other: UUID) -> bool:
        """Whether it is settled of these two that they are one, or two."""
        mine, theirs = self.persons[one], self.persons[other]
        return other in mine or not self.parted.isdisjoint(product(mine, theirs))


class Shown(NamedTuple):
    """A proposal, and the tokens that its two customers share with another store, where they do."""

    proposal: Proposal
    links: tuple[bytes | None, bytes | None]


async def settled(connection: Connection, customers: Sequence[UUID]) -> Settled:
    """What stewards have said of these customers."""
    persons = {row[0]: row[1] for row in await connection.fetch(MEMBERS, list(customers))}
    everyone = {member for members in persons.values() for member in members}
    apart = await connection.fetch(APART, list(everyone), PARTED)
    return Settled(persons, frozenset((row[0], row[1]) for row in apart))


async def keep_proposals(store: Store, region: str, proposals: Sequence[Proposal], at: datetime) -> None:
    """Makes these the proposals of a region, but for those about somebody who was erased meanwhile; those of the run
    before are forgotten.
    """
    async with store.transaction() as connection:
        there = {
            row[0] for row in await connection.fetch(HOLD, sorted({one for p in proposals for one in p[:2]}), GONE)
        }
        pairs = sorted(
            (min(p[:2]), max(p[:2]), p.rule, p.score, json.dumps(p.components))
            for p in proposals
            if there.issuperset(p[:2])
        )
        columns = [list(column) for column in zip(*pairs, strict=True)] or [[] for _ in range(5)]
        await connection.execute(FORGET, region)
        await connection.execute(KEEP, region, at, *columns)


async def open_proposals(connection: Connection, region: str, most: int) -> list[Shown]:
    """The proposals of a region of which no steward has said anything yet: those by a rule, then by their score."""
    return [
        Shown(Proposal(one, other, rule, score, json.loads(components)), (mine, theirs))
        for rule, score, components, one, mine, other, theirs in await connection.fetch(OPEN, region, most)
    ]
