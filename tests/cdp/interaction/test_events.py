"""Interaction: contacts and cases, their words sealed."""

from cdp.ingest import Writer, ingest
from cdp.interaction.tables import case, interaction
from tests.cdp.doors import accept, codes, one, opened, rows
from tests.cdp.samples import SAMPLES

S = SAMPLES


async def test_a_contact_is_kept_with_its_note_sealed(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], S["InteractionLogged"])
    row = await one(writer.stores["cn"], "interaction")
    assert (row["channel"], row["direction"], row["reason"], row["region"]) == ("HOTLINE", "INBOUND", "top-up", "CN-GD")
    note = await opened(writer, "cn", interaction.c.note, (row["customer_id"], row["interaction_id"]), row["note"])
    assert note == S["InteractionLogged"]["note"]


async def test_one_reference_is_one_contact(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], S["InteractionLogged"])
    again = S["InteractionLogged"] | {"eventId": "again", "reason": "other"}
    assert codes(await ingest(writer, [again], "test")) == ["EVENT_CONFLICT"]
    assert (await one(writer.stores["cn"], "interaction"))["reason"] == "top-up"


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
