"""Consent in the reference executor: one customer, one category at a time, on facts fetched for themselves."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLObjectType,
    GraphQLResolveInfo,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    get_named_type,
    is_abstract_type,
    value_from_ast_untyped,
)
from sqlalchemy import Select, select

from cdp.consent.tables import consent_event, objection
from cdp.identity.tables import customer, merge_edge, number_index
from cdp.tables import data_key
from privacy.facts import ConsentFact, Facts, ObjectionFact
from privacy.facts import Request as Asking
from privacy.keys import KeyRow
from privacy.policy import Decision, Permit, Verdict, decide
from privacy.seal import Opener, Place, Sealed
from privacy.vocabulary import (
    SELF,
    Actor,
    ConsentKind,
    ConsentType,
    CustomerState,
    Effect,
    ObjectionKind,
    RecipientClass,
    Withheld,
)
from schema.fields import Governance
from tests.privacy.starter import starter_policy
from tests.schema.reading import Memory, Request, Side

NOT_DECLARED = Verdict(Effect.DENY, "field", Withheld.PURPOSE_NOT_DECLARED)
STRICTER = (Effect.ALLOW, Effect.MASK, Effect.DENY)
REGISTRAR = "legal.realname"
INDEX = tuple(column.name for column in number_index.c)


class Decider:
    """Verdicts and permits, each for one category of one customer."""

    def __init__(self, memory: Memory) -> None:
        self.memory, self.policy = memory, starter_policy()
        self._facts: dict[Side, Facts] = {}

    async def verdict(self, side: Side, governance: Governance, request: Request) -> Verdict | None:
        """None where nothing about a person is at stake."""
        if governance.category is None:
            return None
        if not covered(governance.purposes, request.purpose):
            return NOT_DECLARED
        return (await self.decision(side, governance.category, request)).verdicts[governance.category]

    async def permit(self, side: Side, category: str, request: Request) -> Permit:
        return (await self.decision(side, category, request)).permit

    async def decision(self, side: Side, category: str, request: Request) -> Decision:
        caller = request.caller
        asking = Asking(
            caller.client,
            caller.legal_entity,
            caller.recipient_class,
            request.purpose,
            caller.purposes,
            caller.channel,
            self.memory.house.stores[side.store].jurisdiction,
            side.destination,
            request.at,
        )
        everyone = await self.joined_facts(side, request)
        own, *others = [decide(self.policy, asking, facts, [category]) for facts in everyone]
        strictest = own.verdicts[category]
        for other in others:
            if STRICTER.index(other.verdicts[category].effect) > STRICTER.index(strictest.effect):
                strictest = other.verdicts[category]
        return Decision(own.permit, {category: strictest}, own.clear)

    async def records(self, side: Side) -> list[Side]:
        """The customer with all they were merged with, found by walking the edges; the first registered one leads."""
        edges = await self._edges(side)
        found = {side.customer_id}
        while more := {other for one, other, _ in edges if one in found} - found:
            found |= more
        sides = [replace(side, customer_id=each) for each in sorted(found, key=lambda one: one.int)]
        return [each for each in sides if await self.state(each) is not CustomerState.ERASED]

    async def joined_facts(self, side: Side, request: Request) -> list[Facts]:
        """The facts of a customer, then of each they were merged with; what was said since then is said for all."""
        others = [other for other in await self.records(side) if other != side]
        own = await self.facts(side, request)
        if not others:
            return [own]
        members = {other.customer_id for other in (side, *others)}
        since = max(at for one, _, at in await self._edges(side) if one in members)
        facts = [own]
        for other in others:
            known = await self.facts(other, request)
            minor = [list(row[:1]) for row in await self._minority(other)] == [[True]]
            facts.append(known._replace(birth_on=request.at.date() if minor else None))
        said = [[fact for fact in known.consents if fact.happened_at >= since] for known in facts]
        return [
            known._replace(
                consents=(*known.consents, *(fact for m, later in enumerate(said) if m != n for fact in later))
            )
            for n, known in enumerate(facts)
        ]

    async def _edges(self, side: Side) -> list[tuple[Any, ...]]:
        columns = (merge_edge.c.customer_id, merge_edge.c.other_id, merge_edge.c.state_at)
        make = select(*columns).where(merge_edge.c.state == "MERGED")
        return await self.memory.rows(side.store, ("edges",), lambda: make)

    async def keys(self, side: Side) -> list[KeyRow]:
        """All wrapped keys of the customer."""
        columns = (data_key.c.retention, data_key.c.generation, data_key.c.epoch, data_key.c.wrapped)
        rows = await self._mine(
            side, "keys", lambda: select(*columns).where(data_key.c.customer_id == side.customer_id)
        )
        return [tuple(row) for row in rows]

    async def state(self, side: Side) -> CustomerState:
        [[state]] = await self._mine(
            side, "state", lambda: select(customer.c.state).where(customer.c.customer_id == side.customer_id)
        )
        return CustomerState(state)

    async def facts(self, side: Side, request: Request) -> Facts:
        """Everything the customer ever said, about any purpose."""
        if side not in self._facts:
            columns = [consent_event.c[name] for name in (*WORDS, "holding_id")]
            said = await self._mine(
                side, "said", lambda: select(*columns).where(consent_event.c.customer_id == side.customer_id)
            )
            words = [dict(zip((*WORDS, "holding_id"), row, strict=True)) for row in said]
            heard = [word for row in words if (word := await self._heard(side, row))]
            consents = tuple(_consent({name: row[name] for name in WORDS}) for row in heard)
            known = Facts(side.customer_id, await self.state(side), None, consents, await self._objections(side))
            self._facts[side] = Facts(
                known.customer_id, known.state, await self._born(side, known, request), consents, known.objections
            )
        return self._facts[side]

    async def _heard(self, side: Side, word: dict[str, Any]) -> dict[str, Any] | None:
        """A word as it bears on this read: one that agrees for a number alone, only where that number was asked for."""
        if word["holding_id"] is None or word["type"] in {"REFUSED", "WITHDRAWN", "INVALIDATED", "EXPIRED"}:
            return word
        if side.held is None:
            return None
        held = dict(zip(INDEX, side.held, strict=True))
        tag, at = held["number_tag"], word["happened_at"]
        lives = await self.memory.rows(
            side.store, ("number", tag), lambda: select(*number_index.c).where(number_index.c.number_tag == tag)
        )
        mine = [
            row for life in lives if (row := dict(zip(INDEX, life, strict=True)))["customer_id"] == side.customer_id
        ]
        if word["holding_id"] not in {row["holding_id"] for row in mine} or at < held["valid_from"]:
            return None
        for row in mine:
            covers = row["valid_from"] <= at and (row["valid_to"] is None or at < row["valid_to"])
            if row["role"] == "USER" and covers and row["holding_id"] != held["holding_id"]:
                return None
        return word if held["valid_to"] is None else word | {"expires_at": at}

    async def _objections(self, side: Side) -> tuple[ObjectionFact, ...]:
        columns = [objection.c[name] for name in ("kind", "scope", "happened_at", "recorded_at", "raised")]
        rows = await self._mine(
            side, "objected", lambda: select(*columns).where(objection.c.customer_id == side.customer_id)
        )
        facts = []
        for kind, scope, at, known_at, raised in rows:
            ends = [other[2] for other in rows if other[:2] == (kind, scope) and not other[4] and other[2] >= at]
            if raised:
                facts.append(ObjectionFact(ObjectionKind(kind), scope, at, known_at, min(ends, default=None)))
        return tuple(facts)

    async def _born(self, side: Side, known: Facts, request: Request) -> Any:
        """The birth date of a minor, opened as the law on real names allows."""
        [[minor, cell]] = await self._minority(side)
        if not minor or cell is None or known.state not in {CustomerState.ACTIVE, CustomerState.RESTRICTED}:
            return None
        house = self.memory.house
        here, sealed = house.stores[side.store].jurisdiction, customer.c.birth_date.info["sealed"]
        duty = Asking("test", SELF, RecipientClass.SELF, REGISTRAR, frozenset({REGISTRAR}), "", here, here, request.at)
        permit = decide(self.policy, duty, known, [sealed.category]).permit
        opener = Opener(permit, house.rings[side.store], side.customer_id, await self.keys(side))
        return opener.open(Sealed(cell), Place(house.settings.tenant, side.store, sealed), side.customer_id)

    async def _minority(self, side: Side) -> list[tuple[Any, ...]]:
        columns = (customer.c.is_minor, customer.c.birth_date)
        make = select(*columns).where(customer.c.customer_id == side.customer_id)
        return await self._mine(side, "born", lambda: make)

    async def _mine(self, side: Side, what: str, make: Callable[[], Select[Any]]) -> list[tuple[Any, ...]]:
        return await self.memory.rows(side.store, (what, side.customer_id), make)


WORDS = (
    *("type", "kind", "purpose", "happened_at", "recorded_at", "category", "channel", "recipient", "destination"),
    *("notice", "expires_at", "actor"),
)


def _consent(row: Mapping[str, Any]) -> ConsentFact:
    said = {"type": ConsentType(row["type"]), "kind": ConsentKind(row["kind"]), "actor": Actor(row["actor"])}
    return ConsentFact(**{**row, **said})


def purpose_of_document(document: DocumentNode) -> str:
    """The purpose written in a document of one operation."""
    [operation] = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    [purpose] = [node for node in operation.directives or () if node.name.value == "purpose"]
    return str(value_from_ast_untyped((purpose.arguments or ())[0].value))


def categories_asked(info: GraphQLResolveInfo[Any], of: str, purpose: str) -> frozenset[str]:
    """The categories asked of an object of a type at a field, and declared for the purpose, whether or not a row has
    them.
    """
    walk = _Walk(info, purpose)
    type_ = info.schema.type_map[of]
    assert isinstance(type_, GraphQLObjectType)
    asked = (node.selection_set.selections for node in info.field_nodes if node.selection_set is not None)
    return frozenset(category for selections in asked for category in walk.below(type_, selections))


class _Walk:
    def __init__(self, info: GraphQLResolveInfo[Any], purpose: str) -> None:
        self.schema, self.purpose = info.schema, purpose
        self.variables = info.variable_values.coerced
        self.fragments = info.fragments

    def below(self, of: GraphQLObjectType, selections: Any) -> Iterator[str]:
        for node in selections:
            if not self.included(node):
                continue
            if isinstance(node, FieldNode):
                yield from self.field(of, node)
                continue
            inner = node if isinstance(node, InlineFragmentNode) else self.fragments[node.name.value]
            condition = of.name if inner.type_condition is None else inner.type_condition.name.value
            abstract = self.schema.type_map[condition]
            if condition == of.name or (is_abstract_type(abstract) and self.schema.is_sub_type(abstract, of)):
                yield from self.below(of, inner.selection_set.selections)

    def field(self, of: GraphQLObjectType, node: FieldNode) -> Iterator[str]:
        if node.name.value.startswith("__"):
            return
        definition = of.fields[node.name.value]
        declared = definition.extensions["strawberry-definition"].metadata.get("cdp")
        governance: Governance | None = getattr(declared, "governance", None)
        if governance and governance.category and covered(governance.purposes, self.purpose):
            yield governance.category
        inner = get_named_type(definition.type)
        if node.selection_set is not None:
            every = self.schema.get_possible_types(inner) if is_abstract_type(inner) else [inner]
            for one in every:
                assert isinstance(one, GraphQLObjectType)
                yield from self.below(one, node.selection_set.selections)

    def included(self, node: SelectionNode) -> bool:
        for directive in node.directives or ():
            value = value_from_ast_untyped((directive.arguments or ())[0].value, dict(self.variables))
            if bool(value) != (directive.name.value == "include"):
                return False
        return True


def covered(purposes: tuple[str, ...], purpose: str) -> bool:
    """Whether a purpose or a parent of it is among those a field declares."""
    return any(purpose == known or purpose.startswith(f"{known}.") for known in purposes)
