"""Stand-ins for key management systems: small HTTP servers that really encrypt, and really bind the context.

They speak the calls the drivers use, with the statuses and error names of the originals, and no more.
"""

import hmac
import json
import os
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "hvs.made-up"
ACCESS_KEY, SECRET = "AKIDMADEUP", "made/up+secret"


class _Refused(Exception):
    def __init__(self, status: int, body: object) -> None:
        super().__init__()
        self.status, self.body = status, body


class _System(BaseHTTPRequestHandler):
    """Answers JSON with what `answer` returns."""

    protocol_version = "HTTP/1.1"
    keys: ClassVar[dict[str, dict[str, Any]]]
    fault: ClassVar[dict[str, Any]]
    lock: ClassVar[threading.Lock]

    def answer(self, body: dict[str, Any], raw: bytes) -> object:
        raise NotImplementedError

    def _handle(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            if self.fault:
                raise _Refused(self.fault["status"], self.fault["body"])
            with self.lock:
                status, found = 200, self.answer(json.loads(raw or b"{}"), raw)
        except _Refused as refused:
            status, found = refused.status, refused.body
        text = found if isinstance(found, bytes) else json.dumps(found).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_LIST = _handle  # noqa: N815 -- the names the server looks for

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Vault(_System):
    """A Vault with a transit engine: derived keys, versions, the least version that decrypts."""

    def answer(self, body: dict[str, Any], raw: bytes) -> object:
        if self.headers["x-vault-token"] != TOKEN:
            raise _Refused(403, {"errors": ["permission denied"]})
        path = self.path.removeprefix("/v1/")
        if path == "auth/token/lookup-self":
            return {"data": {"id": TOKEN}}
        match self.command, path.split("/"):
            case "LIST", ["transit", "keys"]:
                if not self.keys:
                    raise _Refused(404, {"errors": []})
                return {"data": {"keys": sorted(self.keys)}}
            case "GET", ["transit", "keys", name]:
                return {"data": {"latest_version": len(self._key(name)["secrets"]), **self._key(name)["config"]}}
            case "POST", ["transit", "keys", name]:
                made = {
                    "secrets": [os.urandom(32)],
                    "config": {"min_decryption_version": 1},
                    "derived": body["derived"],
                }
                self.keys.setdefault(name, made)
            case "POST", ["transit", "keys", name, "rotate"]:
                self._key(name)["secrets"].append(os.urandom(32))
            case "POST", ["transit", "keys", name, "config"]:
                self._key(name)["config"] |= body
            case "POST", ["transit", "encrypt", name]:
                version = len(self._key(name)["secrets"])
                nonce, plaintext = os.urandom(12), b64decode(body["plaintext"], validate=True)
                sealed = nonce + self._cipher(name, version, body).encrypt(nonce, plaintext, None)
                return {"data": {"ciphertext": f"vault:v{version}:{b64encode(sealed).decode()}"}}
            case "POST", ["transit", "decrypt", name]:
                return {"data": {"plaintext": b64encode(self._decrypted(name, body)).decode()}}
            case _:
                raise _Refused(404, {"errors": ["unsupported path"]})
        return {}

    def _key(self, name: str) -> dict[str, Any]:
        if name not in self.keys:
            raise _Refused(404, {"errors": []})
        return self.keys[name]

    def _cipher(self, name: str, version: int, body: dict[str, Any]) -> AESGCM:
        context = b64decode(body.get("context", ""))
        if not self._key(name)["derived"] or not context:
            raise _Refused(400, {"errors": ["missing 'context' for key derivation"]})
        return AESGCM(hmac.digest(self._key(name)["secrets"][version - 1], context, "sha256"))

    def _decrypted(self, name: str, body: dict[str, Any]) -> bytes:
        _, version, text = body["ciphertext"].split(":")
        # Go's decoder is as lenient about the last bits as this one.
        sealed, number = b64decode(text), int(version.removeprefix("v"))
        if number < self._key(name)["config"]["min_decryption_version"]:
            raise _Refused(400, {"errors": ["ciphertext or signature version is disallowed by policy (too old)"]})
        try:
            return self._cipher(name, number, body).decrypt(sealed[:12], sealed[12:], None)
        except (InvalidTag, ValueError):
            raise _Refused(400, {"errors": ["cipher: message authentication failed"]}) from None


class Aws(_System):
    """An AWS KMS: keys by alias, signed requests, encryption contexts, deletion after a week or more."""

    def answer(self, body: dict[str, Any], raw: bytes) -> object:
        self._check_signature(raw)
        action = self.headers["x-amz-target"].removeprefix("TrentService.")
        found: dict[str, Any] = getattr(self, f"_{action}")(body)
        return found

    def _check_signature(self, raw: bytes) -> None:
        """As the documentation of signature version 4 tells a server to."""
        scheme, _, said = self.headers["authorization"].partition(" ")
        given = dict(part.split("=", 1) for part in said.split(", "))
        access_key, day, region, service, end = given["Credential"].split("/")
        signed = given["SignedHeaders"].split(";")
        mine = [name.lower() for name in self.headers if name.lower().startswith("x-amz-")]
        lines = "".join(f"{name}:{self.headers[name].strip()}\n" for name in signed)
        asked = "\n".join([self.command, self.path, "", lines, ";".join(signed), sha256(raw).hexdigest()])
        scope = "/".join((day, region, service, end))
        text = "\n".join([scheme, self.headers["x-amz-date"], scope, sha256(asked.encode()).hexdigest()])
        key = b"AWS4" + SECRET.encode()
        for part in (day, region, service, end):
            key = hmac.digest(key, part.encode(), "sha256")
        good = hmac.compare_digest(hmac.new(key, text.encode(), "sha256").hexdigest(), given["Signature"])
        ordered = signed == sorted(signed) and {"host", *mine} <= set(signed)
        if not (good and ordered and access_key == ACCESS_KEY and (service, end) == ("kms", "aws4_request")):
            raise _Refused(400, {"__type": "InvalidSignatureException"})

    def _key(self, name: str) -> dict[str, Any]:
        alias = self.keys.get(name)
        if alias is None:
            raise _Refused(400, {"__type": "com.amazonaws.kms#NotFoundException", "message": name})
        return self.keys[alias["target"]] if "target" in alias else alias

    def _usable(self, name: str) -> dict[str, Any]:
        key = self._key(name)
        if key["state"] != "Enabled":
            kind = "DisabledException" if key["state"] == "Disabled" else "KMSInvalidStateException"
            raise _Refused(400, {"__type": f"com.amazonaws.kms#{kind}"})
        return key

    def _ListAliases(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- the name of the call
        names = sorted(name for name, kept in self.keys.items() if "target" in kept)
        # Short pages, so that they are turned.
        start = int(body.get("Marker", 0))
        page = names[start : start + min(body["Limit"], 2)]
        more = start + len(page) < len(names)
        turned = {"NextMarker": str(start + len(page))} if more else {}
        return {"Aliases": [{"AliasName": name} for name in page], "Truncated": more} | turned

    def _DescribeKey(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- the name of the call
        key = self._key(body["KeyId"])
        return {"KeyMetadata": {"KeyId": key["id"], "KeyState": key["state"]}}

    def _CreateKey(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- the name of the call
        name = os.urandom(8).hex()
        self.keys[name] = {"id": name, "state": "Enabled", "secret": os.urandom(32)}
        return {"KeyMetadata": {"KeyId": name}}

    def _CreateAlias(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- the name of the call
        if body["AliasName"] in self.keys:
            raise _Refused(400, {"__type": "com.amazonaws.kms#AlreadyExistsException"})
        self.keys[body["AliasName"]] = {"target": body["TargetKeyId"]}
        return {}

    def _Encrypt(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- the name of the call
        key, nonce = self._usable(body["KeyId"]), os.urandom(12)
        context = json.dumps(body.get("EncryptionContext", {}), sort_keys=True).encode()
        sealed = AESGCM(key["secret"]).encrypt(nonce, b64decode(body["Plaintext"], validate=True), context)
        return {"CiphertextBlob": b64encode(key["id"].encode() + nonce + sealed).decode()}

    def _Decrypt(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- the name of the call
        key, blob = self._usable(body["KeyId"]), b64decode(body["CiphertextBlob"], validate=True)
        context = json.dumps(body.get("EncryptionContext", {}), sort_keys=True).encode()
        if blob[:16] != key["id"].encode():
            raise _Refused(400, {"__type": "com.amazonaws.kms#IncorrectKeyException"})
        try:
            plaintext = AESGCM(key["secret"]).decrypt(blob[16:28], blob[28:], context)
        except (InvalidTag, ValueError):
            raise _Refused(400, {"__type": "com.amazonaws.kms#InvalidCiphertextException"}) from None
        return {"Plaintext": b64encode(plaintext).decode()}

    def _ScheduleKeyDeletion(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- the name of the call
        if not 7 <= body["PendingWindowInDays"] <= 30:
            raise _Refused(400, {"__type": "com.amazonaws.kms#ValidationException"})
        self._key(body["KeyId"])["state"] = "PendingDeletion"
        self._key(body["KeyId"])["days"] = body["PendingWindowInDays"]
        return {}

    def _DisableKey(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- the name of the call
        self._usable(body["KeyId"])["state"] = "Disabled"
        return {}


@contextmanager
def standing_in(system: type[_System]) -> Iterator[tuple[str, type[_System]]]:
    """The URL of a new system of a kind, and the system: its `keys`, and a `fault` that it answers with."""
    mine = type(system.__name__, (system,), {"keys": {}, "fault": {}, "lock": threading.Lock()})
    with ThreadingHTTPServer(("127.0.0.1", 0), mine) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", mine
        finally:
            server.shutdown()
            thread.join()
