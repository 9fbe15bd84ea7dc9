"""The outbox: each event that was applied, kept in the same transaction for whatever follows from it later."""

import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from cdp.stores import Connection
from cdp.tables import BUCKETS, outbox

COLUMNS = tuple(column.name for column in outbox.columns)


class Entry(NamedTuple):
    """One applied event. Values are not in it: who reads the outbox asks for them again, under their own permit."""

    customer_id: UUID
    event_type: str
    event_id: str
    at: datetime


async def put(connection: Connection, entries: Iterable[Entry], recorded_at: datetime) -> None:
    """Adds the entries in their order; all events of a customer are in one bucket."""
    first = (int(recorded_at.timestamp() * 1000) << 80) | (7 << 76) | (secrets.randbits(10) << 66) | (0b10 << 62)
    # Within a batch the ids count upwards, so that a bucket is read in the order it was written.
    first |= secrets.randbits(61)
    records = [
        (customer_id, UUID(int=first + n), customer_id.int % BUCKETS, event_type, event_id, at, recorded_at)
        for n, (customer_id, event_type, event_id, at) in enumerate(entries)
    ]
    await connection.copy_records_to_table(outbox.name, records=records, columns=COLUMNS)
