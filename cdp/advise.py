"""The best tariff for everyone in a region, without being asked: who would have paid less, and with which tariff.

Each customer is read as every answer is: what may not be seen for their care is not advised on, and each page has its
entry in the audit trail.
"""

from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from rich.progress import Progress

from cdp.auth import SELF, Caller, Role
from cdp.global_ids import read_id
from cdp.house import House
from cdp.identity.honey import honey_of
from cdp.region_pages import customers_of, store_of_region
from cdp.stores import Store
from cdp.values import money_to_minor

PURPOSE: Final = "service.care"
ADVICE: Final = """
query($region: Region!, $first: Int!, $after: String) @purpose(id: "service.care") {
  customers(where: { region: $region }, first: $first, after: $after) {
    edges { node { tariffAdvice(first: 10) {
      product { id } region months saving { value unit } cheapest { tariffId }
    } } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
FORGET: Final = "DELETE FROM tariff_proposal WHERE region = $1"
KEEP: Final = """
INSERT INTO tariff_proposal (customer_id, product_id, region, tariff_id, months, saving_minor, currency, made_at)
SELECT *, $8::timestamptz FROM unnest
    ($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::integer[], $6::bigint[], $7::text[])
"""


async def advise(house: House, region: str, bars: Progress) -> dict[str, int]:
    """Prices every tariff for the customers of a region and keeps who would save, in place of what was kept before.

    Returns counts: customers, products priced, those that would cost less, and what would be saved in minor units by
    currency. Raises RequestInvalid for a region that is not served here.
    """
    name, client = store_of_region(house, region), "cdp advise-tariffs"
    caller = Caller(client, purposes=frozenset({PURPOSE}), stores=(name,), role=Role.STEWARD, channel="cli")
    counts, proposals = Counter[str](), []
    async with house.stores[name].read() as connection:
        honey = await honey_of(connection)
    task = bars.add_task(f"customers of {region}", total=await _customers(house.stores[name], region))
    async for page in customers_of(house, caller, ADVICE, region):
        counts["customers"] += len(page)
        for advice in (one for node in page for one in node["tariffAdvice"] or ()):
            if advice["region"] != region or advice["saving"] is None or advice["product"] is None:
                continue
            counts["products"] += 1
            saving = money_to_minor(advice["saving"]["value"], advice["saving"]["unit"])
            if saving > 0 and (row := _row(house, advice, saving))[0] not in honey:
                counts["cheaper"] += 1
                counts[f"saving {advice['saving']['unit']}"] += saving
                proposals.append(row)
        bars.advance(task, len(page))
    await _keep(house.stores[name], region, proposals)
    return {"customers": 0, "products": 0, "cheaper": 0} | counts


async def _customers(store: Store, region: str) -> int:
    async with store.read() as connection:
        return int(await connection.fetchval("SELECT count(*) FROM customer_region WHERE region = $1", region))


def _row(house: House, advice: dict[str, Any], saving: int) -> tuple[UUID, UUID, str, str, int, int, str]:
    product = read_id(house.tokens, SELF, advice["product"]["id"])
    assert product is not None, "an id of our own"
    of = advice["region"], advice["cheapest"]["tariffId"], advice["months"]
    return product.customer_id, product.row_id, *of, saving, advice["saving"]["unit"]


async def _keep(store: Store, region: str, proposals: list[tuple[Any, ...]]) -> None:
    async with store.transaction() as connection:
        await connection.execute(FORGET, region)
        columns = [list(column) for column in zip(*proposals, strict=True)] or [[] for _ in range(7)]
        await connection.execute(KEEP, *columns, datetime.now(UTC))
