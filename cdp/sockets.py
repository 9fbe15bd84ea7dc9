"""GraphQL over a WebSocket: the `graphql-transport-ws` protocol and no other.

Queries and orders go the same way as over HTTP. How a socket ends, besides the codes of the protocol:

    1013  the client took nothing for too long, or events came faster than it took them: nothing is kept for it
    4400  what came is none of the protocol's messages
    4401  something was asked before the connection was acknowledged
    4403  the token is refused, or has expired
    4406  another subprotocol, such as the legacy `graphql-ws`
    4408  no connection_init in time
    4409  an id that is in use
    4429  a second connection_init, or too many sockets of a client
"""

import asyncio
import time
from collections.abc import MutableMapping
from contextlib import aclosing, suppress
from json.encoder import encode_basestring
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import structlog

from cdp.auth import Caller, bearer_token
from cdp.endpoint import Door, Receive, Scope, Send, audited
from cdp.errors import AuthError, RequestInvalid
from cdp.exchange import json_of, refusal_of, request_of
from cdp.metrics import Metrics
from cdp.streams import SEND_SECONDS, Seats, first_of

PROTOCOL: Final = "graphql-transport-ws"
FRAME_BYTES: Final = 131_072
INIT_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 5.0
MOST_OPERATIONS: Final = 32
LONGEST_ID: Final = 128
TYPES: Final = ("connection_init", "ping", "pong", "subscribe", "complete")

AGAIN_LATER, BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NO_PROTOCOL, NO_INIT, IN_USE, TOO_MANY, BROKEN = (
    *(1013, 4400, 4401, 4403, 4406, 4408, 4409, 4429, 4500),
)

log = structlog.get_logger()


class Said(NamedTuple):
    """A message of the protocol."""

    type: str
    id: str
    payload: MutableMapping[str, Any] | None


class _Told(Exception):
    """An operation has ended, and the client knows why."""


class _Over(Exception):
    """The socket ends, with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class SocketEndpoint:
    """Answers the sockets of /graphql, an ASGI app."""

    def __init__(self, door: Door, metrics: Metrics, seats: Seats) -> None:
        self.door, self.metrics, self.seats = door, metrics, seats

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if (await receive())["type"] != "websocket.connect":
            return
        if not _same_origin(headers):
            await send({"type": "websocket.close"})  # before it was accepted: HTTP 403
        elif PROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": NO_PROTOCOL, "reason": f"expected {PROTOCOL}"})
        else:
            await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
            authorization = headers.get(b"authorization", b"").decode("latin-1")
            await _Socket(self, receive, send, authorization).run()


def _same_origin(headers: MutableMapping[bytes, bytes]) -> bool:
    """Only browsers name an origin, and only our own pages may use what a browser knows."""
    origin = headers.get(b"origin")
    return (
        origin is None
        or urlsplit(origin.decode("latin-1")).netloc.lower() == headers.get(b"host", b"").decode("latin-1").lower()
    )


class _Socket:
    """One socket: a task reads, and one runs for each operation. Whatever ends it says so by `_end`."""

    def __init__(self, at: SocketEndpoint, receive: Receive, send: Send, authorization: str) -> None:
        self._at, self._receive, self._send, self._authorization = at, receive, send, authorization
        self._begun = False
        self._caller: Caller | None = None
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()
        self._over: asyncio.Future[_Over] = asyncio.get_running_loop().create_future()
        self._timer = self._end_after(INIT_SECONDS, NO_INIT, "expected connection_init")

    async def run(self) -> None:
        """Until the client is gone, or the socket has to end."""
        self._at.metrics.streams += 1
        broken = await first_of((self._read(), self._ended()), None)
        self._timer.cancel()
        under_way = list(self._operations.values())
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        if self._caller is not None:
            self._at.seats.leave(self._caller.client)
        self._at.metrics.streams -= 1
        if isinstance(broken, TimeoutError):
            broken = _Over(AGAIN_LATER, "SLOW_CONSUMER")
        if broken is None or isinstance(broken, OSError):
            return  # the client is gone
        if not isinstance(broken, _Over):
            log.error("socket failed", exc_info=broken)
            broken = _Over(BROKEN, "the socket could not be served")
        with suppress(OSError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._send({"type": "websocket.close", "code": broken.code, "reason": broken.reason})

    def _end(self, code: int, reason: str) -> None:
        if not self._over.done():
            self._over.set_result(_Over(code, reason))

    def _end_after(self, seconds: float, code: int, reason: str) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(max(0.0, seconds), self._end, code, reason)

    async def _ended(self) -> None:
        raise await self._over

    async def _read(self) -> None:
        while (message := await self._receive())["type"] == "websocket.receive":
            said = _said(message.get("text"))
            match said.type:
                case "connection_init":
                    await self._begin(said.payload or {})
                case "ping":
                    await self._say('{"type":"pong"}')
                case "pong":
                    pass
                case "subscribe":
                    await self._subscribe(said)
                case "complete":
                    if (task := self._operations.pop(said.id, None)) is not None:
                        task.cancel()

    async def _begin(self, payload: MutableMapping[str, Any]) -> None:
        """The caller of the token, which is in the payload or came with the handshake; the socket ends when it does."""
        if self._begun:
            raise _Over(TOO_MANY, "expected one connection_init")
        self._begun, at = True, self._at
        given = next((payload[name] for name in ("Authorization", "authorization") if name in payload), None)
        given = f"Bearer {payload['token']}" if given is None and "token" in payload else given or self._authorization
        try:
            token = bearer_token(given if isinstance(given, str) else None)
            caller = await at.door.verify(token)
        except AuthError as refused:
            at.metrics.refusals[refused.code] += 1
            raise _Over(FORBIDDEN, refused.code) from None
        if not at.seats.take(caller.client):
            raise _Over(TOO_MANY, "too many sockets of this client")
        self._caller = caller
        self._timer.cancel()
        self._timer = self._end_after(at.door.expires_at(token) - time.time(), FORBIDDEN, "TOKEN_EXPIRED")
        await self._say('{"type":"connection_ack"}')

    async def _subscribe(self, said: Said) -> None:
        if (caller := self._caller) is None:
            raise _Over(UNAUTHORIZED, "expected connection_init first")
        if said.id in self._operations:
            raise _Over(IN_USE, "the id is in use")
        if len(self._operations) >= MOST_OPERATIONS:
            many = RequestInvalid("TOO_MANY_OPERATIONS", f"a socket may have {MOST_OPERATIONS} operations", 429)
            await self._refuse(said.id, many, caller)
        else:
            self._operations[said.id] = asyncio.create_task(self._operate(said, caller))

    async def _operate(self, said: Said, caller: Caller) -> None:
        try:
            stream = await self._at.door.stream(request_of(said.payload or {}), caller, None)
            try:
                async with aclosing(stream.answers()) as answers:
                    async for sent in answers:
                        await self._tell(said.id, sent.body)
            finally:
                stream.close()
            self._operations.pop(said.id, None)
            await self._say(f'{{"id":{encode_basestring(said.id)},"type":"complete"}}')
        except ConnectionError:
            return  # the client is gone
        except Exception as error:  # noqa: BLE001 -- the edge of the house: the client is told, the socket lives on
            self._operations.pop(said.id, None)
            await self._refuse(said.id, error, caller)

    async def _tell(self, name: str, body: bytes | None) -> None:
        if body is not None and body.startswith(b'{"errors":'):
            await self._say(f'{{"id":{encode_basestring(name)},"type":"error","payload":{body[10:-1].decode()}}}')
            raise _Told
        if body is not None:
            await self._say(f'{{"id":{encode_basestring(name)},"type":"next","payload":{body.decode()}}}')

    async def _refuse(self, name: str, error: Exception, caller: Caller) -> None:
        """Tells why an operation ends; who takes nothing is not told but dropped."""
        if isinstance(error, _Told):
            return
        told = RequestInvalid("SLOW_CONSUMER", "", 429) if isinstance(error, TimeoutError) else error
        refusal = refusal_of(await audited(self._at.door, told, caller))
        self._at.metrics.refusals[refusal.code] += 1
        if refusal.code == "SLOW_CONSUMER":
            self._end(AGAIN_LATER, refusal.code)
            return
        if refusal.status >= 500:
            log.error("operation failed", code=refusal.code, exc_info=error)
        with suppress(OSError, _Told):
            await self._tell(name, refusal.body)

    async def _say(self, text: str) -> None:
        """Raises TimeoutError where the client does not take it, OSError where it is gone."""
        async with self._turn, asyncio.timeout(SEND_SECONDS):
            await self._send({"type": "websocket.send", "text": text})


def _said(text: str | None) -> Said:
    """A message of the protocol; raises _Over for anything else."""
    try:
        message = json_of((text or "").encode())
    except RequestInvalid as invalid:
        raise _Over(BAD_REQUEST, invalid.code) from None
    if not isinstance(message, dict) or message.get("type") not in TYPES:
        raise _Over(BAD_REQUEST, f"expected an object of type {', '.join(TYPES)}")
    kind, name, payload = message["type"], message.get("id"), message.get("payload")
    if "payload" in message and not isinstance(payload, dict):
        raise _Over(BAD_REQUEST, "payload: expected an object")
    if kind in ("subscribe", "complete") and not (isinstance(name, str) and 0 < len(name) <= LONGEST_ID):
        raise _Over(BAD_REQUEST, f"id: expected a text of at most {LONGEST_ID} characters")
    if kind == "subscribe" and payload is None:
        raise _Over(BAD_REQUEST, "payload: expected what is to be run")
    return Said(kind, name if isinstance(name, str) else "", payload)
