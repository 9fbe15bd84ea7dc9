"""How the keys of a request find customers: one way per kind of key, all taking arrays of keys."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    LargeBinary,
    Select,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    cast,
    column,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import array

from cdp.global_ids import NOBODY
from cdp.identity.reads import holding_lasts, holding_of, link_stands
from cdp.identity.tables import customer, identifier_index, link_index
from cdp.statement import KeyKind, Way
from privacy.vocabulary import CustomerState


class Root(Protocol):
    """What a finder needs to know of a root: its number, its customer, its rows and what names one of them."""

    number: int
    owner: FromClause
    main: FromClause
    row_key: str


NO_HOLDING: ColumnElement[Any] = cast(null(), Uuid())


@dataclass(frozen=True, slots=True)
class Found:
    """Where a root's rows come from, which key each is for (NULL: all), and how a page of them is cut."""

    rows: FromClause
    key_no: ColumnElement[Any]
    page: Callable[[Select[Any]], Select[Any]]
    came_by: ColumnElement[Any] = NO_HOLDING
    """The holding by whose number they were found; of a page that is narrowed the customer, where they fit."""
    held: FromClause | None = None
    """That holding's row in the index, where this very request named the number."""


def _all(rows: Select[Any]) -> Select[Any]:
    return rows


def _keys(number: int, **types: Any) -> Any:
    """The keys of a request as rows (one column each, and `key_no`)."""
    arrays = [bindparam(f"r{number}_{name}", type_=ARRAY(kind)) for name, kind in types.items()]
    columns = [column(name, kind) for name, kind in types.items()]
    keys = func.unnest(*arrays).table_valued(*columns, with_ordinality="key_no", joins_implicitly=True)
    return keys.render_derived(name=f"k{number}")


def _by_number(root: Root) -> Found:
    keys, held = _held(root.number)
    came_by = case((root.owner.c.customer_id == held.c.customer_id, held.c.holding_id))
    rows = _everyone(root, keys.join(held, true()), held.c.customer_id)
    return Found(rows, keys.c.key_no, _all, came_by, held)


def _by_holder(root: Root) -> Found:
    """Of whoever holds a number the one record that does."""
    keys, held = _held(root.number)
    rows = keys.join(held, true()).join(root.owner, root.owner.c.customer_id == held.c.customer_id)
    return Found(rows, keys.c.key_no, _all, held.c.holding_id, held)


def _held(number: int) -> tuple[Any, FromClause]:
    """The keys of a request for numbers, and the holding each finds."""
    keys = _keys(number, key=LargeBinary(), as_of=DateTime(timezone=True))
    roles = [bindparam(f"r{number}_{name}", type_=Text()) for name in ("role", "stand_in")]
    return keys, holding_of(keys.c.key, roles, keys.c.as_of).correlate(keys).lateral(f"n{number}")


def _by_identifier(root: Root) -> Found:
    number = root.number
    keys = _keys(number, key=LargeBinary(), kind=Text())
    named = identifier_index.alias(f"n{number}")
    rows = keys.join(named, (named.c.identifier_tag == keys.c.key) & (named.c.kind == keys.c.kind))
    return Found(_everyone(root, rows, named.c.customer_id), keys.c.key_no, _all)


def _by_customer(root: Root) -> Found:
    keys = _keys(root.number, key=Uuid(), held=Uuid())
    came_by = case((root.owner.c.customer_id == keys.c.key, keys.c.held))
    rows = _everyone(root, keys, keys.c.key, holding_lasts(keys.c.key, keys.c.held))
    return Found(rows, keys.c.key_no, _all, came_by)


def _by_link(root: Root) -> Found:
    number = root.number
    keys = _keys(number, key=LargeBinary())
    linked = link_index.alias(f"n{number}")
    standing = link_stands(linked.c.customer_id, linked.c.token)
    rows = keys.join(linked, (linked.c.token == keys.c.key) & standing)
    return Found(_everyone(root, rows, linked.c.customer_id), keys.c.key_no, _all)


def _by_row(root: Root) -> Found:
    number, owner, main = root.number, root.owner, root.main
    keys = _keys(number, key=Uuid(), row=Uuid(), held=Uuid())
    rows = keys.join(owner, (owner.c.customer_id == keys.c.key) & holding_lasts(keys.c.key, keys.c.held))
    mine = (main.c.customer_id == keys.c.key) & (main.c[root.row_key] == keys.c.row)
    return Found(rows.join(main, mine), keys.c.key_no, _all, keys.c.held)


def _by_region(root: Root, way: Way) -> Found:
    """A page lists each person once, by the first of their records that is of the region; their others come behind.

    Whom it is narrowed to is only marked here: those of whom that may not be read must not be missing, nor counted.
    """
    number = root.number
    listed, earlier = customer.alias(f"l{number}"), customer.alias(f"e{number}")
    after = bindparam(f"r{number}_after", type_=Uuid())
    listed_already = exists().where(
        earlier.c.customer_id == any_(listed.c.cluster),
        earlier.c.customer_id < listed.c.customer_id,
        earlier.c.region == listed.c.region,
        earlier.c.state != CustomerState.ERASED.value,
    )
    wanted = [
        listed.c.region == bindparam(f"r{number}_region", type_=Text()),
        # Written as one comparison, so that a later page begins in the index where the one before it ended.
        listed.c.customer_id > func.coalesce(after, NOBODY),
        listed.c.state != CustomerState.ERASED.value,
        or_(listed.c.cluster.is_(None), ~listed_already),
    ]
    fits = [listed.c[name] == bindparam(f"r{number}_{name}", type_=Text()) for name in way.narrowed]
    most = literal_column(str(way.rows), Integer())
    marked = [and_(*fits).label("fits")] if fits else []
    page = select(listed.c.customer_id, listed.c.cluster, *marked).where(*wanted)
    head = page.order_by(listed.c.customer_id).limit(most).subquery(f"h{number}")
    owner = root.owner.c.customer_id

    def in_order(rows: Select[Any]) -> Select[Any]:
        return rows.order_by(head.c.customer_id, owner != head.c.customer_id, owner)

    rows = head.join(root.owner, _is_one_of(root.owner, head))
    came_by = case((head.c.fits, head.c.customer_id)) if fits else NO_HOLDING
    return Found(rows, cast(null(), BigInteger()), in_order, came_by)


def _everyone(root: Root, rows: FromClause, customer_id: ColumnElement[Any], *also: ColumnElement[bool]) -> FromClause:
    """The customer with this id, and all they were merged with."""
    head = customer.alias(f"h{root.number}")
    found = and_(head.c.customer_id == customer_id, head.c.state != CustomerState.ERASED.value, *also)
    return rows.join(head, found).join(root.owner, _is_one_of(root.owner, head))


def _is_one_of(owner: FromClause, head: FromClause) -> ColumnElement[bool]:
    return owner.c.customer_id == any_(func.coalesce(head.c.cluster, array([head.c.customer_id])))


FINDERS: dict[KeyKind, Callable[[Root], Found]] = {
    KeyKind.NUMBER: _by_number,
    KeyKind.HOLDER: _by_holder,
    KeyKind.IDENTIFIER: _by_identifier,
    KeyKind.CUSTOMER: _by_customer,
    KeyKind.LINK: _by_link,
    KeyKind.ROW: _by_row,
}


def find(root: Root, way: Way) -> Found:
    """Where the rows of a root come from; a page is narrowed only by what was given, so that its index serves it."""
    return _by_region(root, way) if way.kind is KeyKind.REGION else FINDERS[way.kind](root)
