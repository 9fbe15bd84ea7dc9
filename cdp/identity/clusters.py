"""Clusters: who, by all edges that stand, is one person, written flat on each member's own row.

A cluster is a function of its edges: chains and rings of merges, in any order of arrival, give the same clusters. Its
leader is the customer who was registered first. Nothing but `cluster` and `cluster_since` changes on a row, so that
parting gives back what was there before, bit by bit.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from cdp.identity.merges import MERGED
from cdp.identity.retagging import newest_tag
from cdp.stores import Connection
from privacy.keys import KeyRing

MEMBERS = """
SELECT DISTINCT unnest(coalesce(cluster, ARRAY[customer_id])) FROM customer WHERE customer_id = ANY($1::uuid[])
"""
TAKE = "SELECT FROM customer WHERE customer_id = ANY($1::uuid[]) ORDER BY customer_id FOR UPDATE"
EDGES = """
SELECT customer_id, other_id, state_at FROM merge_edge WHERE customer_id = ANY($1::uuid[]) AND state = $2
"""
WRITE = """
UPDATE customer AS c SET cluster = string_to_array(new.cluster, ',')::uuid[], cluster_since = new.since
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS new (customer_id, cluster, since)
WHERE c.customer_id = new.customer_id
  AND (c.cluster, c.cluster_since) IS DISTINCT FROM (string_to_array(new.cluster, ',')::uuid[], new.since)
"""
DOCUMENTS = """
SELECT DISTINCT document_tag FROM identification
WHERE customer_id = ANY($1::uuid[]) AND document_type = 'NATIONAL_ID' AND document_tag IS NOT NULL
"""
# The kinds of which the members of a cluster have more together than one person is likely to.
OVER = """
WITH counted (kind, found) AS (
    SELECT 'NATIONAL_ID', $2::bigint
    UNION ALL
    SELECT 'number', count(*) FROM number_holding
    WHERE customer_id = ANY($1::uuid[]) AND role = 'USER' AND valid_to IS NULL
    UNION ALL
    SELECT 'any', (SELECT count(*) FROM number_holding WHERE customer_id = ANY($1::uuid[]))
        + (SELECT count(*) FROM identification WHERE customer_id = ANY($1::uuid[]))
        + (SELECT count(*) FROM account WHERE customer_id = ANY($1::uuid[]))
    UNION ALL
    SELECT 'member', cardinality($1::uuid[])
    UNION ALL
    -- Of several links to one store one is followed: what is behind the others would be seen no more.
    SELECT 'link', count(*) FROM link WHERE customer_id = ANY($1::uuid[]) AND state = 'ACTIVE' GROUP BY other_store
)
SELECT kind FROM counted JOIN identifier_limit USING (kind) WHERE found > most ORDER BY kind
"""


def clusters_of(edges: Collection[tuple[UUID, UUID, datetime]]) -> dict[UUID, tuple[tuple[UUID, ...], datetime]]:
    """Member -> its cluster, the leader first, and when the last of its edges was made; who is alone is not in it."""
    together: dict[UUID, set[UUID]] = {}
    for one, other, _ in edges:
        joined = together.get(one, {one}) | together.get(other, {other})
        for member in joined:
            together[member] = joined
    found = {}
    for member, members in together.items():
        since = max(at for one, _, at in edges if one in members)
        found[member] = tuple(sorted(members, key=lambda customer: customer.int)), since
    return found


async def write_clusters(connection: Connection, ring: KeyRing, touched: Sequence[UUID]) -> Mapping[UUID, str]:
    """Works out anew the clusters of these customers, whose edges have changed; their rows are this writer's until the
    commit. Returns member -> the kind of identifier of which their cluster has too many, where one does.
    """
    members = set(touched)
    while True:
        found = {row[0] for row in await connection.fetch(MEMBERS, sorted(members, key=lambda one: one.int))}
        await connection.execute(TAKE, sorted(found, key=lambda one: one.int))
        if found <= members:
            break
        members |= found
    edges = [tuple(row) for row in await connection.fetch(EDGES, list(members), MERGED)]
    clusters = clusters_of(edges)
    rows = [(member, *_written(clusters.get(member))) for member in sorted(members, key=lambda one: one.int)]
    await connection.execute(WRITE, *map(list, zip(*rows, strict=True)))
    too_many: dict[UUID, str] = {}
    for cluster in {cluster for cluster, _ in clusters.values()}:
        if kind := await passed_limit(connection, ring, cluster):
            too_many |= dict.fromkeys(cluster, kind)
    return too_many


async def passed_limit(connection: Connection, ring: KeyRing, members: Sequence[UUID]) -> str | None:
    """The kind of identifier of which these customers have more together than one person may."""
    # While tags are moved, one document may have its old one here and its new one there.
    tags = await connection.fetch(DOCUMENTS, list(members))
    documents = {newest_tag(ring, "document", row[0]) for row in tags}
    found: str | None = await connection.fetchval(OVER, list(members), len(documents))
    return found


def _written(cluster: tuple[tuple[UUID, ...], datetime] | None) -> tuple[str | None, datetime | None]:
    return (None, None) if cluster is None else (",".join(map(str, cluster[0])), cluster[1])
