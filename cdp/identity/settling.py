"""What goes with records that are applied: whom they change is held, lives of numbers and clusters are written."""

from collections.abc import Collection, Sequence
from uuid import UUID

from cdp.identity.batch import Batch, Record, number_of, of_kind
from cdp.identity.clusters import write_clusters
from cdp.identity.holdings import NumberEvent
from cdp.identity.lives import write_lives
from cdp.identity.merges import CustomersMerged, MergeEvent
from cdp.identity.resolve import GONE, Graph
from cdp.identity.timeline import Fact
from cdp.outcome import Outcome
from cdp.stores import Connection

# Held until the commit: an erasure waits, or was first, which is then seen here.
HOLD = "SELECT state FROM customer WHERE customer_id = ANY($1::uuid[]) ORDER BY customer_id FOR KEY SHARE"
HOLD_ALONE = "SELECT FROM customer WHERE customer_id = ANY($1::uuid[]) ORDER BY customer_id FOR UPDATE"


async def hold(
    connection: Connection, records: Sequence[Record], others: Collection[UUID], made: Collection[UUID]
) -> bool:
    """Keeps whom these records change, and others, from being erased until the commit; False where one of them was.

    Whoever is `made` by them is seen by nobody else until then.
    """
    customers = {*others, *(record.customer_id for record in records)}
    customers.update(row["customer_id"] for record in records for _, row, _ in record.puts if "customer_id" in row)
    if alone := {record.customer_id for record in records if record.event.alone}:
        await connection.execute(HOLD_ALONE, sorted(alone, key=lambda one: one.int))
    customers.difference_update(made)
    held = await connection.fetch(HOLD, sorted(customers, key=lambda one: one.int)) if customers else ()
    return not any(row[0] in GONE for row in held)


async def live(connection: Connection, batch: Batch, graph: Graph, records: Sequence[Record]) -> None:
    """Writes the lives of numbers as they are after these records."""
    said: dict[bytes, set[Fact]] = {}
    for record, event in of_kind(records, NumberEvent):
        said.setdefault(number_of(batch.tags, event), set()).update(event.facts(record.customer_id))
    await write_lives(connection, said, graph.facts, batch.now)


async def merge(connection: Connection, batch: Batch, records: Sequence[Record]) -> list[tuple[Record, Outcome]]:
    """Writes the clusters as they are after these records; the merges that made one too large, with their refusals."""
    merges = [(record, {put.row["customer_id"] for put in record.puts}) for record, _ in of_kind(records, MergeEvent)]
    if not merges:
        return []
    too_many = await write_clusters(connection, batch.ring, [one for _, pair in merges for one in pair])
    return [
        (record, batch.refused("CLUSTER_TOO_LARGE", "other", f"a merge within the limit of its kind: {too_many[one]}"))
        for record, pair in merges
        if isinstance(record.event, CustomersMerged) and (one := next(iter(pair))) in too_many
    ]
