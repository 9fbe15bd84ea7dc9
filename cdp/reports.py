"""What an operator asks about the stores themselves: their keys, their audit trails, their documents."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar
from uuid import UUID

from cdp.audited import Report, tail, verify
from cdp.documents import list_documents
from cdp.erasure.gone import word_problems
from cdp.errors import RequestInvalid, Unavailable
from cdp.export import export_log
from cdp.house import open_databases, unlock_store
from cdp.key_store import store_keys
from cdp.proofs import find_entry, place_proved, prove
from cdp.replay import Replay, compare_chains, replay
from cdp.root_keys import root_kms
from cdp.sequencer import log_key
from cdp.settings import Settings
from cdp.stores import Connection
from cdp.witnesses import witnesses_of
from privacy.keys import KeyRing, WrappedStoreKey
from privacy.notes import NoteKey, checkpoint_of

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


class Verified(NamedTuple):
    """A store's chains as they were walked, its tree as it was gone over, how many entries wait for a place, and how
    many words of customers are gone because those were erased.
    """

    chains: Report
    tree: Replay
    waiting: int
    erased: int


async def audit_reports(settings: Settings, names: Iterable[str], kept: Sequence[str] = ()) -> dict[str, Verified]:
    """Store -> what its trail looks like when everything is gone over.

    `kept` are checkpoints that were kept elsewhere; raises RequestInvalid CHECKPOINT_UNKNOWN for one of no store asked.
    """
    rings = await _rings(settings, names)
    keys = {name: log_key(ring) for name, ring in rings.items()}
    origins = [checkpoint_of(note).origin for note in kept]
    if set(origins) - {key.name for key in keys.values()}:
        raise RequestInvalid("CHECKPOINT_UNKNOWN", "a checkpoint is of none of these logs")

    async def go_over(store: str, connection: Connection) -> Verified:
        own = [note for note, origin in zip(kept, origins, strict=True) if origin == keys[store].name]
        tree = await replay(connection, keys[store], [one.key for one in witnesses_of(settings)], own)
        problems, erased = await word_problems(connection, tree.words, rings[store])
        tree.problems += problems
        chains = await verify(connection)
        return Verified(chains, tree, await compare_chains(connection, tree, chains.lengths), erased)

    return await _ask_each(settings, names, go_over)


async def log_keys(settings: Settings, names: Iterable[str]) -> dict[str, NoteKey]:
    """Store -> the key that its checkpoints are verified with."""
    return {name: log_key(ring) for name, ring in (await _rings(settings, names)).items()}


async def audit_proof(settings: Settings, names: Iterable[str], entry_id: UUID) -> tuple[int, str]:
    """The place of an entry in the first of these stores that has it, and its proof, which was verified.

    Raises RequestInvalid NOT_FOUND, Unavailable, ProofRefused.
    """
    keys = await log_keys(settings, names)

    async def ask(store: str, connection: Connection) -> tuple[int, str] | None:
        found = await find_entry(connection, entry_id)
        if found is None:
            return None
        if (proof := await prove(connection, found)) is None:
            raise Unavailable("the entry has no place in the tree yet")
        return place_proved(found, proof, keys[store]), proof

    answers = [answer for answer in (await _ask_each(settings, names, ask)).values() if answer is not None]
    if not answers:
        raise RequestInvalid("NOT_FOUND", "no store has an entry with this id")
    return answers[0]


async def audit_export(settings: Settings, names: Iterable[str], folder: Path) -> dict[str, int]:
    """Store -> how many entries of its log were written below the folder."""
    return await _ask_each(settings, names, lambda store, connection: export_log(connection, folder / store))


async def document_rows(settings: Settings, names: Iterable[str]) -> list[Row]:
    """Store, name, hash and instant of registration of every document."""
    found = await _ask(settings, names, list_documents)
    return [
        (name, one.name, one.sha256, f"{one.registered_at:%Y-%m-%d %H:%M}")
        for name, documents in found.items()
        for one in documents
    ]


async def _rings(settings: Settings, names: Iterable[str]) -> dict[str, KeyRing]:
    kms = root_kms(settings)
    async with open_databases(settings) as stores:
        return {name: await unlock_store(settings, kms, stores[name]) for name in names}


async def _keys(connection: Connection) -> tuple[list[WrappedStoreKey], int]:
    return await store_keys(connection), await connection.fetchval(COUNT_DATA_KEYS)


async def _ask(
    settings: Settings,
    names: Iterable[str],
    question: Callable[[Connection], Awaitable[Answer]],
    *,
    keys: bool = False,
) -> dict[str, Answer]:
    return await _ask_each(settings, names, lambda _, connection: question(connection), keys=keys)


async def _ask_each(
    settings: Settings,
    names: Iterable[str],
    question: Callable[[str, Connection], Awaitable[Answer]],
    *,
    keys: bool = False,
) -> dict[str, Answer]:
    answers = {}
    async with open_databases(settings) as stores:
        for name in names:
            async with (stores[name].keys if keys else stores[name]).read() as connection:
                answers[name] = await question(name, connection)
    return answers
