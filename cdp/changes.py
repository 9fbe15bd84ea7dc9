"""What follows from events, as rows to put, and the one way to write them: few statements, whatever the number of rows.

Events come late, twice and in any order. So a row says how it meets one that is already there:

    NEW       it cannot be there: its key comes from an event that was not seen before (a clash fails the write)
    KEEP      the row that is there stays
    Newest    its columns are replaced when the new ones are later; the same instant is decided by the values
    Parts     several Newest in one row, each with its own instant
    Add       its columns are added up
    Earliest  its columns keep the earlier value

Newest and Earliest with `amend` change a row that must be there already, and never make one. Whatever the order of
arrival, the result is the same.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import MetaData, Table, Uuid

from cdp.context import Cell
from cdp.staging import staged
from cdp.stores import Connection


@dataclass(frozen=True)
class New:
    """Plain insert."""


@dataclass(frozen=True)
class Keep:
    """Insert unless it is there."""


@dataclass(frozen=True)
class Newest:
    """`columns` and `at` are replaced by the later ones; `at` names the column of their instant."""

    columns: tuple[str, ...]
    at: str
    amend: bool = False


@dataclass(frozen=True)
class Parts:
    """Each part is replaced by its later one; `amend` of a part says nothing here."""

    parts: tuple[Newest, ...]


@dataclass(frozen=True)
class Add:
    """`columns` are added up."""

    columns: tuple[str, ...]


@dataclass(frozen=True)
class Earliest:
    """`columns` keep the earlier of two values; no value is later than any."""

    columns: tuple[str, ...]
    amend: bool = False


Merge: TypeAlias = New | Keep | Newest | Parts | Add | Earliest
NEW: Final = New()
KEEP: Final = Keep()
Row: TypeAlias = dict[str, Any]


class Put(NamedTuple):
    """One row for a table; the values of its sealed columns are Cells."""

    table: Table
    row: Row
    merge: Merge


async def write(connection: Connection, puts: Iterable[Put], made: Collection[UUID] = ()) -> None:
    """Writes all rows: parents before their children, inserts before amendments, keys in one order for all writers.

    `made` are customers nobody knows yet: of them nothing can be there, so their rows are copied into the tables.
    Raises what asyncpg raises when a row clashes with what is there. Every Cell must be sealed by then.
    """
    groups: dict[tuple[Table, int, tuple[str, ...]], tuple[Merge, list[Row]]] = {}
    for table, row, merge in puts:
        name = (table, id(merge), tuple(row))
        if (group := groups.get(name)) is None:
            groups[name] = group = (merge, [])
        group[1].append(row)
    named = [(table, merge, columns, rows) for (table, _, columns), (merge, rows) in groups.items()]
    begun: set[Table] = set()
    for table, merge, columns, rows in sorted(named, key=_turn):
        # Once for a table: another group may have a row of the same key.
        first, others = _parted(table, merge, rows, () if table in begun else made)
        begun.add(table)
        if first:
            await connection.copy_records_to_table(table.name, records=_records(table, columns, first), columns=columns)
        for wave in _waves(table, merge, others):
            records = _records(table, columns, wave)
            source, parameters = await staged(connection, table, columns, records, joined=_amends(merge))
            await connection.execute(_statement(table, merge, columns, source), *parameters)


async def write_sorted(connection: Connection, table: Table, merge: Merge, rows: Sequence[Sequence[Any]]) -> None:
    """Writes rows (tuples of all columns) of different keys, in the order of these, of a table with nothing sealed."""
    columns = tuple(table.columns.keys())
    source, parameters = await staged(connection, table, columns, rows)
    await connection.execute(_statement(table, merge, columns, source), *parameters)


def _parted(table: Table, merge: Merge, rows: list[Row], made: Collection[UUID]) -> tuple[list[Row], list[Row]]:
    """The rows that cannot be there, each with a key of its own, and the others."""
    if isinstance(merge, New):
        return rows, []
    key = [column.name for column in table.primary_key]
    if not made or key[0] != "customer_id" or _amends(merge):
        return [], rows
    name_of, first, others = itemgetter(*key), dict[Any, Row](), list[Row]()
    for row in rows:
        if row["customer_id"] not in made or first.setdefault(name_of(row), row) is not row:
            others.append(row)
    return [first[name] for name in sorted(first)], others


def _turn(group: tuple[Table, Merge, tuple[str, ...], list[Row]]) -> tuple[int, bool, str, tuple[str, ...]]:
    table, merge, columns, _ = group
    position = _positions(table.metadata, len(table.metadata.tables))[table]
    return position, _amends(merge), type(merge).__name__, columns


def _amends(merge: Merge) -> bool:
    return isinstance(merge, Newest | Earliest) and merge.amend


@lru_cache(maxsize=8)
def _positions(metadata: MetaData, _: int) -> dict[Table, int]:
    return {table: n for n, table in enumerate(metadata.sorted_tables)}


def _records(table: Table, columns: Sequence[str], rows: Sequence[Row]) -> list[Sequence[Any]]:
    """The rows as tuples in the order of `columns`; raises TypeError for a plaintext meant for a sealed column."""
    hidden = [n for n, name in enumerate(columns) if "sealed" in table.c[name].info]
    records: list[Any] = [tuple(row.values()) for row in rows]
    if hidden:
        records = [list(record) for record in records]
        for record in records:
            for n in hidden:
                record[n] = None if record[n] is None else _sealed(record[n])
    return records


def _sealed(value: object) -> bytes:
    if not isinstance(value, Cell) or value.cell is None:
        raise TypeError("a sealed column takes sealed cells only")
    return value.cell


def _waves(table: Table, merge: Merge, rows: list[Row]) -> list[list[Row]]:
    """The rows, sorted by key, so that no key is twice in one statement.

    Rows of one key are folded into one where that is exact; the same instant twice is left to the database, whose order
    of values decides it, in a statement of its own.
    """
    # By numbers: hashing and comparing UUIDs takes longer than all the rest.
    key = [(column.name, isinstance(column.type, Uuid)) for column in table.primary_key]
    by_key: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        name = tuple([row[column].int if is_id else row[column] for column, is_id in key])
        mine = by_key.get(name)
        if mine is None:
            by_key[name] = [row]
        elif not _folded(merge, mine, row):
            mine.append(row)
    waves: list[list[Row]] = []
    for _, mine in sorted(by_key.items()):
        for n, row in enumerate(mine):
            if n == len(waves):
                waves.append([])
            waves[n].append(row)
    return waves


def _folded(merge: Merge, mine: list[Row], row: Row) -> bool:
    """Folds `row` into the rows of the same key; False where both have to be written."""
    first = mine[0]
    match merge:
        case Newest(at=at):
            if row[at] == first[at]:
                return False
            if row[at] > first[at]:
                mine[:] = [row]
        case Parts(parts=parts):
            if len(mine) > 1 or not all(row[part.at] > first[part.at] for part in parts):
                return len(mine) == 1 and all(row[part.at] < first[part.at] for part in parts)
            mine[:] = [row]
        case Add(columns=columns):
            mine[0] = first | {name: first[name] + row[name] for name in columns}
        case Earliest(columns=columns):
            mine[0] = first | {name: _earlier(first[name], row[name]) for name in columns}
    return True


def _earlier(one: Any, other: Any) -> Any:
    return min((value for value in (one, other) if value is not None), default=None)


@lru_cache(maxsize=500)
def _statement(table: Table, merge: Merge, columns: tuple[str, ...], source: str) -> str:
    """SQL for one group, whose rows are in `source`."""
    target, names = f'"{table.name}"', ", ".join(columns)
    key = [column.name for column in table.primary_key]
    if _amends(merge):
        same = " AND ".join(f"old.{name} = new.{name}" for name in key)
        changes, later = _change(merge, "new")
        return f"UPDATE {target} AS old SET {changes} FROM {source} WHERE {same} AND {later}"  # noqa: S608 -- declared names
    changes, later = _change(merge, "excluded")
    action = f"UPDATE SET {changes} WHERE {later}" if changes else "NOTHING"
    insert = f"INSERT INTO {target} AS old ({names}) SELECT {names} FROM {source}"  # noqa: S608 -- declared names
    return f"{insert} ON CONFLICT ({', '.join(key)}) DO {action}"


def _change(merge: Merge, new: str) -> tuple[str, str]:
    """The assignments to `old` from `new`, and the condition under which they happen; none for KEEP."""
    match merge:
        case Newest(columns=columns, at=at):
            return ", ".join(f"{name} = {new}.{name}" for name in (*columns, at)), _later(merge, new)
        case Parts(parts=parts):
            changes = [
                f"{name} = CASE WHEN {_later(part, new)} THEN {new}.{name} ELSE old.{name} END"
                for part in parts
                for name in (*part.columns, part.at)
            ]
            return ", ".join(changes), " OR ".join(_later(part, new) for part in parts)
        case Add(columns=columns):
            return ", ".join(f"{name} = old.{name} + {new}.{name}" for name in columns), "true"
        case Earliest(columns=columns):
            return ", ".join(f"{name} = least(old.{name}, {new}.{name})" for name in columns), "true"
    return "", ""


def _later(merge: Newest, new: str) -> str:
    """Later, or at the same instant with greater values; `*>` compares NULLs too, so any two rows have an order."""
    values = [", ".join(f"{side}.{name}" for name in merge.columns) for side in (new, "old")]
    return (
        f"(old.{merge.at} IS NULL OR {new}.{merge.at} > old.{merge.at}"
        f" OR {new}.{merge.at} = old.{merge.at} AND ROW({values[0]})::record *> ROW({values[1]})::record)"
    )
