"""Which records share what: the rules that propose two of them, and the groups within which they are compared."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Final, NamedTuple, TypeAlias

from cdp.identity.comparing import Said, folded
from cdp.identity.match_rules import MatchRules, Sharing
from cdp.values import compact

Traits: TypeAlias = Mapping[str, frozenset[str]]
"""What a record says, by the words of `Trait` and `documentType`, in the spelling by which values are compared."""
Pair: TypeAlias = tuple[int, int]
"""The places of two records in a list, the lower one first."""
SINGLE: Final = {"name": "formattedName", "birthDate": "birthDate", "email": "email", "address": "address"}


class Likeness(NamedTuple):
    """How likely two records are one person's (0 to 1), and what each field adds to it, in bits; never a value."""

    score: float
    weights: Mapping[str, float]


def traits_of(said: Said, blocked: Callable[[str, str], bool]) -> Traits:
    """What a record says, but for what may not be seen of it and for identifiers (kind, value) that are blocked."""
    found = {trait: {_squeezed(said[field])} for trait, field in SINGLE.items() if said.get(field)}
    if "email" in found and blocked("email", said["email"]):
        del found["email"]
    for document in said.get("identifications") or ():
        number = document["documentNumber"]
        if number and not blocked("document", number):
            found.setdefault("document", set()).add(compact(number))
            found.setdefault("documentType", set()).add(str(document["documentType"]))
    for held in said.get("holdings") or ():
        number, card = held["number"], (held["sim"] or {}).get("iccid")
        number = None if number and blocked("number", number) else number
        for trait, value in (("number", number), ("card", card), ("numberOnCard", number and card and number + card)):
            if value:
                found.setdefault(trait, set()).add(value)
    return {trait: frozenset(values) for trait, values in found.items()}


def groups(sharing: Sharing, records: Sequence[Traits]) -> Iterator[list[int]]:
    """The places of records that have something in common, two or more."""
    found: dict[tuple[str, ...], list[int]] = {}
    for place, record in enumerate(records):
        for values in product(*(record.get(trait, ()) for trait in sharing.kinds)):
            found.setdefault(values, []).append(place)
    return (places for places in found.values() if 1 < len(places) <= sharing.most)


def ruled(rules: MatchRules, records: Sequence[Traits]) -> dict[Pair, str]:
    """Two records -> the first rule by which they are proposed."""
    found: dict[Pair, str] = {}
    for rule in rules.rules:
        for places in groups(rule, records):
            for pair in combinations(places, 2):
                found.setdefault(pair, rule.name)
    return found


def keys(shared: Iterable[Sharing], records: Sequence[Traits]) -> list[list[int]]:
    """For each record the numbers of the groups it is in: those that have one in common are compared."""
    found: list[list[int]] = [[] for _ in records]
    number = 0
    for sharing in shared:
        for places in groups(sharing, records):
            number += 1
            for place in places:
                found[place].append(number)
    return found


def _squeezed(text: str) -> str:
    return folded(text).replace(" ", "")
