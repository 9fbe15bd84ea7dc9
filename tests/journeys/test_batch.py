"""Events over HTTP: Segment's messages and our own shape, with a verdict for each record, and back-pressure."""

import asyncio
import gzip
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from cdp import segment
from cdp.app import serve_house, writer_of
from cdp.auth import Caller, Role
from cdp.endpoint import Scope
from cdp.ingest import EVENTS
from cdp.intake import Intake
from cdp.letters import Drawer, Hand, Which, letters_of, replay
from cdp.metrics import Metrics
from cdp.receiving import BATCH_BYTES, EVENT_BYTES, Receiver, reception_of
from cdp.write_keys import WriteKey, list_write_keys, new_write_key, revoke_write_key
from tests.cdp.doors import one, rows
from tests.cdp.samples import OTHER, SAMPLES
from tests.journeys.world import APP, PARTNER, World

KEY = WriteKey("shop-app", "CN", "APP", 1000)
NOW = datetime.now(UTC).replace(microsecond=0)
USER = "U-1"
PURPOSE = '@purpose(id: "service.care")'


@pytest.fixture
async def key(world: World) -> str:
    return await new_write_key(world.house.stores["cn"], KEY, NOW)


@pytest.fixture
async def hong_kong(world: World) -> str:
    return await new_write_key(world.house.stores["hk"], KEY._replace(region="HK", client="hk-app"), NOW)


def basic(key: str) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(f"{key}:".encode()).decode()}


def message(call: str, name: str, /, **fields: Any) -> dict[str, Any]:
    return {"type": call, "messageId": name, "userId": USER, "timestamp": NOW.isoformat()} | fields


IDENTIFIED = message("identify", "m-0", traits={"firstName": "Mei", "lastName": "Chen", "email": "mei@example.cn"})


async def send(world: World, path: str, body: Any, headers: dict[str, str], *, packed: bool = False) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    more = {"content-encoding": "gzip"} if packed else {}
    return await world.http.post(path, content=gzip.compress(content) if packed else content, headers=headers | more)


async def batch(world: World, key: str, *messages: Any, sent_at: datetime | None = None) -> list[dict[str, Any]]:
    """The verdicts on a batch."""
    body = {"batch": messages, "sentAt": (sent_at or datetime.now(UTC)).isoformat(), "writeKey": key}
    answer = await send(world, "/v1/batch", body, basic(key), packed=True)
    assert (answer.status_code, answer.json()["success"]) == (200, True), answer.text
    verdicts: list[dict[str, Any]] = answer.json()["verdicts"]
    return verdicts


def states(verdicts: Sequence[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(verdict["status"], verdict.get("field")) for verdict in verdicts]


async def letters(world: World) -> int:
    return await world.rows("dead_letter")


# --- messages ---------------------------------------------------------------------------------------------------------


async def test_each_message_has_its_verdict_and_the_good_ones_are_taken_in(world: World, key: str) -> None:
    before = await world.rows("interaction")
    sent = [
        IDENTIFIED,
        message("track", "m-1", event="Order Completed", properties={"total": 12.5, "名": "手机"}),
        message("page", "m-2", name="Home", properties={"url": "https://shop.example"}),
        message("screen", "m-3", category="Plans"),
        message("track", "m-4", event="BalanceReported", properties={"balance": {"value": "1.00", "unit": "CNY"}}),
        message("group", "m-5", groupId="G"),
        message("alias", "m-6", previousId="U-0"),
        message("track", "m-7", event="Seen", userId=None, anonymousId="a-1"),
        {"type": "track", "userId": USER, "event": "No id"},
        message("nonsense", "m-9"),
        message("track", "m-10", event="ConsentGiven", properties={"purpose": "marketing.sms", "channel": "sms"}),
        "no object",
        message("track", "m-1", event="Order Completed", properties={"total": 12.5, "名": "手机"}),
    ]
    verdicts = await batch(world, key, *sent)
    refused = ("accountNo", "type", "type", "userId", "messageId", "type")
    assert states(verdicts) == [
        *[("accepted", None)] * 4,
        *[("rejected", field) for field in refused],
        ("accepted", None),
        ("rejected", None),
        ("duplicate", None),
    ]
    assert [verdict["messageId"] for verdict in verdicts[:2]] == ["m-0", "m-1"]
    assert await world.rows("interaction") == before + 3
    assert await letters(world) == 7
    logged = await rows(
        world.house.stores["cn"], "interaction", "reason IN ('Order Completed', 'page Home', 'screen Plans')"
    )
    assert {row["channel"] for row in logged} == {"APP"}
    assert {row["at"] for row in logged} == {NOW}


async def test_a_message_says_nothing_of_whoever_has_no_name_to_it(world: World, key: str) -> None:
    customers = await world.rows("customer")
    verdicts = await batch(world, key, message("identify", "m-1", userId="", traits={"email": "who@example.cn"}))
    assert states(verdicts) == [("rejected", "userId")]
    assert await world.rows("customer") == customers


async def test_a_message_that_became_no_event_is_read_again_when_it_is_replayed(
    world: World, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, cn, hand = world.house, world.house.stores["cn"], Hand("test", "officer 7", "cli")
    drawer = Drawer(cn, house.rings["cn"], house.trails["cn"])
    links = {"other": {"customerKey": "D-STORY-A"}}
    sent = [
        IDENTIFIED,
        message("bought", "m-1", event="Order Completed", properties={"total": 1}),
        message("bought", "m-2", event="CustomersMerged", properties=links),
        message("bought", "m-3", event="UsageRecorded"),
        message("group", "m-4", groupId="G"),
        message("track", "m-5", event="Paid", properties={"total": float("nan")}),
    ]
    assert [state for state, _ in states(await batch(world, key, *sent))] == ["accepted", *["rejected"] * 5]
    slow = datetime.now(UTC) - timedelta(days=2)
    assert states(await batch(world, key, message("track", "m-6", event="Off"), sent_at=slow)) == [
        ("rejected", "sentAt")
    ]

    async def replayed() -> list[tuple[str, bool, list[str]]]:
        ids = [letter.letter_id for letter in await letters_of(cn, Which())]
        found = await replay(drawer, writer_of(house), ids, hand)
        fields = {letter.letter_id: letter.field for letter in await letters_of(cn, Which())}
        return sorted((fields.get(one.letter_id, ""), one.gone, [o.code or "" for o in one.outcomes]) for one in found)

    before = await letters_of(cn, Which())
    invalid = ["EVENT_INVALID"]
    still = [("", False, ["NUMBER_INVALID"]), *(("sentAt", False, invalid), *[("type", False, invalid)] * 4)]
    assert await replayed() == still
    assert {(one.letter_id, one.field, one.expected) for one in await letters_of(cn, Which())} == {
        (one.letter_id, one.field, one.expected) for one in before
    }
    calls = segment.event_of

    def mended(events: Any, said: Any, by: WriteKey, at: datetime) -> dict[str, Any]:
        return calls(events, said | ({"type": "track"} if said["type"] == "bought" else {}), by, at)

    monkeypatch.setattr("cdp.letters.event_of", mended)
    assert await replayed() == [
        ("", False, ["NUMBER_INVALID"]),
        ("", True, [""]),
        ("", True, invalid),
        ("sentAt", False, invalid),
        ("type", False, invalid),
        ("type", False, ["LETTER_FORBIDDEN"]),
    ]
    logged = await one(cn, "interaction", "reason = 'Order Completed'")
    assert (logged["at"], logged["channel"]) == (NOW, "APP")
    assert [letter.field for letter in await letters_of(cn, Which(field="usageType"))] == ["usageType"]
    resent = message("track", "m-1", event="Order Completed", properties={"total": 1})
    assert states(await batch(world, key, resent)) == [("duplicate", None)]


async def test_a_user_by_number_goes_with_their_letters(world: World, key: str) -> None:
    await batch(world, key, message("group", "m-1", userId="77"), message("alias", "m-2", userId=77))
    told = await rows(world.house.stores["cn"], "dead_letter")
    assert len(told) == 2
    assert told[0]["subject_tag"] == told[1]["subject_tag"] is not None


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
async def test_a_number_that_is_none_takes_nobody_along(world: World, key: str, number: str) -> None:
    """SDKs for Python write them, and give up a batch that was refused."""
    await batch(world, key, IDENTIFIED)
    sent = [message("track", f"m-{n}", event="Paid", properties={"total": 0}) for n in range(3)]
    body = json.dumps({"batch": sent}).replace('"total": 0', f'"total": {number}', 1)
    answer = await send(world, "/v1/batch", body.encode(), basic(key))
    assert states(answer.json()["verdicts"]) == [("rejected", None), ("accepted", None), ("accepted", None)]
    lines = f'[{{"eventId": "e-1", "x": [{number}]}}, {json.dumps(SAMPLES["CustomerRegistered"])}]'
    answer = await send(world, "/v1/events", lines.encode(), basic(key))
    assert states(answer.json()["verdicts"]) == [("rejected", None), ("accepted", None)]
    assert await letters(world) == 2
    assert len(await rows(world.house.stores["cn"], "interaction", "reason = 'Paid'")) == 2


async def test_traits_change_what_they_tell_and_nothing_else(world: World, key: str) -> None:
    cn = world.house.stores["cn"]
    profile = {"name": "陈美", "kind": "INDIVIDUAL", "birthDate": "1990-01-02", "address": "广州", "tier": "HIGH"}
    head = {"type": "CustomerRegistered", "eventId": "r", "region": "CN", "subject": {"customerKey": USER}}
    first = message("identify", "m-0", traits={"email": "new@example.cn"})
    late = head | profile | {"at": (NOW - timedelta(days=3)).isoformat(), "email": "old@example.cn"}

    assert states(await batch(world, key, first)) == [("accepted", None)]
    before = await one(cn, "customer", "named_at < '1971-01-01'")
    await world.tell(late)
    after = await one(cn, "customer", f"customer_id = '{before['customer_id']}'")
    assert (after["email"], after["email_at"]) == (before["email"], NOW)
    assert None not in (after["formatted_name"], after["birth_date"], after["address"])
    assert (after["tier"], after["named_at"]) == ("HIGH", NOW - timedelta(days=3))

    in_context = message("identify", "m-1", context={"traits": {"name": "Mei"}}, timestamp=None)
    assert states(await batch(world, key, in_context)) == [("accepted", None)]
    again = await one(cn, "customer", f"customer_id = '{before['customer_id']}'")
    assert again["formatted_name"] != after["formatted_name"]
    kept = ("email", "birth_date", "address")
    assert [again[name] for name in kept] == [after[name] for name in kept]


async def test_a_message_sent_again_by_another_clock_is_the_same(world: World, key: str) -> None:
    """The client's clock is an hour slow; then it is put right; each attempt is sent at another time."""
    await batch(world, key, IDENTIFIED)
    hour, happened = timedelta(hours=1), NOW - timedelta(minutes=5)
    sent = message("track", "m-1", event="Clicked", timestamp=(happened - hour).isoformat())
    before = datetime.now(UTC)
    assert states(await batch(world, key, sent, sent_at=before - hour)) == [("accepted", None)]
    logged = await one(world.house.stores["cn"], "interaction", "reason = 'Clicked'")
    assert timedelta(0) <= logged["at"] - happened <= datetime.now(UTC) - before
    for off in (hour, hour - timedelta(seconds=31), hour + timedelta(seconds=7), timedelta(0), -timedelta(minutes=3)):
        again = await batch(world, key, sent, sent_at=datetime.now(UTC) - off)
        assert states(again) == [("duplicate", None)]
    assert await one(world.house.stores["cn"], "interaction", "reason = 'Clicked'") == logged
    assert await letters(world) == 0


async def test_a_clock_that_is_right_leaves_the_time_alone_and_one_a_day_off_is_refused(world: World, key: str) -> None:
    await batch(world, key, IDENTIFIED)
    old = (NOW - timedelta(days=40)).isoformat()
    assert states(await batch(world, key, message("track", "m-1", event="Old", timestamp=old))) == [("accepted", None)]
    assert (await one(world.house.stores["cn"], "interaction", "reason = 'Old'"))["at"] == NOW - timedelta(days=40)
    verdicts = await batch(
        world, key, message("track", "m-2", event="Off"), sent_at=datetime.now(UTC) - timedelta(days=2)
    )
    assert states(verdicts) == [("rejected", "sentAt")]
    assert await letters(world) == 1


async def test_a_key_writes_to_its_own_region_and_gives_no_orders(world: World, key: str, hong_kong: str) -> None:
    await batch(world, key, IDENTIFIED)
    there = {"region": "HK", "subject": {"number": "+85291234567"}, "purpose": "marketing.sms"}
    merged = {"other": {"customerKey": "D-STORY-A"}}
    link = {"token": "0" * 32, "otherStore": "hk", "leads": True}
    before = await world.counts()
    verdicts = await batch(
        world,
        key,
        message("track", "m-1", event="ConsentGiven", properties=there),
        message("track", "m-2", event="CustomersMerged", properties=merged),
        message("track", "m-3", event="CustomerLinked", properties=link),
        message("track", "m-4", event="ConsentGiven", properties={"eventId": "mine"}),
    )
    assert states(verdicts) == [("rejected", f) for f in ("region", "type", "type", "properties.eventId")]
    changed = {name: count - before[name] for name, count in (await world.counts()).items() if count != before[name]}
    # The sealed letters need a key of the store; what is of Hong Kong lies there.
    assert {**changed, "data_key": 0} == {"dead_letter": 4, "sent_message": 4, "data_key": 0}
    assert len(await rows(world.house.stores["hk"], "dead_letter")) == 1


async def test_what_has_not_happened_yet_is_to_be_looked_at(world: World, key: str) -> None:
    await batch(world, key, IDENTIFIED)
    later = (NOW + timedelta(days=3)).isoformat()
    assert states(await batch(world, key, message("track", "m-1", event="Early", timestamp=later))) == [
        ("review", "at")
    ]
    assert await rows(world.house.stores["cn"], "interaction", "reason = 'Early'") == []
    told = (await world.http.get("/metrics")).text
    assert 'cdp_events_total{verdict="review"} 1.0' in told
    assert 'cdp_intake_answers_total{status="200"} 2.0' in told


@pytest.mark.parametrize("call", ["identify", "track", "page", "screen", "group", "alias"])
async def test_each_call_has_its_own_address(world: World, key: str, call: str) -> None:
    await batch(world, key, IDENTIFIED)
    body = message("ignored", "m-1", event="Clicked", groupId="G", previousId="P")
    body["sentAt"] = datetime.now(UTC).isoformat()
    answer = await send(world, f"/v1/{call}", body, basic(key))
    [verdict] = answer.json()["verdicts"]
    assert (answer.status_code, verdict["status"]) == (200, "rejected" if call in ("group", "alias") else "accepted")


@pytest.mark.parametrize(
    ("path", "body", "headers", "expected"),
    [
        ("batch", {"batch": []}, {}, (401, "WRITE_KEY_INVALID")),
        ("batch", {"batch": []}, basic("cdp.cn.wrong"), (401, "WRITE_KEY_INVALID")),
        ("batch", {"batch": []}, {"authorization": "Basic ???"}, (401, "WRITE_KEY_INVALID")),
        ("batch", {"batch": []}, {"authorization": "Bearer x"}, (401, "WRITE_KEY_INVALID")),
        ("batch", b"{", None, (400, "JSON_INVALID")),
        ("batch", b"\xff", None, (400, "BODY_NOT_UTF8")),
        ("batch", b"[" * 100_000, None, (400, "JSON_TOO_DEEP")),
        ("batch", [], None, (400, "BODY_INVALID")),
        ("batch", {"batch": {}}, None, (400, "BATCH_INVALID")),
        ("batch", {"batch": [], "sentAt": "soon"}, None, (400, "EVENT_INVALID")),
        ("batch", b" " * (BATCH_BYTES + 1), None, (413, "BODY_TOO_LARGE")),
        ("batch", b"no gzip", {"content-encoding": "gzip"}, (400, "GZIP_INVALID")),
        ("batch", gzip.compress(b"{}", mtime=0)[:-9], {"content-encoding": "gzip"}, (400, "GZIP_INVALID")),
        ("batch", gzip.compress(b" " * 10_000_000, mtime=0), {"content-encoding": "gzip"}, (413, "BODY_TOO_LARGE")),
        ("batch", b"{}", {"content-encoding": "br"}, (415, "ENCODING_UNSUPPORTED")),
        ("nothing", b"{}", None, (404, "NOT_FOUND")),
        ("events", b"{}", {}, (401, "TOKEN_MISSING")),
    ],
)
async def test_what_is_no_request_is_refused_whole(
    world: World, key: str, path: str, body: Any, *, headers: dict[str, str] | None, expected: tuple[int, str]
) -> None:
    before = await world.counts()
    given = headers if headers is not None and "content-encoding" not in headers else basic(key) | (headers or {})
    answer = await send(world, f"/v1/{path}", body, given)
    assert (answer.status_code, answer.json()["code"]) == expected
    assert isinstance(answer.json()["message"], str)
    assert ("www-authenticate" in answer.headers) == (answer.status_code == 401)
    assert await world.counts() == before


async def test_gzip_says_itself_what_it_is(world: World, key: str) -> None:
    answer = await send(
        world, "/v1/events", gzip.compress(json.dumps(SAMPLES["CustomerRegistered"]).encode()), basic(key)
    )
    assert states(answer.json()["verdicts"]) == [("accepted", None)]


async def test_a_mark_of_byte_order_is_no_part_of_what_it_begins(world: World, key: str) -> None:
    line = json.dumps(SAMPLES["CustomerRegistered"])
    for text, state in ((line, "accepted"), (f"[{line}]", "duplicate")):
        answer = await send(world, "/v1/events", text.encode("utf-8-sig"), basic(key))
        assert states(answer.json()["verdicts"]) == [(state, None)]


async def test_a_line_that_is_no_record_is_told_how_records_come(world: World, key: str) -> None:
    answer = await send(world, "/v1/events", json.dumps(SAMPLES["CustomerRegistered"], indent=1).encode(), basic(key))
    told = answer.json()["verdicts"]
    assert told[0]["expected"] == "one JSON object a line, or an array of them (JSON_INVALID)"
    assert {verdict["status"] for verdict in told} == {"rejected"}


async def test_a_type_is_not_asked_and_members_of_gzip_are_joined(world: World, key: str) -> None:
    """RudderStack's SDK for Node sends JSON under the type of a form."""
    text = json.dumps({"batch": [IDENTIFIED]}).encode()
    body = gzip.compress(text[:20]) + gzip.compress(text[20:])
    headers = basic(key) | {"content-encoding": "gzip", "content-type": "application/x-www-form-urlencoded"}
    answer = await send(world, "/v1/batch", body, headers)
    assert states(answer.json()["verdicts"]) == [("accepted", None)]


async def test_one_message_may_be_so_large(world: World, key: str) -> None:
    await batch(world, key, IDENTIFIED)
    large = message("track", "m-1", event="Large", properties={"text": "x" * EVENT_BYTES})
    fits = message("track", "m-2", event="Fits", properties={"text": "x" * (EVENT_BYTES - 300)})
    verdicts = await batch(world, key, large, fits)
    assert states(verdicts) == [("rejected", None), ("accepted", None)]
    assert "32768 bytes" in verdicts[0]["expected"]


async def test_a_key_that_was_revoked_writes_no_more(world: World, key: str) -> None:
    cn = world.house.stores["cn"]
    [kept] = await list_write_keys(cn)
    assert (kept.key, kept.revoked_at) == (KEY, None)
    assert key.split(".")[2] not in str(await rows(cn, "write_key"))
    assert await revoke_write_key(cn, kept.key_id, NOW) == ["shop-app"]
    assert await revoke_write_key(cn, kept.key_id, NOW) == []
    assert (await send(world, "/v1/batch", {"batch": [IDENTIFIED]}, basic(key))).status_code == 401


# --- our own shape ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["array", "lines"])
async def test_events_of_ours_in_order_each_with_its_verdict(world: World, shape: str) -> None:
    await world.tell(OTHER)
    sent = [SAMPLES["UsageRecorded"], SAMPLES["CustomerRegistered"], {"eventId": "bad"}, *list(SAMPLES.values())[1:4]]
    sent += [SAMPLES["CustomersMerged"], OTHER | {"region": "HK"}, SAMPLES["CustomerRegistered"]]
    text = json.dumps(sent) if shape == "array" else "\n".join(json.dumps(one) for one in sent) + "\n\nno json\n"
    bearer = {"authorization": f"Bearer {world.token(APP._replace(stores=('cn',)))}"}
    answer = await send(world, "/v1/events", text.encode(), bearer | {"accept": "application/x-ndjson"}, packed=True)
    verdicts = [json.loads(line) for line in answer.text.splitlines()]
    expected: list[tuple[str, str | None]] = [("accepted", None), ("accepted", None), ("rejected", "type")]
    expected += [("accepted", None)] * 3 + [("rejected", "type"), ("rejected", "region"), ("duplicate", None)]
    assert states(verdicts) == expected + ([("rejected", None)] if shape == "lines" else [])
    assert [verdict["eventId"] for verdict in verdicts[:3]] == [
        "sample-UsageRecorded",
        "sample-CustomerRegistered",
        "bad",
    ]
    assert answer.headers["content-type"] == "application/x-ndjson"


async def test_a_steward_may_merge_and_a_partner_sends_nothing(world: World) -> None:
    await world.tell(OTHER, SAMPLES["CustomerRegistered"])
    steward = APP._replace(role=Role.STEWARD)
    for caller, expected in ((steward, 200), (PARTNER, 403), (APP._replace(stores=()), 403)):
        bearer = {"authorization": f"Bearer {world.token(caller)}"}
        answer = await send(world, "/v1/events", [SAMPLES["CustomersMerged"]], bearer)
        assert answer.status_code == expected
    assert await world.rows("merge_edge") == 2


async def test_a_write_key_sends_events_of_ours_too(world: World, key: str) -> None:
    answer = await send(world, "/v1/events", [SAMPLES["CustomerRegistered"]], basic(key))
    assert states(answer.json()["verdicts"]) == [("accepted", None)]


async def test_events_of_both_stores_go_each_to_its_own(world: World) -> None:
    here, there = SAMPLES["CustomerRegistered"], SAMPLES["CustomerRegistered"] | {"region": "HK", "eventId": "there"}
    bearer = {"authorization": f"Bearer {world.token()}"}
    answer = await send(world, "/v1/events", [there, here, there], bearer)
    assert states(answer.json()["verdicts"]) == [("accepted", None), ("accepted", None), ("duplicate", None)]


async def test_events_by_graphql_have_the_same_rate(world: World) -> None:
    document = f"mutation In($events: [Event!]!) {PURPOSE} {{ ingest(events: $events) {{ status field }} }}"
    two = [SAMPLES["CustomerRegistered"], SAMPLES["CustomerRegistered"] | {"region": "FR"}]
    told = await world.ask(document, events=two)
    assert told["data"]["ingest"] == [{"status": "ACCEPTED", "field": None}, {"status": "REJECTED", "field": "region"}]
    closed = await world.ask(document, APP._replace(stores=("hk",)), events=[two[0], SAMPLES["CustomersMerged"]])
    assert [one["field"] for one in closed["data"]["ingest"]] == ["region", "region"]
    body = {"query": document, "variables": {"events": [{"region": "FR"}]}}
    assert (await world.post(body, APP._replace(stores=()))).status_code == 403
    slow = replace(world.house, settings=world.house.settings.model_copy(update={"events_per_second": 1}))
    many = {"query": document, "variables": {"events": [two[0]] * 99}}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(serve_house(slow)), base_url="http://cdp.test") as http:
        apart = replace(world, http=http)
        assert (await apart.post(many)).status_code == 200
        refused = await apart.post(many)
    assert (refused.status_code, int(refused.headers["retry-after"]) > 1) == (429, True)


# --- schemas ----------------------------------------------------------------------------------------------------------


async def test_the_schemas_are_those_of_the_door(world: World) -> None:
    told = (await world.http.get("/v1/schemas")).json()["schemas"]
    assert set(told) == set(EVENTS)
    for name, where in told.items():
        schema = (await world.http.get(where)).json()
        sample = SAMPLES[name]
        assert set(schema["required"]) <= sample.keys() <= schema["properties"].keys()
        assert schema["properties"]["type"] == {"const": name}
    assert (await world.http.get("/v1/schemas/Nothing")).status_code == 404
    assert (await world.http.post("/v1/schemas")).status_code == 405


# --- back-pressure ----------------------------------------------------------------------------------------------------


async def ask_unread(app: Receiver, key: str, path: str = "/v1/batch") -> tuple[int, dict[str, str]]:
    """The answer to a request whose body must not be read."""
    headers = [(name.encode(), value.encode()) for name, value in basic(key).items()]
    scope: Scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was read")

    async def note(told: Any) -> None:
        sent.append(told)

    await app(scope, receive, note)
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def receiver(world: World, **given: Any) -> Receiver:
    async def verify(_: str) -> Caller:
        return APP

    settings = world.house.settings.model_copy(update=given)
    intake = Intake(writer_of(world.house), settings.intake_queue, settings.intake_writers)
    return Receiver(reception_of(settings, intake, verify, Metrics()))


@pytest.fixture
async def locked(world: World) -> AsyncIterator[asyncpg.Connection]:
    """Nobody writes to the mainland's store while this is held."""
    connection = await asyncpg.connect((world.house.settings.stores or {})["cn"])
    await connection.execute("BEGIN; LOCK TABLE event_seen")
    yield connection
    await connection.close()


async def test_a_full_queue_refuses_before_it_reads_and_the_other_store_goes_on(
    world: World, key: str, hong_kong: str, locked: asyncpg.Connection
) -> None:
    app = receiver(world, intake_queue=2, intake_writers=1)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cdp.test") as http:
        apart = replace(world, http=http)
        held = [
            asyncio.create_task(batch(apart, key, message("identify", f"m-{n}", userId=f"U-{n}"))) for n in range(2)
        ]
        while app._reception.intake._inside["cn"] < 2:  # noqa: ASYNC110 - nobody tells when they are in
            await asyncio.sleep(0.01)
        status, headers = await ask_unread(app, key)
        assert (status, headers["retry-after"]) == (429, "1")
        assert states(await batch(apart, hong_kong, message("identify", "m-1"))) == [("accepted", None)]
        assert not any(task.done() for task in held)
        await locked.execute("ROLLBACK")
        assert [states(await task) for task in held] == [[("accepted", None)]] * 2
        assert states(await batch(apart, key, message("identify", "m-0", userId="U-0"))) == [("duplicate", None)]


async def test_whoever_may_write_to_both_stores_is_held_up_by_those_they_write_to(
    world: World, key: str, locked: asyncpg.Connection
) -> None:
    app = receiver(world, intake_queue=2, intake_writers=1)
    here, there = SAMPLES["CustomerRegistered"], SAMPLES["CustomerRegistered"] | {"region": "HK"}
    bearer, hk = {"authorization": "Bearer both"}, world.house.stores["hk"]
    before = len(await rows(hk, "event_seen"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cdp.test") as http:
        apart = replace(world, http=http)
        held = [
            asyncio.create_task(send(apart, "/v1/events", [here | {"eventId": f"e-{n}"}], bearer)) for n in range(2)
        ]
        while app._reception.intake._inside["cn"] < 2:  # noqa: ASYNC110 - nobody tells when they are in
            await asyncio.sleep(0.01)
        assert (await ask_unread(app, key))[0] == 429
        mixed = await send(apart, "/v1/events", [there | {"eventId": "mixed"}, here], bearer)
        assert (mixed.status_code, mixed.json()["code"], mixed.headers["retry-after"]) == (429, "QUEUE_FULL", "1")
        answer = await send(apart, "/v1/events", [there], bearer)
        assert states(answer.json()["verdicts"]) == [("accepted", None)]
        assert len(await rows(hk, "event_seen")) == before + 1
        await locked.execute("ROLLBACK")
        assert [(await task).status_code for task in held] == [200, 200]
    assert not +app._reception.intake._inside


async def test_each_client_has_its_own_rate(world: World, hong_kong: str) -> None:
    cn = world.house.stores["cn"]
    slow = await new_write_key(cn, KEY._replace(client="slow", per_second=1), NOW)
    quick = await new_write_key(cn, KEY._replace(client="quick"), NOW)
    app = receiver(world)
    clock = [0.0]
    app._reception.intake.clock = lambda: clock[0]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cdp.test") as http:
        apart = replace(world, http=http)
        many = [message("identify", f"m-{n}", userId=f"U-{n}") for n in range(15)]
        assert states(await batch(apart, slow, *many)) == [("accepted", None)] * 15
        status, headers = await ask_unread(app, slow)
        assert (status, headers["retry-after"]) == (429, "5")
        assert states(await batch(apart, quick, message("identify", "q", userId="Q-1"))) == [("accepted", None)]
        clock[0] = 5.0
        assert states(await batch(apart, slow, many[0])) == [("duplicate", None)]


async def test_a_quota_ends_with_its_day(world: World) -> None:
    cn = world.house.stores["cn"]
    few = await new_write_key(cn, KEY._replace(client="few", per_day=2), NOW)
    app = receiver(world)
    now = [datetime(2026, 3, 1, 23, 59, tzinfo=UTC)]
    app._reception.intake.writer = replace(app._reception.intake.writer, clock=lambda: now[0])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cdp.test") as http:
        apart = replace(world, http=http)
        at = (now[0] - timedelta(hours=1)).isoformat()
        two = [message("identify", f"m-{n}", userId=f"U-{n}", timestamp=at) for n in range(2)]
        assert states(await batch(apart, few, *two, sent_at=now[0])) == [("accepted", None)] * 2
        status, headers = await ask_unread(app, few)
        assert (status, headers["retry-after"]) == (429, "60")
        now[0] += timedelta(minutes=1)
        assert states(await batch(apart, few, two[0], sent_at=now[0])) == [("duplicate", None)]
    assert [(row["day"].day, row["events"]) for row in await rows(cn, "write_count")] == [(1, 2), (2, 1)]


async def test_a_store_that_is_gone_is_a_503_and_the_same_batch_is_taken_in_later(world: World, key: str) -> None:
    cn = world.house.stores["cn"]
    gone = replace(cn, writer=await replace(cn.writing, url="postgresql://127.0.0.1:1/x").pool(1))
    app = receiver(world)
    whole = app._reception.intake.writer
    app._reception.intake.writer = replace(whole, stores={**whole.stores, "cn": gone})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cdp.test") as http:
        answer = await send(replace(world, http=http), "/v1/batch", {"batch": [IDENTIFIED]}, basic(key))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["code"] == "STORE_UNAVAILABLE"
        app._reception.intake.writer = whole
        assert states(await batch(replace(world, http=http), key, IDENTIFIED)) == [("accepted", None)]
