"""What one operation asked for and found, and what the audit trail keeps of it: who, for what, which places, no
values.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from cdp.audit import Names
from cdp.auth import Caller
from cdp.gate import Part, Spot
from cdp.statement import Statement, Way
from privacy.vocabulary import Effect


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
    def statement(self, ways: tuple[Way, ...]) -> Statement: ...


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
    home: dict[UUID, str] = field(default_factory=dict)
    """Customer -> the jurisdiction their data was read in."""


def entry(asked: Asked, store: str, jurisdiction: str, names: Names, code: str | None) -> dict[str, Any]:
    """The entry of an operation in one store's trail. `code` is given for one that was refused."""
    caller, plan = asked.caller, asked.plan
    parts = [part for part in asked.parts if part.store == store]
    made: dict[str, Any] = {
        "client": caller.client,
        "actor": names.actor(caller.actor),
        "role": caller.role,
        "channel": caller.channel,
        "recipient": caller.legal_entity,
        "from": jurisdiction,
    }
    if plan is not None:
        made |= {"operation": plan.kind.value, "document": plan.document, "purpose": plan.purpose}
        made["customers"] = [_customer(part, plan.masks, asked, names.pseudonym) for part in parts]
        made["opened"] = sum(part.opener.opened for part in parts)
    if parts:
        made["policy"] = parts[0].policy_version
    return made if code is None else made | {"refused": code}


def _customer(
    part: Part, masks: Mapping[str | None, int], asked: Asked, pseudonym: Callable[[UUID], str]
) -> dict[str, Any]:
    """One customer's line: bitmaps over the plan's places in hex, the first place being the lowest bit."""
    bits = {Effect.ALLOW: 0, Effect.MASK: 0, Effect.DENY: masks[None]}
    for category, verdict in part.verdicts.items():
        bits[verdict.effect] |= masks.get(category, 0)
    return {
        "customer": pseudonym(part.customer_id),
        "to": asked.home.get(part.customer_id, ""),
        "consents": part.consents,
        "allowed": format(bits[Effect.ALLOW], "x"),
        "masked": format(bits[Effect.MASK], "x"),
        "denied": format(bits[Effect.DENY], "x"),
    }


def masks_of(spots: Iterable[Spot]) -> dict[str | None, int]:
    """The places of each category as a bitmap; under None those that planning refused."""
    masks: dict[str | None, int] = {None: 0}
    for spot in spots:
        category = None if spot.refused else spot.category
        masks[category] = masks.get(category, 0) | 1 << spot.number
    return masks
