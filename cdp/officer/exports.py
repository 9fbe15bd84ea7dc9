"""Answers for officers as files: the same questions as in the schema, their answers as rows of a table."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final


class What(StrEnum):
    """What can be exported."""

    PROCESSING = "processing"
    TRANSFERS = "transfers"
    TIMELINE = "timeline"
    ACCESS = "access"
    PREVIEW = "preview"


ABOUT_NOBODY: Final = (What.PROCESSING, What.TRANSFERS)
PAGE: Final = 200
FORMULA: Final = re.compile(r"[=@\t\r]|[+-](?!\d+(\.\d+)?$)")
QUESTIONS: Final[Mapping[What, str]] = {
    What.PROCESSING: """query($region: Region) {
        found: recordsOfProcessing(region: $region) { jurisdiction policyVersion
            activities { purpose description recipient bases consent categories rule law } } }""",
    What.TRANSFERS: """query($region: Region) {
        found: recordsOfProcessing(region: $region) { jurisdiction policyVersion
            transfers { id destination kind categories onward ref cap customers expiresAt } } }""",
    What.PREVIEW: """query($who: SubjectInput!, $region: Region, $purpose: String!) @purpose(id: "legal.audit") {
        found: withdrawalPreview(customer: $who, region: $region, purpose: $purpose) {
            stops { purpose recipient destination categories fields } } }""",
    What.TIMELINE: """query($who: SubjectInput!, $region: Region, $skip: Int!) @purpose(id: "legal.audit") {
        found: consentTimeline(customer: $who, region: $region, first: 200, skip: $skip) {
            source type kind actor purpose category channel recipient destination notice collectionPoint evidenceHash
            expiresAt numberOnly happenedAt recordedAt } }""",
    What.ACCESS: """query($who: SubjectInput!, $region: Region, $from: DateTime!, $to: DateTime, $after: ID)
        @purpose(id: "legal.audit") {
        found: accessLog(customer: $who, region: $region, from: $from, to: $to, first: 200, after: $after) {
            next entries { auditId at client actor role channel recipient purpose operation document jurisdiction
            destination policyVersion categories { category effect rule code decidedBy { source type purpose
            happenedAt } } } } }""",
}


def next_page(what: What, found: Any, variables: Mapping[str, Any]) -> dict[str, Any] | None:
    """What to ask for after a page; None where it was the last."""
    if what is What.TIMELINE and len(found) == PAGE:
        return {**variables, "skip": variables["skip"] + PAGE}
    if what is What.ACCESS and found["next"] is not None:
        return {**variables, "after": found["next"]}
    return None


def rows_of(what: What, found: Any) -> Iterator[dict[str, Any]]:
    """The rows of a page: an activity, a transfer, a word, a use that stops, or what one read did with one category."""
    if what in ABOUT_NOBODY:
        outer, inner = found, "activities" if what is What.PROCESSING else "transfers"
    elif what is What.ACCESS:
        outer, inner = found["entries"], "categories"
    else:
        yield from found["stops"] if what is What.PREVIEW else found
        return
    for one in outer:
        head = {name: value for name, value in one.items() if name != inner}
        yield from (head | row for row in one[inner])


def csv_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV (RFC 4180) with a header; a list is one cell, its parts behind each other."""
    text, writer = io.StringIO(), None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(text, list(row))
            writer.writeheader()
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return text.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(_cell(one) for one in value)
    if isinstance(value, dict):
        return " ".join(_cell(one) for one in value.values())
    return no_formula("" if value is None else str(value))


def no_formula(text: str) -> str:
    """A text as a cell of CSV: what a spreadsheet would take for a formula stays a text; a number is one."""
    return f"'{text}" if FORMULA.match(text) else text
