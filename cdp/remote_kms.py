"""Root keys in a key management system across the network: what its drivers share.

Neither Vault transit nor AWS KMS stops one version of a key without the others. So each version of a root key is a key
of theirs, named after both; the newest of them is the current one.
"""

import asyncio
import json
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from http.client import HTTPException
from typing import Any, Final, Protocol, TypeVar
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from privacy.encoding import framed
from privacy.errors import KeyUnavailable, KmsRefused, ValueRefused
from privacy.kms import KEY_ID, pack, parse

CALL_SECONDS: Final = 10.0
ANSWER_BYTES: Final = 1 << 20

Answer = TypeVar("Answer")


class Keys(Protocol):
    """What a driver does, in a thread: one key of the system for each version. All raise KmsRefused."""

    magic: int
    """The first byte of what this driver wraps."""

    def versions(self, key_id: str) -> Collection[int]:
        """The versions there are, stopped ones too."""

    def is_live(self, key_id: str, version: int) -> bool:
        """Whether a version is there and not stopped."""

    def create(self, key_id: str, version: int) -> None:
        """Makes a version, unless it is there."""

    def encrypt(self, name: tuple[str, int], plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """What the system makes of the plaintext under a version (id, number), bound to the context."""

    def decrypt(self, name: tuple[str, int], sealed: bytes, context: Mapping[str, str]) -> bytes:
        """What was encrypted."""

    def stop(self, key_id: str, version: int, not_before: datetime) -> None:
        """Stops a version at once, to be removed from `not_before` on."""

    def check(self) -> None:
        """Returns when the system answers and knows the caller."""


class RemoteKms:
    """A `privacy.kms.Kms` over such keys."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def wrap(self, key_id: str, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """The plaintext under the current version; raises KeyUnavailable where there is none."""
        version = await self.current_version(key_id)
        sealed = await _ask(self._keys.encrypt, (key_id, version), plaintext, context)
        return pack(self._keys.magic, key_id, version, sealed)

    async def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """What was wrapped; raises KeyUnavailable where its version is gone, KmsRefused for another context."""
        version, key_id, sealed = parse(self._keys.magic, wrapped)
        try:
            return await _ask(self._keys.decrypt, (key_id, version), sealed, context)
        except KmsRefused:
            if await _ask(self._keys.is_live, key_id, version):
                raise
        raise KeyUnavailable("no such version of the root key, or it was destroyed")

    async def current_version(self, key_id: str) -> int:
        """The newest version; raises KeyUnavailable where there is none, or it was destroyed."""
        newest = max(await self._versions(key_id), default=0)
        if newest == 0 or not await _ask(self._keys.is_live, key_id, newest):
            raise KeyUnavailable("no such root key, or its newest version was destroyed")
        return newest

    async def rotate(self, key_id: str) -> int:
        """Adds a version and returns it; makes the key where there is none."""
        version = max(await self._versions(key_id), default=0) + 1
        await _ask(self._keys.create, key_id, version)
        return version

    async def destroy(self, key_id: str, version: int, not_before: datetime) -> None:
        """Stops a version at once."""
        if not_before.tzinfo is None:
            raise ValueRefused("not_before is an instant with a time zone")
        if version not in await self._versions(key_id):
            raise KeyUnavailable("no such version of the root key")
        await _ask(self._keys.stop, key_id, version, not_before)

    async def health(self) -> None:
        """Raises KmsRefused when the system does not answer or does not know us."""
        await _ask(self._keys.check)

    async def _versions(self, key_id: str) -> Collection[int]:
        if not KEY_ID.fullmatch(key_id):
            raise ValueRefused("the id of a root key is a-z, 0-9, dot, dash and underscore")
        return await _ask(self._keys.versions, key_id)


async def _ask(question: Callable[..., Answer], *arguments: object) -> Answer:
    try:
        return await asyncio.to_thread(question, *arguments)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise KmsRefused("the key management system gave an answer that is none") from None


class _NoRedirect(HTTPRedirectHandler):
    """A redirect could take a secret elsewhere: it counts as a failure."""

    def redirect_request(self, *_: Any) -> None:
        return None


def call(system: str, request: Request) -> tuple[int, dict[str, Any]]:
    """Status and JSON object of an answer ({} for none); raises KmsRefused where there is no answer to be had."""
    try:
        with build_opener(_NoRedirect).open(request, timeout=CALL_SECONDS) as answer:
            status, text = answer.status, answer.read(ANSWER_BYTES)
    except HTTPError as refused:
        with refused:
            status, text = refused.code, refused.read(ANSWER_BYTES)
    except (OSError, HTTPException, ValueError) as failed:
        raise KmsRefused(f"{system} does not answer ({type(failed).__name__})") from None
    try:
        found = json.loads(text or b"{}")
    except ValueError:
        found = None
    # What stands in front of it answers in other formats.
    return status, found if isinstance(found, dict) else {}


def bound(name: tuple[str, int], context: Mapping[str, str]) -> bytes:
    """One spelling of everything a wrap is bound to, for a system that takes bytes."""
    key_id, version = name
    pairs = (part for pair in sorted(context.items()) for part in pair)
    return framed("cdp.root.v1", key_id, str(version), *pairs)
