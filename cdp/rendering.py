"""Rows to JSON text by code generated once per shape, for customers of whom everything asked may be seen.

Where all verdicts are ALLOW nothing has to be checked, counted or masked per value, so the shape is unrolled into
Python functions that fill in text. Anything else (a denial, a mask, a cell that does not open) is left to the shape
itself, which says exactly what was withheld; both write the same text for the same values.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, Final, TypeAlias
from uuid import UUID

from cdp.gate import Part, Row
from cdp.shape import Connection, Embedded, Item, Many, Node, One, Page, PageItem, Reading, Scalar, Token, Typename
from privacy.errors import PrivacyError
from privacy.seal import Sealed

Renderer: TypeAlias = Callable[[Row, Sequence[Part], Reading], str]


def instant_text(at: datetime) -> str:
    """An instant in UTC with Z."""
    return f"{(at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat()[:-6]}Z"


AS_TEXT: Final[Mapping[type, Callable[[Any], str]]] = {
    datetime: instant_text,
    date: date.isoformat,
    Decimal: str,
    UUID: str,
}
"""How values that JSON does not know are written as text: instants in UTC, days, anything exact as it is written."""

AS_JSON: Final[Mapping[type, Callable[[Any], str]]] = {
    type(None): lambda _: "null",
    str: encode_basestring,
    bool: lambda value: "true" if value else "false",
    int: repr,
    datetime: lambda at: f'"{instant_text(at)}"',
    date: lambda day: f'"{day.isoformat()}"',
}
"""How a value of each type is written in JSON; of any other, as text."""


def text_of(value: object) -> str:
    """A value that JSON does not know, as text."""
    return AS_TEXT.get(type(value), str)(value)


def to_json(value: Any) -> str:
    """A value of any depth as JSON text."""
    return json.dumps(value, default=text_of, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Rendering:
    """The generated code of an object: (row, parts, reading) -> JSON text; `notes` where it writes to the findings.

    It may only be used for parts whose decision is `clear`; raises PrivacyError where a cell does not open.
    """

    render: Renderer
    notes: bool

    @classmethod
    def of(cls, shape: Node) -> "Rendering":
        """The code for a shape."""
        source = _Source()
        render = source.load(source.function(shape, root=True))
        return cls(render, source.notes)


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes the answer of a root: generated code where everything may be seen, the shape itself where not."""

    shape: Node | Connection
    renderings: Mapping[int, Rendering]
    """By the id of the node they render."""

    @classmethod
    def of(cls, shape: Node | Connection) -> "Writer":
        """The writer of a shape, its renderers generated."""
        nodes = (
            [shape] if isinstance(shape, Node) else [node for item in shape.items for _, _, node in item.items if node]
        )
        return cls(shape, {id(node): Rendering.of(node) for node in nodes})

    def object(self, node: Node, row: Row, parts: Sequence[Part], reading: Reading) -> str:
        """An object as JSON text."""
        if parts[0].decision.clear and (len(parts) == 1 or _are_plain(parts)):
            rendering = self.renderings[id(node)]
            before = reading.findings.copy() if rendering.notes else None
            try:
                return rendering.render(row, parts, reading)
            except PrivacyError:
                reading.findings = before or reading.findings
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
            pieces.append(f'"{item.key}":{value}')
        return f"{{{','.join(pieces)}}}"

    def _edge(self, shape: Connection, edge: tuple[Row, Sequence[Part]], item: PageItem, reading: Reading) -> str:
        row, parts = edge
        pieces = []
        for key, field, node in item.items:
            if node is None:
                value = f'"{shape.of_edge(row, field, reading)}"'
            else:
                value = self.object(node, row, parts, reading)
            pieces.append(f'"{key}":{value}')
        return f"{{{','.join(pieces)}}}"


def _are_plain(parts: Sequence[Part]) -> bool:
    """Whether all of it may be seen, and no record of the same store has to fill in for the first."""
    return all(part.decision.clear for part in parts) and all(part.store != parts[0].store for part in parts[1:])


class Bare(Writer):
    """Writes the one item of a shape, without an object around it."""

    def object(self, node: Node, row: Row, parts: Sequence[Part], reading: Reading) -> str:
        [item] = node.items
        return to_json(item.value(row, parts, reading))


class _Source:
    """Python source under construction: one function per object, and the constants they use by name.

    A function has the `row` of its object and the `part` the row is of; a root's has all `parts` of the customer too.
    Names of GraphQL are letters, digits and underscores: they can stand in the source as they are.
    """

    def __init__(self) -> None:
        self.notes = False
        self.functions: list[str] = []
        self.constants: dict[str, Any] = {
            "ANY": lambda value: AS_JSON.get(type(value), lambda other: encode_basestring(text_of(other)))(value),
            "TEXT": encode_basestring,
            "INSTANT": instant_text,
            "DAY": date.isoformat,
            "JSON": to_json,
            "Sealed": Sealed,
        }

    def load(self, name: str) -> Renderer:
        exec(compile("\n".join(self.functions), f"<renderer {name}>", "exec"), self.constants)  # noqa: S102 - our own source
        made: Renderer = self.constants[name]
        return made

    def constant(self, value: Any) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name

    def function(self, node: Node, *, root: bool = False) -> str:
        """The name of a function that writes an object."""
        lines: list[str] = []
        text = self.object(node, lines, root=root)
        name = f"object{len(self.functions)}"
        head = [f"def {name}(row, {'parts' if root else 'part'}, reading):", *(["part = parts[0]"] if root else [])]
        self.functions.append("\n    ".join([*head, *lines, f"return {text}"]) + "\n")
        return name

    def object(self, node: Node, lines: list[str], *, root: bool) -> str:
        """An expression for an object; what has to be worked out before goes to `lines`."""
        fields = []
        for item in node.items:
            fields.append(f'"{item.key}":{self.item(item, lines, root=root)}')
        return f"f'{{{{{','.join(fields)}}}}}'"

    def item(self, item: Item, lines: list[str], *, root: bool) -> str:
        """The value of one response key, to stand in an f-string once `lines` have run."""
        spot = getattr(item, "spot", None)
        name = f"x{len(lines)}"
        if spot is not None and spot.refused is not None:
            self.notes = True
            lines.append(f"{self.constant(spot)}.refuse(reading.findings)")
            return "null"
        match item:
            case Typename():
                return f'"{item.name}"'
            case Scalar():
                lines.append(self.ending(item, name) if item.ended >= 0 else self.scalar(item, name))
            case Embedded():
                text = self.object(item.node, lines, root=root)
                name = f"x{len(lines)}"
                lines.append(f"{name} = 'null' if row[{item.present}] is None else {text}")
            case One():
                made = f"{self.function(item.node)}(below, part, reading)"
                lines.append(f"{name} = 'null' if (below := row[{item.index}]) is None else {made}")
            case Many():
                lines.append(f"{name} = f'[{{\",\".join({self.many(item)})}}]'")
            case _:
                lines.append(f"{name} = {self.interpreted(item, 'parts' if root else '(part,)')}")
        return f"{{{name}}}"

    def interpreted(self, item: Item, parts: str) -> str:
        """What is written by the shape itself."""
        value = f"{self.constant(item)}.value(row, {parts}, reading)"
        return f"f'\"{{{value}}}\"'" if isinstance(item, Token) else f"JSON({value})"

    def ending(self, item: Scalar, name: str) -> str:
        """A value that is not for everyone at any time: where it may not be for this reader, the shape decides."""
        self.notes = True
        some = "True" if item.offers else "reading.partner"
        return f"if {some}: {name} = {self.interpreted(item, '(part,)')}\n    else: {self.scalar(item, name)}"

    def scalar(self, item: Scalar, name: str) -> str:
        first, *rest = item.indexes
        if item.sealed is not None:
            column = self.constant(item.sealed)
            value = f"part.opener.open(Sealed(cell), part.places.of({column}), row[{item.row_id}])"
            return f"{name} = 'null' if (cell := row[{first}]) is None else {self.written(item, value)}"
        if item.render is not None:
            others = "".join(f", row[{index}]" for index in rest)
            value = f"{self.constant(item.render)}(value{others})"
            return f"{name} = 'null' if (value := row[{first}]) is None else TEXT({value})"
        return f"{name} = 'null' if (value := row[{first}]) is None else {self.written(item, 'value')}"

    def written(self, item: Scalar, value: str) -> str:
        """An expression for a value that is there."""
        if item.render is not None:
            return f"TEXT({self.constant(item.render)}({value}))"
        if item.kind is str:
            return f"TEXT({value})"
        if item.kind is int:
            return value
        if item.kind is datetime:
            return f"f'\"{{INSTANT({value})}}\"'"
        return f"f'\"{{DAY({value})}}\"'" if item.kind is date else f"ANY({value})"

    def many(self, item: Many) -> str:
        """An expression for the texts of a list's rows."""
        row = self.function(item.node)
        if item.parent is not None:
            return f"[{row}(each, part, reading) for each in part.rows({item.array}, row[{item.parent}])]"
        # One store has cut its own list; several are joined, ordered and cut again.
        one = f"[{row}(each, part, reading) for each in part.arrays[{item.array}] or ()]"
        pairs = f'{self.constant(item)}.rows(row, parts, reading)[:reading.bindings["{item.first}"]]'
        several = f"[{row}(each, its, reading) for each, its in {pairs}]"
        return f"{one} if len(parts) == 1 else {several}"
