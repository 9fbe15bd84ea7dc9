"""Who a customer is, as it is asked for; everything else about them hangs below."""

from enum import StrEnum

import strawberry

from cdp.billing.tables import account, bill, money_anomaly, payment, product, tariff_advice, top_up
from cdp.care.tables import care_notice, case, service_anomaly
from cdp.consent.tables import consent_event, objection
from cdp.identity.tables import customer, customer_region, identification, number_holding, sim
from cdp.identity.timeline import HoldingState
from cdp.interaction.tables import interaction
from cdp.rights.tables import privacy_request
from cdp.usage.tables import bucket, usage_day, usage_month, usage_record
from schema.advice import TariffAdvice
from schema.billing import BillingAccount, CustomerBill, MoneyAnomaly, Payment, TopUp
from schema.care import CareNotice, Case
from schema.consent import Consent, Objection
from schema.fields import (
    CONTACT,
    PROFILE,
    column,
    connection,
    listing,
    many,
    newest,
    one,
    part,
    personal,
    record,
    rising,
    same,
    token,
    word,
)
from schema.interaction import PartyInteraction
from schema.products import Product, ServiceAnomaly
from schema.rights import PrivacyRequest
from schema.usage import BUCKET, Bucket, UsageConnection, UsageDay, UsageMonth
from schema.words import Day, Instant, Node, PageInfo, Region, TimePeriod, period

HOLDING = personal("number.holding", purposes=CONTACT)
DOCUMENT = personal("identity.document")
STATUS = personal("identity.status", purposes=CONTACT)


@strawberry.enum(description="Whether a customer is a person or an organization.")
class CustomerKind(StrEnum):
    INDIVIDUAL = "INDIVIDUAL"
    ORGANIZATION = "ORGANIZATION"


@strawberry.enum(description="What a customer is to a number.")
class HoldingRole(StrEnum):
    REGISTERED_HOLDER = "REGISTERED_HOLDER"
    USER = "USER"
    PAYER = "PAYER"
    GUARDIAN = "GUARDIAN"
    ORG_ADMIN = "ORG_ADMIN"


strawberry.enum(HoldingState, description="What may be done with a number.")


@record(identification, identification.c.identification_id)
class IndividualIdentification:
    """A document by which the customer was identified."""

    document_type: str | None = column(identification.c.document_type, DOCUMENT, "What kind of document it is.")
    document_number: str | None = column(
        identification.c.document_number, personal("identity.document", search="EXACT"), "Its number."
    )
    issuing_region: Region | None = column(identification.c.issuing_region, DOCUMENT, "Where it was issued.")
    valid_for: TimePeriod | None = period(
        identification.c.valid_from, identification.c.valid_to, DOCUMENT, "While it is valid."
    )


@record(sim, sim.c.sim_id)
class Sim:
    """The card that one or several numbers are on."""

    iccid: str | None = column(sim.c.iccid, personal("number.sim"), "The number of the card.")
    holdings: list["NumberHolding"] | None = many(
        (newest(number_holding.c.valid_from),),
        HOLDING,
        "The numbers on it.",
        on=same("sim_id"),
    )


@record(number_holding, number_holding.c.holding_id)
class NumberHolding:
    """A number while it was this customer's."""

    number: str | None = column(
        number_holding.c.number,
        personal("contact.number", purposes=CONTACT, search="EXACT"),
        "The number in E.164. Once it is theirs no more, nobody is reached by it: it is for service and law alone.",
        ends=number_holding.c.valid_to,
    )
    region: Region | None = column(number_holding.c.region, HOLDING, "Where its account lives.")
    issuer: str | None = column(number_holding.c.issuer, HOLDING, "Who holds the block it is from.")
    serving_operator: str | None = column(number_holding.c.serving_operator, HOLDING, "Who serves it now.")
    role: HoldingRole | None = column(number_holding.c.role, HOLDING, "What the customer is to it.")
    state: HoldingState | None = column(number_holding.c.state, HOLDING, "What may be done with it.")
    valid_for: TimePeriod | None = period(
        number_holding.c.valid_from, number_holding.c.valid_to, HOLDING, "While it was theirs."
    )
    recorded_for: TimePeriod | None = period(
        number_holding.c.recorded_from, number_holding.c.recorded_to, HOLDING, "While we believed so."
    )
    sim: Sim | None = one(same("sim_id"), personal("number.sim"), "The card it is on.")
    buckets: list[Bucket] | None = many(
        (rising(bucket.c.bucket_ref),),
        BUCKET,
        "What is left to use on it, for whom they pay too.",
        on=same("holding_id"),
    )


@record(customer, customer.c.customer_id)
class Customer(Node):
    """A person or organization, joined over all regions they agreed to be joined in."""

    id: strawberry.ID = token(
        "An opaque id, the same from whichever of the customer's numbers one comes; to a partner, one for each number, "
        "which ends with it."
    )
    kind: CustomerKind | None = column(customer.c.kind, STATUS, "A person or an organization.")
    formatted_name: str | None = column(
        customer.c.formatted_name, personal("identity.name", purposes=CONTACT), "The full name."
    )
    birth_date: Day | None = column(
        customer.c.birth_date, personal("identity.birth", purposes=PROFILE), "The day of birth."
    )
    gender: str | None = column(customer.c.gender, personal("identity.gender", purposes=PROFILE), "As registered.")
    status: str | None = column(customer.c.status, STATUS, "Where the relationship stands.")
    tier: str | None = column(
        customer.c.tier, personal("identity.tier", purposes=CONTACT), "How urgently they are served."
    )
    email: str | None = column(
        customer.c.email, personal("contact.email", purposes=CONTACT, search="EXACT"), "The e-mail address."
    )
    address: str | None = column(customer.c.address, personal("contact.address"), "The postal address.")
    registered_at: Instant | None = column(customer.c.registered_at, STATUS, "Since when they are a customer.")
    regions: list[Region] | None = listing(
        customer_region.c.region, personal("identity.region", purposes=CONTACT), "Where they have something."
    )
    identifications: list[IndividualIdentification] | None = many(
        (rising(identification.c.document_type),), DOCUMENT, "The documents they were identified by."
    )
    holdings: list[NumberHolding] | None = many((newest(number_holding.c.valid_from),), HOLDING, "Their numbers.")
    consents: list[Consent] | None = many(
        (newest(consent_event.c.happened_at),),
        personal("consent.record", purposes=CONTACT),
        "What they said about their data.",
    )
    objections: list[Objection] | None = many(
        (newest(objection.c.happened_at),), personal("consent.record", purposes=CONTACT), "What they objected to."
    )
    accounts: list[BillingAccount] | None = many(
        (newest(account.c.opened_at),), personal("billing.account"), "Their accounts."
    )
    products: list[Product] | None = many(
        (rising(product.c.product_ref),), personal("billing.product", purposes=PROFILE), "What they hold."
    )
    service_anomalies: list[ServiceAnomaly] | None = many(
        (newest(service_anomaly.c.found_at),), personal("billing.product"), "Which were not as they should be."
    )
    usage_months: list[UsageMonth] | None = many(
        (newest(usage_month.c.month_on), rising(usage_month.c.region)),
        personal("usage.summary", purposes=PROFILE),
        "What they used, month by month, newest first.",
    )
    usage_days: list[UsageDay] | None = many(
        (newest(usage_day.c.day_on), rising(usage_day.c.region), rising(usage_day.c.usage_type)),
        personal("usage.record"),
        "What they used, day by day, newest first, while single records are kept.",
    )
    usage: UsageConnection | None = connection(
        (newest(usage_record.c.at), newest(usage_record.c.record_id)),
        personal("usage.record"),
        "Each use, newest first.",
    )
    buckets: list[Bucket] | None = many(
        (rising(bucket.c.bucket_ref),), BUCKET, "What they have left to use, alone or with others they pay for."
    )
    bills: list[CustomerBill] | None = many(
        (newest(bill.c.bill_on),), personal("billing.amount", purposes=PROFILE), "Their bills, newest first."
    )
    tariff_advice: list[TariffAdvice] | None = many(
        (rising(tariff_advice.c.product_id),),
        personal("usage.summary"),
        "What each of their products would have cost with every tariff.",
    )
    payments: list[Payment] | None = many(
        (newest(payment.c.paid_at),), personal("billing.amount"), "What they paid, newest first."
    )
    top_ups: list[TopUp] | None = many(
        (newest(top_up.c.requested_at),), personal("billing.topup"), "Their top-ups, newest first."
    )
    money_anomalies: list[MoneyAnomaly] | None = many(
        (newest(money_anomaly.c.found_at),), personal("billing.topup"), "Which of them went astray, newest first."
    )
    interactions: list[PartyInteraction] | None = many(
        (newest(interaction.c.at),), personal("interaction.log"), "What was said, newest first."
    )
    cases: list[Case] | None = many((newest(case.c.opened_at),), personal("case.record"), "Their cases, newest first.")
    notices: list[CareNotice] | None = many(
        (newest(care_notice.c.made_at),), personal("case.record"), "What they were told without asking, newest first."
    )
    privacy_requests: list[PrivacyRequest] | None = many(
        (newest(privacy_request.c.opened_at),), personal("case.record"), "What they asked about their data."
    )


@part
class CustomerEdge:
    """A customer in a page."""

    node: Customer = word("The customer.")
    cursor: str = word("Where to go on after them.")


@part
class CustomerConnection:
    """A page of customers."""

    edges: list[CustomerEdge] = word("The customers of the page.")
    page_info: PageInfo = word("Where the page begins and ends.")
