"""What the customer is owed an answer for, as it is asked for."""

from enum import StrEnum
from functools import partial

import strawberry

from cdp.care.notice_texts import text_in as notice_in_language
from cdp.care.reads import due_at
from cdp.care.tables import care_notice, case, case_step
from cdp.care.texts import text_in
from schema.billing import TopUp
from schema.fields import column, many, one, personal, record, rising, same, token
from schema.products import Product
from schema.words import Instant, Node, Region, in_language

CASE = personal("case.record")
CONTENT = personal("case.content")


@strawberry.enum(description="What a case is about.")
class TicketType(StrEnum):
    fault = "fault"
    complaint = "complaint"
    inquiry = "inquiry"
    request = "request"


READ_OUT = (case.c.cause_kind, case.c.cause_text, case.c.region, case.c.due_at, case.c.gone_at)
text_of = partial(in_language, READ_OUT, text_in, CONTENT)
"""What a desk reads out to the customer about a case the platform opened."""


@strawberry.enum(description="How far a notice has come.")
class NoticeState(StrEnum):
    WAITING = "WAITING"
    SENT = "SENT"
    WITHHELD = "WITHHELD"
    FAILED = "FAILED"


TOLD = (care_notice.c.kind, care_notice.c.told, care_notice.c.region)
notice_in = partial(in_language, TOLD, notice_in_language, CONTENT)
"""The text of a notice."""


@record(care_notice, care_notice.c.notice_id)
class CareNotice:
    """Something a customer is told without having asked."""

    kind: str | None = column(care_notice.c.kind, CASE, "What of: CASE_OPENED, BILL_SHOCK, CONTRACT_ENDS ...")
    region: Region | None = column(care_notice.c.region, CASE, "The region it is about.")
    state: NoticeState | None = column(care_notice.c.state, CASE, "How far it has come.")
    state_at: Instant | None = column(care_notice.c.state_at, CASE, "Since when.")
    reason: str | None = column(care_notice.c.reason, CASE, "Why it was not told, or not yet.")
    made_at: Instant | None = column(care_notice.c.made_at, CASE, "When it was found.")
    text_zh: str | None = notice_in("zh", "Its text in Chinese.")
    text_en: str | None = notice_in("en", "The same in English.")


@record(case_step, case_step.c.step_id)
class CaseStep:
    """A step that a desk took in a case."""

    at: Instant | None = column(case_step.c.at, CASE, "When.")
    step: str | None = column(
        case_step.c.step,
        CASE,
        "What: ACCEPTED, OFFERED, DIAGNOSED, RESOLVED, INFORMED, CONFIRMED, CLOSED; ESCALATED when it was overdue.",
    )
    desk: str | None = column(case_step.c.desk, CASE, "By which desk.")
    note: str | None = column(case_step.c.note, CONTENT, "What it wrote of it.")


@record(case, case.c.case_id)
class Case(Node):
    """Something that somebody owes the customer an answer for."""

    id: strawberry.ID = token("Its opaque id.")
    case_ref: str | None = column(case.c.case_ref, CASE, "The operator's own reference.")
    ticket_type: TicketType | None = column(case.c.ticket_type, CASE, "What it is about.")
    severity: str | None = column(case.c.severity, CASE, "How much it hurts.")
    status: str | None = column(
        case.c.status,
        CASE,
        "How far it has come: OPEN, ACCEPTED, DIAGNOSED, RESOLVED, INFORMED, CONFIRMED, CLOSED, or CANCELLED.",
    )
    status_at: Instant | None = column(case.c.status_at, CASE, "Since when it has that status.")
    owner: str | None = column(case.c.owner, CASE, "The desk that answers for it.")
    offered_to: str | None = column(case.c.offered_to, CASE, "The desk that is asked to take it, and has not yet.")
    region: Region | None = column(case.c.region, CASE, "The region it was opened in.")
    channel: str | None = column(case.c.channel, CASE, "Where it was opened; PLATFORM: by what was found wrong.")
    opened_at: Instant | None = column(case.c.opened_at, CASE, "When it was opened.")
    due: Instant | None = column(due_at, CASE, "When the customer must have an answer.")
    description: str | None = column(case.c.description, CONTENT, "What the customer said.")
    cause: str | None = column(case.c.cause_kind, CASE, "What was found wrong, where the platform opened it.")
    cause_gone_at: Instant | None = column(case.c.gone_at, CASE, "Since when that is right again.")
    text_zh: str | None = text_of("zh", "What a desk reads out about it in Chinese, where the platform opened it.")
    text_en: str | None = text_of("en", "The same in English.")
    customer_told_at: Instant | None = column(case.c.told_at, CASE, "When the customer was told last that it is done.")
    root_cause: str | None = column(case.c.root_cause, CASE, "What it came from.")
    product: Product | None = one(same("product_id"), personal("billing.product"), "The product it is about.")
    top_up: TopUp | None = one(same("top_up_id"), personal("billing.topup"), "The top-up it is about.")
    steps: list[CaseStep] | None = many(
        (rising(case_step.c.at),), CASE, "What was done, oldest first.", on=same("case_id"), max_first=100
    )
