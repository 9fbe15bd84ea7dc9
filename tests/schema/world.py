"""A small world for reading tests: an open house whose two stores hold the people of `people`.

They come in through the write journey; what no event can say (tariffs, states, a broken cell) is done in SQL.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cdp.app import front_door, prepare, writer_of
from cdp.auth import Caller
from cdp.documents import register_document
from cdp.exchange import GraphqlRequest
from cdp.house import House, migrate_stores, open_house
from cdp.identity.tables import NUMBER_INDEX
from cdp.ingest import Status, ingest
from cdp.reconcile.money import reconcile_money
from cdp.reconcile.services import reconcile_services
from cdp.settings import Settings
from privacy.vocabulary import PURPOSES, RecipientClass
from schema.answers import FrontDoor
from tests.databases import Server
from tests.schema.people import NUMBERS, events

ALL = frozenset(PURPOSES)
CARE = Caller("app", purposes=ALL, stores=("cn", "hk"), actor="desk 7")
CN_ONLY = Caller("cn-desk", purposes=ALL, stores=("cn",), actor="desk 8")
PARTNER = Caller(
    "acme-app",
    legal_entity="ACME",
    recipient_class=RecipientClass.THIRD_PARTY,
    purposes=ALL,
    stores=("cn", "hk"),
    partner=True,
    actor="acme",
)


LOOKED_AT = datetime(2025, 6, 1, tzinfo=UTC)
"""When the platform looked for what is wrong in this world."""
TARIFFS = (
    "INSERT INTO tariff VALUES ('t-1', '畅听 58', 'CN-GD', 'POSTPAID', 5800, 'CNY', 100, NULL, 2048),"
    " ('t-2', '短信包', 'CN-GD', 'PREPAID', 500, 'CNY', NULL, 300, NULL)"
)
STATE_OF = (
    "UPDATE customer SET state = '{}' WHERE customer_id = (SELECT customer_id FROM number_index WHERE number_tag = $1)"
)
BREAK_NOTE = (
    "UPDATE interaction SET note = overlay(note PLACING '\\x00'::bytea FROM 25)"
    " WHERE interaction_id = (SELECT min(interaction_id::text)::uuid FROM interaction WHERE note IS NOT NULL)"
)


class Invalid(Exception):
    """The document does not fit the schema."""


@dataclass(frozen=True, slots=True)
class World:
    """An open house with the world in it."""

    house: House
    front: FrontDoor

    async def ask(self, source: str, caller: Caller = CARE, variables: dict[str, Any] | None = None) -> bytes:
        """The body of an answer; a partner's document is registered first. Raises Invalid."""
        if caller.partner:
            await register_document(self.house.stores.values(), "test", source, datetime.now(UTC))
        answer = await self.front.answer(GraphqlRequest(source, variables=variables or {}), caller)
        if answer.status != 200:
            raise Invalid(answer.body.decode())
        return answer.body


@asynccontextmanager
async def open_world(server: Server, home: Path) -> AsyncIterator[World]:
    """The world in two fresh databases."""
    async with server.database(server.template) as cn, server.database(server.template) as hk:
        settings = Settings(home=home, stores={"cn": cn, "hk": hk}, environment="test", pool_size=2)
        await migrate_stores(settings)
        async with open_house(settings) as house:
            await prepare(house)
            outcomes = await ingest(writer_of(house), events(), "world")
            refused = [(o.code, o.field, o.expected) for o in outcomes if o.status is not Status.ACCEPTED]
            assert not refused, refused
            await _by_hand(house)
            for store in house.stores.values():
                await reconcile_services(store, LOOKED_AT)
                await reconcile_money(store, LOOKED_AT)
            yield World(house, front_door(house))


async def _by_hand(house: House) -> None:
    async with house.stores["cn"].transaction() as connection:
        await connection.execute(TARIFFS)
        for key, state in (("restricted", "RESTRICTED"), ("erased", "ERASED")):
            tag = house.rings["cn"].tag(NUMBER_INDEX, NUMBERS[key])
            await connection.execute(STATE_OF.format(state), tag)
        await connection.execute(BREAK_NOTE)
    for store in house.stores.values():
        async with store.transaction() as connection:
            await connection.execute("ANALYZE")
