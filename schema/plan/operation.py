"""The plan of an operation: its roots, the statements they need, the governed places and what it may cost."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
)
from graphql.execution.values import VariableValues
from sqlalchemy import DateTime, bindparam

from cdp.asked import masks_of, places_of
from cdp.gate import Spot
from cdp.identity.reads import same_holder
from cdp.rendering import Bare, Writer
from cdp.shape import Connection, Listing, Many, Node, Scalar
from cdp.statement import CUSTOMER_ID, Statement, Way
from cdp.wanted import Root
from privacy.keys import TokenSeal
from privacy.log import Form
from privacy.vocabulary import ANY, PURPOSES
from schema.plan.arguments import Arguments
from schema.plan.compile import Compiler, Here, selections
from schema.plan.declared import child_type, declaration_of, node_type, record_of
from schema.plan.hidden import COMPARED, HIDDEN, SAID, WATCHED, WHOSE, written
from schema.plan.lists import ListArguments, cost
from schema.plan.picks import Picks, compile_picks
from schema.plan.selection import Selecting
from schema.plan.statement import Level, RootSql, statement_of

KEPT = ("mergeProposals", "privacyRequests", "deadLetters")
"""The roots that tell of what waits for somebody, and of nothing else of customers."""
INTROSPECTION = ("__schema", "__type")
LETTERS = ("replayDeadLetter", "dropDeadLetter")
WITHOUT_CUSTOMER = ("ingest", "proposeLink", *LETTERS)
"""Orders whose answer is at hand: no customer is read after them."""
PAGE_CATEGORIES = {
    "region": "identity.region",
    "kind": "identity.status",
    "status": "identity.status",
    "tier": "identity.tier",
}
"""What a page's filters read."""
READ_AFTERWARDS = ("Customer", "Case")
"""The types in payloads that are read from stores."""
MOST_PER_PAGE = 100
HELD = ("servingOperator", "accountability")
"""What of a number's facts only the stores know."""
ABOUT_A_CUSTOMER = ("consentDecision", "consentTimeline", "withdrawalPreview", "accessLog")
"""What officers ask about a customer."""
OFFICERS = (*ABOUT_A_CUSTOMER, "recordsOfProcessing")


@dataclass(slots=True)
class ReadRoot:
    """One object or page that is read from stores: what runs, what it may be asked for, and what it asks for."""

    root: Root
    sql: RootSql
    lists: list[ListArguments]
    values: dict[str | None, int]
    bound: tuple[dict[str, Any], int] | None = None
    """The parameters of its lists and its cost, once known to be the same for every request."""

    def bind(self, variables: VariableValues, tokens: TokenSeal, client: str) -> tuple[dict[str, Any], int]:
        """The parameters of its lists and its cost. Raises RequestInvalid for pages out of bounds."""
        if self.bound is not None:
            return self.bound
        bindings: dict[str, Any] = {}
        for arguments in self.lists:
            bindings |= arguments.bind(variables, tokens, client)
        made = bindings, cost(self.lists, self.values, bindings)
        if all(arguments.fixed for arguments in self.lists):
            self.bound = made
        return made


@dataclass(slots=True)
class OperationRoot:
    """One field an operation begins with. `reads` has one entry per possible type, or per response key of a payload."""

    key: str
    name: str
    definition: GraphQLField | None
    nodes: list[FieldNode]
    arguments: Arguments | None = None
    picks: Picks | None = None
    reads: dict[str, ReadRoot] = field(default_factory=dict)


@dataclass(slots=True)
class Operation:
    """A compiled operation; what `cdp.query.Plan` asks for, and the roots to be bound."""

    document: str
    purpose: str
    kind: OperationType
    definition: OperationDefinitionNode
    roots: list[OperationRoot] = field(default_factory=list)
    spots: list[Spot] = field(default_factory=list)
    categories: tuple[str, ...] = ()
    masks: dict[str | None, int] = field(default_factory=dict)
    """Category -> bitmap of its places, for the audit trail."""
    governed: int = 0
    """The bitmap of all places that planning did not refuse."""
    places: dict[str, str] = field(default_factory=dict)
    """What entries in the audit trail say of it: which places are of which category."""
    forms: dict[Any, Form] = field(default_factory=dict)
    """What its entries in the audit trail share, by who asks."""
    statements: dict[tuple[Way, ...], Statement] = field(default_factory=dict)
    reads: list[ReadRoot] = field(default_factory=list)
    """The reads of all roots."""
    touches_customers: bool = False
    """Whether anything is read from a store or written to one."""
    introspects: bool = False

    def summed_up(self) -> "Operation":
        """The operation, now that all its roots and places are known."""
        self.reads = [read for root in self.roots for read in root.reads.values()]
        kept = any(root.name in KEPT or held_places(root) for root in self.roots)
        self.touches_customers = self.kind is OperationType.MUTATION or bool(self.reads) or kept
        self.introspects = any(root.name in INTROSPECTION for root in self.roots)
        used = {spot.category for spot in self.spots if spot.category and spot.refused is None}
        found_by = set(PAGE_CATEGORIES.values()) if any(root.name == "customers" for root in self.roots) else set()
        used |= found_by
        self.categories = tuple(sorted(used))
        self.masks, self.places = masks_of(self.spots), places_of(self.spots, found_by)
        self.governed = sum(bits for category, bits in self.masks.items() if category is not None)
        return self

    def statement(self, ways: tuple[Way, ...]) -> Statement:
        """The statement for these roots, each in its way; built once."""
        found = self.statements.get(ways)
        if found is None:
            by_number = {read.root.number: read.sql for read in self.reads}
            found = self.statements[ways] = statement_of([(by_number[way.number], way) for way in ways])
        return found


def held_places(root: OperationRoot) -> tuple[tuple[str, ...], ...]:
    """The places of a root about a number that only the stores can fill."""
    if root.name == "accountability":
        return ((root.key,),)
    if root.name != "numberFacts" or root.picks is None:
        return ()
    return tuple((root.key, key) for key, name, _ in root.picks.items if name in HELD)


def lineage(purpose: str) -> tuple[str, ...]:
    """A purpose, its parents, and `*`."""
    parts = purpose.split(".")
    return (*(".".join(parts[:length]) for length in range(len(parts), 0, -1)), ANY)


def compile_operation(
    selecting: Selecting, definition: OperationDefinitionNode, document: str, purpose: str | None
) -> Operation:
    """Compile one operation of a document (known by its hash) for one setting of its switches."""
    operation = Operation(document, purpose or "", definition.operation, definition)
    _Builder(operation, selecting).build()
    return operation.summed_up()


class _Builder:
    """Builds the roots of one operation."""

    def __init__(self, operation: Operation, selecting: Selecting) -> None:
        self.operation, self.selecting = operation, selecting
        self.purposes = lineage(operation.purpose) if operation.purpose in PURPOSES else ()
        self.numbers = 0
        customer = selecting.schema.type_map["Customer"]
        assert isinstance(customer, GraphQLObjectType)
        self.customer = customer

    def build(self) -> None:
        written = self.operation.definition
        of = self.selecting.schema.get_root_type(written.operation)
        assert of is not None, "validation has seen to it"
        for key, nodes in self.selecting.fields(of, [written.selection_set]).items():
            name = nodes[0].name.value
            definition = of.fields.get(name)
            arguments = Arguments.of(definition, nodes[0]) if definition else None
            root = OperationRoot(key, name, definition, nodes, arguments)
            self.operation.roots.append(root)
            if root.definition is not None:
                self.root(root, root.definition)
            elif name == "__typename":
                root.picks = Picks(of.name, ())

    def root(self, root: OperationRoot, definition: GraphQLField) -> None:
        sets = selections(root.nodes)
        if root.name == "customer":
            root.reads["Customer"] = self.object(child_type(definition), root, (root.key,))
        elif root.name == "customers":
            root.reads["Customer"] = self.page(child_type(definition), root, definition)
        elif root.name == "sameHolderSince":
            root.reads["Customer"] = self.holder(root)
        elif root.name == "node":
            node = self.selecting.schema.type_map["Node"]
            assert isinstance(node, GraphQLInterfaceType)
            for of in self.selecting.schema.get_implementations(node).objects:
                root.reads[of.name] = self.object(of, root, (root.key,))
        elif root.name == "proposeMerge":
            for side, name in HIDDEN.items():
                inner = OperationRoot(side, name, None, written(COMPARED))
                root.reads[side] = self.object(self.customer, inner, (root.key, name))
            self.payload(root, child_type(definition))
        elif root.name in (*ABOUT_A_CUSTOMER, "consentReceipt"):
            inner = OperationRoot(root.key, root.name, None, written(SAID))
            root.reads["Customer"] = self.object(self.customer, inner, (root.key,))
            if root.name != "consentReceipt":
                root.picks = compile_picks(self.selecting, child_type(definition), sets)
        elif self.operation.kind is OperationType.SUBSCRIPTION:
            inner = OperationRoot(WATCHED, "customer", None, written(WHOSE))
            root.reads[WATCHED] = self.object(self.customer, inner, (root.key, WATCHED))
            self.payload(root, child_type(definition))
        elif self.operation.kind is OperationType.MUTATION and root.name not in WITHOUT_CUSTOMER:
            self.payload(root, child_type(definition))
        else:
            root.picks = compile_picks(self.selecting, child_type(definition), sets)

    def payload(self, root: OperationRoot, of: GraphQLObjectType) -> None:
        """What is made of customers, who are read, and of what is at hand."""
        items: list[tuple[str, str, Picks | None]] = []
        for key, nodes in self.selecting.fields(of, selections(root.nodes)).items():
            name = nodes[0].name.value
            below, found = None, get_named_type(of.fields[name].type) if name in of.fields else None
            if isinstance(found, GraphQLObjectType) and found.name in READ_AFTERWARDS:
                inner = OperationRoot(key, name, of.fields[name], nodes)
                root.reads[key] = self.object(found, inner, (root.key, key))
            elif isinstance(found, GraphQLObjectType):
                below = compile_picks(self.selecting, found, selections(nodes))
            items.append((key, name, below))
        root.picks = Picks(of.name, tuple(items))

    def compiler(self, of: GraphQLObjectType) -> Compiler:
        self.numbers += 1
        sql = RootSql.of(self.numbers, self.purposes, record_of(of))
        return Compiler(
            self.selecting, sql, lambda declared: not set(declared).isdisjoint(self.purposes), self.operation.spots
        )

    def object(self, of: GraphQLObjectType, root: OperationRoot, path: tuple[str, ...]) -> ReadRoot:
        compiler, before = self.compiler(of), len(self.operation.spots)
        node = compiler.root(of, selections(root.nodes), path)
        asked = frozenset(s.category for s in self.operation.spots[before:] if s.category and s.refused is None)
        joined = tuple(_spot(item) for item in node.items if isinstance(item, Many | Connection | Listing))
        made = Root(compiler.sql.number, path, node, joined if of.name == "Customer" else (), Writer.of(node), asked)
        return ReadRoot(made, compiler.sql, compiler.lists, compiler.values)

    def holder(self, root: OperationRoot) -> ReadRoot:
        """A question about whoever holds a number: one value, and nothing else of them."""
        query, customer = self.selecting.schema.query_type, self.selecting.schema.type_map["Customer"]
        assert query is not None
        assert isinstance(customer, GraphQLObjectType)
        compiler = self.compiler(customer)
        sql, spot = compiler.sql, compiler.spot((root.key,), declaration_of(query, root.name).governance)
        since = bindparam(f"r{sql.number}_since", type_=DateTime(timezone=True))
        index = sql.head.add(same_holder(sql.tag, sql.key, since, sql.as_of))
        node = Node((Scalar(root.key, spot, (index,), None, None, -1, inner=False, text=False, kind=bool),))
        asked = frozenset() if spot.refused else frozenset({spot.category or ""})
        return ReadRoot(Root(sql.number, (root.key,), node, (), Bare(node, {}), asked), sql, [], {None: 1})

    def page(self, of: GraphQLObjectType, root: OperationRoot, definition: GraphQLField) -> ReadRoot:
        compiler = self.compiler(node_type(of))
        number = compiler.sql.number
        first, after = f"r{number}_first", ((f"r{number}_after", UUID),)
        arguments = ListArguments(
            Arguments.of(definition, root.nodes[0]),
            first,
            f"r{number}_limit",
            MOST_PER_PAGE,
            "Query.customers",
            after,
            None,
        )
        compiler.lists.append(arguments)
        sql = compiler.sql
        here = Here(sql.head, Level(sql.main), (root.key,), first, sql.row_key)
        items = compiler.page(of, node_type(of), root.nodes, here)
        found = Many(
            root.key, Spot((root.key, "edges", "*"), None, -1), -1, None, first, ((CUSTOMER_ID, False),), Node(())
        )
        connection = Connection(found, arguments.place, after[0][0], items, of.name)
        made = Root(number, (root.key,), connection, (), Writer.of(connection))
        return ReadRoot(made, sql, compiler.lists, compiler.values)


def _spot(item: Many | Connection | Listing) -> Spot:
    return item.many.spot if isinstance(item, Connection) else item.spot
