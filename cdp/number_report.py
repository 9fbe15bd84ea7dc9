"""What an officer is told of one number: what it is, who held it when, who answers for it.

Nothing sealed is opened and nobody is named: customers are shown by their id. Looking is written down in the trail of
each store that was asked.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from cdp.accountability import Held, KnownNumber, accountability, find_number
from cdp.errors import RequestInvalid
from cdp.house import House
from cdp.identity.reads import segment_of
from cdp.number_facts import NumberFacts, facts, prefix_of, read_facts
from cdp.numbers import PhoneNumber
from cdp.stores import Connection, Store

HOLDINGS = """
SELECT h.holding_id, h.region, h.state FROM unnest($1::uuid[], $2::uuid[]) AS asked (customer_id, holding_id)
JOIN number_holding h ON h.customer_id = asked.customer_id AND h.holding_id = asked.holding_id
"""
CLIENT = "command line"

Told = list[tuple[str, str]]
Holders = list[tuple[str, ...]]


async def number_report(house: House, text: str, region: str | None, at: datetime) -> tuple[Told, Holders]:
    """What a number is, and its holders, oldest first: from, to, role, state, region, customer, whether it decides who
    answers. Raises InvalidNumber, AuditUnavailable.
    """
    number, known = read_facts(text, region)
    if number is None:
        return [*_facts(known), ("answers", "nobody: a short code is held by no customer")], []
    stores = _stores_of(house, number)
    if (prefix := prefix_of(number)) is not None:
        async with (stores or list(house.stores.values()))[0].read() as connection:
            known = facts(number, await segment_of(connection, prefix))
    told = [("number", number.e164), *([("extension", number.extension)] if number.extension else []), *_facts(known)]
    for store in stores:
        async with store.read() as connection:
            if found := await find_number(connection, house.rings[store.name], number.e164, at):
                answers = await accountability(connection, found, at)
                holders = await _holders(connection, found, at)
                await _write_down(house, store, found.holdings)
                told += [
                    ("store", store.name),
                    ("served by", found.serving_operator or "its issuer, as far as is known"),
                ]
                if (free_at := found.free_at(at)) is not None:
                    told.append(("kept back until", _minute(free_at)))
                return [*told, ("answers", f"{answers.desk} ({answers.reason})")], holders
        await _write_down(house, store, ())
    nobody = "nobody here: it was never held" if stores else "not known here: its store is not served"
    return [*told, ("answers", nobody)], []


def _facts(known: NumberFacts) -> Told:
    city = f", {known.city}" if known.city else ""
    return [("region", known.region + city), ("kind", known.kind.value), ("issuer", known.issuer or "not known")]


def _stores_of(house: House, number: PhoneNumber) -> list[Store]:
    """The stores that may know it: its country's own, or all where it has none."""
    try:
        own = house.settings.store_of(number.region)
    except RequestInvalid:
        return list(house.stores.values())
    return [house.stores[own]] if own in house.stores else []


async def _holders(connection: Connection, known: KnownNumber, at: datetime) -> Holders:
    held = known.holdings
    rows = await connection.fetch(HOLDINGS, [one.customer_id for one in held], [one.holding_id for one in held])
    places: dict[Any, tuple[str, str]] = {row[0]: (row[1], row[2]) for row in rows}
    decides, _ = known.of(at)
    return [
        (
            _minute(one.valid_from),
            _minute(one.valid_to),
            one.role,
            *reversed(places.get(one.holding_id, ("", ""))),
            str(one.customer_id),
            "yes" if one == decides else "",
        )
        for one in held
    ]


def _minute(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"


async def _write_down(house: House, store: Store, seen: Sequence[Held]) -> None:
    trail = house.trails[store.name]
    names = sorted({trail.names.pseudonym(one.customer_id, datetime.now(UTC).year) for one in seen})
    entry = {"client": CLIENT, "role": "officer", "operation": "numbers explain"}
    await trail.record(entry | {"customers": [{"customer": name} for name in names]})
