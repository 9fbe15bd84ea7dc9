"""How many customers' data left over a transfer basis in a year: each counted once, before it leaves."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from cdp.stores import Store
from privacy.rows import TransferBasis

MOST_REMEMBERED: Final = 100_000
"""Crossings that are known to be counted; beyond them the store is asked again."""

# Those who count over a basis with a cap wait for each other.
LOCK = "SELECT FROM transfer_basis WHERE id = $1 FOR UPDATE"
COUNT = """
INSERT INTO transfer_crossing (customer_id, basis, year, first_at)
SELECT $1, $2, $3, $4 WHERE $5::int IS NULL OR $5 > (
    SELECT count(*) FROM transfer_crossing WHERE basis = $2 AND year = $3
)
ON CONFLICT DO NOTHING
"""
CROSSED = """
SELECT basis, count(*), bool_or(customer_id = $1) FROM transfer_crossing
WHERE basis = ANY($4::text[]) AND year = $2 AND first_at <= $3 GROUP BY basis
"""
COUNTED = "SELECT EXISTS (SELECT FROM transfer_crossing WHERE customer_id = $1 AND basis = $2 AND year = $3)"


class Crossings:
    """Counts for one store. A year is a calendar year in UTC."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counted: set[tuple[UUID, str, int]] = set()

    async def full(self, bases: Iterable[TransferBasis], customer_id: UUID, at: datetime) -> frozenset[str]:
        """Count a customer for each basis; those that have no room for one more this year.

        Raises StoreUnavailable where that cannot be written.
        """
        return frozenset([basis.id for basis in bases if not await self._has_room(basis, customer_id, at)])

    async def without_room(self, bases: Iterable[TransferBasis], customer_id: UUID, at: datetime) -> frozenset[str]:
        """Those that had no room for a customer at an instant (UTC). Nobody is counted."""
        capped = [(basis, basis.cap) for basis in bases if basis.cap is not None]
        if not capped:
            return frozenset()
        names = [basis.id for basis, _ in capped]
        async with self._store.read() as connection:
            crossed = {row[0]: row[1:] for row in await connection.fetch(CROSSED, customer_id, at.year, at, names)}
        found = ((basis, cap, *crossed.get(basis.id, (0, False))) for basis, cap in capped)
        return frozenset([basis.id for basis, cap, count, mine in found if not mine and basis.used + count >= cap])

    async def _has_room(self, basis: TransferBasis, customer_id: UUID, at: datetime) -> bool:
        crossing = (customer_id, basis.id, at.year)
        if crossing in self._counted:
            return True
        async with self._store.transaction() as connection:
            if basis.cap is not None:
                await connection.execute(LOCK, basis.id)
            counted: bool = await connection.fetchval(COUNTED, *crossing)
            if not counted:
                room = None if basis.cap is None else basis.cap - basis.used
                added = await connection.execute(COUNT, *crossing, at, room) == "INSERT 0 1"
                counted = added or basis.cap is None  # without a cap, another one was faster
        if counted:
            if len(self._counted) >= MOST_REMEMBERED:
                self._counted.clear()
            self._counted.add(crossing)
        return counted
