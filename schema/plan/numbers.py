"""The roots that are about a number itself, whoever holds it: what it is, and who answers for it.

What its digits and its segment tell is public. What the stores know of it (who serves it, who answers for it) is asked
for serving customers only, and never by partners: to them a number that is held and one that is not are the same.
"""

from datetime import datetime
from typing import Any, Final, NamedTuple

from cdp.accountability import Accountability, KnownNumber, accountability, find_number
from cdp.errors import AuthError
from cdp.gate import Findings
from cdp.identity.reads import segment_of
from cdp.number_facts import NumberFacts, facts, prefix_of, read_facts
from cdp.numbers import PhoneNumber
from privacy.vocabulary import Withheld
from schema.fields import SERVICE
from schema.plan.operation import OperationRoot, held_places, lineage
from schema.plan.targets import Arguments, Reach

NUMBER_ROOTS: Final = ("numberFacts", "accountability")


class AskedNumber(NamedTuple):
    """A root about a number, bound; `number` is None for a short code, `places` are those that the stores must fill."""

    root: OperationRoot
    number: PhoneNumber | None
    facts: NumberFacts
    at: datetime
    places: tuple[tuple[str, ...], ...]


class _Known(NamedTuple):
    """What a store that holds a number tells of it."""

    number: KnownNumber
    accountability: Accountability


def bind_number(root: OperationRoot, arguments: Arguments, reach: Reach) -> AskedNumber:
    """A root about a number. Raises InvalidNumber, and AuthError for a partner who asks what only the stores know."""
    places = held_places(root)
    if places and reach.caller.partner:
        raise AuthError("FORBIDDEN", f"{'.'.join((root.name, *places[0][1:]))}: not open to partners", 403)
    if root.name == "accountability":
        number: PhoneNumber | None = PhoneNumber.parse(arguments["number"], arguments.get("region"))
        assert number is not None
        known = facts(number)
    else:
        number, known = read_facts(arguments["number"], arguments.get("region"))
    return AskedNumber(root, number, known, arguments.get("at") or reach.at, places)


async def tell_number(asked: AskedNumber, reach: Reach, findings: Findings) -> Any:
    """The value of a root about a number. Raises StoreUnavailable."""
    operation = reach.asked
    assert operation.plan is not None, "what is read has a plan"
    known = None
    if asked.places and asked.number is not None:
        refused = None if set(lineage(operation.plan.purpose)) & set(SERVICE) else Withheld.PURPOSE_NOT_DECLARED
        stores = _stores_of(asked.number, reach)
        if refused is None and not stores:
            refused = Withheld.REGION_UNAVAILABLE
        if refused is None:
            known = await _known(asked, stores, reach)
        else:
            for place in asked.places:
                findings.withhold(place, refused)
    answers = None if known is None else _shown(known.accountability)
    if asked.root.name == "accountability":
        return answers
    told = await _placed(asked, reach)
    return {
        "number": asked.number.e164 if asked.number else None,
        "region": told.region,
        "city": told.city,
        "kind": told.kind.value,
        "issuer": told.issuer,
        "servingOperator": known.number.serving_operator if known else None,
        "accountability": answers,
    }


def _shown(answers: Accountability) -> dict[str, str]:
    return {"region": answers.region, "desk": answers.desk, "reason": answers.reason.value}


def _stores_of(number: PhoneNumber, reach: Reach) -> list[str]:
    """The stores the caller may ask for a number: its own, or all where its country has none."""
    own = reach.store_of(number.region)
    return reach.all_open if own is None else [own] if reach.open_to(own) else []


async def _known(asked: AskedNumber, stores: list[str], reach: Reach) -> _Known | None:
    assert asked.number is not None
    for name in stores:
        reach.asked.stores.add(name)
        at = reach.stores[name]
        async with at.store.read() as connection:
            if found := await find_number(connection, at.ring, asked.number.e164, asked.at):
                return _Known(found, await accountability(connection, found, asked.at))
    return None


async def _placed(asked: AskedNumber, reach: Reach) -> NumberFacts:
    """The facts with those of the number's segment, which every store has alike."""
    prefix = prefix_of(asked.number) if asked.number else None
    if asked.number is None or prefix is None:
        return asked.facts
    own = reach.store_of(asked.number.region)
    at = reach.stores[own] if own is not None and own in reach.stores else next(iter(reach.stores.values()))
    async with at.store.read() as connection:
        return facts(asked.number, await segment_of(connection, prefix))
