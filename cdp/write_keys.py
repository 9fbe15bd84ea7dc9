"""Write keys: by which a client of ours sends events, for one region; how many it sent.

A key names its store, so that no other store is asked for it; only its hash is kept. It is an operator's own: other
companies have none.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from typing import Final, NamedTuple

from cdp.stores import Store

MARK: Final = "cdp"
SECRET_BYTES: Final = 32
ID_DIGITS: Final = 16
REMEMBERED_SECONDS: Final = 30.0
"""How long a key that was revoked may still write."""
MOST_REMEMBERED: Final = 4096

ADD = """
INSERT INTO write_key (key_hash, client, region, channel, per_second, per_day, made_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
FIND = "SELECT client, region, channel, per_second, per_day FROM write_key WHERE key_hash = $1 AND revoked_at IS NULL"
LIST = """
SELECT key_hash, client, region, channel, per_second, per_day, made_at, revoked_at FROM write_key
ORDER BY client, made_at, key_hash
"""
REVOKE = f"""
UPDATE write_key SET revoked_at = $2 WHERE left(encode(key_hash, 'hex'), {ID_DIGITS}) = $1 AND revoked_at IS NULL
RETURNING client
"""  # noqa: S608 -- a number of ours
COUNT = """
INSERT INTO write_count AS old (client, day, events) VALUES ($1, $2, $3)
ON CONFLICT (client, day) DO UPDATE SET events = old.events + excluded.events RETURNING events
"""


class WriteKey(NamedTuple):
    """Who sends, for which region, on which channel; how many events a second, and a day (None: any number)."""

    client: str
    region: str
    channel: str
    per_second: int
    per_day: int | None = None


class KeptKey(NamedTuple):
    """A key without its secret; `key_id` names it to those who revoke it."""

    key_id: str
    key: WriteKey
    made_at: datetime
    revoked_at: datetime | None


async def new_write_key(store: Store, key: WriteKey, at: datetime) -> str:
    """Makes a key of a region of the store; it is told once, here."""
    text = f"{MARK}.{store.name}.{secrets.token_urlsafe(SECRET_BYTES)}"
    async with store.transaction() as connection:
        await connection.execute(ADD, _hash(text), *key, at)
    return text


async def list_write_keys(store: Store) -> list[KeptKey]:
    """All keys of a store, those that were revoked too."""
    async with store.read() as connection:
        rows = await connection.fetch(LIST)
    return [KeptKey(row[0].hex()[:ID_DIGITS], WriteKey(*row[1:6]), row[6], row[7]) for row in rows]


async def revoke_write_key(store: Store, key_id: str, at: datetime) -> list[str]:
    """Ends the keys of this id, of which there is one at most; the names of the clients that had them."""
    async with store.transaction() as connection:
        return [row[0] for row in await connection.fetch(REVOKE, key_id, at)]


async def count_events(store: Store, client: str, day: date, events: int) -> int:
    """Counts what a client sent; how many it sent that day."""
    async with store.transaction() as connection:
        total: int = await connection.fetchval(COUNT, client, day, events)
    return total


@dataclass(slots=True)
class KeyBook:
    """Finds keys by their text, and remembers them for a while."""

    stores: Mapping[str, Store]
    _known: dict[bytes, tuple[float, str, WriteKey | None]] = field(default_factory=dict)

    async def find(self, text: str) -> tuple[str, WriteKey] | None:
        """The store and the key; None for what is no key, or none any more. Raises StoreUnavailable."""
        mark, _, rest = text.partition(".")
        store, _, secret = rest.partition(".")
        if mark != MARK or not secret or store not in self.stores:
            return None
        digest, now = _hash(text), time.monotonic()
        known = self._known.get(digest)
        if known is None or known[0] <= now:
            async with self.stores[store].read() as connection:
                row = await connection.fetchrow(FIND, digest)
            self._known.pop(digest, None)
            if len(self._known) >= MOST_REMEMBERED:
                del self._known[next(iter(self._known))]
            known = (now + REMEMBERED_SECONDS, store, None if row is None else WriteKey(*row))
            self._known[digest] = known
        return None if known[2] is None else (store, known[2])


def _hash(text: str) -> bytes:
    # The secret has 256 random bits: nobody guesses it from a fast hash.
    return sha256(text.encode()).digest()
