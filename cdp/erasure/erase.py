"""The one transaction of an erasure: from its commit on the customer is not found, and nothing of theirs opens."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from cdp.identity.clusters import write_clusters
from cdp.identity.lives import forget_holder
from cdp.identity.proposals import end_links
from cdp.identity.retagging import index_of
from cdp.key_store import hold_keys, key_rows
from cdp.rights.kept import KEPT, Goes
from cdp.rights.terms import Terms
from cdp.stores import Connection
from privacy.keys import KeyRing
from privacy.vocabulary import CustomerState, RetentionClass

FOR_ITSELF: Final = ("data_key", "dead_letter", "number_fact", "number_index")
AT_ONCE: Final = [name for name, kept in KEPT.items() if kept.goes is Goes.AT_ONCE and name not in FOR_ITSELF]

TAGS = "SELECT identifier_tag, kind FROM identifier_index WHERE customer_id = $1"
# Whoever writes about the customer holds their row: the erasure waits for the writer, or the writer for the erasure.
TAKE = "SELECT region, status, status_at FROM customer WHERE customer_id = $1 FOR UPDATE"
BEFORE = "SELECT erased_at FROM erasure WHERE customer_id = $1"
LETTERS = "DELETE FROM dead_letter WHERE subject_tag = ANY($1::bytea[])"
OTHER_EDGES = """
DELETE FROM merge_edge WHERE other_id = $1
  AND customer_id IN (SELECT other_id FROM merge_edge WHERE customer_id = $1)
"""
OTHER_PROPOSALS = "DELETE FROM match_proposal WHERE other_id = $1"
KEYS = "DELETE FROM data_key WHERE customer_id = $1 AND retention = ANY($2::text[])"
# Nobody can do what else they asked for, nor say so: they are not known any more.
OTHERS = """
UPDATE privacy_request SET state = 'REFUSED', state_at = $3, reason = 'ERASED'
WHERE customer_id = $1 AND request_id IS DISTINCT FROM $2 AND state IN ('RECEIVED', 'VERIFIED', 'IN_PROGRESS')
"""
CLOSE = "UPDATE customer SET state = $2 WHERE customer_id = $1"
RECORD = """
INSERT INTO erasure (customer_id, request_id, region, erased_at, gone, kept, kept_until)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (customer_id) DO UPDATE
SET gone = excluded.gone, kept = excluded.kept, kept_until = excluded.kept_until, finished_at = NULL
"""
COUNT = """
INSERT INTO erased_rows AS old (customer_id, table_name, row_count) VALUES ($1, $2, $3)
ON CONFLICT (customer_id, table_name) DO UPDATE SET row_count = old.row_count + excluded.row_count
"""


class StillHere(Exception):
    """Whose term was over is a customer again: they stay."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """Whom to erase, when, and by which request (None where a term is over); `gone` goes whatever the law says now."""

    customer_id: UUID
    at: datetime
    request_id: UUID | None = None
    gone: Collection[str] = ()

    @property
    def unasked(self) -> bool:
        """Because a term is over."""
        return self.request_id is None and not self.gone


async def erase(connection: Connection, ring: KeyRing, erasure: Erasure, terms: Terms) -> None:
    """Erases a customer who is there, but for the classes a law keeps; what was kept before and is not any more goes
    too. The sweep does the rest. Inside a transaction; where keys have a database of their own, they go first.

    Raises StillHere.
    """
    await hold_keys(connection, ring)
    customer_id = erasure.customer_id
    named = [(tag, kind) for tag, kind in await connection.fetch(TAGS, customer_id)]
    named += [(tag, "number") for tag in await forget_holder(connection, customer_id, erasure.at)]
    # While tags are moved, a letter may have its new one already.
    tags = {one for tag, kind in named for one in (tag, *ring.later_tags(index_of(kind), tag))}
    found = await connection.fetchrow(TAKE, customer_id)
    before = await connection.fetchval(BEFORE, customer_id)
    # Nobody can change the row any more; somebody may have, before. Of their keys nothing is gone yet.
    if erasure.unasked and before is None and found["status"] != "TERMINATED":
        raise StillHere
    began = before or erasure.at
    ended = found["status_at"] if found["status"] == "TERMINATED" else began
    kept = _kept(terms, min(ended, began), erasure)
    gone = [name.value for name in RetentionClass if name not in kept]
    await deleted(connection, customer_id, "dead_letter", LETTERS, [*tags, customer_id.bytes])
    await connection.execute(OTHER_EDGES, customer_id)
    await connection.execute(OTHER_PROPOSALS, customer_id)
    await end_links(connection, customer_id, None, erasure.at)  # the other stores are told by the worker
    for name in AT_ONCE:
        statement = f'DELETE FROM "{name}" WHERE customer_id = $1'  # noqa: S608 -- a declared table
        await deleted(connection, customer_id, name, statement, customer_id)
    await write_clusters(connection, ring, [customer_id])
    async with key_rows(connection, ring) as keys:
        status = await keys.execute(KEYS, customer_id, gone)
    await _count(connection, customer_id, "data_key", status)
    await connection.execute(OTHERS, customer_id, erasure.request_id, erasure.at)
    await connection.execute(CLOSE, customer_id, CustomerState.ERASING.value)
    laws = {name: {"law": terms[name].law, "until": f"{until:%Y-%m-%d}"} for name, until in kept.items()}
    words = json.dumps(gone), json.dumps(laws)
    until = min(kept.values(), default=None)
    await connection.execute(RECORD, customer_id, erasure.request_id, found["region"], erasure.at, *words, until)


async def deleted(connection: Connection, customer_id: UUID, table: str, statement: str, *values: Any) -> None:
    """Runs a statement that deletes or empties rows of a customer, and adds how many to what is reported."""
    await _count(connection, customer_id, table, await connection.execute(statement, *values))


async def _count(connection: Connection, customer_id: UUID, table: str, status: str) -> None:
    if count := int(status.rpartition(" ")[2]):
        await connection.execute(COUNT, customer_id, table, count)


def _kept(terms: Terms, ended: datetime, erasure: Erasure) -> dict[RetentionClass, datetime]:
    """The classes that a law does not let go yet, each with the instant at which it does."""
    by_law = {name: terms[name].after(ended) for name in RetentionClass if name in terms and terms[name].by_law}
    return {name: until for name, until in by_law.items() if until > erasure.at and name not in erasure.gone}
