"""The public keys of a token issuer: a JSON Web Key Set from a file or an https URL, held in memory and kept fresh."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.request import HTTPRedirectHandler, build_opener

import structlog

RETRY_SECONDS: Final = 30.0
KEYS_SECONDS: Final = 3600.0
KEYS_BYTES: Final = 262_144
FETCH_SECONDS: Final = 5.0

# The one algorithm of each kind of key. Shared secrets (oct) have no place here, so HS* cannot be asked for.
KIND_OF_ALGORITHM: Final[Mapping[object, tuple[object, object]]] = {
    "EdDSA": ("OKP", "Ed25519"),
    "ES256": ("EC", "P-256"),
    "RS256": ("RSA", None),
}

Jwk = Mapping[str, Any]


class IssuerKeys:
    """Keys by id, read when first needed and when an unknown id is asked for, at most every RETRY_SECONDS (file: 1 s).

    Keys older than KEYS_SECONDS are read again before they are used. A set that cannot be read or understood yields no
    new key, and after KEYS_SECONDS no key at all: tokens are refused then.
    """

    def __init__(self, location: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._location, self._clock = location, clock
        # A file costs little to read: a key made a moment ago is known at once.
        self._retry_seconds = RETRY_SECONDS if location.startswith("https:") else 1.0
        self._keys: dict[str, Jwk] = {}
        self._read_at = self._tried_at = float("-inf")
        self._reading = asyncio.Lock()

    async def find(self, key_id: str) -> Jwk | None:
        """The key of this id with its `alg` filled in, the same object until the set is read again; or None."""
        if self.at_hand(key_id) is None:
            async with self._reading:
                await self._refresh(key_id)
        return self._keys.get(key_id)

    def at_hand(self, key_id: str) -> Jwk | None:
        """The key of this id where nothing has to be read to know that it is still one of the issuer's; else None."""
        return self._keys.get(key_id) if self._clock() - self._read_at <= KEYS_SECONDS else None

    async def _refresh(self, key_id: str) -> None:
        now = self._clock()
        if now - self._read_at > KEYS_SECONDS:
            self._keys = {}
        if key_id in self._keys or now - self._tried_at < self._retry_seconds:
            return
        self._tried_at = now
        try:
            self._keys = usable_keys(await asyncio.to_thread(_read, self._location))
            self._read_at = now
        except (OSError, ValueError, RecursionError) as error:
            structlog.get_logger().warning("token keys cannot be read", error=type(error).__name__)


def usable_keys(text: bytes) -> dict[str, Jwk]:
    """Public signing keys of a set that carry an id and an algorithm of ours. Raises ValueError when it is no key set.

    EdDSA is assumed for an Ed25519 key that names no algorithm; ES256 and RS256 only where the key says so.
    """
    match json.loads(text):
        case {"keys": list(keys)}:
            named = [{"alg": "EdDSA", **key} for key in keys if isinstance(key, dict)]
            return {key["kid"]: key for key in named if _is_usable(key)}
        case _:
            raise ValueError("not a JSON Web Key Set")


def _is_usable(key: Jwk) -> bool:
    named = all(isinstance(key.get(name), str) for name in ("kid", "alg", "kty"))
    kind = (key.get("kty"), key.get("crv"))
    return named and KIND_OF_ALGORITHM.get(key["alg"]) == kind and "d" not in key and key.get("use", "sig") == "sig"


class _NoRedirect(HTTPRedirectHandler):
    """A redirect could leave https or the issuer: it counts as a failure."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _read(location: str) -> bytes:
    if not location.startswith("https:"):
        return Path(location).read_bytes()
    with build_opener(_NoRedirect).open(location, timeout=FETCH_SECONDS) as answer:
        return bytes(answer.read(KEYS_BYTES))
