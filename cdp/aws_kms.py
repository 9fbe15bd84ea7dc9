"""Root keys in AWS KMS, over HTTP with signature version 4: seven calls need no library of a hundred megabytes.

A version of a root key is a key of theirs under the alias PREFIX/TENANT/STORE/VERSION. AWS removes a key 7 to 30 days
after it was asked to: a later `not_before` stops the key and leaves its removal to an operator.
"""

import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import Request

from cdp.remote_kms import bound, call
from privacy.errors import KmsRefused

SHORTEST_DAYS, LONGEST_DAYS = 7, 30


class Credentials(NamedTuple):
    """What requests are signed with; `session` is empty for long-lived keys."""

    access_key: str
    secret: str
    session: str = ""


class _Missing(KmsRefused):
    """There is no such key or alias."""


class AwsKeys:
    """The keys of one region whose aliases begin with `prefix`."""

    magic = 0xE4

    def __init__(self, region: str, prefix: str, credentials: Credentials, endpoint: str | None = None) -> None:
        """`endpoint`: where the service answers; unset: the region's own."""
        suffix = ".cn" if region.startswith("cn-") else ""
        self._endpoint = endpoint or f"https://kms.{region}.amazonaws.com{suffix}"
        self._region, self._prefix, self._credentials = region, prefix, credentials
        self._clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def versions(self, key_id: str) -> Collection[int]:
        """By the aliases of the region."""
        beginning, page, names = self._alias(key_id, ""), dict[str, object](), list[str]()
        while True:
            found = self._call("ListAliases", {"Limit": 100} | page)
            names += [one["AliasName"] for one in found["Aliases"] if one["AliasName"].startswith(beginning)]
            if not found.get("Truncated"):
                break
            page = {"Marker": found["NextMarker"]}
        numbers = (name.removeprefix(beginning) for name in names)
        return [int(number) for number in numbers if number.isdecimal()]

    def is_live(self, key_id: str, version: int) -> bool:
        """Whether the key is there and enabled."""
        with suppress(_Missing):
            found = self._call("DescribeKey", {"KeyId": self._alias(key_id, version)})
            return bool(found["KeyMetadata"]["KeyState"] == "Enabled")
        return False

    def create(self, key_id: str, version: int) -> None:
        """Makes a key and gives it its alias; of two who do so at once, one takes the key back that has none."""
        made = self._call("CreateKey", {"Description": f"root key {key_id} version {version}"})["KeyMetadata"]["KeyId"]
        try:
            self._call("CreateAlias", {"AliasName": self._alias(key_id, version), "TargetKeyId": made})
        except KmsRefused:
            self._call("ScheduleKeyDeletion", {"KeyId": made, "PendingWindowInDays": SHORTEST_DAYS})
            if version not in self.versions(key_id):
                raise

    def encrypt(self, name: tuple[str, int], plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """The service's ciphertext."""
        found = self._call("Encrypt", self._named(name, context) | {"Plaintext": b64encode(plaintext).decode()})
        return b64decode(found["CiphertextBlob"], validate=True)

    def decrypt(self, name: tuple[str, int], sealed: bytes, context: Mapping[str, str]) -> bytes:
        """What was encrypted."""
        found = self._call("Decrypt", self._named(name, context) | {"CiphertextBlob": b64encode(sealed).decode()})
        return b64decode(found["Plaintext"], validate=True)

    def stop(self, key_id: str, version: int, not_before: datetime) -> None:
        """Has the key removed on the first day it may be, or disables it where that is too far away."""
        found = self._call("DescribeKey", {"KeyId": self._alias(key_id, version)})["KeyMetadata"]
        days = -((self._clock() - not_before) // timedelta(days=1))
        if found["KeyState"] == "PendingDeletion":
            return
        if days > LONGEST_DAYS:
            self._call("DisableKey", {"KeyId": found["KeyId"]})
        else:
            window = max(SHORTEST_DAYS, days)
            self._call("ScheduleKeyDeletion", {"KeyId": found["KeyId"], "PendingWindowInDays": window})

    def check(self) -> None:
        """Asks for one alias."""
        self._call("ListAliases", {"Limit": 1})

    def _alias(self, key_id: str, version: int | str) -> str:
        return f"alias/{self._prefix}/{key_id.replace('.', '/')}/{version}"

    def _named(self, name: tuple[str, int], context: Mapping[str, str]) -> dict[str, object]:
        # One entry: an empty context, and an empty value, are nothing to the service.
        return {"KeyId": self._alias(*name), "EncryptionContext": {"cdp": b64encode(bound(name, context)).decode()}}

    def _call(self, action: str, body: Mapping[str, object]) -> dict[str, Any]:
        data = json.dumps(body).encode()
        request = Request(f"{self._endpoint}/", data, self._signed(action, data), method="POST")  # noqa: S310 -- https, but for tests
        status, found = call("AWS KMS", request)
        if status == 200:
            return found
        kind = str(found.get("__type", "")).rpartition("#")[2]
        raise (_Missing if kind == "NotFoundException" else KmsRefused)(f"AWS KMS refuses {action}: {kind or status}")

    def _signed(self, action: str, data: bytes) -> dict[str, str]:
        """The headers of a request with their signature."""
        key, now = self._credentials, self._clock()
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "host": urlsplit(self._endpoint).netloc,
            "x-amz-date": f"{now:%Y%m%dT%H%M%SZ}",
            **({"x-amz-security-token": key.session} if key.session else {}),
            "x-amz-target": f"TrentService.{action}",
        }
        signed = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        asked = f"POST\n/\n\n{lines}\n{signed}\n{sha256(data).hexdigest()}"
        scope = f"{now:%Y%m%d}/{self._region}/kms/aws4_request"
        signing = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{sha256(asked.encode()).hexdigest()}"
        secret = f"AWS4{key.secret}".encode()
        for part in (*scope.split("/"), signing):
            secret = hmac.digest(secret, part.encode(), "sha256")
        said = f"Credential={key.access_key}/{scope}, SignedHeaders={signed}, Signature={secret.hex()}"
        return headers | {"Authorization": f"AWS4-HMAC-SHA256 {said}"}
