"""/v1 as an ASGI app: events over HTTP, as the SDKs of Segment and RudderStack send messages, and in our own shape.

Each record has its own verdict, in order; a batch is never all or nothing. A client is told to come again before its
body is read.
"""

import json
import zlib
from base64 import b64decode
from binascii import Error as NotBase64
from codecs import BOM_UTF8
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

import structlog

from cdp.auth import Caller, bearer_token
from cdp.endpoint import ClientGone, HttpRequest, Patience, RawHeader, Receive, Scope, Send, too_large
from cdp.errors import AuthError, CdpError, EventInvalid, RequestInvalid
from cdp.event_schemas import schema_list, schema_of
from cdp.exchange import JSON_TYPE, RECORDS, check_values, decoded, refusal_of
from cdp.ingest import EVENTS
from cdp.intake import Intake, Record, Sender, first_sent
from cdp.metrics import Metrics
from cdp.outcome import Outcome, rejected
from cdp.segment import CALLS, SOURCE, Sending, event_of, happened_at, message_id, region_of, sent_at, subject_of
from cdp.settings import Settings
from cdp.write_keys import KeyBook, WriteKey

BATCH_BYTES: Final = 500 * 1024
EVENT_BYTES: Final = 32 * 1024
LINES_TYPE: Final = "application/x-ndjson"
SCHEMA_TYPE: Final = "application/schema+json"
PATH: Final = "/v1/"
SCHEMAS_PATH: Final = "schemas"
EVENTS_PATH: Final = "events"
GZIP_MARK: Final = b"\x1f\x8b"
GZIP: Final = 31
"""What tells zlib that a gzip header comes."""

Verify: TypeAlias = Callable[[str], Awaitable[Caller]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reception:
    """What the app needs: `verify` as the door has it; `per_second` of clients without a write key."""

    intake: Intake
    keys: KeyBook
    verify: Verify
    metrics: Metrics
    per_second: int
    events_bytes: int
    body_seconds: float = 10.0


def reception_of(settings: Settings, intake: Intake, verify: Verify, metrics: Metrics) -> Reception:
    """What takes in events for a process with these settings."""
    keys = KeyBook(intake.writer.stores)
    return Reception(intake, keys, verify, metrics, settings.events_per_second, settings.events_bytes)


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    body: bytes
    media_type: str = JSON_TYPE
    headers: tuple[RawHeader, ...] = ()


class Receiver:
    """Answers what is below /v1. `headers` are on every answer."""

    def __init__(self, reception: Reception, headers: Sequence[RawHeader] = ()) -> None:
        self._reception, self._headers = reception, tuple(headers)
        self._patience = Patience(reception.body_seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = HttpRequest(scope, receive)
        try:
            reply = await self._reply(request, scope["path"].removeprefix(PATH))
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 -- at the edge of the house every exception becomes a coded answer
            reply = self._refused(error)
        self._reception.metrics.received[reply.status] += 1
        length, kind = b"%d" % len(reply.body), reply.media_type.encode()
        headers = [(b"content-length", length), (b"content-type", kind), *self._headers, *reply.headers]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, request: HttpRequest, path: str) -> _Reply:
        if path == SCHEMAS_PATH or path.startswith(f"{SCHEMAS_PATH}/"):
            return _schema(request.method, path)
        if path not in (*CALLS, "batch", EVENTS_PATH):
            raise RequestInvalid("NOT_FOUND", "There is nothing here.", 404)
        if request.method != "POST":
            raise RequestInvalid("METHOD_NOT_ALLOWED", "Events are sent by POST.", 405)
        scheme, _, given = (request.header(b"authorization") or "").strip().partition(" ")
        if path == EVENTS_PATH and scheme.lower() != "basic":
            return await self._events(request, await self._sender_of_token(request))
        store, key = await self._key(scheme, given)
        sender = Sender(key.client, (store,), key.per_second, key.per_day, by_key=True)
        if path == EVENTS_PATH:
            return await self._events(request, sender)
        return await self._messages(request, sender, key, path)

    async def _key(self, scheme: str, given: str) -> tuple[str, WriteKey]:
        try:
            text = b64decode(given.strip(), validate=True).decode().partition(":")[0]
        except (NotBase64, ValueError):
            text = ""
        found = await self._reception.keys.find(text) if scheme.lower() == "basic" else None
        if found is None:
            raise AuthError("WRITE_KEY_INVALID", "A write key is required, as the user of Basic authentication.")
        return found

    async def _sender_of_token(self, request: HttpRequest) -> Sender:
        caller = await self._reception.verify(bearer_token(request.header(b"authorization")))
        stores = tuple(name for name in caller.stores if name in self._reception.intake.writer.stores)
        if caller.partner or not stores:
            raise AuthError("FORBIDDEN", "events are not open to this caller", 403)
        return Sender(caller.client, stores, self._reception.per_second, role=caller.role)

    async def _messages(self, request: HttpRequest, sender: Sender, key: WriteKey, call: str) -> _Reply:
        intake = self._reception.intake
        with intake.admitted(sender):
            body = decoded(await self._body(request, BATCH_BYTES), RECORDS)
            if not isinstance(body, dict):
                raise RequestInvalid("BODY_INVALID", "The body must be a JSON object.")
            messages = body.get("batch") if call == "batch" else [{**body, "type": call}]
            if not isinstance(messages, list):
                raise RequestInvalid("BATCH_INVALID", "batch: expected a list of messages.")
            sending = Sending(key, sent_at(body), intake.writer.clock())
            records = await self._records(sender, messages, sending)
            outcomes = await intake.take(sender, records, f"{SOURCE}{sender.client}")
        self._reception.metrics.events.update(outcome.status.lower() for outcome in outcomes)
        ids = [message.get("messageId") if isinstance(message, dict) else None for message in messages]
        verdicts = [_verdict("messageId", *told) for told in zip(ids, outcomes, strict=True)]
        return _Reply(200, _json({"success": True, "verdicts": verdicts}))

    async def _records(self, sender: Sender, messages: Sequence[Any], sending: Sending) -> list[Record]:
        """Each message as the event it becomes, at the instant that it first came with."""
        read: list[Record | str] = []
        sent: dict[str, datetime] = {}
        for message in messages:
            try:
                _check_record(message)
                name = message_id(message)
                sent.setdefault(name, happened_at(message, sending))
                read.append(name)
            except EventInvalid as invalid:
                read.append(_no_event(message, sending.key, invalid))
        first = await first_sent(self._reception.intake.writer, sender, sent) if sent else {}
        return [
            one if isinstance(one, Record) else _event(message, sending.key, first[one])
            for message, one in zip(messages, read, strict=True)
        ]

    async def _events(self, request: HttpRequest, sender: Sender) -> _Reply:
        with self._reception.intake.admitted(sender):
            came = _events_in(await self._body(request, self._reception.events_bytes))
            records = [_own(one) for one in came]
            outcomes = await self._reception.intake.take(sender, records, f"events:{sender.client}")
        self._reception.metrics.events.update(outcome.status.lower() for outcome in outcomes)
        ids = [record.came.get("eventId") if isinstance(record.came, dict) else None for record in records]
        verdicts = [_verdict("eventId", *told) for told in zip(ids, outcomes, strict=True)]
        if LINES_TYPE in (request.header(b"accept") or ""):
            return _Reply(200, b"".join(_json(one) + b"\n" for one in verdicts), LINES_TYPE)
        return _Reply(200, _json({"verdicts": verdicts}))

    async def _body(self, request: HttpRequest, most: int) -> bytes:
        """The body, unpacked. What its type is said to be is not asked: an SDK sends JSON under a form's type, and a
        file that is gzip says so itself.
        """
        encoding = (request.header(b"content-encoding") or "identity").strip().lower()
        if encoding not in ("identity", "gzip"):
            raise RequestInvalid("ENCODING_UNSUPPORTED", "Send the body as it is, or by gzip.", 415)
        body = await self._patience.read(request.body(most))
        return _unpacked(body, most) if encoding == "gzip" or body.startswith(GZIP_MARK) else body

    def _refused(self, error: Exception) -> _Reply:
        refusal = refusal_of(error)
        self._reception.metrics.refusals[refusal.code] += 1
        if refusal.status >= 500:
            log.error("events not taken in", code=refusal.code, exc_info=error)
        headers: list[RawHeader] = []
        if isinstance(error, CdpError) and error.retry_seconds is not None:
            headers.append((b"retry-after", b"%d" % error.retry_seconds))
        elif refusal.status == 401:
            headers.append((b"www-authenticate", b'Basic realm="write key"'))
        elif refusal.status == 405:
            headers.append((b"allow", b"POST"))
        elif refusal.status == 408:
            headers.append((b"connection", b"close"))
        # Both at the top: where an SDK looks for them.
        return _Reply(
            refusal.status, _json({"code": refusal.code, "message": refusal.message}), JSON_TYPE, tuple(headers)
        )


def _schema(method: str, path: str) -> _Reply:
    if method not in ("GET", "HEAD"):
        raise RequestInvalid("METHOD_NOT_ALLOWED", "Schemas are asked for by GET.", 405)
    _, _, name = path.partition("/")
    if not name:
        return _Reply(200, _json(schema_list()))
    if (schema := schema_of(name)) is None:
        raise RequestInvalid("NOT_FOUND", "No event is called so.", 404)
    return _Reply(200, schema, SCHEMA_TYPE)


def _unpacked(body: bytes, most: int) -> bytes:
    """What is in a gzip body, which may have several members; raises RequestInvalid."""
    found = b""
    try:
        while body:
            member = zlib.decompressobj(GZIP)
            found += member.decompress(body, most + 1 - len(found))
            if len(found) > most:
                raise too_large(most)
            if not member.eof:
                raise RequestInvalid("GZIP_INVALID", "The body is not whole.")
            body = member.unused_data
    except zlib.error:
        raise RequestInvalid("GZIP_INVALID", "The body is not gzip.") from None
    return found


def _events_in(body: bytes) -> list[Any]:
    """The records of a body: a JSON array, or one record a line; a line that cannot be read is refused alone."""
    body = body.removeprefix(BOM_UTF8)
    if body.lstrip()[:1] == b"[":
        found: list[Any] = decoded(body, RECORDS)
        return found
    return [_line(line) for line in body.splitlines() if line.strip()]


def _line(line: bytes) -> Any:
    try:
        return decoded(line, RECORDS)
    except RequestInvalid as invalid:
        wrong = EventInvalid("", f"one JSON object a line, or an array of them ({invalid.code})")
        return Record(line.decode(errors="replace"), None, rejected(wrong, None))


def _own(one: Any) -> Record:
    if isinstance(one, Record):
        return one
    try:
        _check_record(one)
    except EventInvalid as invalid:
        return Record(one, None, rejected(invalid, None))
    return Record(one, one)


def _check_record(record: Any) -> None:
    """Raises EventInvalid for what is no object, too large, too deep, or has texts that are none."""
    if not isinstance(record, dict):
        raise EventInvalid("", "an object")
    try:
        check_values(record)
    except RequestInvalid as invalid:
        raise EventInvalid("", str(invalid)) from None
    if len(_json(record)) > EVENT_BYTES:
        raise EventInvalid("", f"at most {EVENT_BYTES} bytes")


def _event(message: Any, key: WriteKey, at: datetime) -> Record:
    try:
        return Record(message, event_of(EVENTS, message, key, at))
    except EventInvalid as invalid:
        return _no_event(message, key, invalid)


def _no_event(message: Any, key: WriteKey, invalid: EventInvalid) -> Record:
    """A message that became no event, as a dead letter: with whom it says it is about, so that it goes when they do,
    and what it takes to read it again.
    """
    came = {"message": message, "region": key.region, "channel": key.channel, "clock": invalid.field != "sentAt"}
    if isinstance(message, dict):
        came["region"] = region_of(message, key)
        with suppress(EventInvalid):
            came["subject"] = subject_of(message)
    return Record(came, None, rejected(invalid, None))


def _verdict(named: str, record_id: object, outcome: Outcome) -> Mapping[str, Any]:
    told = {named: record_id if isinstance(record_id, str) else None, "status": outcome.status.value.lower()}
    reasons = {"code": outcome.code, "field": outcome.field, "expected": outcome.expected}
    return told | {name: reason for name, reason in reasons.items() if reason}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
