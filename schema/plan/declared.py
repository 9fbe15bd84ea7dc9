"""Reading declarations back from the schema: what a type's rows are and how a field is filled."""

from typing import Any, cast

from graphql import GraphQLField, GraphQLInterfaceType, GraphQLObjectType, get_named_type
from sqlalchemy import Column, ColumnElement, FromClause
from sqlalchemy.types import TypeEngine

from schema.fields import RECORD, Filled, Order, Record, Source, rising


def declaration_of(of: GraphQLObjectType | GraphQLInterfaceType, name: str) -> Any:
    """The declaration of a field (a `Declaration`, or what a root field declares)."""
    return of.fields[name].extensions["strawberry-definition"].metadata.get("cdp")


def field_declaration(of: GraphQLObjectType, name: str) -> Filled:
    """The declaration of a field of an object that is filled from rows."""
    return cast("Filled", declaration_of(of, name))


def record_of(of: GraphQLObjectType) -> Record:
    """The rows a type stands for."""
    return cast("Record", getattr(of.extensions["strawberry-definition"].origin, RECORD))


def child_type(definition: GraphQLField) -> GraphQLObjectType:
    """The object type of a field, whatever lists and non-nulls are around it."""
    return cast("GraphQLObjectType", get_named_type(definition.type))


def node_type(connection: GraphQLObjectType) -> GraphQLObjectType:
    """The type of a connection's nodes."""
    return child_type(child_type(connection.fields["edges"]).fields["node"])


def expression(source: Source, alias: FromClause) -> ColumnElement[Any]:
    """A declared source over the rows of an alias."""
    return alias.c[source.name] if isinstance(source, Column) else source(alias)


def ordered(order: tuple[Order, ...], record: Record) -> tuple[Order, ...]:
    """The order of a list made total: ties are broken by the row's key."""
    return order if order[-1].column.name == record.key.name else (*order, rising(record.key))


def python_type(of: TypeEngine[Any]) -> type:
    """What the database gives for a column of this type; `object` where SQLAlchemy does not know."""
    try:
        return of.python_type
    except NotImplementedError:
        return object
