"""From a request to its answer: find the plan, bind it, run it, write it down, let it go."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from json.encoder import encode_basestring
from typing import Any, NamedTuple

import structlog
from graphql import GraphQLError, OperationType
from graphql.execution.values import VariableValues

from cdp.asked import Asked, shows_anything
from cdp.auth import Caller, Role
from cdp.documents import find_document, registered_sources
from cdp.errors import AuthError, RequestInvalid, Unavailable
from cdp.exchange import Answer, GraphqlRequest
from cdp.gate import Findings
from cdp.gateway import Outgoing
from cdp.identity.honey import Watch
from cdp.intake import Intake
from cdp.news import News
from cdp.query import Query
from cdp.rendering import to_json
from cdp.settings import Settings
from cdp.shape import Reading
from privacy.keys import TokenSeal
from privacy.vocabulary import PURPOSES
from schema.plan.document import MOST_REGISTERED, Document, DocumentInvalid, Documents, hash_of
from schema.plan.limits import reads_schema_only
from schema.plan.operation import OFFICERS, Operation
from schema.plan.run import Run
from schema.plan.targets import Reach
from schema.subscribing import Means, Single, Subscribed, subscribe

MOST_LOCATIONS = 10
"""Validation errors told at once."""

log = structlog.get_logger()


class Bound(NamedTuple):
    """An operation of a document with its variables."""

    document: Document
    plan: Operation
    variables: VariableValues


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """Answers the operations of verified callers; each has its audit entry when the answer is returned."""

    settings: Settings
    query: Query
    intake: Intake
    tokens: TokenSeal
    documents: Documents
    outgoing: Outgoing
    watch: Watch
    news: News

    async def answer(self, request: GraphqlRequest, caller: Caller) -> Answer:
        """The answer to one operation. Raises RequestInvalid, AuthError and Unavailable, none of them audited yet."""
        try:
            bound = await self._bound(request, caller)
        except DocumentInvalid as invalid:
            return await self._unfit(caller, invalid)
        if bound.plan.kind is OperationType.SUBSCRIPTION:
            raise RequestInvalid("STREAM_REQUIRED", "a subscription is answered as text/event-stream, or over a socket")
        run = self._run(bound, caller)
        return await self._answer(run, await run.data())

    async def stream(self, request: GraphqlRequest, caller: Caller, after: str | None = None) -> Single | Subscribed:
        """The answers to a subscription, as they come; to anything else the one there is. Raises as `answer` does.

        `after`: the position of the last one that was seen, instead of the argument of this name.
        """
        try:
            bound = await self._bound(request, caller)
        except DocumentInvalid as invalid:
            return Single(await self._unfit(caller, invalid))
        if bound.plan.kind is OperationType.SUBSCRIPTION:
            return await subscribe(Means(self.news, partial(self._run, bound, caller), self._answer), after)
        run = self._run(bound, caller)
        return Single(await self._answer(run, await run.data()))

    async def _unfit(self, caller: Caller, invalid: DocumentInvalid) -> Answer:
        await self.refused(caller, invalid.code)
        told = [_told(error, invalid.code) for error in invalid.errors[:MOST_LOCATIONS]]
        return Answer(400, to_json({"errors": told}).encode())

    async def shown(self, request: GraphqlRequest, caller: Caller) -> bytes | None:
        """The answer, None where the caller may see nothing of any customer; audited either way. Raises as `answer`."""
        try:
            run = self._run(await self._bound(request, caller), caller)
            answer = await self._answer(run, await run.data())
        except (RequestInvalid, AuthError) as refused:
            await self.refused(caller, refused.code)
            raise
        return answer.body if shows_anything(run.asked) else None

    async def _bound(self, request: GraphqlRequest, caller: Caller) -> Bound:
        self.watch.check(caller)
        document = await self._document(request, caller)
        prepared = document.operation(request.operation_name)
        variables = prepared.variables.values(request.variables)
        plan = prepared.plan(variables.coerced)
        check_caller(plan, caller)
        return Bound(document, plan, variables)

    def _run(self, bound: Bound, caller: Caller) -> Run:
        """A run of the operation as of now. Raises AuthError for a client that is suspended by now."""
        self.watch.check(caller)
        now = datetime.now(UTC)
        # The id of the audit entry holds it to the millisecond; what was recorded since is decided as of its own time.
        at = now.replace(microsecond=now.microsecond // 1000 * 1000)
        reach = Reach(self.settings, self.query.stores, self.tokens, Asked(caller, bound.plan, at), now)
        reading = Reading({}, self.tokens, caller.client, caller.legal_entity, Findings(), caller.partner)
        return Run(*bound, reach, reading, self.query, self.intake, self.outgoing)

    async def _answer(self, run: Run, data: str) -> Answer:
        """What was found, to be let go: its entry is durable."""
        await self.watch.look_over(run.asked)
        entry_id = await self.query.write_down(run.asked)
        if not run.plan.purpose:
            return Answer(200, f'{{"data":{data}}}'.encode())
        report = _report(run.reading.findings, run.asked.caller)
        privacy = f'{{"purpose":{encode_basestring(run.plan.purpose)},"auditId":"{entry_id}",{report}'
        return Answer(200, f'{{"data":{data},"extensions":{{"privacy":{privacy}}}}}'.encode())

    async def refused(self, caller: Caller, code: str) -> None:
        """Write down that a known caller was refused. Raises AuditUnavailable."""
        await self.query.write_down(Asked(caller, None, datetime.now(UTC)), code)

    def allow_get(self, source: str) -> bool:
        """Whether a document may come in a URL: only one that touches no customer's data."""
        return reads_schema_only(source, self.documents.limits)

    async def plan_registered(self) -> None:
        """Plan what is registered before anyone asks for it; one that does not fit the schema any more is left out."""
        first = next(iter(self.query.stores.values())).store
        try:
            async with first.read() as connection:
                sources = await registered_sources(connection, MOST_REGISTERED)
        except Unavailable as down:
            log.warning("registered documents not planned", code=down.code)
            return
        for source in sources:
            try:
                document = self.documents.keep(source)
            except RequestInvalid as invalid:
                log.warning("registered document left out", document=hash_of(source), code=invalid.code)
                continue
            for prepared in document.operations.values():
                prepared.plan({})

    async def _document(self, request: GraphqlRequest, caller: Caller) -> Document:
        if request.query is not None and not caller.partner:
            return self.documents.get(request.query)
        digest = request.document_hash or hash_of(request.query or "")
        document = self.documents.registered.get(digest) or await self._registered(digest)
        if document is None and caller.partner:
            raise AuthError("DOCUMENT_NOT_REGISTERED", "Partners run registered documents only.", 403)
        if document is None:
            raise RequestInvalid("DOCUMENT_NOT_FOUND", "No document with this hash is registered.")
        return document

    async def _registered(self, digest: str) -> Document | None:
        """A document that was registered since this process began."""
        store = next(iter(self.query.stores.values())).store
        async with store.read() as connection:
            found = await find_document(connection, digest)
        return None if found is None else self.documents.keep(found)


def check_delivered(documents: Documents, source: str, caller: Caller) -> str:
    """The purpose of a document whose answers are delivered to a caller, who is granted it. Raises RequestInvalid and
    AuthError for one that the caller could not run, or that tells nothing of the customer it is given.
    """
    prepared = documents.get(source).operation(None)
    plan, given = prepared.plan({}), prepared.definition.variable_definitions or ()
    check_caller(plan, caller._replace(purposes=frozenset({plan.purpose})))
    if plan.kind is not OperationType.QUERY or not plan.governed or "id" not in {v.variable.name.value for v in given}:
        raise RequestInvalid("DOCUMENT_UNFIT", "document: expected one query of a customer by $id, and of their data")
    return plan.purpose


def check_caller(plan: Operation, caller: Caller) -> None:
    """Step 0 of every decision: the purpose is the operation's own and among the caller's grants."""
    if plan.introspects and caller.partner:
        raise AuthError("INTROSPECTION_REFUSED", "Introspection is not open to partners.", 403)
    names = {root.name for root in plan.roots}
    if names.intersection(OFFICERS) and (caller.partner or caller.role != Role.OFFICER):
        raise AuthError("FORBIDDEN", "these questions are open to privacy officers alone", 403)
    if "consentReceipt" in names and caller.partner:
        raise AuthError("FORBIDDEN", "receipts are not open to partners", 403)
    if not plan.touches_customers:
        return
    if not plan.purpose:
        raise RequestInvalid(
            "PURPOSE_REQUIRED", 'expected the operation to name its purpose: @purpose(id: "service.care")'
        )
    if plan.purpose not in PURPOSES:
        raise RequestInvalid("PURPOSE_UNKNOWN", "@purpose(id:): expected a purpose such as service.care")
    if plan.purpose not in caller.purposes:
        raise AuthError("PURPOSE_NOT_GRANTED", "the caller was not granted this purpose", 403)


def _report(findings: Findings, caller: Caller) -> str:
    """The `withheld` and `masked` members of an answer, as the rest of a JSON object."""
    if not findings.withheld and not findings.masked:
        return '"withheld":[],"masked":[]}'
    return to_json(findings.report(partner=caller.partner))[1:]


def _told(error: GraphQLError, code: str) -> dict[str, Any]:
    told: dict[str, Any] = {"message": error.message, "extensions": {"code": code}}
    if error.locations:
        told["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    return told
