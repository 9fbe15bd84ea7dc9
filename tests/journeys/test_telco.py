"""The main job on real input: a public table of 7,043 customers is loaded, and one of them asked for over HTTP."""

from pathlib import Path

import httpx
import pytest
from rich.progress import Progress

from cdp.app import serve_house
from cdp.auth import Caller, issue_token
from cdp.load import load_file
from cdp.settings import Settings
from tests.cdp.doors import rows
from tests.cdp.house import prepared_house

ROOT = Path(__file__).parent.parent.parent
TABLE = ROOT.parent / "shared" / "data" / "Telco-Customer-Churn.csv"
MAPPING = ROOT / "cdp" / "mappings" / "telco_churn.toml"
CUSTOMERS, NOT_YET_CHARGED, CHURNED = 7_043, 11, 1_869
EVENTS = 66_275

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


@pytest.mark.skipif(not TABLE.exists(), reason=f"the public table is not at {TABLE}")
async def test_the_public_churn_table_is_loaded_and_asked_for_over_http(settings: Settings) -> None:
    async with prepared_house(settings) as house:
        with Progress(disable=True) as bars:
            loaded = await load_file(house, TABLE, MAPPING, bars, None)
        assert loaded == {"rows": CUSTOMERS, "accepted": EVENTS, "duplicate": 0, "rejected": 0, "rows refused": 0}
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
