"""What an operator asks about the stores themselves: their keys, their audit trails, their documents."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias, TypeVar

from cdp.audited import Report, tail, verify
from cdp.documents import list_documents
from cdp.house import open_databases
from cdp.key_store import store_keys
from cdp.settings import Settings
from cdp.stores import Connection
from privacy.keys import WrappedStoreKey

Row: TypeAlias = tuple[object, ...]
Answer = TypeVar("Answer")

COUNT_DATA_KEYS = "SELECT count(*) FROM data_key"


async def key_rows(settings: Settings, names: Iterable[str]) -> list[Row]:
    """Store, kind, epoch, version of the root key and number of its keys; the data keys of customers are counted.

    Two KEKs, or an index root that is not settled, are a rotation that runs or was stopped.
    """
    rows: list[Row] = []
    for name, (keys, count) in (await _ask(settings, names, _keys, keys=True)).items():
        for key in keys:
            rows.append((name, key.kind.value, key.epoch, key.root_version, "yes" if key.settled else "no", 1))
        rows.append((name, "data keys", "", "", "", count))
    return rows


async def audit_entries(settings: Settings, names: Iterable[str], limit: int) -> list[Mapping[str, Any]]:
    """The newest entries of each store, at most `limit`, all in the order of their instants."""
    found = await _ask(settings, names, lambda connection: tail(connection, limit))
    entries = [{"store": name, **entry} for name, newest in found.items() for entry in newest]
    return sorted(entries, key=lambda entry: str(entry.get("at", "")))


async def audit_reports(settings: Settings, names: Iterable[str]) -> dict[str, Report]:
    """Store -> what its trail looks like when every chain is walked."""
    return await _ask(settings, names, verify)


async def document_rows(settings: Settings, names: Iterable[str]) -> list[Row]:
    """Store, name, hash and instant of registration of every document."""
    found = await _ask(settings, names, list_documents)
    return [
        (name, one.name, one.sha256, f"{one.registered_at:%Y-%m-%d %H:%M}")
        for name, documents in found.items()
        for one in documents
    ]


async def _keys(connection: Connection) -> tuple[list[WrappedStoreKey], int]:
    return await store_keys(connection), await connection.fetchval(COUNT_DATA_KEYS)


async def _ask(
    settings: Settings,
    names: Iterable[str],
    question: Callable[[Connection], Awaitable[Answer]],
    *,
    keys: bool = False,
) -> dict[str, Answer]:
    answers = {}
    async with open_databases(settings) as stores:
        for name in names:
            async with (stores[name].keys if keys else stores[name]).read() as connection:
                answers[name] = await question(connection)
    return answers
