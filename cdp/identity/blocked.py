"""Identifiers that identify nobody: a number, a document, an e-mail address that many people were written down with.

Only their tags are kept. An event that would tell who somebody is by one of them is refused at the write door.
"""

import csv
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from cdp.errors import RequestInvalid
from cdp.house import House
from cdp.identity.resolve import Tags, normalise
from cdp.identity.retagging import hold_tags, index_of, newest_tag
from cdp.key_store import keep_up
from cdp.stores import Connection
from privacy.keys import KeyRing

COLUMNS: Final = ("kind", "value", "region")
BLOCK = """
INSERT INTO blocked_identifier (tag, kind, blocked_at) SELECT *, $3::timestamptz FROM unnest($1::bytea[], $2::text[])
ON CONFLICT (tag) DO NOTHING
"""
LIFT = "DELETE FROM blocked_identifier WHERE tag = ANY($1::bytea[])"


class Blocklist:
    """The blocked identifiers of a store, at hand."""

    def __init__(self, tags: Tags, blocked: frozenset[bytes]) -> None:
        self._tags, self._blocked = tags, blocked

    def holds(self, kind: str, value: str) -> bool:
        """Whether an identifier is blocked, or could never be one."""
        try:
            return self._tags.of(kind, value, None) in self._blocked
        except RequestInvalid:
            return True


async def blocklist(connection: Connection, ring: KeyRing) -> Blocklist:
    """The blocked identifiers of a store."""
    rows = await connection.fetch("SELECT kind, tag FROM blocked_identifier")
    await keep_up(connection, ring)
    return Blocklist(Tags(ring), frozenset(newest_tag(ring, kind, tag) for kind, tag in rows))


def read_blocked(house: House, lines: Iterable[str]) -> dict[str, dict[bytes, str]]:
    """Store -> tag to be sought -> kind, of a CSV file with the columns kind, value and region.

    Raises RequestInvalid FILE_INVALID, naming the first line that is wrong and what was expected, never the value.
    """
    found: dict[str, dict[bytes, str]] = {}
    reader = csv.DictReader(lines, strict=True)
    try:
        if sorted(reader.fieldnames or ()) != sorted(COLUMNS):
            raise RequestInvalid("FILE_INVALID", f"expected a header line with {', '.join(COLUMNS)}")
        for row in reader:
            store, kind, tag = _read(house, row)
            found.setdefault(store, {})[tag] = kind
    except (csv.Error, RequestInvalid) as wrong:
        told = "expected fields in CSV, with quotes closed" if isinstance(wrong, csv.Error) else str(wrong)
        raise RequestInvalid("FILE_INVALID", f"line {reader.reader.line_num}: {told}") from None
    return found


def _read(house: House, row: Mapping[str, str]) -> tuple[str, str, bytes]:
    if None in row.values() or len(row) != len(COLUMNS):
        raise RequestInvalid("FILE_INVALID", f"expected {len(COLUMNS)} fields")
    kind, value, region = (row[column].strip() for column in COLUMNS)
    store = house.settings.store_of(region)
    return store, kind, house.rings[store].sought_tag(index_of(kind), normalise(kind, value, region))


async def block(house: House, found: Mapping[str, Mapping[bytes, str]], at: datetime) -> None:
    """Blocks these in their stores, each store in a transaction of its own; those that are blocked stay so."""
    for store, kinds in found.items():
        async with house.stores[store].transaction() as connection:
            newest = await hold_tags(connection, house.rings[store], kinds)
            await connection.execute(BLOCK, list(newest), list(newest.values()), at)


async def lift(house: House, found: Mapping[str, Mapping[bytes, str]]) -> None:
    """These identify somebody again."""
    for store, kinds in found.items():
        async with house.stores[store].transaction() as connection:
            await connection.execute(LIFT, list(await hold_tags(connection, house.rings[store], kinds)))
