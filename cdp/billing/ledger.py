"""The ledger: money that leaves one ledger account and comes to another, as the billing system says.

A transaction never changes. It is known by its event, so whatever comes in, and in whatever order, the ledger is the
same; whoever errs, posts again. Another currency is another transaction, and the rate between the two a row of its own.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import ClassVar, Final, Literal, NamedTuple
from uuid import UUID

from cdp.billing.tables import ledger_exchange, ledger_transaction
from cdp.changes import NEW, Put, Row
from cdp.context import Context
from cdp.errors import EventInvalid
from cdp.event import Event, Kind, Money, Ref, Upper
from cdp.values import CURRENCIES, row_id

BALANCE: Final = "BALANCE"
"""The customer's own account, among the ledger accounts."""


def clearing(channel: str, region: str) -> str:
    """Where a channel's money stands until it is on a customer's account."""
    return f"CLEARING/{channel}/{region}"


class Movement(NamedTuple):
    """What a customer's account gets (or loses, below zero) from one of the operator's."""

    kind: str
    account_id: UUID
    minor: int
    currency: str
    against: str


def entry(key: Row, movement: Movement, **more: object) -> Put:
    """The row of a movement; `key` names the customer, the row and its instant. Raises EventInvalid for no money."""
    if movement.minor == 0:
        raise EventInvalid("amount.value", "more than nothing")
    debit, credit = (movement.against, BALANCE) if movement.minor > 0 else (BALANCE, movement.against)
    row = {
        **key,
        "kind": movement.kind,
        "debit": debit,
        "credit": credit,
        "currency": movement.currency,
        "amount_minor": abs(movement.minor),
        "account_id": movement.account_id,
    }
    return Put(ledger_transaction, row | more, NEW)


class LedgerEvent(Event):
    """What the ledger says of an account."""

    account_no: Ref

    def names(self) -> Sequence[tuple[Kind, str]]:
        return (("accountNo", self.account_no),)

    def key(self, context: Context, owner: UUID, part: str = "") -> Row:
        """The key of this event's transaction on an account of the owner's."""
        name = f"{context.customer_id} {self.at.isoformat()} {self.event_id} {part}"
        return {"customer_id": owner, "transaction_id": row_id(owner, "ledger", name), "at": self.at}


class LedgerPosted(LedgerEvent):
    """An account was charged, paid for or adjusted; `amount` is what it gets, below zero what it loses."""

    kind: Literal["CHARGE", "PAYMENT", "ADJUSTMENT"]
    amount: Money
    channel: Upper = "UNKNOWN"

    against: ClassVar[dict[str, str]] = {"CHARGE": "REVENUE", "ADJUSTMENT": "ADJUSTMENTS"}

    def apply(self, context: Context) -> list[Put]:
        paid = self.kind == "PAYMENT"
        other = clearing(self.channel, self.region) if paid else f"{self.against[self.kind]}/{self.region}"
        minor, account_id = self.amount.minor("amount"), context.account_id(self.account_no)
        key = self.key(context, context.customer_id)
        return [entry(key, Movement(self.kind, account_id, minor, self.amount.unit, other))]


class ExchangePosted(LedgerEvent):
    """Money of an account was changed into another currency: `bought` is `sold` times `rate`, halves rounded up."""

    sold: Money
    bought: Money
    rate: Ref

    def apply(self, context: Context) -> list[Put]:
        sold, bought, rate = self.sold.minor("sold"), self.bought.minor("bought"), self._rate()
        if sold <= 0:
            raise EventInvalid("sold.value", "more than nothing")
        if self.bought.unit == self.sold.unit:
            raise EventInvalid("bought.unit", "another currency")
        if bought != exchanged(sold, self.sold.unit, self.bought.unit, rate):
            raise EventInvalid("bought.value", "what is sold times the rate, halves rounded up")
        account_id, other = context.account_id(self.account_no), f"EXCHANGE/{self.region}"
        puts = [
            entry(self.key(context, context.customer_id, part), Movement("EXCHANGE", account_id, minor, unit, other))
            for part, minor, unit in (("sold", -sold, self.sold.unit), ("bought", bought, self.bought.unit))
        ]
        sold_id, bought_id = (put.row["transaction_id"] for put in puts)
        row = {"customer_id": context.customer_id, "exchange_id": sold_id, "sold_id": sold_id, "bought_id": bought_id}
        return [*puts, Put(ledger_exchange, row | {"rate": rate, "at": self.at}, NEW)]

    def _rate(self) -> Decimal:
        try:
            rate = Decimal(self.rate)
        except InvalidOperation:
            rate = Decimal(0)
        if not (rate.is_finite() and rate > 0):
            raise EventInvalid("rate", "a decimal number above zero")
        return rate


def exchanged(minor: int, unit: str, other: str, rate: Decimal) -> int:
    """An amount in minor units of another currency; a rate is how much of it one whole unit is worth."""
    exact = Decimal(minor) * rate * Decimal(10) ** (CURRENCIES[other] - CURRENCIES[unit])
    return int(exact.to_integral_value(ROUND_HALF_UP))


LEDGER: Final[tuple[type[Event], ...]] = (LedgerPosted, ExchangePosted)
