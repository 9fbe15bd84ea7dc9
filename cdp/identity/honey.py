"""Honey: records of customers who are nobody, so that nobody has a reason to open one. Whoever is shown one is stopped.

The client gets no answer any more, from any process, until an officer lifts that; the officers get an alarm. Processes
learn of it within a second. A command that opens one customer is a client like any other; one that goes over everybody
and shows nobody leaves them out.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from cdp.asked import Asked, shows
from cdp.audit import AuditTrail
from cdp.auth import Caller
from cdp.errors import AuthError, RequestInvalid, StoreUnavailable
from cdp.house import House
from cdp.identity.resolve import Graph, Mentioned, Tags, normalise
from cdp.identity.retagging import index_of, look_up
from cdp.stores import Connection, Store

CLIENT: Final = "command line"
HONEY = "SELECT customer_id FROM honey"
STOPPED = "SELECT client, since FROM suspended_client ORDER BY since, client"
MARK = "INSERT INTO honey (customer_id, marked_at) VALUES ($1, $2) ON CONFLICT DO NOTHING"
UNMARK = "DELETE FROM honey WHERE customer_id = $1"
STOP = "INSERT INTO suspended_client (client, since) VALUES ($1, $2) ON CONFLICT DO NOTHING"
LIFT = "DELETE FROM suspended_client WHERE client = $1"

log = structlog.get_logger()


class Watch:
    """Who must not be opened in each store, and which clients get no answers; `alarms` counts what was opened here."""

    def __init__(self, stores: Mapping[str, Store], trails: Mapping[str, AuditTrail]) -> None:
        self._stores, self._trails = stores, trails
        self._honey: dict[str, Collection[UUID]] = {}
        self._stopped: dict[str, set[str]] = {name: set() for name in stores}
        self.alarms = 0

    async def look(self, store: Store) -> None:
        """Takes in what a store knows. Raises StoreUnavailable."""
        before = self.alarms
        async with store.read() as connection:
            honey = await honey_of(connection)
            stopped = {row[0] for row in await connection.fetch(STOPPED)}
        self._honey[store.name] = honey
        if self.alarms == before:  # else this was read too early
            self._stopped[store.name] = stopped

    async def look_everywhere(self) -> None:
        """Takes in what the stores know, as far as they answer: for a command, which nobody keeps up to date."""
        for store in self._stores.values():
            with suppress(StoreUnavailable):
                await self.look(store)

    def is_honey(self, store: str, customer_id: UUID) -> bool:
        """Whether nobody is to be told of a customer unasked."""
        return customer_id in self._honey.get(store, ())

    def check(self, caller: Caller) -> None:
        """Raises AuthError CLIENT_SUSPENDED for a client that is stopped; why, it is not told."""
        if any(caller.client in stopped for stopped in self._stopped.values()):
            raise AuthError("CLIENT_SUSPENDED", "This client is suspended until the operator lifts that.", 403)

    async def look_over(self, asked: Asked) -> None:
        """Stops the client where something of a honey customer would be shown; raises as `check`, AuditUnavailable."""
        assert asked.plan is not None, "what is read has a plan"
        for part in asked.parts:
            if self.is_honey(part.store, part.customer_id) and shows(part, asked.plan):
                await self._stop(asked.caller, part.store, part.customer_id, asked.at)
        self.check(asked.caller)

    async def look_over_these(self, caller: Caller, shown: Iterable[tuple[str, UUID]], now: datetime) -> None:
        """The same for customers of stores of whom a command would show something."""
        for store, customer_id in shown:
            if self.is_honey(store, customer_id):
                await self._stop(caller, store, customer_id, now)
        self.check(caller)

    async def _stop(self, caller: Caller, at: str, customer_id: UUID, now: datetime) -> None:
        trail = self._trails[at]
        self.alarms += 1
        for stopped in self._stopped.values():
            stopped.add(caller.client)
        log.error("honey customer opened", store=at, client=caller.client)
        for store in self._stores.values():
            try:
                async with store.transaction() as connection:
                    await connection.execute(STOP, caller.client, now)
            except StoreUnavailable as down:
                log.exception("suspension not kept", store=store.name, client=caller.client, code=down.code)
        actor = trail.names.actor(caller.actor, now.year)
        customer = trail.names.pseudonym(customer_id, now.year)
        await trail.record({"operation": "alarm", "client": caller.client, "actor": actor, "customer": customer})


async def honey_of(connection: Connection) -> set[UUID]:
    """Who must not be opened."""
    return {row[0] for row in await connection.fetch(HONEY)}


async def mark_honey(house: House, sought: tuple[str, str, str], at: datetime, *, honey: bool) -> None:
    """A customer, by kind and value of an identifier and its region, is honey from now on, or is not any more.

    Raises RequestInvalid CUSTOMER_UNKNOWN, and as `normalise`.
    """
    kind, value, region = sought
    store = house.stores[house.settings.store_of(region)]
    ring, trail = house.rings[store.name], house.trails[store.name]

    async def owner(tags: Sequence[bytes]) -> UUID | None:
        mentioned = Mentioned(numbers=set(tags)) if kind == "number" else Mentioned(others=set(tags))
        graph = await Graph.load(connection, Tags(ring), mentioned)
        spans = [span.customer_id for tag in tags if (span := graph.holder(tag, at))]
        return next(iter((*spans, *(found for tag in tags if (found := graph.owner(tag))))), None)

    async with store.read() as connection:
        customer_id = await look_up(connection, ring, (index_of(kind), normalise(kind, value, region)), owner)
    if customer_id is None:
        raise RequestInvalid("CUSTOMER_UNKNOWN", "expected an identifier that a customer has")
    async with store.transaction() as connection:
        await (connection.execute(MARK, customer_id, at) if honey else connection.execute(UNMARK, customer_id))
    customer = trail.names.pseudonym(customer_id, at.year)
    await trail.record({"operation": "honey", "client": CLIENT, "customer": customer, "marked": honey})


async def suspended_clients(stores: Mapping[str, Store]) -> list[tuple[str, str, datetime]]:
    """Store, client and since when, of all that get no answers."""
    found = []
    for name, store in stores.items():
        async with store.read() as connection:
            found += [(name, *row) for row in await connection.fetch(STOPPED)]
    return found


async def lift_suspension(house: House, client: str) -> None:
    """A client gets answers again; raises RequestInvalid CLIENT_UNKNOWN where it was not stopped."""
    stopped = [name for name, one, _ in await suspended_clients(house.stores) if one == client]
    if not stopped:
        raise RequestInvalid("CLIENT_UNKNOWN", "expected a client that is suspended")
    for name in stopped:
        async with house.stores[name].transaction() as connection:
            await connection.execute(LIFT, client)
        await house.trails[name].record({"operation": "lift", "client": CLIENT, "lifted": client})
