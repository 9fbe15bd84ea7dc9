"""How cases go: opened, accepted, handed over, diagnosed, resolved, the customer told, confirmed by them, closed.

A step is an order: it is refused where the case, as it is then, does not allow it. Its owner answers for a case until
another desk has accepted it, and it is closed when its cause is gone and the customer was told after that.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from cdp.care.tables import case, case_step
from cdp.changes import NEW, Newest, Put
from cdp.context import Context
from cdp.errors import EventInvalid
from cdp.event import Event, Id, Instant, Lines, Ref, Upper, to_lower, to_upper

TicketType = Annotated[Literal["fault", "complaint", "inquiry", "request"], to_lower]
Severity = Annotated[Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"], to_upper]
CaseStatus = Literal["OPEN", "ACCEPTED", "DIAGNOSED", "RESOLVED", "INFORMED", "CONFIRMED", "CLOSED", "CANCELLED"]

CASE = Newest(
    ("ticket_type", "severity", "region", "channel", "owner", "due_at", "product_id", "description"), "opened_at"
)
CASE_STATUS = Newest(("status",), "status_at")
TAKEN: Final = ("ACCEPTED", "DIAGNOSED", "RESOLVED", "INFORMED", "CONFIRMED")
OVER: Final = ("CLOSED", "CANCELLED")

Case = Mapping[str, Any]
"""The row of a case, as it is when a step is taken."""
Changes = dict[str, Any]


class CaseOpened(Event):
    """Something is to be done for the customer."""

    case_ref: Ref
    ticket_type: TicketType
    severity: Severity
    channel: Upper
    description: Lines | None = None
    product_ref: Ref | None = None
    owner: Ref | None = None
    due_at: Instant | None = None

    def apply(self, context: Context) -> list[Put]:
        row_id = context.row_id("case", self.case_ref)
        row = {
            "customer_id": context.customer_id,
            "case_id": row_id,
            "case_ref": self.case_ref,
            "ticket_type": self.ticket_type,
            "severity": self.severity,
            "region": self.region,
            "channel": self.channel,
            "owner": self.owner,
            "opened_at": self.at,
            "due_at": self.due_at,
            "description": context.seal(case.c.description, self.description, row_id),
            "product_id": None if self.product_ref is None else context.row_id("product", self.product_ref),
        }
        return [Put(case, row, CASE), _status(context, self, "OPEN")]


class CaseStatusChanged(Event):
    """A case that another system keeps has moved along."""

    case_ref: Ref
    status: CaseStatus

    def apply(self, context: Context) -> list[Put]:
        return [_status(context, self, self.status)]


def _status(context: Context, event: CaseOpened | CaseStatusChanged, status: str) -> Put:
    return Put(
        case,
        {
            "customer_id": context.customer_id,
            "case_id": context.row_id("case", event.case_ref),
            "case_ref": event.case_ref,
            "status": status,
            "status_at": event.at,
        },
        CASE_STATUS,
    )


class CaseStep(Event):
    """A desk takes a step in a case."""

    case_id: Id
    desk: Ref
    note: Lines | None = None

    step: ClassVar[str]
    """What is written down of it."""
    before: ClassVar[tuple[str, ...]] = TAKEN
    """In which statuses it may be taken."""

    def apply(self, context: Context) -> list[Put]:
        step_id = context.row_id("caseStep", self.event_id)
        row = {
            "customer_id": context.customer_id,
            "case_id": self.case_id,
            "step_id": step_id,
            "at": self.at,
            "step": self.step,
            "desk": self.desk,
            "note": context.seal(case_step.c.note, self.note, step_id),
        }
        return [Put(case_step, row, NEW)]

    def moved(self, case: Case) -> Changes:
        """What changes in the case; raises EventInvalid where it may not be taken."""
        if case["status"] not in self.before:
            raise EventInvalid("caseId", f"a case that is {' or '.join(self.before)}")
        return self.changes(case)

    def changes(self, case: Case) -> Changes:
        """The columns that change, the case being in a status in which the step may be taken."""
        self.owned(case)
        return {"status": self.step}

    def owned(self, case: Case) -> None:
        """Raises EventInvalid for any desk but the one that answers for the case."""
        if self.desk != case["owner"]:
            raise EventInvalid("desk", "the desk that answers for the case")


class CaseAccepted(CaseStep):
    """A desk takes on a case: its own, or one that was offered to it, for which it answers from then on."""

    step: ClassVar[str] = "ACCEPTED"
    before: ClassVar[tuple[str, ...]] = ("OPEN", *TAKEN)

    def changes(self, case: Case) -> Changes:
        offered = self.desk == case["offered_to"]
        if not offered and (case["status"] != "OPEN" or case["owner"] not in (None, self.desk)):
            raise EventInvalid("desk", "the desk of a case that nobody accepted yet, or the one it was offered to")
        taken = {"owner": self.desk, "offered_to": None} if offered or case["owner"] is None else {}
        return taken | ({"status": self.step} if case["status"] == "OPEN" else {})


class CaseOffered(CaseStep):
    """The desk that answers for a case asks another one to take it, and answers for it until that accepts."""

    to: Ref

    step: ClassVar[str] = "OFFERED"
    before: ClassVar[tuple[str, ...]] = ("OPEN", *TAKEN)

    def changes(self, case: Case) -> Changes:
        self.owned(case)
        if self.to == self.desk:
            raise EventInvalid("to", "another desk")
        return {"offered_to": self.to}


class CaseDiagnosed(CaseStep):
    """What is behind a case has been found."""

    step: ClassVar[str] = "DIAGNOSED"


class CaseResolved(CaseStep):
    """What was to be done has been done, as far as the desk can tell."""

    step: ClassVar[str] = "RESOLVED"


class CaseCustomerTold(CaseStep):
    """Any desk that has the customer before it tells them that it is done."""

    step: ClassVar[str] = "INFORMED"
    before: ClassVar[tuple[str, ...]] = ("RESOLVED", "INFORMED")

    def changes(self, case: Case) -> Changes:
        return {"status": self.step, "told_at": self.at}


class CaseCustomerConfirmed(CaseStep):
    """The customer says, at whatever desk, that it is."""

    step: ClassVar[str] = "CONFIRMED"
    before: ClassVar[tuple[str, ...]] = ("INFORMED",)

    def changes(self, case: Case) -> Changes:
        return {"status": self.step}


class CaseClosed(CaseStep):
    """A case is over, and what it came from is known."""

    root_cause: Upper

    step: ClassVar[str] = "CLOSED"
    before: ClassVar[tuple[str, ...]] = ("INFORMED", "CONFIRMED")

    def changes(self, case: Case) -> Changes:
        self.owned(case)
        if case["cause_kind"] is not None and case["gone_at"] is None:
            raise EventInvalid("caseId", "a case whose cause is gone")
        if case["told_at"] is None or (case["gone_at"] is not None and case["told_at"] < case["gone_at"]):
            raise EventInvalid("caseId", "a case of which the customer was told since its cause is gone")
        return {"status": self.step, "closed_at": self.at, "root_cause": self.root_cause, "offered_to": None}


EVENTS: Final[tuple[type[Event], ...]] = (
    CaseOpened,
    CaseStatusChanged,
    CaseAccepted,
    CaseOffered,
    CaseDiagnosed,
    CaseResolved,
    CaseCustomerTold,
    CaseCustomerConfirmed,
    CaseClosed,
)
