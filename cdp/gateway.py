"""Messages to customers: the operator's gateway behind one method, and those who may not wait for it.

Neither a number nor a text of a message is ever in a log line or an error. A message that is sent once more, because
nobody knows whether it was taken, has the id that it had before.
"""

import asyncio
import json
import os
import secrets
import time
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener
from uuid import uuid4

import structlog

from cdp.errors import GatewayUnavailable, SettingsInvalid

SEND_SECONDS: Final = 5.0
GRACE_SECONDS: Final = 10.0
ANSWER_BYTES: Final = 65_536

log = structlog.get_logger()


class Gateway(Protocol):
    """What brings a text to a number."""

    async def send(self, number: str, text: str, message_id: str) -> None:
        """Brings `text` to `number` (E.164), once for each `message_id`; raises GatewayUnavailable when it cannot be
        known to have been taken.
        """


class SpoolGateway:
    """Messages as files of mode 0600 in a folder of mode 0700, one each, by the instant: for a laptop and for tests.

    Raises SettingsInvalid when the environment is production: whoever reads the folder reads every code.
    """

    def __init__(self, folder: Path, environment: str) -> None:
        if environment.strip().casefold() == "production":
            raise SettingsInvalid(["CDP_GATEWAY_URL: must be set when CDP_ENVIRONMENT is production"])
        self._folder = folder

    async def send(self, number: str, text: str, message_id: str) -> None:
        """Writes the message; it is in the folder whole or not at all."""
        try:
            content = json.dumps({"number": number, "text": text, "id": message_id}, ensure_ascii=False)
            await asyncio.to_thread(self._write, content)
        except OSError as failed:
            raise GatewayUnavailable(f"the message could not be written ({type(failed).__name__})") from None

    def _write(self, content: str) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{time.time_ns():020}-{secrets.token_hex(4)}.json"
        draft = self._folder / f".{name}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(content)
        draft.rename(self._folder / name)


class _NoRedirect(HTTPRedirectHandler):
    """A redirect could leave the gateway: it counts as a failure."""

    def redirect_request(self, *_: Any) -> None:
        return None


class HttpGateway:
    """POSTs `{"to": number, "text": text, "id": message_id}` as JSON to the operator's gateway, with a bearer token if
    there is one. What comes with an id that came before is to be dropped there.
    """

    def __init__(self, url: str, token: str | None, seconds: float = SEND_SECONDS) -> None:
        """`seconds`: how long connecting, and each wait for the answer, may take."""
        self._url, self._seconds = url, seconds
        self._headers = {"content-type": "application/json"}
        self._headers |= {"authorization": f"Bearer {token}"} if token else {}

    async def send(self, number: str, text: str, message_id: str) -> None:
        """Any answer of 2xx means that the gateway has taken the message."""
        body = json.dumps({"to": number, "text": text, "id": message_id}, ensure_ascii=False).encode()
        try:
            await asyncio.to_thread(self._post, body)
        except (OSError, ValueError) as failed:
            raise GatewayUnavailable(f"the message was not taken ({type(failed).__name__})") from None

    def _post(self, body: bytes) -> None:
        request = Request(self._url, body, self._headers, method="POST")  # noqa: S310 -- the settings let http(s) alone in
        try:
            with build_opener(_NoRedirect).open(request, timeout=self._seconds) as answer:
                answer.read(ANSWER_BYTES)
        except HTTPError as refused:
            refused.close()
            raise


class Outgoing:
    """Messages that are sent while their sender goes on: neither how long it takes nor whether there was one shows."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._under_way: set[asyncio.Task[None]] = set()

    def hand_over(self, kind: str, number: str, text: str) -> None:
        """Begins to send a message of some kind (a word for the log); that it fails is logged, and nobody waits."""
        sending = asyncio.create_task(self._send(kind, number, text))
        self._under_way.add(sending)
        sending.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Waits for what is under way, GRACE_SECONDS at most."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=GRACE_SECONDS)

    async def _send(self, kind: str, number: str, text: str) -> None:
        try:
            await self._gateway.send(number, text, uuid4().hex)
        except GatewayUnavailable as failed:
            log.warning("message not sent", kind=kind, code=failed.code)
