"""What loading a file would do, as far as can be told without a store: nothing is written, and nobody is asked.

Every event is made and applied as if everybody it names were known. What only the store knows (who holds a number, who
is known, what was taken in before) is told by loading.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast
from uuid import UUID

from rich.progress import Progress

from cdp.context import STORE_ITSELF, Context
from cdp.dead_letters import ROW_INVALID
from cdp.errors import EventInvalid, RequestInvalid
from cdp.event import Event, parse_event
from cdp.file_records import FileRecord, open_source
from cdp.identity.resolve import normalise
from cdp.incoming import CLOCKS_DIFFER, EARLY
from cdp.ingest import EVENTS
from cdp.mapping import FileMapping
from cdp.outcome import rejected
from cdp.values import store_of
from privacy.blind import Index
from privacy.keys import KeyRing

SOMEBODY: Final = UUID(int=1)


@dataclass(slots=True)
class Checked:
    """How many records there are and how many have nothing wrong; events that would be taken in, by type; and what is
    wrong how often: code, field (of an event, or column), what was expected.
    """

    records: int = 0
    good: int = 0
    events: Counter[str] = field(default_factory=Counter)
    wrong: Counter[tuple[str, str, str]] = field(default_factory=Counter)


class _Everybody:
    """Everybody is known, and is whoever is asked for, in any role."""

    def held(self, customer_id: UUID, e164: str, at: datetime) -> UUID | None:
        return SOMEBODY

    def has(self, customer_id: UUID, role: str, at: datetime) -> bool:
        return True

    def owner_of(self, kind: str, value: str) -> UUID | None:
        return STORE_ITSELF

    def customer(self, kind: str, value: str | UUID, region: str, at: datetime) -> UUID | None:
        return SOMEBODY


class _Trial(Context):
    """Nothing is tagged, and what is to be sealed stays where it is."""

    def tag(self, index: Index, normalised: str) -> bytes:
        return b""


def check_file(
    path: Path, mapping: FileMapping, region: str | None, regions: Mapping[str, str], progress: Progress
) -> Checked:
    """Raises RequestInvalid as `load_file` does for a file or mapping that cannot be used."""
    region = mapping.served_region(region, regions)
    source = open_source(path, mapping.encoding, mapping.columns)
    checked, blank = Checked(), dict.fromkeys(mapping.columns, "")
    for record in progress.track(source.records(), total=source.size, description=path.name):
        checked.records += 1
        wrong = set(_wrong(checked, record, mapping, (region, blank, regions)))
        checked.wrong.update(wrong)
        checked.good += not wrong
    return checked


def _wrong(
    checked: Checked, record: FileRecord, mapping: FileMapping, how: tuple[str, dict[str, str], Mapping[str, str]]
) -> Iterator[tuple[str, str, str]]:
    region, blank, regions = how
    if record.row is None:
        yield ROW_INVALID, "", record.expected
        return
    row = blank | record.row
    try:
        mapping.name_of(row)
        events = mapping.events_of(row, mapping.name, region)
    except EventInvalid as invalid:
        yield ROW_INVALID, invalid.field, invalid.expected
        return
    for body in events:
        try:
            _apply(body, regions)
        except RequestInvalid as invalid:
            refused = rejected(invalid, None)
            yield invalid.code, refused.field or "", refused.expected or ""
        else:
            checked.events[body["type"]] += 1


def _apply(body: dict[str, Any], regions: Mapping[str, str]) -> None:
    event: Event = parse_event(EVENTS, body)
    if store_of(event.region, regions) is None:
        raise EventInvalid("region", "a region that is served here")
    if event.at > (now := datetime.now(UTC)) + CLOCKS_DIFFER:
        early = EventInvalid(EARLY.field or "", EARLY.expected or "")
        early.code = EARLY.code or ""
        raise early
    kind, subject = event.subject.only()
    for one, value in ((kind, subject), *event.names(), *event.gives()):
        if isinstance(value, str):
            normalise(one, value, event.region)
    nobody = cast("KeyRing", None)  # what would tag or seal with it does not, in a trial
    event.apply(_Trial(STORE_ITSELF, now, SOMEBODY, nobody, _Everybody()))
