"""The access log of a customer as the schema has it; and how any decision is told with the words that decided it."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from cdp.admission import OpenStore
from cdp.errors import RequestInvalid
from cdp.global_ids import GlobalId, row_id
from cdp.officer.dossier import Dossier, dossier_of
from cdp.officer.entries import Line, Replay, lines_of, policy_of
from privacy.facts import ConsentFact
from privacy.policy import Explanation
from privacy.rulebook import Policy, Verdict
from privacy.vocabulary import Effect, Withheld
from schema.plan.targets import Arguments, Reach

MOST_ENTRIES: Final = 200
UNDECLARED: Final = Verdict(Effect.DENY, "plan", Withheld.PURPOSE_NOT_DECLARED)
TOLD: Final = ("client", "actor", "role", "channel", "recipient", "purpose", "operation", "document")
"""What is told of an entry as it stands there."""


async def accesses(
    given: Arguments, stores: Sequence[tuple[OpenStore, Sequence[UUID]]], reach: Reach
) -> dict[str, Any]:
    """Who read what of some records, newest first. Raises RequestInvalid for a page or span out of bounds."""
    most, after = bounded(given, MOST_ENTRIES), _entry_id(given.get("after"))
    between = given["from"], given.get("to") or reach.at
    found: list[tuple[Line, Dossier]] = []
    for at, customers in stores:
        dossier = await dossier_of(at, customers[0])
        found += [(line, dossier) for line in await lines_of(at, customers, between, after, most)]
    newest = sorted({line.entry_id for line, _ in found}, reverse=True)[:most]
    policies: dict[tuple[str, int], Policy | None] = {}
    entries = []
    for line, dossier in sorted(found, key=lambda one: one[0].entry_id, reverse=True):
        version = dossier.at.store.name, line.entry["policy"]
        if line.entry_id in newest:
            if version not in policies:
                policies[version] = await policy_of(line, dossier.at)
            entries.append(_access(line, dossier, policies[version], reach))
    return {"entries": entries, "next": str(newest[-1]) if newest and len(newest) == most else None}


def _access(line: Line, dossier: Dossier, policy: Policy | None, reach: Reach) -> dict[str, Any]:
    replay = None if policy is None else Replay.of(line, dossier, policy)
    return {name: line.entry[name] for name in TOLD} | {
        "auditId": str(line.entry_id),
        "at": line.as_of,
        "jurisdiction": line.entry["from"],
        "destination": line.line["to"],
        "policyVersion": line.entry["policy"],
        "categories": [_accessed(replay, category, effect, dossier, reach) for category, effect in line.categories()],
    }


def _accessed(
    replay: Replay | None, category: str, effect: Effect | None, dossier: Dossier, reach: Reach
) -> dict[str, Any]:
    """What became of a category, and why where the policy of then is still known."""
    if effect is None:
        return decided(Explanation(UNDECLARED), dossier, reach) | {"category": category}
    known: dict[str, Any] = {"rule": None, "code": None, "decidedBy": []}
    if replay is not None:
        known = decided(replay.explain(category), dossier, reach)
    return known | {"category": category, "effect": effect}


def decided(why: Explanation, dossier: Dossier, reach: Reach) -> dict[str, Any]:
    """A verdict, and the words of the customer that decided it."""
    return {
        "effect": why.verdict.effect,
        "rule": why.verdict.rule,
        "code": why.verdict.code,
        "decidedBy": [
            {
                "id": token_of("Consent" if isinstance(said, ConsentFact) else "Objection", dossier.at, row, reach),
                "source": "CONSENT" if isinstance(said, ConsentFact) else "OBJECTION",
                "type": said.type if isinstance(said, ConsentFact) else said.kind,
                "purpose": said.purpose if isinstance(said, ConsentFact) else said.scope,
                "happenedAt": said.happened_at,
                "recordedAt": said.recorded_at,
            }
            for row, said in dossier.words(why)
        ],
    }


def token_of(kind: str, at: OpenStore, row: tuple[UUID, UUID], reach: Reach) -> str:
    """The opaque id of a consent or an objection."""
    return row_id(reach.tokens, reach.caller.legal_entity, GlobalId(kind, at.store.name, *row))


def bounded(given: Arguments, most: int) -> int:
    """How many are asked for. Raises RequestInvalid for more than there may be."""
    first: int = given["first"]
    if not 0 <= first <= most:
        raise RequestInvalid("PAGE_SIZE", f"first: expected a number from 0 to {most}")
    return first


def left_out(given: Arguments) -> int:
    """How many at the beginning are not asked for. Raises RequestInvalid for what is no such number."""
    skip: int = given["skip"]
    if not 0 <= skip <= 1_000_000:
        raise RequestInvalid("PAGE_SIZE", "skip: expected a number from 0 to 1000000")
    return skip


def _entry_id(text: str | None) -> UUID | None:
    try:
        return None if text is None else UUID(text)
    except ValueError:
        raise RequestInvalid("CURSOR_INVALID", "after: expected the `next` of the page before") from None
