"""What it would mean to join two records of one person, found out before anything is written."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from cdp.admission import OpenStore
from cdp.consent.reads import CONSENT_COLUMNS, OBJECTION_COLUMNS, facts_of, latest_known
from cdp.identity.clusters import passed_limit
from privacy.facts import Facts, Request
from privacy.policy import Decider
from privacy.rulebook import SEVERITY, Policy
from privacy.vocabulary import ANY, SELF, RecipientClass

MEMBERS: Final = f"""
SELECT first.customer_id, c.customer_id, c.state, c.is_minor,
    ARRAY(SELECT ROW({", ".join(column.name for column in CONSENT_COLUMNS)}) FROM consent_event AS e
          WHERE e.customer_id = c.customer_id AND (e.holding_id IS NULL OR e.type <> 'GIVEN')),
    ARRAY(SELECT ROW({", ".join(column.name for column in OBJECTION_COLUMNS)}) FROM objection AS o
          WHERE o.customer_id = c.customer_id)
FROM customer AS first
JOIN customer AS c ON c.customer_id = ANY(coalesce(first.cluster, ARRAY[first.customer_id]))
WHERE first.customer_id = ANY($1::uuid[]) AND c.state <> 'ERASED'
ORDER BY 1, 2
"""  # noqa: S608 -- the names are those of our own columns


class Loss(NamedTuple):
    """What one of two records allows and both together do not: for a purpose, to a recipient, these categories."""

    purpose: str
    recipient: str
    categories: tuple[str, ...]


class Prospect(NamedTuple):
    """What joining would do: what would not be allowed any more, and of which identifiers there would be too many."""

    losses: tuple[Loss, ...]
    too_many: str | None


async def prospect(at: OpenStore, request: Request, one: UUID, other: UUID) -> Prospect:
    """What joining two customers of a store would do. The request says who asks, on which channel and when."""
    await at.keep_up()
    async with at.store.read() as connection:
        rows = await connection.fetch(MEMBERS, [one, other])
        too_many = await passed_limit(connection, at.ring, sorted({row[1] for row in rows}))
    policy = await at.policy_since(0)
    sides: dict[UUID, list[Facts]] = {one: [], other: []}
    for leader, member, state, is_minor, consents, objections in rows:
        # Of a minor nothing is opened here: in doubt the youngest.
        born = request.as_of.date() if is_minor else None
        request = request._replace(as_of=latest_known(request.as_of, consents, objections))
        sides[leader].append(facts_of(member, state, consents, objections)._replace(birth_on=born))
    return Prospect(tuple(_losses(policy, request, list(sides.values()))), too_many)


def _losses(policy: Policy, request: Request, sides: Sequence[Sequence[Facts]]) -> Iterator[Loss]:
    everyone = [facts for side in sides for facts in side]
    for asked in _requests(policy, request, everyone):
        decider = Decider(policy, asked, tuple(policy.categories))
        after = decider.together(everyone).verdicts
        before = [decider.together(side).verdicts for side in sides if side]
        lost = [
            category
            for category, verdict in after.items()
            if any(SEVERITY[was[category].effect] < SEVERITY[verdict.effect] for was in before)
        ]
        if lost:
            yield Loss(asked.purpose, asked.recipient, tuple(sorted(lost)))


def _requests(policy: Policy, request: Request, everyone: Sequence[Facts]) -> Iterator[Request]:
    """For each purpose what the operator itself would ask, and each other company that a consent names."""
    named = {fact.recipient for facts in everyone for fact in facts.consents} - {SELF, ANY}
    for purpose in sorted(set(policy.purposes) - policy.groups):
        own: dict[str, Any] = {"purpose": purpose, "granted": frozenset({purpose})}
        yield request._replace(recipient=SELF, recipient_class=RecipientClass.SELF, **own)
        for company in sorted(named):
            yield request._replace(recipient=company, recipient_class=RecipientClass.THIRD_PARTY, **own)
