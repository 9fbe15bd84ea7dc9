"""Dead letters in the hands of officers: listed without what was refused, opened, sent again, dropped.

Whatever is opened or taken away is in the audit trail before. What is sent again goes through the write door like
anything else, from the source it came from (a message of an SDK as it is read by now): what goes in takes its letter
along, what is refused again is counted.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any, Final, NamedTuple
from uuid import UUID

from cdp.admission import Duty, on_duty
from cdp.audit import TRAIL_BLANKS, AuditTrail, uuid7
from cdp.consent.policy_rows import read_policy
from cdp.consent.reads import facts_of
from cdp.context import STORE_ITSELF
from cdp.dead_letters import BODY, LONGEST_BODY, ROW_INVALID, TRAIL, Refusal, bounds_of, bury, remove
from cdp.errors import EventInvalid, RequestInvalid
from cdp.exchange import check_values
from cdp.ingest import EVENTS, Writer, ingest
from cdp.intake import Sender, first_sent
from cdp.key_store import keep_up, keys_of_customers
from cdp.mapping import NAME, SHIPPED, FileMapping, read_mapping
from cdp.outcome import FORBIDDEN, Outcome, Status
from cdp.segment import SOURCE, Sending, event_of, happened_at, message_id
from cdp.stores import Store
from cdp.write_keys import WriteKey
from privacy.keys import KeyRing
from privacy.log import Form
from privacy.seal import Opener, Place, Sealed
from privacy.vocabulary import CustomerState

AUDIT: Final = "legal.audit"
"""The purpose for which letters are opened."""
AT_ONCE: Final = 500
IN: Final = (Status.ACCEPTED, Status.DUPLICATE)
LETTER_FORBIDDEN: Final = "LETTER_FORBIDDEN", "what its sender may not tell of is not told by an officer"
MESSAGE: Final = {"message", "region", "channel", "clock"}
"""What the letter of a message that became no event has, and no event does."""
CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{1,39}")

LIST = """
SELECT dead_letter_id, source, reason, field, expected, first_at, last_at, seen FROM dead_letter
WHERE ($1::text IS NULL OR reason = $1) AND ($2::text IS NULL OR source = $2) AND ($3::text IS NULL OR field = $3)
  AND ($4::timestamptz IS NULL OR (first_at, dead_letter_id) < ($4, $5::uuid))
ORDER BY first_at DESC, dead_letter_id DESC LIMIT $6
"""
BODIES = """
SELECT l.dead_letter_id, l.source, l.reason, l.body FROM dead_letter AS l
JOIN unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::uuid[]) AS t (b, low, high, id)
  ON l.bucket = t.b AND l.body_tag BETWEEN t.low AND t.high AND l.dead_letter_id = t.id
"""


class Letter(NamedTuple):
    """A refused record, without what is in it: where it came from, why it was refused, when, and how often."""

    letter_id: UUID
    source: str
    reason: str
    field: str
    expected: str
    first_at: datetime
    last_at: datetime
    seen: int


class Opened(NamedTuple):
    """What is in a letter: the record as JSON text, from where, and why it was refused."""

    source: str
    reason: str
    text: str


class Which(NamedTuple):
    """Those for this reason, from this source, because of this field; None: whatever it is."""

    reason: str | None = None
    source: str | None = None
    field: str | None = None


class Drawer(NamedTuple):
    """Where the letters of one store are, and what it takes to open them."""

    store: Store
    ring: KeyRing
    trail: AuditTrail


class Hand(NamedTuple):
    """Whose hand takes them."""

    client: str
    actor: str
    channel: str


class Resent(NamedTuple):
    """What became of a letter that was sent again: of its event, or of those its row makes; and whether it is gone."""

    letter_id: UUID
    gone: bool
    outcomes: Sequence[Outcome]


async def letters_of(
    store: Store, which: Which, after: tuple[datetime, UUID] | None = None, most: int = AT_ONCE
) -> list[Letter]:
    """The letters of a store, the newest first; `after`: when the last one seen was first refused, and its id."""
    async with store.read() as connection:
        rows = await connection.fetch(LIST, *which, *(after or (None, None)), most)
    return [Letter(*row) for row in rows]


async def open_letters(drawer: Drawer, letters: Sequence[UUID], hand: Hand, did: str) -> dict[UUID, Opened]:
    """What is in the letters, of those that are there; written down before it is told.

    Raises AuditUnavailable, and PrivacyError where the policy does not let an officer see them.
    """
    now = datetime.now(UTC)
    async with drawer.store.read() as connection:
        await keep_up(connection, drawer.ring)
        policy = await read_policy(connection)
        rows = await connection.fetch(BODIES, *_bounds(letters))
    facts = facts_of(STORE_ITSELF, CustomerState.ACTIVE, (), ())
    permit = on_duty(policy, Duty(AUDIT, drawer.store.jurisdiction, now), facts, (BODY.category,))
    keys = (await keys_of_customers(drawer.store, [STORE_ITSELF])).get(STORE_ITSELF, ())
    opener, place = Opener(permit, drawer.ring, STORE_ITSELF, keys), Place(drawer.ring.tenant, drawer.ring.store, BODY)
    found: dict[UUID, Opened] = {}
    for letter_id, source, reason, body in rows:
        sealed = opener.open(Sealed(body), place, letter_id)
        assert isinstance(sealed, Mapping), "a letter's cell is an object"
        found[letter_id] = Opened(source, reason, str(sealed["record"]))
    if found:
        await _write_down(drawer, hand, {"did": did, "letters": [*map(str, found)]}, opener.opened)
    return found


def record_of(text: str) -> Any:
    """The record in a letter. Raises RequestInvalid for one that was too long to be kept whole."""
    try:
        return json.loads(text)
    except ValueError:
        expected = f"expected one of at most {LONGEST_BODY} characters; send it again from where it came"
        raise RequestInvalid("LETTER_TOO_LONG", f"the record is not here as a whole: {expected}") from None


async def replay(
    drawer: Drawer, writer: Writer, letters: Sequence[UUID], hand: Hand, mapping: FileMapping | None = None
) -> list[Resent]:
    """Sends records again, and takes away the letters of those that went in, or became events. `mapping`: by which rows
    of files are read, instead of the shipped one of the same name.

    A letter that cannot be sent (MAPPING_UNKNOWN, LETTER_TOO_LONG) stays as it is, with that as its outcome.
    """
    found = await open_letters(drawer, letters, hand, "replayed")
    resent: list[Resent] = []
    events: dict[str, list[tuple[UUID, bool, list[Any]]]] = {}
    for letter, (source, reason, text) in found.items():
        try:
            became, made = await _events_of(drawer, writer, found[letter], mapping)
        except EventInvalid as wrong:
            code = ROW_INVALID if reason == ROW_INVALID else wrong.code
            outcome = await _bury_again(drawer, source, Refusal(record_of(text), code, wrong.field, wrong.expected))
            resent.append(Resent(letter, gone=False, outcomes=[outcome]))
        except RequestInvalid as wrong:
            outcome = Outcome(Status.REJECTED, None, drawer.store.name, wrong.code, "", str(wrong))
            resent.append(Resent(letter, gone=False, outcomes=[outcome]))
        else:
            events.setdefault(source, []).append((letter, became, made))
    for source, sent in events.items():
        outcomes = iter(await ingest(writer, [event for *_, each in sent for event in each], source))
        for letter, became, each in sent:
            mine = list(islice(outcomes, len(each)))
            # Of a row or a message, those of its events that are refused have letters of their own now.
            resent.append(Resent(letter, became or mine[0].status in IN, mine))
    await _take_away(drawer, hand, {"did": "went in"}, [one.letter_id for one in resent if one.gone])
    return resent


async def drop(drawer: Drawer, letters: Sequence[UUID], hand: Hand, why: str) -> list[UUID]:
    """Takes letters away for good; those that were there. Raises RequestInvalid unless `why` is a code: no value of
    anybody may come into the trail.
    """
    if not CODE.fullmatch(why):
        raise RequestInvalid("REASON_INVALID", "why: expected a code such as TEST_DATA")
    async with drawer.store.read() as connection:
        there = [row[0] for row in await connection.fetch(BODIES, *_bounds(letters))]
    await _take_away(drawer, hand, {"did": "dropped", "why": why}, there)
    return there


def _bounds(letters: Sequence[UUID]) -> list[list[Any]]:
    return [[*column] for column in zip(*((*bounds_of(one), one) for one in letters), strict=True)] or [[], [], [], []]


async def _take_away(drawer: Drawer, hand: Hand, said: dict[str, object], letters: Sequence[UUID]) -> None:
    if letters:
        await _write_down(drawer, hand, said | {"letters": [*map(str, letters)]}, 0)
        async with drawer.store.transaction() as connection:
            await remove(connection, letters)


async def _write_down(drawer: Drawer, hand: Hand, said: dict[str, object], opened: int) -> None:
    now, names = datetime.now(UTC), drawer.trail.names
    who = {"client": hand.client, "actor": names.actor(hand.actor, now.year), "channel": hand.channel}
    form = Form({"operation": TRAIL, "purpose": AUDIT, **who, **said}, (*TRAIL_BLANKS, "opened"))
    await drawer.trail.fill_in(form, {"opened": opened}, uuid7(now))


async def _events_of(
    drawer: Drawer, writer: Writer, opened: Opened, mapping: FileMapping | None
) -> tuple[bool, list[Any]]:
    """The events of a letter, and whether they were made of what is in it. Raises EventInvalid, RequestInvalid."""
    source, reason, record = opened.source, opened.reason, record_of(opened.text)
    if reason == FORBIDDEN:
        raise RequestInvalid(*LETTER_FORBIDDEN)
    if reason == ROW_INVALID:
        return True, _row_events(record, mapping, drawer.ring)
    if source.startswith(SOURCE) and isinstance(record, dict) and record.keys() >= MESSAGE:
        return True, [await _message_event(drawer, writer, source.removeprefix(SOURCE), record)]
    return False, [record]


def _mapping_of(name: str, given: FileMapping | None) -> FileMapping:
    if given is not None and given.name == name:
        return given
    if not (NAME.fullmatch(name) and (SHIPPED / f"{name}.toml").is_file()):
        expected = f"expected it, named {name}: cdp dead-letters replay --mapping FILE"
        raise RequestInvalid("MAPPING_UNKNOWN", f"a row of a file is read by its mapping: {expected}")
    return _shipped(name)


@cache
def _shipped(name: str) -> FileMapping:
    return read_mapping(name, EVENTS)


def _row_events(record: Any, given: FileMapping | None, ring: KeyRing) -> list[Any]:
    """The events of a row of a file. Raises EventInvalid where it still does not fit, and RequestInvalid
    MAPPING_UNKNOWN.
    """
    mapping, row = _mapping_of(record["mapping"], given), record["row"]
    if not isinstance(row, dict):
        raise EventInvalid("", "a record with each column once: correct it in its file")
    filled = dict.fromkeys(mapping.columns, "") | row
    return mapping.events_of(filled, mapping.record_of(filled, ring), record.get("region"))


async def _message_event(drawer: Drawer, writer: Writer, client: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """The event that a message of an SDK becomes by now, at the instant that it first came with. Raises EventInvalid
    where it still becomes none, and RequestInvalid.
    """
    message, now = record["message"], writer.clock()
    if not record["clock"]:
        raise EventInvalid("sentAt", "an instant at most a day from ours")
    if not isinstance(message, dict):
        raise EventInvalid("", "an object")
    check_values(message)
    key = WriteKey(client, record["region"], record["channel"], 1)
    sender, name = Sender(client, (drawer.store.name,), 1, by_key=True), message_id(message)
    first = await first_sent(writer, sender, {name: happened_at(message, Sending(key, None, now))})
    event = event_of(EVENTS, message, key, first[name])
    if sender.refusal(event, writer.regions) is not None:
        raise RequestInvalid(*LETTER_FORBIDDEN)
    return event


async def _bury_again(drawer: Drawer, source: str, refusal: Refusal) -> Outcome:
    """Counted, with the reason of today; whom it is about the letter knows already."""
    async with drawer.store.transaction() as connection:
        await bury(connection, drawer.ring, source, [refusal], datetime.now(UTC))
    return Outcome(Status.REJECTED, None, drawer.store.name, *refusal[1:4])
