"""Whether the planner and the reference executor give one answer."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
    value_from_ast_untyped,
)

from cdp.auth import Caller
from tests.schema.reading import Request
from tests.schema.reference import Reference
from tests.schema.world import World


async def difference(
    world: World, reference: Reference, source: str, caller: Caller, variables: dict[str, Any] | None = None
) -> str | None:
    """What differs, in words for a failing test; None where values, order, withheld and masked lists are the same."""
    return differing(await world.ask(source, caller, variables), *await reference.answer(source, caller, variables))


def differing(planned: bytes, data: dict[str, Any], request: Request) -> str | None:
    """The same of an answer of the planner and what the reference executor gave."""
    answer = json.loads(planned)
    if json.dumps(answer["data"]) != json.dumps(data):
        return f"data\n planner   {json.dumps(answer['data'])}\n reference {json.dumps(data)}"
    withheld, masked = told(request)
    privacy = answer["extensions"]["privacy"] if "extensions" in answer else {"withheld": [], "masked": []}
    for name, ours, expected in (("withheld", privacy["withheld"], withheld), ("masked", privacy["masked"], masked)):
        here, there = Counter(map(_text, ours)), Counter(map(_text, expected))
        if here != there:
            return f"{name}\n planner   {[*(here - there).elements()]}\n reference {[*(there - here).elements()]}"
    return None


def told(request: Request) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The withheld and masked lists as a client must get them; a partner is told no cause."""
    causes: Counter[tuple[Any, ...]] = Counter()
    for (path, code, kind, notice), count in request.withheld.items():
        causes[(path, "WITHHELD", None, None) if request.caller.partner else (path, code, kind, notice)] += count
    withheld = []
    for (path, code, kind, notice), count in causes.items():
        given = {name: value for name, value in (("kind", kind), ("notice", notice)) if value is not None}
        withheld.append({"path": [*path], "code": code} | given | ({"count": count} if "*" in path else {}))
    masked = [
        {"path": [*path], "style": style} | ({"count": count} if "*" in path else {})
        for (path, style), count in request.masked.items()
    ]
    return withheld, masked


def _text(entry: dict[str, Any]) -> str:
    return json.dumps(entry, sort_keys=True)


def most_values(schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> int:
    """At least as many values as an operation may return: every field of every fragment, each list at its longest."""
    [operation] = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    named = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    given = {
        head.variable.name.value: value_from_ast_untyped(head.default_value)
        for head in operation.variable_definitions or ()
        if head.default_value is not None
    } | dict(variables)

    def below(of: Any, selections: Any) -> int:
        total = 0
        for node in selections:
            if not isinstance(node, FieldNode):
                inner = named[node.name.value] if isinstance(node, FragmentSpreadNode) else node
                condition = of if inner.type_condition is None else schema.type_map[inner.type_condition.name.value]
                total += below(condition, inner.selection_set.selections)
            elif not node.name.value.startswith("__"):
                total += field(of.fields[node.name.value], node)
        return total

    def field(definition: GraphQLField, node: FieldNode) -> int:
        sizes = [value_from_ast_untyped(a.value, given) for a in node.arguments or () if a.name.value == "first"]
        default = definition.args["first"].default_value if "first" in definition.args else 1
        inner = below(get_named_type(definition.type), node.selection_set.selections) if node.selection_set else 0
        longest: int = max(1, *sizes, 0 if sizes else default)
        return 1 + longest * inner

    return below(schema.query_type, operation.selection_set.selections)


__all__ = ["difference", "most_values", "told"]
