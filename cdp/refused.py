"""Refused records on their way to the dead letters: whom each says it is about, and in which store it rests."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError

from cdp.dead_letters import Refusal, any_wait, bury, wake
from cdp.errors import RequestInvalid
from cdp.event import Subject
from cdp.identity.batch import Record
from cdp.identity.resolve import Tags
from cdp.incoming import Writer
from cdp.key_store import hold_keys
from cdp.outcome import Outcome, Status
from cdp.stores import Connection

KEPT: Final = (Status.REJECTED, Status.REVIEW)


def subject_tag(tags: Tags, body: Any) -> tuple[str, bytes] | None:
    """Kind and tag of whom a refused record says it is about; None where that cannot be read."""
    try:
        kind, value = Subject.model_validate(body["subject"]).only()
        return kind, value.bytes if isinstance(value, UUID) else tags.of(kind, value, body.get("region"))
    except (TypeError, KeyError, AttributeError, ValidationError, RequestInvalid):
        return None


async def bury_rejected(writer: Writer, source: str, told: Iterable[tuple[Any, Outcome]], now: datetime) -> None:
    """Of these records, those that are refused rest in the store of their region; where that is not known, in the first
    one.
    """
    refused = [(body, outcome) for body, outcome in told if outcome.status in KEPT]
    for n, (name, store) in enumerate(writer.stores.items()):
        mine = [(body, one) for body, one in refused if one.store == name or (one.store is None and n == 0)]
        if mine:
            async with store.transaction() as connection:
                await hold_keys(connection, ring := writer.rings[name])
                tags = Tags(ring)  # by the newest keys: an erasure finds them
                letters = [
                    Refusal(body, one.code or "", one.field or "", one.expected or "", subject_tag(tags, body))
                    for body, one in mine
                ]
                await bury(connection, ring, source, letters, now)


async def known_now(connection: Connection, fresh: Sequence[Record], now: datetime) -> None:
    """Letters about those who are known by these events are looked at next. Inside their transaction."""
    told = [record for record in fresh if record.event.rank < 2]
    if not told or not await any_wait(connection):
        return
    tags = {tag for record in told for _, tag in record.mentions}
    await wake(connection, tags | {record.customer_id.bytes for record in told}, now)
