"""Root keys in the transit engine of HashiCorp Vault (or OpenBao), over HTTP.

The keys are derived ones: Vault makes another key of every context, so that no other context opens what was wrapped.
A stopped version is one whose working key Vault no longer decrypts by (`min_decryption_version`); it is for an operator
to delete it for good when its time has come.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.request import Request

from cdp.remote_kms import bound, call
from privacy.errors import KmsRefused

CIPHERTEXT: Final = "vault:v1:"


class VaultTransit:
    """The keys of a transit engine at `address`/v1/`mount`, by a token that may list, make, use and configure them."""

    magic = 0xE3

    def __init__(self, address: str, mount: str, token: str) -> None:
        self._address, self._mount, self._token = address, mount, token

    def versions(self, key_id: str) -> Collection[int]:
        """By the names of all keys of the engine."""
        status, found = self._call("LIST", f"{self._mount}/keys", known=(404,))
        names = [] if status == 404 else found["data"]["keys"]
        numbers = (name.removeprefix(f"{key_id}.") for name in names if name.startswith(f"{key_id}."))
        return [int(number) for number in numbers if number.isdecimal()]

    def is_live(self, key_id: str, version: int) -> bool:
        """Whether the key is there with its first working key."""
        status, found = self._call("GET", f"{self._mount}/keys/{key_id}.{version}", known=(404,))
        return status != 404 and found["data"]["min_decryption_version"] <= 1

    def create(self, key_id: str, version: int) -> None:
        """Does nothing where the key is there."""
        self._call("POST", f"{self._mount}/keys/{key_id}.{version}", {"type": "aes256-gcm96", "derived": True})

    def encrypt(self, name: tuple[str, int], plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """Vault's ciphertext, decoded: its text has several spellings."""
        body = {"plaintext": _text(plaintext), "context": _text(bound(name, context))}
        _, found = self._call("POST", self._path("encrypt", name), body)
        ciphertext = str(found["data"]["ciphertext"])
        if not ciphertext.startswith(CIPHERTEXT):
            raise KmsRefused("Vault encrypted with another version than the first of its key")
        return b64decode(ciphertext.removeprefix(CIPHERTEXT), validate=True)

    def decrypt(self, name: tuple[str, int], sealed: bytes, context: Mapping[str, str]) -> bytes:
        """What was encrypted."""
        body = {"ciphertext": CIPHERTEXT + _text(sealed), "context": _text(bound(name, context))}
        _, found = self._call("POST", self._path("decrypt", name), body)
        return b64decode(found["data"]["plaintext"], validate=True)

    def stop(self, key_id: str, version: int, not_before: datetime) -> None:
        """Gives the key a second working key and refuses the first."""
        key = f"{self._mount}/keys/{key_id}.{version}"
        if self.is_live(key_id, version):
            self._call("POST", f"{key}/rotate")
            self._call("POST", f"{key}/config", {"min_decryption_version": 2})

    def check(self) -> None:
        """Asks who we are: a sealed Vault and an expired token do not say."""
        self._call("GET", "auth/token/lookup-self")

    def _path(self, verb: str, name: tuple[str, int]) -> str:
        return f"{self._mount}/{verb}/{name[0]}.{name[1]}"

    def _call(
        self, method: str, path: str, body: Mapping[str, object] | None = None, known: Collection[int] = ()
    ) -> tuple[int, dict[str, Any]]:
        headers = {"X-Vault-Token": self._token, "X-Vault-Request": "true", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self._address}/v1/{path}", data, headers, method=method)  # noqa: S310 -- settings allow http(s)
        status, found = call("Vault", request)
        if not (200 <= status < 300 or status in known):
            raise KmsRefused(f"Vault refuses with status {status}")
        return status, found


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()
