"""An event is checked field by field; a refusal says where and what belongs there, never what was found."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.errors import EventInvalid
from cdp.event import parse_event
from cdp.ingest import EVENTS
from tests.cdp.samples import SAMPLES

CANARY = "CANARY-13912345678"


def test_every_event_has_a_sample_that_parses() -> None:
    assert set(SAMPLES) == set(EVENTS)
    for name, sample in SAMPLES.items():
        event = parse_event(EVENTS, sample)
        assert type(event).__name__ == event.type == name
        assert type(event).__doc__


def test_the_text_form_of_an_event_shows_nothing() -> None:
    event = parse_event(EVENTS, SAMPLES["CustomerRegistered"])
    assert f"{event!r}{event}{[event.subject]}" == "<CustomerRegistered><CustomerRegistered>[<Subject>]"


WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("CustomerRegistered", {"type": CANARY}, "type", "the name of an event"),
    ("CustomerRegistered", {"type": 7}, "type", "the name of an event"),
    ("CustomerRegistered", {"eventId": ""}, "eventId", "not empty"),
    ("CustomerRegistered", {"eventId": CANARY * 40}, "eventId", "at most 128"),
    ("CustomerRegistered", {"eventId": None}, "eventId", "text"),
    ("CustomerRegistered", {"at": "2026-03-01T09:30:00"}, "at", "time zone"),
    ("CustomerRegistered", {"at": CANARY}, "at", "ISO 8601"),
    ("CustomerRegistered", {"at": 0}, "at", "ISO 8601"),
    ("CustomerRegistered", {"at": "1900-01-01T00:00:00Z"}, "at", "after 1970"),
    ("CustomerRegistered", {"at": "0001-01-01T00:00:00+14:00"}, "at", "after 1970"),
    ("CustomerRegistered", {"region": CANARY}, "region", "ISO 3166-2"),
    ("CustomerRegistered", {"region": "CN-XX"}, "region", "ISO 3166-2"),
    ("CustomerRegistered", {"subject": CANARY}, "subject", "an object"),
    ("CustomerRegistered", {"name": "nul\x00" + CANARY}, "name", "text without control"),
    ("CustomerRegistered", {"name": "two\n" + CANARY}, "name", "text without control"),
    ("CustomerRegistered", {"name": CANARY * 40}, "name", "at most 400"),
    ("CustomerRegistered", {"name": "\ud800" + CANARY}, "name", "valid characters"),
    ("CustomerRegistered", {"name": ["x"]}, "name", "text"),
    ("CustomerRegistered", {"kind": CANARY}, "kind", "INDIVIDUAL"),
    ("CustomerRegistered", {"birthDate": CANARY}, "birthDate", "a day"),
    ("CustomerRegistered", {"birthDate": "2026-02-30"}, "birthDate", "a day"),
    ("CustomerRegistered", {"email": CANARY}, "email", "text of the form"),
    ("CustomerRegistered", {CANARY: 1}, "", "no field"),
    ("CustomerStatusChanged", {"status": CANARY}, "status", "one of"),
    ("CustomerLinked", {"token": CANARY}, "token", "text of the form"),
    ("CustomerLinked", {"leads": "yes"}, "leads", "true or false"),
    ("NumberActivated", {"role": CANARY}, "role", "one of"),
    ("ConsentGiven", {"purpose": CANARY}, "purpose", "a purpose"),
    ("ConsentGiven", {"category": CANARY}, "category", "a data category"),
    ("ConsentGiven", {"destination": CANARY}, "destination", "text of the form"),
    ("ConsentGiven", {"kind": CANARY}, "kind", "one of"),
    ("ConsentGiven", {"expiresAt": CANARY}, "expiresAt", "ISO 8601"),
    ("ConsentInvalidated", {"evidenceHash": CANARY}, "evidenceHash", "text of the form"),
    ("UsageRecorded", {"usageType": CANARY}, "usageType", "one of"),
    ("UsageSummarized", {"month": "2026-13"}, "month", "text of the form"),
    ("UsageSummarized", {"smsCount": -1}, "smsCount", "at least 0"),
    ("UsageSummarized", {"smsCount": 2.5}, "smsCount", "a whole number"),
    ("UsageSummarized", {"smsCount": "5"}, "smsCount", "a whole number"),
    ("UsageSummarized", {"smsCount": 10**16}, "smsCount", "at most"),
    ("BalanceReported", {"balance": {"value": 12.5, "unit": "CNY"}}, "balance.value", "text"),
    ("BalanceReported", {"balance": {"value": "1"}}, "balance.unit", "a value"),
    ("BalanceReported", {"balance": {"value": "1", "unit": "CNY", CANARY: 1}}, "balance", "no field"),
    ("ProductActivated", {"reliesOn": CANARY}, "reliesOn", "a list"),
    ("ProductActivated", {"reliesOn": ["x"] * 21}, "reliesOn", "at most 20"),
    ("ProductActivated", {"reliesOn": ["x", 2]}, "reliesOn.1", "text"),
    ("BillIssued", {"lines": [{"kind": "FEE"}]}, "lines.0.description", "a value"),
    ("PaymentReceived", {"method": "in cash"}, "method", "text of the form"),
    ("InteractionLogged", {"direction": CANARY}, "direction", "one of"),
    ("InteractionLogged", {"note": "bell\x07"}, "note", "text without control"),
    ("CaseOpened", {"ticketType": CANARY}, "ticketType", "one of"),
    ("CaseStatusChanged", {"status": CANARY}, "status", "one of"),
]


@pytest.mark.parametrize(("name", "change", "field", "expected"), WRONG)
def test_a_wrong_field_is_named_and_its_value_is_not(
    name: str, change: dict[str, Any], field: str, expected: str
) -> None:
    with pytest.raises(EventInvalid) as refused:
        parse_event(EVENTS, SAMPLES[name] | change)
    assert refused.value.field == field
    assert expected in refused.value.expected
    assert CANARY not in f"{refused.value}{refused.value.args}{refused.value.field}{refused.value.expected}"
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_field_without_a_default_is_needed(name: str) -> None:
    for field, info in EVENTS[name].model_fields.items():
        alias = info.alias or field
        if info.is_required() and alias != "type":
            with pytest.raises(EventInvalid) as refused:
                parse_event(EVENTS, {key: value for key, value in SAMPLES[name].items() if key != alias})
            assert (refused.value.field, refused.value.expected) == (alias, "a value")


@pytest.mark.parametrize(
    "subject", [{}, {"number": None}, {"number": "1", "email": "a@b"}, {"customerKey": "a", "document": "b"}]
)
def test_a_subject_is_exactly_one_thing(subject: dict[str, Any]) -> None:
    event = parse_event(EVENTS, SAMPLES["CustomerTierChanged"] | {"subject": subject})
    with pytest.raises(EventInvalid, match="exactly one of"):
        event.subject.only()


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_value_in_any_field_is_taken_or_refused(value: object) -> None:
    for field in ("type", "eventId", "at", "region", "subject", "name", "kind", "birthDate", "documentType"):
        with suppress(EventInvalid):
            parse_event(EVENTS, SAMPLES["CustomerRegistered"] | {field: value})
