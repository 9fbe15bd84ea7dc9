"""The consent facts that travel with every read, in the same snapshot as the data."""

from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Select, and_, any_, case, func, or_, select

from cdp.consent.tables import consent_event, objection, policy_version
from cdp.statement import MERGED_SINCE, OTHERS
from privacy.policy import ConsentFact, Facts, ObjectionFact
from privacy.vocabulary import Actor, ConsentKind, ConsentType, CustomerState, ObjectionKind

CONSENT_COLUMNS = tuple(consent_event.c[name] for name in ConsentFact._fields)
AGREED = [word.value for word in (ConsentType.GIVEN, ConsentType.RENEWED, ConsentType.CONFIRMED)]
STATES = {state.value: state for state in CustomerState}
HAPPENED_AT, EXPIRES_AT = map(ConsentFact._fields.index, ("happened_at", "expires_at"))
ALONE = len(ConsentFact._fields)
"""Where the rows of whoever was found by a number have the id of a yes about a number alone; NULL in all others."""
OBJECTION_COLUMNS = tuple(objection.c[name] for name in ("kind", "scope", "happened_at", "recorded_at", "raised"))


class Alone(NamedTuple):
    """The holding (`held`, a row with its `valid_to`) by whose number a customer was found, and which of the words
    about a number alone are about it.
    """

    held: FromClause
    about: ColumnElement[bool]


def consent_rows(key: ColumnElement[Any], purposes: Sequence[str] | None, alone: Alone | None) -> Select[Any]:
    """The consent events of a customer that can bear on these purposes (the operation's own, its parents and `*`), or
    on any where None are named.

    What was agreed to for one number alone is heard of whoever was found by that number, and has run out when the
    holding has an end; it allows nothing about the customer as a whole. A refusal is heard whatever it is about.
    """
    bound, columns = consent_event.c.holding_id, list[ColumnElement[Any]](CONSENT_COLUMNS)
    heard = or_(bound.is_(None), consent_event.c.type.not_in(AGREED))
    if alone is not None:
        heard = or_(heard, alone.about)
        lasts = or_(bound.is_(None), alone.held.c.valid_to.is_(None))
        expiry = case((lasts, consent_event.c.expires_at), else_=consent_event.c.happened_at)
        columns[EXPIRES_AT] = expiry
        columns.append(yes_alone())
    rows = select(func.row(*columns)).where(consent_event.c.customer_id == key)
    if purposes is not None:
        rows = rows.where(or_(*(consent_event.c.purpose == purpose for purpose in purposes)))
    rows = rows.where(heard)
    return rows if alone is None else rows.correlate(alone.held)


def yes_alone() -> ColumnElement[Any]:
    """The id of a word that is a yes about one number alone; NULL for any other."""
    said = consent_event.c
    return case((and_(said.holding_id.is_not(None), said.type.in_(AGREED)), said.consent_event_id))


def heard_alone(*consents: Sequence[Sequence[Any]]) -> dict[UUID, bool]:
    """The words among rows of consent that are a yes about one number alone, each with whether it still has its
    holding.
    """
    return {
        row[ALONE]: row[EXPIRES_AT] != row[HAPPENED_AT]
        for rows in consents
        for row in rows
        if len(row) > ALONE and row[ALONE] is not None
    }


def objection_rows(key: ColumnElement[Any]) -> Select[Any]:
    """The objections of a customer, raised and lifted."""
    return select(func.row(*OBJECTION_COLUMNS)).where(objection.c.customer_id == key)


def other_rows(
    owner: FromClause, other: FromClause, purposes: Sequence[str], alone: Alone | None
) -> ColumnElement[Any]:
    """What is known of those a customer was merged with, as (id, state, is minor, consents, objections); NULL where
    nobody was.
    """
    key = other.c.customer_id
    known = select(
        func.row(
            key,
            other.c.state,
            other.c.is_minor,
            func.array(consent_rows(key, purposes, alone).correlate(other).scalar_subquery()),
            func.array(objection_rows(key).correlate(other).scalar_subquery()),
        )
    ).where(key == any_(owner.c.cluster), key != owner.c.customer_id, other.c.state != CustomerState.ERASED.value)
    return case((owner.c.cluster.is_not(None), func.array(known.correlate(owner).scalar_subquery())))


def policy_version_now() -> ColumnElement[Any]:
    """The version of the policy rows in this snapshot."""
    return select(func.max(policy_version.c.version)).scalar_subquery()


def facts_of(
    customer_id: UUID, state: str, consents: Sequence[Sequence[Any]], objections: Sequence[Sequence[Any]]
) -> Facts:
    """The facts of one customer from the rows of the statements above, but for the birth date."""
    return Facts(customer_id, STATES[state], None, ConsentFacts(consents), objection_facts(objections))


def together(facts: Facts, consents: Sequence[Any], head: Sequence[Any], youngest: date) -> list[Facts]:
    """The facts of a customer and of all they were merged with, each record as it stood before.

    What the person said since the merge is heard for every record: that is how a conflict between them ends. Of another
    record's minor nothing is known but that, so they are taken to have been born on `youngest`.
    """
    since, others = head[MERGED_SINCE], head[OTHERS]
    said = {facts.customer_id: consents} | {other[0]: other[3] for other in others}
    later = {owner: [row for row in rows if row[3] >= since] for owner, rows in said.items()}

    def heard(owner: UUID) -> ConsentFacts:
        return ConsentFacts([*said[owner], *(row for other, rows in later.items() if other != owner for row in rows)])

    return [
        facts._replace(consents=heard(facts.customer_id)),
        *(
            Facts(owner, STATES[state], youngest if is_minor else None, heard(owner), objection_facts(objections))
            for owner, state, is_minor, _, objections in others
        ),
    ]


class ConsentFacts(Collection[ConsentFact]):
    """Consent events from their rows, made when a decision listens to them: most need not."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Sequence[Sequence[Any]]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, fact: object) -> bool:
        return any(fact == mine for mine in self)

    def __iter__(self) -> Iterator[ConsentFact]:
        for said, form, purpose, at, known_at, category, channel, to, abroad, notice, end, by, *_ in self._rows:
            words = ConsentType(said), ConsentKind(form)
            yield ConsentFact(*words, purpose, at, known_at, category, channel, to, abroad, notice, end, Actor(by))


def objection_facts(rows: Sequence[Sequence[Any]]) -> tuple[ObjectionFact, ...]:
    """Raised objections, each with the instant it was lifted: the first lifting of the same kind and scope after it."""
    if not rows:
        return ()
    every = sorted(rows, key=lambda row: row[2])
    lifted = [(kind, scope, at) for kind, scope, at, _, raised in every if not raised]
    return tuple(
        ObjectionFact(
            ObjectionKind(kind),
            scope,
            happened_at,
            recorded_at,
            next((at for k, s, at in lifted if (k, s) == (kind, scope) and at >= happened_at), None),
        )
        for kind, scope, happened_at, recorded_at, raised in every
        if raised
    )


def latest_known(now: datetime, consents: Sequence[Sequence[Any]], objections: Sequence[Sequence[Any]]) -> datetime:
    """The instant to decide as of: now, or when the newest fact was recorded, where another machine's clock is ahead.

    A withdrawal that was committed counts from then on, whatever this machine's clock says.
    """
    for row in consents:
        now = max(now, row[4])
    for row in objections:
        now = max(now, row[3])
    return now
