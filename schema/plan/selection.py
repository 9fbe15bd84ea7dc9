"""Which fields an object of a concrete type is asked for: fragments expanded, `@skip` and `@include` decided.

The variables that decide a directive are switches: a plan is compiled for one setting of them, so that nothing has to
be decided per row.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    is_abstract_type,
    visit,
)
from graphql.language import BooleanValueNode, DirectiveNode, Visitor

Fields: TypeAlias = dict[str, list[FieldNode]]
"""Response key -> the field nodes merged under it, in the order of the document."""


@dataclass(frozen=True, slots=True)
class Selecting:
    """What selections are expanded against: the schema, the document's fragments and one setting of its switches."""

    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    switches: Mapping[str, bool]

    def fields(self, of: GraphQLObjectType, sets: Sequence[SelectionSetNode | None]) -> Fields:
        """The fields asked of an object of this type."""
        found: Fields = {}
        for selection_set in sets:
            if selection_set is not None:
                for node in self._expanded(of, selection_set.selections, set()):
                    found.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
        return found

    def _expanded(
        self, of: GraphQLObjectType, selections: Sequence[SelectionNode], visited: set[str]
    ) -> Iterator[FieldNode]:
        for node in selections:
            if not self._included(node):
                continue
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, InlineFragmentNode):
                if node.type_condition is None or self._applies(node.type_condition.name.value, of):
                    yield from self._expanded(of, node.selection_set.selections, visited)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in visited:
                visited.add(node.name.value)
                fragment = self.fragments[node.name.value]
                if self._applies(fragment.type_condition.name.value, of):
                    yield from self._expanded(of, fragment.selection_set.selections, visited)

    def _included(self, node: SelectionNode) -> bool:
        return all(self._passes(directive) for directive in node.directives or ())

    def _passes(self, directive: DirectiveNode) -> bool:
        if directive.name.value not in ("skip", "include"):
            return True
        value = directive.arguments[0].value if directive.arguments else None
        if isinstance(value, VariableNode):
            truth = self.switches[value.name.value]
        else:
            truth = isinstance(value, BooleanValueNode) and value.value
        return truth == (directive.name.value == "include")

    def _applies(self, condition: str, of: GraphQLObjectType) -> bool:
        if condition == of.name:
            return True
        abstract = self.schema.type_map.get(condition)
        return is_abstract_type(abstract) and self.schema.is_sub_type(abstract, of)


class _SwitchFinder(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_directive(self, node: DirectiveNode, *_: object) -> None:
        if node.name.value in ("skip", "include"):
            self.names |= {a.value.name.value for a in node.arguments or () if isinstance(a.value, VariableNode)}


def switches_of(document: DocumentNode, operation: OperationDefinitionNode) -> tuple[str, ...]:
    """The variables of an operation that decide `@skip` or `@include`, sorted."""
    finder = _SwitchFinder()
    visit(document, finder)
    declared = {definition.variable.name.value for definition in operation.variable_definitions or ()}
    return tuple(sorted(finder.names & declared))
