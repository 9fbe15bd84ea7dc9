"""How records of one person are found, as data: a TOML file such as matching.toml beside this page, and its checks."""

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from cdp.errors import RequestInvalid
from cdp.event import Part, Ref

Trait = Literal["name", "birthDate", "email", "address", "document", "number", "card", "numberOnCard"]
"""What two records may share. A card is a SIM; `numberOnCard` is a number together with the card it is on."""
Chance = Annotated[float, Field(gt=0, lt=1)]


class Sharing(Part):
    """Records that have a value of each of `kinds` in common; a value of more than `most` records is none."""

    kinds: Annotated[tuple[Trait, ...], Field(min_length=1, strict=False)]
    most: Annotated[int, Field(ge=2, le=200)]


class Rule(Sharing):
    """Records that share this are proposed."""

    name: Ref


class Level(Part):
    """How alike two values are, how often those of one person are (`m`), and those of two (`u`)."""

    like: Literal["SAME", "ONE_CHARACTER", "NEARLY"]
    m: Chance
    u: Chance


class Comparison(Part):
    """A field and its levels; what fits none of them has the chances that are left over."""

    field: Literal["name", "birthDate", "document", "address", "email"]
    levels: Annotated[tuple[Level, ...], Field(min_length=1, strict=False)]

    @model_validator(mode="after")
    def _something_is_left(self) -> "Comparison":
        if min(self.rest) <= 0:
            raise ValueError("levels whose m, and whose u, are less than 1 together")
        if self.field == "document" and any(level.like != "SAME" for level in self.levels):
            raise ValueError("SAME alone for documents")
        return self

    @property
    def rest(self) -> tuple[float, float]:
        """m and u of what fits no level."""
        return 1 - sum(level.m for level in self.levels), 1 - sum(level.u for level in self.levels)


class Likelihood(Part):
    """How likely two records are one person's before they are compared; from how many on u is estimated."""

    prior: Chance
    enough: Annotated[int, Field(ge=2)]


class MatchRules(Part):
    """The rules by their priority, what is compared at all, and how."""

    rules: Annotated[tuple[Rule, ...], Field(strict=False)]
    blocks: Annotated[tuple[Sharing, ...], Field(strict=False)]
    likelihood: Likelihood
    comparisons: Annotated[tuple[Comparison, ...], Field(min_length=1, strict=False)]

    @model_validator(mode="after")
    def _named_once(self) -> "MatchRules":
        names = [rule.name for rule in self.rules], [str(one.field) for one in self.comparisons]
        if any(len(set(each)) < len(each) for each in names):
            raise ValueError("each rule and each comparison once")
        return self

    @property
    def shared(self) -> Sequence[Sharing]:
        """All by which two records are compared."""
        return (*self.rules, *self.blocks)


def read_match_rules(path: Path | None) -> MatchRules:
    """The rules of a file, else ours; raises RequestInvalid MATCHING_INVALID, naming the first thing that is wrong."""
    found = path or files("cdp.identity").joinpath("matching.toml")
    try:
        top = tomllib.loads(found.read_text("utf-8"))
        made: MatchRules = MatchRules.__pydantic_validator__.validate_python(top)
    except (ValidationError, UnicodeDecodeError, tomllib.TOMLDecodeError) as wrong:
        raise RequestInvalid("MATCHING_INVALID", f"{found.name}: {_told(wrong)}") from None
    return made


def _told(wrong: Exception) -> str:
    if not isinstance(wrong, ValidationError):
        return "expected TOML in UTF-8"
    first = wrong.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
