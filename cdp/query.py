"""The read journey: ask the stores, decide per customer, fill the answer, and let it go when its audit entry is
durable.

A plan says which statement answers a root and what shape the answer has; this module knows nothing of GraphQL. Each
store is asked once per operation; a customer linked to another store is asked for there with the token both sides
share, and nothing else.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from cdp.admission import Admission, OpenStore
from cdp.asked import Asked, write_down
from cdp.audit import uuid7
from cdp.auth import Caller
from cdp.gate import Part
from cdp.shape import Connection, Node, Page, Reading
from cdp.statement import CUSTOMER_ID, HEAD_ROW, HELD, LEADER, LINKS, POLICY_VERSION, KeyKind
from cdp.wanted import Root, Rows, Seeker, Wanted, withhold_others
from privacy.vocabulary import Effect, Withheld


class Query:
    """Reads for callers, over the stores this process serves."""

    def __init__(self, stores: Mapping[str, OpenStore]) -> None:
        self.stores, self._seeker = stores, Seeker(stores)

    async def read(self, wanted: Sequence[Wanted], asked: Asked, reading: Reading) -> dict[int, str]:
        """The data of each root as JSON, by its number. Raises StoreUnavailable when a store that was asked does not
        answer; what a customer's other store would have added is withheld then.
        """
        assert asked.plan is not None, "what is read has a plan"
        for want in wanted:
            reading.bindings |= want.parameters
        homes = await self._seeker.find(wanted, asked.plan, reading)
        away = self._linked(wanted, await self._told(wanted, homes, asked), asked, reading)
        others = await self._seeker.fetch(away, asked.plan, reading, away=True) if away else {}
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

    async def _told(self, wanted: Sequence[Wanted], homes: Mapping[int, Rows], asked: Asked) -> Mapping[int, Rows]:
        """Of these rows those of customers of whom anything is told. A partner is not to see, by how long it takes or
        where it is written down, whether there is somebody of whom nothing is.
        """
        if not asked.caller.partner:
            return homes
        told: dict[int, Rows] = {}
        for want in wanted:
            asked.stores |= want.keys.keys()
            if want.kind is not KeyKind.REGION and (rows := homes.get(want.root.number)):
                store, row = _by_store(rows, by_link=want.kind is KeyKind.LINK)[0][0]
                part = await self._admitted(store, row, self.stores[store].store.jurisdiction, asked)
                if part.shows_any(want.root.categories):
                    told[want.root.number] = rows
        return told

    def _linked(
        self, wanted: Sequence[Wanted], homes: Mapping[int, Rows], asked: Asked, reading: Reading
    ) -> list[Wanted]:
        """The customers found that are in another store too; what may not be asked there is withheld."""
        away = []
        for want in wanted:
            if want.kind in (KeyKind.ROW, KeyKind.REGION, KeyKind.HOLDER) or not homes.get(want.root.number):
                continue
            home = homes[want.root.number][0][0]
            links = {link[:2] for store, row in homes[want.root.number] if store == home for link in row[LINKS]}
            # Of several links of one person to one other store the first is followed.
            for other, token in {other: token for token, other in sorted(links, reverse=True)}.items():
                if other not in self.stores or other not in asked.caller.stores:
                    withhold_others(want.root, reading)
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
        if not rows:
            return _nothing(want.root, asked.caller, reading)
        home, *sides = _by_store(rows, by_link=want.kind is KeyKind.LINK)
        destination = self.stores[home[0][0]].store.jurisdiction
        parts = _as_one([await self._admitted(store, row, destination, asked) for store, row in home])
        for side in (*sides, *_by_store(away)):
            parts += [await self._admitted(store, row, destination, asked) for store, row in side]
        asked.parts += parts
        if asked.caller.partner and not parts[0].shows_any(want.root.categories):
            return _nothing(want.root, asked.caller, reading)
        assert isinstance(want.root.shape, Node)
        return want.root.writer.object(want.root.shape, parts[0].head, parts, reading)

    async def _admitted(self, store: str, row: Any, destination: str, asked: Asked) -> Part:
        admission = await self._admission(store, row, destination, asked)
        at_home = self.stores[store].store.jurisdiction == destination
        return admission.part(row) if at_home else await admission.leaving(row)

    async def _admitted_page(self, persons: Sequence[Rows], asked: Asked) -> list[list[Part]]:
        """The records of each person of a page: it is of one region, and so of one store."""
        store, first = persons[0][0]
        admission = await self._admission(store, first, self.stores[store].store.jurisdiction, asked)
        return [_as_one([admission.part(row) for _, row in rows]) for rows in persons]

    async def _admission(self, store: str, row: Any, destination: str, asked: Asked) -> Admission:
        """What admits the rows of a statement, of which `row` is one."""
        at = self.stores[store]
        return Admission(at, await at.policy_since(row[HEAD_ROW][POLICY_VERSION]), destination, asked)

    async def _page(self, want: Wanted, rows: Sequence[tuple[str, Any]], asked: Asked, reading: Reading) -> str:
        shape = want.root.shape
        assert isinstance(shape, Connection)
        first = reading.bindings[shape.many.first]
        persons = _persons(rows)
        listed = persons[:first]
        shown = []
        for person, parts in zip(listed, await self._admitted_page(listed, asked) if listed else (), strict=True):
            verdicts = parts[0].decision.verdicts
            refused = [verdicts[name] for name in want.filters if verdicts[name].effect is not Effect.ALLOW]
            if refused:
                # Being found by a filter is a read of the filtered field, and so is not being found.
                code = refused[0].code or Withheld.UNAVAILABLE
                reading.findings.withhold(shape.many.spot.path, code, refused[0].kind)
            elif not want.narrowed or person[0][1][HEAD_ROW][HELD] is not None:
                shown.append((parts[0].head, parts))
        asked.parts += [part for _, parts in shown for part in parts]
        # One who is not listed keeps their place: the page ends, and goes on, where it would with them.
        ends = (listed[0][0][1][HEAD_ROW], listed[-1][0][1][HEAD_ROW]) if listed else None
        return want.root.writer.page(Page(shown, len(persons) > first, ends), reading)


def _nothing(root: Root, caller: Caller, reading: Reading) -> str:
    # To a partner, a customer nobody knows and one who agreed to nothing look the same.
    if caller.partner:
        reading.findings.forget(root.path)
        reading.findings.withhold(root.path, Withheld.UNAVAILABLE)
    return "null"


def _persons(rows: Rows) -> Sequence[Rows]:
    """The rows of each person, which follow each other, the one by which they were found first."""
    persons: list[list[tuple[str, Any]]] = []
    before = None
    for store, row in rows:
        head = row[HEAD_ROW]
        person = head[CUSTOMER_ID] if head[LEADER] is None else head[LEADER]
        if person != before:
            persons.append([])
        persons[-1].append((store, row))
        before = person
    return persons


def _as_one(parts: list[Part]) -> list[Part]:
    """The records of one person in a store: where one of them is linked, the person is."""
    if len(parts) > 1:
        first = parts[0]
        first.link = min((part.link for part in parts if part.link is not None), default=None)
        for part in parts:
            if part.holding is not None:
                first.holding, first.holder = part.holding, part.customer_id
    return parts


def _by_store(rows: Rows, *, by_link: bool = False) -> list[Rows]:
    """The rows of each store, the leading record first; by a link, the store that leads comes first."""
    stores: dict[str, list[tuple[str, Any]]] = {}
    for store, row in rows:
        stores.setdefault(store, []).append((store, row))
    sides: list[Rows] = [sorted(side, key=_follows) if len(side) > 1 else side for side in stores.values()]
    return sorted(sides, key=lambda side: not any(_leads(row) for _, row in side)) if by_link else sides


def _follows(one: tuple[str, Any]) -> bool:
    head = one[1][HEAD_ROW]
    return head[LEADER] is not None and head[LEADER] != head[CUSTOMER_ID]


def _leads(row: Any) -> bool:
    return any(leads for _, _, leads in row[LINKS])
