"""The variables of an operation: what a request gives, coerced to what the operation declares."""

from collections.abc import Mapping
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    Undefined,
    coerce_input_value,
    get_nullable_type,
    is_leaf_type,
    is_non_null_type,
)
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource, get_variable_values

from cdp.errors import RequestInvalid


class Variables:
    """The variables of one operation, their types looked up once."""

    def __init__(self, schema: GraphQLSchema, definition: OperationDefinitionNode) -> None:
        self._schema, self._nodes = schema, definition.variable_definitions or ()
        declared = [get_variable_signature(schema, node) for node in self._nodes]
        self._plain = [
            one
            for one in declared
            if isinstance(one, GraphQLVariableSignature) and is_leaf_type(get_nullable_type(one.type))
        ]

    def values(self, given: Mapping[str, Any]) -> VariableValues:
        """The coerced values. Raises RequestInvalid for one that does not fit its type, without its value."""
        return self._given_plainly(given) or self._coerced(given)

    def _given_plainly(self, given: Mapping[str, Any]) -> VariableValues | None:
        """The values where all are scalars or enums that fit; None where a closer look is needed."""
        if len(self._plain) < len(self._nodes):
            return None
        sources, coerced = {}, {}
        for signature in self._plain:
            value = given.get(signature.name, Undefined)
            sources[signature.name] = VariableValueSource(signature, value)
            if value is Undefined and signature.default is not None:
                return None
            if value is Undefined and not is_non_null_type(signature.type):
                continue
            made = coerce_input_value(value, signature.type)
            if made is Undefined:
                return None
            coerced[signature.name] = made
        return VariableValues(sources, coerced)

    def _coerced(self, given: Mapping[str, Any]) -> VariableValues:
        found = get_variable_values(self._schema, self._nodes, dict(given), hide_suggestions=True)
        if isinstance(found, VariableValues):
            return found
        raise _invalid(found)


def _invalid(errors: list[GraphQLError]) -> RequestInvalid:
    """What is wrong with a variable, without what was in it."""
    first = errors[0]
    cause: Exception | None = first
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    if isinstance(cause, RequestInvalid):
        return cause
    names = [node.variable for node in first.nodes or () if hasattr(node, "variable")]
    name = f"${names[0].name.value}" if names else "variables"
    return RequestInvalid("VARIABLES_INVALID", f"{name}: expected a value of the declared type")
