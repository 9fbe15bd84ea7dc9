"""Parts of an answer that need no store: values at hand, of which an operation picks what it asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any

from graphql import GraphQLObjectType, SelectionSetNode, get_named_type, is_leaf_type

from cdp.rendering import to_json
from schema.plan.declared import child_type
from schema.plan.selection import Selecting


@dataclass(frozen=True, slots=True)
class Picks:
    """What is asked of an object: (response key, field, what is asked of that)."""

    type_name: str
    items: tuple[tuple[str, str, "Picks | None"], ...]

    def of(self, value: Any) -> Any:
        """The asked part of a value: a mapping by field name, a list of them, or null."""
        if value is None:
            return None
        if isinstance(value, Sequence):
            return [self.of(each) for each in value]
        return {key: self.one(name, below, value) for key, name, below in self.items}

    def one(self, name: str, below: "Picks | None", value: Mapping[str, Any]) -> Any:
        """The asked part of one field of an object."""
        if name == "__typename":
            return self.type_name
        return value[name] if below is None else below.of(value[name])


def compile_picks(selecting: Selecting, of: GraphQLObjectType, sets: Sequence[SelectionSetNode | None]) -> Picks:
    """What these selections ask of an object of a type."""
    items: list[tuple[str, str, Picks | None]] = []
    for key, nodes in selecting.fields(of, sets).items():
        name = nodes[0].name.value
        below = None
        if name != "__typename" and not is_leaf_type(get_named_type(of.fields[name].type)):
            below = compile_picks(selecting, child_type(of.fields[name]), [node.selection_set for node in nodes])
        items.append((key, name, below))
    return Picks(of.name, tuple(items))


def payload(picks: Picks, at_hand: Mapping[str, Any], read: Mapping[str, str]) -> str:
    """An object as JSON text: some fields are at hand, by name, others were read, by response key."""
    return json_object(
        {
            key: read[key] if key in read else to_json(picks.one(name, below, at_hand))
            for key, name, below in picks.items
        }
    )


def json_object(fields: Mapping[str, str]) -> str:
    """A JSON object of values that are JSON text already."""
    return f"{{{','.join([f'{encode_basestring(key)}:{value}' for key, value in fields.items()])}}}"
