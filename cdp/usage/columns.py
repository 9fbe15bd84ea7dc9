"""Records of usage as they mostly come, read many at once: what `UsageRecorded` checks and says, and what a record is
spelled like, without an object for each.

Whatever is unusual in any way is not read here, and goes the way of all events.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from json.encoder import encode_basestring_ascii as quoted
from operator import itemgetter
from typing import Any, Final, TypeAlias, TypeGuard

from cdp.copying import field as sent
from cdp.event import EARLIEST, instant_of
from cdp.usage.events import BASE_UNITS, RECEIVED, TOTALS
from cdp.usage.tables import usage_month
from cdp.values import USAGE_UNITS, to_usage_count, valid_region

NAME: Final = "UsageRecorded"
COUNTED_IN: Final = tuple(column.name for column in usage_month.columns)
FIELDS: Final = itemgetter("at", "eventId", "quantity", "region", "subject", "type", "units", "usageType")
LONGEST_REF, LONGEST_COUNT = 128, 15
NUMBER: Final = "number"
LONGEST: Final = {NUMBER: 400, "customerKey": LONGEST_REF, "accountNo": LONGEST_REF}
"""What records are found by here, and how long it may be."""
MONTHS: Final = 12

Used: TypeAlias = tuple[datetime, str, bytes, "Kind", int, str | None, int, str, str]
"""Instant, event id, tag of the subject, kind, count in base units, the other party, month, what kind of identifier the
subject is, and the record as it is spelled.
"""


@dataclass(slots=True)
class Kind:
    """What records of one region, type and unit have in common; `units` are those they come in."""

    store: str
    region: str
    usage_type: str
    units: str
    factor: int
    tags: dict[tuple[str, str], bytes | None]
    """Of the region's identifiers (kind, as it is written); None for what is none."""
    middle: str = field(init=False)
    end: str = field(init=False)
    total: int = field(init=False)
    """Which column of a month counts them."""
    type_field: bytes = field(init=False)
    last_fields: bytes = field(init=False)
    """Units, status and region, as rows have them."""

    def __post_init__(self) -> None:
        self.total = COUNTED_IN.index(TOTALS[self.usage_type])
        self.type_field = sent(self.usage_type.encode())
        self.last_fields = b"".join(
            sent(part.encode()) for part in (BASE_UNITS[self.usage_type], RECEIVED, self.region)
        )
        self.middle = f'","region":{quoted(self.region)},"subject":{{'
        self.end = f'}},"type":"{NAME}","units":{quoted(self.units)},"usageType":{quoted(self.usage_type)}}}'


class Reader:
    """Reads records of a batch. `store_of` says which store keeps a region, None where it is not served, `tag_of`
    (store, kind, text, region) the tag of an identifier, None for what is none; nothing after `latest` is read.
    """

    def __init__(
        self,
        store_of: Callable[[str], str | None],
        tag_of: Callable[[str, str, str, str], bytes | None],
        latest: datetime,
    ) -> None:
        self._store_of, self._tag_of, self._latest = store_of, tag_of, latest
        self._kinds: dict[tuple[str, str, str], Kind | None] = {}
        self._tags: dict[str, dict[tuple[str, str], bytes | None]] = {}

    def read(self, body: Any) -> Used | None:
        """What an event says; None where it is not a record, not as usual, or not good."""
        try:
            written, event_id, quantity, region, subject, name, units, usage_type = FIELDS(body)
            if name != NAME or type(body) is not dict or type(subject) is not dict:
                return None
            (named,) = subject.items()
            other = body["counterparty"] if len(body) == 9 else None
            kind = self._kinds.get((region, usage_type, units)) or self._kind(region, usage_type, units)
            if kind is None or not _usual(event_id) or (len(body) != 8 and not _usual(other)):
                return None
            tag = kind.tags.get(named) or self._tag(kind, *named)
            at = datetime.fromisoformat(written)
            if at.tzinfo is not UTC:
                at = instant_of(at)
            if tag is None or not EARLIEST <= at <= self._latest or type(quantity) is not str:
                return None
            if quantity.isdecimal() and quantity.isascii() and len(quantity) <= LONGEST_COUNT:
                count = int(quantity) * kind.factor
            else:
                count = to_usage_count(usage_type, quantity, units)
        except (LookupError, TypeError, ValueError):
            return None
        said = "" if other is None else f'"counterparty":{quoted(other)},'
        spelled = (
            f'{{"at":{quoted(written)},{said}"eventId":{quoted(event_id)},"quantity":"{quantity}'
            f'{kind.middle}"{named[0]}":{quoted(named[1])}{kind.end}'
        )
        return at, event_id, tag, kind, count, other, at.year * MONTHS + at.month - 1, named[0], spelled

    def _kind(self, region: str, usage_type: str, units: str) -> Kind | None:
        name, kind = (region, usage_type, units), None
        if name not in self._kinds and all(type(part) is str for part in name):
            factor = USAGE_UNITS.get(usage_type, {}).get(units)
            store = self._store_of(region) if valid_region(region) or region == "CN" else None
            if factor is not None and store is not None:
                kind = Kind(store, region, usage_type, units, factor, self._tags.setdefault(region, {}))
            self._kinds[name] = kind
        return kind

    def _tag(self, kind: Kind, by: str, text: str) -> bytes | None:
        if (by, text) in kind.tags or by not in LONGEST or not _usual(text, LONGEST[by]):
            return None
        tag = kind.tags[by, text] = self._tag_of(kind.store, by, text, kind.region)
        return tag


def _usual(text: object, longest: int = LONGEST_REF) -> TypeGuard[str]:
    return type(text) is str and 0 < len(text) <= longest and text.isascii() and text.isprintable()


def month_of(month: int) -> date:
    """The first day of a month that is counted from the year 0."""
    return date(month // MONTHS, month % MONTHS + 1, 1)
