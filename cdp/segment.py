"""Messages as the SDKs of Segment and RudderStack send them, and the events of ours that they become.

Nothing is guessed: a message that says nothing of whom it is about, or what we have no event for, is refused. A
message has its time from the client's clock, which may be wrong: by how much, `sentAt` tells.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from cdp.errors import EventInvalid
from cdp.event import Event, instant_of
from cdp.write_keys import WriteKey

CALLS: Final = ("identify", "track", "page", "screen", "group", "alias")
SOURCE: Final = "segment:"
"""What the source of messages begins with; then comes the client."""
CLOCKS_AGREE: Final = timedelta(minutes=1)
"""A clock that is not further off is taken as right: the time is then the client's own."""
CLOCKS_DIFFER: Final = timedelta(days=1)
HEAD: Final = ("type", "eventId", "at")
"""What a message says of its event itself, and its properties may not."""
NAMES: Final = ("name", "firstName", "first_name", "firstname", "lastName", "last_name", "lastname")

Message = Mapping[str, Any]


class Sending(NamedTuple):
    """What the messages of a request have in common: `sent_at` by the client's clock, `received_at` by ours."""

    key: WriteKey
    sent_at: datetime | None
    received_at: datetime


def message_id(message: Message) -> str:
    """The id that a message keeps however often it is sent; raises EventInvalid where it has none."""
    found = message.get("messageId")
    if not isinstance(found, str) or not found:
        raise EventInvalid("messageId", "the id of the message, which stays the same when it is sent again")
    return found


def happened_at(message: Message, sending: Sending) -> datetime:
    """When it happened, by our clock: what the client's clock said, moved by how far that is off. Raises EventInvalid.

    Another attempt to send the message may give another instant: the first one holds.
    """
    claimed = next((message[name] for name in ("timestamp", "originalTimestamp") if message.get(name)), None)
    if claimed is None:
        return sending.received_at
    at = _instant("timestamp", claimed)
    if sending.sent_at is None:
        return at
    behind = sending.received_at - sending.sent_at
    if abs(behind) > CLOCKS_DIFFER:
        raise EventInvalid("sentAt", "an instant at most a day from ours")
    try:
        return at if abs(behind) <= CLOCKS_AGREE else at + behind
    except OverflowError:
        raise EventInvalid("timestamp", "an instant that has come") from None


def sent_at(body: Message) -> datetime | None:
    """When a request was sent, by the client's clock; raises EventInvalid."""
    return None if body.get("sentAt") is None else _instant("sentAt", body["sentAt"])


def event_of(events: Mapping[str, type[Event]], message: Message, key: WriteKey, at: datetime) -> dict[str, Any]:
    """The event that a message becomes; raises EventInvalid."""
    call = message.get("type")
    if call not in CALLS:
        raise EventInvalid("type", f"one of {', '.join(CALLS)}")
    head = {"eventId": message_id(message), "at": at.isoformat(), "region": key.region}
    match call:
        case "identify":
            return head | _described(message)
        case "track":
            name = message.get("event")
            if not isinstance(name, str) or not name:
                raise EventInvalid("event", "the name of what happened")
            made = _typed(message, name) if name in events else _logged(message, key, name)
            return head | made
        case "page" | "screen":
            name = message.get("name") or message.get("category")
            return head | _logged(message, key, f"{call} {name}" if isinstance(name, str) else call)
        case "group":
            raise EventInvalid("type", "no group: who belongs to which company is not taken in by messages")
    raise EventInvalid("type", "no alias: that two records are one person's is for a steward to say, by `merge`")


def region_of(message: Message, key: WriteKey) -> str:
    """Where the event of a message is recorded, as far as the message can be read."""
    properties = message.get("properties")
    found = properties.get("region") if isinstance(properties, Mapping) and message.get("type") == "track" else None
    return found if isinstance(found, str) else key.region


def subject_of(message: Message) -> dict[str, str]:
    """Whom a message is about; raises EventInvalid."""
    user = message.get("userId")
    if isinstance(user, int) and not isinstance(user, bool):
        user = str(user)
    if not isinstance(user, str) or not user:
        raise EventInvalid("userId", "the key of a customer: who is anonymous is nobody we know")
    return {"customerKey": user}


def _described(message: Message) -> dict[str, Any]:
    """Name and e-mail address of a customer. A number is theirs when the network says so, not because of a trait."""
    traits = {**_object(_object(message, "context"), "traits"), **_object(message, "traits")}
    given = {name: traits[name] for name in NAMES if isinstance(traits.get(name), str) and traits[name]}
    parts = [value for name, value in given.items() if name != "name"]
    described: dict[str, Any] = {"type": "CustomerIdentified", "subject": subject_of(message)}
    if name := given.get("name") or " ".join(parts):
        described["name"] = name
    if traits.get("email") is not None:
        described["email"] = traits["email"]
    return described


def _typed(message: Message, name: str) -> dict[str, Any]:
    """An event of ours by its own name: the properties are its fields."""
    properties = _object(message, "properties")
    if mixed := sorted(properties.keys() & set(HEAD)):
        raise EventInvalid(f"properties.{mixed[0]}", "no such property: the message itself says it")
    subject = {} if "subject" in properties else {"subject": subject_of(message)}
    return {**properties, **subject, "type": name}


def _logged(message: Message, key: WriteKey, reason: str) -> dict[str, Any]:
    """An interaction; what else was said of it stands in its note, as JSON."""
    properties = _object(message, "properties")
    logged = {
        "type": "InteractionLogged",
        "subject": subject_of(message),
        "interactionRef": message_id(message),
        "channel": key.channel,
        "direction": "INBOUND",
        "reason": reason,
    }
    if properties:
        logged["note"] = json.dumps(properties, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return logged


def _object(message: Message, name: str) -> Message:
    found = message.get(name)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise EventInvalid(name, "an object")
    return found


def _instant(field: str, value: object) -> datetime:
    try:
        return instant_of(value)
    except ValueError as wrong:
        raise EventInvalid(field, str(wrong)) from None
