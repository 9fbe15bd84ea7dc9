"""Requests as the officers who answer them see them."""

from collections.abc import Sequence
from typing import Any, Final

from cdp.stores import Connection

OPEN: Final = ["RECEIVED", "VERIFIED", "IN_PROGRESS"]

QUEUE = """
SELECT r.*, coalesce(cardinality(c.cluster), 1) AS records
FROM privacy_request AS r JOIN customer AS c USING (customer_id)
WHERE r.state = ANY($1::text[]) AND (r.region = $2 OR $2 = split_part(r.region, '-', 1))
ORDER BY r.due_at, r.request_id LIMIT $3 OFFSET $4
"""


async def queue(connection: Connection, region: str, state: str | None, page: tuple[int, int]) -> Sequence[Any]:
    """The requests of a region (or of a whole country) in a state, or all that are open; oldest due first. `page`: how
    many, behind how many others.
    """
    found: Sequence[Any] = await connection.fetch(QUEUE, OPEN if state is None else [state], region, *page)
    return found
