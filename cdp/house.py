"""Opening the house: settings -> databases -> keys -> audit trails, and closing it in the opposite order."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from cdp.audit import AuditTrail
from cdp.embedded import Embedded
from cdp.errors import StoreUnavailable
from cdp.key_store import ensure_store_keys, unlock
from cdp.migrate import downgrade, upgrade
from cdp.root_keys import root_kms
from cdp.seen import take_over
from cdp.settings import Settings
from cdp.stores import GONE, Store, Stores, open_stores
from cdp.values import pause_after
from privacy.keys import KeyRing, TokenSeal
from privacy.kms import Kms
from privacy.seal import Suite

SUITES: Final[Mapping[str, Suite]] = {"AES-256-GCM": Suite.AES_256_GCM, "SM4-GCM": Suite.SM4_GCM}
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 5.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class House:
    """What every journey needs: the stores, and for each its keys and its audit trail, by name."""

    settings: Settings
    stores: Stores
    rings: Mapping[str, KeyRing]
    kms: Kms
    tokens: TokenSeal
    trails: Mapping[str, AuditTrail]


@asynccontextmanager
async def store_urls(settings: Settings) -> AsyncIterator[Mapping[str, str]]:
    """Store -> PostgreSQL URL: those of the settings, or the embedded server's while the block runs."""
    if settings.stores is not None:
        yield settings.stores
        return
    embedded = Embedded(settings.home)
    try:
        yield await asyncio.to_thread(embedded.start, settings.store_names)
    finally:
        await asyncio.to_thread(embedded.stop)


@asynccontextmanager
async def open_databases(settings: Settings) -> AsyncIterator[Stores]:
    """The stores without their keys; raises StoreUnavailable when one does not answer."""
    async with store_urls(settings) as urls:
        stores = await open_stores(settings, urls)
        try:
            yield stores
        finally:
            await stores.close()


@asynccontextmanager
async def open_house(settings: Settings, patience_seconds: float = 0.0) -> AsyncIterator[House]:
    """The house with its audit trails running; a store that does not answer yet is waited for, so long at most.

    Raises KeyUnavailable, KmsRefused or StoreUnavailable.
    """
    until = time.monotonic() + patience_seconds
    async with AsyncExitStack() as closing:
        stores = await closing.enter_async_context(open_databases(settings))
        kms = root_kms(settings)
        rings = {name: await _unlocked(settings, kms, store, until) for name, store in stores.items()}
        trails = {name: AuditTrail(store, rings[name]) for name, store in stores.items()}
        for trail in trails.values():
            trail.start()
            closing.push_async_callback(trail.close)
        yield House(settings, stores, rings, kms, next(iter(rings.values())).tokens, trails)


async def migrate_stores(settings: Settings, *, reset: bool = False) -> None:
    """Brings every store to the version of this code and makes the keys it lacks; `reset` empties it first.

    Raises StoreUnavailable, KmsRefused.
    """
    async with store_urls(settings) as urls:
        for name, url in (*urls.items(), *settings.key_store.items()):
            try:
                if reset:
                    await downgrade(url, "base")
                await upgrade(url)
            except (OSError, *GONE) as gone:
                raise StoreUnavailable(name, f"cannot connect ({type(gone).__name__})") from None
        stores = await open_stores(settings, urls)
        try:
            kms = root_kms(settings)
            await ensure_store_keys(list(stores.values()), kms, settings.tenant)
            for store in stores.values():
                await take_over(store, await unlock_store(settings, kms, store))
        finally:
            await stores.close()


async def _unlocked(settings: Settings, kms: Kms, store: Store, until: float) -> KeyRing:
    """The key ring of a store that is there by then, by the monotonic clock."""
    failed = 0
    while True:
        try:
            return await unlock_store(settings, kms, store)
        except StoreUnavailable as down:
            failed += 1
            pause = pause_after(failed, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
            if time.monotonic() + pause > until:
                raise
            log.warning("waiting for a store", store=store.name, attempt=failed, code=down.code, seconds=pause)
            await asyncio.sleep(pause)


async def unlock_store(settings: Settings, kms: Kms, store: Store) -> KeyRing:
    """The key ring of a store, which writes as the settings say; raises as `unlock` does."""
    ring = await unlock(store, kms, settings.tenant)
    ring.suite = SUITES[settings.suites.get(store.name, "AES-256-GCM")]
    return ring
