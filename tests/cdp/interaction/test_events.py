"""Interaction: contacts, their words sealed."""

from cdp.ingest import Writer, ingest
from cdp.interaction.tables import interaction
from tests.cdp.doors import accept, codes, one, opened
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
