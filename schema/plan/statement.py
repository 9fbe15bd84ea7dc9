"""From what a plan needs to one statement: rows as typed tuples, lists as arrays of tuples, the facts of consent
beside them.

A statement returns one row per customer found (see `cdp.statement` for its columns). Several roots of one operation
are joined by UNION ALL. Keys arrive as arrays, so that one execution can answer many requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    LargeBinary,
    Select,
    Uuid,
    case,
    func,
    literal_column,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BindParameter

from cdp.consent.reads import Alone, consent_rows, objection_rows, other_rows, policy_version_now
from cdp.consent.tables import consent_event
from cdp.identity.reads import link_rows, said_for
from cdp.identity.tables import customer
from cdp.statement import HEAD, Statement, Way, data_key_rows
from privacy.vocabulary import CustomerState, RetentionClass
from schema.fields import Record
from schema.plan.finders import find

DIALECT = asyncpg.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # the dialect is not typed
NO_ROWS: ColumnElement[Any] = literal_column("NULL::record[]")


@dataclass(slots=True)
class Scope:
    """One row under construction: the alias its columns come from and what was selected so far."""

    alias: FromClause
    offset: int = 0
    columns: list[ColumnElement[Any]] = field(default_factory=list)
    indexes: dict[str, int] = field(default_factory=dict)

    def add(self, expression: ColumnElement[Any]) -> int:
        """The index of an expression in the row; equal expressions share one."""
        name = str(expression.compile(dialect=DIALECT))
        if name not in self.indexes:
            self.indexes[name] = self.offset + len(self.columns)
            self.columns.append(expression)
        return self.indexes[name]

    def row(self) -> ColumnElement[Any]:
        return func.row(*self.columns).label("made")


@dataclass(frozen=True, slots=True)
class Level:
    """Where a list hangs: the rows of `alias`, reached through `source`, or the root's own row where `source` is
    None.
    """

    alias: FromClause
    source: FromClause | None = None

    def below(self, rows: Select[Any], name: str) -> "Level":
        """One level deeper: for each row here, the rows of a dependent select."""
        lateral = self.dependent(rows).lateral(name)
        return Level(lateral, lateral if self.source is None else self.source.join(lateral, true()))

    def array(self, rows: Select[Any], name: str) -> ColumnElement[Any]:
        """The rows (`made`) of a dependent select, for all rows here, as one array."""
        if self.source is None:
            return func.array(self.dependent(rows).scalar_subquery())
        lateral = self.dependent(rows).lateral(name)
        every = select(lateral.c.made).select_from(self.source.join(lateral, true()))
        return func.array(every.scalar_subquery())

    def dependent(self, rows: Select[Any]) -> Select[Any]:
        """The select, free to use this level's row."""
        return rows.correlate(self.alias)


@dataclass(slots=True)
class RootSql:
    """The SQL of one root of an operation: its head and lists. `main` is the alias of the root's rows, `owner` their
    customer.
    """

    number: int
    purposes: Sequence[str]
    owner: FromClause
    main: FromClause
    row_key: str
    head: Scope
    arrays: list[ColumnElement[Any]] = field(default_factory=list)
    retentions: set[RetentionClass] = field(default_factory=lambda: {RetentionClass.IDENTITY})
    names: int = 0

    @classmethod
    def of(cls, number: int, purposes: Sequence[str], record: Record) -> "RootSql":
        """An empty root whose rows are this record's."""
        owner = customer.alias(f"c{number}")
        main = owner if record.table is customer else record.table.alias(f"m{number}")
        return cls(number, purposes, owner, main, record.key.name, Scope(main, HEAD))

    @property
    def key(self) -> ColumnElement[Any]:
        """The one place that says how the customer key is bound: here, correlated to the customer that was found.

        A database spread over machines needs it as a parameter in every FROM item instead.
        """
        return literal_column(f"c{self.number}.customer_id", Uuid())

    @property
    def tag(self) -> ColumnElement[Any]:
        """The tag of the number by which a customer is found."""
        return literal_column(f"k{self.number}.key", LargeBinary())

    @property
    def as_of(self) -> ColumnElement[Any]:
        """The instant as of which a number's holder is found."""
        return literal_column(f"k{self.number}.as_of", DateTime(timezone=True))

    def name(self, prefix: str) -> str:
        """A name that no other alias or parameter of the operation has."""
        self.names += 1
        return f"{prefix}{self.number}_{self.names}"

    def add_array(self, array: ColumnElement[Any]) -> int:
        """The index of a list among the lists of a part."""
        self.arrays.append(array)
        return len(self.arrays) - 1

    def select(self, way: Way, width: int) -> Select[Any]:
        """This root's rows, found in one way, with `width` lists."""
        found = find(self, way)
        alone = None if found.held is None else Alone(found.held, said_for(found.held, consent_event))
        facts = (
            self.owner.c.customer_id,
            self.owner.c.state,
            # Only a minor's age decides anything; everyone else's birth date stays where it is.
            case((self.owner.c.is_minor, self.owner.c.birth_date)),
            policy_version_now(),
            found.came_by,
            # The leader alone: of an array inside a row the driver would not know the type.
            self.owner.c.cluster[1],
            self.owner.c.cluster_since,
            other_rows(self.owner, customer.alias(f"o{self.number}"), self.purposes, alone),
        )
        rows = select(
            literal_column(str(self.number), Integer()).label("root"),
            found.key_no.label("key_no"),
            func.row(*facts, *self.head.columns).label("head"),
            func.array(consent_rows(self.key, self.purposes, alone).scalar_subquery()).label("consents"),
            func.array(objection_rows(self.key).scalar_subquery()).label("objections"),
            func.array(data_key_rows(self.key, sorted(self.retentions)).scalar_subquery()).label("data_keys"),
            func.array(link_rows(self.key).scalar_subquery()).label("links"),
            *(
                array.label(f"list{i}")
                for i, array in enumerate([*self.arrays, *[NO_ROWS] * (width - len(self.arrays))])
            ),
        ).select_from(found.rows)
        # An erased customer is not found, by whatever key.
        return found.page(rows.where(self.owner.c.state != CustomerState.ERASED.value))


def statement_of(roots: Sequence[tuple[RootSql, Way]]) -> Statement:
    """The statement that answers these roots, each in its way."""
    width = max(len(root.arrays) for root, _ in roots)
    selects = [root.select(way, width) for root, way in roots]
    every = selects[0] if len(selects) == 1 else union_all(*selects)
    visitors.traverse(every, {}, {"bindparam": _write_out})
    compiled = every.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
    assert isinstance(compiled, SQLCompiler)
    keys = {name for name, bound in compiled.binds.items() if isinstance(bound.type, ARRAY)}
    return Statement.of(str(compiled), compiled.positiontup or (), keys)


def _write_out(bound: BindParameter[Any]) -> None:
    """What is the same for every request stands in the text: of a parameter the database cannot know how rare it is."""
    bound.literal_execute = bound.value is not None
    bound.required = False  # the values of the others come with each request
