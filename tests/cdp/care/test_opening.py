"""Cases by themselves: one for a cause, by however many it is found; closed when it is gone and the customer told."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from string import Formatter
from typing import Any
from uuid import UUID

import pytest

from cdp.care.opening import Cause, Gone, open_cases, settle
from cdp.care.overdue import escalate
from cdp.care.texts import TEXTS, spelled
from cdp.ingest import Writer, ingest
from tests.cdp.doors import NOW, accept, one, rows
from tests.cdp.samples import SAMPLES

S = SAMPLES
TOLD = {
    "product": "飞信 Fetion",
    "reason": "ARREARS",
    "suspended_at": "2026-03-12T00:05:00+00:00",
    "cleared_at": "2026-03-12T04:05:00+00:00",
}


async def customer_of(writer: Writer) -> UUID:
    [outcome] = await accept(writer, S["CustomerRegistered"])
    assert outcome.customer_id is not None
    return outcome.customer_id


def cause(customer_id: UUID, key: str = "P-1", **changed: Any) -> Cause:
    return Cause(customer_id, "SERVICE_STILL_OFF", key, "HIGH", "CN-GD", "desk-CN-GD-service", TOLD)._replace(**changed)


async def opening(writer: Writer, causes: Sequence[Cause], now: datetime = NOW) -> int:
    async with writer.stores["cn"].transaction() as connection:
        return await open_cases(connection, causes, now)


async def settling(writer: Writer, key: str, at: datetime) -> int:
    async with writer.stores["cn"].transaction() as connection:
        [row] = await connection.fetch("SELECT customer_id FROM customer")
        return await settle(connection, [Gone(row[0], "SERVICE_STILL_OFF", key, at)], at)


def step(name: str, row: dict[str, Any], at: datetime, **fields: Any) -> dict[str, Any]:
    told = {"eventId": f"{name}-{at}", "at": at.isoformat(), "caseId": str(row["case_id"]), "desk": row["owner"]}
    subject = {"subject": {"customerId": str(row["customer_id"])}}
    return S[f"Case{name}"] | told | subject | fields


async def test_a_cause_opens_one_case_with_its_owner_and_its_due_time(writer: Writer) -> None:
    customer_id = await customer_of(writer)
    assert (
        await opening(writer, [cause(customer_id), cause(customer_id), cause(customer_id, "P-2", severity="LOW")]) == 2
    )
    assert await opening(writer, [cause(customer_id)], NOW + timedelta(days=1)) == 0
    first, second = sorted(await rows(writer.stores["cn"], "case"), key=lambda row: str(row["cause_key"]))
    assert (first["owner"], first["region"], first["status"]) == ("desk-CN-GD-service", "CN-GD", "OPEN")
    assert (first["due_at"] - NOW, second["due_at"] - NOW) == (timedelta(hours=4), timedelta(hours=24))
    entries = await rows(writer.stores["cn"], "outbox", "event_type = 'CaseOpened'")
    assert {entry["event_id"] for entry in entries} == {first["case_ref"], second["case_ref"]}


async def test_two_who_find_the_same_at_once_open_one_case(writer: Writer) -> None:
    customer_id = await customer_of(writer)
    found = [cause(customer_id, f"P-{n}") for n in range(20)]
    opened = await asyncio.gather(
        *(opening(writer, side, NOW + timedelta(seconds=n)) for n, side in enumerate((found, found[::-1], found)))
    )
    assert sum(opened) == 20
    assert len(await rows(writer.stores["cn"], "case")) == 20


async def test_the_database_itself_keeps_a_second_open_case_out(writer: Writer) -> None:
    await opening(writer, [cause(await customer_of(writer))])
    row = await one(writer.stores["cn"], "case")
    names = ", ".join(name for name in row if name != "case_id")
    copy = f'INSERT INTO "case" (case_id, {names}) SELECT gen_random_uuid(), {names} FROM "case"'
    with pytest.raises(Exception, match="ix_case_customer_id_cause_kind_cause_key"):
        async with writer.stores["cn"].transaction() as connection:
            await connection.execute(copy)


async def test_it_is_closed_when_its_cause_is_gone_and_the_customer_was_told_since(writer: Writer) -> None:
    await opening(writer, [cause(await customer_of(writer))])
    row = await one(writer.stores["cn"], "case")
    at = [NOW + timedelta(minutes=n) for n in range(20)]
    for n, name in enumerate(("Accepted", "Resolved", "CustomerTold")):
        await accept(writer, step(name, row, at[n]))
    [refused] = await ingest(writer, [step("Closed", row, at[4])], "test")
    assert (refused.code, refused.expected) == ("EVENT_INVALID", "a case whose cause is gone")
    assert await settling(writer, "P-1", at[5]) == 1
    assert await settling(writer, "P-1", at[6]) == 0
    [refused] = await ingest(writer, [step("Closed", row, at[7])], "test")
    assert (refused.code, refused.field) == ("EVENT_INVALID", "caseId")
    assert (await one(writer.stores["cn"], "case"))["closed_at"] is None
    await accept(writer, step("CustomerTold", row, at[8]), step("Closed", row, at[9]))
    row = await one(writer.stores["cn"], "case")
    assert (row["status"], row["gone_at"], row["closed_at"]) == ("CLOSED", at[5], at[9])


async def test_a_cause_that_comes_back_reopens_its_case_and_after_the_end_opens_another(writer: Writer) -> None:
    customer_id = await customer_of(writer)
    at = [NOW + timedelta(minutes=n) for n in range(20)]
    await opening(writer, [cause(customer_id)])
    await settling(writer, "P-1", at[1])
    row = await one(writer.stores["cn"], "case")
    assert (row["status"], row["gone_at"]) == ("RESOLVED", at[1])
    assert await opening(writer, [cause(customer_id)], at[2]) == 0
    row = await one(writer.stores["cn"], "case")
    assert (row["status"], row["gone_at"], row["due_at"] - NOW) == ("OPEN", None, timedelta(hours=4))
    await settling(writer, "P-1", at[3])
    await accept(writer, step("CustomerTold", row, at[4]), step("Closed", row, at[5]))
    assert await opening(writer, [cause(customer_id)], at[6]) == 1
    statuses = sorted(found["status"] for found in await rows(writer.stores["cn"], "case"))
    assert statuses == ["CLOSED", "OPEN"]


async def test_nobody_who_is_gone_gets_a_case(writer: Writer) -> None:
    customer_id = await customer_of(writer)
    async with writer.stores["cn"].transaction() as connection:
        await connection.execute("UPDATE customer SET state = 'ERASING'")
    assert await opening(writer, [cause(customer_id), cause(UUID(int=5))]) == 0
    assert await rows(writer.stores["cn"], "case") == []


async def test_another_system_does_not_move_a_case_of_the_platform(writer: Writer) -> None:
    await opening(writer, [cause(await customer_of(writer))])
    row = await one(writer.stores["cn"], "case")
    for name in ("CaseStatusChanged", "CaseOpened"):
        [refused] = await ingest(writer, [S[name] | {"caseRef": row["case_ref"], "eventId": name}], "test")
        assert (refused.code, refused.field) == ("EVENT_INVALID", "caseRef")
    assert await one(writer.stores["cn"], "case") == row


async def test_a_cause_without_words_is_no_case(writer: Writer) -> None:
    customer_id = await customer_of(writer)
    for wrong in ({"kind": "NO_SUCH"}, {"text": {"product": "x"}}):
        with pytest.raises(ValueError, match="text"):
            await opening(writer, [cause(customer_id)._replace(**wrong)])
    assert await rows(writer.stores["cn"], "case") == []


def test_a_text_tells_instants_where_the_customer_is() -> None:
    due, gone = NOW, NOW + timedelta(hours=1)
    standing = spelled("SERVICE_STILL_OFF", TOLD, "CN-GD", due)
    assert "2026年3月12日08:05 起因欠费停用" in standing["zh"]
    assert "since 12 March 2026, 08:05 because of arrears" in standing["en"]
    assert "by 1 April 2026, 20:00" in standing["en"]
    assert "worked again since 1 April 2026, 13:00 UTC" in spelled("SERVICE_STILL_OFF", TOLD, "GB", due, gone)["en"]


@pytest.mark.parametrize("kind", TEXTS)
def test_every_text_is_whole_in_both_languages(kind: str) -> None:
    asked = {name for text in TEXTS[kind] for _, name, _, _ in Formatter().parse(text) if name}
    told = {name: NOW.isoformat() if name.endswith("_at") else "x" for name in asked - {"due_at", "gone_at"}}
    for gone in (None, NOW):
        made = spelled(kind, told, "HK", NOW, gone)
        assert all(made.values())
        assert not any(mark in words for words in made.values() for mark in "{}")


async def test_a_case_that_is_overdue_is_escalated_once(writer: Writer) -> None:
    cn, customer_id = writer.stores["cn"], await customer_of(writer)
    await opening(writer, [cause(customer_id), cause(customer_id, "P-2", severity="LOW")])
    await accept(writer, S["CaseOpened"] | {"at": NOW.isoformat(), "dueAt": (NOW + timedelta(days=9)).isoformat()})
    due = {row["severity"]: row["due_at"] for row in await rows(cn, "case", "cause_kind IS NOT NULL")}
    before = await one(cn, "case", "cause_key = 'P-1'")
    assert await escalate(cn, due["HIGH"] - timedelta(seconds=1)) == 0
    assert [await escalate(cn, due["HIGH"]) for _ in range(2)] == [1, 0]

    step = await one(cn, "case_step", "step = 'ESCALATED'")
    assert (step["case_id"], step["at"], step["desk"]) == (before["case_id"], due["HIGH"], "PLATFORM")
    told = await one(cn, "outbox", "event_type = 'CaseEscalated'")
    assert (told["customer_id"], told["case_id"]) == (customer_id, before["case_id"])
    assert await one(cn, "case", "cause_key = 'P-1'") == before, "its desk answers for it as before"
    assert [await escalate(cn, due["LOW"] + timedelta(days=90)) for _ in range(2)] == [2, 0]


async def test_who_was_told_in_time_or_is_gone_has_nothing_overdue(writer: Writer) -> None:
    cn, customer_id = writer.stores["cn"], await customer_of(writer)
    await opening(writer, [cause(customer_id)])
    row = await one(cn, "case")
    await settling(writer, "P-1", NOW)
    await accept(writer, step("CustomerTold", row, NOW + timedelta(minutes=1)))
    assert await escalate(cn, NOW + timedelta(days=90)) == 0
    await opening(writer, [cause(customer_id, "P-2")])
    async with cn.transaction() as connection:
        await connection.execute("UPDATE customer SET state = 'ERASING'")
    assert await escalate(cn, NOW + timedelta(days=90)) == 0
