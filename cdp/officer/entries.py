"""The audit trail read by whom it is about: who read which categories, and every decision of an entry made again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from cdp.admission import OpenStore
from cdp.asked import short_name
from cdp.audited import decoded
from cdp.consent.policy_rows import read_past_policy
from cdp.consent.reads import ALONE
from cdp.errors import RequestInvalid
from cdp.officer.dossier import CONSENT_KNOWN_AT, PURPOSE, Dossier, Moment
from cdp.tables import BUCKETS
from privacy.facts import Facts, Request
from privacy.policy import Decider, Explanation
from privacy.rulebook import Policy
from privacy.vocabulary import ANY, CATEGORIES, SELF, Effect, RecipientClass, covers

MOST_DAYS: Final = 93
"""Days that one question may look at: entries are searched, for no index over customers is kept."""
CATEGORY_OF: Final = {short_name(category): category for category in CATEGORIES}

NAMING: Final = """
SELECT found.entry_id, found.entry FROM unnest($1::smallint[]) AS wanted (bucket) CROSS JOIN LATERAL (
    SELECT entry_id, entry FROM audit_entry AS one
    WHERE one.bucket = wanted.bucket AND one.entry_id >= $2 AND one.entry_id < $3
      AND EXISTS (SELECT FROM unnest($4::bytea[]) AS known (name) WHERE position(known.name IN one.entry) > 0)
    ORDER BY one.entry_id DESC LIMIT $5
) AS found ORDER BY found.entry_id DESC LIMIT $5
"""


@dataclass(frozen=True, slots=True)
class Line:
    """What one entry says of one customer. `as_of` is the instant at which all of it was decided."""

    entry_id: UUID
    entry: Mapping[str, Any]
    line: Mapping[str, Any]
    customer_id: UUID
    as_of: datetime

    def categories(self) -> Iterator[tuple[str, Effect | None]]:
        """Every category that was asked for with what became of it; one whose places differ comes once for each.

        None where the fields were not meant for the purpose: that was refused before anything was decided.
        """
        undeclared = self.undeclared
        bitmaps = {
            Effect.ALLOW: int(self.line["allowed"], 16),
            Effect.MASK: int(self.line["masked"], 16),
            Effect.DENY: int(self.line["denied"], 16) & ~undeclared,
            None: undeclared,
        }
        for short, mask in self.entry.get("places", {}).items():
            places = int(mask, 16)
            for effect, bitmap in bitmaps.items():
                # Without places of its own it was filtered by, and whoever is listed was found.
                if places & bitmap or (not places and effect is Effect.ALLOW):
                    yield CATEGORY_OF.get(short, short), effect

    @property
    def undeclared(self) -> int:
        """The places whose fields are not meant for the purpose."""
        return int(self.entry.get("undeclared", "0"), 16)


async def lines_of(
    at: OpenStore, customers: Sequence[UUID], between: tuple[datetime, datetime], before: UUID | None, most: int
) -> list[Line]:
    """What was written of some customers in a span of time, newest first, at most `most` entries.

    Raises RequestInvalid for a span that is empty or too long.
    """
    start, end = between
    if not start < end or end - start > timedelta(days=MOST_DAYS):
        raise RequestInvalid("PERIOD_INVALID", f"from, to: expected from before to, a span of {MOST_DAYS} days at most")
    names = {
        at.book.trail.names.pseudonym(customer, year): customer
        for customer in customers
        for year in range(start.year, end.year + 1)
    }
    stop = _first_id(end) if before is None else min(before, _first_id(end))
    async with at.store.read() as connection:
        rows = await connection.fetch(
            NAMING, list(range(BUCKETS)), _first_id(start), stop, [name.encode() for name in names], most
        )
    return [line for entry_id, entry in rows for line in _lines(entry_id, decoded(entry), names)]


def _first_id(at: datetime) -> UUID:
    """The least id of an entry of this instant."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


def _lines(entry_id: UUID, entry: Mapping[str, Any], names: Mapping[str, UUID]) -> Iterator[Line]:
    decided_at = datetime.fromtimestamp((entry_id.int >> 80) / 1000, UTC)
    for line in entry.get("customers", ()):
        # An archive names whom it is of, and decides nothing.
        if isinstance(line, dict) and line["customer"] in names:
            as_of = datetime.fromisoformat(line["as_of"]) if "as_of" in line else decided_at
            yield Line(entry_id, entry, line, names[line["customer"]], as_of)


async def policy_of(line: Line, at: OpenStore) -> Policy | None:
    """The policy by which an entry was decided; None where it is not known any more."""
    version = line.entry["policy"]
    async with at.store.read() as connection:
        past = await read_past_policy(connection, version)
    now = await at.policy_since(version)
    return now if past is None and now.version == version else past


@dataclass(frozen=True, slots=True)
class Replay:
    """The decisions of one line of an entry, made again from what was said by then."""

    decider: Decider
    members: Sequence[Facts]

    @classmethod
    def of(cls, line: Line, dossier: Dossier, policy: Policy) -> "Replay":
        """`policy` is the one the entry names."""
        entry, said = line.entry, line.line
        request = Request(
            entry["client"],
            entry["recipient"],
            RecipientClass(entry.get("recipient_class", SELF)),
            entry["purpose"],
            frozenset({entry["purpose"]}),
            entry["channel"],
            entry["from"],
            said["to"],
            line.as_of,
            exhausted=frozenset(said.get("exhausted", ())),
        )
        categories = tuple(sorted({category for category, effect in line.categories() if effect is not None}))
        return cls(Decider(policy, request, categories), _members(line, dossier))

    def bitmaps(self, line: Line) -> dict[str, int]:
        """The bitmaps as the line should have them."""
        undeclared = line.undeclared
        found = {"allowed": 0, "masked": 0, "denied": undeclared}
        word = {Effect.ALLOW: "allowed", Effect.MASK: "masked", Effect.DENY: "denied"}
        for category, verdict in self.decider.together(self.members).verdicts.items():
            found[word[verdict.effect]] |= int(line.entry["places"][short_name(category)], 16) & ~undeclared
        return found

    def explain(self, category: str) -> Explanation:
        """Why a category was decided as it was."""
        return self.decider.explain(self.members, category)


def _members(line: Line, dossier: Dossier) -> list[Facts]:
    """The facts as they stood: what was recorded by then, as many consents as were counted, those about a number alone
    that were heard, who was merged then.
    """
    said = line.line
    moment = Moment(line.as_of, line.as_of)
    year = line.as_of.year
    names = dossier.at.book.trail.names
    named: Mapping[str, int] = said.get("alone", {})
    alone = {
        row[ALONE]: bool(named[name])
        for one in (dossier.records.values() if named else ())
        for row in one.consents
        if row[ALONE] is not None and (name := names.pseudonym(row[ALONE], year)) in named
    }
    mine = dossier.records[line.customer_id].hearing(alone)
    bearing = [row for row in mine.consents if row[PURPOSE] == ANY or covers(row[PURPOSE], line.entry["purpose"])]
    # Of two transactions the one that began first may have ended last, and was not seen.
    seen = sorted(bearing, key=lambda row: row[CONSENT_KNOWN_AT])[: said["consents"]]
    mine = mine._replace(state=said.get("state", "ACTIVE"), consents=seen)
    merged = set(said.get("with", ()))
    others = [
        one.hearing(alone)
        for one in dossier.records.values()
        if merged and names.pseudonym(one.customer_id, year) in merged
    ]
    since = datetime.fromisoformat(said["since"]) if "since" in said else None
    return dossier.together(mine, others, since, moment)
