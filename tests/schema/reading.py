"""What the reference executor's parts share: rows as objects, statements asked once, and one operation under way."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

from graphql import GraphQLObjectType, GraphQLResolveInfo, get_named_type
from graphql.pyutils import Path
from sqlalchemy import Column, Select, select
from sqlalchemy.dialects.postgresql import asyncpg

from cdp.auth import Caller
from cdp.house import House
from privacy.policy import Verdict
from schema.fields import RECORD, EmbeddedField, Record, Source

DIALECT = asyncpg.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # the dialect is not typed
Info: TypeAlias = GraphQLResolveInfo[Any]
Finding: TypeAlias = tuple[tuple[str, ...], str, str | None, str | None]
"""(path, code, kind, notice)"""


class Refused(Exception):
    """The operation is refused with a code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Side:
    """A customer in one store, read in a jurisdiction.

    `held` is the row of the index by which they, or one they were merged with, were found; `came_by` the holding by
    which they, or an id, were, and `holder` whose that is.
    """

    store: str
    customer_id: UUID
    destination: str
    held: tuple[Any, ...] | None = None
    came_by: UUID | None = None
    holder: UUID | None = None


@dataclass(frozen=True, slots=True)
class Thing:
    """A row as an object: its type, whose it is, its primary key.

    Only a customer's own row has several sides; `unreached` counts the stores the customer is in that may not be asked.
    """

    of: str
    sides: tuple[Side, ...]
    record: Record
    key: tuple[Any, ...]
    unreached: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a connection: its rows, each with what its cursor says; it begins and ends with the first and last of
    `ends`, be that row withheld or not.
    """

    things: Sequence[tuple[Thing, Sequence[Any]]]
    ends: Sequence[Sequence[Any]]
    more: bool
    continued: bool
    place: str


@dataclass(slots=True)
class Request:
    """One operation under way, and what did not leave."""

    caller: Caller
    purpose: str
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    withheld: Counter[Finding] = field(default_factory=Counter)
    masked: Counter[tuple[tuple[str, ...], str]] = field(default_factory=Counter)

    def withhold(self, path: tuple[str, ...], verdict: Verdict) -> None:
        assert verdict.code is not None
        self.withheld[path, verdict.code.value, verdict.kind, verdict.notice] += 1


@dataclass(frozen=True, slots=True)
class Slice:
    """Some columns of a row as an object of its own, to be masked in a style."""

    thing: Thing
    declaration: EmbeddedField
    style: str | None


@dataclass(frozen=True, slots=True)
class Edge:
    """A row of a page with its cursor."""

    node: Thing
    cursor: str


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a row under way: where it is in the schema and in the answer, and for whom."""

    info: Info
    arguments: Mapping[str, Any]

    @property
    def request(self) -> Request:
        found: Request = self.info.context
        return found

    @property
    def path(self) -> tuple[str, ...]:
        return path_of(self.info.path)

    @property
    def of(self) -> GraphQLObjectType:
        """The type of its rows: of the nodes, where it is a connection."""
        found = get_named_type(self.info.return_type)
        while isinstance(found, GraphQLObjectType) and not hasattr(_origin(found), RECORD):
            found = get_named_type(found.fields["edges" if "edges" in found.fields else "node"].type)
        assert isinstance(found, GraphQLObjectType)
        return found


class Memory:
    """The stores, each statement asked once."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._known: dict[Any, list[tuple[Any, ...]]] = {}

    async def rows(self, store: str, key: tuple[Any, ...], make: Callable[[], Select[Any]]) -> list[tuple[Any, ...]]:
        """The rows of a statement; `key` says which one it is."""
        if (store, key) not in self._known:
            compiled: Any = make().compile(dialect=DIALECT)
            values = [compiled.params[name] for name in compiled.positiontup or ()]
            async with self.house.stores[store].read() as connection:
                self._known[store, key] = [tuple(row) for row in await connection.fetch(str(compiled), *values)]
        return self._known[store, key]

    async def value(self, thing: Thing, source: Source) -> Any:
        """One column of one row."""
        table = thing.record.table

        def make() -> Select[Any]:
            mine = [column == value for column, value in zip(table.primary_key, thing.key, strict=True)]
            return select(source if isinstance(source, Column) else source(table)).where(*mine)

        # A declaration lives as long as the process, so its identity names it.
        [[found]] = await self.rows(thing.sides[0].store, ("value", table.name, thing.key, id(source)), make)
        return found


def record_of(of: GraphQLObjectType) -> Record:
    """The rows a type stands for, as declared."""
    found: Record = getattr(of.extensions["strawberry-definition"].origin, RECORD)
    return found


def path_of(path: Path) -> tuple[str, ...]:
    """Response keys, `*` for a place in a list."""
    return tuple("*" if isinstance(key, int) else key for key in path.as_list())


def as_text(value: object) -> object:
    """Instants, days and decimals as they are written in JSON."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else value


def _origin(of: GraphQLObjectType) -> type:
    found: type = of.extensions["strawberry-definition"].origin
    return found
