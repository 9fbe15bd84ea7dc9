"""Identifiers that identify nobody: refused at the write door with their field, whatever came before them stays."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cdp.app import writer_of
from cdp.errors import RequestInvalid
from cdp.house import House
from cdp.identity.blocked import block, lift, read_blocked
from cdp.ingest import Outcome, Status, ingest
from tests.cdp.doors import rows
from tests.cdp.house import fingerprint
from tests.cdp.samples import event

NOW = datetime(2026, 4, 1, tzinfo=UTC)
HEADER = "kind,value,region\n"
BLOCKED = (
    f"{HEADER}email,Shop@Example.cn,CN-GD\ndocument,440000 1900 0101 0000,CN-GD\n"
    "number,138 0000 0000,CN-GD\ncustomerKey,C-9,CN\nemail,hk@example.hk,HK\n"
)
NAMED = {"name": "陈美玲", "kind": "INDIVIDUAL"}


async def change_blocked(house: House, text: str = BLOCKED, *, lifted: bool = False) -> None:
    found = read_blocked(house, text.splitlines())
    await (lift(house, found) if lifted else block(house, found, NOW))


async def take_in(house: House, *events: dict[str, Any]) -> list[Outcome]:
    return await ingest(writer_of(house), events, "test")


def registered(key: str, **fields: Any) -> dict[str, Any]:
    return event("CustomerRegistered", 1, {"customerKey": key}, eventId=f"r-{key}", **NAMED, **fields)


ID = {"documentType": "NATIONAL_ID"}
REFUSED = [
    (registered("C-2", email="shop@example.cn"), "email"),
    (registered("C-2", documentNumber="440000-19000101-0000", **ID), "documentNumber"),
    (event("CustomerRegistered", 1, {"email": "SHOP@example.cn"}, **NAMED), "subject.email"),
    (event("CustomerTierChanged", 2, {"document": "440000190001010000"}, tier="HIGH"), "subject.document"),
    (event("CustomerTierChanged", 2, {"number": "+86 138 0000 0000"}, tier="HIGH"), "subject.number"),
    (event("NumberActivated", 2, {"customerKey": "C-1"}, number="13800000000"), "number"),
    (event("CustomersMerged", 2, {"customerKey": "C-1"}, other={"customerKey": "C-9"}), "other.customerKey"),
]


@pytest.mark.parametrize(("refused", "field"), REFUSED, ids=[field for _, field in REFUSED])
async def test_nobody_is_identified_by_a_blocked_value(house: House, refused: dict[str, Any], field: str) -> None:
    await take_in(house, registered("C-1"), registered("C-9"))
    await change_blocked(house)
    before = await fingerprint(house)
    outcome, other = await take_in(house, refused, event("CustomerTierChanged", 3, {"customerKey": "C-1"}, tier="LOW"))
    assert (outcome.status, outcome.code, outcome.field) == (Status.REJECTED, "IDENTIFIER_BLOCKED", field)
    assert other.status is Status.ACCEPTED, "the rest of the batch goes through"
    after = await fingerprint(house)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"cn.{name}" for name in ("customer", "event_seen", "outbox", "dead_letter", "data_key")}
    assert len(await rows(house.stores["cn"], "customer")) == 2
    (letter,) = await rows(house.stores["cn"], "dead_letter")
    assert (letter["reason"], letter["field"]) == ("IDENTIFIER_BLOCKED", field)

    await change_blocked(house, lifted=True)
    (outcome,) = await take_in(house, refused)
    assert outcome.code != "IDENTIFIER_BLOCKED"


async def test_what_was_taken_in_before_stays_and_is_a_duplicate(house: House) -> None:
    first = registered("C-1", email="shop@example.cn")
    assert [one.status for one in await take_in(house, first)] == [Status.ACCEPTED]
    await change_blocked(house)
    before = await fingerprint(house)
    assert [one.status for one in await take_in(house, first)] == [Status.DUPLICATE]
    assert await fingerprint(house) == before


async def test_a_value_is_blocked_in_the_store_of_its_region_and_only_its_tag_is_kept(house: House) -> None:
    await change_blocked(house)
    await change_blocked(house)
    kept = {name: await rows(store, "blocked_identifier") for name, store in house.stores.items()}
    assert {name: sorted(row["kind"] for row in found) for name, found in kept.items()} == {
        "cn": ["customerKey", "document", "email", "number"],
        "hk": ["email"],
    }
    for found in kept.values():
        assert not any(value.encode() in row["tag"] for row in found for value in ("shop", "13800000000", "C-9"))
    (elsewhere,) = await take_in(house, registered("C-2", email="hk@example.hk"))
    assert elsewhere.status is Status.ACCEPTED


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kind,value\nemail,secret@example.cn\n", "line 1: expected a header line with kind, value, region"),
        (f"{HEADER}email,secret@example.cn\n", "line 2: expected 3 fields"),
        (f"{HEADER}email,secret@example.cn,CN-GD,more\n", "line 2: expected 3 fields"),
        (f"{HEADER}shoe,secret,CN-GD\n", "line 2: an identifier is one of customerKey"),
        (f"{HEADER}number,secret,CN-GD\n", "line 2: number: not a usable phone number"),
        (f"{HEADER}email,secret@example.cn,ZZ\n", "line 2: no store keeps this region"),
        (f'{HEADER}email,"secret,CN-GD\n', "line 2: expected fields in CSV"),
    ],
)
async def test_a_wrong_file_blocks_nothing(house: House, text: str, told: str) -> None:
    before = await fingerprint(house)
    with pytest.raises(RequestInvalid) as refused:
        await change_blocked(house, text)
    assert refused.value.code == "FILE_INVALID"
    assert str(refused.value).startswith(told)
    assert "secret" not in str(refused.value)
    assert await fingerprint(house) == before
