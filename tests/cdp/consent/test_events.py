"""Consent: every word is a row of its own, as it was said and when it was known."""

from datetime import UTC, datetime

from cdp.ingest import EVENTS, Status, Writer, ingest
from privacy.vocabulary import ConsentType
from tests.cdp.doors import NOW, accept, one, rows
from tests.cdp.samples import SAMPLES, event

S = SAMPLES
WORDS = [name for name in SAMPLES if name.startswith("Consent")]


async def test_every_word_is_kept(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], S["NumberActivated"], *(S[name] for name in WORDS))
    kept = await rows(writer.stores["cn"], "consent_event")
    assert {row["type"] for row in kept} == {name.removeprefix("Consent").upper() for name in WORDS}
    assert {row["type"] for row in kept} == {kind.value for kind in ConsentType} - {"EXPIRED"}
    assert {row["recorded_at"] for row in kept} == {NOW}
    assert len(WORDS) == len(kept) == sum(name.startswith("Consent") for name in EVENTS)


async def test_what_is_not_said_is_the_widest_scope_at_home(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], event("ConsentGiven", 3, purpose="service.care"))
    row = await one(writer.stores["cn"], "consent_event")
    said = {name: row[name] for name in ("kind", "actor", "category", "channel", "recipient", "destination")}
    assert said == {
        "kind": "GENERAL",
        "actor": "SELF",
        "category": "*",
        "channel": "*",
        "recipient": "SELF",
        "destination": "NONE",
    }
    assert row["happened_at"] == datetime(2026, 3, 3, 1, 30, tzinfo=UTC)
    assert (row["expires_at"], row["notice"], row["evidence_hash"], row["holding_id"]) == (None,) * 4


async def test_only_a_word_said_for_the_number_alone_is_bound_to_its_holding(writer: Writer) -> None:
    alone = {**S["ConsentGiven"], "eventId": "alone", "numberOnly": True}
    await accept(writer, S["CustomerRegistered"], S["NumberActivated"], S["ConsentGiven"], alone)
    holding = await one(writer.stores["cn"], "number_holding")
    bound = [row["holding_id"] for row in await rows(writer.stores["cn"], "consent_event")]
    assert sorted(bound, key=str) == sorted([None, holding["holding_id"]], key=str)


async def test_a_word_for_a_number_needs_the_number(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"])
    [outcome] = await ingest(writer, [event("ConsentGiven", 3, purpose="service.care", numberOnly=True)], "test")
    assert (outcome.status, outcome.field) == (Status.REJECTED, "numberOnly")
    assert await rows(writer.stores["cn"], "consent_event") == []


async def test_nobody_but_a_guardian_agrees_as_one(writer: Writer) -> None:
    """Anybody may say no."""
    await accept(writer, S["CustomerRegistered"])
    said = {"purpose": "insight", "kind": "GUARDIAN"}
    for actor in ("SELF", "AGENT"):
        [outcome] = await ingest(writer, [event("ConsentGiven", 3, eventId=actor, actor=actor, **said)], "test")
        assert (outcome.status, outcome.field) == (Status.REJECTED, "actor")
    assert await rows(writer.stores["cn"], "consent_event") == []
    await accept(writer, event("ConsentWithdrawn", 4, **said), event("ConsentGiven", 5, actor="GUARDIAN", **said))
    assert len(await rows(writer.stores["cn"], "consent_event")) == 2


async def test_objections_are_raised_and_lifted_by_rows(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], S["ObjectionRaised"], S["ObjectionLifted"])
    kept = await rows(writer.stores["cn"], "objection")
    assert sorted((row["happened_at"].day, row["raised"], row["scope"]) for row in kept) == [
        (13, True, "*"),
        (14, False, "*"),
    ]
