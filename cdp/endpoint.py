"""/graphql as an ASGI app: a request is checked, its caller verified and its body read before anyone else sees it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import structlog

from cdp.auth import Caller, bearer_token
from cdp.errors import AuditUnavailable, AuthError, RequestInvalid
from cdp.exchange import (
    JSON_TYPE,
    Answer,
    GraphqlRequest,
    check_content,
    decode_body,
    decode_url,
    media_type_for,
    refusal_of,
    status_for,
    wants_page,
)
from cdp.metrics import Metrics

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Door:
    """What the endpoint needs.

    verify: token -> caller, raises AuthError. answer: runs an operation and has audited it when it returns.
    refused: audits a refusal (its code) of a known caller; called once for each of their requests that ends in an
    exception, also one raised by `answer`. allow_get: True for a document that touches no customer data. body_bytes
    and body_seconds: how much of a body is read, and for how long.
    """

    verify: Callable[[str], Awaitable[Caller]]
    answer: Callable[[GraphqlRequest, Caller], Awaitable[Answer]]
    refused: Callable[[Caller, str], Awaitable[None]]
    allow_get: Callable[[str], bool]
    body_bytes: int = 1 << 20
    body_seconds: float = 10.0


class _ClientGone(Exception):
    """The client closed the connection before its body was whole."""


class _Request:
    """One HTTP request as ASGI brings it. Headers by lower-case name; a repeated one is joined with commas."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.query_string: bytes = scope["query_string"]
        self._receive = receive
        self._headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            self._headers[name] = f"{self._headers[name]},{value}" if name in self._headers else value

    def header(self, name: str) -> str | None:
        return self._headers.get(name)

    async def body(self, most: int, seconds: float) -> bytes:
        """The whole body. Raises RequestInvalid beyond `most` bytes or `seconds`, _ClientGone."""
        too_large = RequestInvalid("BODY_TOO_LARGE", f"A body may have {most} bytes.", 413)
        length = self.header("content-length") or ""
        if length.isdecimal() and (len(length) > 15 or int(length) > most):
            raise too_large
        body, more = bytearray(), True
        try:
            async with asyncio.timeout(seconds):
                while more:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise _ClientGone
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > most:
                        raise too_large
        except TimeoutError:
            raise RequestInvalid("BODY_TIMEOUT", "The body did not arrive in time.", 408) from None
        return bytes(body)


class GraphqlEndpoint:
    """Answers POST, and GET where no customer data is touched; a browser gets `page`, itself an ASGI app."""

    def __init__(self, door: Door, page: Callable[[Scope, Receive, Send], Awaitable[None]], metrics: Metrics) -> None:
        self._door, self._page, self._metrics = door, page, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _Request(scope, receive)
        if request.method in ("GET", "HEAD") and not request.query_string and wants_page(request.header("accept")):
            return await self._page(scope, receive, send)
        started = time.perf_counter()
        with self._metrics.in_flight.track_inprogress():
            try:
                answer = await self._respond(request)
            except _ClientGone:
                return None
            await _send(answer, send)
        self._metrics.answers.labels(answer.status).inc()
        self._metrics.seconds.observe(time.perf_counter() - started)
        return None

    async def _respond(self, request: _Request) -> Answer:
        media_type = JSON_TYPE
        try:
            if request.method not in ("GET", "POST"):
                raise _method_refused()
            media_type = media_type_for(request.header("accept"))
            caller = await self._door.verify(bearer_token(request.header("authorization")))
        except Exception as error:  # noqa: BLE001 - the edge of the house: every exception becomes a coded answer
            return self._refuse(error, media_type)
        return await self._answer(request, caller, media_type)

    async def _answer(self, request: _Request, caller: Caller, media_type: str) -> Answer:
        well_formed = False
        try:
            asked = await self._decode(request)
            well_formed = True
            answer = await self._door.answer(asked, caller)
        except _ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            return self._refuse(await self._audited(error, caller), media_type, well_formed=well_formed)
        return Answer(status_for(media_type, answer.status), answer.body, _headers(media_type) + answer.headers)

    async def _decode(self, request: _Request) -> GraphqlRequest:
        if request.method == "GET":
            asked = decode_url(request.query_string)
            if asked.query is None or not self._door.allow_get(asked.query):
                raise _method_refused()
            return asked
        check_content(request.header("content-type"), request.header("content-encoding"))
        return decode_body(await request.body(self._door.body_bytes, self._door.body_seconds))

    async def _audited(self, error: Exception, caller: Caller) -> Exception:
        """The error to tell: the given one once its audit entry is durable, AuditUnavailable when it cannot be."""
        try:
            if not isinstance(error, AuditUnavailable):
                await self._door.refused(caller, refusal_of(error).code)
        except AuditUnavailable as unavailable:
            return unavailable
        return error

    def _refuse(self, error: Exception, media_type: str, *, well_formed: bool = False) -> Answer:
        """`well_formed`: GraphQL itself refused, which plain JSON tells with status 200."""
        refusal = refusal_of(error)
        self._metrics.refusals.labels(refusal.code).inc()
        if refusal.status >= 500:
            log.error("request failed", code=refusal.code, exc_info=error)
        headers = _headers(media_type)
        if isinstance(error, AuthError) and refusal.status == 401:
            headers += (("www-authenticate", "Bearer"),)
        if refusal.status == 405:
            headers += (("allow", "POST"),)
        if refusal.status == 503:
            headers += (("retry-after", "1"),)
        if refusal.status in (408, 413):
            # What is left of the body is not read: the connection cannot be used again.
            headers += (("connection", "close"),)
        status = status_for(media_type, refusal.status) if well_formed else refusal.status
        return Answer(status, refusal.body, headers)


def _method_refused() -> RequestInvalid:
    return RequestInvalid("METHOD_NOT_ALLOWED", "Ask for customer data by POST; a number never stands in a URL.", 405)


def _headers(media_type: str) -> tuple[tuple[str, str], ...]:
    return ("content-type", f"{media_type}; charset=utf-8"), ("vary", "Accept, Authorization")


async def _send(answer: Answer, send: Send) -> None:
    headers = (("content-length", str(len(answer.body))), *answer.headers)
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    await send({"type": "http.response.body", "body": answer.body})
