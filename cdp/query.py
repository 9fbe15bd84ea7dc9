"""The read journey: ask the stores, decide per customer, fill the answer, and let it go when its audit entry is
durable.

A plan says which statement answers a root and what shape the answer has; this module knows nothing of GraphQL. Each
store is asked once per operation; a customer linked to another store is asked for there with the token both sides
share, and nothing else.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from cdp.admission import Admission, OpenStore
from cdp.asked import Asked, Plan, write_down
from cdp.audit import uuid7
from cdp.auth import Caller
from cdp.gate import Part, Spot
from cdp.rendering import Writer
from cdp.shape import Connection, Node, Page, Reading
from cdp.statement import DATA_KEYS, HEAD_ROW, LINKS, POLICY_VERSION, KeyKind, Way
from privacy.blind import Index
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


class Wanted(NamedTuple):
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
    found_by: Index | None = None
    """The index by whose tags it is found: a row may have moved on to a later tag."""


class _Rows:
    """The rows of what is wanted, one statement per store."""

    def __init__(self, stores: Mapping[str, OpenStore]) -> None:
        self._stores = stores

    async def fetch(self, wanted: Sequence[Wanted], plan: Plan, reading: Reading) -> dict[int, list[tuple[str, Any]]]:
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
        statement = plan.statement(tuple([_way(want, reading) for want in wanted]))
        keys = wanted[0].keys[store]
        for want in wanted[1:]:
            keys = {**keys, **want.keys[store]}
        bound = reading.bindings
        at = self._stores[store]
        rows = await at.gatherer.rows(
            statement, [keys[name] for name in statement.keys], tuple([bound[name] for name in statement.shared])
        )
        return rows if at.store.apart is None else await at.with_keys(rows)

    async def seek_further(
        self, wanted: Sequence[Wanted], homes: dict[int, list[tuple[str, Any]]], plan: Plan, reading: Reading
    ) -> None:
        """Asks for what was not found by its tag by the tags that came later, where the store has such."""
        for want in wanted:
            number = want.root.number
            if want.found_by is None or len(homes.get(number, ())) == len(want.keys):
                continue
            for store in want.keys.keys() - {store for store, _ in homes.get(number, ())}:
                if rows := await self._further(want, want.found_by, store, (plan, reading)):
                    homes.setdefault(number, []).extend(rows)
            if number in homes:
                order = list(want.keys)
                homes[number].sort(key=lambda row: order.index(row[0]))

    async def _further(
        self, want: Wanted, index: Index, store: str, how: tuple[Plan, Reading]
    ) -> list[tuple[str, Any]] | None:
        at, key, keys = self._stores[store], f"r{want.root.number}_key", want.keys[store]
        await at.keep_up()
        for tag in at.ring.later_tags(index, keys[key]):
            found = await self.fetch([want._replace(keys={store: {**keys, key: tag}})], *how)
            if found:
                return found[want.root.number]
        return None


class Query:
    """Reads for callers, over the stores this process serves."""

    def __init__(self, stores: Mapping[str, OpenStore]) -> None:
        self.stores, self._rows = stores, _Rows(stores)

    async def read(self, wanted: Sequence[Wanted], asked: Asked, reading: Reading) -> dict[int, str]:
        """The data of each root as JSON, by its number. Raises StoreUnavailable when a store that was asked does not
        answer.
        """
        assert asked.plan is not None, "what is read has a plan"
        for want in wanted:
            reading.bindings |= want.parameters
        homes = await self._rows.fetch(wanted, asked.plan, reading)
        await self._rows.seek_further(wanted, homes, asked.plan, reading)
        away = self._linked(wanted, homes, asked, reading)
        others = await self._rows.fetch(away, asked.plan, reading) if away else {}
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
        touched = {part.store for part in asked.parts} | asked.stores
        if not touched:
            touched = {next((name for name in asked.caller.stores if name in self.stores), next(iter(self.stores)))}
        writing = [write_down(asked, self.stores[name].book, code, entry_id) for name in sorted(touched)]
        if len(writing) == 1:
            await writing[0]
        else:
            await asyncio.gather(*writing)
        return entry_id

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
        parts = [await self._admitted(store, row, destination, asked) for store, row in (rows[0], *away)]
        home = parts[0]
        if away:
            parts = [home, *(part for part in parts[1:] if part.link == home.link)]
        asked.parts += parts
        if asked.caller.partner and not home.shows_any(want.root.categories):
            return _nothing(want.root, asked.caller, reading)
        assert isinstance(want.root.shape, Node)
        return want.root.writer.object(want.root.shape, home.head, parts, reading)

    async def _admitted(self, store: str, row: Any, destination: str, asked: Asked) -> Part:
        return (await self._admission(store, [row], destination, asked)).part(row)

    async def _admitted_page(self, rows: Sequence[tuple[str, Any]], asked: Asked) -> list[Part]:
        """The customers of a page: it is of one region, and so of one store."""
        store, listed = rows[0][0], [row for _, row in rows]
        admission = await self._admission(store, listed, self.stores[store].store.jurisdiction, asked)
        return [admission.part(row) for row in listed]

    async def _admission(self, store: str, rows: Sequence[Any], destination: str, asked: Asked) -> Admission:
        """What admits rows of one statement."""
        at = self.stores[store]
        for row in rows:
            if not at.ring.holds(row[DATA_KEYS]):
                await at.keep_up()
        return Admission(at, await at.policy_since(rows[0][HEAD_ROW][POLICY_VERSION]), destination, asked)

    async def _page(self, want: Wanted, rows: Sequence[tuple[str, Any]], asked: Asked, reading: Reading) -> str:
        shape = want.root.shape
        assert isinstance(shape, Connection)
        first = reading.bindings[shape.many.first]
        listed = rows[:first]
        parts = []
        for part in await self._admitted_page(listed, asked) if listed else ():
            refused = [v for name in want.filters if (v := part.decision.verdicts[name]).effect is not Effect.ALLOW]
            if refused:
                # Being found by a filter is a read of the filtered field.
                code = refused[0].code or Withheld.UNAVAILABLE
                reading.findings.withhold(shape.many.spot.path, code, refused[0].kind)
            else:
                parts.append(part)
        asked.parts += parts
        # One who may not be listed keeps their place: the page ends, and goes on, where it would with them.
        ends = (listed[0][1][HEAD_ROW], listed[-1][1][HEAD_ROW]) if listed else None
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
