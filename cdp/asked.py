"""What one operation asked for and found, and what the audit trail keeps of it: who, for what, which places, no
values.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Protocol
from uuid import UUID

from cdp.auth import Caller
from cdp.gate import Part, Spot
from cdp.statement import KeyKind, Statement
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
    def spots(self) -> Sequence[Spot]: ...
    def statement(self, roots: tuple[tuple[int, KeyKind], ...]) -> Statement: ...


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


def entry(
    asked: Asked, store: str, jurisdiction: str, pseudonym: Callable[[UUID], str], code: str | None
) -> dict[str, Any]:
    """The entry of an operation in one store's trail. `code` is given for one that was refused."""
    caller, plan = asked.caller, asked.plan
    parts = [part for part in asked.parts if part.store == store]
    made: dict[str, Any] = {
        "client": caller.client,
        "actor": pseudonym(UUID(bytes=sha256(caller.actor.encode()).digest()[:16])),
        "role": caller.role,
        "channel": caller.channel,
        "recipient": caller.legal_entity,
        "from": jurisdiction,
    }
    if plan is not None:
        made |= {"operation": plan.kind.value, "document": plan.document, "purpose": plan.purpose}
        made["customers"] = [_customer(part, plan.spots, asked, pseudonym) for part in parts]
        made["opened"] = sum(part.opener.opened for part in parts)
    if parts:
        made["policy"] = parts[0].policy_version
    return made if code is None else made | {"refused": code}


def _customer(part: Part, spots: Sequence[Spot], asked: Asked, pseudonym: Callable[[UUID], str]) -> dict[str, Any]:
    effects = [verdict.effect if (verdict := part.verdict(spot)) else Effect.ALLOW for spot in spots]
    return {
        "customer": pseudonym(part.customer_id),
        "to": asked.home.get(part.customer_id, ""),
        "consents": part.consents,
        "allowed": _bits(effect is Effect.ALLOW for effect in effects),
        "masked": _bits(effect is Effect.MASK for effect in effects),
        "denied": _bits(effect is Effect.DENY for effect in effects),
    }


def _bits(flags: Iterable[bool]) -> str:
    """A bitmap over the plan's places in hex; the first place is the lowest bit."""
    return format(sum(1 << number for number, flag in enumerate(flags) if flag), "x")
