"""The main job on real input: three public tables are loaded as they are, and customers asked for over HTTP."""

from pathlib import Path

import httpx
import pytest
from rich.progress import Progress

from cdp.app import serve_house
from cdp.auth import Caller, issue_token
from cdp.house import House
from cdp.ingest import EVENTS
from cdp.load import Task, load_file
from cdp.mapping import read_mapping
from cdp.settings import Settings
from tests.cdp.doors import rows
from tests.cdp.house import prepared_house

TABLES = Path(__file__).parents[3] / "shared" / "data"
TABLE = TABLES / "Telco-Customer-Churn.csv"
CUSTOMERS, NOT_YET_CHARGED, CHURNED = 7_043, 11, 1_869
TAKEN_IN = 66_275

ASKED = """
query One($key: String!) @purpose(id: "service.care") {
  customer(identifier: { kind: CUSTOMER_KEY, value: $key }) {
    formattedName gender status regions registeredAt
    accounts { accountNo ratingType }
    products { productRef name kind startDate reliesOn { productRef } }
    bills(first: 5) { billNo amountDue { value unit } lines { kind amount { value unit } } }
  }
}
"""


async def loaded(house: House, table: Path, mapping: str) -> dict[str, int]:
    """The counts that are not 0."""
    with Progress(disable=True) as bars:
        found = await load_file(house, table, Task(read_mapping(mapping, EVENTS)), bars)
    return {name: count for name, count in found.counts.items() if count}


@pytest.mark.skipif(not TABLE.exists(), reason=f"the public table is not at {TABLE}")
async def test_the_public_churn_table_is_loaded_and_asked_for_over_http(settings: Settings) -> None:
    async with prepared_house(settings) as house:
        assert await loaded(house, TABLE, "telco_churn") == {"rows": CUSTOMERS, "accepted": TAKEN_IN}
        hk = house.stores["hk"]
        assert len(await rows(hk, "customer")) == CUSTOMERS
        assert len(await rows(hk, "customer", "status = 'TERMINATED'")) == CHURNED
        assert len(await rows(hk, "bill", "bill_no = '2026-10'")) == CUSTOMERS
        assert len(await rows(hk, "bill", "bill_no = 'TO-DATE'")) == CUSTOMERS - NOT_YET_CHARGED
        assert await rows(hk, "dead_letter") == await rows(house.stores["cn"], "customer") == []

        caller = Caller("shop", purposes=frozenset({"service.care"}), stores=("cn", "hk"))
        token = issue_token(settings.home, caller, settings.token_issuer, settings.token_audience)
        transport = httpx.ASGITransport(serve_house(house))
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            sent = {"query": ASKED, "variables": {"key": "7590-VHVEG"}}
            answer = await client.post("/graphql", json=sent, headers={"authorization": f"Bearer {token}"})
    told = answer.json()
    assert (answer.status_code, told.get("errors")) == (200, None)
    found = told["data"]["customer"]
    assert (found["formattedName"], found["gender"], found["status"]) == (None, "FEMALE", "ACTIVE")
    assert (found["regions"], found["registeredAt"]) == (["HK"], "2026-09-01T00:00:00Z")
    assert found["accounts"] == [{"accountNo": "7590-VHVEG", "ratingType": "POSTPAID"}]
    assert {one["productRef"]: [other["productRef"] for other in one["reliesOn"]] for one in found["products"]} == {
        "backup": ["internet"],
        "contract": [],
        "internet": [],
    }
    assert {one["name"] for one in found["products"]} == {
        "Contract: Month-to-month",
        "Internet (DSL)",
        "Online backup",
    }
    assert {one["billNo"]: one["amountDue"] for one in found["bills"]} == {
        "2026-10": {"value": "29.85", "unit": "USD"},
        "TO-DATE": {"value": "29.85", "unit": "USD"},
    }


BY_NUMBER = """
query One($number: String!) @purpose(id: "service.care") {
  customer(number: $number) {
    status holdings { number } usageMonths { month voiceMinutes } products { productRef }
    bills { amountDue { value unit } lines { description amount { value } } }
  }
}
"""


@pytest.mark.skipif(
    not (TABLES / "orange_churn_3333.csv").exists(),
    reason=f"the public tables with minutes and charges are not at {TABLES}",
)
async def test_the_public_tables_of_minutes_and_charges_are_loaded_and_one_is_asked_for_by_number(
    settings: Settings,
) -> None:
    async with prepared_house(settings) as house:
        assert await loaded(house, TABLES / "orange_churn_3333.csv", "orange_churn") == {
            "rows": 3_333,
            "accepted": 28_392,
        }
        assert await loaded(house, TABLES / "mlc_churn_5000.csv", "mlc_churn") == {"rows": 5_000, "accepted": 37_503}
        hk = house.stores["hk"]
        assert len(await rows(hk, "customer")) == 8_333
        assert len(await rows(hk, "customer", "status = 'TERMINATED'")) == 483 + 707
        assert len(await rows(hk, "number_holding")) == 3_333
        assert await rows(hk, "dead_letter") == await rows(house.stores["cn"], "customer") == []

        caller = Caller("shop", purposes=frozenset({"service.care"}), stores=("cn", "hk"))
        token = issue_token(settings.home, caller, settings.token_issuer, settings.token_audience)
        transport = httpx.ASGITransport(serve_house(house))
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            sent = {"query": BY_NUMBER, "variables": {"number": "+1 (415) 382-4657"}}
            answer = await client.post("/graphql", json=sent, headers={"authorization": f"Bearer {token}"})
    told = answer.json()
    assert (answer.status_code, told.get("errors")) == (200, None)
    found = told["data"]["customer"]
    assert (found["status"], found["holdings"]) == ("ACTIVE", [{"number": "+14153824657"}])
    # 265.1 + 197.4 + 244.7 + 10.0 minutes, begun ones counted; 45.07 + 16.78 + 11.01 + 2.70 dollars.
    assert found["usageMonths"] == [{"month": "2026-10", "voiceMinutes": 718}]
    assert [one["productRef"] for one in found["products"]] == ["voice-mail"]
    [bill] = found["bills"]
    assert bill["amountDue"] == {"value": "75.56", "unit": "USD"}
    assert [line["amount"]["value"] for line in bill["lines"]] == ["45.07", "16.78", "11.01", "2.70"]
