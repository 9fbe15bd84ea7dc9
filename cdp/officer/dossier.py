"""What one person said, record by record, so that any decision about them can be made again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, literal_column, select, true

from cdp.admission import OpenStore, birth_of
from cdp.consent.policy_rows import VERSION
from cdp.consent.reads import (
    ALONE,
    CONSENT_COLUMNS,
    EXPIRES_AT,
    HAPPENED_AT,
    OBJECTION_COLUMNS,
    ConsentFacts,
    facts_of,
    objection_rows,
    policy_version_now,
    together,
    yes_alone,
)
from cdp.consent.tables import consent_event, objection
from cdp.identity.reads import said_for
from cdp.identity.tables import customer, number_index
from cdp.key_store import keys_of_customers
from cdp.statement import MERGED_SINCE, data_key_rows
from cdp.tables import written_out
from privacy.facts import ConsentFact, Facts, ObjectionFact
from privacy.policy import Explanation
from privacy.rulebook import Policy
from privacy.vocabulary import CustomerState, RetentionClass

PURPOSE, CONSENT_KNOWN_AT, OBJECTION_KNOWN_AT, RAISED = 2, 4, 3, 4
"""Columns of the rows of consents and objections."""
LASTS = ALONE + 1
"""Where a consent has whether the number asked by is theirs by then; NULL for what is not about that number alone."""
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

    def hearing(self, alone: Mapping[UUID, bool]) -> "Record":
        """The record as it is heard with these words about a number alone, each as its holding lasts or has ended."""
        return self._replace(consents=[_as_heard(row, alone) for row in self.consents if row[ALONE] in {None, *alone}])


class Moment(NamedTuple):
    """What is looked at: what was true by an instant, of what was known by another; `exhausted` are the transfer bases
    that had no room for whoever it is about.
    """

    as_of: datetime
    known_at: datetime | None = None
    exhausted: frozenset[str] = frozenset()

    @property
    def end(self) -> datetime:
        """Nothing after this instant is looked at."""
        return self.as_of if self.known_at is None else min(self.as_of, self.known_at)

    def knows(self, recorded_at: datetime) -> bool:
        return self.known_at is None or recorded_at <= self.known_at

    def reaches(self, at: datetime) -> bool:
        return at <= self.as_of and self.knows(at)


@dataclass(frozen=True, slots=True)
class Dossier:
    """The records of one person in one store, in one snapshot, and of whoever they were ever merged with.

    `version` is that of the policy in force, `alone` the words about the number alone that was asked by.
    """

    at: OpenStore
    version: int
    records: Mapping[UUID, Record]
    consents: Mapping[ConsentFact, RowName]
    objections: Mapping[tuple[Any, ...], RowName]
    alone: Mapping[UUID, bool]

    def members(self, of: UUID, moment: Moment) -> list[Facts]:
        """The facts of a record, and of those it was merged with by then."""
        mine = self.records[of]
        since = mine.cluster_since
        merged = mine.cluster if mine.cluster is not None and since is not None and moment.reaches(since) else ()
        others = [self.records[other].hearing(self.alone) for other in merged if other != of]
        return self.together(mine.hearing(self.alone), others, since, moment)

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
        head = (*[None] * MERGED_SINCE, since, beside)
        return together(facts, consents, head, moment.as_of.date())

    def words(self, why: Explanation) -> list[tuple[RowName, ConsentFact | ObjectionFact]]:
        """The words that decided, each with the row that holds it."""
        if why.objection is not None:
            return [(self.objections[why.objection[:4]], why.objection)]
        return [(self.consents[fact], fact) for fact in why.consents]


def _as_heard(row: Row, alone: Mapping[UUID, bool]) -> Row:
    return row if alone.get(row[ALONE], True) else _ended(row)


def _ended(row: Row) -> Row:
    """A word about a number alone once its holding has ended: it has run out."""
    return (*row[:EXPIRES_AT], row[HAPPENED_AT], *row[EXPIRES_AT + 1 :])


def _known(rows: Iterable[Row], column: int, moment: Moment) -> list[Row]:
    return [row[:-1] for row in rows if moment.knows(row[column])]


async def dossier_of(
    at: OpenStore, customer_id: UUID, holding: UUID | None = None, as_of: datetime | None = None
) -> Dossier:
    """Everything a customer of a store said, and whoever they were ever merged with; `holding` is that of the number
    they were asked for by, which lasts where it had no end `as_of` an instant, by default ever.
    """
    async with at.store.read() as connection:
        rows = await connection.fetch(_statement(), [customer_id], holding, as_of)
    version: int = rows[0][0]
    await at.policy_since(version)
    keys = {row[1]: row[-1] for row in rows}
    if at.store.apart is not None:
        keys = await keys_of_customers(at.store, list(keys))
    if not all(at.ring.holds(some) for some in keys.values()):
        await at.keep_up()
    records = {row[1]: Record(*row[1:])._replace(keys=keys.get(row[1], ())) for row in rows}
    consents: dict[ConsentFact, RowName] = {}
    objections: dict[tuple[Any, ...], RowName] = {}
    alone: dict[UUID, bool] = {}
    for one in records.values():
        said = [*one.consents, *(_ended(row) for row in one.consents if row[ALONE] is not None)]
        consents |= {fact: (one.customer_id, row[-1]) for fact, row in zip(ConsentFacts(said), said, strict=True)}
        objections |= {tuple(row[:4]): (one.customer_id, row[-1]) for row in one.objections if row[RAISED]}
        alone |= {row[ALONE]: row[LASTS] for row in one.consents if row[LASTS] is not None}
    return Dossier(at, version, records, consents, objections, alone)


async def policy_now(at: OpenStore) -> Policy:
    """The policy in force in a store."""
    async with at.store.read() as connection:
        return await at.policy_since(await connection.fetchval(VERSION))


@cache
def _statement() -> str:
    key = customer.c.customer_id
    said = (*CONSENT_COLUMNS, yes_alone(), _lasts(), consent_event.c.consent_event_id)
    consents = select(func.row(*said)).where(consent_event.c.customer_id == key)
    objections = objection_rows(key).with_only_columns(func.row(*OBJECTION_COLUMNS, objection.c.objection_id))
    keys = data_key_rows(key, (RetentionClass.IDENTITY.value,))
    lists = (func.array(rows.correlate(customer).scalar_subquery()) for rows in (consents, objections, keys))
    columns = (customer.c[name] for name in Record._fields[:6])
    rows = select(policy_version_now(), *columns, *lists).where(literal_column(AMONG_EVER))
    return EVER + written_out(rows)


def _lasts() -> ColumnElement[Any]:
    """Whether the holding that was asked by has no end by then; NULL for a word that is not a yes about it alone."""
    held = number_index.alias("held")
    goes_on: ColumnElement[bool] = literal_column("held.valid_to > coalesce($3::timestamptz, 'infinity')")
    lasts = case((said_for(held, consent_event), func.coalesce(goes_on, true())))
    asked: ColumnElement[bool] = literal_column("held.customer_id IN (TABLE ever) AND held.holding_id = $2")
    newest = select(lasts).where(asked).order_by(held.c.valid_from.desc()).limit(1)
    return case((yes_alone().is_not(None), newest.correlate(consent_event).scalar_subquery()))
