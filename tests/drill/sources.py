"""What two sources send to one store, of which a part comes twice, from the other source too, and a part is wrong.

One has files, whose rows become events by a mapping, the other posts events as they are. What comes twice in both is
what the mapping makes of the file.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

from cdp.errors import EventInvalid
from cdp.ingest import EVENTS
from cdp.mapping import parse_mapping
from privacy.keys import KeyRing

Event: TypeAlias = dict[str, Any]

DUPLICATES, BAD = 0.05, 0.02
REGION: Final = "CN-GD"
AT: Final = datetime.now(UTC).replace(microsecond=0) - timedelta(days=60)
"""Not so long ago that the worker deletes what is over its term."""
USED, NOTED = "UsageRecorded", "InteractionLogged"
FIELDS: Final = {
    "CustomerRegistered": ("name", "kind"),
    "NumberActivated": ("number",),
    USED: ("usageType", "units", "quantity", "counterparty"),
    NOTED: ("interactionRef", "channel", "direction", "reason"),
}
MAPPING: Final = f"""
name = "drill"
key = ["eventId"]
region = "{REGION}"
at = {{ column = "at" }}
[subject]
number = {{ column = "subject.number", blank = "omit" }}
customerKey = {{ column = "subject.customerKey", blank = "omit" }}
""" + "".join(
    f'[[event]]\ntype = "{name}"\nwhen = {{ column = "type", equals = "{name}" }}\n[event.fields]\n'
    + "".join(f'{one} = {{ column = "{one}", blank = "omit" }}\n' for one in fields)
    for name, fields in FIELDS.items()
)
WRONG: Final[Sequence[Event]] = (
    {"units": "hours"},
    {"quantity": "many"},
    {"at": "2099-01-01T00:00:00Z"},
    {"at": ""},
    {"subject": {"customerKey": "nobody"}},
    {"subject": {"number": "12"}},
)


_READ: Final = parse_mapping(MAPPING, EVENTS)


def row_of(event: Event) -> dict[str, str]:
    """An event as a row of the file, in which each has all columns."""
    flat = {name: value for name, value in event.items() if name != "subject"}
    return dict.fromkeys(_READ.columns, "") | flat | {f"subject.{name}": one for name, one in event["subject"].items()}


def becomes(ring: KeyRing, row: Event) -> Event:
    """What the mapping makes of a row: its event, or the letter of a row that does not fit."""
    try:
        (event,) = _READ.events_of(row, _READ.record_of(row, ring), REGION)
    except EventInvalid:
        return {"mapping": _READ.name, "region": REGION, "row": row}
    return event


def _event(name: str, event_id: str, minute: int, subject: dict[str, str], /, **said: Any) -> Event:
    at = (AT + timedelta(minutes=minute)).isoformat()
    return {"type": name, "eventId": event_id, "at": at, "region": REGION, "subject": subject, **said}


def _people(source: str, count: int) -> list[Event]:
    """Customers with a number each, those of one source; what is said of them later comes after."""
    made = []
    for n in range(count):
        key = {"customerKey": f"{source}-{n}"}
        made.append(_event("CustomerRegistered", f"{source}r{n}", 0, key, name=f"Person {n}", kind="INDIVIDUAL"))
        made.append(_event("NumberActivated", f"{source}n{n}", 1, key, number=_number(source, n)))
    return made


def _number(source: str, n: int) -> str:
    return f"+8613{'8' if source == 'A' else '9'}{n:08}"


def _said(source: str, persons: int, count: int, draw: random.Random) -> tuple[list[Event], list[Event]]:
    """Good events about them, and bad ones."""
    good, bad = list[Event](), list[Event]()
    for n in range(count):
        subject = {"number": _number(source, draw.randrange(persons))}
        used = {"usageType": "SMS", "units": "messages", "quantity": str(draw.randint(1, 9))}
        if draw.random() < BAD:
            bad.append(_event(USED, f"{source}b{n}", 9, subject, **used) | draw.choice(WRONG))
        elif n % 10:
            other = {"counterparty": _number(source, n % persons)} if n % 3 else {}
            good.append(_event(USED, f"{source}u{n}", draw.randrange(9, 40_000), subject, **used, **other))
        else:
            noted = {"interactionRef": f"I{n}", "channel": "APP", "direction": "INBOUND", "reason": "top-up"}
            good.append(_event(NOTED, f"{source}i{n}", n % 40_000 + 9, subject, **noted))
    return good, bad


@dataclass
class Load:
    """What the sources send, people first: rows of files, and what is posted; and the events in all that are good, and
    bad, each once.
    """

    rows: tuple[list[Event], list[Event]]
    posts: tuple[list[Event], list[Event]]
    good: list[Event]
    bad: list[Event]

    @classmethod
    def drawn(cls, count: int, ring: KeyRing) -> "Load":
        """So many events, for the store that has this ring."""
        draw = random.Random()  # noqa: S311 -- no secret
        persons = max(20, count // 100)
        known, posted = [row_of(one) for one in _people("A", persons)], _people("B", persons)
        each, twice = int(count / (1 + DUPLICATES) / 2) - len(known), int(count / 2 * DUPLICATES)
        fine, poor = ([row_of(one) for one in some] for some in _said("A", persons, each, draw))
        right, wrong = _said("B", persons, each, draw)
        good = [becomes(ring, row) for row in (*known, *fine)] + posted + right
        bad = [becomes(ring, row) for row in poor] + wrong
        rows = [*fine, *poor, *draw.sample([*known, *fine, *poor], twice)]
        posts = [*right, *wrong, *draw.sample([one for one in (*good, *bad) if "eventId" in one], twice)]
        draw.shuffle(rows)
        draw.shuffle(posts)
        return cls((known, rows), (posted, posts), good, bad)

    @property
    def total(self) -> int:
        """How many are sent."""
        return sum(len(part) for part in (*self.rows, *self.posts))
