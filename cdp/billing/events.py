"""How billing changes: accounts, bills and payments; products and top-ups have files of their own."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final, Literal
from uuid import UUID

from pydantic import Field

from cdp.billing.corrections import LedgerCorrected
from cdp.billing.ledger import LEDGER
from cdp.billing.products import PRODUCTS
from cdp.billing.tables import account, bill, bill_line, payment
from cdp.billing.top_ups import TOP_UPS, above_zero
from cdp.changes import NEW, Add, Newest, Put, Row
from cdp.context import Context
from cdp.errors import EventInvalid
from cdp.event import Day, Event, Kind, Money, Part, Ref, Text, Upper
from cdp.values import CURRENCIES

RatingType = Literal["PREPAID", "POSTPAID"]

ACCOUNT = Newest(("region", "rating_type", "currency", "credit_limit_minor", "account_no"), "opened_at")
BALANCE = Newest(("balance_minor",), "balance_at", amend=True)
PAYMENT_STATUS = Newest(("payment_status",), "payment_status_at", amend=True)
BILL = Newest(("account_id", "region", "bill_on", "period_start_on", "period_end_on"), "issued_at")
STATED = Newest(("amount_due_minor", "currency", "statement_id"), "stated_at")
PAID = Add(("paid_minor",))


class _OfAccount(Event):
    """An event that may name one of the customer's accounts."""

    account_no: Ref | None = None

    def names(self) -> Sequence[tuple[Kind, str]]:
        return () if self.account_no is None else (("accountNo", self.account_no),)

    def account_row(self, context: Context) -> Row:
        """The key of the account that must be named; raises EventInvalid where the customer has no such account."""
        if self.account_no is None:
            raise EventInvalid("accountNo", "a value")
        return {"customer_id": context.customer_id, "account_id": context.account_id(self.account_no)}

    def account_id(self, context: Context) -> object:
        """The id of the account, where one is named."""
        return None if self.account_no is None else context.account_id(self.account_no)


class AccountOpened(Event):
    """The customer has a billing account."""

    account_no: Ref
    rating_type: RatingType
    currency: Ref
    credit_limit: Money | None = None

    rank: ClassVar[int] = 1
    establishes_presence: ClassVar[bool] = True

    def names(self) -> Sequence[tuple[Kind, str]]:
        return (("accountNo", self.account_no),)

    def gives(self) -> Sequence[tuple[Kind, str]]:
        return (("accountNo", self.account_no),)

    def apply(self, context: Context) -> list[Put]:
        if self.currency not in CURRENCIES:
            raise EventInvalid("currency", "a currency of ISO 4217 that is in use here")
        if self.credit_limit is not None and self.credit_limit.unit != self.currency:
            raise EventInvalid("creditLimit.unit", "the currency of the account")
        account_id = context.new_account_id(self.account_no)
        row = {
            "customer_id": context.customer_id,
            "account_id": account_id,
            "account_no": context.seal(account.c.account_no, self.account_no, account_id),
            "region": self.region,
            "rating_type": self.rating_type,
            "currency": self.currency,
            "opened_at": self.at,
            "credit_limit_minor": None if self.credit_limit is None else self.credit_limit.minor("creditLimit"),
            "payment_status": "IN_ORDER",
            "payment_status_at": self.at,
        }
        return [Put(account, row, ACCOUNT)]


class BalanceReported(_OfAccount):
    """What is on an account."""

    balance: Money

    def apply(self, context: Context) -> list[Put]:
        row = self.account_row(context) | {"balance_minor": self.balance.minor("balance"), "balance_at": self.at}
        return [Put(account, row, BALANCE)]


class PaymentStatusReported(_OfAccount):
    """Whether an account is paid up."""

    payment_status: Upper

    def apply(self, context: Context) -> list[Put]:
        row = self.account_row(context) | {"payment_status": self.payment_status, "payment_status_at": self.at}
        return [Put(account, row, PAYMENT_STATUS)]


class Line(Part):
    """One line of a bill."""

    kind: Upper
    description: Text
    amount: Money


class _OfBill(_OfAccount):
    """An event that says what a bill asks for; its lines, where given, add up to that."""

    bill_no: Ref
    amount_due: Money
    lines: Annotated[tuple[Line, ...], Field(max_length=500, strict=False)] = ()

    def bill_row(self, context: Context) -> Row:
        """The key and number of the bill, and the rest that each row of it has."""
        key = {"customer_id": context.customer_id, "bill_id": context.row_id("bill", self.bill_no)}
        return key | {"bill_no": self.bill_no, "paid_minor": 0}

    def stated(self, context: Context, statement_id: UUID) -> list[Put]:
        """What the bill asks for from this event on, unless something later was said of it already."""
        due, unit = self.amount_due.minor("amountDue"), self.amount_due.unit
        amounts = [line.amount.minor(f"lines.{n}.amount") for n, line in enumerate(self.lines)]
        if any(line.amount.unit != unit for line in self.lines):
            raise EventInvalid("lines", "amounts in the currency of amountDue")
        if self.lines and sum(amounts) != due:
            raise EventInvalid("lines", "amounts that add up to amountDue")
        row = self.bill_row(context)
        statement = {"statement_id": statement_id}
        key = {"customer_id": context.customer_id, "bill_id": row["bill_id"]} | statement
        lines = [
            {"line_no": n, "kind": line.kind, "description": line.description, "amount_minor": amount, "currency": unit}
            for n, (line, amount) in enumerate(zip(self.lines, amounts, strict=True), 1)
        ]
        asked = row | statement | {"amount_due_minor": due, "currency": unit, "stated_at": self.at}
        return [Put(bill, asked, STATED), *(Put(bill_line, key | line, NEW) for line in lines)]


class BillIssued(_OfBill):
    """A bill."""

    bill_date: Day
    period_start: Day
    period_end: Day

    def apply(self, context: Context) -> list[Put]:
        if self.period_end < self.period_start:
            raise EventInvalid("periodEnd", "a day not before periodStart")
        row = self.bill_row(context) | {
            "account_id": self.account_id(context),
            "region": self.region,
            "bill_on": self.bill_date,
            "period_start_on": self.period_start,
            "period_end_on": self.period_end,
            "issued_at": self.at,
        }
        # A bill is issued once: the lines of a second one would be those of the first.
        return [Put(bill, row, BILL), *self.stated(context, row["bill_id"])]


class BillCorrected(_OfBill):
    """A bill asks for something else, and is made of other lines, whether it is here already or comes later."""

    def apply(self, context: Context) -> list[Put]:
        return self.stated(context, context.row_id("statement", self.event_id))


class PaymentReceived(_OfAccount):
    """The customer paid."""

    payment_ref: Ref
    bill_no: Ref | None = None
    amount: Money
    method: Upper

    def apply(self, context: Context) -> list[Put]:
        amount, mine = above_zero(self.amount), {"customer_id": context.customer_id}
        bill_id = None if self.bill_no is None else context.row_id("bill", self.bill_no)
        row = mine | {
            "payment_id": context.row_id("payment", self.payment_ref),
            "account_id": self.account_id(context),
            "bill_id": bill_id,
            "amount_minor": amount,
            "currency": self.amount.unit,
            "method": self.method,
            "paid_at": self.at,
        }
        puts = [Put(payment, row, NEW)]
        if bill_id is not None:
            puts.append(Put(bill, mine | {"bill_id": bill_id, "bill_no": self.bill_no, "paid_minor": amount}, PAID))
        return puts


EVENTS: Final[tuple[type[Event], ...]] = (
    AccountOpened,
    BalanceReported,
    PaymentStatusReported,
    BillIssued,
    BillCorrected,
    PaymentReceived,
    *PRODUCTS,
    *TOP_UPS,
    *LEDGER,
    LedgerCorrected,
)
