"""What a mutation does before it is read back: one event, handed to the write journey."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from cdp.accountability import accountability, find_number
from cdp.auth import Caller
from cdp.correcting import Approval, approve
from cdp.dead_letters import ORDERED
from cdp.errors import AuthError, RequestInvalid
from cdp.global_ids import GlobalId
from cdp.identity.reads import linked_customer
from cdp.ingest import Outcome, Writer, ingest
from cdp.intake import Intake, Record, Sender
from cdp.numbers import PhoneNumber
from schema.plan.targets import Reach, no_partners, only_accountants, only_officers, only_stewards

MOST_EVENTS = 500
Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Order:
    """How an order becomes an event: the event's type and the fields taken from its input."""

    event: str
    fields: tuple[str, ...]
    reference: str | None = None
    """The field that names the new row, filled with the event's id."""
    only: Callable[[Caller], None] = lambda _: None
    """Raises AuthError for those who may not give it."""


SCOPE = ("purpose", "category", "channel", "recipient", "destination")
CONSENT = (*SCOPE, "kind", "actor", "notice", "expiresAt", "numberOnly")
STEP = ("desk", "note")
ORDERS: dict[str, Order] = {
    "giveConsent": Order("ConsentGiven", CONSENT),
    "withdrawConsent": Order("ConsentWithdrawn", CONSENT),
    "logInteraction": Order("InteractionLogged", ("channel", "direction", "reason", "note"), "interactionRef"),
    "openCase": Order(
        "CaseOpened", ("ticketType", "severity", "channel", "description", "productRef", "owner"), "caseRef"
    ),
    "acceptCase": Order("CaseAccepted", STEP),
    "transferCase": Order("CaseOffered", (*STEP, "to")),
    "diagnoseCase": Order("CaseDiagnosed", STEP),
    "resolveCase": Order("CaseResolved", STEP),
    "tellCustomer": Order("CaseCustomerTold", STEP),
    "confirmCase": Order("CaseCustomerConfirmed", STEP),
    "closeCase": Order("CaseClosed", (*STEP, "rootCause")),
    "merge": Order("CustomersMerged", ("reason",), only=only_stewards),
    "unmerge": Order("CustomersParted", ("reason",), only=only_stewards),
    "openPrivacyRequest": Order("PrivacyRequestOpened", ("kind",), "requestRef"),
    "advancePrivacyRequest": Order("PrivacyRequestAdvanced", ("state", "reason", "evidence"), only=only_officers),
}
ROWS = {"request": "PrivacyRequest", "case": "Case"}
"""The fields of inputs that name a row of a customer, by its opaque id, and its type; the event has `requestId` ..."""


async def give(name: str, arguments: Arguments, reach: Reach, writer: Writer) -> tuple[str, Outcome]:
    """Make the event of an order and hand it in: its id and what became of it."""
    no_partners(reach.caller)
    order, given = ORDERS[name], arguments["input"]
    order.only(reach.caller)
    event_id = str(given.get("eventId") or uuid4())
    subject, region = await _subject(given, reach)
    event = {
        "type": order.event,
        "eventId": event_id,
        "at": (given.get("at") or reach.at).isoformat(),
        "region": region,
        "subject": subject,
        **{field: _plain(given[field]) for field in order.fields if given.get(field) is not None},
    }
    if order.reference is not None:
        event[order.reference] = event_id
    if place := _row(given, reach):
        event[f"{place[0]}Id"] = str(place[1].row_id)
    if "other" in given:
        event["other"], _ = await _subject({"subject": given["other"], "region": region}, reach)
    store = reach.store_of(region)
    if store is not None and not reach.open_to(store):
        raise AuthError("FORBIDDEN", "input.region: not open to this caller", 403)
    if store is not None:
        await reach.announce(store)
    if name == "openCase" and "owner" not in event and store is not None and "number" in subject:
        event["owner"] = await _answering(PhoneNumber.parse(subject["number"], region).e164, store, reach)
    [outcome] = await ingest(writer, [event], f"{ORDERED}{reach.caller.client}")
    return event_id, outcome


async def _answering(number: str, store: str, reach: Reach) -> str | None:
    """The desk that answers for a number; None for one that was never held in the store."""
    at = reach.stores[store]
    async with at.store.read() as connection:
        known = await find_number(connection, at.ring, number, reach.at)
        return None if known is None else (await accountability(connection, known, reach.at)).desk


async def correct(arguments: Arguments, reach: Reach, writer: Writer) -> tuple[str | None, Outcome]:
    """Approve the correction of an anomaly: the id of the event that posts it, and what became of it."""
    no_partners(reach.caller)
    only_accountants(reach.caller)
    found = reach.global_id(arguments["anomaly"])
    if found is None or found.type_name != "MoneyAnomaly":
        raise RequestInvalid("ID_UNKNOWN", "anomaly: expected the id of a money anomaly")
    if not reach.open_to(found.store):
        raise AuthError("FORBIDDEN", "anomaly: not open to this caller", 403)
    await reach.announce(found.store)
    approval = Approval(found.store, found.customer_id, found.row_id, reach.caller.actor, reach.at)
    return await approve(writer, approval)


async def take_in(arguments: Arguments, reach: Reach, intake: Intake) -> list[dict[str, Any]]:
    """The outcomes of events as they were given."""
    no_partners(reach.caller)
    events: Sequence[Mapping[str, Any]] = arguments["events"]
    if len(events) > MOST_EVENTS:
        raise RequestInvalid("TOO_MANY_EVENTS", f"events: expected at most {MOST_EVENTS}")
    caller = reach.caller
    if not reach.all_open:
        raise AuthError("FORBIDDEN", "events: no store is open to this caller", 403)
    sender = Sender(caller.client, tuple(reach.all_open), reach.settings.events_per_second, role=caller.role)
    for store in sorted({*sender.stores} & {reach.store_of(str(event.get("region"))) for event in events}):
        await reach.announce(store)
    records = [Record(event, event) for event in events]
    with intake.admitted(sender):
        outcomes = await intake.take(sender, records, f"graphql:{caller.client}")
    return [shown(event.get("eventId"), outcome) for event, outcome in zip(events, outcomes, strict=True)]


def shown(event_id: object, outcome: Outcome) -> dict[str, Any]:
    """An outcome as the schema has it."""
    return {
        "eventId": event_id if isinstance(event_id, str) else None,
        "status": outcome.status.value,
        "code": outcome.code,
        "field": outcome.field,
        "expected": outcome.expected,
    }


async def _subject(given: Arguments, reach: Reach) -> tuple[dict[str, str], str]:
    """Whom the event is about, and in which region's records."""
    if named := _row(given, reach):
        place = named[1]
        return {"customerId": str(place.customer_id)}, reach.settings.jurisdiction_of(place.store)
    subject, region = given["subject"], given.get("region")
    if subject.get("number") is not None:
        number = PhoneNumber.parse(subject["number"], region)
        return {"number": subject["number"]}, region or number.region
    if subject.get("customerKey") is not None:
        if region is None:
            raise RequestInvalid("REGION_MISSING", "input.region: expected the region the customer key is of")
        return {"customerKey": subject["customerKey"]}, region
    return await _subject_of_id(subject["id"], region, reach)


async def _subject_of_id(text: str, region: str | None, reach: Reach) -> tuple[dict[str, str], str]:
    found = reach.global_id(text)
    if found is None or found.type_name != "Customer":
        raise RequestInvalid("ID_UNKNOWN", "input.subject.id: expected the id of a customer")
    if found.link is None:
        jurisdiction = reach.settings.jurisdiction_of(found.store)
        return {"customerId": str(found.customer_id)}, region or jurisdiction
    store = reach.store_of(region) if region is not None else reach.all_open[0]
    if store is None or not reach.open_to(store):
        raise RequestInvalid("REGION_UNKNOWN", "input.region: no store open to this caller keeps it")
    async with reach.stores[store].store.read() as connection:
        customer_id = await linked_customer(connection, found.link)
    if customer_id is None:
        raise RequestInvalid("ID_UNKNOWN", "input.subject.id: expected the id of a customer")
    return {"customerId": str(customer_id)}, region or reach.settings.jurisdiction_of(store)


def _row(given: Arguments, reach: Reach) -> tuple[str, GlobalId] | None:
    """The field that names a row, and the row; None where the input names none."""
    for field, type_name in ROWS.items():
        if field in given:
            found = reach.global_id(given[field])
            if found is None or found.type_name != type_name:
                raise RequestInvalid("ID_UNKNOWN", f"input.{field}: expected the id of a {type_name}")
            return field, found
    return None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return getattr(value, "value", value)
