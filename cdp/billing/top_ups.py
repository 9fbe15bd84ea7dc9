"""How a top-up goes: requested, confirmed to the customer, posted to an account or failed; steps come in any order."""

from collections.abc import Sequence
from typing import Final

from cdp.billing.tables import top_up
from cdp.changes import Earliest, Newest, Put, Row
from cdp.context import Context
from cdp.errors import EventInvalid
from cdp.event import Event, Kind, Money, Ref, Text, Upper
from cdp.numbers import PhoneNumber

TOP_UP = Newest(("region", "amount_minor", "currency", "channel", "number"), "requested_at")
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
        amount = self.amount.minor("amount")
        if amount <= 0:
            raise EventInvalid("amount.value", "more than nothing")
        row = key | {
            "region": self.region,
            "number": context.seal(top_up.c.number, number, key["top_up_id"]),
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


class TopUpPosted(_OfTopUp):
    """The money is on an account: which one, says the billing system, be it another customer's."""

    account_no: Ref

    def names(self) -> Sequence[tuple[Kind, str]]:
        return (("accountNo", self.account_no),)

    def apply(self, context: Context) -> list[Put]:
        row = {"posted_account_id": context.anyones_account_id(self.account_no), "posted_at": self.at}
        return [Put(top_up, self.top_up_row(context) | row, TOP_UP_POSTED)]


class TopUpFailed(_OfTopUp):
    """It did not work."""

    def apply(self, context: Context) -> list[Put]:
        return [Put(top_up, self.top_up_row(context) | {"failed_at": self.at}, TOP_UP_FAILED)]


TOP_UPS: Final[tuple[type[Event], ...]] = (TopUpRequested, TopUpConfirmed, TopUpPosted, TopUpFailed)
