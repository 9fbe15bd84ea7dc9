"""One run of a plan: arguments bound, reads made, orders given, the data put together in the order it was asked for."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import DocumentNode, OperationDefinitionNode, OperationType, SelectionSetNode, execute_sync
from graphql.execution.values import VariableValues

from cdp.asked import Asked
from cdp.errors import RequestInvalid
from cdp.gate import Part
from cdp.gateway import Outgoing
from cdp.ingest import Outcome
from cdp.intake import Intake
from cdp.linking import Linking
from cdp.query import Query
from cdp.rendering import to_json
from cdp.shape import Reading
from cdp.wanted import Wanted
from schema.plan.document import Document
from schema.plan.letters import dead_letters, order_letter
from schema.plan.linking import change_link, crossing, propose_link
from schema.plan.matches import merge_proposals
from schema.plan.numbers import NUMBER_ROOTS, bind_number, tell_number
from schema.plan.officers import Question
from schema.plan.operation import INTROSPECTION, KEPT, LETTERS, OFFICERS, Operation, OperationRoot
from schema.plan.orders import correct, give, shown, take_in
from schema.plan.picks import json_object, payload
from schema.plan.proposals import proposal
from schema.plan.queue import queued
from schema.plan.targets import Reach, bind, wanted_customer

MOST_COST = 20_000
"""Values an operation may return at most."""
QUESTIONS: Final = frozenset((*OFFICERS, "consentReceipt"))
WAITING: Final[Mapping[str, Callable[[dict[str, Any], Reach], Awaitable[tuple[str, Any]]]]] = {
    "mergeProposals": merge_proposals,
    "privacyRequests": queued,
    "deadLetters": dead_letters,
}


@dataclass(slots=True)
class Run:
    """One request's way through its plan."""

    document: Document
    plan: Operation
    variables: VariableValues
    reach: Reach
    reading: Reading
    query: Query
    intake: Intake
    outgoing: Outgoing

    @property
    def asked(self) -> Asked:
        """The operation under way."""
        return self.reach.asked

    async def data(self) -> str:
        """The `data` of the answer as JSON text. All is bound, and refused where it must be, before anything runs."""
        arguments = self.bind()
        if self.plan.kind is OperationType.MUTATION:
            return json_object(
                {root.key: await self._order(root, arguments.get(root.key, {})) for root in self.plan.roots}
            )
        return json_object(await self._read(arguments))

    def bind(self) -> dict[str, dict[str, Any]]:
        """The arguments of each root. Raises RequestInvalid for what may not be asked, or is too much."""
        arguments = {root.key: root.arguments.values(self.variables) for root in self.plan.roots if root.arguments}
        total = 0
        for read in self.plan.reads:
            bindings, values = read.bind(self.variables, self.reach.tokens, self.reach.caller.client)
            self.reading.bindings |= bindings
            total += values
        if total > MOST_COST:
            raise RequestInvalid(
                "QUERY_TOO_COSTLY", f"the operation may return {total} values: expected {MOST_COST} at most"
            )
        return arguments

    async def _read(self, arguments: dict[str, dict[str, Any]]) -> dict[str, str]:
        bound = {root.key: bind(root, arguments[root.key], self.reach) for root in self.plan.roots if root.reads}
        questions = {root.key for root in self.plan.roots if root.name in QUESTIONS}
        about = [root for root in self.plan.roots if root.name in NUMBER_ROOTS]
        numbers = {root.key: bind_number(root, arguments[root.key], self.reach) for root in about}
        wanted = [want for key, reads in bound.items() if key not in questions for want in reads.values()]
        found = await self.query.read(wanted, self.asked, self.reading)
        data: dict[str, str] = {}
        about_schema = introspected(self.document, self.plan, self.variables) if self.plan.introspects else {}
        for root in self.plan.roots:
            if root.key in questions:
                question = Question(arguments[root.key], await self._heard(bound.get(root.key, {})), self.reach)
                data[root.key] = await question.answer(root, self.document.schema)
            elif root.name == "proposeMerge":
                seen = {key: found[want.root.number] for key, want in bound[root.key].items()}
                data[root.key] = await proposal(root, seen, self.reach)
            elif root.name in KEPT:
                assert root.picks is not None
                store, kept = await WAITING[root.name](arguments[root.key], self.reach)
                self.asked.stores.add(store)
                data[root.key] = to_json(root.picks.of(kept))
            elif root.reads:
                [want] = bound[root.key].values()
                data[root.key] = found[want.root.number]
            elif root.key in numbers:
                assert root.picks is not None
                told = await tell_number(numbers[root.key], self.reach, self.reading.findings)
                data[root.key] = to_json(root.picks.of(told))
            else:
                value = about_schema[root.key] if root.name in INTROSPECTION else self._at_hand(root)
                data[root.key] = to_json(value)
        return data

    async def _heard(self, reads: Mapping[str, Wanted]) -> list[Part]:
        """The records a question is about of which may be read what was said; the others are withheld as a whole."""
        heard: list[Part] = []
        for want in reads.values():
            before, categories = len(self.asked.parts), want.root.categories
            await self.query.read([want], self.asked, self.reading)
            self.reading.findings.gather(want.root.path)
            heard += [part for part in self.asked.parts[before:] if categories and part.shows_all(categories)]
        return heard

    def _at_hand(self, root: OperationRoot) -> Any:
        """The roots that need no store."""
        assert root.picks is not None
        if root.name == "__typename":
            return root.picks.type_name
        caller = self.reach.caller
        return root.picks.of(
            {
                "client": caller.client,
                "legalEntity": caller.legal_entity,
                "role": caller.role,
                "channel": caller.channel,
                "partner": caller.partner,
                "purposes": sorted(caller.purposes),
                "stores": list(caller.stores),
            }
        )

    async def _order(self, root: OperationRoot, arguments: dict[str, Any]) -> str:
        assert root.picks is not None
        if root.name == "__typename":
            return to_json(root.picks.type_name)
        if root.name == "ingest":
            return to_json(root.picks.of(await take_in(arguments, self.reach, self.intake)))
        if root.name == "proposeLink":
            return to_json(root.picks.of(await propose_link(arguments, self.reach, self._linking())))
        if root.name in LETTERS:
            store, became = await order_letter(root.name, arguments, self.reach, self.intake.writer)
            self.asked.stores.add(store)
            return to_json(root.picks.of(became))
        event_id: str | None = None
        if root.name in ("confirmLink", "unlink"):
            outcome = await change_link(root.name, arguments, self.reach, self._linking())
        elif root.name == "approveCorrection":
            event_id, outcome = await correct(arguments, self.reach, self.intake.writer)
        else:
            event_id, outcome = await give(root.name, arguments, self.reach, self.intake.writer)
        customers = await self._customers(root, outcome)
        return payload(root.picks, {"outcome": shown(event_id, outcome)}, customers)

    def _linking(self) -> Linking:
        return Linking(self.intake.writer, self.outgoing, crossing(self.document.schema, self.reach))

    async def _customers(self, root: OperationRoot, outcome: Outcome) -> dict[str, str]:
        """The customer an order was about, read anew for each place that asks for them."""
        if outcome.store is not None:
            self.asked.stores.add(outcome.store)
        if outcome.customer_id is None or outcome.store is None:
            return dict.fromkeys(root.reads, "null")
        wanted = {key: wanted_customer(read, outcome.store, outcome.customer_id) for key, read in root.reads.items()}
        found = await self.query.read(list(wanted.values()), self.asked, self.reading)
        return {key: found[want.root.number] for key, want in wanted.items()}


def introspected(document: Document, plan: Operation, variables: VariableValues) -> dict[str, Any]:
    """What introspection asks, answered by graphql-core from the schema alone."""
    nodes = [node for root in plan.roots if root.name in INTROSPECTION for node in root.nodes]
    operation = plan.definition
    about_schema = OperationDefinitionNode(
        operation=operation.operation,
        name=operation.name,
        variable_definitions=operation.variable_definitions,
        directives=(),
        selection_set=SelectionSetNode(selections=tuple(nodes)),
    )
    others = [node for node in document.ast.definitions if not isinstance(node, OperationDefinitionNode)]
    result = execute_sync(
        document.schema,
        DocumentNode(definitions=(about_schema, *others)),
        variable_values=variables.coerced,
    )
    assert result.data is not None, "introspection of a validated document does not fail"
    return result.data
