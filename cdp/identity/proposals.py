"""Links on their way: what was proposed, and what both sides are yet to be told. A link itself is made by events."""

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from cdp.stores import Connection
from cdp.tables import BUCKETS

AT_ONCE: Final = 100
ACTIVE, REVOKED = "ACTIVE", "REVOKED"
TICK: Final = timedelta(microseconds=1)

# Whoever was merged with a customer is that customer too.
TOGETHER = "SELECT unnest(coalesce(cluster, ARRAY[customer_id])) FROM customer WHERE customer_id = $1"
# Their rows are held until the transaction ends, so that of two proposals for a customer the second counts the first.
TAKE = f"""
SELECT FROM customer WHERE customer_id IN ({TOGETHER})
ORDER BY customer_id FOR NO KEY UPDATE
"""
LATELY = f"""
SELECT count(*) FROM link_proposal
WHERE customer_id IN ({TOGETHER}) AND proposed_at > $2
"""  # noqa: S608 -- put together from our own texts alone
PROPOSE = """
INSERT INTO link_proposal (token, customer_id, other_store, proposed_at, code_hash, tries)
VALUES ($1, $2, $3, $4, $5, 0)
"""
TRY = """
UPDATE link_proposal SET tries = tries + 1
WHERE token = $1 AND code_hash IS NOT NULL AND proposed_at > $2 AND tries < $3
RETURNING token, customer_id, other_store, proposed_at, code_hash
"""
USE = "UPDATE link_proposal SET code_hash = NULL WHERE token = $1 AND code_hash IS NOT NULL RETURNING token"
FORGET = "DELETE FROM link_proposal WHERE proposed_at < $1"
KNOWN_BY = """
SELECT customer_id FROM link_index WHERE token = $1
UNION ALL SELECT customer_id FROM link_proposal WHERE token = $1 AND customer_id IS NOT NULL LIMIT 1
"""
STANDING = f"""
SELECT token, other_store, state_at FROM link
WHERE customer_id IN ({TOGETHER}) AND state = 'ACTIVE' AND ($2::text IS NULL OR other_store = $2)
"""  # noqa: S608 -- put together from our own texts alone
INTEND = """
INSERT INTO link_intent (bucket, token, other_store, state, at, attempts, due_at) VALUES ($1, $2, $3, $4, $5, 0, $5)
ON CONFLICT (bucket, token) DO UPDATE SET state = excluded.state, at = excluded.at, attempts = 0, due_at = excluded.at
"""
DUE = """
SELECT token, other_store, state, at, attempts FROM link_intent
WHERE bucket = ANY($1::smallint[]) AND due_at <= $2 ORDER BY due_at LIMIT $3
"""
POSTPONE = """
UPDATE link_intent SET attempts = attempts + 1, due_at = $5 WHERE bucket = $1 AND token = $2 AND state = $3 AND at = $4
"""
DONE = "DELETE FROM link_intent WHERE bucket = $1 AND token = $2 AND state = $3 AND at = $4"


class Proposal(NamedTuple):
    """One side of a proposed link; `code_hash` is given on the side that proposed."""

    token: bytes
    customer_id: UUID | None
    other_store: str
    proposed_at: datetime
    code_hash: bytes | None = None


class Standing(NamedTuple):
    """A link that stands, seen from one side."""

    token: bytes
    other_store: str
    since: datetime


class Intent(NamedTuple):
    """What both sides of a link are to become as of an instant: ACTIVE or REVOKED."""

    token: bytes
    other_store: str
    state: str
    at: datetime
    attempts: int = 0

    @property
    def key(self) -> tuple[Any, ...]:
        """The row, as long as nobody wants something else."""
        return self.token[0] % BUCKETS, self.token, self.state, self.at


async def take(connection: Connection, customer_id: UUID | None, since: datetime) -> int:
    """How much was proposed to, or for, a customer since an instant; others who ask wait for the transaction's end."""
    await connection.execute(TAKE, customer_id)
    count: int = await connection.fetchval(LATELY, customer_id, since)
    return count


async def propose(connection: Connection, proposal: Proposal) -> None:
    await connection.execute(PROPOSE, *proposal)


async def attempt(connection: Connection, token: bytes, since: datetime, tries: int) -> Proposal | None:
    """The proposal a code is tried for, with that try counted; None where it is too old, used, or tried too often."""
    row = await connection.fetchrow(TRY, token, since, tries)
    return None if row is None else Proposal(*row)


async def use(connection: Connection, token: bytes) -> bool:
    """Uses up the code of a proposal; False where somebody else did."""
    return await connection.fetchval(USE, token) is not None


async def forget(connection: Connection, before: datetime) -> None:
    """Deletes the proposals from before an instant."""
    await connection.execute(FORGET, before)


async def known_by(connection: Connection, token: bytes) -> UUID | None:
    """The customer of this store that a link is, was, or is to be about."""
    found: UUID | None = await connection.fetchval(KNOWN_BY, token)
    return found


async def standing(connection: Connection, customer_id: UUID, other_store: str | None) -> list[Standing]:
    """The links of a customer that stand, with one other store or with all."""
    return [Standing(*row) for row in await connection.fetch(STANDING, customer_id, other_store)]


async def intend(connection: Connection, intent: Intent) -> None:
    """Writes down what both sides are to become, instead of whatever they were to become before."""
    bucket, *_ = intent.key
    await connection.execute(INTEND, bucket, *intent[:4])


async def end_links(connection: Connection, customer_id: UUID, other_store: str | None, at: datetime) -> list[Intent]:
    """Writes down that the links of a customer, with one other store or with all, are to end, and returns that."""
    # Whatever this machine's clock says, the end comes after the beginning.
    intents = [
        Intent(link.token, link.other_store, REVOKED, max(at, link.since + TICK))
        for link in await standing(connection, customer_id, other_store)
    ]
    for intent in intents:
        await intend(connection, intent)
    return intents


async def due(connection: Connection, now: datetime) -> list[Intent]:
    """What is to be carried by now, the longest waiting first."""
    return [Intent(*row) for row in await connection.fetch(DUE, list(range(BUCKETS)), now, AT_ONCE)]


async def postpone(connection: Connection, intent: Intent, due_at: datetime) -> None:
    await connection.execute(POSTPONE, *intent.key, due_at)


async def done(connection: Connection, intent: Intent) -> None:
    await connection.execute(DONE, *intent.key)
