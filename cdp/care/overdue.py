"""Cases whose customer had no answer when it was due: escalated, once, in the case's history and in the outbox.

Whoever stands above the desks hears of it there, by a webhook or a subscription; the desk answers for it as before.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import literal_column, select

from cdp.care.opening import ESCALATED, entry_of
from cdp.care.reads import due_at
from cdp.care.tables import case
from cdp.outbox import put
from cdp.stores import Store
from cdp.tables import written_out

AT_ONCE: Final = 1_000
WAITING: Final = ("OPEN", "ACCEPTED", "DIAGNOSED", "RESOLVED")
"""The customer was not told that it is done."""
_LATE: Final = select(case.c.customer_id, case.c.case_id, case.c.case_ref).where(
    case.c.status.in_(WAITING), due_at(case) <= literal_column("$1::timestamptz")
)
# An erasure that is under way is waited for, and nobody who is gone has a case.
ESCALATE: Final = f"""
WITH late AS (
    SELECT k.* FROM ({written_out(_LATE)}) AS k
    JOIN customer AS c ON c.customer_id = k.customer_id AND c.state IN ('ACTIVE', 'RESTRICTED')
    WHERE NOT EXISTS (SELECT FROM case_step AS s
        WHERE s.customer_id = k.customer_id AND s.case_id = k.case_id AND s.step = 'ESCALATED')
    ORDER BY k.customer_id, k.case_id LIMIT $2 FOR KEY SHARE OF c
), made AS (
    INSERT INTO case_step (customer_id, case_id, step_id, at, step, desk)
    SELECT customer_id, case_id, md5(case_id::text || 'ESCALATED')::uuid, $1, 'ESCALATED', 'PLATFORM' FROM late
    ON CONFLICT DO NOTHING RETURNING customer_id, case_id
)
SELECT customer_id, case_id, case_ref FROM late JOIN made USING (customer_id, case_id) ORDER BY 1, 2
"""  # noqa: S608 -- put together from our own texts alone


async def escalate(store: Store, now: datetime) -> int:
    """Escalates what is overdue and was not yet; how many."""
    count, some = 0, AT_ONCE
    while some == AT_ONCE:
        async with store.transaction() as connection:
            made = await connection.fetch(ESCALATE, now, AT_ONCE)
            await put(connection, [entry_of(ESCALATED, row, now) for row in made], now)
        count, some = count + len(made), len(made)
    return count
