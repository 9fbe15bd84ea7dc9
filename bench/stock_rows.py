"""Where the resolvers of `bench.stock` get their rows: one DataLoader per list and size, as Strawberry's guide to
DataLoaders has it, over asyncpg. Nothing is opened: a sealed cell stays what it is, as base64 text.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from uuid import UUID

import asyncpg
from strawberry.dataloader import DataLoader

__all__ = ["Key", "Rows", "sealed_text"]

Row: TypeAlias = Mapping[str, Any]
Key: TypeAlias = tuple[str, UUID]
"""A customer's record: the store and the id there."""

ORDERS: Final = {
    "customer_region": "region",
    "number_holding": "valid_from DESC, holding_id",
    "consent_event": "happened_at DESC, consent_event_id",
    "account": "opened_at DESC, account_id",
    "usage_month": "month_on DESC, region",
    "bill": "bill_on DESC, bill_id",
    "interaction": "at DESC, interaction_id",
}
BY_NUMBER: Final = """
SELECT c.*, (SELECT l.token FROM link l WHERE l.customer_id = c.customer_id AND l.state = 'ACTIVE' LIMIT 1) AS link
FROM number_index i JOIN customer c ON c.customer_id = i.customer_id
WHERE i.number_tag = $1 AND i.role = 'USER' AND i.valid_from <= now() AND (i.valid_to IS NULL OR i.valid_to > now())
ORDER BY i.valid_from DESC, i.holding_id LIMIT 1
"""
BY_LINK: Final = "SELECT customer_id FROM link_index WHERE token = $1"
BY_REGION: Final = """
SELECT * FROM customer WHERE region = $1 AND ($2::uuid IS NULL OR customer_id > $2) ORDER BY customer_id LIMIT $3
"""
LIST: Final = """
SELECT listed.* FROM unnest($1::uuid[]) AS wanted (id), LATERAL (
    SELECT * FROM {table} WHERE customer_id = wanted.id ORDER BY {order} LIMIT $2) listed
"""


@dataclass(slots=True)
class Rows:
    """The rows one request reads; `pools` by the name of the store."""

    pools: Mapping[str, asyncpg.Pool]
    _loaders: dict[tuple[str, int], DataLoader[Key, Sequence[Row]]] = field(default_factory=dict)

    async def holder(self, tag: bytes) -> tuple[Row | None, tuple[Key, ...]]:
        """The customer who holds a number, and their records in all stores; that of the number first."""
        row = await self.pools["cn"].fetchrow(BY_NUMBER, tag)
        if row is None:
            return None, ()
        keys: tuple[Key, ...] = (("cn", row["customer_id"]),)
        if row["link"] is not None:
            other = await self.pools["hk"].fetchval(BY_LINK, row["link"])
            keys += (("hk", other),) if other else ()
        return row, keys

    async def of_region(self, region: str, after: UUID | None, first: int) -> Sequence[Row]:
        """A page of customers, in the order of their ids."""
        rows: Sequence[Row] = await self.pools["cn"].fetch(BY_REGION, region, after, first)
        return rows

    async def of(self, table: str, keys: Sequence[Key], first: int) -> list[Row]:
        """The first rows of a customer's list, record after record."""
        loader = self._loaders.get((table, first))
        if loader is None:
            loader = self._loaders[table, first] = DataLoader(load_fn=self._loading(table, first))
        found = await asyncio.gather(*(loader.load(key) for key in keys))
        return [row for rows in found for row in rows]

    def _loading(self, table: str, first: int) -> Callable[[list[Key]], Awaitable[list[Sequence[Row]]]]:
        statement = LIST.format(table=table, order=ORDERS[table])

        async def load(keys: list[Key]) -> list[Sequence[Row]]:
            found: dict[Key, list[Row]] = {key: [] for key in keys}
            for store in dict.fromkeys(store for store, _ in keys):
                ids = [customer_id for where, customer_id in keys if where == store]
                for row in await self.pools[store].fetch(statement, ids, first):
                    found[store, row["customer_id"]].append(row)
            return [found[key] for key in keys]

        return load


def sealed_text(cell: bytes | None) -> str | None:
    """A sealed cell as text."""
    return None if cell is None else base64.b64encode(cell).decode()
