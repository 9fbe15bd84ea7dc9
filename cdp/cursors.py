"""Sealed keyset cursors: where a page ended, readable only by the client it was given to."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from json.encoder import encode_basestring
from typing import Any
from uuid import UUID

from cdp.errors import RequestInvalid
from privacy.errors import TokenRefused
from privacy.keys import TokenSeal

READERS: dict[type, Any] = {datetime: datetime.fromisoformat, date: date.fromisoformat, UUID: UUID}


def cursor(tokens: TokenSeal, place: str, client: str, values: Sequence[Any]) -> str:
    """A cursor after the row with these order values, for this place of the schema and this client."""
    written = ",".join([encode_basestring(str(value)) for value in values])
    return tokens.seal(f"cursor:{place}", client, f"[{written}]".encode())


def after(tokens: TokenSeal, place: str, client: str, text: str, types: Sequence[type]) -> tuple[Any, ...]:
    """The order values in a cursor; CURSOR_INVALID for one that is altered, foreign or of another place."""
    try:
        values = json.loads(tokens.open(f"cursor:{place}", client, text))
    except TokenRefused:
        raise RequestInvalid("CURSOR_INVALID", "after: expected a cursor of this list, given to this client") from None
    return tuple(READERS.get(kind, kind)(value) for kind, value in zip(types, values, strict=True))
