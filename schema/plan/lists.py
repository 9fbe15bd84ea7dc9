"""Lists of an operation: their arguments, their order, their page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import IntValueNode
from graphql.execution.values import VariableValues
from sqlalchemy import ColumnElement, FromClause, Integer, Select, Text, bindparam, or_, tuple_

from cdp.cursors import after
from cdp.errors import RequestInvalid
from privacy.keys import TokenSeal
from schema.fields import Order
from schema.plan.arguments import Arguments

Rows = Callable[[Select[Any]], Select[Any]]


@dataclass(frozen=True, slots=True)
class ListArguments:
    """The arguments of one list of an operation and the names its values are bound to.

    `after` holds (name, Python type) for each order column of a connection; `place` names the list in its cursors.
    `inside` is the `first` of the list around this one, None at the root.
    """

    arguments: Arguments
    first: str
    limit: str
    most: int
    place: str
    after: tuple[tuple[str, type], ...]
    inside: str | None

    @property
    def fixed(self) -> bool:
        """Whether its page is the same for every request."""
        return self.arguments.fixed and not self.after

    @property
    def written_first(self) -> int | None:
        """How long the list may be where the document says so, None where a variable does."""
        for argument in self.arguments.node.arguments or ():
            if argument.name.value == "first":
                return int(argument.value.value) if isinstance(argument.value, IntValueNode) else None
        first: int = self.arguments.definition.args["first"].default_value
        return first

    def bind(self, variables: VariableValues, tokens: TokenSeal, client: str) -> dict[str, Any]:
        """The values of this list's parameters; PAGE_SIZE and CURSOR_INVALID for those out of bounds."""
        values = self.arguments.values(variables)
        first = values["first"]
        if first is None or not 0 <= first <= self.most:
            raise RequestInvalid("PAGE_SIZE", f"{self.place}(first): expected 0 to {self.most}")
        bound = {self.first: first, self.limit: first + 1 if self.after else first}
        if self.after:
            text = values.get("after")
            types = [kind for _, kind in self.after]
            seen: Sequence[Any] = (
                [None] * len(types) if text is None else after(tokens, self.place, client, text, types)
            )
            bound |= {name: value for (name, _), value in zip(self.after, seen, strict=True)}
        return bound


def paged(
    alias: FromClause,
    conditions: Sequence[ColumnElement[bool]],
    order: Sequence[Order],
    arguments: ListArguments,
) -> Rows:
    """What turns a select over a list's alias into its page: conditions, keyset, order and limit."""
    columns: list[Any] = [alias.c[by.column.name] for by in order]
    wanted = list(conditions)
    if arguments.after:
        seen = [bindparam(name, type_=by.column.type) for (name, _), by in zip(arguments.after, order, strict=True)]
        beyond = tuple_(*columns) < tuple_(*seen) if order[0].descending else tuple_(*columns) > tuple_(*seen)
        wanted.append(or_(seen[0].is_(None), beyond))
    sorting = [_sorted(column, by) for column, by in zip(columns, order, strict=True)]
    limit = bindparam(arguments.limit, type_=Integer())

    def page(rows: Select[Any]) -> Select[Any]:
        return rows.where(*wanted).order_by(*sorting).limit(limit)

    return page


def _sorted(column: Any, by: Order) -> ColumnElement[Any]:
    # Text goes by code points everywhere: lists of several stores are merged, and databases differ in their collation.
    ordered: ColumnElement[Any] = column.collate("C") if isinstance(by.column.type, Text) else column
    return ordered.desc() if by.descending else ordered.asc()


def keyset(order: Sequence[Order], name: Callable[[str], str]) -> tuple[tuple[str, type], ...]:
    """Parameter names and types for the last row seen; the order must go one way for one comparison to do."""
    assert len({by.descending for by in order}) == 1, "a connection is ordered in one direction"
    return tuple((name("after"), by.column.type.python_type) for by in order)


def cost(lists: Sequence[ListArguments], values: Mapping[str | None, int], bindings: Mapping[str, Any]) -> int:
    """How many values an operation may return at most: those of each list times the sizes of the lists around it."""
    around: dict[str | None, int] = {None: 1}
    for arguments in lists:  # outer lists come before those inside them
        around[arguments.first] = around[arguments.inside] * max(1, bindings[arguments.first])
    return sum(count * around[inside] for inside, count in values.items())
