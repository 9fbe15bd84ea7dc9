"""What an operator's machines ask: does it live, is it ready, how is it doing. No token, no personal value."""

from tests.databases import Server
from tests.journeys.world import APP, HONG_KONG_NUMBER, MAINLAND_NUMBER, NOBODYS, PROFILE, World

NAME = 'query N($number: String!) @purpose(id: "service.care") { customer(number: $number) { formattedName } }'


async def test_it_lives_and_is_ready(world: World) -> None:
    alive, ready = await world.http.get("/healthz"), await world.http.get("/readyz")

    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()) == (200, {"stores": {"cn": "ready", "hk": "ready"}})


async def test_a_store_that_is_down_is_named_and_the_others_go_on(world: World, database_server: Server) -> None:
    assert world.house.settings.stores is not None
    audited = len(await world.entries())
    async with database_server.away(world.house.settings.stores["hk"]):
        ready = await world.http.get("/readyz")
        there = await world.ask(NAME, number=NOBODYS[0])
        gone = await world.post({"query": NAME, "variables": {"number": HONG_KONG_NUMBER}})

    assert (ready.status_code, ready.json()) == (503, {"stores": {"cn": "ready", "hk": "unavailable"}})
    assert there["data"] == {"customer": None}
    assert (gone.status_code, gone.json()["errors"][0]["extensions"]["code"]) == (503, "STORE_UNAVAILABLE")
    assert "data" not in gone.json()
    assert (await world.http.get("/healthz")).status_code == 200
    assert (await world.http.get("/readyz")).status_code == 200
    assert [entry.get("refused") for entry in (await world.entries())[audited:]] == [None, "STORE_UNAVAILABLE"]
    assert (await world.ask(PROFILE, number=HONG_KONG_NUMBER))["data"]["customer"]["formattedName"]


async def test_a_linked_store_that_is_down_takes_nothing_from_the_other(world: World, database_server: Server) -> None:
    assert world.house.settings.stores is not None
    before = (await world.ask(PROFILE, number=MAINLAND_NUMBER))["data"]["customer"]
    async with database_server.away(world.house.settings.stores["hk"]):
        told = await world.ask(PROFILE, number=MAINLAND_NUMBER)

    customer = told["data"]["customer"]
    assert customer["regions"] == ["CN-GD"]
    assert customer["accounts"] == [one for one in before["accounts"] if one["region"] == "CN-GD"]
    assert {one["code"] for one in told["extensions"]["privacy"]["withheld"]} == {"REGION_UNAVAILABLE"}
    assert (await world.ask(PROFILE, number=MAINLAND_NUMBER))["data"]["customer"] == before


async def test_metrics_count_what_was_answered_and_name_nobody(world: World) -> None:
    await world.ask(NAME, number=MAINLAND_NUMBER)
    await world.post({"query": NAME, "variables": {"number": "12"}})
    await world.post({"query": NAME}, None)

    told = await world.http.get("/metrics")

    assert told.status_code == 200
    assert told.headers["content-type"].startswith("text/plain")
    assert 'cdp_answers_total{status="200"} 1.0' in told.text
    assert 'cdp_answers_total{status="400"} 1.0' in told.text
    assert 'cdp_answers_total{status="401"} 1.0' in told.text
    assert 'cdp_refusals_total{code="NUMBER_INVALID"} 1.0' in told.text
    assert 'cdp_refusals_total{code="TOKEN_MISSING"} 1.0' in told.text
    assert "cdp_request_seconds_count 3.0" in told.text
    assert [word for word in (MAINLAND_NUMBER[3:], APP.client, APP.actor, "陈家明") if word in told.text] == []
