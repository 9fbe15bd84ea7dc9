"""What one operation asked for and found, and what the audit trail keeps of it: who, for what, which places, no
values.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from cdp.audit import TRAIL_BLANKS, AuditTrail, Names, instant_text
from cdp.auth import Caller
from cdp.gate import Part, Spot
from cdp.statement import LEADER, MERGED_SINCE, OTHERS, STATE, Statement, Way
from privacy.log import Form, canonical
from privacy.vocabulary import SELF, CustomerState, Effect

MOST_FORMS: Final = 256
"""Entry forms that are remembered for a plan."""


class Plan(Protocol):
    """What a compiled operation offers to its execution."""

    @property
    def kind(self) -> Any: ...
    @property
    def purpose(self) -> str: ...
    @property
    def document(self) -> str: ...
    @property
    def categories(self) -> tuple[str, ...]: ...
    @property
    def masks(self) -> Mapping[str | None, int]: ...
    @property
    def governed(self) -> int: ...
    @property
    def places(self) -> Mapping[str, str]: ...
    @property
    def forms(self) -> dict[Any, Form]: ...
    def statement(self, ways: tuple[Way, ...]) -> Statement: ...


class Book(NamedTuple):
    """A store's trail, with the store's name and jurisdiction (a code of two letters)."""

    store: str
    jurisdiction: str
    trail: AuditTrail


@dataclass(slots=True)
class Asked:
    """One operation under way: who asks what, and the customers found. `stores` were touched otherwise, by a write.

    `plan` is None for a request that was refused before it had one.
    """

    caller: Caller
    plan: Plan | None
    at: datetime
    parts: list[Part] = field(default_factory=list)
    stores: set[str] = field(default_factory=set)


async def write_down(asked: Asked, at: Book, code: str | None, entry_id: UUID) -> None:
    """Makes the entry of an operation durable in one store's trail. `code` is given for one that was refused.

    Raises AuditUnavailable.
    """
    parts = [part for part in asked.parts if part.store == at.store]
    values: dict[str, object] = {}
    if asked.plan is not None:
        year = asked.at.year
        names = at.trail.names
        lines = [
            _customer(part, asked.plan, names.pseudonym(part.customer_id, year))
            if _usual(part, asked.at)
            else _unusual(part, asked, names)
            for part in parts
        ]
        values["customers"] = f"[{','.join(lines)}]"
        values["opened"] = sum([part.opener.opened for part in parts])
    if parts:
        values["policy"] = parts[0].policy_version
    await at.trail.fill_in(_form(asked, at, code, values), values, entry_id)


async def announce(asked: Asked, at: Book) -> None:
    """Makes it durable that an order is about to be carried out in a store. Raises AuditUnavailable: then it is not."""
    await at.trail.record(_shared(asked, at, None) | {"begun": True})


def _form(asked: Asked, at: Book, code: str | None, values: Iterable[str]) -> Form:
    """The entry without what differs from one run of the operation to the next."""
    blanks = frozenset(values)
    key = (asked.caller, at.store, asked.at.year, code, blanks)
    forms = asked.plan.forms if asked.plan is not None else {}
    form = forms.get(key)
    if form is None:
        form = Form(_shared(asked, at, code), (*TRAIL_BLANKS, *blanks))
        if len(forms) >= MOST_FORMS:
            forms.clear()
        forms[key] = form
    return form


def _shared(asked: Asked, at: Book, code: str | None) -> dict[str, object]:
    caller, plan = asked.caller, asked.plan
    made: dict[str, object] = {
        "client": caller.client,
        "actor": at.trail.names.actor(caller.actor, asked.at.year),
        "role": caller.role,
        "channel": caller.channel,
        "recipient": caller.legal_entity,
        "from": at.jurisdiction,
    }
    if plan is not None:
        made |= {"operation": plan.kind.value, "document": plan.document, "purpose": plan.purpose}
        made["places"] = plan.places
        if undeclared := plan.masks[None]:
            made["undeclared"] = f"{undeclared:x}"
    if caller.recipient_class != SELF:
        made["recipient_class"] = caller.recipient_class
    return made if code is None else made | {"refused": code}


def _customer(part: Part, plan: Plan, pseudonym: str) -> str:
    """One customer's line: bitmaps over the plan's places in hex, the first place being the lowest bit."""
    allowed, masked, denied = _bitmaps(part, plan)
    return (
        f'{{"allowed":"{allowed:x}","consents":{part.consents},"customer":"{pseudonym}",'
        f'"denied":"{denied:x}","masked":"{masked:x}","to":"{part.destination}"}}'
    )


def _usual(part: Part, at: datetime) -> bool:
    """Whether nothing but the rows of consent and the policy had a part in what was decided."""
    head = part.head
    active = head[STATE] == CustomerState.ACTIVE.value and head[LEADER] is None
    return active and part.as_of is at and not part.exhausted and not part.alone


def _unusual(part: Part, asked: Asked, names: Names) -> str:
    """As `_customer`, with whatever else had a part: an instant past the entry's, a state, others merged with them
    (`with`, since when), transfer bases that were used up, words about the number alone that they were found by (1
    while it is theirs).
    """
    assert asked.plan is not None, "what is read has a plan"
    year, head = asked.at.year, part.head
    line: dict[str, object] = json.loads(_customer(part, asked.plan, names.pseudonym(part.customer_id, year)))
    if part.as_of is not asked.at:
        line["as_of"] = instant_text(part.as_of)
    if head[STATE] != CustomerState.ACTIVE.value:
        line["state"] = head[STATE]
    if part.exhausted:
        line["exhausted"] = sorted(part.exhausted)
    if part.alone:
        line["alone"] = {names.pseudonym(word, year): int(lasts) for word, lasts in part.alone.items()}
    if head[LEADER] is not None:
        line["since"] = instant_text(head[MERGED_SINCE])
        line["with"] = [names.pseudonym(other[0], year) for other in head[OTHERS]]
    return canonical(line).decode()


def _bitmaps(part: Part, plan: Plan) -> tuple[int, int, int]:
    """The places that were allowed, masked and denied."""
    allowed, masked, denied = plan.governed, 0, plan.masks[None]
    if not part.decision.clear:
        bits = {Effect.ALLOW: 0, Effect.MASK: 0, Effect.DENY: denied}
        for category, verdict in part.decision.verdicts.items():
            bits[verdict.effect] |= plan.masks.get(category, 0)
        allowed, masked, denied = bits[Effect.ALLOW], bits[Effect.MASK], bits[Effect.DENY]
    return allowed, masked, denied


def shows_anything(asked: Asked) -> bool:
    """Whether any place of the operation may be seen, if roughly, of any customer who was found."""
    return asked.plan is not None and any(shows(part, asked.plan) for part in asked.parts)


def shows(part: Part, plan: Plan) -> bool:
    """The same of one of them."""
    return any(_bitmaps(part, plan)[:2])


def masks_of(spots: Iterable[Spot]) -> dict[str | None, int]:
    """The places of each category as a bitmap; under None those that planning refused."""
    masks: dict[str | None, int] = {None: 0}
    for spot in spots:
        category = None if spot.refused else spot.category
        masks[category] = masks.get(category, 0) | 1 << spot.number
    return masks


def places_of(spots: Iterable[Spot], found_by: Iterable[str]) -> dict[str, str]:
    """The places of each category as a bitmap in hex, refused ones too, by the short name of the category.

    One without places was read all the same: customers were found by it.
    """
    masks = dict.fromkeys(found_by, 0)
    for spot in spots:
        if spot.category is not None:
            masks[spot.category] = masks.get(spot.category, 0) | 1 << spot.number
    return {short_name(category): f"{mask:x}" for category, mask in masks.items()}


def short_name(category: str) -> str:
    """Four hex digits that stand for a category in entries, for ever: each byte of an entry is written and hashed."""
    return sha256(category.encode()).hexdigest()[:4]
