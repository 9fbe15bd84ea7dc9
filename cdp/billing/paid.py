"""What was paid of a bill: by payments in its own currency alone, whichever of the two came first."""

from collections.abc import Iterable
from typing import Final

from cdp.billing.events import BillCorrected, BillIssued, PaymentReceived
from cdp.billing.tables import bill
from cdp.changes import Put
from cdp.stores import Connection

CHANGES_PAID: Final = (BillIssued, BillCorrected, PaymentReceived)
"""Events after which something else may count."""

# A payment adds itself to its bill; this is only needed where that is not the sum: the bill is in another currency, or
# was not there to tell.
COUNT: Final = """
UPDATE bill AS b SET paid_minor = n.paid_minor FROM (
    SELECT s.customer_id, s.bill_id, (
        SELECT coalesce(sum(p.amount_minor), 0)::bigint FROM payment AS p
        WHERE p.customer_id = s.customer_id AND p.bill_id = s.bill_id AND p.currency = s.currency) AS paid_minor
    FROM unnest($1::uuid[], $2::uuid[]) AS said (customer_id, bill_id) JOIN bill AS s USING (customer_id, bill_id)
    WHERE s.currency IS NOT NULL) AS n
WHERE b.customer_id = n.customer_id AND b.bill_id = n.bill_id AND b.paid_minor != n.paid_minor
"""


async def count_paid(connection: Connection, puts: Iterable[Put]) -> None:
    """Counts what was paid of the bills among rows that were just written, in their transaction."""
    bills = {(put.row["customer_id"], put.row["bill_id"]) for put in puts if put.table is bill}
    if bills:
        await connection.execute(COUNT, *map(list, zip(*bills, strict=True)))
