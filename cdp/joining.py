"""What it would mean to join two records of one person, found out before anything is written."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, func, literal_column, select
from sqlalchemy.dialects.postgresql import array

from cdp.admission import OpenStore
from cdp.consent.reads import consent_rows, facts_of, latest_known, objection_rows
from cdp.identity.clusters import passed_limit
from cdp.identity.tables import customer
from cdp.tables import written_out
from privacy.facts import Facts, Request
from privacy.policy import Decider
from privacy.rulebook import Policy, narrowed
from privacy.vocabulary import ANY, NOWHERE, SELF, CustomerState, RecipientClass


class Loss(NamedTuple):
    """What one of two records allows and both together do not, by whichever channel: for a purpose, to a recipient,
    read in a jurisdiction, these categories.
    """

    purpose: str
    recipient: str
    destination: str
    categories: tuple[str, ...]


class Prospect(NamedTuple):
    """What joining would do: what would not be allowed any more, and of which identifiers there would be too many."""

    losses: tuple[Loss, ...]
    too_many: str | None


async def prospect(at: OpenStore, request: Request, one: UUID, other: UUID) -> Prospect:
    """What joining two customers of a store would do. The request says who asks, on which channel and when."""
    await at.keep_up()
    async with at.store.read() as connection:
        rows = await connection.fetch(_members(), [one, other])
        too_many = await passed_limit(connection, at.ring, sorted({row[1] for row in rows}))
    policy = await at.policy_since(0)
    sides: dict[UUID, list[Facts]] = {one: [], other: []}
    for leader, member, state, is_minor, consents, objections in rows:
        # Of a minor nothing is opened here: in doubt the youngest.
        born = request.as_of.date() if is_minor else None
        request = request._replace(as_of=latest_known(request.as_of, consents, objections))
        sides[leader].append(facts_of(member, state, consents, objections)._replace(birth_on=born))
    return Prospect(tuple(_losses(policy, request, list(sides.values()))), too_many)


@cache
def _members() -> str:
    """Of each of some customers ($1) all they were merged with, with everything they said."""
    first, member = customer.alias("first"), customer.alias("member")
    key = member.c.customer_id
    said = (
        func.array(rows.correlate(member).scalar_subquery())
        for rows in (consent_rows(key, None, None), objection_rows(key))
    )
    asked = literal_column("$1::uuid[]", ARRAY(Uuid))
    rows = (
        select(first.c.customer_id, key, member.c.state, member.c.is_minor, *said)
        .where(key == any_(func.coalesce(first.c.cluster, array([first.c.customer_id]))))
        .where(first.c.customer_id == any_(asked), member.c.state != CustomerState.ERASED.value)
        .order_by(first.c.customer_id, key)
    )
    return written_out(rows)


def _losses(policy: Policy, request: Request, sides: Sequence[Sequence[Facts]]) -> Iterator[Loss]:
    everyone = [facts for side in sides for facts in side]
    lost: dict[tuple[str, str, str], set[str]] = {}
    for asked in _requests(policy, request, everyone):
        decider = Decider(policy, asked, tuple(policy.categories))
        after = decider.together(everyone).verdicts
        for side in sides:
            if side and (found := narrowed(decider.together(side).verdicts, after)):
                lost.setdefault((asked.purpose, asked.recipient, asked.destination), set()).update(found)
    for place, categories in lost.items():
        yield Loss(*place, tuple(sorted(categories)))


def _requests(policy: Policy, request: Request, everyone: Sequence[Facts]) -> Iterator[Request]:
    """For each purpose what the operator itself would ask, and each other company that a consent names, by every
    channel and in every jurisdiction that one names.
    """
    said = [fact for facts in everyone for fact in facts.consents]
    uses = product(
        sorted(set(policy.purposes) - policy.groups),
        sorted({SELF, *(fact.recipient for fact in said)} - {ANY}),
        sorted({request.channel, *(fact.channel for fact in said)} - {ANY}),
        sorted({request.destination, *(fact.destination for fact in said)} - {ANY, NOWHERE}),
    )
    for purpose, recipient, channel, destination in uses:
        kind = RecipientClass.SELF if recipient == SELF else RecipientClass.THIRD_PARTY
        own: dict[str, Any] = {"purpose": purpose, "granted": frozenset({purpose}), "recipient_class": kind}
        yield request._replace(recipient=recipient, channel=channel, destination=destination, **own)
