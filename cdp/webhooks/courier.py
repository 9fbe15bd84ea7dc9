"""The courier: tells each endpoint what happened, in the order in which it happened to each customer.

A job queue with a row per message (PgQueuer and its like) gives its jobs out in any order and forgets them when they
are done; here a customer's events must come one after the other, and be told again from any place. So the outbox is
the queue, and a position in each of its buckets is all that is kept: what fails holds up its bucket of its endpoint.
Whoever tells a bucket has it on a lease, so that several workers share them; who dies, or is late, is followed by
another, from the last position that was kept. So a message comes at least once, with the same `webhook-id` each time.

What it says is asked for when it is told: a registered document, run as the endpoint's client for its purpose by the
ordinary read journey, with its entry in the audit trail. Where the recipient may see nothing, nothing is sent.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from json.encoder import encode_basestring
from random import SystemRandom
from typing import Any, Final
from uuid import UUID, uuid4, uuid5

import structlog
from standardwebhooks import Webhook

from cdp.auth import Caller
from cdp.errors import AuthError, GatewayUnavailable, RequestInvalid, Unavailable
from cdp.global_ids import GlobalId, row_id
from cdp.outbox import Logged, Position, read, settled_below
from cdp.positions import position_text
from cdp.rendering import instant_text
from cdp.stores import Store
from cdp.values import pause_after
from cdp.webhooks.endpoints import (
    Endpoint,
    Hold,
    disable,
    due,
    fail,
    give_back,
    keep,
    secret_of,
    take,
)
from cdp.webhooks.post import post
from privacy.keys import TokenSeal

PAGE: Final = 50
ROUND_SECONDS: Final = 5.0
GRACE_SECONDS: Final = 20.0
TURN: Final = timedelta(seconds=10)
"""For so long a bucket is told before others have their turn."""
GIVEN_UP_AFTER: Final = timedelta(days=3)
FIRST_RETRY: Final = timedelta(seconds=5)
LONGEST_RETRY: Final = timedelta(hours=4)
GONE: Final = 410

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Means:
    """What a courier needs.

    ask: (who, the hash of a document, its variables) -> the answer as JSON, audited, None where they may see nothing of
    whom it is about; raises as a front door does. look: takes in what a store knows of customers of whom nobody is told
    unasked (`is_honey`) and of clients that are stopped. private: addresses that are not public may be told.
    """

    tokens: TokenSeal
    ask: Callable[[Caller, str, Mapping[str, Any]], Awaitable[bytes | None]]
    clock: Callable[[], datetime]
    look: Callable[[Store], Awaitable[None]]
    is_honey: Callable[[str, UUID], bool]
    private: bool = False


class _Gone(GatewayUnavailable):
    """The receiver wants to hear nothing any more."""


class Courier:
    """Tells the endpoints of some stores; at most one task for each endpoint of a store."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._under_way: dict[tuple[str, UUID], asyncio.Task[None]] = {}

    async def tell(self, store: Store) -> None:
        """Tells what is due in a store. Whoever is slow goes on while the others are told what comes next."""
        await self._means.look(store)
        async with store.read() as connection:
            found = await due(connection, self._means.clock())
        begun = []
        for endpoint, buckets in found.items():
            key = (store.name, endpoint.endpoint_id)
            if key not in self._under_way:
                task = self._under_way[key] = asyncio.create_task(self._tell(store, endpoint, buckets))
                task.add_done_callback(lambda _, key=key: self._under_way.pop(key))  # type: ignore[misc]  # a default
                begun.append(task)
        if begun:
            await asyncio.wait(begun, timeout=ROUND_SECONDS)

    async def close(self) -> None:
        """Waits for what is under way, GRACE_SECONDS at most."""
        if under_way := list(self._under_way.values()):
            await asyncio.wait(under_way, timeout=GRACE_SECONDS)
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _tell(self, store: Store, endpoint: Endpoint, buckets: list[int]) -> None:
        telling = [_Telling(self._means, store, Hold(endpoint, bucket, uuid4())).run() for bucket in buckets]
        for failed in await asyncio.gather(*telling, return_exceptions=True):
            if isinstance(failed, BaseException):
                # Its lease ends by itself; another round goes on from what was kept.
                log.warning("webhooks interrupted", store=store.name, client=endpoint.client, exc_info=failed)


@dataclass(frozen=True, slots=True)
class _Telling:
    """One bucket of one endpoint, told by one task."""

    means: Means
    store: Store
    hold: Hold

    async def run(self) -> None:
        """Tells page by page what is settled, until there is no more, it fails, or the others should have a turn."""
        began = now = self.means.clock()
        async with self.store.transaction() as connection:
            place = await take(connection, self.hold, now)
        if place is None:
            return
        while now - began < TURN:
            async with self.store.read() as connection:
                entries = await read(connection, self.hold.bucket, place, await settled_below(connection), PAGE)
            if not entries or not await self._page(entries):
                break
            place, now = entries[-1].position, self.means.clock()
        async with self.store.transaction() as connection:
            await give_back(connection, self.hold, now, now)

    async def _page(self, entries: list[Logged]) -> bool:
        """False where it ends with them: one failed, or the lease is somebody else's by now."""
        for entry in entries:
            hidden = self.means.is_honey(self.store.name, entry.customer_id)
            if entry.event_type in self.hold.endpoint.event_types and not hidden:
                try:
                    sent = await self._send(entry)
                except (Unavailable, RequestInvalid, AuthError) as failed:
                    await self._failed(failed)
                    return False
                if not await self._keep(entry.position, (int(sent), int(not sent))):
                    return False
        return await self._keep(entries[-1].position, (0, 0))

    async def _keep(self, place: Position, told: tuple[int, int]) -> bool:
        async with self.store.transaction() as connection:
            return await keep(connection, self.hold, place, told, self.means.clock())

    async def _send(self, entry: Logged) -> bool:
        """Sends a message; False where the recipient may not see anything of it. Raises GatewayUnavailable unless it
        was taken, and as asking does.
        """
        endpoint, tokens, now = self.hold.endpoint, self.means.tokens, self.means.clock()
        named = GlobalId("Customer", self.store.name, entry.customer_id, entry.customer_id)
        data = {"id": row_id(tokens, endpoint.legal_entity, named)}
        if entry.case_id is not None:
            named = named._replace(type_name="Case", row_id=entry.case_id)
            data["case"] = row_id(tokens, endpoint.legal_entity, named)
        answer = await self.means.ask(endpoint.caller, endpoint.document, data)
        if answer is None:
            return False
        data["position"] = position_text(tokens, endpoint.reader, {self.store.name: entry.position}, now)
        members = "".join(f'"{name}":{encode_basestring(value)},' for name, value in data.items())
        when = instant_text(entry.at)
        body = f'{{"type":"{entry.event_type}","timestamp":"{when}","data":{{{members}"answer":{answer.decode()}}}}}'
        status = await self._post(f"msg_{uuid5(endpoint.endpoint_id, entry.position.outbox_id.hex).hex}", now, body)
        if not 200 <= status < 300:
            raise (_Gone if status == GONE else GatewayUnavailable)(f"answered {status}")
        return True

    async def _post(self, message_id: str, now: datetime, body: str) -> int:
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret_of(self.means.tokens, self.hold.endpoint)).sign(message_id, now, body),
        }
        return await post(self.hold.endpoint.url, headers, body.encode(), private=self.means.private)

    async def _failed(self, failed: Unavailable | RequestInvalid | AuthError) -> None:
        """Puts off what failed; an endpoint that has not taken a message for days is told nothing any more. That a
        store of ours does not answer is not its fault.
        """
        now, endpoint_id = self.means.clock(), self.hold.endpoint.endpoint_id
        reason = str(failed) if isinstance(failed, GatewayUnavailable) else failed.code
        ours = isinstance(failed, Unavailable) and not isinstance(failed, GatewayUnavailable)
        async with self.store.transaction() as connection:
            times, since = (1, now) if ours else await fail(connection, self.hold, now)
            await give_back(connection, self.hold, now, now + pause(times))
            if over := isinstance(failed, _Gone) or now - since >= GIVEN_UP_AFTER:
                await disable(connection, endpoint_id, now, reason)
        client = self.hold.endpoint.client
        said = "webhook disabled" if over else "webhook not sent"
        log.warning(said, store=self.store.name, client=client, attempt=times, code=reason)


def pause(failed: int) -> timedelta:
    """How long to wait after so many failures in a row: twice as long each time, less up to a half, by chance."""
    longest = pause_after(failed, FIRST_RETRY.total_seconds(), LONGEST_RETRY.total_seconds())
    return timedelta(seconds=longest * SystemRandom().uniform(0.5, 1.0))
