"""How customers are found: by number as of an instant, and by the links between stores; how long a holding lasts; where
numbers are from.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Select, and_, false, func, or_, select

from cdp.identity.tables import link, number_holding, number_index
from cdp.identity.timeline import TENANTS
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


def holding_of(tag: ColumnElement[Any], roles: Sequence[ColumnElement[Any]], as_of: ColumnElement[Any]) -> Select[Any]:
    """A number's holding at an instant in one of these roles; its user's before its registered holder's."""
    held = select(number_index).where(number_index.c.number_tag == tag, number_index.c.role.in_(roles))
    # Backwards through the key of the table: USER is the last of the roles by name.
    return held.where(_covers(number_index, as_of)).order_by(*[key.desc() for key in number_index.primary_key]).limit(1)


def _covers(holding: FromClause, at: ColumnElement[Any]) -> ColumnElement[bool]:
    return and_(holding.c.valid_from <= at, or_(holding.c.valid_to.is_(None), holding.c.valid_to > at))


def said_for(held: FromClause, said: FromClause) -> ColumnElement[bool]:
    """Whether a word about a number alone (a row of `said`) was spoken for this holding (a row of `held`).

    Not the holding it was put down with counts, which may have been learnt of late, but the number and the instant: it
    was for this customer's holding as the user of the number then, else for whatever other holding was begun by then.
    """
    mine, user = number_index.alias("mine"), number_index.alias("spoke")
    of_number = select(mine.c.holding_id).where(
        mine.c.number_tag == held.c.number_tag, mine.c.customer_id == held.c.customer_id
    )
    as_user_of_another = select(user.c.holding_id).where(
        user.c.number_tag == held.c.number_tag,
        user.c.customer_id == held.c.customer_id,
        user.c.role == "USER",
        user.c.holding_id != held.c.holding_id,
        _covers(user, said.c.happened_at),
    )
    return and_(
        said.c.happened_at >= held.c.valid_from,
        said.c.holding_id.in_(of_number.correlate(held).scalar_subquery()),
        ~as_user_of_another.correlate(held, said).exists(),
    )


def holding_lasts(key: ColumnElement[Any], holding: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a customer's holding has no end yet; true where no holding is named."""
    wanted = (number_holding.c.customer_id == key, number_holding.c.holding_id == holding)
    # One value, and no EXISTS: for that the database may read the whole table first.
    return or_(holding.is_(None), select(number_holding.c.valid_to.is_(None)).where(*wanted).scalar_subquery())


def same_holder(
    tag: ColumnElement[Any], holder: ColumnElement[Any], since: ColumnElement[Any], until: ColumnElement[Any]
) -> ColumnElement[bool]:
    """Whether a customer held a number without a break between two instants, and nobody else was its user meanwhile."""
    held, asked = number_index.alias("held"), func.tstzrange(since, until, "[]")
    span, mine = func.tstzrange(held.c.valid_from, held.c.valid_to), held.c.customer_id == holder
    throughout = func.range_agg(span).filter(mine).bool_op("@>")(asked)
    others = func.bool_or(and_(~mine, held.c.role == "USER", span.bool_op("&&")(asked)))
    answer = and_(func.coalesce(throughout, false()), ~func.coalesce(others, false()))
    wanted = (held.c.number_tag == tag, held.c.role.in_(sorted(TENANTS)))
    return select(answer).where(*wanted).scalar_subquery()


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
