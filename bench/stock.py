"""The peer a Python team would build first: Strawberry with a resolver for each field and DataLoaders for the lists, as
its documentation teaches, served by its own ASGI app. The same types as ours where the operations touch them.

No token, no limits, nothing opened, no consent, no audit. BENCH_CACHED=1 adds its ParserCache and ValidationCache.
"""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

import strawberry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.types import Info

from bench.floor import open_pool, serve
from bench.stock_rows import ORDERS, Key, Row, Rows, sealed_text

MEGABYTE: Final = 1 << 20
Region = strawberry.scalar(str, name="Region")


@strawberry.type
class Money:
    value: str
    unit: str


def money(minor: int | None, unit: str) -> Money | None:
    """An amount in minor units; all currencies of the benchmark have two digits."""
    if minor is None:
        return None
    sign, minor = ("-", -minor) if minor < 0 else ("", minor)
    return Money(value=f"{sign}{minor // 100}.{minor % 100:02}", unit=unit)


@strawberry.type
class TimePeriod:
    start: datetime | None
    end: datetime | None


@strawberry.type
class NumberHolding:
    number: str | None
    region: str
    role: str
    state: str
    valid_for: TimePeriod


@strawberry.type
class Consent:
    purpose: str
    channel: str
    type: str
    happened_at: datetime
    expires_at: datetime | None


@strawberry.type
class BillingAccount:
    account_no: str | None
    region: str
    rating_type: str
    balance: Money | None


@strawberry.type
class UsageMonth:
    month: str
    voice_minutes: int
    sms_count: int
    data_megabytes: int


@strawberry.type
class CustomerBill:
    bill_no: str
    bill_date: date | None
    amount_due: Money | None
    state: str | None


@strawberry.type
class PartyInteraction:
    at: datetime
    channel: str
    direction: str
    reason: str


def bill_of(row: Row) -> CustomerBill:
    due, paid = row["amount_due_minor"], row["paid_minor"]
    state = None if due is None else "settled" if paid >= due else "partiallyPaid" if paid > 0 else "sent"
    return CustomerBill(
        bill_no=row["bill_no"], bill_date=row["bill_on"], amount_due=money(due, row["currency"]), state=state
    )


@strawberry.type
class Customer:
    id: strawberry.ID
    formatted_name: str | None
    birth_date: str | None
    gender: str | None
    status: str
    tier: str
    keys: strawberry.Private[Sequence[Key]]

    @strawberry.field
    async def regions(self, info: Info[Any, None]) -> list[str]:
        return sorted({row["region"] for row in await self._rows(info, "customer_region", 50)})

    @strawberry.field
    async def holdings(self, info: Info[Any, None], first: int = 10) -> list[NumberHolding]:
        rows = await self._newest(info, "number_holding", first)
        return [
            NumberHolding(
                number=sealed_text(row["number"]),
                region=row["region"],
                role=row["role"],
                state=row["state"],
                valid_for=TimePeriod(start=row["valid_from"], end=row["valid_to"]),
            )
            for row in rows
        ]

    @strawberry.field
    async def consents(self, info: Info[Any, None], first: int = 10) -> list[Consent]:
        rows = await self._newest(info, "consent_event", first)
        return [
            Consent(
                purpose=row["purpose"],
                channel=row["channel"],
                type=row["type"],
                happened_at=row["happened_at"],
                expires_at=row["expires_at"],
            )
            for row in rows
        ]

    @strawberry.field
    async def accounts(self, info: Info[Any, None], first: int = 10) -> list[BillingAccount]:
        rows = await self._newest(info, "account", first)
        return [
            BillingAccount(
                account_no=sealed_text(row["account_no"]),
                region=row["region"],
                rating_type=row["rating_type"],
                balance=money(row["balance_minor"], row["currency"]),
            )
            for row in rows
        ]

    @strawberry.field
    async def usage_months(self, info: Info[Any, None], first: int = 10) -> list[UsageMonth]:
        return [
            UsageMonth(
                month=f"{row['month_on']:%Y-%m}",
                voice_minutes=-(-row["voice_seconds"] // 60),
                sms_count=row["sms_count"],
                data_megabytes=-(-row["data_bytes"] // MEGABYTE),
            )
            for row in await self._newest(info, "usage_month", first)
        ]

    @strawberry.field
    async def bills(self, info: Info[Any, None], first: int = 10) -> list[CustomerBill]:
        return [bill_of(row) for row in await self._newest(info, "bill", first)]

    @strawberry.field
    async def interactions(self, info: Info[Any, None], first: int = 10) -> list[PartyInteraction]:
        return [
            PartyInteraction(at=row["at"], channel=row["channel"], direction=row["direction"], reason=row["reason"])
            for row in await self._newest(info, "interaction", first)
        ]

    async def _rows(self, info: Info[Any, None], table: str, first: int) -> list[Row]:
        rows: Rows = info.context["rows"]
        return await rows.of(table, self.keys, first)

    async def _newest(self, info: Info[Any, None], table: str, first: int) -> list[Row]:
        """The first of all records' rows as each record's own are ordered: newest first, then by id."""
        at, then = map(itemgetter, ORDERS[table].split(" DESC, "))
        return sorted(sorted(await self._rows(info, table, first), key=then), key=at, reverse=True)[:first]


def customer_of(row: Row, keys: Sequence[Key]) -> Customer:
    return Customer(
        id=strawberry.ID(str(row["customer_id"])),
        formatted_name=sealed_text(row["formatted_name"]),
        birth_date=sealed_text(row["birth_date"]),
        gender=row["gender"],
        status=row["status"],
        tier=row["tier"],
        keys=keys,
    )


@strawberry.type
class PageInfo:
    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class CustomerEdge:
    cursor: str
    node: Customer


@strawberry.type
class CustomerConnection:
    edges: list[CustomerEdge]
    page_info: PageInfo


@strawberry.input
class CustomerFilter:
    region: Region  # type: ignore[valid-type]  # a scalar is made by a call


@strawberry.type
class Query:
    @strawberry.field
    async def customer(self, info: Info[Any, None], number: str) -> Customer | None:
        rows: Rows = info.context["rows"]
        row, keys = await rows.holder(bytes.fromhex(number))
        return None if row is None else customer_of(row, keys)

    @strawberry.field
    async def customers(
        self, info: Info[Any, None], where: CustomerFilter, first: int = 20, after: str | None = None
    ) -> CustomerConnection:
        source: Rows = info.context["rows"]
        rows = await source.of_region(where.region, UUID(after) if after else None, first + 1)
        edges = [
            CustomerEdge(cursor=str(row["customer_id"]), node=customer_of(row, [("cn", row["customer_id"])]))
            for row in rows[:first]
        ]
        page = PageInfo(has_next_page=len(rows) > first, end_cursor=edges[-1].cursor if edges else None)
        return CustomerConnection(edges=edges, page_info=page)


class Served(GraphQL[dict[str, Any], None]):
    """Strawberry's ASGI app with the rows of each request in its context."""

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> dict[str, Any]:
        state = request.app.state
        return {"rows": Rows({"cn": state.cn, "hk": state.hk})}


@asynccontextmanager
async def _open(app: Starlette) -> AsyncIterator[None]:
    async with await open_pool("cn") as app.state.cn, await open_pool("hk") as app.state.hk:
        yield


def make_app(*, cached: bool) -> Starlette:
    """The app; `cached`: documents are parsed and validated once."""
    extensions = [ParserCache, ValidationCache] if cached else []
    schema = strawberry.Schema(query=Query, extensions=extensions)
    app = Starlette(lifespan=_open)
    app.mount("/graphql", Served(schema, graphql_ide=None))
    return app


if __name__ == "__main__":
    serve(make_app(cached=os.environ.get("BENCH_CACHED") == "1"))
