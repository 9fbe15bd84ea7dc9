"""What a customer owes, pays and tops up, as it is asked for."""

from enum import StrEnum

import strawberry

from cdp.billing.anomalies import AnomalyKind, AnomalyState, Whose
from cdp.billing.reads import bill_state, counted_lines, gained_minor, remaining_minor, suspended_by, top_up_state
from cdp.billing.tables import (
    account,
    arrears,
    bill,
    bill_change,
    bill_difference,
    bill_line,
    ledger_transaction,
    money_anomaly,
    payment,
    product,
    top_up,
)
from schema.fields import PROFILE, column, many, newest, one, personal, plain, record, rising, same, token
from schema.products import PRODUCT, Product, RatingType
from schema.words import DatePeriod, Day, Instant, Money, Node, Region, money, period

AMOUNT = personal("billing.amount", purposes=PROFILE)
ACCOUNT = personal("billing.account")
TOP_UP = personal("billing.topup")


@strawberry.enum(description="How far a bill is paid.")
class BillState(StrEnum):
    sent = "sent"
    partiallyPaid = "partiallyPaid"  # noqa: N815 - the word of TMF678
    settled = "settled"


@strawberry.enum(
    description="How far a top-up has come: asked for, confirmed to the customer, posted to an account of theirs; or"
    " posted to somebody else's, or taken back."
)
class TopUpState(StrEnum):
    REQUESTED = "REQUESTED"
    CONFIRMED = "CONFIRMED"
    POSTED = "POSTED"
    MISPOSTED = "MISPOSTED"
    REVERSED = "REVERSED"
    FAILED = "FAILED"


@strawberry.enum(description="What a transaction of the ledger is for.")
class LedgerKind(StrEnum):
    TOP_UP = "TOP_UP"
    PAYMENT = "PAYMENT"
    CHARGE = "CHARGE"
    ADJUSTMENT = "ADJUSTMENT"
    EXCHANGE = "EXCHANGE"
    CORRECTION = "CORRECTION"


@strawberry.enum(description="What a part of a bill is there for; OTHER is whatever no kind of charge explains.")
class BillCause(StrEnum):
    TARIFF = "TARIFF"
    USAGE = "USAGE"
    ONE_OFF = "ONE_OFF"
    DISCOUNT = "DISCOUNT"
    OTHER = "OTHER"


@record(ledger_transaction, ledger_transaction.c.transaction_id)
class LedgerTransaction:
    """Money that came to an account of the customer's, or left it, as the ledger says; it never changes."""

    kind: LedgerKind | None = column(ledger_transaction.c.kind, AMOUNT, "What it is for.")
    at: Instant | None = column(ledger_transaction.c.at, AMOUNT, "When it was posted.")
    amount: Money | None = money(
        gained_minor, ledger_transaction.c.currency, AMOUNT, "What the account gets; below zero what it loses."
    )
    debit: str | None = column(ledger_transaction.c.debit, AMOUNT, "The ledger account it leaves.")
    credit: str | None = column(ledger_transaction.c.credit, AMOUNT, "The ledger account it comes to.")
    top_up: "TopUp | None" = one(same("top_up_id"), TOP_UP, "The top-up it is of, where that is theirs.")


@record(account, account.c.account_id)
class BillingAccount:
    """An account that is billed or topped up."""

    account_no: str | None = column(account.c.account_no, personal("billing.account", search="EXACT"), "Its number.")
    region: Region | None = column(account.c.region, ACCOUNT, "Where it is kept.")
    rating_type: RatingType | None = column(account.c.rating_type, ACCOUNT, "Whether it is paid before or after use.")
    balance: Money | None = money(
        account.c.balance_minor, account.c.currency, AMOUNT, "What is left, or owed when below zero."
    )
    balance_at: Instant | None = column(account.c.balance_at, AMOUNT, "When the balance was that.")
    credit_limit: Money | None = money(
        account.c.credit_limit_minor, account.c.currency, AMOUNT, "How far it may go below zero."
    )
    payment_status: str | None = column(account.c.payment_status, AMOUNT, "Whether payments are in order.")
    opened_at: Instant | None = column(account.c.opened_at, ACCOUNT, "When it was opened.")
    transactions: list[LedgerTransaction] | None = many(
        (newest(ledger_transaction.c.at),), AMOUNT, "What the ledger says of it, newest first.", on=same("account_id")
    )
    arrears: "Arrears | None" = one(
        same("account_id"), AMOUNT, "What is open on its bills, and what follows; null where all are paid."
    )


@record(arrears, arrears.c.account_id)
class Arrears:
    """Bills of an account that are not paid in full: overdue after `dueOn`, and with consequences on `suspendsOn`."""

    owed: Money | None = money(arrears.c.owed_minor, arrears.c.currency, AMOUNT, "How much is open.")
    bills: int | None = column(arrears.c.bills, AMOUNT, "On how many bills.")
    due_on: Day | None = column(arrears.c.due_on, AMOUNT, "Until when the oldest of them is to be paid.")
    suspends_on: Day | None = column(
        arrears.c.suspends_on, AMOUNT, "When the products of the account's region are suspended if it is not."
    )
    suspends: list[Product] | None = many(
        (rising(product.c.product_ref),), PRODUCT, "The products that would be, of those that work.", on=suspended_by
    )


@record(bill_change, bill_change.c.cause)
class BillChange:
    """One cause of a bill against its usual amount."""

    cause: BillCause | None = column(bill_change.c.cause, AMOUNT, "What the amounts are there for.")
    amount: Money | None = money(bill_change.c.amount_minor, bill_change.c.currency, AMOUNT, "On this bill.")
    usual: Money | None = money(
        bill_change.c.usual_minor, bill_change.c.currency, AMOUNT, "On average of the bills it is compared with."
    )
    difference: Money | None = money(bill_change.c.difference_minor, bill_change.c.currency, AMOUNT, "How much more.")


@record(bill_difference, bill_difference.c.bill_id)
class BillDifference:
    """A bill against the (at most three) bills of the account before it. The changes add up to the difference."""

    bills: int | None = column(bill_difference.c.bills, AMOUNT, "With how many bills it is compared.")
    usual: Money | None = money(
        bill_difference.c.usual_minor,
        bill_difference.c.currency,
        AMOUNT,
        "Their average: of each cause, rounded, and added up.",
    )
    difference: Money | None = money(
        bill_difference.c.difference_minor, bill_difference.c.currency, AMOUNT, "How much more this one asks for."
    )
    changes: list[BillChange] | None = many(
        (newest(bill_change.c.difference_minor),), AMOUNT, "What makes the difference.", on=same("bill_id")
    )


@record(bill_line, bill_line.c.line_no)
class BillLine:
    """One line of a bill."""

    line_no: int = column(bill_line.c.line_no, plain("a position on a page"), "Its position.")
    kind: str | None = column(bill_line.c.kind, AMOUNT, "What kind of charge it is.")
    description: str | None = column(bill_line.c.description, AMOUNT, "What it is for.")
    amount: Money | None = money(bill_line.c.amount_minor, bill_line.c.currency, AMOUNT, "What it adds to the bill.")


@record(bill, bill.c.bill_id)
class CustomerBill(Node):
    """A bill that was issued."""

    id: strawberry.ID = token("Its opaque id.")
    bill_no: str | None = column(bill.c.bill_no, AMOUNT, "The number printed on it.")
    region: Region | None = column(bill.c.region, AMOUNT, "Where it was issued.")
    bill_date: Day | None = column(bill.c.bill_on, AMOUNT, "The day it was issued.")
    billing_period: DatePeriod | None = period(
        bill.c.period_start_on, bill.c.period_end_on, AMOUNT, "The days it is for."
    )
    amount_due: Money | None = money(bill.c.amount_due_minor, bill.c.currency, AMOUNT, "What it asks for.")
    remaining_amount: Money | None = money(remaining_minor, bill.c.currency, AMOUNT, "What is still to be paid.")
    state: BillState | None = column(bill_state, AMOUNT, "How far it is paid.")
    account: BillingAccount | None = one(same("account_id"), ACCOUNT, "The account it is for.")
    why_different: BillDifference | None = one(
        same("bill_id"), AMOUNT, "What is different from the bills before; null for the first one of an account."
    )
    lines: list[BillLine] | None = many(
        (rising(bill_line.c.line_no),),
        AMOUNT,
        "What it is made of.",
        on=counted_lines,
        default_first=20,
        max_first=100,
    )


@record(payment, payment.c.payment_id)
class Payment:
    """Money that was received."""

    amount: Money | None = money(payment.c.amount_minor, payment.c.currency, AMOUNT, "How much.")
    method: str | None = column(payment.c.method, AMOUNT, "How it was paid.")
    paid_at: Instant | None = column(payment.c.paid_at, AMOUNT, "When.")
    account: BillingAccount | None = one(same("account_id"), ACCOUNT, "The account it went to.")


@record(top_up, top_up.c.top_up_id)
class TopUp:
    """Money put onto a prepaid number."""

    top_up_ref: str | None = column(top_up.c.top_up_ref, TOP_UP, "The operator's own reference.")
    number: str | None = column(top_up.c.number, personal("contact.number"), "The number it was meant for.")
    amount: Money | None = money(top_up.c.amount_minor, top_up.c.currency, TOP_UP, "How much.")
    channel: str | None = column(top_up.c.channel, TOP_UP, "Where it was made.")
    requested_at: Instant | None = column(top_up.c.requested_at, TOP_UP, "When it was asked for.")
    confirmed_at: Instant | None = column(top_up.c.confirmed_at, TOP_UP, "When it was confirmed to the customer.")
    posted_at: Instant | None = column(top_up.c.posted_at, TOP_UP, "When it was posted to an account.")
    state: TopUpState | None = column(top_up_state, TOP_UP, "How far it has come.")
    account: BillingAccount | None = one(
        same("account_id", "posted_account_id"), ACCOUNT, "The account it was posted to."
    )


strawberry.enum(AnomalyKind, name="MoneyAnomalyKind", description="What is wrong with a top-up.")
strawberry.enum(
    AnomalyState,
    name="MoneyAnomalyState",
    description="Whether it was put right: OPEN while nobody can say how, PROPOSED until an accountant approves how,"
    " CORRECTED by that, or CLEARED because the facts came right by themselves.",
)
strawberry.enum(Whose, name="PostedTo", description="Whose account it was posted to, and for which number.")


@record(money_anomaly, money_anomaly.c.anomaly_id)
class MoneyAnomaly(Node):
    """A top-up of which the customer was told one thing, and the ledger says another; what would put it right."""

    id: strawberry.ID = token("Its opaque id.")
    kind: AnomalyKind | None = column(money_anomaly.c.kind, TOP_UP, "What is wrong.")
    state: AnomalyState | None = column(money_anomaly.c.state, TOP_UP, "Whether it was put right.")
    state_at: Instant | None = column(money_anomaly.c.state_at, TOP_UP, "Since when it is as it is said here.")
    found_at: Instant | None = column(money_anomaly.c.found_at, TOP_UP, "When it was found.")
    region: Region | None = column(money_anomaly.c.region, TOP_UP, "Where it was asked for, or else posted.")
    owner: str | None = column(money_anomaly.c.owner, TOP_UP, "The desk that answers for it.")
    top_up_ref: str | None = column(
        money_anomaly.c.top_up_ref,
        TOP_UP,
        "The reference of the top-up. NOT_POSTED in one region and NOT_REQUESTED in another under the same one is one"
        " and the same money.",
    )
    top_up: TopUp | None = one(same("top_up_id"), TOP_UP, "What was asked for, and what the customer was told.")
    posted: Money | None = money(
        money_anomaly.c.posted_minor, money_anomaly.c.posted_currency, TOP_UP, "What lies where it should not."
    )
    posted_at: Instant | None = column(money_anomaly.c.posted_at, TOP_UP, "When it was posted.")
    posted_to: Whose | None = column(money_anomaly.c.posted_to, TOP_UP, "Whose account it was posted to.")
    posted_region: Region | None = column(money_anomaly.c.posted_region, TOP_UP, "The region of that account.")
    take_back: Money | None = money(
        money_anomaly.c.take_minor, money_anomaly.c.take_currency, TOP_UP, "What is to be taken back from there."
    )
    give: Money | None = money(
        money_anomaly.c.give_minor, money_anomaly.c.give_currency, TOP_UP, "What is to be given to the customer."
    )
    give_to: BillingAccount | None = one(
        same("account_id", "give_account_id"), ACCOUNT, "The account it is to be given to."
    )
