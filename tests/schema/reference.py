"""The reference executor: graphql-core's own `execute` with one resolver built from the declarations.

Slow and plain on purpose. Every value is fetched by a SELECT of its own, every decision is made for one category of one
customer, and nothing is shared with the planner but the declarations themselves: no statements, no shapes, no compiled
selections. What was fetched once is remembered, so that thousands of operations can be compared on a world that stands
still.
"""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    execute,
    get_named_type,
    parse,
)
from sqlalchemy import Column, Select, select

from cdp.auth import Caller
from cdp.cursors import after, cursor
from cdp.errors import CdpError
from cdp.house import House
from privacy.errors import PrivacyError
from privacy.masks import HIDDEN, masked
from privacy.policy import Verdict
from privacy.seal import Opener, Place, Sealed
from privacy.vocabulary import Effect
from schema.declaration import declare, graphql_schema
from schema.fields import ColumnField, EmbeddedField, ListingField, ManyField, OneField, TokenField, rising
from tests.schema.deciding import Decider, purpose_of_document
from tests.schema.finding import AWAY, Finder
from tests.schema.reading import (
    Edge,
    Field,
    Info,
    Memory,
    Page,
    Refused,
    Request,
    Side,
    Slice,
    Thing,
    as_text,
    record_of,
)

Rows = list[tuple[Thing, Sequence[Any]]]
"""Rows of a list, each with the values it is ordered by."""


class Reference:
    """Answers queries field by field."""

    def __init__(self, house: House) -> None:
        self.house, self.memory, self.schema = house, Memory(house), schema_without_resolvers()
        self.decider = Decider(self.memory)
        self.finder = Finder(self.memory, self.decider, self.schema)

    async def answer(
        self, source: str, caller: Caller, variables: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], Request]:
        """The data of one query operation, and what was withheld and masked. Raises Refused."""
        document = parse(source)
        request = Request(caller, purpose_of_document(document))
        result = execute(
            self.schema,
            document,
            context_value=request,
            variable_values=dict(variables or {}),
            field_resolver=self.resolve,
            type_resolver=lambda thing, *_: thing.of,
        )
        done = await result if isinstance(result, Awaitable) else result
        for error in done.errors or ():
            raise _refusal(error)
        assert done.data is not None
        return done.data, request

    async def resolve(self, source: Any, info: Info, **arguments: Any) -> Any:
        """The one resolver: by what the object is, then by what is declared for the field."""
        match source:
            case None:
                return await self.finder.root(info, arguments)
            case dict():
                value = source[info.field_name]
                return await value(info) if callable(value) else value
            case Slice():
                return await self.inner(source, source.declaration.fields[info.field_name])
            case Page():
                return self.of_page(source, info)
            case Edge():
                return source.node if info.field_name == "node" else source.cursor
        declaration = _definition(info).metadata["cdp"]
        return await self.field(source, declaration, Field(info, arguments))

    async def field(self, thing: Thing, declaration: Any, at: Field) -> Any:
        match declaration:
            case TokenField():
                key = await self.memory.value(thing, thing.record.key)
                return await self.finder.id_of(thing, key, at.request)
            case ListingField():
                return await self.listing(thing, declaration, at)
            case ManyField():
                return await self.many(thing, declaration, at)
        verdict = await self.verdict(thing.sides[0], declaration, at)
        if verdict is not None and verdict.effect is Effect.DENY:
            return None
        return await self.visible(thing, declaration, verdict.style if verdict else None, at)

    async def visible(self, thing: Thing, declaration: Any, style: str | None, at: Field) -> Any:
        match declaration:
            case ColumnField():
                return await self.scalar(thing, declaration, style, at)
            case EmbeddedField():
                return await self.embedded(thing, declaration, style, at)
        found = await self.related(thing, thing.sides[0], declaration, at)
        return found[0][0] if found else None

    async def verdict(self, side: Side, declaration: Any, at: Field) -> Verdict | None:
        """The verdict for a field of one side, a denial noted; None where nothing about a person is at stake."""
        verdict = await self.decider.verdict(side, declaration.governance, at.request)
        if verdict is not None and verdict.effect is Effect.DENY:
            at.request.withhold(at.path, verdict)
        return verdict

    async def scalar(self, thing: Thing, declaration: ColumnField, style: str | None, at: Field) -> Any:
        """Its value; what one record of a customer does not say, another of the same store may."""
        if await self.over(thing, declaration, at):
            at.request.withheld[at.path, "HOLDING_ENDED", None, None] += 1
            return None
        home, *others = thing.sides
        value = await self.scalar_of(thing, declaration, style, at)
        for side in others if value is None else ():
            if value is None and side.store == home.store:
                one = Thing(thing.of, (side,), thing.record, (side.customer_id,))
                value = await self.scalar_of(one, declaration, style, at)
        return value

    async def scalar_of(self, thing: Thing, declaration: ColumnField, style: str | None, at: Field) -> Any:
        first, *rest = [await self.memory.value(thing, source) for source in declaration.sources]
        column = declaration.sources[0]
        if first is not None and isinstance(column, Column) and "sealed" in column.info:
            try:
                first = await self.opened(thing, column, first, at.request)
            except PrivacyError:
                at.request.withheld[at.path, "UNAVAILABLE", None, None] += 1
                return None
        if first is None:
            return None
        if style is not None:
            first = masked(style, first)
            at.request.masked[at.path, style] += 1
            if first == HIDDEN and get_named_type(at.info.return_type).name != "String":
                return None
        return as_text(first if declaration.render is None else declaration.render(first, *rest))

    async def over(self, thing: Thing, declaration: ColumnField, at: Field) -> bool:
        """Whether what the value is of has an end, and the reader is a partner or asks for anything but the service."""
        if declaration.ends is None or await self.memory.value(thing, declaration.ends) is None:
            return False
        return at.request.caller.partner or at.request.purpose.partition(".")[0] not in {"service", "legal"}

    async def opened(self, thing: Thing, column: Column[Any], cell: bytes, request: Request) -> Any:
        side, sealed = thing.sides[0], column.info["sealed"]
        permit = await self.decider.permit(side, sealed.category, request)
        opener = Opener(permit, self.house.rings[side.store], side.customer_id, await self.decider.keys(side))
        key = await self.memory.value(thing, thing.record.key)
        return opener.open(Sealed(cell), Place(self.house.settings.tenant, side.store, sealed), key)

    async def embedded(self, thing: Thing, declaration: EmbeddedField, style: str | None, at: Field) -> Slice | None:
        if await self.memory.value(thing, declaration.present) is None:
            return None
        if style is not None:
            at.request.masked[at.path, style] += 1
        return Slice(thing, declaration, style)

    async def inner(self, part: Slice, declaration: ColumnField) -> Any:
        """A value inside an embedded object: the object is visible; numbers and days in it are masked with it."""
        first, *rest = [await self.memory.value(part.thing, source) for source in declaration.sources]
        if first is None:
            return None
        if part.style is not None and not isinstance(first, str):
            first = masked(part.style, first)
        return as_text(first if declaration.render is None else declaration.render(first, *rest))

    async def seeing(self, thing: Thing, declaration: Any, at: Field) -> list[Side]:
        """The sides whose rows may be listed; those that may not are noted, as are stores that cannot be asked."""
        for _ in range(thing.unreached):
            at.request.withhold(at.path, AWAY)
        sides = []
        for side in thing.sides:
            verdict = await self.verdict(side, declaration, at)
            if verdict is None or verdict.effect is not Effect.DENY:
                sides.append(side)
        return sides

    async def listing(self, thing: Thing, declaration: ListingField, at: Field) -> list[Any] | None:
        column, found = declaration.column, set[Any]()
        sides = await self.seeing(thing, declaration, at)
        for side in sides:
            make = select(column).where(column.table.c.customer_id == side.customer_id)
            key = ("listing", column.table.name, column.name, side.customer_id)
            found |= {value for (value,) in await self.memory.rows(side.store, key, lambda make=make: make)}  # type: ignore[misc]
        return sorted(found) if sides else None

    async def many(self, thing: Thing, declaration: ManyField, at: Field) -> list[Thing] | Page | None:
        first, place = at.arguments["first"], f"{at.info.parent_type.name}.{at.info.field_name}"
        if first is None or not 0 <= first <= declaration.max_first:
            raise Refused("PAGE_SIZE")
        sides = await self.seeing(thing, declaration, at)
        found = [row for side in sides for row in await self.related(thing, side, declaration, at)]
        if not sides:
            return None
        if len(sides) > 1:
            for n in reversed(range(len(found[0][1]) if found else 0)):
                falling = n < len(declaration.order) and declaration.order[n].descending
                found.sort(key=lambda row, n=n: (row[1][n] is None, row[1][n]), reverse=falling)  # type: ignore[misc]
        if not declaration.connection:
            return [child for child, _ in found[:first]]
        seen = at.arguments.get("after")
        if seen is not None:
            types = [order.column.type.python_type for order in declaration.order]
            last = after(self.house.tokens, place, at.request.caller.client, seen, types)
            found = [row for row in found if tuple(row[1]) < last]
        shown = found[:first]
        return Page(shown, [mark for _, mark in shown], len(found) > first, seen is not None, place)

    async def related(self, thing: Thing, side: Side, declaration: ManyField | OneField, at: Field) -> Rows:
        """All rows of a related table in order, with the values of their order."""
        of = at.of
        record, mine = record_of(of), thing.record.table
        child, parent = record.table.alias("child"), mine.alias("parent")
        orders = declaration.order if isinstance(declaration, ManyField) else ()
        # Ties are broken by the row's own key.
        ties = () if orders and orders[-1].column is record.key else (rising(record.key),)
        names = [order.column.name for order in (*orders, *ties)]

        def make() -> Select[Any]:
            wanted = [child.c.customer_id == side.customer_id] if record.owned else []
            if declaration.on is not None:
                wanted.append(declaration.on(child, parent, parent.c.customer_id))
                wanted += [parent.c[c.name] == value for c, value in zip(mine.primary_key, thing.key, strict=True)]
            columns = [child.c[name] for name in (*names, *(column.name for column in record.table.primary_key))]
            sorting = [
                child.c[o.column.name].desc() if o.descending else child.c[o.column.name] for o in (*orders, *ties)
            ]
            return select(*columns).where(*wanted).order_by(*sorting)

        key = ("related", id(declaration), thing.key, side.customer_id)
        rows = await self.memory.rows(side.store, key, make)
        return [(Thing(of.name, (side,), record, row[len(names) :]), row[: len(names)]) for row in rows]

    def of_page(self, page: Page, info: Info) -> Any:
        """The fields of a connection."""
        client = info.context.caller.client

        def mark(values: Sequence[Any]) -> str:
            return cursor(self.house.tokens, page.place, client, values)

        if info.field_name == "edges":
            return [Edge(thing, mark(values)) for thing, values in page.things]
        return {
            "hasNextPage": page.more,
            "hasPreviousPage": page.continued,
            "startCursor": mark(page.ends[0]) if page.ends else None,
            "endCursor": mark(page.ends[-1]) if page.ends else None,
        }


def schema_without_resolvers() -> GraphQLSchema:
    """The schema as declared; whatever strawberry would do to fill it is taken out."""
    schema = graphql_schema(declare())
    for of in schema.type_map.values():
        if isinstance(of, GraphQLInterfaceType):
            of.resolve_type = None
        if isinstance(of, GraphQLObjectType) and not of.name.startswith("__"):
            of.is_type_of = None
            for definition in of.fields.values():
                definition.resolve = None
    return schema


def _definition(info: Info) -> Any:
    return info.parent_type.fields[info.field_name].extensions["strawberry-definition"]


def _refusal(error: GraphQLError) -> Exception:
    """Why a field was refused; anything else is an error of the reference itself."""
    match error.original_error:
        case Refused() as refused:
            return refused
        case CdpError() as refused:
            return Refused(refused.code)
    return error
