"""States of products between `standing` and the tables: all turns of a customer in, what follows from them out.

Whoever changes them takes the customer's row first (`take`) and keeps it until the commit: two writers never work out
the products of one customer at once.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from cdp.billing.events import AccountOpened, PaymentStatusReported
from cdp.billing.products import OfProduct
from cdp.billing.standing import Holdings, Turn, has_circle, state_of
from cdp.event import Event
from cdp.stores import Connection

TAKE: Final = "SELECT FROM customer WHERE customer_id = ANY($1::uuid[]) ORDER BY customer_id FOR NO KEY UPDATE"
PRODUCTS: Final = """
SELECT p.customer_id, p.product_id, (
    SELECT max(a.payment_status_at) FROM account AS a WHERE a.customer_id = p.customer_id AND a.region = p.region
    HAVING bool_and(a.payment_status = 'IN_ORDER'))
FROM product AS p WHERE p.customer_id = ANY($1::uuid[])
"""
TURNS: Final = (
    "SELECT customer_id, product_id, at, status, reason FROM product_turn WHERE customer_id = ANY($1::uuid[])"
)
RELIANCES: Final = (
    "SELECT customer_id, product_id, relies_on_id FROM product_reliance WHERE customer_id = ANY($1::uuid[])"
)
REASONS: Final = "SELECT reason, ends_with FROM suspension_reason"
CHANGE: Final = """
UPDATE product AS p SET status = n.status, status_reason = n.status_reason, status_at = n.status_at,
    expected_status = n.expected_status, expected_at = n.expected_at, behind_id = n.behind_id
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::timestamptz[],
    $8::uuid[])
    AS n (customer_id, product_id, status, status_reason, status_at, expected_status, expected_at, behind_id)
WHERE p.customer_id = n.customer_id AND p.product_id = n.product_id
  AND (p.status, p.status_reason, p.status_at, p.expected_status, p.expected_at, p.behind_id) IS DISTINCT FROM
    (n.status, n.status_reason, n.status_at, n.expected_status, n.expected_at, n.behind_id)
"""
UNKNOWN: Final = """
SELECT DISTINCT customer_id FROM product
WHERE expected_status IS NULL AND status IN ('active', 'suspended') AND customer_id > $1 ORDER BY customer_id LIMIT $2
"""

ABOUT: Final = (OfProduct, PaymentStatusReported, AccountOpened)
"""Events after which products may be, or have to be, others."""


class Change(NamedTuple):
    """What a product's row says after all that is known."""

    customer_id: UUID
    product_id: UUID
    status: str
    status_reason: str | None
    status_at: datetime
    expected_status: str | None
    expected_at: datetime | None
    behind_id: UUID | None


def concerned(events: Iterable[tuple[UUID, Event]]) -> list[UUID]:
    """Whose products may be, or have to be, others after these events, in one order for all writers."""
    return sorted({customer_id for customer_id, event in events if isinstance(event, ABOUT)}, key=lambda one: one.int)


async def take(connection: Connection, customers: Sequence[UUID]) -> None:
    """Keeps the products of these customers for this transaction: before anything is written of them, so that two
    writers never wait for each other.
    """
    if customers:
        await connection.fetch(TAKE, customers)


async def work_out(connection: Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Writes what the products of these customers, who are taken, are and should be after all that was said of them;
    customers whose products rely on each other in a circle are returned. Inside a transaction.
    """
    if not ids:
        return set()
    relies_on = _grouped(await connection.fetch(RELIANCES, ids))
    products, turns = await connection.fetch(PRODUCTS, ids), _grouped(await connection.fetch(TURNS, ids))
    ends_with = dict(await connection.fetch(REASONS))
    paid: dict[UUID, dict[UUID, datetime]] = {one: {} for one in ids}
    for customer_id, product_id, at in products:
        if at is not None:
            paid[customer_id][product_id] = at
    changes: list[Change] = []
    circles = set[UUID]()
    for one in ids:
        said = {product: state_of(map(Turn._make, rows)) for product, rows in turns.get(one, {}).items()}
        states = {product: state for product, state in said.items() if state is not None}
        below = {product: {other for (other,) in rows} for product, rows in relies_on.get(one, {}).items()}
        if has_circle(below):
            circles.add(one)
        changes += _changes(one, Holdings(states, below, ends_with, paid[one]))
    if changes:
        await connection.execute(CHANGE, *map(list, zip(*changes, strict=True)))
    return circles


def _changes(customer_id: UUID, held: Holdings) -> Iterator[Change]:
    for product, state in sorted(held.states.items()):
        status, since = held.expected(product) or (None, None)
        why, behind = held.reason(product), held.behind(product)
        yield Change(customer_id, product, state.status, why, state.since, status, since, behind)


def _grouped(rows: Sequence[Any]) -> dict[UUID, dict[UUID, list[Any]]]:
    """Customer -> product -> the rest of each of its rows."""
    found: dict[UUID, dict[UUID, list[Any]]] = {}
    for customer_id, product_id, *rest in rows:
        found.setdefault(customer_id, {}).setdefault(product_id, []).append(rest)
    return found


async def work_out_unknown(connection: Connection, after: UUID, most: int) -> UUID | None:
    """Works out the products of the next customers, by id, of whom it is not known yet what should be; the last of
    them, None where there are no more.
    """
    customers = [row[0] for row in await connection.fetch(UNKNOWN, after, most)]
    await take(connection, customers)
    await work_out(connection, customers)
    return customers[-1] if customers else None
