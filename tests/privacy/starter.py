"""The starter policy, read from its file."""

from pathlib import Path
from typing import Final

from privacy.rows import PolicyRows
from privacy.rulebook import Policy
from privacy.rules import read_rules

STARTER_TEXT: Final = Path(__file__).parents[2].joinpath("privacy/rules.toml").read_text("utf-8")


def starter_rows() -> PolicyRows:
    return read_rules(STARTER_TEXT)


def starter_policy() -> Policy:
    return Policy.of(starter_rows())
