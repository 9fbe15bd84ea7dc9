"""Global ids: opaque tokens for rows, and for customers that two stores share; readable for one legal entity alone."""

from typing import NamedTuple
from uuid import UUID

from privacy.errors import TokenRefused
from privacy.keys import TokenSeal

KIND = "node"
NOBODY = UUID(int=0)


class GlobalId(NamedTuple):
    """What a token says: a row of a customer in a store, or (`link`) the token two stores share for one customer.

    One that was given out for a number means nothing any more when that `holding` has ended.
    """

    type_name: str
    store: str = ""
    customer_id: UUID = NOBODY
    row_id: UUID = NOBODY
    link: bytes | None = None
    holding: UUID | None = None


def link_id(tokens: TokenSeal, audience: str, link: bytes) -> str:
    """The id of a customer known to two stores: the same from either side."""
    return tokens.seal(KIND, audience, b"l" + link)


def row_id(tokens: TokenSeal, audience: str, row: GlobalId) -> str:
    """The id of a row."""
    where = f"{row.store}:{row.type_name}".encode()
    bound = b"r" if row.holding is None else b"h" + row.holding.bytes
    return tokens.seal(KIND, audience, b"%b%b%b%b" % (bound, row.customer_id.bytes, row.row_id.bytes, where))


def read_id(tokens: TokenSeal, audience: str, text: str) -> GlobalId | None:
    """What an id stands for; None for one that is altered, or was given to somebody else."""
    try:
        payload = tokens.open(KIND, audience, text)
    except TokenRefused:
        return None
    if payload[:1] == b"l":
        return GlobalId("Customer", link=payload[1:])
    holding = None
    if payload[:1] == b"h":
        holding, payload = UUID(bytes=payload[1:17]), payload[16:]
    store, _, type_name = payload[33:].decode().partition(":")
    return GlobalId(type_name, store, UUID(bytes=payload[1:17]), UUID(bytes=payload[17:33]), holding=holding)
