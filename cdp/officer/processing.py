"""The records of processing, as the policy in force has them: for what, which data, to whom, on which basis."""

from collections.abc import Iterator
from datetime import datetime
from itertools import product
from typing import Any, Final, NamedTuple

from cdp.admission import OpenStore
from cdp.officer.dossier import policy_now
from privacy.rulebook import Policy, Route
from privacy.vocabulary import BasisKind, Effect, RecipientClass

CROSSED: Final = """
SELECT basis, count(*) FROM transfer_crossing WHERE year = $1 GROUP BY basis
"""


class Ground(NamedTuple):
    """Why a use is allowed: the bases relied on, and the kind of consent where consent is the one."""

    rule: str
    bases: tuple[str, ...]
    consent: str | None


async def processing_of(at: OpenStore, now: datetime) -> dict[str, Any]:
    """The records of one store, as the schema has them."""
    async with at.store.read() as connection:
        crossed = {row[0]: row[1] for row in await connection.fetch(CROSSED, now.year)}
    policy, here = await policy_now(at), at.store.jurisdiction
    transfers = [
        {
            "id": basis.id,
            "destination": basis.destination,
            "kind": basis.kind.value,
            "categories": list(basis.categories),
            "onward": basis.onward,
            "ref": basis.ref,
            "cap": basis.cap,
            "customers": basis.used + crossed.get(basis.id, 0),
            "expiresAt": basis.expires_at,
        }
        for basis in policy.transfer_bases
        if basis.origin == here
    ]
    return {
        "jurisdiction": here,
        "policyVersion": policy.version,
        "activities": list(_activities(policy, here)),
        "transfers": transfers,
    }


def _activities(policy: Policy, here: str) -> Iterator[dict[str, Any]]:
    """What the policy allows at home; who leaves is allowed by a transfer basis besides."""
    laws = {rule.id: rule.law for rule in policy.rules}
    for purpose, recipient in product(sorted(set(policy.purposes) - policy.groups), RecipientClass):
        route = Route(here, here, purpose, recipient)
        grounds: dict[Ground | None, list[str]] = {}
        for category in sorted(policy.categories):
            grounds.setdefault(_ground(policy, route, category), []).append(category)
        for ground, categories in grounds.items():
            if ground is not None:
                yield {
                    "purpose": purpose,
                    "description": policy.purposes[purpose].description,
                    "recipient": recipient.value,
                    "categories": categories,
                    "law": laws[ground.rule],
                    **ground._asdict(),
                }


def _ground(policy: Policy, route: Route, category: str) -> Ground | None:
    """Why a category may be used; None where it may not."""
    cell = policy.cells(route)[category]
    for demand in cell.demands:
        return Ground(demand.met.rule, (BasisKind.CONSENT.value,), demand.kind.value)
    if cell.verdict.effect is not Effect.ALLOW:
        return None
    rule = next(rule for rule in policy.rules if rule.id == cell.verdict.rule)
    relied_on = policy.held(route.origin, route.purpose, category).intersection(rule.bases)
    return Ground(rule.id, tuple(sorted(basis.value for basis in relied_on)), None)
