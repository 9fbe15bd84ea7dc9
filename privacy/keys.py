"""The keys of one store: wrapped at rest, unwrapped for one request, never printed.

root (KMS) -> KEK[epoch] -> DEK[customer][class][generation] -> cell; beside the KEK an index root, an audit root, a log
key and the cursor key. A process holds the keys of the stores it serves and of no other.
"""

import asyncio
import hmac
import secrets
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterable
from functools import lru_cache, partial
from itertools import starmap
from struct import pack
from typing import Any, NamedTuple, Protocol, Self, TypeAlias, final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from privacy.blind import Index, IndexRoots, expand
from privacy.encoding import framed, u32
from privacy.errors import KeyUnavailable, TokenRefused, ValueRefused
from privacy.hidden import Hidden
from privacy.kms import Kms
from privacy.store_keys import (
    LENGTHS,
    StoreKeyKind,
    WrappedStoreKey,
    context_of,
    create_store_keys,
    root_key_id,
    share_cursor_key,
)
from privacy.vocabulary import RetentionClass

__all__ = [
    "LENGTHS",
    "CellCipher",
    "DataKey",
    "KeyRing",
    "LogSigner",
    "StoreKeyKind",
    "TokenSeal",
    "WrappedDataKey",
    "WrappedStoreKey",
    "create_store_keys",
    "root_key_id",
    "share_cursor_key",
]

DATA_KEY_BYTES = 32
PSEUDONYM_BYTES = 16
LONGEST_TOKEN = 8192
MOST_LABELS = 4096


RETENTIONS = {retention: framed(retention.value) for retention in RetentionClass}


class CellCipher(Protocol):
    """What seals the cells under one data key; seal.py builds it and alone uses it."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...
    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...


@final
class DataKey(Hidden):
    """The secret (32 bytes) under which one customer's cells of one retention class and generation are sealed."""

    __slots__ = ("cipher", "customer_id", "generation", "retention", "secret", "suite")

    def __init__(self, customer_id: UUID, retention: RetentionClass, generation: int, secret: bytes) -> None:
        if len(secret) != DATA_KEY_BYTES or not 1 <= generation <= 0xFFFFFFFF:
            raise ValueRefused("a data key has 32 bytes and a generation of 1 .. 2**32 - 1")
        self.customer_id, self.retention, self.generation, self.secret = customer_id, retention, generation, secret
        self.cipher: CellCipher | None = None
        self.suite = 0
        """The suite of the cipher."""


KeyRow: TypeAlias = tuple[str, int, int, bytes]
"""A wrapped key of a customer who is known already: retention class, generation, epoch, wrapped."""


class WrappedDataKey(NamedTuple):
    """A data key as a row of the key store keeps it: 48 bytes, under the KEK of `epoch`."""

    customer_id: UUID
    retention: RetentionClass
    generation: int
    epoch: int
    wrapped: bytes

    @property
    def row(self) -> KeyRow:
        """The key without its customer."""
        return self.retention.value, self.generation, self.epoch, self.wrapped


@final
class LogSigner(Hidden):
    """Signs checkpoints and receipts (Ed25519); `public_key` is 32 bytes."""

    __slots__ = ("_private", "public_key")

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of a message."""
        return self._private.sign(message)


@final
class TokenSeal(Hidden):
    """Seals global ids and cursors (AES-SIV): the same payload gives the same text, good for its audience alone."""

    __slots__ = ("_label", "_siv")

    def __init__(self, secret: bytes) -> None:
        self._siv = AESSIV(secret)
        self._label = lru_cache(MOST_LABELS)(partial(framed, "cdp.token.v1"))

    def seal(self, kind: str, audience: str, payload: bytes) -> str:
        """The payload as URL-safe base64 without padding, bound to its kind ("node", "cursor") and audience."""
        sealed = self._siv.encrypt(payload, [self._label(kind, audience)])
        return urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, kind: str, audience: str, text: str) -> bytes:
        """The payload; raises TokenRefused for a text that is altered, too long, of another kind, audience or key."""
        try:
            if len(text) > LONGEST_TOKEN:
                raise InvalidTag
            sealed = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            # Base64 has several spellings for the same bytes; only the one that was given out is accepted.
            if urlsafe_b64encode(sealed).decode().rstrip("=") != text:
                raise InvalidTag
            return self._siv.decrypt(sealed, [self._label(kind, audience)])
        except (InvalidTag, ValueError):
            raise TokenRefused("the token is not one of ours") from None


@final
class KeyRing(Hidden):
    """The unwrapped keys of one store, for as long as the process serves it. New data keys use the newest epoch.

    Keys that are added to the store while it is served are taken in; none is given up, since rows that were read by it
    may still be on their way. `suite` is what the store writes its cells in, `kept_in` where the house has its rows.
    """

    __slots__ = (
        "_keks",
        "_kms",
        "_newest",
        "_prefix",
        "_pseudonyms",
        "_roots",
        "_secrets",
        "kept_in",
        "store",
        "suite",
        "tenant",
    )

    def __init__(self, tenant: str, store: str, keys: Iterable[tuple[StoreKeyKind, int, bytes]]) -> None:
        """Raises KeyUnavailable for a key of the wrong length; `unlock` makes a ring from wrapped keys."""
        self.tenant, self.store, self.suite = tenant, store, 1
        self.kept_in: Any = None
        self._prefix = framed("cdp.dek.v1", tenant, store) + b"\x00\x10"
        self._kms: Kms | None = None
        self._secrets: dict[tuple[StoreKeyKind, int], bytes] = {}
        self._pseudonyms: dict[int, hmac.HMAC] = {}
        self._roots = IndexRoots(tenant)
        self._take(keys)

    def _take(self, keys: Iterable[tuple[StoreKeyKind, int, bytes]]) -> None:
        self._secrets |= {(kind, epoch): secret for kind, epoch, secret in keys}
        if any(len(secret) != LENGTHS[kind] for (kind, _), secret in self._secrets.items()):
            raise KeyUnavailable("a store key of the wrong length")
        self._newest = dict(sorted(self._secrets))
        self._keks = {epoch: AESSIV(secret) for (kind, epoch), secret in self._secrets.items() if kind == "KEK"}
        self._roots.take({epoch: secret for (kind, epoch), secret in self._secrets.items() if kind == "INDEX"})

    @classmethod
    async def unlock(cls, kms: Kms, tenant: str, store: str, wrapped: Iterable[WrappedStoreKey]) -> Self:
        """The ring of a store; raises KmsRefused or KeyUnavailable when a key does not unwrap for this store."""
        ring = cls(tenant, store, ())
        ring._kms = kms
        await ring.keep_up(wrapped)
        return ring

    async def keep_up(self, wrapped: Iterable[WrappedStoreKey]) -> None:
        """Takes in the keys it does not hold yet of all the store has; raises like `unlock`."""
        rows = list(wrapped)
        new = [row for row in rows if (row.kind, row.epoch) not in self._secrets]
        if new:
            assert self._kms is not None, "a ring that keeps up was unlocked"
            given = [(row.wrapped, context_of(self.tenant, self.store, row.kind, row.epoch)) for row in new]
            made = await asyncio.gather(*starmap(self._kms.unwrap, given))
            self._take([(row.kind, row.epoch, secret) for row, secret in zip(new, made, strict=True)])
        self._roots.settled = max((row.epoch for row in rows if row.kind == "INDEX" and row.settled), default=1)

    def holds(self, keys: Iterable[KeyRow]) -> bool:
        """Whether the KEKs of these data keys are held."""
        return all(key[2] in self._keks for key in keys)

    @property
    def moves_tags(self) -> bool:
        """Whether some rows may still have the tag of the epoch before the newest."""
        return self._roots.settled < self._roots.newest

    def epoch_of(self, kind: StoreKeyKind) -> int:
        """The newest epoch held of a kind of key, 0 for none."""
        return self._newest.get(kind, 0)

    def _newest_of(self, kind: StoreKeyKind) -> bytes:
        if kind not in self._newest:
            raise KeyUnavailable(f"this process does not hold the {kind.value} key of the store")
        return self._secrets[kind, self._newest[kind]]

    def _bound(self, customer_id: UUID, retention: RetentionClass, generation: int, epoch: int) -> list[bytes]:
        # As `framed` writes it: each part behind its length.
        return [self._prefix + customer_id.bytes + RETENTIONS[retention] + pack(">HIHI", 4, generation, 4, epoch)]

    def wrap(self, key: DataKey) -> WrappedDataKey:
        """The data key under the newest KEK, bound to tenant, store, customer, class, generation and epoch."""
        epoch = self._newest.get(StoreKeyKind.KEK)
        if epoch is None:
            raise KeyUnavailable("this process does not hold the KEK of the store")
        bound = self._bound(key.customer_id, key.retention, key.generation, epoch)
        wrapped = self._keks[epoch].encrypt(key.secret, bound)
        return WrappedDataKey(key.customer_id, key.retention, key.generation, epoch, wrapped)

    def unwrap(self, key: WrappedDataKey) -> DataKey:
        """The data key; raises KeyUnavailable when it was altered or is of another customer, class or store."""
        return DataKey(key.customer_id, key.retention, key.generation, self.secret_of(key))

    def secret_of(self, key: tuple[UUID, RetentionClass, int, int, bytes]) -> bytes:
        """The secret of a wrapped data key; raises as `unwrap` does."""
        customer_id, retention, generation, epoch, wrapped = key
        try:
            return self._keks[epoch].decrypt(wrapped, self._bound(customer_id, retention, generation, epoch))
        except KeyError:
            raise KeyUnavailable("this process does not hold the KEK of that epoch") from None
        except (InvalidTag, ValueError):
            raise KeyUnavailable("the wrapped key was altered or moved") from None

    def new_data_key(
        self, customer_id: UUID, retention: RetentionClass, generation: int = 1
    ) -> tuple[DataKey, WrappedDataKey]:
        """A new random data key, and the row that keeps it."""
        key = DataKey(customer_id, retention, generation, secrets.token_bytes(DATA_KEY_BYTES))
        return key, self.wrap(key)

    def tag(self, index: Index, normalised: str) -> bytes:
        """The blind-index tag of a normalised value in this store; no other store or tenant has the same tag for it."""
        return self._roots.tag(index, normalised, self._roots.newest)

    def sought_tag(self, index: Index, normalised: str) -> bytes:
        """The tag by which a value is looked up first: rows go from here to `later_tags`, never back."""
        return self._roots.tag(index, normalised, self._roots.settled)

    def later_tags(self, index: Index, tag: bytes) -> list[bytes]:
        """The tags of the same value under the index roots that came after the tag's own, in their order."""
        return self._roots.later(index, tag)

    def digest(self, index: Index, text: str) -> bytes:
        """A keyed hash that stays the same for ever: of what names events and records, not of what finds a customer."""
        return self._roots.tag(index, text, 1)

    def digests(self, index: Index, texts: Iterable[str]) -> list[bytes]:
        """`digest` of many texts."""
        return self._roots.digests(index, texts)

    def pseudonym(self, customer_id: UUID, year: int) -> bytes:
        """The name (16 bytes) of a customer in one year of the audit log; without the key, years do not join."""
        keyed = self._pseudonyms.get(year)
        if keyed is None:
            key = expand(self._newest_of(StoreKeyKind.AUDIT), framed("audit", self.tenant, self.store, u32(year)))
            keyed = self._pseudonyms[year] = hmac.new(key, digestmod="sha256")
        keyed = keyed.copy()
        keyed.update(customer_id.bytes)
        return keyed.digest()[:PSEUDONYM_BYTES]

    @property
    def signer(self) -> LogSigner:
        """The signer of this store's log; raises KeyUnavailable where the process does not hold the log key."""
        return LogSigner(self._newest_of(StoreKeyKind.LOG))

    @property
    def tokens(self) -> TokenSeal:
        """The seal of global ids and cursors, the same for all stores of a deployment."""
        return TokenSeal(self._newest_of(StoreKeyKind.CURSOR))
