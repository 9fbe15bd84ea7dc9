"""Positions in the logs of the stores as opaque text, for whoever wants to go on from there."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from cdp.errors import RequestInvalid
from cdp.outbox import LEAST_DAYS, Position
from privacy.errors import TokenRefused
from privacy.keys import TokenSeal

KIND = "position"


def position_text(tokens: TokenSeal, reader: str, places: Mapping[str, Position], at: datetime) -> str:
    """The position in some stores that a reader has come to by an instant; of no use to another reader."""
    said = {"at": int(at.timestamp())} | {
        store: [place.written, place.outbox_id.hex] for store, place in sorted(places.items())
    }
    return tokens.seal(KIND, reader, json.dumps(said, separators=(",", ":")).encode())


def places_in(tokens: TokenSeal, reader: str, text: str, now: datetime | None = None) -> dict[str, Position]:
    """Store -> the place there. Raises RequestInvalid POSITION_INVALID for a text that this reader was not given, and
    POSITION_EXPIRED, where `now` is given, for one from which on entries may be gone.
    """
    try:
        said = json.loads(tokens.open(KIND, reader, text))
    except TokenRefused:
        raise RequestInvalid("POSITION_INVALID", "after: expected a position that was given to this client") from None
    at = said.pop("at")
    if now is not None and at < (now - timedelta(days=LEAST_DAYS)).timestamp():
        raise RequestInvalid("POSITION_EXPIRED", f"after: expected a position of the last {LEAST_DAYS} days")
    return {store: Position(written, UUID(hex=outbox_id)) for store, (written, outbox_id) in said.items()}
