"""Billing as it is asked for: what follows from the rows as expressions over them."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, case, func, select

from cdp.billing.ledger import BALANCE
from cdp.billing.tables import ledger_transaction, product_reliance


def remaining_minor(bill: FromClause) -> ColumnElement[Any]:
    """What is still to be paid of a bill; null where the bill itself has not been seen yet."""
    return case((bill.c.amount_due_minor.is_not(None), func.greatest(bill.c.amount_due_minor - bill.c.paid_minor, 0)))


def bill_state(bill: FromClause) -> ColumnElement[Any]:
    """How far a bill is paid (TMF: sent, partiallyPaid, settled); null where only its payments were seen."""
    return case(
        (bill.c.amount_due_minor.is_(None), None),
        (bill.c.paid_minor >= bill.c.amount_due_minor, "settled"),
        (bill.c.paid_minor > 0, "partiallyPaid"),
        else_="sent",
    )


def top_up_state(top_up: FromClause) -> ColumnElement[Any]:
    """How far a top-up has come; it follows from what happened, in whatever order that arrived.

    Posted is what is on an account of the customer's own.
    """
    posted = ledger_transaction.alias("posted")
    mine = (posted.c.customer_id == top_up.c.customer_id, posted.c.top_up_id == top_up.c.top_up_id)
    net = select(func.sum(gained_minor(posted))).where(*mine).correlate(top_up).scalar_subquery()
    posted_state = case({1: "POSTED", 0: "REVERSED"}, value=func.sign(net), else_="MISPOSTED")
    return case(
        (top_up.c.posted_at.is_not(None), posted_state),
        (top_up_failed(top_up), "FAILED"),
        (top_up.c.confirmed_at.is_not(None), "CONFIRMED"),
        else_="REQUESTED",
    )


def top_up_failed(top_up: FromClause) -> ColumnElement[bool]:
    """Whether a top-up failed, for good: a failure that the confirmation came after was overcome."""
    return func.coalesce(top_up.c.failed_at >= top_up.c.confirmed_at, top_up.c.failed_at.is_not(None))


def gained_minor(transaction: FromClause) -> ColumnElement[Any]:
    """What the customer's account gets by a transaction; below zero what it loses."""
    amount = transaction.c.amount_minor
    return case((transaction.c.credit == BALANCE, amount), else_=-amount)


def relies_on(child: FromClause, parent: FromClause, key: ColumnElement[Any]) -> ColumnElement[bool]:
    """The products that a product relies on."""
    relied = select(product_reliance.c.relies_on_id).where(
        product_reliance.c.customer_id == key, product_reliance.c.product_id == parent.c.product_id
    )
    return child.c.product_id.in_(relied.correlate(parent))


def counted_lines(line: FromClause, bill: FromClause, _key: ColumnElement[Any]) -> ColumnElement[bool]:
    """The lines of a bill as it was stated last."""
    return (line.c.bill_id == bill.c.bill_id) & (line.c.statement_id == bill.c.statement_id)


def suspended_by(child: FromClause, parent: FromClause, _: ColumnElement[Any]) -> ColumnElement[bool]:
    """The products that arrears of an account would suspend: those of its region that work."""
    return and_(child.c.region == parent.c.region, child.c.status == "active")
