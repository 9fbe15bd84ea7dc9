"""Data whose time is over goes: rows by their own age, rows of those who left by the day they did, whole customers when
nothing keeps them any more. The terms are rows of `retention_term`.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cdp.erasure.erase import Erasure, StillHere, erase
from cdp.rights.kept import KEPT, Goes, Kept
from cdp.rights.terms import Terms, read_terms, term_of
from cdp.stores import Store
from cdp.tables import metadata
from privacy.keys import KeyRing
from privacy.vocabulary import RetentionClass

DELETED_AT_ONCE: Final = 20_000
WHOLE: Final = "customer"

LEFT = """EXISTS (SELECT FROM customer AS c WHERE c.customer_id = t.customer_id
    AND c.status = 'TERMINATED' AND c.status_at < $1 AND c.state IN ('ACTIVE', 'RESTRICTED'))"""
CUSTOMERS = """
SELECT customer_id FROM customer WHERE status = 'TERMINATED' AND status_at < $1 AND state IN ('ACTIVE', 'RESTRICTED')
UNION ALL SELECT customer_id FROM erasure WHERE kept_until <= $2 AND finished_at IS NOT NULL
"""
Told = Callable[[int], None]
"""Is told of each step how many rows were done."""


@dataclass(frozen=True, slots=True)
class Due:
    """Rows of a table that are over when the condition holds, `$1` being the instant before which they are from."""

    table: str
    condition: str
    cutoff: datetime


def due_rows(terms: Terms, now: datetime) -> Iterator[Due]:
    """What has to be looked for, rows before those they refer to. Raises as `term_of`."""
    for name in reversed(KEPT):
        kept = KEPT[name]
        of = kept.under or name
        condition = _condition(kept)
        if condition is not None:
            yield Due(name, condition, term_of(terms, of, KEPT[of]).cutoff(now))


def _condition(kept: Kept) -> str | None:
    if kept.since is not None:
        return f"t.{kept.since} < $1"
    if kept.under is not None:
        key, since = f"{kept.under}_id", KEPT[kept.under].since
        parent = f'"{kept.under}" AS p WHERE p.customer_id = t.customer_id AND p.{key} = t.{key}'
        return f"EXISTS (SELECT FROM {parent} AND p.{since} < $1)"
    # What tells who somebody is goes with the customer, as a whole.
    return LEFT if kept.goes is Goes.ROWS and kept.retention is not RetentionClass.IDENTITY else None


async def expired(store: Store, now: datetime) -> dict[str, int]:
    """Table -> rows whose time is over; `customer` counts those who go as a whole. Nothing is written."""
    # Counting a large table takes longer than a read may.
    async with store.transaction() as connection:
        terms = await read_terms(connection, store.jurisdiction)
        found = {}
        for due in due_rows(terms, now):
            statement = f'SELECT count(*) FROM "{due.table}" AS t WHERE {due.condition}'  # noqa: S608 -- a declared table
            found[due.table] = await connection.fetchval(statement, due.cutoff)
        found[WHOLE] = len(await connection.fetch(CUSTOMERS, term_of(terms, WHOLE, KEPT[WHOLE]).cutoff(now), now))
    return found


async def expire(store: Store, ring: KeyRing, now: datetime, told: Told = lambda _: None) -> None:
    """Deletes what `expired` counts, some thousand rows at a time; customers are erased, and swept later."""
    async with store.read() as connection:
        terms = await read_terms(connection, store.jurisdiction)
        customers = await connection.fetch(CUSTOMERS, term_of(terms, WHOLE, KEPT[WHOLE]).cutoff(now), now)
    for due in list(due_rows(terms, now)):  # nothing goes where a term is missing
        await _delete(store, due, told)
    for (customer_id,) in customers:
        await _erase(store, ring, Erasure(customer_id, now), terms)
        told(1)


async def _delete(store: Store, due: Due, told: Told) -> None:
    key = ", ".join(column.name for column in metadata.tables[due.table].primary_key)
    some = f'SELECT {key} FROM "{due.table}" AS t WHERE {due.condition} LIMIT $2'  # noqa: S608 -- a declared table
    statement = f'DELETE FROM "{due.table}" WHERE ({key}) IN ({some})'  # noqa: S608 -- a declared table
    count = DELETED_AT_ONCE
    while count == DELETED_AT_ONCE:
        async with store.transaction() as connection:
            status = await connection.execute(statement, due.cutoff, DELETED_AT_ONCE)
        count = int(status.removeprefix("DELETE "))
        told(count)


async def _erase(store: Store, ring: KeyRing, erasure: Erasure, terms: Terms) -> None:
    with suppress(StillHere):
        async with store.transaction() as connection:
            await erase(connection, ring, erasure, terms)
