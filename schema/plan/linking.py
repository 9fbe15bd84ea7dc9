"""Orders about links between stores: from their arguments to the journey of links, and what the policy says of it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from graphql import GraphQLSchema, parse
from graphql.execution.values import VariableValues

from cdp.admission import Admission
from cdp.errors import RequestInvalid
from cdp.linking import Crossing, Linking, Side
from cdp.numbers import PhoneNumber
from cdp.outcome import Outcome
from cdp.statement import HEAD_ROW, POLICY_VERSION, KeyKind, Way
from privacy.errors import TokenRefused
from privacy.rulebook import UNRULED
from privacy.vocabulary import Effect, Withheld
from schema.plan.document import Document
from schema.plan.operation import Operation
from schema.plan.orders import shown
from schema.plan.targets import Reach, no_partners

KIND: Final = "link"
SAID: Final = "number.holding"
"""What a link itself says of a customer to the other side: that they hold a number over there too."""
QUESTION: Final = 'query @purpose(id: "PURPOSE") { customer(id: "") { holdings { region } } }'
CODE: Final = re.compile(r"[0-9]{6}")
Arguments = Mapping[str, Any]


async def propose_link(arguments: Arguments, reach: Reach, linking: Linking) -> dict[str, Any]:
    """What became of a proposal, as the schema has it. Raises RequestInvalid, AuthError, StoreUnavailable."""
    no_partners(reach.caller)
    mine = _side(arguments["number"], arguments.get("region"), "", reach)
    other = _side(arguments["otherNumber"], arguments.get("otherRegion"), "other", reach)
    if mine.store == other.store:
        raise RequestInvalid("LINK_ONE_STORE", "otherNumber: expected a number that another store keeps")
    for store in (mine.store, other.store):
        await reach.announce(store)
    proposed = await linking.propose(mine, other)
    reach.asked.stores |= {mine.store, other.store}
    token = None
    if proposed.token is not None:
        payload = proposed.token + f"{mine.store}:{other.store}".encode()
        token = reach.tokens.seal(KIND, reach.caller.legal_entity, payload)
    return {"outcome": shown(None, proposed.outcome), "token": token, "expiresAt": proposed.expires_at}


async def change_link(name: str, arguments: Arguments, reach: Reach, linking: Linking) -> Outcome:
    """Confirm a link, or end one. Raises like `propose_link`."""
    no_partners(reach.caller)
    if name == "unlink":
        region = arguments.get("otherRegion")
        mine = _side(arguments["number"], arguments.get("region"), "", reach)
        await reach.announce(mine.store)
        return await linking.end(mine, None if region is None else reach.settings.store_of(region))
    try:
        payload = reach.tokens.open(KIND, reach.caller.legal_entity, arguments["token"])
    except TokenRefused:
        raise RequestInvalid("LINK_UNKNOWN", "token: expected the token of a proposal") from None
    if not CODE.fullmatch(arguments["code"]):
        raise RequestInvalid("LINK_CODE_INVALID", "code: expected six digits")
    stores = payload[16:].decode().split(":")
    for store in stores:
        _open(store, "token", reach)
    for store in stores:
        await reach.announce(store)
    reach.asked.stores |= set(stores)
    return await linking.confirm(stores[0], payload[:16], arguments["code"])


def crossing(schema: GraphQLSchema, reach: Reach) -> Crossing:
    """The decision of a read in the other store's jurisdiction, for the purpose of the operation under way."""
    asked = reach.asked
    assert asked.plan is not None, "an order has a plan"
    plan, variables = _question(schema, asked.plan.purpose)
    asking = replace(asked, plan=plan)
    [read] = plan.reads
    lists, _ = read.bind(variables, reach.tokens, reach.caller.client)
    statement = plan.statement((Way(read.root.number, KeyKind.CUSTOMER),))

    async def may_cross(store: str, customer_id: UUID, other: str) -> Withheld | None:
        at, there = reach.stores[store], reach.settings.jurisdiction_of(other)
        bound = lists | {f"r{read.root.number}_key": customer_id, f"r{read.root.number}_held": None}
        keys, shared = [bound[name] for name in statement.keys], tuple([bound[name] for name in statement.shared])
        rows = await at.rows(statement, keys, shared)
        for row in rows:
            policy = await at.policy_since(row[HEAD_ROW][POLICY_VERSION])
            verdict = Admission(at, policy, there, asking).part(row).decision.verdicts.get(SAID, UNRULED)
            if verdict.effect is not Effect.ALLOW:
                return verdict.code or Withheld.UNAVAILABLE
        return None if rows else Withheld.UNAVAILABLE

    return may_cross


@lru_cache(maxsize=64)
def _question(schema: GraphQLSchema, purpose: str) -> tuple[Operation, VariableValues]:
    """What is asked of a customer who is to be linked, for a purpose that is known."""
    prepared = Document("", parse(QUESTION.replace("PURPOSE", purpose)), schema).operation(None)
    return prepared.plan({}), prepared.variables.values({})


def _side(number: str, region: str | None, other: str, reach: Reach) -> Side:
    """A number and its store."""
    field = f"{other}Number" if other else "number"
    parsed = PhoneNumber.parse(number, region)
    store = reach.settings.store_of(region or parsed.region)
    _open(store, field, reach)
    return Side(store, parsed.e164)


def _open(store: str, field: str, reach: Reach) -> None:
    if not reach.open_to(store):
        expected = "of a region that is served here and open to the caller"
        raise RequestInvalid(Withheld.REGION_UNAVAILABLE.value, f"{field}: expected one {expected}")
