"""Numbers in the reference executor: what is known of one, each thing asked for by itself."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, Table, select

from cdp.billing.tables import account, product
from cdp.errors import RequestInvalid
from cdp.identity.tables import NUMBER_INDEX, known_number, number_holding, number_index, number_segment
from cdp.number_facts import read_facts
from cdp.numbers import NumberKind, PhoneNumber
from privacy.policy import Verdict
from privacy.vocabulary import Effect, Withheld
from tests.schema.deciding import NOT_DECLARED, covered
from tests.schema.reading import Info, Memory, Refused, Request, path_of

AWAY = Verdict(Effect.DENY, "store", Withheld.REGION_UNAVAILABLE)
Row = Mapping[str, Any]


class NumberFinder:
    """Answers the roots about a number. In the world of the reading tests no number is kept back."""

    def __init__(self, memory: Memory) -> None:
        self.memory, self.house = memory, memory.house

    async def facts(self, arguments: Mapping[str, Any], request: Request) -> dict[str, Any]:
        number, known = read_facts(arguments["number"], arguments.get("region"))
        told = {"number": number and number.e164, "region": known.region, "city": None}
        told |= {"kind": known.kind.value, "issuer": known.issuer}
        if known.region == "CN" and number and number.kind is not NumberKind.FIXED:
            for row in await self.rows("cn", number_segment):
                if row["first_prefix"] <= int(number.e164[3:10]) <= row["last_prefix"]:
                    told |= {name: row[name] for name in ("region", "city", "issuer")}

        async def operator(info: Info) -> str | None:
            found = await self.known(number, request, path_of(info.path))
            return found[1]["serving_operator"] if found else None

        async def answers(info: Info) -> dict[str, str] | None:
            return await self.answers(number, request, path_of(info.path))

        return told | {"servingOperator": operator, "accountability": answers}

    async def answers(
        self, number: PhoneNumber | None, request: Request, path: tuple[str, ...]
    ) -> dict[str, str] | None:
        found = await self.known(number, request, path)
        if found is None:
            return None
        store, known = found
        held = await self.rows(store, number_index, number_tag=known["number_tag"])
        held.sort(key=lambda row: (row["role"] != "USER", row["role"] != "REGISTERED_HOLDER", row["role"]))
        held.sort(key=lambda row: row["valid_to"] or request.at, reverse=True)
        customer_id, region = held[0]["customer_id"], ""
        for row in await self.rows(store, number_holding, customer_id=customer_id):
            region = row["region"] if row["holding_id"] == held[0]["holding_id"] else region
        if held[0]["valid_to"] is not None:
            return _told(region, "FORMER_HOLDING")
        accounts = await self.rows(store, account, customer_id=customer_id)
        lines = [row for row in await self.rows(store, product, customer_id=customer_id) if row["kind"] == "LINE"]
        lines = [row for row in lines if row["status"] != "terminated"]
        for reason, rows, since in (("LEDGER", accounts, "opened_at"), ("PRODUCT", lines, "start_on")):
            elsewhere = [row["region"] for row in sorted(rows, key=lambda row: row[since])]
            if elsewhere:
                return _told(region, "HOLDING") if region in elsewhere else _told(elsewhere[0], reason)
        return _told(region, "HOLDING")

    async def known(
        self, number: PhoneNumber | None, request: Request, path: tuple[str, ...]
    ) -> tuple[str, Row] | None:
        """The store that knows a number, and its row there. Raises Refused for partners."""
        if request.caller.partner:
            raise Refused("FORBIDDEN")
        if number is None:
            return None
        if not covered(("service", "legal"), request.purpose):
            request.withhold(path, NOT_DECLARED)
            return None
        readable = [name for name in request.caller.stores if name in self.house.stores]
        try:
            own = self.house.settings.store_of(number.region)
            readable = [name for name in readable if name == own]
        except RequestInvalid:
            own = ""
        if own and not readable:
            request.withhold(path, AWAY)
        for store in readable:
            tag = self.house.rings[store].tag(NUMBER_INDEX, number.e164)
            for row in await self.rows(store, known_number, number_tag=tag):
                return store, row
        return None

    async def rows(self, store: str, table: Table, **wanted: Any) -> list[Row]:
        def make() -> Select[Any]:
            return select(*table.c).where(*(table.c[name] == value for name, value in wanted.items()))

        names = [column.name for column in table.c]
        found = await self.memory.rows(store, ("numbers", table.name, *wanted.values()), make)
        return [dict(zip(names, row, strict=True)) for row in found]


def _told(region: str, reason: str) -> dict[str, str]:
    kind = {"LEDGER": "-billing", "PRODUCT": "-service"}.get(reason, "")
    return {"region": region, "desk": f"desk-{region}{kind}", "reason": reason}
