"""A position is good for its reader, for as long as what comes after it is kept."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from cdp.errors import RequestInvalid
from cdp.outbox import LEAST_DAYS, Position
from cdp.positions import places_in, position_text
from privacy.keys import TokenSeal

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
PLACES = {"cn": Position(7, UUID(int=9)), "hk": Position(1 << 60, UUID(int=0))}
TOKENS = TokenSeal(bytes(range(64)))


def test_it_comes_back_as_it_was_and_shows_nothing() -> None:
    text = position_text(TOKENS, "client:app", PLACES, NOW)
    assert places_in(TOKENS, "client:app", text, NOW) == PLACES
    assert "cn" not in text


@pytest.mark.parametrize("reader", ["client:other", "webhook:app", "app"])
def test_it_is_of_no_use_to_another(reader: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        places_in(TOKENS, reader, position_text(TOKENS, "client:app", PLACES, NOW), NOW)
    assert refused.value.code == "POSITION_INVALID"


def test_it_expires_before_what_comes_after_it_is_gone() -> None:
    text = position_text(TOKENS, "client:app", PLACES, NOW)
    late = NOW + timedelta(days=LEAST_DAYS)
    assert places_in(TOKENS, "client:app", text, late) == PLACES
    with pytest.raises(RequestInvalid) as refused:
        places_in(TOKENS, "client:app", text, late + timedelta(seconds=1))
    assert refused.value.code == "POSITION_EXPIRED"
    assert places_in(TOKENS, "client:app", text) == PLACES, "an operator may try"
