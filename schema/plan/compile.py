"""From the fields an operation asks for to the shape of its answer and the SQL that fills it, in one walk."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from graphql import FieldNode, GraphQLObjectType, SelectionSetNode
from sqlalchemy import Column, ColumnElement, FromClause, func, select

from cdp.gate import Spot
from cdp.shape import Connection, Embedded, Item, Listing, Many, Node, One, PageItem, Scalar, Token, Typename
from privacy.seal import CellType
from privacy.vocabulary import Withheld
from schema.fields import (
    SERVICE,
    ColumnField,
    EmbeddedField,
    Governance,
    Key,
    ListingField,
    ManyField,
    OneField,
    Record,
    TokenField,
)
from schema.plan.arguments import Arguments
from schema.plan.declared import child_type, expression, field_declaration, node_type, ordered, python_type, record_of
from schema.plan.lists import ListArguments, keyset, paged
from schema.plan.selection import Selecting
from schema.plan.statement import Level, RootSql, Scope

OPENED: Mapping[CellType, type] = {CellType.TEXT: str, CellType.INT64: int, CellType.DATE: date}
"""What a cell of a type holds; for others nothing is taken for granted."""

Sets = Sequence[SelectionSetNode | None]


@dataclass(frozen=True, slots=True)
class Here:
    """A place in the walk: the row being filled, where lists below it hang, its path, its list and its row's key."""

    scope: Scope
    level: Level
    path: tuple[str, ...]
    inside: str | None
    key: str


@dataclass(slots=True)
class Compiler:
    """Compiles one root of an operation; `declares` says whether a field's purposes include the operation's."""

    selecting: Selecting
    sql: RootSql
    declares: Callable[[tuple[str, ...]], bool]
    spots: list[Spot]
    lists: list[ListArguments] = field(default_factory=list)
    values: dict[str | None, int] = field(default_factory=dict)
    """How many values are asked for in each list (named by its `first`), for the cost."""

    def root(self, of: GraphQLObjectType, sets: Sets, path: tuple[str, ...], inside: str | None = None) -> Node:
        """The object at the root's own row."""
        return self.node(of, sets, Here(self.sql.head, Level(self.sql.main), path, inside, self.sql.row_key))

    def node(self, of: GraphQLObjectType, sets: Sets, at: Here) -> Node:
        """The object of a type at a place; its columns are added to the row there."""
        asked = self.selecting.fields(of, sets)
        self.values[at.inside] = self.values.get(at.inside, 0) + len(asked)
        return Node(tuple(self.item(of, key, nodes, at) for key, nodes in asked.items()))

    def item(  # noqa: PLR0911 - one for each kind of declaration
        self, of: GraphQLObjectType, key: str, nodes: list[FieldNode], at: Here
    ) -> Item:
        name = nodes[0].name.value
        if name == "__typename":
            return Typename(key, of.name)
        declaration = field_declaration(of, name)
        match declaration:
            case TokenField():
                return Token(key, of.name, at.scope.add(at.scope.alias.c[at.key]))
            case ColumnField():
                scalar = self.scalar(key, declaration, self.spot((*at.path, key), declaration.governance), at)
                return replace(scalar, text=child_type(of.fields[name]).name == "String")
            case ListingField():
                return self.listing(key, declaration, at)
            case EmbeddedField():
                return self.embedded(of, key, nodes, declaration, at)
            case OneField():
                return self.one(of, key, nodes, declaration, at)
            case ManyField():
                return self.many(of, key, nodes, declaration, at)

    def spot(self, path: tuple[str, ...], governance: Governance) -> Spot:
        """The governed place at a path, refused already where the field does not declare the operation's purpose."""
        if governance.category is None:
            return Spot(path, None, -1)
        refused = None if self.declares(governance.purposes) else Withheld.PURPOSE_NOT_DECLARED
        spot = Spot(path, governance.category, len(self.spots), refused)
        self.spots.append(spot)
        return spot

    def scalar(self, key: str, declaration: ColumnField, spot: Spot, at: Here, *, inner: bool = False) -> Scalar:
        first = declaration.sources[0]
        sealed = first.info.get("sealed") if isinstance(first, Column) else None
        row_id = -1
        if sealed is not None:
            self.sql.retentions.add(sealed.retention)
            row_id = at.scope.add(at.scope.alias.c[at.key])
        columns = [expression(source, at.scope.alias) for source in declaration.sources]
        indexes = tuple(at.scope.add(column) for column in columns)
        kind = python_type(columns[0].type) if sealed is None else OPENED.get(sealed.cell_type, object)
        scalar = Scalar(key, spot, indexes, declaration.render, sealed, row_id, inner, text=True, kind=kind)
        return ending(scalar, declaration, at, offers=not self.declares(SERVICE))

    def listing(self, key: str, declaration: ListingField, at: Here) -> Listing:
        column = declaration.column
        values = select(func.row(column)).where(column.table.c.customer_id == self.sql.key)
        array = self.sql.add_array(at.level.array(values, self.sql.name("l")))
        return Listing(key, self.spot((*at.path, key), declaration.governance), array)

    def embedded(
        self, of: GraphQLObjectType, key: str, nodes: list[FieldNode], declaration: EmbeddedField, at: Here
    ) -> Embedded:
        inner = child_type(of.fields[nodes[0].name.value])
        spot = self.spot((*at.path, key), declaration.governance)
        items: list[Item] = []
        for child, asked in self.selecting.fields(inner, selections(nodes)).items():
            name = asked[0].name.value
            if name == "__typename":
                items.append(Typename(child, inner.name))
            else:
                items.append(self.scalar(child, declaration.fields[name], spot, at, inner=True))
        present = at.scope.add(expression(declaration.present, at.scope.alias))
        return Embedded(key, spot, present, Node(tuple(items)))

    def one(self, of: GraphQLObjectType, key: str, nodes: list[FieldNode], declaration: OneField, at: Here) -> One:
        inner = child_type(of.fields[nodes[0].name.value])
        record = record_of(inner)
        spot = self.spot((*at.path, key), declaration.governance)
        alias = record.table.alias(self.sql.name("o"))
        scope = Scope(alias)
        scope.add(alias.c[record.key.name])
        under = select(alias).where(*joined(record, alias, declaration.on, at.level.alias, self.sql.key)).limit(1)
        below = at.level.below(under, self.sql.name("b"))
        node = self.node(inner, selections(nodes), Here(scope, below, spot.path, at.inside, record.key.name))
        beside = joined(record, alias, declaration.on, at.scope.alias, self.sql.key)
        row = select(func.row(*scope.columns)).where(*beside).limit(1).correlate(at.scope.alias)
        return One(key, spot, at.scope.add(row.scalar_subquery()), node)

    def many(
        self, of: GraphQLObjectType, key: str, nodes: list[FieldNode], declaration: ManyField, at: Here
    ) -> Many | Connection:
        name = nodes[0].name.value
        wrapper = child_type(of.fields[name])
        inner = node_type(wrapper) if declaration.connection else wrapper
        record = record_of(inner)
        spot = self.spot((*at.path, key), declaration.governance)
        order = ordered(declaration.order, record)
        after = keyset(order, self.sql.name) if declaration.connection else ()
        first, limit = self.sql.name("first"), self.sql.name("limit")
        asked = Arguments.of(of.fields[name], nodes[0])
        arguments = ListArguments(asked, first, limit, declaration.max_first, f"{of.name}.{name}", after, at.inside)
        self.lists.append(arguments)
        alias = record.table.alias(self.sql.name("t"))
        page = paged(alias, joined(record, alias, declaration.on, at.level.alias, self.sql.key), order, arguments)
        scope, parent = Scope(alias), None
        if at.level.source is not None:
            scope.add(at.level.alias.c[at.key].label("parent"))
            parent = at.scope.add(at.scope.alias.c[at.key])
        sort = tuple((scope.add(alias.c[by.column.name]), by.descending) for by in order)
        below = at.level.below(page(select(alias)), self.sql.name("b"))
        here = Here(scope, below, (*spot.path, "*"), first, record.key.name)
        items: tuple[PageItem, ...] = ()
        node = Node(())
        if declaration.connection:
            items = self.page(wrapper, inner, nodes, Here(scope, below, spot.path, first, record.key.name))
        else:
            node = self.node(inner, selections(nodes), here)
        array = self.sql.add_array(at.level.array(page(select(scope.row())), self.sql.name("l")))
        many = Many(key, spot, array, parent, first, sort, node)
        return Connection(many, arguments.place, after[0][0], items, wrapper.name) if declaration.connection else many

    def page(
        self, wrapper: GraphQLObjectType, inner: GraphQLObjectType, nodes: list[FieldNode], at: Here
    ) -> tuple[PageItem, ...]:
        """What is asked of a connection: edges with their nodes and cursors, and the page's own facts."""
        made = []
        for key, asked in self.selecting.fields(wrapper, selections(nodes)).items():
            name = asked[0].name.value
            of = None if name == "__typename" else child_type(wrapper.fields[name])
            items: list[tuple[str, str, Node | None]] = []
            for child, below in (self.selecting.fields(of, selections(asked)) if of else {}).items():
                field_name, node = below[0].name.value, None
                if field_name == "node":
                    path = (*at.path, key, "*", child)
                    node = self.node(inner, selections(below), Here(at.scope, at.level, path, at.inside, at.key))
                items.append((child, field_name, node))
            made.append(PageItem(key, name, tuple(items)))
        return tuple(made)


def ending(scalar: Scalar, declaration: ColumnField, at: Here, *, offers: bool) -> Scalar:
    """The scalar, which ends where that is declared; `offers` says whether it is asked for more than the service."""
    if declaration.ends is None:
        return scalar
    return replace(scalar, ended=at.scope.add(expression(declaration.ends, at.scope.alias)), offers=offers)


def joined(record: Record, child: FromClause, on: Any, parent: FromClause, key: Key) -> list[ColumnElement[bool]]:
    """The conditions that tie a child row to its customer (by `key`) and to its parent."""
    conditions = [child.c.customer_id == key] if record.owned else []
    return conditions if on is None else [*conditions, on(child, parent, key)]


def selections(nodes: Sequence[FieldNode]) -> Sets:
    """The selection sets merged under one response key."""
    return [node.selection_set for node in nodes]
