"""What a caller can ask with: the ids and cursors they might have been given, put together from the rows themselves."""

from dataclasses import dataclass
from uuid import UUID

from graphql import GraphQLInterfaceType, GraphQLSchema

from cdp.auth import Caller
from cdp.cursors import cursor
from cdp.global_ids import GlobalId, link_id, row_id
from tests.schema.people import BROKEN_LINK, LINK, SILENT_LINK
from tests.schema.reading import record_of
from tests.schema.world import World


@dataclass(frozen=True, slots=True)
class Known:
    """Ids by type, and cursors by the connection they are of."""

    ids: dict[str, list[str]]
    cursors: dict[str, list[str]]


async def known(world: World, schema: GraphQLSchema, caller: Caller) -> Known:
    """Ids of all rows of every type in both stores, of links that stand or not, by holdings that last or not, and some
    that are none.
    """
    tokens, audience = world.house.tokens, caller.legal_entity
    node = schema.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    ids: dict[str, list[str]] = {}
    for of in schema.get_implementations(node).objects:
        record = record_of(of)
        for name, store in world.house.stores.items():
            async with store.read() as connection:
                columns = f"customer_id, {record.key.name}"
                rows = await connection.fetch(f'SELECT {columns} FROM "{record.table.name}" ORDER BY 1, 2')
            made = [row_id(tokens, audience, GlobalId(of.name, name, *row)) for row in rows]
            ids[of.name] = ids.get(of.name, []) + made
    ids["Customer"] += [link_id(tokens, audience, bytes.fromhex(link)) for link in (LINK, BROKEN_LINK, SILENT_LINK)]
    async with world.house.stores["hk"].read() as connection:
        held = await connection.fetch("SELECT customer_id, holding_id FROM number_holding ORDER BY valid_to, 1, 2")
    bound = [GlobalId("Customer", "hk", customer, customer, holding=holding) for customer, holding in held[:2]]
    strange = bound[0]._replace(holding=bound[1].holding)
    ids["Customer"] += [row_id(tokens, audience, one) for one in (*bound, strange)]
    nobody, other = GlobalId("Case", "cn", UUID(int=1), UUID(int=2)), ids["Case"][0]
    ids["Case"] += [row_id(tokens, audience, nobody), row_id(tokens, "STRANGER", nobody), other[:-2] + "AA", "nonsense"]
    return Known(ids, await cursors(world, caller))


async def cursors(world: World, caller: Caller) -> dict[str, list[str]]:
    """A cursor after each usage record, and after each customer."""
    tokens, client = world.house.tokens, caller.client
    async with world.house.stores["cn"].read() as connection:
        used = await connection.fetch("SELECT at, record_id FROM usage_record ORDER BY 1, 2")
        people = await connection.fetch("SELECT customer_id FROM customer ORDER BY 1")
    return {
        "usage": [cursor(tokens, "Customer.usage", client, [*row]) for row in used],
        "customers": [cursor(tokens, "Query.customers", client, [*row]) for row in people],
    }
