"""The whole house behind HTTP for tests: two stores, the customers of the two stories, callers with tokens."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
from asyncpg.connection import LoggedQuery

from cdp.app import prepare, serve_house, writer_of
from cdp.audit import AuditTrail
from cdp.auth import Caller, issue_token
from cdp.demo.cast import HONG_KONG_NUMBER, MAINLAND_NUMBER, cast
from cdp.documents import register_document
from cdp.exchange import GRAPHQL_TYPE
from cdp.house import House
from cdp.ingest import Status, ingest
from cdp.key_store import ensure_store_keys, unlock
from cdp.root_keys import root_kms
from cdp.settings import Settings
from cdp.stores import open_stores
from cdp.tables import metadata
from privacy.vocabulary import PURPOSES
from tests.databases import Server

FULL: Final = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON audit_entry FOR EACH STATEMENT EXECUTE FUNCTION full_disk();
"""
"""Statements after which the trail of a store has no room."""
PROFILE: Final = """
query Profile($number: String!, $region: Region) @purpose(id: "service.care") {
  customer(number: $number, region: $region) {
    id formattedName birthDate gender status tier regions
    holdings(first: 4) { number region role state validFor { start end } }
    consents(first: 8) { purpose channel type destination happenedAt expiresAt }
    accounts(first: 4) { accountNo region ratingType balance { value unit } }
    usageMonths(first: 24) { month region voiceMinutes smsCount dataMegabytes }
    bills(first: 6) { billNo region billDate amountDue { value unit } state }
    interactions(first: 6) { at region channel direction reason }
  }
}
"""
"""The profile that channel apps ask for, with the region of everything that has one."""

APP: Final = Caller("app", purposes=frozenset({"service.care"}), stores=("cn", "hk"), actor="desk 7")
PARTNER: Final = Caller(
    "acme-app", legal_entity="ACME", purposes=frozenset(PURPOSES), stores=("cn", "hk"), partner=True, actor="acme"
)
NOBODYS: Final = ("+8613712340000", "+85262340000")
"""Numbers that no customer holds."""

CROSSING: Final = ("SELECT EXISTS (SELECT FROM transfer_crossing", "INSERT INTO transfer_crossing")
"""Once a year for each customer who crosses a border."""
DRIVERS_OWN: Final = ("typeinfo_tree", "set_config('jit'")
"""What a connection asks on its own account when it first meets a type; it may be opened at any time."""
BOOKKEEPING: Final = ("BEGIN", "COMMIT", "ROLLBACK", "INSERT INTO audit_", *CROSSING)


@dataclass
class World:
    """An open house, and every statement that it has sent to PostgreSQL."""

    house: House
    http: httpx.AsyncClient
    statements: list[str] = field(default_factory=list)

    def token(self, caller: Caller = APP, **claims: Any) -> str:
        settings = self.house.settings
        given = {"issuer": settings.token_issuer, "audience": settings.token_audience} | claims
        return issue_token(settings.home, caller, **given)

    async def post(self, body: Any, caller: Caller | None = APP, **headers: str) -> httpx.Response:
        """`body` as JSON, or as it is when it is bytes; without a token when there is no caller."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"content-type": "application/json", "accept": GRAPHQL_TYPE}
        sent |= {"authorization": f"Bearer {self.token(caller)}"} if caller else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post("/graphql", content=content, headers=sent)

    async def ask(self, document: str, caller: Caller = APP, /, **variables: Any) -> dict[str, Any]:
        """The answer to an operation that must not fail. Partners name it by its hash."""
        named = {"documentId": hash_of(document)} if caller.partner else {"query": document}
        response = await self.post(named | {"variables": variables}, caller)
        told: dict[str, Any] = response.json()
        assert (response.status_code, told.get("errors")) == (200, None), told
        return told

    async def tell(self, *events: Mapping[str, Any]) -> None:
        """Events that must all be taken in."""
        outcomes = await ingest(writer_of(self.house), events, "world")
        assert [(one.code, one.field, one.expected) for one in outcomes if one.status is not Status.ACCEPTED] == []

    async def register(self, *documents: str) -> None:
        for source in documents:
            await register_document(self.house.stores.values(), "test", source, datetime.now(UTC))

    async def rows(self, table: str) -> int:
        """How many rows a table has in all stores."""
        total = 0
        for store in self.house.stores.values():
            async with store.read() as connection:
                total += await connection.fetchval(f'SELECT count(*) FROM "{table}"')
        return total

    async def counts(self) -> dict[str, int]:
        """Table -> rows in all stores, without the audit trail."""
        return {name: await self.rows(name) for name in metadata.tables if not name.startswith("audit_")}

    async def entries(self) -> list[dict[str, Any]]:
        """Every audit entry of all stores, the newest last."""
        found: list[dict[str, Any]] = []
        for store in self.house.stores.values():
            async with store.read() as connection:
                found += [json.loads(row[0]) for row in await connection.fetch("SELECT entry FROM audit_entry")]
        return sorted(found, key=lambda entry: str(entry["at"]))

    def asked(self) -> list[str]:
        """The statements since the last time, without those that only write the audit trail."""
        seen = [text for text in self.statements if not text.lstrip().startswith(BOOKKEEPING)]
        self.statements.clear()
        return seen


def hash_of(document: str) -> str:
    return sha256(document.encode()).hexdigest()


def event(name: str, region: str, subject: Mapping[str, str], at: str, /, **fields: Any) -> dict[str, Any]:
    """An event whose id is made of its type and instant."""
    head = {"type": name, "eventId": f"{name}-{at}", "at": at, "region": region, "subject": dict(subject)}
    return head | fields


@asynccontextmanager
async def open_world(
    server: Server, home: Path, events: Sequence[Mapping[str, Any]] = (), **given: Any
) -> AsyncIterator[World]:
    """A house with the customers of the stories and whoever else `events` tell of; `given` are other settings."""
    async with AsyncExitStack() as closing:
        urls = {name: await closing.enter_async_context(server.database(server.template)) for name in ("cn", "hk")}
        settings = Settings(home=home, stores=urls, environment="test", pool_size=4, **given)
        statements: list[str] = []

        def note(record: LoggedQuery) -> None:
            if not any(own in record.query for own in DRIVERS_OWN):
                statements.append(record.query)

        async def listen(connection: asyncpg.Connection) -> None:
            connection.add_query_logger(note)

        stores = await open_stores(settings, urls, listen)
        closing.push_async_callback(stores.close)
        await ensure_store_keys(list(stores.values()), root_kms(settings), settings.tenant)
        rings = {name: await unlock(store, root_kms(settings), settings.tenant) for name, store in stores.items()}
        trails = {name: AuditTrail(store, rings[name]) for name, store in stores.items()}
        for trail in trails.values():
            trail.start()
            closing.push_async_callback(trail.close)
        house = House(settings, stores, rings, root_kms(settings), rings["cn"].tokens, trails)
        await prepare(house)
        transport = httpx.ASGITransport(serve_house(house))
        http = await closing.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://cdp.test"))
        world = World(house, http, statements)
        await world.tell(*cast({"CN": "cn", "HK": "hk"}), *events)
        statements.clear()
        yield world


__all__ = [
    "APP",
    "HONG_KONG_NUMBER",
    "MAINLAND_NUMBER",
    "NOBODYS",
    "PARTNER",
    "PROFILE",
    "World",
    "event",
    "hash_of",
    "open_world",
]
