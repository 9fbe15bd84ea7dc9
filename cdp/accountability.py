"""Who answers for a number: the region and the desk, worked out from what the stores hold, so that nobody has to argue.

There is an answer for every number that was ever held here, at any instant. The first of these that fits is the reason:

    LEDGER          somebody holds the number and all their accounts are elsewhere: the region of the oldest account
    PRODUCT         they have no account, and all their lines are elsewhere: the region of the oldest line
    HOLDING         somebody holds it: the region of the holding
    QUARANTINE      nobody holds it, and it is kept back, as long as its jurisdiction asks (`quarantine_term`) after its
                    release or whatever put it into quarantine: the region of the last holding
    FORMER_HOLDING  nobody holds it any more: the region of the last holding
    NUMBER          nobody held it yet: the region of the first holding, or of a record that told of the number

Of several roles, who uses the number goes before who it is registered for, and they before all others. The desk is that
of the region; money that is elsewhere is its billing desk's, a line that is elsewhere its service desk's.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

from cdp.identity.retagging import look_up
from cdp.identity.tables import NUMBER_INDEX
from cdp.stores import Connection
from privacy.keys import KeyRing

LIFE: Final = """
SELECT k.region, k.serving_operator, k.served_at,
       (SELECT max(f.at) FROM number_fact f
        WHERE f.number_tag = k.number_tag AND f.kind = 'QUARANTINED' AND f.at <= $2),
       (SELECT t.days FROM quarantine_term t WHERE t.jurisdiction IN (left(k.region, 2), '*')
        ORDER BY t.jurisdiction DESC LIMIT 1),
       i.customer_id, i.holding_id, i.role, i.valid_from, i.valid_to, h.state = 'RELEASED'
FROM known_number k LEFT JOIN number_index i ON i.number_tag = k.number_tag
LEFT JOIN number_holding h ON h.customer_id = i.customer_id AND h.holding_id = i.holding_id
WHERE k.number_tag = ANY($1::bytea[]) ORDER BY i.valid_from, i.role, i.holding_id
"""
PLACES: Final = """
SELECT h.region,
       ARRAY(SELECT a.region FROM account a WHERE a.customer_id = $1 AND a.opened_at <= $3
             ORDER BY a.opened_at, a.account_id),
       ARRAY(SELECT p.region FROM product p WHERE p.customer_id = $1 AND p.kind = 'LINE' AND p.start_on <= $3::date
             AND NOT coalesce(p.status = 'terminated' AND p.status_at <= $3, false) ORDER BY p.start_on, p.product_id)
FROM number_holding h WHERE h.customer_id = $1 AND h.holding_id = $2
"""
# The number that is nearest to what is asked about: of its region, then as its holder uses it.
NEAREST: Final = """
SELECT coalesce(h.region, n.region, c.region), h.region IS NOT NULL OR n.region IS NULL,
       ARRAY(SELECT a.region FROM account a WHERE a.customer_id = n.customer_id AND a.opened_at <= $3
             ORDER BY a.opened_at, a.account_id),
       ARRAY(SELECT p.region FROM product p WHERE p.customer_id = n.customer_id AND p.kind = 'LINE'
             AND p.region IS NOT NULL AND p.start_on <= $3::date
             AND NOT coalesce(p.status = 'terminated' AND p.status_at <= $3, false) ORDER BY p.start_on, p.product_id)
FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS n (customer_id, region, turn)
JOIN customer AS c ON c.customer_id = n.customer_id
LEFT JOIN LATERAL (
    SELECT h.region FROM number_holding h
    WHERE h.customer_id = n.customer_id AND h.valid_from <= $3 AND (h.valid_to IS NULL OR h.valid_to > $3)
    ORDER BY h.region IS DISTINCT FROM n.region, array_position(ARRAY['USER', 'REGISTERED_HOLDER'], h.role),
        h.role, h.valid_from, h.holding_id LIMIT 1
) AS h ON true
ORDER BY n.turn
"""
RANKS: Final[Mapping[str, int]] = {"USER": 0, "REGISTERED_HOLDER": 1}
LAST: Final = 2


class Reason(StrEnum):
    """Why a region answers."""

    LEDGER = "LEDGER"
    PRODUCT = "PRODUCT"
    HOLDING = "HOLDING"
    QUARANTINE = "QUARANTINE"
    FORMER_HOLDING = "FORMER_HOLDING"
    NUMBER = "NUMBER"


DESKS: Final = {Reason.LEDGER: "-billing", Reason.PRODUCT: "-service"}


class Accountability(NamedTuple):
    """The region that answers, and why."""

    region: str
    reason: Reason

    @property
    def desk(self) -> str:
        """The desk of the region."""
        return f"desk-{self.region}{DESKS.get(self.reason, '')}"


class Held(NamedTuple):
    """A number while it was somebody's."""

    customer_id: UUID
    holding_id: UUID
    role: str
    valid_from: datetime
    valid_to: datetime | None
    released: bool = False

    def covers(self, at: datetime) -> bool:
        """Whether it was at an instant."""
        return self.valid_from <= at and (self.valid_to is None or at < self.valid_to)


class KnownNumber(NamedTuple):
    """What a store knows of a number: `region` is that of a record that told of it, `kept_back_at` when it was
    last put into quarantine, `keeping` how long one lasts.
    """

    region: str
    serving_operator: str | None
    kept_back_at: datetime | None
    holdings: tuple[Held, ...]
    keeping: timedelta = timedelta()

    def of(self, at: datetime) -> tuple[Held | None, Reason]:
        """The holding that decides at an instant, and the reason there is for its region."""
        ranked = sorted(self.holdings, key=lambda held: (RANKS.get(held.role, LAST), held.role))
        if now := [held for held in ranked if held.covers(at)]:
            return now[0], Reason.HOLDING
        ended = [(held.valid_to, held) for held in ranked if held.valid_to is not None and held.valid_to <= at]
        if not ended:
            return min(ranked, key=lambda held: held.valid_from, default=None), Reason.NUMBER
        last_at, last = max(ended, key=lambda one: one[0])
        until = self._kept_until(last_at, last)
        return last, Reason.QUARANTINE if until is not None and at < until else Reason.FORMER_HOLDING

    def free_at(self, at: datetime) -> datetime | None:
        """When somebody may have it, where nobody holds it at an instant and it is kept back then."""
        last, reason = self.of(at)
        return self._kept_until(last.valid_to, last) if last and last.valid_to and reason is Reason.QUARANTINE else None

    def _kept_until(self, last_at: datetime, last: Held) -> datetime | None:
        begun = [last_at] if last.released else []
        begun += [self.kept_back_at] if self.kept_back_at is not None and self.kept_back_at >= last_at else []
        return max(begun) + self.keeping if begun else None


async def find_number(connection: Connection, ring: KeyRing, e164: str, at: datetime) -> KnownNumber | None:
    """What a store knows of a number as of an instant; None for one that was never held there."""
    return await look_up(connection, ring, (NUMBER_INDEX, e164), partial(_life, connection, at))


async def _life(connection: Connection, at: datetime, tags: Sequence[bytes]) -> KnownNumber | None:
    rows = await connection.fetch(LIFE, tags, at)
    if not rows:
        return None
    region, operator, served_at, kept_back_at, days, *_ = rows[0]
    holdings = tuple(Held(*row[5:]) for row in rows if row["holding_id"] is not None)
    operator = operator if served_at and served_at <= at else None
    return KnownNumber(region, operator, kept_back_at, holdings, timedelta(days=days or 0))


async def accountability(connection: Connection, known: KnownNumber, at: datetime) -> Accountability:
    """Who answers for a number of this store at an instant."""
    held, reason = known.of(at)
    places = None if held is None else await connection.fetchrow(PLACES, held.customer_id, held.holding_id, at)
    if places is None:
        return Accountability(known.region, Reason.NUMBER)
    region, accounts, lines = places
    return decided(region, reason, accounts, [line for line in lines if line is not None])


async def answering(
    connection: Connection, asked: Sequence[tuple[UUID, str | None]], at: datetime
) -> list[Accountability]:
    """Who answers for something that customers have in a region (None: that is not known), in order: who answers for
    the number nearest to it, as for any number; without one, the service desk of the region.
    """
    rows = await connection.fetch(NEAREST, *map(list, zip(*asked, strict=True)), at)
    return [
        decided(region, Reason.HOLDING, accounts, lines) if held else Accountability(region, Reason.PRODUCT)
        for region, held, accounts, lines in rows
    ]


def decided(region: str, reason: Reason, accounts: Sequence[str], lines: Sequence[str]) -> Accountability:
    """Who answers for a number of a region, whose holder has accounts and lines in these, the oldest first."""
    if reason is Reason.HOLDING and accounts and region not in accounts:
        return Accountability(accounts[0], Reason.LEDGER)
    if reason is Reason.HOLDING and not accounts and lines and region not in lines:
        return Accountability(lines[0], Reason.PRODUCT)
    return Accountability(region, reason)
