"""What is wrong with a top-up, worked out from both sides: what was asked for, and what lies on accounts because of it.

Nothing here knows a clock or a database, and the order in which things came to be known is not asked for.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from cdp.billing.ledger import clearing
from cdp.changes import Newest

ANOMALY_STATE: Final = Newest(("state",), "state_at", amend=True)
ANOMALY: Final = Newest(
    (
        *("state", "kind", "top_up_id", "top_up_ref", "region", "owner", "found_at"),
        *("posted_to", "posted_region", "posted_minor", "posted_currency", "posted_at"),
        *("take_minor", "take_currency", "give_minor", "give_currency", "give_account_id"),
    ),
    "state_at",
)


class AnomalyKind(StrEnum):
    """What is wrong."""

    NOT_POSTED = "NOT_POSTED"
    NOT_REQUESTED = "NOT_REQUESTED"
    POSTED_ELSEWHERE = "POSTED_ELSEWHERE"
    POSTED_TWICE = "POSTED_TWICE"
    WRONG_CURRENCY = "WRONG_CURRENCY"
    WRONG_AMOUNT = "WRONG_AMOUNT"


class AnomalyState(StrEnum):
    """Whether it is put right: OPEN while nobody can say how, PROPOSED while somebody has to approve how."""

    OPEN = "OPEN"
    PROPOSED = "PROPOSED"
    CORRECTED = "CORRECTED"
    CLEARED = "CLEARED"


class Whose(StrEnum):
    """Whose account money lies on, and for which number, as the one who asked sees it."""

    OWN = "OWN"
    OTHER_NUMBER = "OTHER_NUMBER"
    FORMER_HOLDER = "FORMER_HOLDER"
    OTHER_CUSTOMER = "OTHER_CUSTOMER"


class Asked(NamedTuple):
    """A top-up as it was asked for; no amount where only a posting tells of it. `is_late`: it should be posted by now,
    or, where nobody asked for it, asked for.
    """

    customer_id: UUID
    top_up_id: UUID
    region: str | None
    minor: int | None
    currency: str | None
    channel: str | None
    number_hash: bytes | None
    is_late: bool


class Held(NamedTuple):
    """What lies on an account because of a top-up, when all its postings are added up: never nothing. `number_hash` is
    of the number the latest of them was for.
    """

    top_up_id: UUID
    """What the posting was said to be of: the top-up itself, or one of its name that somebody else is said to have."""
    customer_id: UUID
    account_id: UUID
    region: str | None
    currency: str
    against: str
    number_hash: bytes | None
    minor: int
    times: int
    at: datetime
    had_number: bool
    """Whether its owner once held a number that is now the other customer's."""


class Account(NamedTuple):
    """An account of the customer's own."""

    account_id: UUID
    region: str
    currency: str


class Move(NamedTuple):
    """A transaction that puts an account right: what it gets, below zero what it loses."""

    top_up_id: UUID
    customer_id: UUID
    account_id: UUID
    region: str | None
    minor: int
    currency: str
    against: str
    number_hash: bytes | None


class Finding(NamedTuple):
    """What is wrong, the posting that shows it (None where there is none), and what would put it right (None where
    that cannot be told).
    """

    kind: AnomalyKind
    posted: Held | None
    whose: Whose | None
    moves: tuple[Move, ...] | None


NOBODYS: Final = UUID(int=0)


def judge(asked: Asked, held: Sequence[Held], own: Sequence[Account]) -> Finding | None:
    """What is wrong with a top-up; None where nothing is, or where it is too early to say."""
    held = sorted(held, key=lambda one: (one.at, one.account_id, one.currency, one.against, one.top_up_id))
    if asked.minor is None or asked.currency is None:
        return _unasked(asked, held)
    whom = asked.top_up_id, asked.customer_id
    target = Move(*whom, *_target(asked, own), asked.minor, asked.currency, _from(asked), asked.number_hash)
    if not held:
        known = target.account_id != NOBODYS
        return Finding(AnomalyKind.NOT_POSTED, None, None, (target,) if known else None) if asked.is_late else None
    whose = [_whose(asked, one, own) for one in held]
    there = [one for one, of in zip(held, whose, strict=True) if of is Whose.OWN]
    good = [one for one in there if one.currency == asked.currency and one.minor > 0]
    if len(held) == len(good) == 1 and good[0].minor == asked.minor:
        return None
    kept = good[0] if good else None
    moves = [_until(one, asked.minor if one is kept else 0) for one in held]
    moves += [] if kept else [target]
    kind = _kind(asked, held, there, good)
    astray = next((n for n, one in enumerate(held) if one is not kept), 0)
    unknown = kept is None and target.account_id == NOBODYS
    right = tuple(move for move in moves if move.minor)
    return Finding(kind, held[astray], whose[astray], None if unknown or not _can_be_told(right) else right)


def _unasked(asked: Asked, held: Sequence[Held]) -> Finding | None:
    """A posting that nobody asked for; or a word to a customer of which neither side knows any more."""
    if not asked.is_late:
        return None
    if not held:
        return Finding(AnomalyKind.NOT_POSTED, None, None, None)
    right = tuple(_until(one, 0) for one in held)
    whose = Whose.OWN if held[0].customer_id == asked.customer_id else Whose.OTHER_CUSTOMER
    return Finding(AnomalyKind.NOT_REQUESTED, held[0], whose, right if _can_be_told(right) else None)


def _target(asked: Asked, own: Sequence[Account]) -> tuple[UUID, str | None]:
    """The one account it must have been meant for; NOBODYS where that is not plain."""
    fitting = [one for one in own if one.currency == asked.currency]
    near = [one for one in fitting if one.region == asked.region] or fitting
    return (near[0].account_id, near[0].region) if len(near) == 1 else (NOBODYS, None)


def _from(asked: Asked) -> str:
    return clearing(asked.channel or "UNKNOWN", asked.region or "UNKNOWN")


def _whose(asked: Asked, one: Held, own: Sequence[Account]) -> Whose:
    if one.customer_id != asked.customer_id:
        return Whose.FORMER_HOLDER if one.had_number else Whose.OTHER_CUSTOMER
    elsewhere = one.region != asked.region and any(account.region == asked.region for account in own)
    other = None not in (one.number_hash, asked.number_hash) and one.number_hash != asked.number_hash
    return Whose.OTHER_NUMBER if elsewhere or other else Whose.OWN


def _until(one: Held, wanted: int) -> Move:
    """What makes an account hold what is wanted."""
    moved = wanted - one.minor
    whose = one.top_up_id, one.customer_id, one.account_id, one.region
    return Move(*whose, moved, one.currency, one.against, one.number_hash)


def _kind(asked: Asked, held: Sequence[Held], there: Sequence[Held], good: Sequence[Held]) -> AnomalyKind:
    if not there:
        return AnomalyKind.POSTED_ELSEWHERE
    if not good:
        return AnomalyKind.WRONG_CURRENCY if len(held) == 1 else AnomalyKind.POSTED_TWICE
    twice = len(held) > 1 or (held[0].times > 1 and held[0].minor > (asked.minor or 0))
    return AnomalyKind.POSTED_TWICE if twice else AnomalyKind.WRONG_AMOUNT


def _can_be_told(moves: Sequence[Move]) -> bool:
    """Whether it is one thing to take back and one to give: more than that, somebody has to look into."""
    taken, given = [move for move in moves if move.minor < 0], [move for move in moves if move.minor > 0]
    return max(len(taken), len(given)) <= 1
