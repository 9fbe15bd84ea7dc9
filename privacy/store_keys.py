"""The keys a store has, each wrapped by the store's root key: which there are, and how they come to be."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from privacy.errors import KeyUnavailable, ValueRefused
from privacy.kms import Kms, version_of


class StoreKeyKind(StrEnum):
    """The keys a store has, each wrapped by the store's root key."""

    KEK = "KEK"
    INDEX = "INDEX"
    AUDIT = "AUDIT"
    LOG = "LOG"
    CURSOR = "CURSOR"


LENGTHS = {
    StoreKeyKind.KEK: 64,  # AES-256-SIV, two halves
    StoreKeyKind.INDEX: 32,
    StoreKeyKind.AUDIT: 32,
    StoreKeyKind.LOG: 32,  # an Ed25519 seed
    StoreKeyKind.CURSOR: 64,
}


@dataclass(frozen=True, slots=True)
class WrappedStoreKey:
    """A key of the store as a row keeps it, under the store's root key.

    `settled` is False for an index root whose tags are not in every row yet.
    """

    kind: StoreKeyKind
    epoch: int
    wrapped: bytes
    settled: bool = True

    @property
    def root_version(self) -> int:
        """The version of the root key it is wrapped by."""
        return version_of(self.wrapped)


def root_key_id(tenant: str, store: str) -> str:
    """The name of a store's root key in the KMS; raises ValueRefused for a dot in either name, which would blur it."""
    if "." in tenant or "." in store:
        raise ValueRefused("the names of tenants and stores hold no dot")
    return f"{tenant}.{store}"


def context_of(tenant: str, store: str, kind: StoreKeyKind, epoch: int) -> dict[str, str]:
    """What is bound into the wrap of a store's key."""
    return {"tenant": tenant, "store": store, "kind": kind.value, "epoch": str(epoch)}


async def new_store_key(kms: Kms, tenant: str, store: str, kind: StoreKeyKind, epoch: int) -> WrappedStoreKey:
    """A new random key of an epoch, wrapped; the store must have its root key."""
    context = context_of(tenant, store, kind, epoch)
    wrapped = await kms.wrap(root_key_id(tenant, store), secrets.token_bytes(LENGTHS[kind]), context)
    return WrappedStoreKey(kind, epoch, wrapped)


async def create_store_keys(
    kms: Kms, tenant: str, store: str, kinds: Iterable[StoreKeyKind] = tuple(StoreKeyKind)
) -> list[WrappedStoreKey]:
    """New random keys of epoch 1, wrapped; makes the store's root key where there is none.

    The stores of one deployment share one cursor key: create it for the first and give it on with `share_cursor_key`.
    """
    root = root_key_id(tenant, store)
    try:
        await kms.current_version(root)
    except KeyUnavailable:
        await kms.rotate(root)
    return [await new_store_key(kms, tenant, store, kind, 1) for kind in kinds]


async def rewrap(kms: Kms, tenant: str, store: str, key: WrappedStoreKey) -> WrappedStoreKey:
    """The same key under the current version of the store's root key."""
    context = context_of(tenant, store, key.kind, key.epoch)
    secret = await kms.unwrap(key.wrapped, context)
    return replace(key, wrapped=await kms.wrap(root_key_id(tenant, store), secret, context))


async def share_cursor_key(kms: Kms, tenant: str, owner: str, key: WrappedStoreKey, to: str) -> WrappedStoreKey:
    """The cursor key of store `owner`, wrapped for store `to` of the same deployment; `to` must have its root key.

    Raises ValueRefused for any other kind of key: those never leave their store.
    """
    if key.kind is not StoreKeyKind.CURSOR:
        raise ValueRefused("only the cursor key is shared between stores")
    secret = await kms.unwrap(key.wrapped, context_of(tenant, owner, key.kind, key.epoch))
    context = context_of(tenant, to, key.kind, key.epoch)
    return replace(key, wrapped=await kms.wrap(root_key_id(tenant, to), secret, context))
