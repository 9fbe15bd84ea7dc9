"""The endpoints of webhooks in a store: added, listed, disabled, told again, and how far each has come.

An endpoint is one by its id in every store that it hears of, and has a state and positions of its own in each: what is
down in one does not hold up the others.
"""

import secrets
from base64 import b64encode
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from cdp.auth import Caller
from cdp.errors import RequestInvalid, StoreUnavailable
from cdp.metrics import Metrics
from cdp.outbox import START, WAITING, Position, settled_below
from cdp.stores import Connection, Store
from cdp.tables import BUCKETS
from privacy.keys import TokenSeal
from privacy.vocabulary import RecipientClass

SEALED_AS: Final = "webhook"
SECRET_BYTES: Final = 32
LEASE: Final = timedelta(seconds=60)

ADD = """
INSERT INTO webhook_endpoint
    (endpoint_id, url, client, legal_entity, recipient_class, purpose, document, stores, event_types, secret, state,
    since)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'ACTIVE', $11)
"""
BEGIN = """
INSERT INTO webhook_position (bucket, endpoint_id, written, outbox_id, sent, skipped, failed, due_at, leased_until)
SELECT bucket, $2, $3, $4, 0, 0, 0, $5, $5 FROM unnest($1::smallint[]) AS bucket
"""
LIST = """
SELECT e.endpoint_id, e.url, e.client, e.purpose, e.event_types, e.state, e.since, e.reason, p.*
FROM webhook_endpoint AS e JOIN (
    SELECT endpoint_id, sum(sent)::bigint AS sent, sum(skipped)::bigint AS skipped,
        min(failing_since) AS failing_since, min(written) AS written
    FROM webhook_position GROUP BY endpoint_id
) AS p USING (endpoint_id) ORDER BY e.since, e.endpoint_id
"""
STATES = "SELECT state, count(*) FROM webhook_endpoint GROUP BY state"
PASSED = """
SELECT min(p.written) FROM webhook_position AS p JOIN webhook_endpoint AS e USING (endpoint_id)
WHERE p.bucket = $1 AND e.state = 'ACTIVE'
"""
SET_STATE = """
UPDATE webhook_endpoint SET state = $2, since = $3, reason = $4 WHERE endpoint_id = $1 AND state <> $2
"""
# Whoever is telling now has lost the lease, and stops.
RELEASE = """
UPDATE webhook_position SET lease = NULL, leased_until = $2, due_at = $2, failed = 0, failing_since = NULL
WHERE endpoint_id = $1
"""
REWIND = """
UPDATE webhook_position SET written = $2, outbox_id = $3, lease = NULL, leased_until = $4, due_at = $4
WHERE endpoint_id = $1 AND (written, outbox_id) > ($2, $3)
"""
REMOVE = ("DELETE FROM webhook_position WHERE endpoint_id = $1", "DELETE FROM webhook_endpoint WHERE endpoint_id = $1")
EXISTS = "SELECT EXISTS (SELECT FROM webhook_endpoint WHERE endpoint_id = $1)"

DUE = f"""
SELECT e.*, p.bucket FROM webhook_position AS p JOIN webhook_endpoint AS e USING (endpoint_id)
WHERE e.state = 'ACTIVE' AND p.due_at <= $1 AND p.leased_until <= $1 AND {WAITING}
"""  # noqa: S608 -- put together from our own texts alone
TAKE = """
UPDATE webhook_position SET lease = $3, leased_until = $5
WHERE bucket = $1 AND endpoint_id = $2 AND leased_until <= $4 RETURNING written, outbox_id
"""
KEEP = """
UPDATE webhook_position SET written = $4, outbox_id = $5, sent = sent + $6, skipped = skipped + $7, failed = 0,
    failing_since = NULL, leased_until = $8
WHERE bucket = $1 AND endpoint_id = $2 AND lease = $3 RETURNING true
"""
GIVE_BACK = """
UPDATE webhook_position SET lease = NULL, leased_until = $4, due_at = $5
WHERE bucket = $1 AND endpoint_id = $2 AND lease = $3
"""
FAIL = """
UPDATE webhook_position SET failed = failed + 1, failing_since = coalesce(failing_since, $4)
WHERE bucket = $1 AND endpoint_id = $2 AND lease = $3 RETURNING failed, failing_since
"""


class State(StrEnum):
    """Whether an endpoint is told."""

    ACTIVE = "ACTIVE"
    DISABLED = "DISABLED"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Who is told, where and what: the answer of a registered document (SHA-256 in hex), asked as this client for this
    purpose. `secret` is sealed.
    """

    endpoint_id: UUID
    url: str
    client: str
    legal_entity: str
    recipient_class: str
    purpose: str
    document: str
    stores: tuple[str, ...]
    event_types: frozenset[str]
    secret: str

    @property
    def caller(self) -> Caller:
        """Who asks when it is told; another company that is no processor or affiliate is a partner."""
        kind = RecipientClass(self.recipient_class)
        partner, purposes = kind is RecipientClass.THIRD_PARTY, frozenset({self.purpose})
        return Caller(self.client, self.legal_entity, kind, purposes, self.stores, partner=partner, actor=self.client)

    @property
    def reader(self) -> str:
        """Whose its positions are."""
        return reader_of(self.endpoint_id)


@dataclass(frozen=True, slots=True)
class Hold:
    """One bucket of an endpoint, held by one who tells."""

    endpoint: Endpoint
    bucket: int
    lease: UUID

    @property
    def key(self) -> tuple[int, UUID, UUID]:
        return self.bucket, self.endpoint.endpoint_id, self.lease


def reader_of(endpoint_id: UUID) -> str:
    """Whose the positions of an endpoint are."""
    return f"webhook:{endpoint_id}"


def new_secret(tokens: TokenSeal, endpoint_id: UUID) -> tuple[str, str]:
    """A secret as its receiver has it (Standard Webhooks), and sealed as it is kept."""
    secret = secrets.token_bytes(SECRET_BYTES)
    return f"whsec_{b64encode(secret).decode()}", tokens.seal(SEALED_AS, endpoint_id.hex, secret)


def secret_of(tokens: TokenSeal, endpoint: Endpoint) -> bytes:
    """An endpoint's secret; raises TokenRefused for one that was sealed for another."""
    return tokens.open(SEALED_AS, endpoint.endpoint_id.hex, endpoint.secret)


async def add_endpoint(connection: Connection, endpoint: Endpoint, now: datetime) -> None:
    """Keeps an endpoint, which is told what is committed from now on. Inside a transaction."""
    one = endpoint
    whose = (one.client, one.legal_entity, one.recipient_class, one.purpose, bytes.fromhex(one.document))
    what = (list(one.stores), sorted(one.event_types), one.secret)
    await connection.execute(ADD, one.endpoint_id, one.url, *whose, *what, now)
    place = START._replace(written=await settled_below(connection))
    await connection.execute(BEGIN, list(range(BUCKETS)), one.endpoint_id, *place, now)


async def endpoint_rows(connection: Connection) -> list[Any]:
    """Every endpoint with its state, what was sent and skipped, since when it fails, and its earliest place."""
    rows: list[Any] = await connection.fetch(LIST)
    return rows


async def measure_endpoints(stores: Mapping[str, Store], metrics: Metrics) -> None:
    """How many endpoints of each store are in each state, where it answers."""
    for name, store in stores.items():
        with suppress(StoreUnavailable):
            async with store.read() as connection:
                counts = await connection.fetch(STATES)
            metrics.webhooks[name] = {state.value: 0 for state in State} | dict(counts)


async def passed_by_all(connection: Connection, bucket: int) -> int | None:
    """The transaction that every active endpoint has come to in a bucket; None where there is none."""
    found: int | None = await connection.fetchval(PASSED, bucket)
    return found


async def enable(connection: Connection, endpoint_id: UUID, now: datetime) -> None:
    """Tells an endpoint again, from where it was. Raises RequestInvalid NOT_FOUND."""
    await _check(connection, endpoint_id)
    await connection.execute(SET_STATE, endpoint_id, State.ACTIVE, now, None)
    await connection.execute(RELEASE, endpoint_id, now)


async def disable(connection: Connection, endpoint_id: UUID, now: datetime, reason: str) -> None:
    """Tells an endpoint nothing any more."""
    await connection.execute(SET_STATE, endpoint_id, State.DISABLED, now, reason)


async def remove(connection: Connection, endpoint_id: UUID) -> None:
    """Forgets an endpoint. Raises RequestInvalid NOT_FOUND."""
    await _check(connection, endpoint_id)
    for statement in REMOVE:
        await connection.execute(statement, endpoint_id)


async def rewind(connection: Connection, endpoint_id: UUID, place: Position, now: datetime) -> None:
    """Tells an endpoint once more what came after a place. Raises RequestInvalid NOT_FOUND."""
    await _check(connection, endpoint_id)
    await connection.execute(REWIND, endpoint_id, *place, now)


async def _check(connection: Connection, endpoint_id: UUID) -> None:
    if not await connection.fetchval(EXISTS, endpoint_id):
        raise RequestInvalid("NOT_FOUND", "no endpoint has this id in that store")


async def due(connection: Connection, now: datetime) -> dict[Endpoint, list[int]]:
    """The endpoints for which there is something settled that nobody else is telling them, with the buckets."""
    found: dict[Endpoint, list[int]] = {}
    for row in await connection.fetch(DUE, now, await settled_below(connection)):
        found.setdefault(_endpoint(row), []).append(row["bucket"])
    return found


def _endpoint(row: Mapping[str, Any]) -> Endpoint:
    names: Collection[str] = Endpoint.__slots__
    fields = {name: row[name] for name in names}
    return Endpoint(
        **fields
        | {
            "document": row["document"].hex(),
            "stores": tuple(row["stores"]),
            "event_types": frozenset(row["event_types"]),
        }
    )


async def take(connection: Connection, hold: Hold, now: datetime) -> Position | None:
    """The place of a bucket, which nobody else tells for a while; None where somebody was first."""
    row = await connection.fetchrow(TAKE, *hold.key, now, now + LEASE)
    return None if row is None else Position(*row)


async def keep(connection: Connection, hold: Hold, place: Position, told: tuple[int, int], now: datetime) -> bool:
    """Moves on to a place, after so many that were sent and skipped; False where the lease is somebody else's."""
    kept: bool | None = await connection.fetchval(KEEP, *hold.key, *place, *told, now + LEASE)
    return kept is not None


async def give_back(connection: Connection, hold: Hold, now: datetime, due_at: datetime) -> None:
    """Lets others tell the bucket, not before it is due."""
    await connection.execute(GIVE_BACK, *hold.key, now, due_at)


async def fail(connection: Connection, hold: Hold, now: datetime) -> tuple[int, datetime]:
    """How often the bucket failed in a row with this time, and since when."""
    row = await connection.fetchrow(FAIL, *hold.key, now)
    return (1, now) if row is None else (row[0], row[1])
