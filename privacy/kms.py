"""Where the root keys live: a small interface, and a driver that keeps them in files for a laptop.

A root key wraps the keys of one store. The context (tenant, store, kind, epoch) is bound into every wrap: a wrapped key
unwraps with the same context or not at all.
"""

import fcntl
import json
import os
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from stat import S_IMODE, S_ISREG
from struct import Struct
from typing import Protocol, TypedDict

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from privacy.encoding import canonical, framed, u32
from privacy.errors import KeyUnavailable, KmsRefused, ValueRefused

KEY_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.ASCII)
HEAD = Struct(">BIB")  # magic, version of the root key, length of its id; then the id and the ciphertext
MAGIC = 0xE2
ROOT_BYTES = 64


class Kms(Protocol):
    """What a key management system must do. Every method raises KmsRefused when the system says no or does not answer.

    `unwrap` needs exactly the context of `wrap`; a driver for which another context still unwraps is refused by the
    conformance tests. `key_id` names a root key; its versions count from 1.
    """

    async def wrap(self, key_id: str, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """The plaintext under the current version; raises KeyUnavailable where there is none."""

    async def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """What was wrapped; raises KeyUnavailable where its version was destroyed."""

    async def current_version(self, key_id: str) -> int:
        """The newest version; raises KeyUnavailable where there is no such key, or its newest version was destroyed."""

    async def rotate(self, key_id: str) -> int:
        """Adds a version (the first, where the key is new) and returns it; older versions still unwrap."""

    async def destroy(self, key_id: str, version: int, not_before: datetime) -> None:
        """Stops a version at once; its bytes may be removed for good from `not_before` on, and not earlier."""

    async def health(self) -> None:
        """Returns when keys can be used."""


class _Version(TypedDict):
    secret: str | None  # base64; None once removed
    not_before: str | None  # ISO 8601; set once destroyed


class InsecureFileKms:
    """Root keys in plain files, one per key: for a laptop and for tests, never for real customers.

    Raises KmsRefused when the environment is production, or when folder (0700) or files (0600) are open to others.
    """

    def __init__(self, folder: Path, environment: str) -> None:
        if environment.strip().casefold() == "production":
            raise KmsRefused("InsecureFileKms does not run in production: configure a real key management system")
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise KmsRefused(f"the key folder cannot be made: {error.strerror}") from None
        self._check_folder()

    async def wrap(self, key_id: str, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """The plaintext under the current version of the key."""
        versions = self._read(key_id)
        version = _current(versions)
        sealed = _siv(versions, version).encrypt(plaintext, [_bound(key_id, version, context)])
        return pack(MAGIC, key_id, version, sealed)

    async def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """What was wrapped; raises KmsRefused for an altered wrap or another context."""
        version, key_id, sealed = parse(MAGIC, wrapped)
        try:
            return _siv(self._read(key_id), version).decrypt(sealed, [_bound(key_id, version, context)])
        except (InvalidTag, ValueError):
            raise KmsRefused("the wrapped key was altered, or the context is not the one it was wrapped with") from None

    async def current_version(self, key_id: str) -> int:
        """The newest version of the key."""
        return _current(self._read(key_id))

    async def rotate(self, key_id: str) -> int:
        """Adds a version and returns it; makes the key where there is none."""
        with self._locked():
            versions = self._read(key_id) if self._path(key_id).exists() else {}
            version = max(versions, default=0) + 1
            versions[version] = {"secret": b64encode(secrets.token_bytes(ROOT_BYTES)).decode(), "not_before": None}
            self._write(key_id, versions)
        return version

    async def destroy(self, key_id: str, version: int, not_before: datetime) -> None:
        """Stops a version at once; `sweep` removes its bytes from `not_before` (an aware instant) on."""
        if not_before.tzinfo is None:
            raise ValueRefused("not_before is an instant with a time zone")
        with self._locked():
            versions = self._read(key_id)
            if version not in versions:
                raise KeyUnavailable("no such version of the root key")
            versions[version]["not_before"] = not_before.isoformat()
            self._write(key_id, versions)

    async def health(self) -> None:
        """Raises KmsRefused when the folder or a file in it is missing, unreadable, or open to others."""
        self._check_folder()
        for path in self._folder.glob("*.json"):
            self._read(path.stem)

    def sweep(self, as_of: datetime) -> int:
        """Removes the bytes of destroyed versions whose `not_before` has come, and returns how many."""
        removed = 0
        with self._locked():
            for path in self._folder.glob("*.json"):
                versions = self._read(path.stem)
                due = [v for v in versions.values() if v["secret"] and _is_due(v["not_before"], as_of)]
                for version in due:
                    version["secret"] = None
                if due:
                    self._write(path.stem, versions)
                removed += len(due)
        return removed

    def _path(self, key_id: str) -> Path:
        if not KEY_ID.fullmatch(key_id):
            raise ValueRefused("the id of a root key is a-z, 0-9, dot, dash and underscore")
        return self._folder / f"{key_id}.json"

    def _check_folder(self) -> None:
        try:
            mode = self._folder.stat().st_mode
        except OSError as error:
            raise KmsRefused(f"the key folder cannot be read: {error.strerror}") from None
        if S_IMODE(mode) & 0o077:
            raise KmsRefused(f"the key folder is open to others: chmod 700 {self._folder}")

    def _read(self, key_id: str) -> dict[int, _Version]:
        path = self._path(key_id)
        try:
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                if not S_ISREG(mode) or S_IMODE(mode) & 0o177:
                    raise KmsRefused(f"a key file is open to others: chmod 600 {path}")
                versions = {int(version): kept for version, kept in json.loads(file.read())["versions"].items()}
        except FileNotFoundError:
            raise KeyUnavailable("no such root key") from None
        except OSError as error:
            raise KmsRefused(f"a key file cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise KmsRefused("a key file is damaged") from None
        if not versions:
            raise KmsRefused("a key file is damaged")
        return versions

    def _write(self, key_id: str, versions: Mapping[int, _Version]) -> None:
        # Written beside and renamed, so that a crash leaves the old file or the new one, never half of it.
        path = self._path(key_id)
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(canonical({"versions": {str(version): dict(kept) for version, kept in versions.items()}}))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Two processes that rotate at once must not lose one of the two versions.
        self._check_folder()
        lock = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _is_due(not_before: str | None, as_of: datetime) -> bool:
    return not_before is not None and datetime.fromisoformat(not_before) <= as_of


def _current(versions: Mapping[int, _Version]) -> int:
    version = max(versions)
    if versions[version]["not_before"] is not None:
        raise KeyUnavailable("the newest version of the root key was destroyed")
    return version


def _siv(versions: Mapping[int, _Version], version: int) -> AESSIV:
    kept = versions.get(version)
    if kept is None or kept["secret"] is None or kept["not_before"] is not None:
        raise KeyUnavailable("no such version of the root key, or it was destroyed")
    return AESSIV(b64decode(kept["secret"], validate=True))


def _bound(key_id: str, version: int, context: Mapping[str, str]) -> bytes:
    return framed("cdp.root.v1", key_id, u32(version), *(part for pair in sorted(context.items()) for part in pair))


def pack(magic: int, key_id: str, version: int, sealed: bytes) -> bytes:
    """A wrapped key: the magic byte of the driver, version and id of the root key, and what the driver sealed."""
    return HEAD.pack(magic, version, len(key_id)) + key_id.encode() + sealed


def version_of(wrapped: bytes) -> int:
    """The version of the root key that a key was wrapped by, whichever the driver."""
    if len(wrapped) < HEAD.size:
        raise KmsRefused("not a wrapped key")
    version: int = HEAD.unpack_from(wrapped)[1]
    return version


def parse(magic: int, wrapped: bytes) -> tuple[int, str, bytes]:
    """Version, key id and ciphertext of a wrapped key; raises KmsRefused for one that another driver wrapped."""
    if len(wrapped) < HEAD.size or wrapped[0] != magic:
        raise KmsRefused("not a key wrapped by this driver")
    _, version, length = HEAD.unpack_from(wrapped)
    key_id = wrapped[HEAD.size : HEAD.size + length].decode("ascii", "replace")
    if not KEY_ID.fullmatch(key_id):
        raise KmsRefused("not a key wrapped by this driver")
    return version, key_id, wrapped[HEAD.size + length :]
