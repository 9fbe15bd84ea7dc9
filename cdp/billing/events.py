"""How billing changes: accounts, the products on them, bills, payments and top-ups."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final, Literal
from uuid import UUID

from pydantic import Field

from cdp.billing.tables import account, bill, bill_line, payment, product, product_reliance
from cdp.billing.top_ups import TOP_UPS
from cdp.changes import KEEP, NEW, Add, Newest, Put, Row
from cdp.context import Context
from cdp.errors import EventInvalid
from cdp.event import Day, Event, Kind, Money, Part, Ref, Text, Upper
from cdp.values import CURRENCIES

RatingType = Literal["PREPAID", "POSTPAID"]

ACCOUNT = Newest(("region", "rating_type", "currency", "credit_limit_minor", "account_no"), "opened_at")
BALANCE = Newest(("balance_minor",), "balance_at", amend=True)
PAYMENT_STATUS = Newest(("payment_status",), "payment_status_at", amend=True)
PRODUCT = Newest(("name", "kind", "region", "tariff_id", "start_on", "term_end_on"), "described_at")
PRODUCT_STATUS = Newest(("status", "status_reason"), "status_at")
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


class _OfProduct(Event):
    """An event about one of the customer's products."""

    product_ref: Ref

    def product_row(self, context: Context) -> Row:
        """The key and reference of the product's row."""
        product_id = context.row_id("product", self.product_ref)
        return {"customer_id": context.customer_id, "product_id": product_id, "product_ref": self.product_ref}

    def in_status(self, context: Context, status: str, reason: str | None) -> Put:
        """The product in another status."""
        row = {"status": status, "status_reason": reason, "status_at": self.at}
        return Put(product, self.product_row(context) | row, PRODUCT_STATUS)


class ProductActivated(_OfProduct):
    """The customer has a product; it works only while those in `reliesOn` do."""

    name: Text
    kind: Upper
    tariff_id: Ref | None = None
    start_date: Day
    term_end: Day | None = None
    relies_on: Annotated[tuple[Ref, ...], Field(max_length=20, strict=False)] = ()

    def apply(self, context: Context) -> list[Put]:
        if self.product_ref in self.relies_on:
            raise EventInvalid("reliesOn", "other products")
        key = self.product_row(context)
        row = key | {
            "name": self.name,
            "kind": self.kind,
            "region": self.region,
            "tariff_id": self.tariff_id,
            "start_on": self.start_date,
            "term_end_on": self.term_end,
            "described_at": self.at,
        }
        mine = {"customer_id": context.customer_id, "product_id": key["product_id"]}
        relies_on = [mine | {"relies_on_id": context.row_id("product", ref)} for ref in self.relies_on]
        return [
            Put(product, row, PRODUCT),
            self.in_status(context, "active", None),
            *(Put(product_reliance, one, KEEP) for one in relies_on),
        ]


class ProductSuspended(_OfProduct):
    """A product does not work for a while."""

    reason: Ref

    def apply(self, context: Context) -> list[Put]:
        return [self.in_status(context, "suspended", self.reason)]


class ProductResumed(_OfProduct):
    """A product works again."""

    def apply(self, context: Context) -> list[Put]:
        return [self.in_status(context, "active", None)]


class ProductTerminated(_OfProduct):
    """The customer no longer has a product."""

    reason: Ref | None = None

    def apply(self, context: Context) -> list[Put]:
        return [self.in_status(context, "terminated", self.reason)]


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
        amount, mine = self.amount.minor("amount"), {"customer_id": context.customer_id}
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
    ProductActivated,
    ProductSuspended,
    ProductResumed,
    ProductTerminated,
    BillIssued,
    BillCorrected,
    PaymentReceived,
    *TOP_UPS,
)
