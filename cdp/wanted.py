"""What is wanted of the stores, and its rows: one statement per store, and later tags for what a rotation has moved."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from cdp.admission import OpenStore
from cdp.asked import Plan
from cdp.errors import StoreUnavailable
from cdp.gate import Spot
from cdp.rendering import Writer
from cdp.shape import Connection, Node, Reading
from cdp.statement import KeyKind, Way
from privacy.blind import Index
from privacy.vocabulary import Withheld

Rows: TypeAlias = Sequence[tuple[str, Any]]
"""Rows of statements, each with the store it came from."""


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


class Seeker:
    """Asks stores for what is wanted."""

    def __init__(self, stores: Mapping[str, OpenStore]) -> None:
        self._stores = stores

    async def find(self, wanted: Sequence[Wanted], plan: Plan, reading: Reading) -> dict[int, list[tuple[str, Any]]]:
        """Like `fetch`; what is not found by its tag is asked for by the tags that came later, where there are such.

        For a partner that is asked in any case: whether somebody was found is not to be told by the work.
        """
        found = await self.fetch(wanted, plan, reading)
        for want in wanted:
            number = want.root.number
            missing = want.keys.keys() - {store for store, _ in found.get(number, ())}
            if want.found_by is None or not (missing or reading.partner):
                continue
            for store in want.keys if reading.partner else missing:
                rows = await self._further(want, want.found_by, store, (plan, reading))
                if rows and store in missing:
                    found.setdefault(number, []).extend(rows)
            if number in found:
                order = list(want.keys)
                found[number].sort(key=lambda row: order.index(row[0]))
        return found

    async def fetch(
        self, wanted: Sequence[Wanted], plan: Plan, reading: Reading, *, away: bool = False
    ) -> dict[int, list[tuple[str, Any]]]:
        """One statement per store; for each root its rows with the store they came from, in the order of the stores.

        `away`: of customers' other stores, one that is down takes nothing away from the answer of their own.
        """
        by_store: dict[str, list[Wanted]] = {}
        for want in wanted:
            for store in want.keys:
                by_store.setdefault(store, []).append(want)
        answering = [self._execute(store, asked, plan, reading) for store, asked in by_store.items()]
        if away:
            answering = [
                _forgiven(one, asked, reading) for one, asked in zip(answering, by_store.values(), strict=True)
            ]
        answers = [await answering[0]] if len(answering) == 1 else await asyncio.gather(*answering)
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
        return await self._stores[store].rows(
            statement, [keys[name] for name in statement.keys], tuple([bound[name] for name in statement.shared])
        )

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


def withhold_others(root: Root, reading: Reading) -> None:
    """What the customer's other store would have added is not to be had."""
    for spot in root.joined:
        reading.findings.withhold(spot.path, Withheld.REGION_UNAVAILABLE)


def _way(want: Wanted, reading: Reading) -> Way:
    if want.kind is not KeyKind.REGION:
        return Way(want.root.number, want.kind)
    return Way(want.root.number, want.kind, want.narrowed, reading.bindings[f"r{want.root.number}_limit"])


async def _forgiven(
    answering: Coroutine[Any, Any, Sequence[Any]], wanted: Sequence[Wanted], reading: Reading
) -> Sequence[Any]:
    try:
        return await answering
    except StoreUnavailable:
        for want in wanted:
            withhold_others(want.root, reading)
        return ()
