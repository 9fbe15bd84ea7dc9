"""The terms of a jurisdiction as its rows say them: how long data is kept."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from cdp.errors import RequestInvalid
from cdp.rights.kept import Kept
from cdp.stores import Connection

TERMS = """
SELECT DISTINCT ON (subject) subject, days, by_law, law FROM retention_term
WHERE jurisdiction = $1 OR jurisdiction = '*' ORDER BY subject, jurisdiction = '*'
"""


class Term(NamedTuple):
    """How long something is kept; `by_law`: not shorter either."""

    days: int
    by_law: bool
    law: str

    def after(self, since: datetime) -> datetime:
        """When it is over."""
        return since + timedelta(days=self.days)

    def cutoff(self, now: datetime) -> datetime:
        """What is from before has had its time."""
        return now - timedelta(days=self.days)


Terms = Mapping[str, Term]


async def read_terms(connection: Connection, jurisdiction: str) -> Terms:
    """Retention class or table -> its term in a jurisdiction."""
    return {subject: Term(*term) for subject, *term in await connection.fetch(TERMS, jurisdiction)}


def term_of(terms: Terms, table: str, kept: Kept) -> Term:
    """A table's own term, or that of its class; raises RequestInvalid where the rows name neither, or no time."""
    term = terms.get(table) or terms.get(kept.retention)
    if term is None or term.days < 1:
        expected = f"expected a row for {table} or {kept.retention}, in the jurisdiction or *, of at least 1 day"
        raise RequestInvalid("TERM_INVALID", f"retention_term: {expected}")
    return term
