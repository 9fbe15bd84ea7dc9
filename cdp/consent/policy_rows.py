"""The policy between its file, its reference tables and the cellar: rows in, rows out, one version at a time."""

import json
from collections.abc import Callable, Iterable
from dataclasses import fields
from datetime import datetime
from importlib.resources import files
from typing import Any

from sqlalchemy import Table, select

from cdp.consent import tables
from cdp.errors import RequestInvalid
from cdp.stores import Connection, Store
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
VERSION = "SELECT coalesce(max(version), 0) FROM policy_version"
REPLACED = "SELECT version, content FROM policy_version WHERE content IS NOT NULL ORDER BY version"
KEEP = "UPDATE policy_version SET content = $2 WHERE version = $1"


def starter_rows() -> PolicyRows:
    """The policy that a store begins with."""
    return read_rules(files("privacy").joinpath("rules.toml").read_text("utf-8"))


async def load_policy(stores: Iterable[Store], rows: PolicyRows, at: datetime) -> list[str]:
    """Make these rows the policy of every store, each in its own transaction; the names of the stores that changed.

    A store that has the rows already is left alone, so that a load that broke off between two stores can be repeated.
    Raises RequestInvalid before anything is written: POLICY_UNCHANGED, POLICY_NOT_NEWER, NOTICE_CHANGED.
    """
    behind = [store for store in stores if await _is_behind(store, rows)]
    if not behind:
        raise RequestInvalid("POLICY_UNCHANGED", f"every store has version {rows.version} with the same content")
    for store in behind:
        async with store.transaction() as connection:
            await write_policy(connection, rows, at)
    return [store.name for store in behind]


async def _is_behind(store: Store, rows: PolicyRows) -> bool:
    """Whether the store lacks these rows. Raises RequestInvalid where they cannot follow those it has."""
    async with store.read() as connection:
        kept = await _read_rows(connection)
        replaced = [_rows_of(version, content) for version, content in await connection.fetch(REPLACED)]
    changed = any(set(getattr(kept, name)) != set(getattr(rows, name)) for name, _, _ in KEPT)
    if not changed and kept.version == rows.version:
        return False
    if not changed:
        raise RequestInvalid("POLICY_UNCHANGED", f"store {store.name}: version {kept.version} has the same content")
    if rows.version <= kept.version:
        expected = f"expected version {kept.version + 1} or later, found {rows.version}"
        raise RequestInvalid("POLICY_NOT_NEWER", f"store {store.name}: {expected}")
    texts = {notice.id: notice.sha256 for old in (*replaced, kept) for notice in old.notices}
    for notice in rows.notices:
        if texts.get(notice.id, notice.sha256) != notice.sha256:
            expected = "expected the text that customers were shown under this id; a new text is a new notice"
            raise RequestInvalid("NOTICE_CHANGED", f"store {store.name}: notice {notice.id}: {expected}")
    return True


async def write_policy(connection: Connection, rows: PolicyRows, at: datetime) -> None:
    """Replace the policy of a store, within the caller's transaction; the rows it had are kept with their version.

    Raises PolicyInvalid before anything is written.
    """
    Policy.of(rows)
    replaced = await _read_rows(connection)
    await connection.execute(KEEP, replaced.version, _content(replaced))
    for name, table, kind in KEPT:
        await connection.execute(f'DELETE FROM "{table.name}"')  # noqa: S608 - our own table's name
        columns = [field.name for field in fields(kind)]
        records = [tuple(_kept(getattr(row, column)) for column in columns) for row in getattr(rows, name)]
        await connection.copy_records_to_table(table.name, columns=columns, records=records)
    await connection.execute("INSERT INTO policy_version (version, loaded_at) VALUES ($1, $2)", rows.version, at)


async def read_policy(connection: Connection) -> Policy:
    """The policy of a store as its tables hold it now. Raises PolicyInvalid for rows that make no sense together."""
    return Policy.of(await _read_rows(connection))


async def read_past_policy(connection: Connection, version: int) -> Policy | None:
    """The policy as it was in an earlier version; None where that version is in force, or was never here."""
    for kept, content in await connection.fetch(REPLACED):
        if kept == version:
            return Policy.of(_rows_of(version, content))
    return None


async def read_past_notice(connection: Connection, notice_id: str) -> Notice | None:
    """A notice as it was in the last version before this one that had it."""
    found = [
        notice
        for version, content in await connection.fetch(REPLACED)
        for notice in _rows_of(version, content).notices
        if notice.id == notice_id
    ]
    return found[-1] if found else None


def _content(rows: PolicyRows) -> str:
    """Every row of a version as JSON text, a row being the list of its fields."""
    kept = {
        name: [[_kept(getattr(row, field.name)) for field in fields(kind)] for row in getattr(rows, name)]
        for name, _, kind in KEPT
    }
    return json.dumps(kept, ensure_ascii=False, default=datetime.isoformat)


def _rows_of(version: int, content: str) -> PolicyRows:
    kept = json.loads(content)
    return PolicyRows(
        version=version,
        **{
            name: tuple(
                kind(**{f.name: _read(name, f.name, value) for f, value in zip(fields(kind), row, strict=True)})
                for row in kept[name]
            )
            for name, _, kind in KEPT
        },
    )


async def _read_rows(connection: Connection) -> PolicyRows:
    """The rows of one version, also where every statement is a snapshot of its own; version 0 where there are none."""
    while True:
        version = await connection.fetchval(VERSION)
        read = {name: await _read_table(connection, name, table, kind) for name, table, kind in KEPT}
        if version == await connection.fetchval(VERSION):
            return PolicyRows(version=version, **read)


async def _read_table(connection: Connection, name: str, table: Table, kind: type[Any]) -> tuple[Any, ...]:
    columns = [field.name for field in fields(kind)]
    rows = await connection.fetch(str(select(*(table.c[column] for column in columns))))
    return tuple(kind(**{column: _read(name, column, row[column]) for column in columns}) for row in rows)


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


INSTANTS = ("superseded_at", "expires_at")


def _kept(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, tuple) else value


def _read(name: str, column: str, value: Any) -> Any:
    if column in INSTANTS and isinstance(value, str):
        return datetime.fromisoformat(value)
    reader = READERS.get((name, column))
    return value if reader is None or value is None else reader(value)
