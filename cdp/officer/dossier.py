"""What one person said, record by record, so that any decision about them can be made again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import func, literal_column, select
from sqlalchemy.dialects import postgresql

from cdp.admission import OpenStore, birth_of
from cdp.consent.policy_rows import VERSION
from cdp.consent.reads import (
    CONSENT_COLUMNS,
    OBJECTION_COLUMNS,
    ConsentFacts,
    consent_rows,
    facts_of,
    objection_rows,
    policy_version_now,
    together,
)
from cdp.consent.tables import consent_event, objection
from cdp.identity.tables import customer
from cdp.statement import data_key_rows
from privacy.facts import ConsentFact, Facts, ObjectionFact
from privacy.policy import Explanation
from privacy.rulebook import Policy
from privacy.vocabulary import ANY, PURPOSES, CustomerState, RetentionClass

PURPOSE, CONSENT_KNOWN_AT, OBJECTION_KNOWN_AT, RAISED = 2, 4, 3, 4
"""Columns of the rows of consents and objections."""
EVER: Final = """
WITH RECURSIVE ever (customer_id) AS (
    SELECT unnest($1::uuid[]) UNION SELECT e.other_id FROM merge_edge AS e JOIN ever USING (customer_id)
) """
AMONG_EVER: Final = "customer.customer_id IN (SELECT ever.customer_id FROM ever)"

Row = Sequence[Any]
RowName = tuple[UUID, UUID]
"""The customer and the id of a row."""


class Record(NamedTuple):
    """One record of a person; rows of consent and objection end in their id."""

    customer_id: UUID
    state: str
    is_minor: bool
    birth_date: bytes | None
    cluster: Sequence[UUID] | None
    cluster_since: datetime | None
    consents: Sequence[Row]
    objections: Sequence[Row]
    keys: Sequence[Any]


class Moment(NamedTuple):
    """What is looked at: what was true by an instant, of what was known by another."""

    as_of: datetime
    known_at: datetime | None = None

    def knows(self, recorded_at: datetime) -> bool:
        return self.known_at is None or recorded_at <= self.known_at

    def reaches(self, at: datetime) -> bool:
        return at <= self.as_of and self.knows(at)


@dataclass(frozen=True, slots=True)
class Dossier:
    """The records of one person in one store, in one snapshot, and of whoever they were ever merged with.

    `version` is that of the policy in force.
    """

    at: OpenStore
    version: int
    records: Mapping[UUID, Record]
    consents: Mapping[ConsentFact, RowName]
    objections: Mapping[tuple[Any, ...], RowName]

    def members(self, of: UUID, moment: Moment) -> list[Facts]:
        """The facts of a record, and of those it was merged with by then."""
        mine = self.records[of]
        since = mine.cluster_since
        merged = mine.cluster if mine.cluster is not None and since is not None and moment.reaches(since) else ()
        return self.together(mine, [self.records[other] for other in merged if other != of], since, moment)

    def together(self, mine: Record, others: Iterable[Record], since: datetime | None, moment: Moment) -> list[Facts]:
        """The facts of a record and of others it is read with `since` then."""
        consents = _known(mine.consents, CONSENT_KNOWN_AT, moment)
        facts = facts_of(mine.customer_id, mine.state, consents, _known(mine.objections, OBJECTION_KNOWN_AT, moment))
        if mine.is_minor and mine.birth_date is not None:
            facts = facts._replace(birth_on=birth_of(self.at, facts, mine.birth_date, mine.keys, moment.as_of))
        beside = [
            (
                one.customer_id,
                one.state,
                one.is_minor,
                _known(one.consents, CONSENT_KNOWN_AT, moment),
                _known(one.objections, OBJECTION_KNOWN_AT, moment),
            )
            for one in others
            if one.state != CustomerState.ERASED.value
        ]
        if since is None or not beside:
            return [facts]
        head = (mine.customer_id, mine.state, None, None, None, since, beside)
        return together(facts, consents, head, moment.as_of.date())

    def words(self, why: Explanation) -> list[tuple[RowName, ConsentFact | ObjectionFact]]:
        """The words that decided, each with the row that holds it."""
        if why.objection is not None:
            return [(self.objections[why.objection[:4]], why.objection)]
        return [(self.consents[fact], fact) for fact in why.consents]


def _known(rows: Iterable[Row], column: int, moment: Moment) -> list[Row]:
    return [row[:-1] for row in rows if moment.knows(row[column])]


async def dossier_of(at: OpenStore, customer_id: UUID) -> Dossier:
    """Everything a customer of a store said, and whoever they were ever merged with."""
    async with at.store.read() as connection:
        rows = await connection.fetch(_statement(), [customer_id])
    version: int = rows[0][0]
    await at.policy_since(version)
    records = {row[1]: Record(*row[1:]) for row in rows}
    consents: dict[ConsentFact, RowName] = {}
    objections: dict[tuple[Any, ...], RowName] = {}
    for one in records.values():
        facts = ConsentFacts([row[:-1] for row in one.consents])
        consents |= {fact: (one.customer_id, row[-1]) for fact, row in zip(facts, one.consents, strict=True)}
        objections |= {tuple(row[:4]): (one.customer_id, row[-1]) for row in one.objections if row[RAISED]}
    return Dossier(at, version, records, consents, objections)


async def policy_now(at: OpenStore) -> Policy:
    """The policy in force in a store."""
    async with at.store.read() as connection:
        return await at.policy_since(await connection.fetchval(VERSION))


@cache
def _statement() -> str:
    key = customer.c.customer_id
    consents = consent_rows(key, (*PURPOSES, ANY)).with_only_columns(
        func.row(*CONSENT_COLUMNS, consent_event.c.consent_event_id)
    )
    objections = objection_rows(key).with_only_columns(func.row(*OBJECTION_COLUMNS, objection.c.objection_id))
    keys = data_key_rows(key, (RetentionClass.IDENTITY.value,))
    lists = (func.array(rows.correlate(customer).scalar_subquery()) for rows in (consents, objections, keys))
    columns = (customer.c[name] for name in Record._fields[:6])
    rows = select(policy_version_now(), *columns, *lists).where(literal_column(AMONG_EVER))
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # the dialect is not typed
    return EVER + str(rows.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
