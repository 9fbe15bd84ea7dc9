"""The arguments of a field: what is written in the document is worked out once, what is a variable is filled in per
request.
"""

from dataclasses import dataclass, field
from typing import Any

from graphql import FieldNode, GraphQLError, GraphQLField, VariableNode, visit
from graphql.execution.values import VariableValues, get_argument_values
from graphql.language import Visitor

from cdp.errors import RequestInvalid


class _VariableFinder(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def enter_variable(self, _node: VariableNode, *_: object) -> None:
        self.found = True


@dataclass(slots=True)
class Arguments:
    """The arguments of one field of an operation. `variables` maps an argument to the variable that is its whole
    value.
    """

    definition: GraphQLField
    node: FieldNode
    variables: dict[str, str] = field(default_factory=dict)
    whole: bool = True
    """Whether no variable stands inside a list or an input object."""
    written: dict[str, Any] | None = None
    """The values of the arguments without variables, once they are known."""

    @classmethod
    def of(cls, definition: GraphQLField, node: FieldNode) -> "Arguments":
        """The arguments of a field node."""
        made = cls(definition, node)
        for argument in node.arguments or ():
            if isinstance(argument.value, VariableNode):
                made.variables[argument.name.value] = argument.value.name.value
            else:
                finder = _VariableFinder()
                visit(argument.value, finder)
                made.whole = made.whole and not finder.found
        return made

    @property
    def fixed(self) -> bool:
        """Whether the values are the same for every request."""
        return self.whole and not self.variables

    def values(self, variables: VariableValues) -> dict[str, Any]:
        """The coerced values. Raises RequestInvalid for a null where none may be."""
        given = variables.coerced
        if self.written is not None:
            filled = {argument: given.get(name) for argument, name in self.variables.items()}
            if None not in filled.values():
                return {**self.written, **filled}
        try:
            values = get_argument_values(self.definition, self.node, variables, hide_suggestions=True)
        except GraphQLError:
            # Its text may hold the value.
            name = self.node.name.value
            raise RequestInvalid("ARGUMENTS_INVALID", f"{name}: expected arguments of the declared types") from None
        if self.whole:
            self.written = {name: value for name, value in values.items() if name not in self.variables}
        return values
