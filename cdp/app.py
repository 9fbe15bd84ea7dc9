"""The only place where things are wired: what the process serves, and how HTTP reaches it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from cdp.admission import OpenStore
from cdp.asked import Book
from cdp.auth import Caller, Verifier
from cdp.bulk import keep_for_good
from cdp.consent.policy_rows import starter_rows, write_policy
from cdp.console import console_mount, page
from cdp.crossings import Crossings
from cdp.endpoint import Door, GraphqlEndpoint
from cdp.errors import CdpError
from cdp.evidence import EvidenceDesk
from cdp.exchange import JSON_TYPE, GraphqlRequest, refusal_of
from cdp.gate import Places
from cdp.gateway import Gateway, HttpGateway, Outgoing, SpoolGateway
from cdp.gather import Gatherer
from cdp.headers import RAW_HEADERS, SecurityHeaders
from cdp.house import House, unlock_store
from cdp.identity.honey import Watch
from cdp.ingest import Writer
from cdp.intake import Intake
from cdp.jwks import IssuerKeys
from cdp.linking import WriterFor
from cdp.metrics import Metrics
from cdp.news import News
from cdp.query import Query
from cdp.receiving import Receiver, reception_of
from cdp.root_keys import root_kms
from cdp.settings import Settings
from cdp.sockets import SocketEndpoint
from cdp.stores import Store, Stores
from cdp.streams import Seats
from cdp.webhooks.courier import Courier, Means
from cdp.webhooks.endpoints import measure_endpoints
from cdp.witness import Witness
from cdp.worker import Job, evidence_jobs, work, work_once
from privacy.keys import KeyRing
from privacy.notes import LONGEST_NOTE
from schema.answers import FrontDoor, check_delivered
from schema.declaration import declare, graphql_schema
from schema.explain import explain
from schema.plan.document import Documents

KEYS_FILE: Final = Path("tokens/jwks.json")
MESSAGES: Final = Path("messages")
READY_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 1.0

log = structlog.get_logger()


@asynccontextmanager
async def _nothing(_: Starlette) -> AsyncIterator[None]:
    yield


async def _measure_nothing(_: Metrics) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Parts:
    """What an app is made of. measure: brings the meters up to date that nobody turns here.

    ready: store -> True when it answers. lifespan: opens what the other parts use, and closes it after the requests in
    flight have been answered. receiver: takes in events, below /v1.
    """

    door: Door
    ready: Mapping[str, Callable[[], Awaitable[bool]]]
    metrics: Metrics = field(default_factory=Metrics)
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]] = _nothing
    routes: Sequence[Route] = ()
    measure: Callable[[Metrics], Awaitable[None]] = _measure_nothing
    receiver: ASGIApp | None = None


def create_app(parts: Parts) -> ASGIApp:
    """The ASGI app: /graphql, /v1, /console/static, /healthz, /readyz, /metrics, and the routes of its parts."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        states = await asyncio.gather(*(_is_ready(name, ask) for name, ask in parts.ready.items()))
        stores = {name: "ready" if state else "unavailable" for name, state in zip(parts.ready, states, strict=True)}
        return JSONResponse({"stores": stores}, 200 if all(states) else 503)

    async def metrics(_: Request) -> Response:
        await parts.measure(parts.metrics)
        return Response(parts.metrics.text(), media_type=parts.metrics.content_type)

    seats = Seats()
    graphql = GraphqlEndpoint(parts.door, SecurityHeaders(page()), parts.metrics, RAW_HEADERS, seats)
    sockets = SocketEndpoint(parts.door, parts.metrics, seats)
    routes = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
        *parts.routes,
        console_mount(),
    ]
    every = SecurityHeaders(Starlette(routes=routes, lifespan=parts.lifespan))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # What is asked most goes straight to its app, past routing and middleware that it has no use for.
        kind, path = scope["type"], scope.get("path", "")
        first: ASGIApp | None = parts.receiver if kind == "http" and path.startswith("/v1/") else None
        if path == "/graphql":
            first = graphql if kind == "http" else sockets
        await (first or every)(scope, receive, send)

    return app


def audit_route(desk: EvidenceDesk) -> Route:
    """Where the evidence of the audit trail is asked for."""

    async def audit(request: Request) -> Response:
        store, authorization = request.query_params.get("store"), request.headers.get("authorization")
        try:
            answer = await desk.answer(request.path_params["path"], store, authorization)
        except CdpError as error:
            refusal = refusal_of(error)
            headers = {401: {"www-authenticate": "Bearer"}, 503: {"retry-after": "1"}}.get(refusal.status, {})
            return Response(refusal.body, refusal.status, headers, JSON_TYPE)
        headers = {name.decode(): value.decode() for name, value in answer.headers}
        return Response(answer.body, answer.status, headers, answer.media_type)

    return Route("/audit/{path:path}", audit)


def witness_app(witness: Witness) -> ASGIApp:
    """The app of a witness: POST /add-checkpoint, as tlog-witness has it."""

    async def add_checkpoint(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_NOTE:
                return Response(status_code=413)
        told = await asyncio.to_thread(witness.add_checkpoint, body)
        return Response(told.body, told.status, {"content-type": told.media_type})

    return SecurityHeaders(Starlette(routes=[Route("/add-checkpoint", add_checkpoint, methods=["POST"])]))


async def _is_ready(store: str, ask: Callable[[], Awaitable[bool]]) -> bool:
    try:
        async with asyncio.timeout(READY_SECONDS):
            return await ask()
    except Exception:
        # Whatever keeps a store from answering, it is not ready.
        log.warning("store is not ready", store=store, exc_info=True)
        return False


def writer_of(house: House) -> Writer:
    """The write door of a house."""
    settings = house.settings
    return Writer(house.stores, house.rings, settings.regions, lambda: datetime.now(UTC), settings.legal_entity)


def writer_for(settings: Settings, stores: Stores) -> WriterFor:
    """A write door to one store at a time, for those whose keys are not at hand while another store is down."""
    rings: dict[str, KeyRing] = {}

    async def opened(name: str) -> Writer:
        served = {name: stores[name]} if name in stores else {}
        if served and name not in rings:
            rings[name] = await unlock_store(settings, root_kms(settings), stores[name])
        return Writer(served, rings, settings.regions, lambda: datetime.now(UTC), settings.legal_entity)

    return opened


def gateway_of(settings: Settings) -> Gateway:
    """The way to customers: the operator's gateway, or files for a laptop."""
    if settings.gateway_url is None:
        return SpoolGateway(settings.home / MESSAGES, settings.environment)
    return HttpGateway(settings.gateway_url, settings.gateway_token)


def front_door(house: House) -> FrontDoor:
    """The read and write journeys of a house behind its schema."""
    stores = {
        name: OpenStore(
            store,
            house.rings[name],
            Book(name, store.jurisdiction, house.trails[name]),
            Places(house.settings.tenant, name),
            Gatherer(store),
            Crossings(store),
        )
        for name, store in house.stores.items()
    }
    settings, watch, news = house.settings, Watch(house.stores, house.trails), News(house.stores)
    intake = Intake(writer_of(house), settings.intake_queue, settings.intake_writers)
    ways = _documents(), Outgoing(gateway_of(settings)), watch, news
    return FrontDoor(settings, Query(stores), intake, house.tokens, *ways)


def verifier_of(settings: Settings) -> Verifier:
    """Who checks tokens: by the keys of the settings, or those that `cdp token` made."""
    keys = IssuerKeys(settings.token_keys or str(settings.home / KEYS_FILE))
    return Verifier(keys, settings.token_issuer, settings.token_audience, settings.legal_entity)


def serve_house(house: House) -> ASGIApp:
    """The app of an open house."""
    settings, front, verifier = house.settings, front_door(house), verifier_of(house.settings)
    asks = (front.answer, front.refused, front.allow_get, front.stream)
    door = Door(verifier.verify, *asks, verifier.expires_at, settings.body_bytes)

    async def welcome(token: str) -> Caller:
        caller = await verifier.verify(token)
        front.watch.check(caller)
        return caller

    def ready(store: Store) -> Callable[[], Awaitable[bool]]:
        async def answers() -> bool:
            await store.ping()
            return True

        return answers

    @asynccontextmanager
    async def planned(_: Starlette) -> AsyncIterator[None]:
        watching = Job("honey", LOOK_SECONDS, front.watch.look)
        await work_once(house.stores.values(), [watching])
        await front.plan_registered()
        keep_for_good()
        stop = asyncio.Event()
        keeping = asyncio.create_task(work(house.stores.values(), (*evidence_jobs(house), watching), stop))
        try:
            yield
        finally:
            stop.set()
            await keeping
            await asyncio.gather(front.news.close(), front.outgoing.close())

    readiness = {name: ready(store) for name, store in house.stores.items()}
    desk, measure = audit_route(EvidenceDesk(house.stores, welcome)), partial(measure_endpoints, house.stores)
    metrics = Metrics(lambda: front.watch.alarms)
    receiver = Receiver(reception_of(settings, front.intake, welcome, metrics), RAW_HEADERS)
    return create_app(Parts(door, readiness, metrics, planned, [desk], measure, receiver))


def courier_of(house: House) -> Courier:
    """Who tells the webhooks of a house."""
    front = front_door(house)

    async def ask(caller: Caller, document: str, variables: Mapping[str, str]) -> bytes | None:
        return await front.shown(GraphqlRequest(None, document, None, variables), caller)

    looks = front.watch.look, front.watch.is_honey
    return Courier(Means(house.tokens, ask, lambda: datetime.now(UTC), *looks, house.settings.webhook_private))


def check_delivered_document(source: str, caller: Caller) -> str:
    """The purpose of a document that is delivered to a caller; raises RequestInvalid and AuthError."""
    return check_delivered(_documents(), source, caller)


def check_document(source: str) -> None:
    """Raises RequestInvalid for a document that is no GraphQL, over a limit, or does not fit the schema."""
    _documents().get(source)


def explain_document(source: str) -> str:
    """The plans of a document in words; raises like `check_document`."""
    return explain(_documents(), source)


def _documents() -> Documents:
    return Documents(graphql_schema(declare()))


async def prepare(house: House) -> None:
    """The starter policy in each store that has none yet."""
    for store in house.stores.values():
        async with store.transaction() as connection:
            if await connection.fetchval("SELECT count(*) FROM policy_version") == 0:
                await write_policy(connection, starter_rows(), datetime.now(UTC))
