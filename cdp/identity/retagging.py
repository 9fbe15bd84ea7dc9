"""Rows move from the tags of one index root to those of the next: all rows of a tag at once, whoever comes first.

While that lasts, whoever writes moves what it mentions before it looks, and whoever reads looks by the old tag first
and then by the new one: a row goes one way only, so it is found.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import Table

from cdp.identity.tables import (
    IDENTIFIER_INDEXES,
    NUMBER_INDEX,
    blocked_identifier,
    identification,
    identifier_index,
    known_number,
    number_fact,
    number_index,
)
from cdp.key_store import hold_keys, keep_up
from cdp.stores import Connection
from cdp.tables import dead_letter
from privacy.blind import Index
from privacy.keys import KeyRing

Found = TypeVar("Found")

TAGGED: Final = (known_number, number_fact, number_index, identifier_index, blocked_identifier, dead_letter)
"""The tables whose rows are found by their tag; it is the first column, but of letters, which may have none."""
KIND: Final = {identifier_index: "kind", blocked_identifier: "kind", dead_letter: "subject_kind"}
"""The column that tells the kind of a tag; that of all others is a number's."""
EPOCH: Final = "CASE WHEN octet_length({0}) > 16 THEN get_byte({0}, 0) ELSE 1 END < $1"
OLD_DOCUMENTS: Final = f"""
SELECT customer_id, identification_id, document_tag FROM identification
WHERE {EPOCH.format("document_tag")} AND document_tag IS NOT NULL AND (customer_id, identification_id) > ($2, $3)
ORDER BY customer_id, identification_id LIMIT $4
"""  # noqa: S608 -- our own texts
MOVE_DOCUMENTS: Final = """
UPDATE identification AS i SET document_tag = m.new
FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[]) AS m (customer_id, identification_id, old, new)
WHERE (i.customer_id, i.identification_id, i.document_tag) = (m.customer_id, m.identification_id, m.old)
"""


def index_of(kind: str) -> Index:
    """The index of a kind of identifier, a number's among them."""
    return IDENTIFIER_INDEXES.get(kind, NUMBER_INDEX)


def newest_tag(ring: KeyRing, kind: str, tag: bytes) -> bytes:
    """The tag of the same identifier under the newest index root."""
    return (ring.later_tags(index_of(kind), tag) or [tag])[-1]


async def look_up(
    connection: Connection,
    ring: KeyRing,
    sought: tuple[Index, str],
    look: Callable[[Sequence[bytes]], Awaitable[Found | None]],
) -> Found | None:
    """What `look` finds by the tags of a normalised value, the old and the new in one statement; where that is nothing,
    by those under index roots this process had not heard of. It asks for these either way: the work tells nothing.
    """
    first = ring.sought_tag(*sought)
    tags = [first, *ring.later_tags(sought[0], first)]
    found = await look(tags)
    await keep_up(connection, ring)
    later = ring.later_tags(sought[0], tags[-1])
    return await look(later) if found is None and later else found


async def hold_tags(connection: Connection, ring: KeyRing, sought: Mapping[bytes, str]) -> dict[bytes, str]:
    """The newest tags, with their kinds, of those by which somebody sought; their rows are moved, and stay there until
    the commit. Whoever writes by tags outside the write door begins so.
    """
    await hold_keys(connection, ring)
    chains = [([tag, *ring.later_tags(index_of(kind), tag)], kind) for tag, kind in sought.items()]
    await move_tags(connection, {tags[-1]: tags[-2] for tags, _ in chains if len(tags) > 1})
    return {tags[-1]: kind for tags, kind in chains}


async def move_tags(connection: Connection, before: Mapping[bytes, bytes]) -> None:
    """Moves the rows of tags (new -> old) that are still where they were. Inside a transaction."""
    if before:
        new, old = map(list, zip(*sorted(before.items()), strict=True))
        for statement in MOVES:
            await connection.execute(statement, old, new)


async def count_old_tags(connection: Connection, epoch: int, tables: Iterable[Table]) -> int:
    """How many tags of some tables are of earlier epochs."""
    counts = [await connection.fetchval(COUNTS[table], epoch) for table in tables]
    return sum(counts)


async def old_tags(
    connection: Connection, table: Table, epoch: int, after: bytes, limit: int
) -> list[tuple[str, bytes]]:
    """Kinds and tags of a table that are of earlier epochs, in the order of the tags, after one of them."""
    rows = await connection.fetch(OLD[table], epoch, after, limit)
    return [(kind, tag) for kind, tag in rows]


def newer_tags(ring: KeyRing, old: list[tuple[str, bytes]]) -> dict[bytes, bytes]:
    """The newest tag of each (kind, tag), and the tag."""
    return {newest_tag(ring, kind, tag): tag for kind, tag in old}


async def move_documents(
    connection: Connection, ring: KeyRing, epoch: int, after: tuple[UUID, UUID], limit: int
) -> list[tuple[UUID, UUID]]:
    """Gives the next documents after one of them their newest tags, by which they are compared but never sought;
    returns which they were (customer, identification). Inside a transaction.
    """
    rows = [
        (*row, newest_tag(ring, "document", row[2]))
        for row in await connection.fetch(OLD_DOCUMENTS, epoch, *after, limit)
    ]
    if rows:
        await connection.execute(MOVE_DOCUMENTS, *map(list, zip(*rows, strict=True)))
    return [row[:2] for row in rows]


def _move(table: Table) -> str:
    """Rows are deleted and inserted: a row spread over machines by its tag does not change it in place."""
    if table is dead_letter:
        return """
            UPDATE dead_letter AS t SET subject_tag = m.new FROM unnest($1::bytea[], $2::bytea[]) AS m (old, new)
            WHERE t.subject_tag = m.old
        """
    tag, *others = (column.name for column in table.columns)
    kept = ", ".join(f"t.{name}" for name in others)
    return f"""
        WITH moved AS (
            DELETE FROM {table.name} AS t USING unnest($1::bytea[], $2::bytea[]) AS m (old, new)
            WHERE t.{tag} = m.old RETURNING m.new, {kept}
        )
        INSERT INTO {table.name} ({tag}, {", ".join(others)}) SELECT * FROM moved
    """  # noqa: S608 -- declared names


def _old(table: Table) -> str:
    tag, kind = _tag(table), KIND.get(table, "'number'")
    return (
        f"SELECT DISTINCT {kind}, {tag} FROM {table.name} WHERE {EPOCH.format(tag)} AND {_has(table)} AND {tag} > $2"  # noqa: S608 -- declared names
        f" ORDER BY {tag} LIMIT $3"
    )


def _count(table: Table) -> str:
    tag = _tag(table)
    return f"SELECT count(DISTINCT {tag}) FROM {table.name} WHERE {EPOCH.format(tag)} AND {_has(table)}"  # noqa: S608 -- declared names


def _tag(table: Table) -> str:
    return {identification: "document_tag", dead_letter: "subject_tag"}.get(table) or next(iter(table.columns)).name


def _has(table: Table) -> str:
    """Whether a row has a tag at all: a letter may be about a customer by their id, or about nobody."""
    return "subject_kind <> 'customerId'" if table is dead_letter else "true"


MOVES: Final = tuple(_move(table) for table in TAGGED)
OLD: Final = {table: _old(table) for table in TAGGED}
COUNTS: Final = {table: _count(table) for table in (*TAGGED, identification)}
