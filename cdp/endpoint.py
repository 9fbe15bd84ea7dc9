"""/graphql as an ASGI app: a request is checked, its caller verified and its body read before anyone else sees it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import structlog

from cdp.auth import Caller, bearer_token
from cdp.errors import AuditUnavailable, AuthError, CdpError, RequestInvalid
from cdp.exchange import (
    GRAPHQL_TYPE,
    JSON_TYPE,
    STREAM_TYPE,
    Answer,
    GraphqlRequest,
    check_content,
    decode_body,
    decode_url,
    media_type_for,
    refusal_of,
    status_for,
    takes_stream,
    wants_page,
)
from cdp.metrics import Metrics
from cdp.streams import Seats, Stream, stream_events

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
RawHeader: TypeAlias = tuple[bytes, bytes]

GIVEN_UP: Final = float("-inf")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Door:
    """What the endpoint needs.

    verify: token -> caller, raises AuthError. answer: runs an operation and has audited it when it returns.
    refused: audits a refusal (its code) of a known caller; called once for each of their requests that ends in an
    exception, also one raised by `answer` or a stream. allow_get: True for a document that touches no customer data.
    stream: begins an operation whose answers come one by one, after the position of the last one seen, if any.
    expires_at: until when (Unix time) a token holds that was verified. body_bytes and body_seconds: how much of a body
    is read, and for how long.
    """

    verify: Callable[[str], Awaitable[Caller]]
    answer: Callable[[GraphqlRequest, Caller], Awaitable[Answer]]
    refused: Callable[[Caller, str], Awaitable[None]]
    allow_get: Callable[[str], bool]
    stream: Callable[[GraphqlRequest, Caller, str | None], Awaitable[Stream]]
    expires_at: Callable[[str], float]
    body_bytes: int = 1 << 20
    body_seconds: float = 10.0


class ClientGone(Exception):
    """The client closed the connection before its body was whole."""


class HttpRequest:
    """One HTTP request as ASGI brings it. Headers by lower-case name; a repeated one is joined with commas."""

    __slots__ = ("_headers", "_receive", "method", "query_string")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.query_string: bytes = scope["query_string"]
        self._receive = receive
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            headers[name] = b"%b,%b" % (headers[name], value) if name in headers else value
        self._headers = headers

    def header(self, name: bytes) -> str | None:
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    async def body(self, most: int) -> bytes:
        """The whole body. Raises RequestInvalid beyond `most` bytes, ClientGone."""
        length = self._headers.get(b"content-length", b"")
        if length.isdigit() and (len(length) > 15 or int(length) > most):
            raise too_large(most)
        body, more = b"", True
        while more and len(body) <= most:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if len(body) > most:
            raise too_large(most)
        return body


class Patience:
    """How long a client may take to send its body. One timer looks after all of them, as most bodies are there at once
    and a timer for each would cost more than reading it.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[asyncio.Task[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, chunks: Coroutine[Any, Any, bytes]) -> bytes:
        """What the chunks make together; raises RequestInvalid BODY_TIMEOUT where they do not come in time."""
        task = asyncio.current_task()
        assert task is not None, "a request is answered by a task"
        self._waiting[task] = time.monotonic() + self._seconds
        if self._timer is None:
            self._look()
        try:
            return await chunks
        except asyncio.CancelledError:
            if self._waiting[task] == GIVEN_UP and task.uncancel() == 0:
                raise RequestInvalid("BODY_TIMEOUT", "The body did not arrive in time.", 408) from None
            raise
        finally:
            del self._waiting[task]

    def _look(self) -> None:
        """Gives up on whoever took too long, and looks again while anyone is waiting."""
        now = time.monotonic()
        for task, until in self._waiting.items():
            if GIVEN_UP < until <= now:
                self._waiting[task] = GIVEN_UP
                task.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._seconds / 8, self._look) if self._waiting else None


class _Opened(NamedTuple):
    """A stream to be told to a caller until their token expires (Unix time)."""

    stream: Stream
    caller: Caller
    until: float


async def audited(door: Door, error: Exception, caller: Caller) -> Exception:
    """The error to tell: the given one once its audit entry is durable, AuditUnavailable when it cannot be."""
    try:
        if not isinstance(error, AuditUnavailable):
            await door.refused(caller, refusal_of(error).code)
    except AuditUnavailable as unavailable:
        return unavailable
    return error


class GraphqlEndpoint:
    """Answers POST, and GET where no customer data is touched; a browser gets `page`, itself an ASGI app.

    `headers` are on every answer.
    """

    def __init__(
        self,
        door: Door,
        page: Callable[[Scope, Receive, Send], Awaitable[None]],
        metrics: Metrics,
        headers: Sequence[RawHeader] = (),
        seats: Seats | None = None,
    ) -> None:
        self._door, self._page, self._metrics, self._seats = door, page, metrics, Seats() if seats is None else seats
        self._patience = Patience(door.body_seconds)
        self._headers = {
            media_type: (
                (b"content-type", f"{media_type}; charset=utf-8".encode()),
                (b"vary", b"Accept, Authorization"),
                *headers,
            )
            for media_type in (JSON_TYPE, GRAPHQL_TYPE, STREAM_TYPE)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = HttpRequest(scope, receive)
        if request.method in ("GET", "HEAD") and not request.query_string and wants_page(request.header(b"accept")):
            return await self._page(scope, receive, send)
        started = time.perf_counter()
        self._metrics.in_flight += 1
        try:
            answer = await self._respond(request)
            if isinstance(answer, Answer):
                await self._send(answer, send)
        except ClientGone:
            return None
        finally:
            self._metrics.in_flight -= 1
        if isinstance(answer, Answer):
            self._metrics.answered(answer.status, time.perf_counter() - started)
        else:
            await self._tell(answer, receive, send)
        return None

    async def _respond(self, request: HttpRequest) -> "Answer | _Opened":
        """Every exception becomes a coded answer here, at the edge of the house."""
        media_type, caller, well_formed = JSON_TYPE, None, False
        accept = request.header(b"accept")
        try:
            if request.method not in ("GET", "POST"):
                raise _method_refused()
            media_type = media_type_for(accept)
            token = bearer_token(request.header(b"authorization"))
            caller = await self._door.verify(token)
            asked = await self._decode(request)
            well_formed = True
            if takes_stream(accept) and request.method == "POST":
                stream = await self._door.stream(asked, caller, request.header(b"last-event-id"))
                if stream.only is None or takes_stream(accept, alone=True):
                    return self._opened(stream, caller, token)
                answer = stream.only
            else:
                answer = await self._door.answer(asked, caller)
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 - as the docstring says
            told = error if caller is None else await audited(self._door, error, caller)
            return self._refuse(told, media_type, well_formed=well_formed)
        return Answer(status_for(media_type, answer.status), answer.body, answer.headers, media_type)

    async def _decode(self, request: HttpRequest) -> GraphqlRequest:
        if request.method == "GET":
            asked = decode_url(request.query_string)
            if asked.query is None or not self._door.allow_get(asked.query):
                raise _method_refused()
            return asked
        check_content(request.header(b"content-type"), request.header(b"content-encoding"))
        return decode_body(await self._patience.read(request.body(self._door.body_bytes)))

    def _opened(self, stream: Stream, caller: Caller, token: str) -> "_Opened":
        if not self._seats.take(caller.client):
            stream.close()
            raise RequestInvalid("TOO_MANY_STREAMS", "this client has too many streams open", 429)
        return _Opened(stream, caller, self._door.expires_at(token))

    async def _tell(self, opened: "_Opened", receive: Receive, send: Send) -> None:
        """Streams answers; what breaks a stream off is written down, and its client comes back."""
        self._metrics.streams += 1
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self._headers[STREAM_TYPE]})
            broken = await stream_events(opened.stream, receive, send, opened.until)
        finally:
            opened.stream.close()
            self._seats.leave(opened.caller.client)
            self._metrics.streams -= 1
        if broken is not None and not isinstance(broken, OSError):
            refusal = refusal_of(await audited(self._door, broken, opened.caller))
            self._metrics.refusals[refusal.code] += 1
            if refusal.status >= 500:
                log.error("stream failed", code=refusal.code, exc_info=broken)

    def _refuse(self, error: Exception, media_type: str, *, well_formed: bool) -> Answer:
        """`well_formed`: GraphQL itself refused, which plain JSON tells with status 200."""
        refusal = refusal_of(error)
        self._metrics.refusals[refusal.code] += 1
        if refusal.status >= 500:
            log.error("request failed", code=refusal.code, exc_info=error)
        headers: list[RawHeader] = []
        if isinstance(error, AuthError) and refusal.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if refusal.status == 405:
            headers.append((b"allow", b"POST"))
        if isinstance(error, CdpError) and error.retry_seconds is not None:
            headers.append((b"retry-after", b"%d" % error.retry_seconds))
        if refusal.status in (408, 413):
            # What is left of the body is not read: the connection cannot be used again.
            headers.append((b"connection", b"close"))
        status = status_for(media_type, refusal.status) if well_formed else refusal.status
        return Answer(status, refusal.body, tuple(headers), media_type)

    async def _send(self, answer: Answer, send: Send) -> None:
        length = b"%d" % len(answer.body)
        headers = [(b"content-length", length), *self._headers[answer.media_type], *answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


def _method_refused() -> RequestInvalid:
    return RequestInvalid("METHOD_NOT_ALLOWED", "Ask for customer data by POST; a number never stands in a URL.", 405)


def too_large(most: int) -> RequestInvalid:
    return RequestInvalid("BODY_TOO_LARGE", f"A body may have {most} bytes.", 413)
