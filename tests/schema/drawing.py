"""Operations for comparing the planner with the reference: drawn by hypothesis-graphql, then dressed.

What is drawn has the right fields in the right places. Dressing puts the world's numbers, ids and cursors into its
arguments, and adds what is never drawn: aliases, named and inline fragments, variables with and without defaults,
`@skip` and `@include`, keys that merge, `__typename` - and now and then an argument that must be refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    get_named_type,
    is_interface_type,
)
from hypothesis import strategies as st
from hypothesis_graphql import nodes, queries

from tests.schema.knowing import Known
from tests.schema.people import NUMBERS

REGIONS = ("CN-GD", "CN-BJ", "HK", "CN")
PURPOSES = (
    *("service.care",) * 6,
    *("service.billing", "insight.profiling", "insight.profiling"),
    *("insight.churn", "marketing.sms", "partner.share", "legal.audit"),
)
PEOPLE = (*NUMBERS, *("many", "b-cn", "b-hk") * 5)
"""Whom questions are about: mostly those of whom there is much to tell."""
ROOTS = ("customer", "customers", "node", "numberFacts", "accountability", "me", "sameHolderSince")
OURS = {"customers", "accountability", "servingOperator"}
"""What partners may not ask."""
WAYS = (
    lambda number: number,
    lambda number: number.replace("+", "00"),
    lambda number: f"{number[:3]} {number[3:6]}-{number[6:]}",
    lambda number: f"({number})",
)
"""How a number may be written."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """An operation with its variables. `spoilt` is the code it must be refused with."""

    source: str
    variables: dict[str, Any]
    spoilt: str | None


def documents(schema: str) -> st.SearchStrategy[tuple[DocumentNode, int]]:
    """Documents as they are drawn, each with a seed for its dress."""
    any_region = st.sampled_from(REGIONS).map(nodes.String)
    never = st.just(nodes.String("2025-06-01T00:00:00Z"))
    day = st.just(nodes.String("2025-06-01"))
    scalars = {"Region": any_region, "DateTime": never, "Event": st.just(nodes.Null), "Date": day}
    drawn = queries(schema, fields=ROOTS, custom_scalars=scalars, print_ast=lambda document: document, allow_null=False)
    return st.tuples(drawn, st.integers(0, 2**64 - 1))


@dataclass(slots=True)
class Dresser:
    """Writes one drawn document anew. `partner` keeps to what partners may ask."""

    schema: GraphQLSchema
    known: Known
    random: Random
    partner: bool
    spoilt: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    heads: list[str] = field(default_factory=list)
    fragments: list[str] = field(default_factory=list)
    names: int = 0

    def dress(self, document: DocumentNode) -> Drawn:
        [operation] = document.definitions
        assert isinstance(operation, OperationDefinitionNode)
        assert self.schema.query_type is not None
        body = self.selections(self.schema.query_type, operation.selection_set.selections, 0)
        heads = f"({', '.join(self.heads)})" if self.heads else ""
        purpose = self.random.choice(PURPOSES)
        source = f'query Q{heads} @purpose(id: "{purpose}") {body}'
        return Drawn("\n".join([source, *self.fragments]), self.variables, self.spoilt)

    def name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}{self.names}"

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def selections(self, of: GraphQLNamedType, selections: Sequence[Any], depth: int) -> str:
        """A selection set, some of it behind fragments."""
        pieces = []
        for node in selections:
            if isinstance(node, InlineFragmentNode):
                assert node.type_condition is not None
                inner = self.schema.type_map[node.type_condition.name.value]
                below = self.selections(inner, node.selection_set.selections, depth)
                pieces.append(f"... on {inner.name} {self.switch()} {below}")
            elif not (self.partner and node.name.value in OURS):
                pieces += self.field(of, node, depth)
        if self.chance(0.2):
            pieces.append("__typename")
        return f"{{ {' '.join(self.grouped(of, pieces or ['__typename']))} }}"

    def grouped(self, of: GraphQLNamedType, pieces: list[str]) -> list[str]:
        """Some of the pieces moved into a fragment; what moved is now and then asked for twice, and merges."""
        if of is self.schema.query_type or not self.chance(0.25):
            return pieces
        moved = [piece for piece in pieces if self.chance(0.5)] or pieces[:1]
        kept = [piece for piece in pieces if piece not in moved or self.chance(0.2)]
        body = f"{{ {' '.join(moved)} }}"
        if self.chance(0.5):
            name = self.name("F")
            self.fragments.append(f"fragment {name} on {of.name} {body}")
            return [*kept, f"...{name} {self.switch()}"]
        interfaces = of.interfaces if isinstance(of, GraphQLObjectType) else ()
        if interfaces and self.chance(0.3):
            return [*pieces, f"... on {interfaces[0].name} {{ id }}"]
        return [*kept, f"... {self.random.choice(['', f'on {of.name}'])} {self.switch()} {body}"]

    def switch(self) -> str:
        """A directive, now and then."""
        if not self.chance(0.1):
            return ""
        truth = self.random.choice(("true", "false"))
        if self.chance(0.6):
            truth = self.variable("Boolean!", self.chance(0.5))
        return f"@{self.random.choice(('skip', 'include'))}(if: {truth})"

    def variable(self, kind: str, value: Any) -> str:
        """A variable of this value: given, or left to its default."""
        name = self.name("v")
        if self.chance(0.3):
            self.heads.append(f"${name}: {kind} = {_literal(value)}")
        else:
            self.heads.append(f"${name}: {kind}")
            self.variables[name] = value
        return f"${name}"

    def field(self, of: GraphQLNamedType, node: FieldNode, depth: int) -> list[str]:
        """A field, sometimes twice under different names."""
        assert isinstance(of, GraphQLObjectType) or is_interface_type(of)
        definition = of.fields[node.name.value]
        inner = get_named_type(definition.type)
        once = self.written(node, definition, inner, depth)
        if not self.chance(0.12):
            # A name drawn for a field that would not merge otherwise is kept.
            return [f"{node.alias.value}: {once}" if node.alias else once]
        return [once, f"{self.name('a')}: {self.written(node, definition, inner, depth)}"] if not node.alias else []

    def written(self, node: FieldNode, definition: GraphQLField, inner: GraphQLNamedType, depth: int) -> str:
        arguments = self.arguments(node, definition, depth)
        below = self.selections(inner, node.selection_set.selections, depth + 1) if node.selection_set else ""
        return f"{node.name.value}{arguments} {self.switch()} {below}"

    def arguments(self, node: FieldNode, definition: GraphQLField, depth: int) -> str:
        match node.name.value:
            case "customer":
                given = self.customer()
            case "node":
                given = {"id": ("ID!", self.id_for(node))}
            case "numberFacts" | "accountability" if definition.args:
                given = {"number": ("String!", self.number())}
            case "sameHolderSince":
                given = {"number": ("String!", self.number()), "date": ("Date!", self.day())}
            case _:
                given = self.paging(node.name.value, definition, depth)
        if node.name.value == "customers":
            given["where"] = ("CustomerFilter!", self.where())
        texts = [f"{name}: {self.argument(kind, value)}" for name, (kind, value) in given.items()]
        return f"({', '.join(texts)})" if texts else ""

    def argument(self, kind: str, value: Any) -> str:
        return self.variable(kind, value) if self.chance(0.25) else _literal(value)

    def id_for(self, node: FieldNode) -> str:
        """An id, mostly of a type that the selection has something to ask of."""
        below = node.selection_set.selections if node.selection_set else ()
        asked = [
            one.type_condition.name.value for one in below if isinstance(one, InlineFragmentNode) and one.type_condition
        ]
        of = self.random.choice(asked if asked and self.chance(0.85) else [*self.known.ids])
        return self.random.choice(self.known.ids[of])

    def number(self) -> str:
        if self.chance(0.03):
            self.spoilt = self.spoilt or "NUMBER_INVALID"
            return "12"
        number = "+8613999999999" if self.chance(0.03) else NUMBERS[self.random.choice(PEOPLE)]
        return str(self.random.choice(WAYS)(number))

    def day(self) -> str:
        if self.chance(0.03):
            self.spoilt = self.spoilt or "DAY_INVALID"
            return "9999-01-01"
        return f"2025-0{self.random.randint(1, 3)}-{self.random.randint(10, 28)}"

    def customer(self) -> dict[str, tuple[str, Any]]:
        way = self.random.random()
        if way < 0.7:
            given: dict[str, tuple[str, Any]] = {"number": ("String", self.number())}
            if self.chance(0.1) and not self.partner:
                given["asOf"] = ("DateTime", f"2025-0{self.random.randint(1, 9)}-15T00:00:00Z")
            if self.chance(0.1):
                given["role"] = (
                    "HoldingRole",
                    Word(self.random.choice(("USER", "REGISTERED_HOLDER", "PAYER", "ORG_ADMIN"))),
                )
            if self.chance(0.1):
                given["id"] = ("ID", None)
            return given
        if way < 0.85:
            return {"id": ("ID", self.random.choice([*self.known.ids["Customer"], *self.known.ids["Product"][:1]]))}
        who = self.random.choice(PEOPLE)
        kind, value = self.random.choice(
            (("CUSTOMER_KEY", who), ("ACCOUNT_NO", f"A-{who}"), ("EMAIL", f"{who}@example.cn"))
        )
        region = {"region": ("Region", self.random.choice(REGIONS))} if self.chance(0.3) else {}
        return {"identifier": ("IdentifierInput", {"kind": Word(kind), "value": value})} | region

    def where(self) -> dict[str, Any]:
        where: dict[str, Any] = {"region": self.random.choice(REGIONS)}
        if self.chance(0.2):
            where["kind"] = Word(self.random.choice(("INDIVIDUAL", "ORGANIZATION")))
        if self.chance(0.2):
            where["tier"] = self.random.choice(("HIGH", "MIDDLE", "LOW"))
        if self.chance(0.1):
            where["status"] = self.random.choice(("ACTIVE", "SUSPENDED"))
        return where

    def paging(self, name: str, definition: GraphQLField, depth: int) -> dict[str, tuple[str, Any]]:
        """`first` and `after` of a list; deeper ones are shorter, so that most operations stay within their cost."""
        given: dict[str, tuple[str, Any]] = {}
        if "first" in definition.args and (depth > 2 or self.chance(0.7)):
            most = 4 if depth > 2 else 12
            given["first"] = ("Int!", self.random.choice((0, *range(1, most), most, most)))
            if self.chance(0.01):
                given["first"] = ("Int!", self.random.choice((-1, 101, 10_000)))
                self.spoilt = self.spoilt or "PAGE_SIZE"
        if "after" in definition.args and self.chance(0.4):
            cursor = self.random.choice([*self.known.cursors[name], None])
            if self.chance(0.03):
                cursor = self.random.choice(self.known.cursors["usage" if name == "customers" else "customers"])
                self.spoilt = self.spoilt or "CURSOR_INVALID"
            given["after"] = ("String", cursor)
        return given


class Word(str):
    """An enum's value: written bare in a document."""

    __slots__ = ()


def _literal(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case Word():
            return str(value)
        case str():
            return f'"{value}"'
        case dict():
            return f"{{ {', '.join(f'{name}: {_literal(one)}' for name, one in value.items())} }}"
    return str(value)
