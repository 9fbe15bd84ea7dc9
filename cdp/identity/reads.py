"""How customers are found: by number as of an instant, and by the links between stores; and where numbers are from."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select

from cdp.identity.tables import link, number_index
from cdp.number_facts import Segment
from cdp.stores import Connection

LINK_ACTIVE = "ACTIVE"
LINKED_CUSTOMER = """
SELECT l.customer_id FROM link_index i JOIN link l ON l.customer_id = i.customer_id AND l.token = i.token
WHERE i.token = $1 AND l.state = $2
"""
# One step in the key of the table.
SEGMENT = """
SELECT region, city, issuer FROM
    (SELECT * FROM number_segment WHERE first_prefix <= $1 ORDER BY first_prefix DESC LIMIT 1) AS nearest
WHERE last_prefix >= $1
"""


def holder_of(tag: ColumnElement[Any], role: ColumnElement[Any], as_of: ColumnElement[Any]) -> Select[Any]:
    """The customer who held a number in a role at an instant; the latest holding where several are recorded."""
    held = (
        select(number_index.c.customer_id)
        .where(number_index.c.number_tag == tag, number_index.c.role == role, number_index.c.valid_from <= as_of)
        .where(or_(number_index.c.valid_to.is_(None), number_index.c.valid_to > as_of))
    )
    # Backwards through the key of the table.
    return held.order_by(number_index.c.valid_from.desc(), number_index.c.holding_id.desc()).limit(1)


def link_rows(key: ColumnElement[Any]) -> Select[Any]:
    """The links that stand: (token, other store, whether this side leads)."""
    return (
        select(func.row(link.c.token, link.c.other_store, link.c.leads))
        .where(link.c.customer_id == key, link.c.state == LINK_ACTIVE)
        .order_by(link.c.token)
    )


def link_stands(key: ColumnElement[Any], token: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a customer's side of a link stands; its token stays known when it does not."""
    wanted = (link.c.customer_id == key, link.c.token == token, link.c.state == LINK_ACTIVE)
    return select(link.c.token).where(*wanted).exists()


async def linked_customer(connection: Connection, token: bytes) -> UUID | None:
    """The customer of this store that a link is about, while it stands."""
    found: UUID | None = await connection.fetchval(LINKED_CUSTOMER, token, LINK_ACTIVE)
    return found


async def segment_of(connection: Connection, prefix: int) -> Segment | None:
    """Where the mainland mobiles of a prefix are from; None where that is not known."""
    found = await connection.fetchrow(SEGMENT, prefix)
    return None if found is None else Segment(*found)
