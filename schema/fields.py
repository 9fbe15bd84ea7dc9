"""One declaration per field: its words, its SQL, who may see it and what it costs.

A type of the schema is a strawberry type decorated with `record` (rows of a table) or `part` (some columns of its
parent's row). Its fields are declared with `column`, `embedded`, `one`, `many`, `listing` or `connection`, and each
carries its governance: `personal(category)` for data about a person, `plain(reason)` for everything else. None of
them has a resolver: the planner in `schema.plan` reads the declarations and builds statements from them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import strawberry
from sqlalchemy import Column, ColumnElement, FromClause, Table
from strawberry.annotation import StrawberryAnnotation
from strawberry.schema_directive import Location
from strawberry.types.arguments import StrawberryArgument

from privacy.seal import SealedColumn
from privacy.vocabulary import CATEGORIES, RetentionClass

Key: TypeAlias = ColumnElement[Any]
Expression: TypeAlias = Callable[[FromClause], ColumnElement[Any]]
Source: TypeAlias = Column[Any] | Expression
Render: TypeAlias = Callable[..., Any] | None
Ends: TypeAlias = Column[Any] | None
Join: TypeAlias = Callable[[FromClause, FromClause, Key], ColumnElement[bool]]
"""(child, parent, customer key) -> the condition that joins them; the customer key is added by the planner."""

SERVICE = ("service", "legal")
"""What data kept for serving a customer may be read for; a parent stands for all its children."""
CONTACT = (*SERVICE, "marketing", "partner")
"""As SERVICE, and for reaching the customer with offers."""
PROFILE = (*SERVICE, "insight", "partner")
"""As SERVICE, and for learning from it."""


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION], description="Data about a person: read only with a permit."
)
class Personal:
    category: str = strawberry.directive_field(name="category")
    purposes: list[str] = strawberry.directive_field(name="purposes")
    retention: str = strawberry.directive_field(name="class")
    search: str | None = strawberry.directive_field(name="search", default=strawberry.UNSET)


@strawberry.schema_directive(locations=[Location.FIELD_DEFINITION], description="Says nothing about a person, and why.")
class Plain:
    reason: str = strawberry.directive_field(name="reason")


@dataclass(frozen=True, slots=True)
class Governance:
    """Who may see a field: `category` is None where the field says nothing about a person, and `reason` says why."""

    category: str | None
    purposes: tuple[str, ...]
    reason: str = ""
    search: str | None = None
    """How customers can be found by it: EXACT by a tag of the whole value, None not at all."""


def personal(category: str, *, purposes: tuple[str, ...] = SERVICE, search: str | None = None) -> Governance:
    """Data about a person; `purposes` are those the field declares (or their parents)."""
    if category not in CATEGORIES:
        raise ValueError(f"{category!r} is not a data category")
    return Governance(category, purposes, search=search)


def retention_of(declaration: "Declaration", category: str) -> RetentionClass:
    """How long a field's data is kept: as its column is sealed, else by the family of its category."""
    source = declaration.sources[0] if isinstance(declaration, ColumnField) else None
    sealed: SealedColumn | None = source.info.get("sealed") if isinstance(source, Column) else None
    return sealed.retention if sealed else RETENTION.get(category.partition(".")[0], RetentionClass.SERVICE)


def plain(reason: str) -> Governance:
    """A field that says nothing about a person by itself."""
    return Governance(None, (), reason)


@dataclass(frozen=True, slots=True)
class ColumnField:
    """A scalar made of columns of the row. `render` turns their values into the JSON value; None keeps a single value
    as it is. Once a row has a value in `ends`, it is for SERVICE alone, and no partner's.
    """

    governance: Governance
    sources: tuple[Source, ...]
    render: Render = None
    ends: Ends = None


@dataclass(frozen=True, slots=True)
class TokenField:
    """The sealed global id of the row."""

    governance: Governance


@dataclass(frozen=True, slots=True)
class EmbeddedField:
    """An object made of columns of the parent's row; null where the first column of `present` is null."""

    governance: Governance
    present: Source
    fields: Mapping[str, ColumnField]


@dataclass(frozen=True, slots=True)
class OneField:
    """The one row of another table that belongs to this one."""

    governance: Governance
    on: Join


@dataclass(frozen=True, slots=True)
class Order:
    column: Column[Any]
    descending: bool


@dataclass(frozen=True, slots=True)
class ManyField:
    """Rows of another table that belong to this one: a plain list with `first`, or a connection."""

    governance: Governance
    order: tuple[Order, ...]
    on: Join | None = None
    default_first: int = 10
    max_first: int = 50
    connection: bool = False


@dataclass(frozen=True, slots=True)
class ListingField:
    """The distinct values of one column of another table, sorted."""

    governance: Governance
    column: Column[Any]


@dataclass(frozen=True, slots=True)
class AnswerField:
    """One value about the customer whom the arguments of a root name; the planner knows it by its name."""

    governance: Governance


Filled: TypeAlias = ColumnField | TokenField | EmbeddedField | OneField | ManyField | ListingField
Declaration: TypeAlias = Filled | AnswerField


@dataclass(frozen=True, slots=True)
class Record:
    """Rows of a table as a type: `key` names the row; `owned` is False for reference rows, which belong to no
    customer.
    """

    table: Table
    key: Column[Any]
    owned: bool = True


REQUIRED, RECORD = object(), "__cdp_record__"
RETENTION: dict[str, RetentionClass] = {
    "identity": RetentionClass.IDENTITY,
    "contact": RetentionClass.IDENTITY,
    "number": RetentionClass.IDENTITY,
    "usage": RetentionClass.USAGE,
    "insight": RetentionClass.CONSENTED,
}
"""Retention class of a family of categories; every other is kept with the service."""


def record(table: Table, key: Column[Any], *, owned: bool = True) -> Callable[[type], type]:
    """Declare a type whose objects are rows of `table`; the class docstring is its description."""

    def declare(cls: type) -> type:
        made = strawberry.type(cls, description=cls.__doc__)
        setattr(made, RECORD, Record(table, key, owned))
        return made

    return declare


def part(cls: type) -> type:
    """Declare a type made of columns of its parent's row; the class docstring is its description."""
    return strawberry.type(cls, description=cls.__doc__)


def declared(declaration: Declaration, description: str) -> Any:
    """A field filled as declared; the functions below declare the usual kinds."""
    governance = declaration.governance
    directive: object = (
        Personal(
            category=governance.category,
            purposes=list(governance.purposes),
            retention=retention_of(declaration, governance.category).value,
            search=governance.search or strawberry.UNSET,
        )
        if governance.category
        else Plain(reason=governance.reason)
    )
    return strawberry.field(description=description, directives=[directive], metadata={"cdp": declaration})


def argument(name: str, annotation: object, description: str, default: object = REQUIRED) -> StrawberryArgument:
    """An argument of a field; without a default it must be given."""
    options: dict[str, Any] = {} if default is REQUIRED else {"default": default}
    return StrawberryArgument(
        python_name=name,
        graphql_name=name,
        type_annotation=StrawberryAnnotation(annotation),
        description=description,
        **options,
    )


def word(description: str) -> Any:
    """A field of a `part`: governed where the part is embedded."""
    return strawberry.field(
        description=description, directives=[Plain(reason="part of a governed field")], metadata={"cdp": "part"}
    )


def column(source: Source, governance: Governance, description: str, render: Render = None, ends: Ends = None) -> Any:
    """A scalar of one column (or one expression over the row)."""
    return declared(ColumnField(governance, (source,), render, ends), description)


def token(description: str) -> Any:
    """The sealed global id of the row, bound to the reader's legal entity."""
    return declared(TokenField(plain("an opaque token that only its reader can use")), description)


def embedded(present: Source, fields: Mapping[str, ColumnField], governance: Governance, description: str) -> Any:
    """An object of a `part` type, null where `present` is null."""
    return declared(EmbeddedField(governance, present, fields), description)


def same(name: str, parent_name: str = "") -> Join:
    """Rows whose column of this name is the parent's; `parent_name` where the parent calls it otherwise."""
    return lambda child, parent, _: child.c[name] == parent.c[parent_name or name]


def one(on: Join, governance: Governance, description: str) -> Any:
    """The one row of another table joined by `on`."""
    return declared(OneField(governance, on), description)


def many(  # noqa: PLR0913 - a list has that many sides
    order: tuple[Order, ...],
    governance: Governance,
    description: str,
    *,
    on: Join | None = None,
    default_first: int = 10,
    max_first: int = 50,
) -> Any:
    """A bounded list, at most `first` rows in `order`."""
    field = declared(ManyField(governance, order, on, default_first, max_first), description)
    field.arguments = [_first(default_first, max_first)]
    return field


def connection(order: tuple[Order, ...], governance: Governance, description: str, *, max_first: int = 100) -> Any:
    """An unbounded list as a Relay connection with sealed keyset cursors; `order` must end in the row's key."""
    field = declared(ManyField(governance, order, None, 20, max_first, connection=True), description)
    after = argument("after", str | None, "The cursor of the last row already seen.", None)
    field.arguments = [_first(20, max_first), after]
    return field


def answer(governance: Governance, description: str, *arguments: StrawberryArgument) -> Any:
    """A root that is one value."""
    field = declared(AnswerField(governance), description)
    field.arguments = list(arguments)
    return field


def listing(values: Column[Any], governance: Governance, description: str) -> Any:
    """The distinct values of a column of the customer's rows, sorted."""
    return declared(ListingField(governance, values), description)


def _first(default: int, most: int) -> StrawberryArgument:
    return argument("first", int, f"How many at most, from 0 to {most}.", default)


def newest(of: Column[Any]) -> Order:
    """Descending by `of`."""
    return Order(of, descending=True)


def rising(of: Column[Any]) -> Order:
    """Ascending by `of`."""
    return Order(of, descending=False)
