"""A decision made again and explained, and what a withdrawal would change."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from cdp.consent.reads import latest_known
from cdp.officer.dossier import Dossier, Moment
from privacy.facts import ConsentFact, Facts, Request
from privacy.policy import Decider, Explanation
from privacy.rulebook import Policy, narrowed
from privacy.vocabulary import ANY, NOWHERE, SELF, ConsentKind, ConsentType, RecipientClass, covers


class Use(NamedTuple):
    """What data would be used for: by whom, by which channel, read where."""

    purpose: str
    channel: str
    recipient: str
    recipient_class: RecipientClass
    destination: str


class Stop(NamedTuple):
    """What would be allowed no more: for a purpose, to a recipient, read in a jurisdiction, these categories."""

    purpose: str
    recipient: str
    destination: str
    categories: tuple[str, ...]


def explained(dossier: Dossier, customer_id: UUID, use: Use, category: str, moment: Moment) -> Explanation:
    """Why a use of one category of a record is decided as it is."""
    return _decider(dossier, use, moment, (category,)).explain(dossier.members(customer_id, moment), category)


def now_of(dossier: Dossier, now: datetime) -> datetime:
    """The instant to decide as of: now, or when the newest word was recorded, as reads have it."""
    for one in dossier.records.values():
        now = latest_known(now, one.consents, one.objections)
    return now


def stops(dossier: Dossier, customer_id: UUID, purpose: str, channel: str, moment: Moment) -> list[Stop]:
    """What a withdrawal of everything agreed to for a purpose, said then, would stop. Nothing is written."""
    before = dossier.members(customer_id, moment)
    no = ConsentFact(
        ConsentType.WITHDRAWN,
        ConsentKind.GENERAL,
        purpose,
        moment.as_of,
        moment.end,
        recipient=ANY,
        destination=ANY,
    )
    after = [facts._replace(consents=(*facts.consents, no)) for facts in before]
    lost: dict[tuple[str, str, str], set[str]] = {}
    policy = _policy(dossier)
    for use in _uses(policy, dossier, purpose, channel, before):
        decider = _decider(dossier, use, moment, tuple(policy.categories))
        was, then = decider.together(before).verdicts, decider.together(after).verdicts
        if found := narrowed(was, then):
            lost.setdefault((use.purpose, use.recipient, use.destination), set()).update(found)
    return [Stop(*place, tuple(sorted(categories))) for place, categories in lost.items()]


def _uses(policy: Policy, dossier: Dossier, purpose: str, channel: str, members: Sequence[Facts]) -> Iterator[Use]:
    """Every use that a consent of these records, or the operator itself, could be about."""
    facts = [fact for one in members for fact in one.consents]
    here = dossier.at.store.jurisdiction
    recipients = _named((fact.recipient for fact in facts), SELF)
    channels = _named((fact.channel for fact in facts), channel)
    destinations = _named((fact.destination for fact in facts if fact.destination != NOWHERE), here)
    for use in sorted(set(policy.purposes) - policy.groups):
        if covers(purpose, use):
            for recipient in recipients:
                kind = RecipientClass.SELF if recipient == SELF else RecipientClass.THIRD_PARTY
                yield from (Use(use, by, recipient, kind, to) for by in channels for to in destinations)


def _named(found: Iterator[str], own: str) -> Collection[str]:
    return sorted({*found, own} - {ANY})


def _decider(dossier: Dossier, use: Use, moment: Moment, categories: tuple[str, ...]) -> Decider:
    request = Request(
        "officer",
        use.recipient,
        use.recipient_class,
        use.purpose,
        frozenset({use.purpose}),
        use.channel,
        dossier.at.store.jurisdiction,
        use.destination,
        moment.as_of,
        moment.known_at,
        moment.exhausted,
    )
    return Decider(_policy(dossier), request, categories)


def _policy(dossier: Dossier) -> Policy:
    policy = dossier.at.policy
    assert policy is not None, "a dossier is read with its policy"
    return policy
