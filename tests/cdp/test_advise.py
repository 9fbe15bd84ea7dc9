"""The best tariff for everyone: the catalogue from a file, what each would have cost, and who would pay less."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from rich.progress import Progress

from cdp.advise import advise
from cdp.app import front_door, writer_of
from cdp.auth import Caller
from cdp.billing.catalogue import load_catalogue, read_catalogue
from cdp.errors import RequestInvalid
from cdp.exchange import GraphqlRequest
from cdp.house import House
from cdp.identity.honey import mark_honey, suspended_clients
from cdp.settings import Settings
from tests.cdp.doors import accept, everything, rows
from tests.cdp.house import prepared_house
from tests.cdp.samples import SAMPLES

S = SAMPLES
FILE: Final = """
[[tariffs]]
tariffId = "dear"
name = "Dear"
region = "CN"
ratingType = "POSTPAID"
currency = "CNY"
monthlyFee = "99.00"
voiceMinutes = 10
voicePrice = "0.155"

[[tariffs]]
tariffId = "cheap"
name = "Cheap"
region = "CN-GD"
ratingType = "POSTPAID"
currency = "CNY"
monthlyFee = "30.00"
voiceMinutes = 100
voicePrice = "0.1"
bundles = { MESSAGING = "5.00" }

[charges]
REPAIR = "ONE_OFF"

[arrears.CN-GD]
dueDays = 5
graceDays = 6
"""
WRONG: Final = {
    'monthlyFee = "99.00"': ('monthlyFee = "free"', "monthlyFee"),
    'currency = "CNY"': ('currency = "XXX"', "monthlyFee"),
    'voicePrice = "0.155"': ('voicePrice = "-1"', "voicePrice"),
    'ratingType = "POSTPAID"': ('ratingType = "LATER"', "tariffs.0.ratingType"),
    'tariffId = "cheap"': ('tariffId = "dear"', "each tariffId once"),
    'MESSAGING = "5.00"': ('MESSAGING = "five"', "bundles.MESSAGING"),
    'REPAIR = "ONE_OFF"': ('REPAIR = "SOMETHING"', "charges.REPAIR"),
    "graceDays = 6": ("graceDays = -6", "arrears.CN-GD.graceDays"),
    "[charges]": ("[[charges", "TOML"),
}
ADVICE: Final = """
query($number: String!, $region: Region) @purpose(id: "%s") {
  customer(number: $number, region: $region) {
    tariffAdvice { product { productRef } months presentCost { value } cheapest { tariffId voicePrice { value } }
      cheapestCost { value } saving { value unit } options { tariff { tariffId } cost { value unit } } assumptions }
  }
}"""
CALLER: Final = Caller("app", purposes=frozenset({"service.care", "marketing.sms"}), stores=("cn", "hk"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "catalogue.toml"
    path.write_text(FILE, "utf-8")
    return path


@pytest.mark.parametrize("right", WRONG)
def test_a_file_with_a_mistake_is_refused_and_its_value_is_not_told(file: Path, right: str) -> None:
    wrong, told = WRONG[right]
    file.write_text(FILE.replace(right, wrong), "utf-8")
    with pytest.raises(RequestInvalid) as refused:
        read_catalogue(file)
    assert refused.value.code == "CATALOGUE_INVALID"
    assert told in str(refused.value)


async def answer(house: House, purpose: str = "service.care") -> dict[str, Any]:
    request = GraphqlRequest(ADVICE % purpose, variables={"number": S["NumberActivated"]["number"], "region": "CN-GD"})
    told: dict[str, Any] = json.loads((await front_door(house).answer(request, CALLER)).body)
    return told


async def test_who_would_pay_less_is_found_told_and_kept(settings: Settings, file: Path) -> None:
    async with prepared_house(settings) as house:
        cn = house.stores["cn"]
        for _ in range(2):
            await load_catalogue(house.stores.values(), read_catalogue(file))
        assert [row["tariff_id"] for row in await rows(cn, "tariff")] == ["cheap", "dear"]
        used = [
            S["UsageSummarized"]
            | {"eventId": month, "month": month}
            | {"voiceSeconds": 6_001, "smsCount": 0, "dataBytes": 0}
            for month in ("2026-01", "2026-02", "2026-03")
        ]
        line = S["ProductActivated"] | {"tariffId": "dear", "reliesOn": []}
        messaging = line | {"eventId": "m", "productRef": "P-m", "kind": "MESSAGING", "tariffId": None}
        await accept(writer_of(house), S["CustomerRegistered"], S["NumberActivated"], line, messaging, *used)

        # 101 minutes a month, two months: dear 99 + 91 x 0.155 = 113.11 (half a fen up), cheap 30 - 5 + 0.1.
        (found,) = (await answer(house))["data"]["customer"]["tariffAdvice"]
        assert found["assumptions"].startswith("The months end before")
        del found["assumptions"]
        assert found == {
            "product": {"productRef": "P-1"},
            "months": 2,
            "presentCost": {"value": "226.22"},
            "cheapest": {"tariffId": "cheap", "voicePrice": {"value": "0.10"}},
            "cheapestCost": {"value": "50.20"},
            "saving": {"value": "176.02", "unit": "CNY"},
            "options": [
                {"tariff": {"tariffId": "cheap"}, "cost": {"value": "50.20", "unit": "CNY"}},
                {"tariff": {"tariffId": "dear"}, "cost": {"value": "226.22", "unit": "CNY"}},
            ],
        }
        withheld = await answer(house, "marketing.sms")
        assert withheld["data"]["customer"]["tariffAdvice"] is None
        assert [one["code"] for one in withheld["extensions"]["privacy"]["withheld"]] == ["PURPOSE_NOT_DECLARED"]

        before = len(await rows(cn, "audit_entry"))
        for _ in range(2):
            counts = await advise(house, "CN-GD", Progress(disable=True))
        assert counts == {"customers": 1, "products": 1, "cheaper": 1, "saving CNY": 17_602}
        (kept,) = await rows(cn, "tariff_proposal")
        assert (kept["tariff_id"], kept["months"], kept["saving_minor"]) == ("cheap", 2, 17_602)
        await mark_honey(house, ("number", S["NumberActivated"]["number"], "CN-GD"), datetime.now(UTC), honey=True)
        counts = await advise(house, "CN-GD", Progress(disable=True))
        assert (counts["cheaper"], await rows(cn, "tariff_proposal")) == (0, [])
        assert await suspended_clients(house.stores) == []
        for trail in house.trails.values():
            await trail.close()
        assert len(await rows(cn, "audit_entry")) == before + 4, "three pages, and that somebody was marked"

        with pytest.raises(RequestInvalid, match="region"):
            await advise(house, "TW", Progress(disable=True))


async def test_whoever_restricted_their_data_is_not_advised(settings: Settings, file: Path) -> None:
    async with prepared_house(settings) as house:
        await load_catalogue(house.stores.values(), read_catalogue(file))
        used = [S["UsageSummarized"] | {"eventId": month, "month": month} for month in ("2026-01", "2026-02")]
        line = S["ProductActivated"] | {"tariffId": "dear", "reliesOn": []}
        await accept(writer_of(house), S["CustomerRegistered"], S["NumberActivated"], line, *used)
        async with house.stores["cn"].transaction() as connection:
            await connection.execute("UPDATE customer SET state = 'RESTRICTED'")
        before = await everything(house.stores["cn"])
        counts = await advise(house, "CN-GD", Progress(disable=True))
        assert counts == {"customers": 0, "products": 0, "cheaper": 0}
        assert await everything(house.stores["cn"]) == before
