"""One look at whoever a subscription is about: what is told of an event, and to whom else it may happen."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from cdp.asked import shows_anything
from cdp.consent.events import EVENTS as CONSENT
from cdp.global_ids import GlobalId
from cdp.identity.events import EVENTS as IDENTITY
from cdp.news import Heard, Whose
from cdp.rendering import instant_text
from cdp.rights.events import EVENTS as RIGHTS
from cdp.statement import KeyKind
from cdp.wanted import Wanted
from schema.plan.hidden import WATCHED
from schema.plan.operation import OperationRoot, ReadRoot
from schema.plan.picks import json_object, payload
from schema.plan.run import Run
from schema.plan.targets import wanted_id

SAID: Final = frozenset(event.__name__ for event in CONSENT)
DECISIVE: Final = SAID | {event.__name__ for event in (*RIGHTS, *IDENTITY)}
"""Events after which something else may be seen, or another customer is meant."""


class Look(NamedTuple):
    """What was found: the JSON text of each read, whose data it is, and whether any of it may be seen."""

    found: Mapping[str, str]
    whose: frozenset[Whose]
    shows: bool


class Subject(NamedTuple):
    """Whom a subscription is about: `found` is the id it was given, None for one that leads nowhere."""

    root: OperationRoot
    found: GlobalId | None

    def hears(self, heard: Heard) -> bool:
        """Whether a message is about this event."""
        if self.root.name == "consentChanged":
            return heard.entry.event_type in SAID
        if self.root.name == "customerChanged" or self.found is None:
            return True
        case_id = heard.entry.case_id
        return case_id is not None and (self.found.type_name != "Case" or self.found.row_id == case_id)

    async def look(self, run: Run, heard: Heard | None, *, whole: bool) -> Look:
        """Reads what a message is made of (`whole`), or only whether there would be any."""
        run.bind()
        reads = {key: read for key, read in self.root.reads.items() if key != WATCHED and whole}
        wanted = {key: self._wanted(read, self._named(read, heard), run) for key, read in reads.items()}
        told = await run.query.read(list(wanted.values()), run.asked, run.reading)
        if not any(is_customer(read) for read in reads.values()):
            await self._watch(run)
        whose = frozenset((part.store, part.customer_id) for part in run.asked.parts)
        return Look({key: told[want.root.number] for key, want in wanted.items()}, whose, shows_anything(run.asked))

    async def _watch(self, run: Run) -> None:
        """Finds the customer where no message would; what was found already is written down once."""
        before, read = list(run.asked.parts), self.root.reads[WATCHED]
        await run.query.read([self._wanted(read, self._customer, run)], run.asked, run.reading)
        run.reading.findings.forget(read.root.path)
        known = {(part.store, part.customer_id) for part in before}
        new = [part for part in run.asked.parts[len(before) :] if (part.store, part.customer_id) not in known]
        run.asked.parts[:] = before + new

    @property
    def _customer(self) -> GlobalId | None:
        """The customer's id, where the one given is of a row of theirs."""
        if self.found is None or self.found.type_name == "Customer":
            return self.found
        return self.found._replace(type_name="Customer", row_id=self.found.customer_id)

    def _named(self, read: ReadRoot, heard: Heard | None) -> GlobalId | None:
        """What is read for an event: the case it is about, or the customer."""
        if is_customer(read) or self.found is None:
            return self._customer
        if heard is None or heard.entry.case_id is None:
            return None
        return GlobalId("Case", heard.store, heard.entry.customer_id, heard.entry.case_id, holding=self.found.holding)

    def _wanted(self, read: ReadRoot, named: GlobalId | None, run: Run) -> Wanted:
        if named is None:
            return Wanted(read.root, KeyKind.CUSTOMER, {}, {})
        return wanted_id(read, named, run.reach)


def is_customer(read: ReadRoot) -> bool:
    """Whether a read is of a customer, not of a case."""
    return read.sql.main is read.sql.owner


def message(root: OperationRoot, position: str, heard: Heard | None, found: Mapping[str, str], *, partner: bool) -> str:
    """The `data` of a message as JSON text; what happened is nothing to tell a partner."""
    assert root.picks is not None
    entry = None if heard is None or partner else heard.entry
    at_hand: dict[str, Any] = {
        "position": position,
        "eventType": entry and entry.event_type,
        "at": entry and instant_text(entry.at),
    }
    return json_object({root.key: payload(root.picks, at_hand, found)})
