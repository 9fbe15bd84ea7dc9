"""The shape of an answer: what a plan knows about turning rows into JSON values.

Each item of a shape writes one response key. A `Row` is a tuple in the order its statement selected; indexes were
given out by the planner. Lists directly under a customer join the rows of all stores the customer is in; everything
deeper stays in its store.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cdp.cursors import cursor
from cdp.gate import Findings, Part, Row, Spot
from cdp.global_ids import GlobalId, link_id, row_id
from privacy.keys import TokenSeal
from privacy.masks import HIDDEN, masked
from privacy.seal import SealedColumn
from privacy.vocabulary import Withheld


@dataclass(slots=True)
class Reading:
    """One request under way: the values bound to its plan's parameters, whom it is for, and what was found."""

    bindings: dict[str, Any]
    tokens: TokenSeal
    client: str
    audience: str
    findings: Findings
    partner: bool


class Item(Protocol):
    """Writes the value of one response key."""

    @property
    def key(self) -> str: ...

    def value(self, row: Row, parts: Sequence[Part], reading: Reading) -> Any:
        """`parts[0]` owns `row`; the others are the same customer in other stores (only under a customer)."""
        ...


@dataclass(frozen=True, slots=True)
class Node:
    """An object of the answer: its items in the order they were asked for."""

    items: tuple[Item, ...]

    def value(self, row: Row, parts: Sequence[Part], reading: Reading) -> dict[str, Any]:
        return {item.key: item.value(row, parts, reading) for item in self.items}


@dataclass(frozen=True, slots=True)
class Typename:
    key: str
    name: str

    def value(self, row: Row, parts: Sequence[Part], reading: Reading) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value made of columns of the row; a sealed one is opened with the part's permit.

    Inside an embedded object (`inner`) the object has been decided already, and only its numbers and dates are masked.
    Where the field is no free text (not `text`), a mask that leaves nothing but a sign of it leaves null. `kind` is the
    Python type of what the row holds (`object` where the database alone knows).
    """

    key: str
    spot: Spot
    indexes: tuple[int, ...]
    render: Callable[..., Any] | None
    sealed: SealedColumn | None
    row_id: int
    inner: bool
    text: bool
    kind: type = object
    ended: int = -1
    """The index of the instant from which on it is for the service and the law alone; -1 for never."""
    offers: bool = False  # whether it is asked for anything else

    def value(self, row: Row, parts: Sequence[Part], reading: Reading) -> Any:
        if not self.inner and not parts[0].sees(self.spot, reading.findings):
            return None
        if self.ended >= 0 and (self.offers or reading.partner) and row[self.ended] is not None:
            reading.findings.withhold(self.spot.path, Withheld.HOLDING_ENDED)
            return None
        value = self.of(row, parts[0], reading)
        for part in parts[1:] if value is None else ():
            # What one record of a person does not say, another may.
            if part.store == parts[0].store and (value := self.of(part.head, part, reading)) is not None:
                break
        return value

    def of(self, row: Row, part: Part, reading: Reading) -> Any:
        """The value in one row."""
        first, *rest = [row[index] for index in self.indexes]
        if first is not None and self.sealed is not None:
            first = part.open(first, self.sealed, row[self.row_id], self.spot, reading.findings)
        if first is None:
            return None
        style = part.style(self.spot)
        if style is not None and not (self.inner and isinstance(first, str)):
            first = masked(style, first)
            if not self.inner:
                reading.findings.mask(self.spot.path, style)
            if first == HIDDEN and not self.text:
                return None
        return first if self.render is None else self.render(first, *rest)


@dataclass(frozen=True, slots=True)
class Token:
    """The sealed global id of a row: of the link where a customer is linked, of the row otherwise.

    To a partner who came by a number it is good for as long as that number is the customer's.
    """

    key: str
    type_name: str
    row_id: int

    def value(self, row: Row, parts: Sequence[Part], reading: Reading) -> str:
        part, whose, key = parts[0], parts[0].customer_id, row[self.row_id]
        holding = part.holding if reading.partner else None
        if self.type_name == "Customer":
            if holding is None and part.link is not None:
                return link_id(reading.tokens, reading.audience, part.link)
            whose = key = part.leader if holding is None else part.holder
        named = GlobalId(self.type_name, part.store, whose, key, holding=holding)
        return row_id(reading.tokens, reading.audience, named)


@dataclass(frozen=True, slots=True)
class Embedded:
    """An object made of columns of its parent's row."""

    key: str
    spot: Spot
    present: int
    node: Node

    def value(self, row: Row, parts: Sequence[Part], reading: Reading) -> dict[str, Any] | None:
        if not parts[0].sees(self.spot, reading.findings) or row[self.present] is None:
            return None
        if (style := parts[0].style(self.spot)) is not None:
            reading.findings.mask(self.spot.path, style)
        return self.node.value(row, parts[:1], reading)


@dataclass(frozen=True, slots=True)
class One:
    """The one row that belongs to this one, nested in it."""

    key: str
    spot: Spot
    index: int
    node: Node

    def value(self, row: Row, parts: Sequence[Part], reading: Reading) -> dict[str, Any] | None:
        if not parts[0].sees(self.spot, reading.findings) or row[self.index] is None:
            return None
        return self.node.value(row[self.index], parts[:1], reading)


@dataclass(frozen=True, slots=True)
class Many:
    """A list. `parent` is the index of the parent row's key, None directly under the root; `sort` holds (index,
    descending).
    """

    key: str
    spot: Spot
    array: int
    parent: int | None
    first: str
    sort: tuple[tuple[int, bool], ...]
    node: Node

    def rows(self, row: Row, parts: Sequence[Part], reading: Reading) -> list[tuple[Row, Part]] | None:
        """The rows of all parts that may be seen, in order; None where none may."""
        found, seen = list[tuple[Row, Part]](), 0
        for part in parts:
            if part.sees(self.spot, reading.findings):
                seen += 1
                parent = None if self.parent is None else row[self.parent]
                found += [(child, part) for child in part.rows(self.array, parent)]
        return None if seen == 0 else self.sorted(found) if seen > 1 else found

    def sorted(self, found: list[tuple[Row, Part]]) -> list[tuple[Row, Part]]:
        # As PostgreSQL does it: nulls are the largest, so last when rising and first when falling.
        for index, descending in reversed(self.sort):
            found.sort(key=lambda pair: (pair[0][index] is None, pair[0][index]), reverse=descending)
        return found

    def value(self, row: Row, parts: Sequence[Part], reading: Reading) -> list[dict[str, Any]] | None:
        found = self.rows(row, parts, reading)
        if found is None:
            return None
        return [self.node.value(child, (part,), reading) for child, part in found[: reading.bindings[self.first]]]


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of a page with the parts each is made of, and whether there are more.

    `ends` are its first and last row where these are not the first and last that are shown.
    """

    shown: Sequence[tuple[Row, Sequence[Part]]]
    more: bool
    ends: tuple[Row, Row] | None = None


@dataclass(frozen=True, slots=True)
class PageItem:
    """One field of a connection: `edges`, `pageInfo` or `__typename`, with what is asked of it as (response key,
    field, node).
    """

    key: str
    field: str
    items: tuple[tuple[str, str, Node | None], ...]


@dataclass(frozen=True, slots=True)
class Connection:
    """A Relay connection over a list; `place` names the list in its cursors. One row more than asked for tells of a
    next page.
    """

    many: Many
    place: str
    after: str
    items: tuple[PageItem, ...]
    type_name: str

    @property
    def key(self) -> str:
        return self.many.key

    def value(self, row: Row, parts: Sequence[Part], reading: Reading) -> dict[str, Any] | None:
        found = self.many.rows(row, parts, reading)
        if found is None:
            return None
        first = reading.bindings[self.many.first]
        page = Page([(child, (part,)) for child, part in found[:first]], len(found) > first)
        return {item.key: self.part_of(page, item, reading) for item in self.items}

    def part_of(self, page: Page, item: PageItem, reading: Reading) -> Any:
        """One field of the page."""
        if item.field == "edges":
            return [self.edge(row, parts, item.items, reading) for row, parts in page.shown]
        return self.page_info(page, item.items, reading) if item.field == "pageInfo" else self.type_name

    def edge(
        self, row: Row, parts: Sequence[Part], items: tuple[tuple[str, str, Node | None], ...], reading: Reading
    ) -> dict[str, Any]:
        edge: dict[str, Any] = {}
        for key, field, node in items:
            edge[key] = self.of_edge(row, field, reading) if node is None else node.value(row, parts, reading)
        return edge

    def of_edge(self, row: Row, field: str, reading: Reading) -> str:
        """The cursor of an edge, or its type name."""
        return self.cursor(row, reading) if field == "cursor" else f"{self.type_name.removesuffix('Connection')}Edge"

    def page_info(
        self, page: Page, items: tuple[tuple[str, str, Node | None], ...], reading: Reading
    ) -> dict[str, Any]:
        shown = (page.shown[0][0], page.shown[-1][0]) if page.shown else (None, None)
        start, end = page.ends or shown
        values: dict[str, Callable[[], Any]] = {
            "hasNextPage": lambda: page.more,
            "hasPreviousPage": lambda: reading.bindings[self.after] is not None,
            "startCursor": lambda: None if start is None else self.cursor(start, reading),
            "endCursor": lambda: None if end is None else self.cursor(end, reading),
            "__typename": lambda: "PageInfo",
        }
        return {key: values[field]() for key, field, _ in items}

    def cursor(self, row: Row, reading: Reading) -> str:
        return cursor(reading.tokens, self.place, reading.client, [row[index] for index, _ in self.many.sort])


@dataclass(frozen=True, slots=True)
class Listing:
    """Distinct values, sorted, of all stores the customer is in."""

    key: str
    spot: Spot
    array: int

    def value(self, row: Row, parts: Sequence[Part], reading: Reading) -> list[Any] | None:
        seen = [part for part in parts if part.sees(self.spot, reading.findings)]
        return sorted({value for part in seen for (value,) in part.rows(self.array, None)}) if seen else None
