"""A document: parsed within limits, validated, and the plans of its operations, each compiled once."""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    StringValueNode,
    validate,
)

from cdp.errors import RequestInvalid
from schema.plan.limits import Limits, parse_limited
from schema.plan.operation import Operation, compile_operation
from schema.plan.selection import Selecting, switches_of
from schema.plan.variables import Variables

# With its plan, a document takes 300 to 1,300 times the room of its text.
MOST_DOCUMENTS = 256
MOST_CHARACTERS = 256_000
"""Of all documents seen lately together."""
MOST_REGISTERED = 1_000
MOST_VARIANTS = 32
QUOTED = re.compile(r"(value): .*?(\. Did you mean .*)?$|[.,]? [Ff]ound: .*$|(found \w+) '.*$", re.DOTALL)
"""What the library writes down of a value that stands in a document."""


class DocumentInvalid(RequestInvalid):
    """A document that is no GraphQL, or does not fit the schema; `errors` are what the client is told: no values."""

    def __init__(self, code: str, errors: list[GraphQLError]) -> None:
        for error in errors:
            error.message = QUOTED.sub(lambda quoted: "".join(filter(None, quoted.groups())), error.message)
        super().__init__(code, errors[0].message)
        self.errors = errors


@dataclass(slots=True)
class Prepared:
    """One operation of a document, ready to be planned: its variables, its switches and its plans so far.

    `switches` are the variables that decide `@skip` and `@include`; each setting of them has a plan of its own.
    """

    document: "Document"
    definition: OperationDefinitionNode
    variables: Variables
    switches: tuple[str, ...]
    plans: OrderedDict[tuple[bool, ...], Operation] = field(default_factory=OrderedDict)

    def plan(self, values: Mapping[str, Any]) -> Operation:
        """The plan for these values of the switches; compiled at its first use."""
        setting = tuple([bool(values.get(name)) for name in self.switches])
        plan = self.plans.get(setting)
        if plan is None:
            plan = self.plans[setting] = self._compiled(dict(zip(self.switches, setting, strict=True)))
            if len(self.plans) > MOST_VARIANTS:
                self.plans.popitem(last=False)
        return plan

    def _compiled(self, setting: Mapping[str, bool]) -> Operation:
        whole = self.document
        fragments = {n.name.value: n for n in whole.ast.definitions if isinstance(n, FragmentDefinitionNode)}
        selecting = Selecting(whole.schema, fragments, setting)
        return compile_operation(selecting, self.definition, whole.sha256, purpose_of(self.definition))


class Document:
    """A valid document. `sha256` is the hash of its text, in hex."""

    def __init__(self, sha256: str, ast: DocumentNode, schema: GraphQLSchema) -> None:
        self.sha256, self.ast, self.schema = sha256, ast, schema
        self.operations = {
            node.name.value if node.name else None: Prepared(
                self, node, Variables(schema, node), switches_of(ast, node)
            )
            for node in ast.definitions
            if isinstance(node, OperationDefinitionNode)
        }

    def operation(self, name: str | None) -> Prepared:
        """The operation to run; OPERATION_UNKNOWN where the name does not say which."""
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        found = None if name is None else self.operations.get(name)
        if found is None:
            raise RequestInvalid(
                "OPERATION_UNKNOWN", "operationName: expected the name of one operation of the document"
            )
        return found


class Documents:
    """The documents seen lately, by their text, of which the least recently used goes first; and, by their hash, the
    registered ones, which stay.
    """

    def __init__(self, schema: GraphQLSchema, limits: Limits | None = None) -> None:
        self.schema, self.limits = schema, limits or Limits()
        self.registered: dict[str, Document] = {}
        self._known: OrderedDict[str, Document] = OrderedDict()
        self._characters = 0

    def get(self, source: str) -> Document:
        """The document of a text. Raises RequestInvalid over a limit, DocumentInvalid where it does not fit the
        schema.
        """
        document = self._known.get(source)
        if document is None:
            document = self._known[source] = self._read(source)
            self._characters += len(source)
            while len(self._known) > MOST_DOCUMENTS or self._characters > MOST_CHARACTERS:
                gone, _ = self._known.popitem(last=False)
                self._characters -= len(gone)
        else:
            self._known.move_to_end(source)
        return document

    def keep(self, source: str) -> Document:
        """A registered document: it never changes and is never taken back. Raises as `get` does."""
        document = self._read(source)
        if len(self.registered) < MOST_REGISTERED:
            self.registered[document.sha256] = document
        return document

    def _read(self, source: str) -> Document:
        try:
            ast = parse_limited(source, self.limits)
        except GraphQLSyntaxError as wrong:
            raise DocumentInvalid("GRAPHQL_PARSE_FAILED", [wrong]) from None
        errors = validate(self.schema, ast)
        if errors:
            raise DocumentInvalid("GRAPHQL_VALIDATION_FAILED", errors)
        return Document(hash_of(source), ast, self.schema)


def hash_of(source: str) -> str:
    """The SHA-256 of a document's text, in hex: its name among the registered ones."""
    return sha256(source.encode()).hexdigest()


def purpose_of(definition: OperationDefinitionNode) -> str | None:
    """The one purpose an operation names: written in the document itself, never in a variable. A subscription may name
    it as an argument.
    """
    given = [one.value for d in definition.directives or () if d.name.value == "purpose" for one in d.arguments or ()]
    if definition.operation is OperationType.SUBSCRIPTION:
        fields = [node for node in definition.selection_set.selections if isinstance(node, FieldNode)]
        given += [one.value for field in fields for one in field.arguments or () if one.name.value == "purpose"]
    named = {value.value if isinstance(value, StringValueNode) else None for value in given}
    return named.pop() if len(named) == 1 else None
