"""Whom an operation of the reference executor is about: the roots, their arguments, and the stores a customer is in."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta, timezone
from typing import Any
from uuid import UUID

from graphql import GraphQLObjectType, GraphQLSchema
from sqlalchemy import Select, select

from cdp.auth import Caller
from cdp.cursors import after
from cdp.errors import RequestInvalid
from cdp.global_ids import GlobalId, link_id, read_id, row_id
from cdp.identity.resolve import normalise
from cdp.identity.tables import (
    IDENTIFIER_INDEXES,
    NUMBER_INDEX,
    customer,
    identifier_index,
    link,
    link_index,
    number_holding,
    number_index,
)
from cdp.numbers import PhoneNumber
from privacy.policy import Verdict
from privacy.vocabulary import CustomerState, Effect, Withheld
from schema.fields import Record
from tests.schema.deciding import INDEX, Decider, categories_asked
from tests.schema.numbering import NumberFinder
from tests.schema.reading import Info, Memory, Page, Refused, Request, Side, Thing, path_of, record_of

FILTERS = {"region": "identity.region", "kind": "identity.status", "status": "identity.status", "tier": "identity.tier"}
"""What a page of customers is filtered by -> the category that is read by doing so."""
STANDING = ("USER", "REGISTERED_HOLDER")
AWAY = Verdict(Effect.DENY, "store", Withheld.REGION_UNAVAILABLE)
NOBODY = Verdict(Effect.DENY, "customer", Withheld.UNAVAILABLE)


class Finder:
    """Resolves the fields of Query."""

    def __init__(self, memory: Memory, decider: Decider, schema: GraphQLSchema) -> None:
        self.memory, self.decider, self.schema, self.house = memory, decider, schema, memory.house
        self.numbers = NumberFinder(memory)

    async def root(self, info: Info, arguments: Mapping[str, Any]) -> Any:
        request: Request = info.context
        match info.field_name:
            case "numberFacts":
                return await self.numbers.facts(arguments, request)
            case "accountability":
                number = PhoneNumber.parse(arguments["number"], arguments.get("region"))
                return await self.numbers.answers(number, request, path_of(info.path))
            case "me":
                return _me(request.caller)
            case "customers" | "sameHolderSince":
                answer = self._page if info.field_name == "customers" else self._same_holder
                return await answer(info, arguments)
            case "node":
                found = read_id(self.house.tokens, request.caller.legal_entity, arguments["id"])
                return await self._shown(await self._by_id(found, info), info)
            case _:
                return await self._shown(await self._customer(info, arguments), info)

    async def id_of(self, thing: Thing, key: UUID, request: Request) -> str:
        """The id of a row; a customer in two stores has one id."""
        side, audience = thing.sides[0], request.caller.legal_entity
        holding = side.came_by if request.caller.partner else None
        if thing.of == "Customer":
            records = await self.decider.records(side)
            if holding is None and (links := await self._all_links(records)):
                return link_id(self.house.tokens, audience, links[0][0])
            whose = side.holder if holding is not None and side.holder is not None else records[0].customer_id
            named = GlobalId(thing.of, side.store, whose, whose, holding=holding)
        else:
            own = holding if side.customer_id == side.holder else None
            named = GlobalId(thing.of, side.store, side.customer_id, key, holding=own)
        return row_id(self.house.tokens, audience, named)

    async def _shown(self, thing: Thing | None, info: Info) -> Thing | None:
        """What was found. To a partner, nobody and somebody who agreed to nothing are the same."""
        request: Request = info.context
        if not request.caller.partner:
            return thing
        if thing is not None:
            for category in categories_asked(info, thing.of, request.purpose):
                verdict = (await self.decider.decision(thing.sides[0], category, request)).verdicts[category]
                if verdict.effect is not Effect.DENY:
                    return thing
        path = path_of(info.path)
        request.withheld = type(request.withheld)({k: n for k, n in request.withheld.items() if k[0] != path})
        request.withhold(path, NOBODY)
        return None

    async def _customer(self, info: Info, arguments: Mapping[str, Any]) -> Thing | None:
        request: Request = info.context
        given = [name for name in ("id", "number", "identifier") if arguments.get(name) is not None]
        if len(given) != 1:
            raise Refused("ARGUMENTS_INVALID")
        if given == ["id"]:
            found = read_id(self.house.tokens, request.caller.legal_entity, arguments["id"])
            return await self._by_id(found if found and found.type_name == "Customer" else None, info)
        if given == ["number"]:
            number = PhoneNumber.parse(arguments["number"], arguments.get("region"))
            stores = self._stores_of(number.region, request.caller)
        else:
            stores = self._stores_of(arguments.get("region"), request.caller)
        if stores is None:
            request.withhold(path_of(info.path), AWAY)
        if given == ["number"] and request.caller.partner and arguments.get("asOf") is not None:
            raise Refused("FORBIDDEN")
        for store in stores or []:
            held = None
            if given == ["number"]:
                held = await self._holding(store, arguments, request)
                found_id = held["customer_id"] if held else None
            else:
                found_id = await self._identified(store, arguments, request)
            if found_id is not None and (thing := await self._joined(store, found_id, request, held)):
                return thing
        return None

    async def _same_holder(self, info: Info, arguments: Mapping[str, Any]) -> bool | None:
        """Instant by instant: every change of the number's life since the day began."""
        request: Request = info.context
        since = datetime.combine(arguments["date"], time(), timezone(timedelta(hours=14)))
        number = PhoneNumber.parse(arguments["number"], arguments.get("region"))
        if since > request.at:
            raise Refused("DAY_INVALID")
        stores = self._stores_of(number.region, request.caller)
        if stores is None:
            request.withhold(path_of(info.path), AWAY)
        answer = None
        for store in stores or []:
            held = await self._holding(store, {**arguments, "role": None}, request)
            if held is None or await self._gone(side := self._side(store, held["customer_id"], held)):
                continue
            governance = info.parent_type.fields[info.field_name].extensions["strawberry-definition"].metadata["cdp"]
            verdict = await self.decider.verdict(side, governance.governance, request)
            assert verdict is not None
            if verdict.effect is Effect.DENY:
                request.withhold(path_of(info.path), verdict)
                break
            rows = await self._life(store, arguments)
            moments = {
                at for row in rows for at in (row["valid_from"], row["valid_to"]) if at and since < at < request.at
            }
            holders = [self._standing(rows, STANDING, at) for at in (since, *moments)]
            answer = {one and one["customer_id"] for one in holders} == {side.customer_id}
            break
        if request.caller.partner and answer is None:
            path = path_of(info.path)
            request.withheld = type(request.withheld)({k: n for k, n in request.withheld.items() if k[0] != path})
            request.withhold(path, NOBODY)
        return answer

    async def _life(self, store: str, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows of the index for a number."""
        number = PhoneNumber.parse(arguments["number"], arguments.get("region"))
        tag = self.house.rings[store].tag(NUMBER_INDEX, number.e164)
        rows = await self.memory.rows(
            store, ("number", tag), lambda: select(*number_index.c).where(number_index.c.number_tag == tag)
        )
        return [dict(zip(INDEX, values, strict=True)) for values in rows]

    async def _holding(self, store: str, arguments: Mapping[str, Any], request: Request) -> dict[str, Any] | None:
        role = arguments["role"]
        roles = STANDING if role is None else (role.value,)
        return self._standing(await self._life(store, arguments), roles, arguments.get("asOf") or request.at)

    def _standing(self, rows: list[dict[str, Any]], roles: Sequence[str], at: datetime) -> dict[str, Any] | None:
        """The row of the first of these roles that somebody had at an instant."""
        held = [row for row in rows if row["valid_from"] <= at and (row["valid_to"] is None or row["valid_to"] > at)]
        return next((row for role in roles for row in held if row["role"] == role), None)

    async def _identified(self, store: str, arguments: Mapping[str, Any], _: Request) -> UUID | None:
        kind = arguments["identifier"]["kind"].value
        text = normalise(kind, arguments["identifier"]["value"], arguments.get("region"))
        tag = self.house.rings[store].tag(IDENTIFIER_INDEXES[kind], text)
        named = (identifier_index.c.identifier_tag == tag, identifier_index.c.kind == kind)
        rows = await self.memory.rows(
            store, ("identifier", tag, kind), lambda: select(identifier_index.c.customer_id).where(*named)
        )
        return rows[0][0] if rows else None

    async def _by_id(self, found: GlobalId | None, info: Info) -> Thing | None:
        request: Request = info.context
        if found is None:
            return None
        readable = self._readable(request.caller)
        if found.link is not None:
            return await self._by_link(found.link, readable, request)
        if found.store not in readable or not await self._lasts(found):
            if found.store not in readable:
                request.withhold(path_of(info.path), AWAY)
            return None
        if found.type_name == "Customer":
            return await self._joined(found.store, found.customer_id, request, came_by=found.holding)
        record = self._record(found.type_name)
        table = record.table
        mine = (table.c.customer_id == found.customer_id, record.key == found.row_id)
        key = ("row", table.name, found.customer_id, found.row_id)
        rows = await self.memory.rows(found.store, key, lambda: select(*table.primary_key).where(*mine))
        side = self._side(found.store, found.customer_id)
        side = replace(side, came_by=found.holding, holder=found.customer_id)
        if not rows or await self.decider.state(side) is CustomerState.ERASED:
            return None
        return Thing(found.type_name, (side,), record, rows[0])

    async def _lasts(self, found: GlobalId) -> bool:
        """Whether the holding by which an id was given out has no end."""
        if found.holding is None:
            return True
        mine = (number_holding.c.customer_id == found.customer_id, number_holding.c.holding_id == found.holding)
        key = ("lasts", found.customer_id, found.holding)
        rows = await self.memory.rows(found.store, key, lambda: select(number_holding.c.valid_to).where(*mine))
        return rows == [(None,)]

    async def _by_link(self, token: bytes, readable: list[str], request: Request) -> Thing | None:
        """Home is the side that leads, of those that can be asked."""
        sides = [
            (not leads, n, store, customer_id)
            for n, store in enumerate(readable)
            for customer_id, leads in await self._linked(store, token)
        ]
        for _, _, store, customer_id in sorted(sides):
            if thing := await self._joined(store, customer_id, request):
                return thing
        return None

    async def _joined(
        self,
        store: str,
        customer_id: UUID,
        request: Request,
        held: dict[str, Any] | None = None,
        came_by: UUID | None = None,
    ) -> Thing | None:
        """A customer with their sides in other stores; None for one that was erased, or never was."""
        home = self._side(store, customer_id, held)
        home = home if came_by is None else replace(home, came_by=came_by, holder=customer_id)
        if await self._gone(home):
            return None
        sides, followed, unreached = await self.decider.records(home), set[str](), 0
        key = (sides[0].customer_id,)
        for token, other, _ in await self._all_links(sides):
            if other in followed:
                continue
            followed.add(other)
            if other not in self._readable(request.caller):
                unreached += 1
                continue
            for linked_id, _ in await self._linked(other, token):
                side = Side(other, linked_id, home.destination)
                sides += [] if await self._gone(side) else await self.decider.records(side)
        return Thing("Customer", tuple(sides), self._record("Customer"), key, unreached)

    async def _page(self, info: Info, arguments: Mapping[str, Any]) -> Page | None:
        request, where = info.context, arguments["where"]
        if request.caller.partner:
            raise Refused("FORBIDDEN")
        if not 0 <= arguments["first"] <= 100:
            raise Refused("PAGE_SIZE")
        store = self.house.settings.store_of(where["region"])
        seen = None
        if arguments.get("after") is not None:
            [seen] = after(self.house.tokens, "Query.customers", request.caller.client, arguments["after"], [UUID])
        rows: list[tuple[Any, ...]] = []
        if store in self._readable(request.caller):
            columns = (customer.c.customer_id, customer.c.region, customer.c.kind, customer.c.status, customer.c.tier)
            make: Select[Any] = select(*columns, customer.c.state).order_by(customer.c.customer_id)
            rows = await self.memory.rows(store, ("everybody",), lambda: make)
        else:
            request.withhold(path_of(info.path), AWAY)
        given = {name: getattr(v, "value", v) for name, v in where.items() if v is not None}
        rows = [row for row in rows if row[-1] != "ERASED" and (seen is None or row[0] > seen)]
        rows = [row for row in rows if row[1] == given["region"]]
        things, firsts = [], []
        for row in rows:
            # A person is listed once, by the first of their records that is of the region.
            side = self._side(store, row[0])
            others = [other for other in await self.decider.records(side) if other != side]
            regions = {other.customer_id: await self._region(other) for other in others}
            if not any(known.int < row[0].int and regions[known] == row[1] for known in regions):
                firsts.append((row, (side, *others)))
        page = [row for row, _ in firsts[: arguments["first"]]]
        for row, sides in firsts[: arguments["first"]]:
            fits = given.items() <= dict(zip(("region", "kind", "status", "tier"), row[1:], strict=False)).items()
            if await self._may_be_listed(sides[0], given, info) and fits:
                things.append((Thing("Customer", sides, self._record("Customer"), (row[0],)), [row[0]]))
        return Page(things, [[row[0]] for row in page], len(firsts) > len(page), seen is not None, "Query.customers")

    async def _may_be_listed(self, side: Side, given: Mapping[str, Any], info: Info) -> bool:
        """Whether what the page was filtered by may be read of this customer."""
        for category in sorted({FILTERS[name] for name in given}):
            decision = await self.decider.decision(side, category, info.context)
            verdict = decision.verdicts[category]
            if verdict.effect is not Effect.ALLOW:
                path, code = (*path_of(info.path), "edges", "*"), verdict.code or Withheld.UNAVAILABLE
                info.context.withheld[path, code.value, verdict.kind, None] += 1
                return False
        return True

    def _stores_of(self, region: str | None, caller: Caller) -> list[str] | None:
        """The store of a region, or all where nobody says which; None where that one cannot be asked."""
        readable = self._readable(caller)
        try:
            store = None if region is None else self.house.settings.store_of(region)
        except RequestInvalid:
            store = None
        if store is None:
            return readable
        return [store] if store in readable else None

    def _readable(self, caller: Caller) -> list[str]:
        return [store for store in caller.stores if store in self.house.stores]

    def _side(self, store: str, customer_id: UUID, held: dict[str, Any] | None = None) -> Side:
        found = (None, None, None) if held is None else (tuple(held.values()), held["holding_id"], customer_id)
        return Side(store, customer_id, self.house.stores[store].jurisdiction, *found)

    def _record(self, of: str) -> Record:
        found = self.schema.type_map[of]
        assert isinstance(found, GraphQLObjectType)
        return record_of(found)

    async def _gone(self, side: Side) -> bool:
        return await self.decider.state(side) is CustomerState.ERASED

    async def _all_links(self, sides: Sequence[Side]) -> list[tuple[Any, ...]]:
        """The links of all records of a person, by their tokens."""
        return sorted({link for side in sides for link in await self._links(side.store, side.customer_id)})

    async def _region(self, side: Side) -> str:
        make = select(customer.c.region).where(customer.c.customer_id == side.customer_id)
        [[region]] = await self.memory.rows(side.store, ("region", side.customer_id), lambda: make)
        return str(region)

    async def _links(self, store: str, customer_id: UUID) -> list[tuple[Any, ...]]:
        """(token, other store, whether this side leads) of the links that stand."""
        wanted = (link.c.customer_id == customer_id, link.c.state == "ACTIVE")
        make = select(link.c.token, link.c.other_store, link.c.leads).where(*wanted).order_by(link.c.token)
        return await self.memory.rows(store, ("links", customer_id), lambda: make)

    async def _linked(self, store: str, token: bytes) -> list[tuple[Any, ...]]:
        """(customer, whether they lead) of a store for a token; none where their side of the link stands no more."""
        wanted = (link_index.c.token == token, link.c.token == token, link.c.state == "ACTIVE")
        make = select(link.c.customer_id, link.c.leads).where(link.c.customer_id == link_index.c.customer_id, *wanted)
        return await self.memory.rows(store, ("linked", token), lambda: make)


def _me(caller: Caller) -> dict[str, Any]:
    return {
        "client": caller.client,
        "legalEntity": caller.legal_entity,
        "role": caller.role,
        "channel": caller.channel,
        "partner": caller.partner,
        "purposes": sorted(caller.purposes),
        "stores": list(caller.stores),
    }
