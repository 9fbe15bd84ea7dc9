"""How a top-up goes: requested, confirmed to the customer, posted to an account or failed; steps come in any order."""

from typing import Final

from cdp.billing.ledger import LedgerEvent, Movement, clearing, entry
from cdp.billing.tables import NUMBER_HASH, top_up
from cdp.changes import KEEP, Earliest, Newest, Put, Row
from cdp.context import Context
from cdp.errors import EventInvalid
from cdp.event import Event, Money, Ref, Text, Upper
from cdp.numbers import PhoneNumber

TOP_UP = Newest(("region", "amount_minor", "currency", "channel", "number_hash", "number"), "requested_at")
TOP_UP_CONFIRMED = Earliest(("confirmed_at",))
TOP_UP_POSTED = Newest(("posted_account_id",), "posted_at")
TOP_UP_FAILED = Earliest(("failed_at",))


class _OfTopUp(Event):
    """An event about a top-up."""

    top_up_ref: Ref

    def top_up_row(self, context: Context) -> Row:
        """The key and reference of the top-up's row."""
        top_up_id = context.row_id("topUp", self.top_up_ref)
        return {"customer_id": context.customer_id, "top_up_id": top_up_id, "top_up_ref": self.top_up_ref}


class TopUpRequested(_OfTopUp):
    """Money is to go to a number's account."""

    number: Text
    amount: Money
    channel: Upper

    def apply(self, context: Context) -> list[Put]:
        key, number = self.top_up_row(context), PhoneNumber.parse(self.number, self.region).e164
        amount = above_zero(self.amount)
        row = key | {
            "region": self.region,
            "number": context.seal(top_up.c.number, number, key["top_up_id"]),
            "number_hash": context.ring.digest(NUMBER_HASH, number),
            "amount_minor": amount,
            "currency": self.amount.unit,
            "channel": self.channel,
            "requested_at": self.at,
        }
        return [Put(top_up, row, TOP_UP)]


class TopUpConfirmed(_OfTopUp):
    """The customer was told that it worked."""

    def apply(self, context: Context) -> list[Put]:
        return [Put(top_up, self.top_up_row(context) | {"confirmed_at": self.at}, TOP_UP_CONFIRMED)]


class _InLedger(LedgerEvent, _OfTopUp):
    """What the ledger says of a top-up, on whosever account; `number` is the one it says it was for."""

    amount: Money
    channel: Upper = "UNKNOWN"
    number: Text | None = None

    def movement(self, context: Context, sign: int) -> Put:
        """The transaction on the account, whoever has it."""
        owner, account_id = context.anyones_account(self.account_no)
        number = None if self.number is None else PhoneNumber.parse(self.number, self.region).e164
        told = {
            "top_up_id": self.top_up_row(context)["top_up_id"],
            "number_hash": None if number is None else context.ring.digest(NUMBER_HASH, number),
        }
        minor, against = sign * above_zero(self.amount), clearing(self.channel, self.region)
        movement = Movement("TOP_UP", account_id, minor, self.amount.unit, against)
        return entry(self.key(context, owner), movement, **told)


class TopUpPosted(_InLedger):
    """The money is on an account: which one, says the billing system, be it another customer's."""

    def apply(self, context: Context) -> list[Put]:
        movement = self.movement(context, 1)
        row = {"posted_account_id": movement.row["account_id"], "posted_at": self.at}
        return [Put(top_up, self.top_up_row(context) | row, TOP_UP_POSTED), movement]


class TopUpReversed(_InLedger):
    """The ledger took back what was posted."""

    def apply(self, context: Context) -> list[Put]:
        return [Put(top_up, self.top_up_row(context), KEEP), self.movement(context, -1)]


class TopUpFailed(_OfTopUp):
    """It did not work."""

    def apply(self, context: Context) -> list[Put]:
        return [Put(top_up, self.top_up_row(context) | {"failed_at": self.at}, TOP_UP_FAILED)]


def above_zero(amount: Money) -> int:
    """An amount in minor units; raises EventInvalid for none."""
    minor = amount.minor("amount")
    if minor <= 0:
        raise EventInvalid("amount.value", "more than nothing")
    return minor


TOP_UPS: Final[tuple[type[Event], ...]] = (TopUpRequested, TopUpConfirmed, TopUpPosted, TopUpReversed, TopUpFailed)
