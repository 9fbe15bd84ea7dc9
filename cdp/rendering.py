"""Rows to JSON text by code generated once per shape, for customers of whom everything asked may be seen.

Where all verdicts are ALLOW nothing has to be checked, counted or masked per value, so the shape is unrolled into one
Python function that joins text. Anything else (a denial, a mask, a cell that does not open) is left to the shape
itself, which says exactly what was withheld; both write the same text for the same values.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, TypeAlias
from uuid import UUID

from cdp.gate import Part, Row
from cdp.shape import Connection, Embedded, Item, Many, Node, One, Page, PageItem, Reading, Scalar, Typename
from privacy.errors import PrivacyError
from privacy.seal import Sealed

Renderer: TypeAlias = Callable[[Row, Sequence[Part], Reading], str]


def _instant(at: datetime) -> str:
    return f'"{(at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat()[:-6]}Z"'


def _text(value: object) -> str:
    return encode_basestring(str(value))


WRITERS: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "null",
    str: encode_basestring,
    bool: lambda value: "true" if value else "false",
    int: repr,
    datetime: _instant,
    date: lambda day: f'"{day.isoformat()}"',
    Decimal: _text,
    UUID: _text,
}
"""How a value of each type is written in JSON."""


def text_of(value: object) -> str:
    """What JSON does not know as text: instants in UTC with Z, days, and anything exact as it is written."""
    return json.loads(WRITERS.get(type(value), _text)(value))  # type: ignore[no-any-return]  # it is a JSON string


def to_json(value: Any) -> str:
    """A value of any depth as JSON text."""
    return json.dumps(value, default=text_of, ensure_ascii=False, separators=(",", ":"))


def renderer_of(shape: Node) -> Renderer:
    """The generated renderer of an object: (row, parts, reading) -> JSON text.

    It may only be used for parts that are `clear`; raises PrivacyError where a cell does not open.
    """
    source = _Source()
    return source.load(source.node(shape))


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes the answer of a root: generated code where everything may be seen, the shape itself where not."""

    shape: Node | Connection
    renderers: Mapping[int, Renderer]
    """By the id of the node they render."""

    @classmethod
    def of(cls, shape: Node | Connection) -> "Writer":
        """The writer of a shape, its renderers generated."""
        nodes = (
            [shape] if isinstance(shape, Node) else [node for item in shape.items for _, _, node in item.items if node]
        )
        return cls(shape, {id(node): renderer_of(node) for node in nodes})

    def object(self, node: Node, row: Row, parts: Sequence[Part], reading: Reading) -> str:
        """An object as JSON text."""
        if all(part.clear for part in parts):
            before = reading.findings.copy()
            try:
                return self.renderers[id(node)](row, parts, reading)
            except PrivacyError:
                reading.findings = before
        return to_json(node.value(row, parts, reading))

    def page(self, page: Page, reading: Reading) -> str:
        """A page of objects as JSON text."""
        shape = self.shape
        assert isinstance(shape, Connection)
        pieces = []
        for item in shape.items:
            if item.field == "edges":
                value = f"[{','.join([self._edge(shape, edge, item, reading) for edge in page.shown])}]"
            else:
                value = to_json(shape.part_of(page, item, reading))
            pieces.append(f"{encode_basestring(item.key)}:{value}")
        return f"{{{','.join(pieces)}}}"

    def _edge(self, shape: Connection, edge: tuple[Row, Sequence[Part]], item: PageItem, reading: Reading) -> str:
        row, parts = edge
        pieces = []
        for key, field, node in item.items:
            if node is None:
                value = encode_basestring(shape.of_edge(row, field, reading))
            else:
                value = self.object(node, row, parts, reading)
            pieces.append(f"{encode_basestring(key)}:{value}")
        return f"{{{','.join(pieces)}}}"


class _Source:
    """Python source under construction: one function per object, and the constants they use by name."""

    def __init__(self) -> None:
        self.functions: list[str] = []
        self.constants: dict[str, Any] = {
            "W": WRITERS,
            "T": _text,
            "S": encode_basestring,
            "Sealed": Sealed,
            "J": to_json,
        }

    def load(self, name: str) -> Renderer:
        exec(compile("\n".join(self.functions), f"<renderer {name}>", "exec"), self.constants)  # noqa: S102 - our own source
        made: Renderer = self.constants[name]
        return made

    def constant(self, value: Any) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name

    def node(self, node: Node) -> str:
        """The name of a function that writes an object."""
        lines: list[str] = []
        body = self.object(node, lines)
        name = f"object{len(self.functions)}"
        head = f"def {name}(row, parts, reading):\n    part = parts[0]\n"
        self.functions.append(head + "".join(f"    {line}\n" for line in lines) + f"    return {body}\n")
        return name

    def object(self, node: Node, lines: list[str]) -> str:
        """An expression for an object; what has to be worked out before goes to `lines`."""
        pieces = []
        for number, item in enumerate(node.items):
            key = ("{" if number == 0 else ",") + encode_basestring(item.key) + ":"
            pieces += [repr(key), self.item(item, lines)]
        return f"''.join(({', '.join(pieces)}, '}}'))" if pieces else "'{}'"

    def item(self, item: Item, lines: list[str]) -> str:  # noqa: PLR0911 - one for each kind of item
        """An expression for the value of one response key."""
        spot = getattr(item, "spot", None)
        if spot is not None and spot.refused is not None:
            return f"({self.constant(spot)}.refuse(reading.findings), 'null')[1]"
        match item:
            case Typename():
                return repr(encode_basestring(item.name))
            case Scalar():
                return self.scalar(item, lines)
            case Embedded():
                return f"('null' if row[{item.present}] is None else {self.object(item.node, lines)})"
            case One():
                below = f"row[{item.index}]"
                return f"('null' if {below} is None else {self.node(item.node)}({below}, parts, reading))"
            case Many():
                return self.many(item)
            case _:
                return f"J({self.constant(item)}.value(row, parts, reading))"

    def scalar(self, item: Scalar, lines: list[str]) -> str:
        first, *rest = item.indexes
        name = f"v{len(lines)}"
        lines.append(f"{name} = row[{first}]")
        if item.sealed is not None:
            column = self.constant(item.sealed)
            opened = f"part.opener.open(Sealed({name}), part.places.of({column}), row[{item.row_id}])"
            lines.append(f"if {name} is not None: {name} = {opened}")
        if item.render is None:
            return f"W.get({name}.__class__, T)({name})"
        others = "".join(f", row[{index}]" for index in rest)
        return f"('null' if {name} is None else S({self.constant(item.render)}({name}{others})))"

    def many(self, item: Many) -> str:
        row = self.node(item.node)
        if item.parent is not None:
            rows = f"part.rows({item.array}, row[{item.parent}])"
            return f"'[' + ','.join([{row}(each, parts, reading) for each in {rows}]) + ']'"
        # One store has cut its own list; several are joined, ordered and cut again.
        one = f"[{row}(each, parts, reading) for each in part.arrays[{item.array}]]"
        pairs = f"{self.constant(item)}.rows(row, parts, reading)[:reading.bindings[{item.first!r}]]"
        several = f"[{row}(each, (its,), reading) for each, its in {pairs}]"
        return f"'[' + ','.join({one} if len(parts) == 1 else {several}) + ']'"
