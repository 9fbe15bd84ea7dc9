"""Records as they were corrected, and the months they are counted in: whatever comes first, record or correction, twice
or late, a month is the sum of its records as they were said to be last.
"""

from collections.abc import Collection
from uuid import UUID

from cdp.changes import Put, write
from cdp.stores import Connection
from cdp.usage.events import ADD_UP, NOTHING, TOTALS
from cdp.usage.tables import usage_month

ANY_WAITS = "SELECT EXISTS (SELECT FROM usage_correction WHERE waits)"
# What a month has counted of a record is what the record says, so both change here, and by the same.
RERATE = """
WITH due AS MATERIALIZED (
    SELECT r.customer_id, r.at, r.event_id, r.region, r.usage_type AS old_type, r.quantity AS old_quantity,
        c.record_id, c.usage_type, c.quantity, c.units
    FROM usage_correction AS c JOIN usage_record AS r ON r.customer_id = c.customer_id AND r.record_id = c.record_id
    WHERE c.customer_id = ANY($1::uuid[]) AND c.waits
), corrected AS (
    UPDATE usage_record AS r
    SET usage_type = due.usage_type, quantity = due.quantity, units = due.units, status = 'rerated'
    FROM due WHERE r.customer_id = due.customer_id AND r.at = due.at AND r.event_id = due.event_id
), done AS (
    UPDATE usage_correction AS c SET waits = false
    FROM due WHERE c.customer_id = due.customer_id AND c.record_id = due.record_id
)
SELECT customer_id, date_trunc('month', at AT TIME ZONE 'UTC')::date, region,
    old_type, old_quantity, usage_type, quantity FROM due
"""


async def rerate(connection: Connection, customers: Collection[UUID]) -> None:
    """Corrects the records of customers for whom corrections wait, in a transaction that keeps others from writing
    records or corrections of theirs.
    """
    if not customers or not await connection.fetchval(ANY_WAITS):
        return
    puts = []
    for customer_id, month, region, old_type, old, new_type, new in await connection.fetch(RERATE, [*customers]):
        change = {"customer_id": customer_id, "month_on": month, "region": region, **NOTHING}
        change[TOTALS[old_type]] -= int(old)
        change[TOTALS[new_type]] += int(new)
        puts.append(Put(usage_month, change, ADD_UP))
    await write(connection, puts)
