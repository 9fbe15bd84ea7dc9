"""The relocation matrix: a cell of each place carried to every other place, by whoever has everything else right."""

import itertools
import uuid
from collections.abc import Callable
from typing import Final, NamedTuple

from privacy.errors import PrivacyError
from privacy.keys import KeyRing, WrappedDataKey
from privacy.policy import Permit
from privacy.seal import CellType, Opener, Place, Sealed, SealedColumn, Suite, seal
from privacy.vocabulary import CATEGORIES, RetentionClass

COLUMNS: Final = (
    SealedColumn(1, "identity.name", RetentionClass.IDENTITY, CellType.TEXT, padded=True),
    SealedColumn(3, "contact.email", RetentionClass.IDENTITY, CellType.TEXT, padded=False),
    SealedColumn(7, "identity.name", RetentionClass.IDENTITY, CellType.TEXT, padded=True),
    SealedColumn(30, "billing.account", RetentionClass.SERVICE, CellType.TEXT, padded=True),
)
CUSTOMERS: Final = tuple(uuid.UUID(int=n) for n in (1, 2))
ROWS: Final = tuple(uuid.UUID(int=n) for n in (1, 3))
"""One has the number of a customer."""
STORES: Final = (("cdp", "cn"), ("cdp", "hk"), ("cdpc", "n"))
SUITES: Final = (Suite.AES_256_GCM, Suite.SM4_GCM)


class Spot(NamedTuple):
    """Where a cell lies."""

    store: tuple[str, str]
    column: SealedColumn
    row_id: uuid.UUID
    customer_id: uuid.UUID


SPOTS: Final = [Spot(*spot) for spot in itertools.product(STORES, COLUMNS, ROWS, CUSTOMERS)]


def test_a_cell_opens_in_its_own_place_alone(
    rings: Callable[..., KeyRing], permit_for: Callable[..., Permit], record_property: Callable[[str, object], None]
) -> None:
    """Once with the keys that are there, once with the wrapped keys carried along."""
    keys = {}
    for store, customer_id in itertools.product(STORES, CUSTOMERS):
        for retention in (RetentionClass.IDENTITY, RetentionClass.SERVICE):
            keys[store, customer_id, retention] = rings(*store).new_data_key(customer_id, retention)
    opened, moved = 0, 0
    for suite, spot in itertools.product(SUITES, SPOTS):
        key, wrapped = keys[spot.store, spot.customer_id, spot.column.retention]
        place = Place(*spot.store, spot.column, suite)
        cell = Sealed(seal("王小明", key, place, spot.row_id, spot.customer_id))
        for other in SPOTS:
            there = keys[other.store, other.customer_id, other.column.retention][1]
            for at_hand in ([there], [there, wrapped], [wrapped]):
                if opens(cell, other, (rings(*other.store), permit_for), at_hand):
                    assert other == spot
                    opened += 1
                else:
                    assert other != spot
                    moved += 1
    assert (opened, moved) == (3 * len(SPOTS) * len(SUITES), 3 * len(SPOTS) * (len(SPOTS) - 1) * len(SUITES))
    record_property("moves refused", moved)


def opens(cell: Sealed, spot: Spot, means: tuple[KeyRing, Callable[..., Permit]], keys: list[WrappedDataKey]) -> bool:
    ring, permit_for = means
    opener = Opener(permit_for(spot.customer_id, *CATEGORIES), ring, spot.customer_id, [key.row for key in keys])
    try:
        value = opener.open(cell, Place(*spot.store, spot.column), spot.row_id)
    except PrivacyError:
        assert opener.opened == 0
        return False
    assert value == "王小明"
    return True
