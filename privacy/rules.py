"""The policy as a file that a privacy officer can read: the text of a TOML file in, `PolicyRows` out.

A table of the file has the fields of its row in rows.py, in the officer's words where those differ: `categories` makes
a row for each, the `text` of a notice is kept as its SHA-256, `masks` is a table, and the sensitivity "*" is every one.
Purposes and categories are those of vocabulary.py. rules.toml beside this page is what every store begins with.
"""

import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from types import NoneType
from typing import Any, Final, get_args, get_origin, get_type_hints

from privacy.errors import PolicyInvalid
from privacy.rows import Basis, CategorySensitivity, Notice, PolicyRows, Rule, TransferBasis
from privacy.vocabulary import ANY, CATEGORIES, PURPOSES

_KINDS: Final[Mapping[str, type[Any]]] = {
    "rule": Rule,
    "sensitivity": CategorySensitivity,
    "basis": Basis,
    "notice": Notice,
    "transfer_basis": TransferBasis,
}
_OFFICERS_WORDS: Final = {"category": "categories", "sha256": "text"}
_EXPECTED: Final[Mapping[type, str]] = {
    str: "a text in quotes",
    int: "a whole number from 0",
    bool: "true or false",
    datetime: "an instant with its offset, such as 2026-01-31T00:00:00+08:00",
    list: "a list in square brackets",
    dict: "a table",
}
_NUMBERS: Final = range(2**31)  # what a column of the reference tables holds


class _Unfit(Exception):
    """Its text is what was expected."""


def read_rules(text: str) -> PolicyRows:
    """The rows of a policy file.

    Raises PolicyInvalid naming the table, its id (without one its position from 1), the field and what was expected.
    """
    try:
        file = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise PolicyInvalid(f"not TOML: {wrong}") from None
    parts = ("version", *_KINDS)
    _check_names("policy", file, parts, parts)
    rows = {table: tuple(_rows(table, file[table])) for table in _KINDS}
    read = PolicyRows(
        version=_fitting("policy", "version", int, file["version"]),
        purposes=tuple(PURPOSES.values()),
        categories=tuple(CATEGORIES.values()),
        sensitivities=rows["sensitivity"],
        rules=rows["rule"],
        bases=rows["basis"],
        notices=rows["notice"],
        transfer_bases=rows["transfer_basis"],
    )
    read.check()
    return read


def _rows(table: str, given: Any) -> Iterator[Any]:
    kind = _KINDS[table]
    types = get_type_hints(kind)
    words = {_OFFICERS_WORDS.get(field.name, field.name): field.default is MISSING for field in fields(kind)}
    needed = [word for word, is_needed in words.items() if is_needed]
    for position, one in enumerate(_fitting("policy", table, list, given), 1):
        said = _fitting("policy", table, dict, one)
        name = f"{table} {said.get('id', position)}"
        _check_names(name, said, words, needed)
        for row in _in_words_of_rows(table, name, said):
            yield kind(**{field: _fitting(name, field, types[field], value) for field, value in row.items()})


def _check_names(name: str, given: Collection[str], known: Collection[str], needed: Collection[str]) -> None:
    for word in given:
        if word not in known:
            raise PolicyInvalid(f"{name}: {word} is unknown; expected one of {', '.join(known)}")
    for word in needed:
        if word not in given:
            raise PolicyInvalid(f"{name}: {word} is missing; expected {', '.join(needed)}")


def _in_words_of_rows(table: str, name: str, said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of the rows that one table of the file makes, their values as they were read."""
    row = dict(said)
    if table == "rule":
        row["sensitivity"] = None if row["sensitivity"] == ANY else row["sensitivity"]
        row["masks"] = [list(pair) for pair in _fitting(name, "masks", dict, row.get("masks", {})).items()]
    if table == "notice":
        row["sha256"] = sha256(_fitting(name, "text", str, row.pop("text")).encode()).hexdigest()
    if table not in ("basis", "sensitivity"):
        return [row]
    categories = _fitting(name, "categories", list, row.pop("categories"))
    if not categories:
        raise PolicyInvalid(f"{name}: categories []; expected at least one")
    return [row | {"category": category} for category in categories]


def _fitting(name: str, field: str, kind: Any, value: Any) -> Any:
    try:
        return _fit(kind, value)
    except _Unfit as unfit:
        raise PolicyInvalid(f"{name}: {field} {value!r}; expected {unfit}") from None


def _fit(kind: Any, value: Any) -> Any:
    """The value of a field of this type, as its row holds it; raises _Unfit."""
    if NoneType in get_args(kind):
        return None if value is None else _fit(get_args(kind)[0], value)
    if get_origin(kind) is tuple:
        return tuple(_fit(get_args(kind)[0], item) for item in _fit(list, value))
    if issubclass(kind, StrEnum):
        if value not in list(kind):
            raise _Unfit(f"one of {', '.join(kind)}")
        return kind(value)
    if type(value) is not kind or value == "":
        raise _Unfit(_EXPECTED[kind])
    if (kind is int and value not in _NUMBERS) or (kind is datetime and value.tzinfo is None):
        raise _Unfit(_EXPECTED[kind])
    return value
