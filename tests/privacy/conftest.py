"""Keys and permits for the tests of the cellar."""

import hashlib
from collections.abc import Callable
from uuid import UUID

import pytest

from privacy import policy
from privacy.keys import LENGTHS, KeyRing, StoreKeyKind
from privacy.policy import Permit


def ring_of(tenant: str, store: str, epochs: tuple[int, ...] = (1,)) -> KeyRing:
    """The ring of a store whose keys follow from the names, so that two tests mean the same keys."""
    keys = [
        (kind, epoch, hashlib.shake_256(f"{tenant} {store} {kind} {epoch}".encode()).digest(LENGTHS[kind]))
        for kind in StoreKeyKind
        for epoch in epochs
    ]
    return KeyRing(tenant, store, keys)


@pytest.fixture(scope="session")
def rings() -> Callable[..., KeyRing]:
    return ring_of


@pytest.fixture(scope="session")
def ring() -> KeyRing:
    return ring_of("cdp", "cn")


@pytest.fixture(scope="session")
def permit_for() -> Callable[..., Permit]:
    """A permit without a decision: only tests make one so."""

    def make(customer_id: UUID, *categories: str) -> Permit:
        return Permit(customer_id, frozenset(categories), policy._MINT)

    return make
