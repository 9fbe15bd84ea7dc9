"""Cases as they are asked for: by when the customer must have an answer."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, case, column, func, literal_column, select, table

from cdp.care.tables import case_term

CUSTOMER = table("customer", column("customer_id"), column("tier"))
"""What is read of a customer here: their tier as it is now, however late that was known."""


def due_at(ticket: FromClause) -> ColumnElement[Any]:
    """When an answer is due: as whoever opened the case said, else by the customer's tier and the severity."""
    theirs, term = CUSTOMER.alias("theirs"), case_term.alias("term")
    minutes = (
        select(term.c.minutes * literal_column("interval '1 minute'"))
        .where(
            theirs.c.customer_id == ticket.c.customer_id,
            term.c.severity == ticket.c.severity,
            term.c.tier.in_([theirs.c.tier, "*"]),
        )
        .order_by(case((term.c.tier == "*", 1), else_=0))
        .limit(1)
        .correlate(ticket)
        .scalar_subquery()
    )
    return func.coalesce(ticket.c.due_at, ticket.c.opened_at + minutes)
