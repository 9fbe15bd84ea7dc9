"""Letters that wait: an event that came before what it is about goes in by itself when that is known.

A letter is looked at when something was told of whom it is about, and else ever more seldom. Whether they are known is
found by its tag, unopened; it is sent again as an officer would do it, and the trail says so.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from cdp.dead_letters import SOON, wake
from cdp.house import House
from cdp.identity.resolve import GONE
from cdp.ingest import BY_INDEX, Writer
from cdp.letters import Drawer, Hand, Resent, replay
from cdp.outcome import UNKNOWN_CUSTOMER
from cdp.stores import Store
from cdp.worker import Job
from privacy.errors import SealBroken

HAND: Final = Hand("cdp-worker", "cdp-worker", "worker")
AT_ONCE: Final = 500
TURNS: Final = 40
"""So often a round takes some at once, at most."""
LEASE: Final = timedelta(minutes=5)
"""For so long a letter that is being sent is nobody else's."""
LONGEST: Final = timedelta(days=1)

log = structlog.get_logger()

# Whoever tells of somebody meanwhile waits for these, or is waited for: no letter misses it.
DUE: Final = """
SELECT bucket, body_tag, dead_letter_id FROM dead_letter WHERE due_at <= $1
ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
"""
LOOK: Final = """
UPDATE dead_letter AS l
SET due_at = $4::timestamptz
    + CASE WHEN k.known THEN $5::interval ELSE least($6, $7 + greatest($4 - l.first_at, interval '0')) END
FROM (
    SELECT bucket, body_tag, dead_letter_id, reason <> $8 OR EXISTS (
        SELECT FROM (
            SELECT customer_id FROM identifier_index WHERE identifier_tag = subject_tag
            UNION ALL SELECT customer_id FROM number_index WHERE number_tag = subject_tag
            UNION ALL SELECT CASE subject_kind WHEN 'customerId' THEN encode(subject_tag, 'hex')::uuid END
        ) AS o JOIN customer AS c USING (customer_id) WHERE c.state <> ALL($9::text[])
    ) AS known
    FROM unnest($1::smallint[], $2::bytea[], $3::uuid[]) AS t (bucket, body_tag, dead_letter_id)
    JOIN dead_letter USING (bucket, body_tag, dead_letter_id)
) AS k
WHERE (l.bucket, l.body_tag, l.dead_letter_id) = (k.bucket, k.body_tag, k.dead_letter_id)
RETURNING l.dead_letter_id, l.subject_tag, k.known
"""


def letter_job(house: House, writer: Writer) -> Job:
    """The job that sends them."""

    async def send(store: Store) -> None:
        await send_due(Drawer(store, house.rings[store.name], house.trails[store.name]), writer, writer.clock())

    return Job("letters", 5, send)


async def send_due(drawer: Drawer, writer: Writer, now: datetime) -> int:
    """Sends the letters whose turn it is and whose subject is known; how many went in. Raises as `replay` does."""
    went = 0
    for _ in range(TURNS):
        looked, known = await _look(drawer.store, now)
        if not looked:
            break
        gone = [one.letter_id for one in await _sent(drawer, writer, [*known]) if one.gone]
        async with drawer.store.transaction() as connection:
            await connection.execute(BY_INDEX)
            await wake(connection, {tag for one in gone if (tag := known[one])}, now, AT_ONCE)
        went += len(gone)
    return went


async def _sent(drawer: Drawer, writer: Writer, letters: Sequence[UUID]) -> list[Resent]:
    """What became of letters that were sent; one that does not open keeps no other from going in."""
    if not letters:
        return []
    try:
        return await replay(drawer, writer, letters, HAND)
    except SealBroken:
        if len(letters) == 1:
            log.exception("letter_unopened", store=drawer.store.name, letter=str(letters[0]))
            return []
        half = len(letters) // 2
        return [*await _sent(drawer, writer, letters[:half]), *await _sent(drawer, writer, letters[half:])]


async def _look(store: Store, now: datetime) -> tuple[int, dict[UUID, bytes | None]]:
    """How many letters were looked at, and those that can be sent, with the tags of whom they are about."""
    async with store.transaction() as connection:
        await connection.execute(BY_INDEX)
        if not (due := await connection.fetch(DUE, now, AT_ONCE)):
            return 0, {}
        columns = [list(column) for column in zip(*due, strict=True)]
        found = await connection.fetch(LOOK, *columns, now, LEASE, LONGEST, SOON, UNKNOWN_CUSTOMER, GONE)
    return len(found), {letter: tag for letter, tag, known in found if known}
