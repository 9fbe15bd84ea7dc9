"""Consent: every word is a row of its own, as it was said and when it was known."""

from datetime import UTC, datetime
from typing import Any

import pytest

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


async def test_whoever_names_the_operator_means_the_operator(writer: Writer) -> None:
    """Or a word to the operator would be heard as one to somebody else: a withdrawal would withdraw nothing."""
    no = event("ConsentWithdrawn", 3, purpose="service.care", recipient="OPERATOR", eventId="no")
    small = event("ConsentWithdrawn", 3, purpose="service.care", recipient="Operator", eventId="small")
    other = event("ConsentWithdrawn", 4, purpose="service.care", recipient="OPERATORS", eventId="other")
    await accept(writer, S["CustomerRegistered"], no, small, other)
    kept = [row["recipient"] for row in await rows(writer.stores["cn"], "consent_event")]
    assert sorted(kept) == ["OPERATORS", "SELF", "SELF"]


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
    await accept(writer, *family(), event("ConsentWithdrawn", 4, **said))
    await accept(writer, event("ConsentGiven", 5, actor="GUARDIAN", **said))
    assert len(await rows(writer.stores["cn"], "consent_event")) == 2


def family(role: str = "GUARDIAN", day: int = 2, **head: Any) -> list[dict[str, Any]]:
    """A number of the customer's, in which somebody else has a role."""
    number, theirs = "13800138000", {"customerKey": "C-PARENT"}
    return [
        event("CustomerRegistered", 1, theirs, kind="INDIVIDUAL", eventId="parent"),
        event("NumberActivated", 2, number=number),
        event("NumberActivated", day, theirs, number=number, role=role, eventId="their-role") | head,
    ]


@pytest.mark.parametrize(("actor", "role"), [("GUARDIAN", "GUARDIAN"), ("AGENT", "ORG_ADMIN")])
async def test_who_agrees_for_somebody_has_the_role_that_shows_it(writer: Writer, actor: str, role: str) -> None:
    """At that time, in one of their numbers, and not by themselves; late or early in a batch makes no difference."""
    store = writer.stores["cn"]
    said = event("ConsentGiven", 5, purpose="insight", actor=actor)
    by_number = event("ConsentGiven", 6, {"number": "13800138000"}, purpose="insight", actor=actor, eventId="n")
    *known, theirs = family(role)
    own = {**theirs, "subject": {"customerKey": "C-1001"}, "eventId": "own", "at": "2026-03-01T10:00:00+08:00"}
    await accept(writer, S["CustomerRegistered"], *known, own, *family("PAYER")[2:])

    async def refused(*events: dict[str, Any]) -> None:
        outcomes = await ingest(writer, events, "test")
        assert {(one.status, one.code, one.field) for one in outcomes} == {(Status.REJECTED, "EVENT_INVALID", "actor")}
        assert await rows(store, "consent_event") == await rows(store, "unlogged_word") == []
        assert "ConsentGiven" not in {row["event_type"] for row in await rows(store, "outbox")}

    await refused(said, by_number)
    await accept(writer, {**theirs, "at": "2026-03-20T00:00:00Z", "eventId": "later"})
    await refused(by_number)
    await accept(writer, by_number, said, {**theirs, "eventId": "before"})
    assert {row["actor"] for row in await rows(store, "consent_event")} == {actor}
    gone = event("NumberReleased", 10, {"customerKey": "C-PARENT"}, number="13800138000")
    await accept(writer, gone)
    [after] = await ingest(writer, [{**said, "at": "2026-03-12T00:00:00Z", "eventId": "after"}], "test")
    assert (after.status, after.field) == (Status.REJECTED, "actor")
    await accept(writer, {**said, "at": "2026-03-09T00:00:00Z", "eventId": "while"})
    assert len(await rows(store, "consent_event")) == 3


async def test_an_objection_that_would_hit_nothing_is_refused(writer: Writer) -> None:
    said = {"kind": "DIRECT_MARKETING"}
    await accept(writer, S["CustomerRegistered"], event("ObjectionRaised", 3, scope="marketing", **said))
    for scope in ("markting", "marketing.sms.now", "Marketing"):
        wrong = event("ObjectionRaised", 4, scope=scope, eventId=scope, **said)
        [outcome] = await ingest(writer, [wrong], "test")
        expected = Status.REJECTED, "scope", "a purpose of the vocabulary, or *"
        assert (outcome.status, outcome.field, outcome.expected) == expected
    assert len(await rows(writer.stores["cn"], "objection")) == 1


async def test_objections_are_raised_and_lifted_by_rows(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], S["ObjectionRaised"], S["ObjectionLifted"])
    kept = await rows(writer.stores["cn"], "objection")
    assert sorted((row["happened_at"].day, row["raised"], row["scope"]) for row in kept) == [
        (13, True, "*"),
        (14, False, "*"),
    ]
