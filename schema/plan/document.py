"""A document: parsed within limits, validated, and the plans of its operations, each compiled once."""

from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import sha256

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    StringValueNode,
    validate,
)

from cdp.errors import RequestInvalid
from schema.plan.limits import Limits, measure, parse_limited
from schema.plan.operation import Operation, compile_operation
from schema.plan.selection import Selecting, switches_of

MOST_DOCUMENTS = 2000
MOST_VARIANTS = 32


class DocumentInvalid(RequestInvalid):
    """A document that is no GraphQL, or does not fit the schema; `errors` are what the client is told."""

    def __init__(self, code: str, errors: list[GraphQLError]) -> None:
        super().__init__(code, errors[0].message)
        self.errors = errors


@dataclass(slots=True)
class Document:
    """A valid document. `sha256` is the hash of its text, in hex."""

    sha256: str
    source: str
    ast: DocumentNode
    schema: GraphQLSchema
    introspects: bool
    switches: dict[str | None, tuple[str, ...]] = field(default_factory=dict)
    plans: OrderedDict[tuple[str | None, tuple[bool, ...]], Operation] = field(default_factory=OrderedDict)

    def definition(self, name: str | None) -> OperationDefinitionNode:
        """The operation to run; OPERATION_UNKNOWN where the name does not say which."""
        found = [node for node in self.ast.definitions if isinstance(node, OperationDefinitionNode)]
        if name is not None:
            found = [node for node in found if node.name is not None and node.name.value == name]
        if len(found) != 1:
            raise RequestInvalid(
                "OPERATION_UNKNOWN", "operationName: expected the name of one operation of the document"
            )
        return found[0]

    def switches_of(self, definition: OperationDefinitionNode) -> tuple[str, ...]:
        """The variables that decide `@skip` and `@include` in an operation."""
        name = definition.name.value if definition.name else None
        if name not in self.switches:
            self.switches[name] = switches_of(self.ast, definition)
        return self.switches[name]

    def plan(self, definition: OperationDefinitionNode, switches: dict[str, bool]) -> Operation:
        """The plan of an operation for one setting of its switches; compiled at its first use."""
        key = (definition.name.value if definition.name else None, tuple(switches.values()))
        plan = self.plans.get(key)
        if plan is None:
            fragments = {n.name.value: n for n in self.ast.definitions if isinstance(n, FragmentDefinitionNode)}
            selecting = Selecting(self.schema, fragments, switches)
            plan = compile_operation(selecting, definition, self.sha256, purpose_of(definition))
            self.plans[key] = plan
            if len(self.plans) > MOST_VARIANTS:
                self.plans.popitem(last=False)
        return plan


class Documents:
    """The documents seen lately, by the hash of their text; the least recently used goes first."""

    def __init__(self, schema: GraphQLSchema, limits: Limits | None = None) -> None:
        self.schema, self.limits = schema, limits or Limits()
        self._known: OrderedDict[str, Document] = OrderedDict()

    def get(self, source: str) -> Document:
        """The document of a text. Raises RequestInvalid over a limit, DocumentInvalid where it does not fit the
        schema.
        """
        digest = hash_of(source)
        document = self._known.get(digest)
        if document is None:
            document = self._known[digest] = self._read(source, digest)
            if len(self._known) > MOST_DOCUMENTS:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(digest)
        return document

    def _read(self, source: str, digest: str) -> Document:
        try:
            ast = parse_limited(source, self.limits)
        except GraphQLSyntaxError as wrong:
            raise DocumentInvalid("GRAPHQL_PARSE_FAILED", [wrong]) from None
        errors = validate(self.schema, ast)
        if errors:
            raise DocumentInvalid("GRAPHQL_VALIDATION_FAILED", errors)
        return Document(digest, source, ast, self.schema, measure(ast).introspections > 0)


def hash_of(source: str) -> str:
    """The SHA-256 of a document's text, in hex: its name among the registered ones."""
    return sha256(source.encode()).hexdigest()


def purpose_of(definition: OperationDefinitionNode) -> str | None:
    """The purpose an operation names: written in the document itself, never in a variable."""
    named = [directive for directive in definition.directives or () if directive.name.value == "purpose"]
    given = [argument.value for directive in named for argument in directive.arguments or ()]
    return next((value.value for value in given if isinstance(value, StringValueNode)), None)
