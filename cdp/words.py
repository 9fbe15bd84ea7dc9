"""What customers said, written into the audit trail: a row that is taken back, changed or slipped in later is found."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple
from uuid import UUID

from cdp.audit import AuditTrail, Names
from cdp.stores import Connection, Store
from cdp.tables import BUCKETS
from privacy.encoding import canonical

WORDS_AT_ONCE: Final = 512
BEFORE_ALL: Final = (UUID(int=0), UUID(int=0))

# Rows that another process is writing down are left to it.
UNLOGGED = "SELECT customer_id, row_id, kind FROM unlogged_word LIMIT $1 FOR UPDATE SKIP LOCKED"
LOGGED = "SELECT entry_id FROM audit_entry WHERE bucket = ANY($1::smallint[]) AND entry_id = ANY($2::uuid[])"
STRIKE_OFF = """
DELETE FROM unlogged_word WHERE (customer_id, row_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
"""
STILL_UNLOGGED = "SELECT row_id FROM unlogged_word WHERE row_id = ANY($1::uuid[])"

# Every column that stands here is bound by the entry; one that is added to the table later is not.
ROWS: Final[Mapping[str, str]] = {
    "consent": """
SELECT * FROM (
    SELECT customer_id, consent_event_id AS row_id, type, kind, actor, purpose, category, channel, recipient,
           destination, notice, collection_point, evidence_hash, expires_at, holding_id, happened_at, recorded_at
    FROM consent_event
) AS word
""",
    "objection": """
SELECT * FROM (
    SELECT customer_id, objection_id AS row_id, kind, scope, raised, happened_at, recorded_at FROM objection
) AS word
""",
}
THESE = "WHERE (customer_id, row_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))"
AFTER = "WHERE (customer_id, row_id) > ($1, $2) ORDER BY customer_id, row_id LIMIT $3"


class Word(NamedTuple):
    """What an entry tells of a word: the SHA-256 of its row, and whose it was by their name in that year's entries."""

    sha256: str
    customer: str
    year: int

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "Word":
        return cls(entry["sha256"], entry["customer"], int(entry["at"][:4]))


async def log_words(store: Store, trail: AuditTrail) -> int:
    """Writes an entry for each word that has none yet, a few hundred at a time; how many. The entry has the row's id.

    Words stay waiting until their entries are durable; of one that was written before a crash nothing is written twice.
    """
    async with store.transaction() as connection:
        waiting = await connection.fetch(UNLOGGED, WORDS_AT_ONCE)
        written = await _logged(connection, [row["row_id"] for row in waiting])
        for kind in ROWS:
            named = [row for row in waiting if row["kind"] == kind and row["row_id"] not in written]
            rows = await connection.fetch(ROWS[kind] + THESE, *_keys(named))
            await asyncio.gather(*(trail.record(_entry(kind, row, trail.names), row["row_id"]) for row in rows))
        await connection.execute(STRIKE_OFF, *_keys(waiting))
    return len(waiting)


async def check_words(connection: Connection, logged: Mapping[UUID, Word]) -> tuple[list[str], dict[UUID, Word]]:
    """What does not fit between the words that customers have said and their entries, in words; and the words that are
    gone, for whatever reason.

    A word that waits to be written down fits. All entries of words are in memory meanwhile.
    """
    problems, gone = list[str](), dict(logged)
    for kind, rows in ROWS.items():
        after = BEFORE_ALL
        while page := await connection.fetch(rows + AFTER, *after, WORDS_AT_ONCE):
            said = {row["row_id"]: _digest(row) for row in page}
            slipped = await _slipped_in(connection, [row_id for row_id in said if row_id not in logged])
            problems += [f"{kind} {row_id} is in the store, and not in the trail" for row_id in slipped]
            there = {row_id: gone.pop(row_id) for row_id in said if row_id in gone}
            altered = [row_id for row_id, word in there.items() if word.sha256 != said[row_id]]
            problems += [f"{kind} {row_id} is not what was said" for row_id in altered]
            after = (page[-1]["customer_id"], page[-1]["row_id"])
    return problems, gone


async def _slipped_in(connection: Connection, row_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these rows that neither wait to be written down nor were written down in the meantime."""
    waiting = {row["row_id"] for row in await connection.fetch(STILL_UNLOGGED, row_ids)}
    return set(row_ids) - waiting - await _logged(connection, row_ids)


async def _logged(connection: Connection, row_ids: Sequence[UUID]) -> set[UUID]:
    return {row["entry_id"] for row in await connection.fetch(LOGGED, list(range(BUCKETS)), row_ids)}


def _keys(rows: Iterable[Any]) -> tuple[list[UUID], list[UUID]]:
    named = list(rows)
    return [row["customer_id"] for row in named], [row["row_id"] for row in named]


def _entry(kind: str, row: Any, names: Names) -> dict[str, object]:
    whose = names.pseudonym(row["customer_id"], datetime.now(UTC).year)
    return {"word": kind, "customer": whose, "sha256": _digest(row)}


def _digest(row: Any) -> str:
    """The SHA-256 of a row. Nobody who does not know the random id of the customer can try out what was said."""
    columns = {name: value if isinstance(value, bool | None) else _text(value) for name, value in row.items()}
    return sha256(canonical(columns)).hexdigest()


def _text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
