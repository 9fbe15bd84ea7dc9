"""Messages become events, or are refused, whatever is sent; and happened when they did, by our clock."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cdp.errors import EventInvalid
from cdp.event import parse_event
from cdp.ingest import EVENTS
from cdp.segment import CALLS, CLOCKS_AGREE, Sending, event_of, happened_at, message_id, region_of
from cdp.write_keys import WriteKey

KEY = WriteKey("shop", "CN", "APP", 100)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
some = st.sampled_from(("U-1", "m-1", "2026-03-01T11:00:00Z", "9999-12-31T23:59:59Z", "ConsentGiven", "CN-GD", "Home"))
objects = st.dictionaries(
    st.sampled_from(("traits", "name", "firstName", "email", "region", "subject", "purpose", "type", "at", "total")),
    values | some | st.dictionaries(st.sampled_from(("name", "email", "number")), values | some),
)
messages = st.fixed_dictionaries(
    {"type": st.sampled_from(CALLS) | values},
    optional={
        **dict.fromkeys(
            ("messageId", "userId", "anonymousId", "event", "name", "timestamp", "category"), values | some
        ),
        **dict.fromkeys(("properties", "traits", "context"), objects | values),
    },
)
instants = st.integers(1, 250_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(messages, instants | st.none())
def test_a_message_is_an_event_or_refused(message: dict[str, Any], sent: datetime | None) -> None:
    assert isinstance(region_of(message, KEY), str)
    try:
        at = happened_at(message, Sending(KEY, sent, NOW))
        event = event_of(EVENTS, message, KEY, at)
    except EventInvalid:
        return
    assert event["eventId"] == message_id(message)
    assert event["at"] == at.isoformat()
    assert event["subject"] == {"customerKey": str(message["userId"])} or "subject" in message["properties"]
    with suppress(EventInvalid):
        parse_event(EVENTS, event)


@given(st.timedeltas(-timedelta(days=1), timedelta(days=1)), st.timedeltas(timedelta(0), timedelta(days=900)))
def test_a_clock_that_is_off_is_put_right_and_one_that_is_right_is_believed(off: timedelta, ago: timedelta) -> None:
    message = {"timestamp": (NOW - ago + off).isoformat()}
    at = happened_at(message, Sending(KEY, NOW + off, NOW))
    assert at == (NOW - ago + off if abs(off) <= CLOCKS_AGREE else NOW - ago)
    assert abs(at - (NOW - ago)) <= CLOCKS_AGREE
