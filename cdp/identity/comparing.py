"""What two records say of a person, held against each other."""

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

Said: TypeAlias = Mapping[str, Any]
"""What may be seen of a record, by the names of the schema: those of SINGLE, `identifications` and `holdings`."""

SINGLE: Final = ("formattedName", "birthDate", "gender", "email", "address")
"""What a person has one of."""


class Comparison(NamedTuple):
    """One thing both records tell, and whether it is the same; never a value."""

    field: str
    agrees: bool


def compare(one: Said, other: Said) -> Iterator[Comparison]:
    """What both records tell. What only one does, or what may not be seen of one, speaks neither for nor against."""
    for field in SINGLE:
        if one.get(field) and other.get(field):
            yield Comparison(field, folded(one[field]) == folded(other[field]))
    mine, theirs = _documents(one), _documents(other)
    for kind in sorted(mine.keys() & theirs.keys()):
        yield Comparison(f"identifications.{kind}", not mine[kind].isdisjoint(theirs[kind]))
    # Two persons have different numbers, and so has one: only what is the same tells something.
    for field, values in (("holdings.number", _numbers), ("holdings.sim", _cards)):
        if not values(one).isdisjoint(values(other)):
            yield Comparison(field, agrees=True)


def folded(text: str) -> str:
    """A text without what differs between two ways of writing the same: width, case, spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _documents(said: Said) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for document in said.get("identifications") or ():
        if document["documentType"] and document["documentNumber"]:
            found.setdefault(document["documentType"], set()).add(folded(document["documentNumber"]))
    return found


def _numbers(said: Said) -> set[str]:
    return {held["number"] for held in said.get("holdings") or () if held["number"]}


def _cards(said: Said) -> set[str]:
    cards = (held["sim"] for held in said.get("holdings") or ())
    return {card["iccid"] for card in cards if card and card["iccid"]}
