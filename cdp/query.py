"""The read journey: ask the stores, decide per customer, fill the answer, and let it go when its audit entry is
durable.

A plan says which statement answers a root and what shape the answer has; this module knows nothing of GraphQL. Each
store is asked once per operation; a customer linked to another store is asked for there with the token both sides
share, and nothing else.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cdp.admission import OpenStore, admit
from cdp.asked import Asked, Plan, entry
from cdp.audit import uuid7
from cdp.auth import Caller
from cdp.gate import Spot
from cdp.rendering import Writer
from cdp.shape import Connection, Node, Page, Reading
from cdp.statement import LINKS, KeyKind, Way
from privacy.vocabulary import Effect, Withheld


@dataclass(frozen=True, slots=True)
class Root:
    """One root of a plan: its place in the answer, its shape, and the places a customer's other stores add to."""

    number: int
    path: tuple[str, ...]
    shape: Node | Connection
    joined: tuple[Spot, ...]
    writer: Writer
    categories: frozenset[str] = frozenset()
    """What it asks for of the customer's data."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A root to be answered: by which kind of key, the key's values in each store to be asked, and its other
    parameters.
    """

    root: Root
    kind: KeyKind
    keys: Mapping[str, Mapping[str, Any]]
    parameters: Mapping[str, Any]
    filters: tuple[str, ...] = ()
    """The categories a page was filtered by: being found is a read of them."""
    narrowed: tuple[str, ...] = ()
    """The columns a page is narrowed by, besides its region."""
    unserved: bool = False
    """The store to be asked is not served here, or not open to the caller."""


class Query:
    """Reads for callers, over the stores this process serves."""

    def __init__(self, stores: Mapping[str, OpenStore]) -> None:
        self.stores = stores

    async def read(self, wanted: Sequence[Wanted], asked: Asked, reading: Reading) -> dict[int, str]:
        """The data of each root as JSON, by its number. Raises StoreUnavailable when a store that was asked does not
        answer.
        """
        assert asked.plan is not None, "what is read has a plan"
        homes = await self._fetch(wanted, asked.plan, reading)
        away = self._linked(wanted, homes, asked, reading)
        others = await self._fetch(away, asked.plan, reading) if away else {}
        data: dict[int, str] = {}
        for want in wanted:
            number = want.root.number
            if want.unserved:
                reading.findings.withhold(want.root.path, Withheld.REGION_UNAVAILABLE)
            data[number] = await self._answer(want, homes.get(number, []), others.get(number, []), asked, reading)
        return data

    async def write_down(self, asked: Asked, code: str | None = None) -> UUID:
        """Make the operation durable in the audit trail of every store it touched; the id of its entries.

        One that touched no store is written down in the first the caller may read. Raises AuditUnavailable.
        """
        entry_id = uuid7(asked.at)
        first = next((store for store in asked.caller.stores if store in self.stores), next(iter(self.stores)))
        touched = sorted({part.store for part in asked.parts} | asked.stores) or [first]
        writing = [
            at.trail.record(entry(asked, name, at.store.jurisdiction, at.trail.names, code), entry_id)
            for name, at in ((name, self.stores[name]) for name in touched)
        ]
        if len(writing) == 1:
            await writing[0]
        else:
            await asyncio.gather(*writing)
        return entry_id

    async def _fetch(self, wanted: Sequence[Wanted], plan: Plan, reading: Reading) -> dict[int, list[tuple[str, Any]]]:
        """One statement per store; for each root its rows with the store they came from, in the order of the stores."""
        by_store: dict[str, list[Wanted]] = {}
        for want in wanted:
            for store in want.keys:
                by_store.setdefault(store, []).append(want)
        if len(by_store) == 1:
            [(store, asked)] = by_store.items()
            answers = [await self._execute(store, asked, plan, reading)]
        else:
            each = (self._execute(store, asked, plan, reading) for store, asked in by_store.items())
            answers = await asyncio.gather(*each)
        found: dict[int, list[tuple[str, Any]]] = {}
        for store, rows in zip(by_store, answers, strict=True):
            for row in rows:
                found.setdefault(row[0], []).append((store, row))
        return found

    async def _execute(self, store: str, wanted: Sequence[Wanted], plan: Plan, reading: Reading) -> Sequence[Any]:
        statement = plan.statement(tuple(_way(want, reading) for want in wanted))
        shared, keys = dict(reading.bindings), dict(wanted[0].keys[store])
        for want in wanted:
            shared |= want.parameters
            keys |= want.keys[store]
        return await self.stores[store].gatherer.rows(
            statement, [keys[name] for name in statement.keys], tuple([shared[name] for name in statement.shared])
        )

    def _linked(
        self, wanted: Sequence[Wanted], homes: Mapping[int, Sequence[tuple[str, Any]]], asked: Asked, reading: Reading
    ) -> list[Wanted]:
        """The customers found that are in another store too; what may not be asked there is withheld."""
        away = []
        for want in wanted:
            if want.kind in (KeyKind.ROW, KeyKind.REGION) or not homes.get(want.root.number):
                continue
            _, row = homes[want.root.number][0]
            for token, other, _leads in row[LINKS]:
                if other not in self.stores or other not in asked.caller.stores:
                    _withhold_others(want.root, reading)
                elif want.kind is not KeyKind.LINK:  # by a link, both sides have been asked already
                    keys = {other: {f"r{want.root.number}_key": token}}
                    away.append(Wanted(want.root, KeyKind.LINK, keys, want.parameters))
        return away

    async def _answer(
        self,
        want: Wanted,
        rows: Sequence[tuple[str, Any]],
        away: Sequence[tuple[str, Any]],
        asked: Asked,
        reading: Reading,
    ) -> str:
        if want.kind is KeyKind.REGION:
            return await self._page(want, rows, asked, reading)
        if want.kind is KeyKind.LINK:
            # Both sides of the link were asked; the one that leads is home.
            rows, away = (sides := sorted(rows, key=lambda side: not _leads(side[1])))[:1], sides[1:]
        if not rows:
            return _nothing(want.root, asked.caller, reading)
        destination = self.stores[rows[0][0]].store.jurisdiction
        token = rows[0][1][LINKS][0][0] if rows[0][1][LINKS] else None
        parts = [await admit(self.stores[store], row, destination, asked) for store, row in (rows[0], *away)]
        home, *others = parts
        others = [part for part in others if part.link == token]
        asked.parts += [home, *others]
        asked.home |= {part.customer_id: destination for part in (home, *others)}
        if asked.caller.partner and not home.shows_any(want.root.categories):
            return _nothing(want.root, asked.caller, reading)
        assert isinstance(want.root.shape, Node)
        return want.root.writer.object(want.root.shape, home.head, [home, *others], reading)

    async def _page(self, want: Wanted, rows: Sequence[tuple[str, Any]], asked: Asked, reading: Reading) -> str:
        shape = want.root.shape
        assert isinstance(shape, Connection)
        first = reading.bindings[shape.many.first]
        parts = []
        for store, row in rows[:first]:
            at = self.stores[store]
            part = await admit(at, row, at.store.jurisdiction, asked)
            refused = [v for name in want.filters if (v := part.verdicts[name]).effect is not Effect.ALLOW]
            if refused:
                # Being found by a filter is a read of the filtered field.
                code = refused[0].code or Withheld.UNAVAILABLE
                reading.findings.withhold(shape.many.spot.path, code, refused[0].kind)
            else:
                parts.append(part)
        asked.parts += parts
        asked.home |= {part.customer_id: self.stores[part.store].store.jurisdiction for part in parts}
        # One who may not be listed keeps their place: the page ends, and goes on, where it would with them.
        ends = (rows[0][1][2], rows[:first][-1][1][2]) if rows[:first] else None
        shown = [(part.head, (part,)) for part in parts]
        return want.root.writer.page(Page(shown, len(rows) > first, ends), reading)


def _way(want: Wanted, reading: Reading) -> Way:
    if want.kind is not KeyKind.REGION:
        return Way(want.root.number, want.kind)
    return Way(want.root.number, want.kind, want.narrowed, reading.bindings[f"r{want.root.number}_limit"])


def _withhold_others(root: Root, reading: Reading) -> None:
    """What the customer's other store would have added is not to be had."""
    for spot in root.joined:
        reading.findings.withhold(spot.path, Withheld.REGION_UNAVAILABLE)


def _nothing(root: Root, caller: Caller, reading: Reading) -> str:
    # To a partner, a customer nobody knows and one who agreed to nothing look the same.
    if caller.partner:
        reading.findings.forget(root.path)
        reading.findings.withhold(root.path, Withheld.UNAVAILABLE)
    return "null"


def _leads(row: Any) -> bool:
    return any(leads for _, _, leads in row[LINKS])
