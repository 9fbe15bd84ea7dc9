"""Receivers of webhooks for a drill: what each has heard, and whether that is all, in order for each customer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4, uuid5

from cdp.auth import SELF
from cdp.documents import register_document
from cdp.house import House
from cdp.webhooks.endpoints import Endpoint, add_endpoint, new_secret
from privacy.vocabulary import RecipientClass
from tests.drill.bars import Found

TOLD: Final = 'query Told($id: ID!) @purpose(id: "service.care") { customer(id: $id) { tier } }'
FOLLOWED: Final = """
SELECT customer_id, outbox_id FROM outbox WHERE event_type = ANY($1::text[]) ORDER BY customer_id, written, outbox_id
"""
LOOK_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 180.0
"""For so long nothing may come before it is not waited for any more: a worker that was killed has its lease first."""


@dataclass
class Hook:
    """One receiver, which takes everything."""

    event_types: frozenset[str]
    endpoint_id: UUID = field(default_factory=uuid4)
    heard: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()[1:-1]
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            await reader.readexactly(int(headers["content-length"]))
        except (asyncio.IncompleteReadError, ConnectionError):  # whoever told it was killed
            writer.close()
            return
        self.heard.append(headers["webhook-id"])
        writer.write(b"HTTP/1.1 200 X\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async def wrong(self, house: House) -> tuple[int, int]:
        """How many changes it has not heard of, and how many it heard of before an earlier one of the customer."""
        async with house.stores["cn"].read() as connection:
            followed = await connection.fetch(FOLLOWED, [*self.event_types])
        first: dict[str, int] = {}
        for number, name in enumerate(self.heard):
            first.setdefault(name, number)
        missing = early = 0
        before: UUID | None = None
        latest = -1
        for customer_id, outbox_id in followed:
            place = first.get(f"msg_{uuid5(self.endpoint_id, outbox_id.hex).hex}")
            if customer_id != before:
                before, latest = customer_id, -1
            missing += place is None
            if place is not None:
                early += place < latest
                latest = max(latest, place)
        return missing, early


@asynccontextmanager
async def hooks(house: House, *heard: Sequence[str]) -> AsyncIterator[Sequence[Hook]]:
    """A receiver for each of these lists of event types, from now on."""
    digest = await register_document(house.stores.values(), "told", TOLD, datetime.now(UTC))
    made, servers = [Hook(frozenset(types)) for types in heard], []
    for hook in made:
        server = await asyncio.start_server(hook.serve, "127.0.0.1", 0)
        servers.append(server)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        _, sealed = new_secret(house.tokens, hook.endpoint_id)
        whose = (SELF, RecipientClass.SELF, "service.care", digest, ("cn",), hook.event_types, sealed)
        async with house.stores["cn"].transaction() as connection:
            await add_endpoint(connection, Endpoint(hook.endpoint_id, url, "hook", *whose), datetime.now(UTC))
    try:
        yield made
    finally:
        for server in servers:
            server.close()


async def heard_all(house: House, made: Sequence[Hook]) -> Found:
    """Waits until nothing is missing, or nothing comes any more."""
    quiet = count = 0
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        before, count = count, sum(len(hook.heard) for hook in made)
        quiet = quiet + 1 if count == before else 0
        if quiet:
            missing, early = (sum(some) for some in zip(*[await hook.wrong(house) for hook in made], strict=True))
            if not missing or quiet * LOOK_SECONDS > PATIENCE_SECONDS:
                break
    said = f"{count:,} messages, {missing} missing, {early} out of order"
    return Found(said, passed=not missing and not early)
