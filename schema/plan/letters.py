"""Dead letters for officers: their list, and what is ordered of one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from cdp.context import STORE_ITSELF
from cdp.cursors import after, cursor
from cdp.errors import RequestInvalid
from cdp.global_ids import GlobalId, row_id
from cdp.ingest import Writer
from cdp.letters import Drawer, Hand, Which, drop, letters_of, replay
from schema.plan.orders import shown
from schema.plan.targets import Arguments, Reach, officers_page, only_officers

KIND: Final = "DeadLetter"
PLACE: Final = "Query.deadLetters"
MOST: Final = 200


async def dead_letters(arguments: Arguments, reach: Reach) -> tuple[str, Mapping[str, Any]]:
    """The store of a region, and a page of its letters. Raises AuthError and RequestInvalid."""
    store, first = officers_page(arguments, reach, MOST)
    place, client = f"{PLACE}:{store}", reach.caller.client
    at: tuple[Any, ...] | None = None
    if arguments.get("after") is not None:
        at = after(reach.tokens, place, client, arguments["after"], (datetime, UUID))
    which = Which(*(arguments.get(name) for name in Which._fields))
    found = await letters_of(reach.stores[store].store, which, None if at is None else (at[0], at[1]), first)
    ends = len(found) < first or not found
    return store, {
        "letters": [
            {
                "id": row_id(
                    reach.tokens, reach.caller.legal_entity, GlobalId(KIND, store, STORE_ITSELF, letter.letter_id)
                ),
                "source": letter.source,
                "reason": letter.reason,
                "field": letter.field,
                "expected": letter.expected,
                "firstAt": letter.first_at,
                "lastAt": letter.last_at,
                "seen": letter.seen,
            }
            for letter in found
        ],
        "next": None if ends else cursor(reach.tokens, place, client, (found[-1].first_at, found[-1].letter_id)),
    }


async def order_letter(name: str, arguments: Arguments, reach: Reach, writer: Writer) -> tuple[str, Mapping[str, Any]]:
    """Sends a letter again or drops it: its store, and what became of it. Raises AuthError and RequestInvalid."""
    only_officers(reach.caller)
    place = reach.global_id(arguments["id"])
    if place is None or place.type_name != KIND or not reach.open_to(place.store):
        raise _unknown()
    caller, at = reach.caller, reach.stores[place.store]
    drawer = Drawer(at.store, at.ring, at.book.trail)
    hand = Hand(caller.client, caller.actor, caller.channel)
    if name == "dropDeadLetter":
        if not await drop(drawer, [place.row_id], hand, arguments["why"]):
            raise _unknown()
        return place.store, {"gone": True, "outcomes": []}
    resent = await replay(drawer, writer, [place.row_id], hand)
    if not resent:
        raise _unknown()
    return place.store, {"gone": resent[0].gone, "outcomes": [shown(None, one) for one in resent[0].outcomes]}


def _unknown() -> RequestInvalid:
    return RequestInvalid("ID_UNKNOWN", "id: expected the id of a dead letter")
