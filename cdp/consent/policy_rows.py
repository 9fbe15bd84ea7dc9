"""The policy between its file, its reference tables and the cellar: rows in, rows out, one version at a time."""

import json
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from importlib.resources import files
from typing import Any

from sqlalchemy import Table, select

from cdp.consent import tables
from cdp.stores import Connection
from privacy.rows import Basis, CategorySensitivity, Notice, PolicyRows, Rule, TransferBasis
from privacy.rulebook import Policy
from privacy.rules import read_rules
from privacy.vocabulary import BasisKind, Category, ConsentKind, Purpose, RecipientClass, Sensitivity, TransferBasisKind

KEPT: tuple[tuple[str, Table, type[Any]], ...] = (
    ("purposes", tables.purpose, Purpose),
    ("categories", tables.data_category, Category),
    ("sensitivities", tables.sensitivity, CategorySensitivity),
    ("rules", tables.rule, Rule),
    ("bases", tables.basis, Basis),
    ("notices", tables.notice, Notice),
    ("transfer_bases", tables.transfer_basis, TransferBasis),
)
"""Field of `PolicyRows`, its table, its class."""


def starter_rows() -> PolicyRows:
    """The policy that a store begins with."""
    return read_rules(files("privacy").joinpath("rules.toml").read_text("utf-8"))


async def write_policy(connection: Connection, rows: PolicyRows, at: datetime) -> None:
    """Replace the policy of a store, within the caller's transaction. Raises PolicyInvalid before anything is
    written.
    """
    Policy.of(rows)
    for name, table, kind in KEPT:
        await connection.execute(f'DELETE FROM "{table.name}"')  # noqa: S608 - our own table's name
        columns = [field.name for field in fields(kind)]
        records = [tuple(_kept(getattr(row, column)) for column in columns) for row in getattr(rows, name)]
        await connection.copy_records_to_table(table.name, columns=columns, records=records)
    await connection.execute("INSERT INTO policy_version (version, loaded_at) VALUES ($1, $2)", rows.version, at)


async def read_policy(connection: Connection) -> Policy:
    """The policy of a store as its tables hold it now. Raises PolicyInvalid for rows that make no sense together."""
    read: dict[str, Any] = {}
    for name, table, kind in KEPT:
        found = await connection.fetch(str(select(*(table.c[field.name] for field in fields(kind)))))
        read[name] = tuple(kind(*(_read(name, field.name, row[field.name]) for field in fields(kind))) for row in found)
    version = await connection.fetchval("SELECT max(version) FROM policy_version")
    return Policy.of(PolicyRows(version=version, **read))


def _list_of(kind: Callable[[Any], Any]) -> Callable[[str], tuple[Any, ...]]:
    return lambda text: tuple(kind(item) for item in json.loads(text))


READERS: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("sensitivities", "sensitivity"): Sensitivity,
    ("rules", "sensitivity"): Sensitivity,
    ("rules", "recipients"): _list_of(RecipientClass),
    ("rules", "bases"): _list_of(BasisKind),
    ("rules", "consent"): ConsentKind,
    ("rules", "masks"): _list_of(tuple),
    ("bases", "kind"): BasisKind,
    ("notices", "scopes"): _list_of(str),
    ("transfer_bases", "kind"): TransferBasisKind,
    ("transfer_bases", "categories"): _list_of(str),
}
"""How a kept value becomes what the row class holds, where it is not that already."""


def _kept(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, tuple) else value


def _read(name: str, column: str, value: Any) -> Any:
    reader = READERS.get((name, column))
    return value if reader is None or value is None else reader(value)
