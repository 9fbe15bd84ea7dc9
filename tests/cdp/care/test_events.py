"""Cases: they move along step by step, have one owner at any time, and end when the customer knows."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from cdp.care.reads import due_at
from cdp.care.tables import case, case_step
from cdp.ingest import Writer, ingest
from cdp.tables import written_out
from tests.cdp.doors import accept, codes, everything, one, opened, rows
from tests.cdp.samples import SAMPLES

S = SAMPLES
STEPS = ("Offered", "Accepted", "Diagnosed", "Resolved", "CustomerTold", "CustomerConfirmed", "Closed")
OWNER, OTHER = "desk-CN-GD", "desk-CN-GD-service"


def step(name: str, n: int, desk: str = OWNER, /, **fields: Any) -> dict[str, Any]:
    return S[f"Case{name}"] | {"eventId": f"{name}-{n}", "desk": desk} | fields


async def test_a_case_moves_along_even_when_its_opening_comes_late(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], S["CaseStatusChanged"])
    early = await one(writer.stores["cn"], "case")
    assert (early["status"], early["opened_at"]) == ("ACCEPTED", None)
    await accept(writer, S["CaseOpened"])
    row = await one(writer.stores["cn"], "case")
    assert (row["status"], row["ticket_type"], row["severity"]) == ("ACCEPTED", "fault", "HIGH")
    ids = (row["customer_id"], row["case_id"])
    assert await opened(writer, "cn", case.c.description, ids, row["description"]) == "no SMS"
    assert len(await rows(writer.stores["cn"], "case")) == 1


async def test_a_case_goes_its_way_and_every_step_is_kept(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], S["CaseOpened"], S["CaseStatusChanged"])
    for name in STEPS:
        await accept(writer, S[f"Case{name}"])
    row = await one(writer.stores["cn"], "case")
    assert (row["status"], row["owner"], row["offered_to"]) == ("CLOSED", OTHER, None)
    assert (row["root_cause"], row["closed_at"], row["told_at"]) == (
        "RESUME_NOT_PROPAGATED",
        row["told_at"],
        row["closed_at"],
    )
    kept = {found["step"]: found for found in await rows(writer.stores["cn"], "case_step")}
    assert {name: found["desk"] for name, found in kept.items()} == {
        "OFFERED": OWNER,
        "ACCEPTED": OTHER,
        "DIAGNOSED": OTHER,
        "RESOLVED": OTHER,
        "INFORMED": "desk-hotline",
        "CONFIRMED": "desk-hotline",
        "CLOSED": OTHER,
    }
    ids = (row["customer_id"], kept["OFFERED"]["step_id"])
    assert await opened(writer, "cn", case_step.c.note, ids, kept["OFFERED"]["note"]) == "转给业务部门"


async def due_of(writer: Writer, tier: str, severity: str) -> Any:
    async with writer.stores["cn"].read() as connection:
        return await connection.fetchval(
            "SELECT make_interval(mins => minutes) FROM case_term WHERE tier = $1 AND severity = $2", tier, severity
        )


async def dues(writer: Writer) -> dict[str, Any]:
    """Reference of a case -> since its opening, until it is due."""
    rows = written_out(select(case.c.case_ref, due_at(case) - case.c.opened_at))
    async with writer.stores["cn"].read() as connection:
        return {row[0]: row[1] for row in await connection.fetch(rows)}


async def test_a_case_is_due_by_the_tier_of_its_customer_whenever_that_is_known(writer: Writer) -> None:
    at = {"at": "2026-03-25T00:00:00Z", "dueAt": "2026-03-26T00:00:00Z"}
    await accept(writer, S["CustomerRegistered"], S["CaseOpened"])
    await accept(writer, S["CaseOpened"] | at | {"eventId": "k2", "caseRef": "K-2"})
    high, everybody = await due_of(writer, "HIGH", "HIGH"), await due_of(writer, "*", "HIGH")
    assert high < everybody
    assert await dues(writer) == {"K-1": high, "K-2": timedelta(days=1)}
    await accept(writer, S["CustomerTierChanged"] | {"tier": "LOW"})
    low = await due_of(writer, "LOW", "HIGH") or everybody
    assert await dues(writer) == {"K-1": low, "K-2": timedelta(days=1)}


REFUSED = [
    ([], step("Resolved", 1), "caseId"),
    ([], step("Accepted", 1, OTHER), "desk"),
    ([], step("Offered", 1, OTHER), "desk"),
    ([], step("Offered", 1, to=OWNER), "to"),
    ([], step("CustomerTold", 1), "caseId"),
    ([], step("Accepted", 1, caseId="01890000-0000-7000-8000-000000000000"), "caseId"),
    ([step("Accepted", 1)], step("Accepted", 2), "desk"),
    ([step("Accepted", 1), step("Offered", 1)], step("Resolved", 1, OTHER), "desk"),
    ([step("Accepted", 1), step("Offered", 1)], step("Accepted", 2, "desk-HK"), "desk"),
    ([step("Accepted", 1), step("Offered", 1), step("Accepted", 2, OTHER)], step("Resolved", 1), "desk"),
    ([step("Accepted", 1)], step("Closed", 1), "caseId"),
    ([step("Accepted", 1), step("Resolved", 1)], step("Closed", 1), "caseId"),
    ([step("Accepted", 1), step("Resolved", 1)], step("CustomerConfirmed", 1), "caseId"),
    ([step("Accepted", 1), step("Resolved", 1), step("CustomerTold", 1)], step("Closed", 1, OTHER), "desk"),
]


@pytest.mark.parametrize(("before", "refused", "field"), REFUSED)
async def test_a_step_that_the_case_does_not_allow_is_refused_and_changes_nothing(
    writer: Writer, before: list[dict[str, Any]], refused: dict[str, Any], field: str
) -> None:
    await accept(writer, S["CustomerRegistered"], S["CaseOpened"], *before)
    was = await everything(writer.stores["cn"])
    [outcome] = await ingest(writer, [refused], "test")
    assert (outcome.code, outcome.field) == ("EVENT_INVALID", field)
    assert await everything(writer.stores["cn"]) == was


async def test_its_owner_answers_for_a_case_until_another_desk_accepts_it(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], S["CaseOpened"], step("Accepted", 1), step("Offered", 1))
    assert (await one(writer.stores["cn"], "case"))["owner"] == OWNER
    await accept(writer, step("Diagnosed", 1), step("Accepted", 2, OTHER))
    row = await one(writer.stores["cn"], "case")
    assert (row["owner"], row["status"], row["offered_to"]) == (OTHER, "DIAGNOSED", None)


async def test_a_step_that_comes_again_is_taken_once(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], S["CaseOpened"], step("Accepted", 1))
    [again] = await ingest(writer, [step("Accepted", 1)], "test")
    assert (again.status, codes([again])) == ("DUPLICATE", [None])
    assert len(await rows(writer.stores["cn"], "case_step")) == 1
