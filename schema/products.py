"""What a customer holds, what it costs, and whether it works, as it is asked for."""

from enum import StrEnum
from functools import partial

import strawberry

from cdp.billing.reads import relies_on
from cdp.billing.tables import product, tariff
from cdp.care.tables import service_anomaly
from cdp.care.texts import CHAIN, chain_in
from cdp.values import price_text
from schema.fields import (
    PROFILE,
    column,
    many,
    newest,
    one,
    personal,
    plain,
    record,
    rising,
    same,
    token,
)
from schema.words import Day, Instant, Money, Node, Region, in_language, money

PRODUCT = personal("billing.product", purposes=PROFILE)
price = partial(money, text=price_text)
ANOMALY = personal("billing.product")
OFFER = plain("part of the operator's catalogue, the same for everyone")


@strawberry.enum(description="Whether use is paid before or after.")
class RatingType(StrEnum):
    PREPAID = "PREPAID"
    POSTPAID = "POSTPAID"


@strawberry.enum(description="Whether a product may be used.")
class ProductStatus(StrEnum):
    active = "active"
    suspended = "suspended"
    terminated = "terminated"


@record(tariff, tariff.c.tariff_id, owned=False)
class Tariff:
    """A product offering with its fee and allowances."""

    tariff_id: str = column(tariff.c.tariff_id, OFFER, "Its number in the catalogue.")
    name: str = column(tariff.c.name, OFFER, "Its name.")
    region: Region = column(tariff.c.region, OFFER, "Where it is sold.")
    rating_type: RatingType = column(tariff.c.rating_type, OFFER, "Whether it is paid before or after.")
    monthly_fee: Money = money(tariff.c.monthly_fee_minor, tariff.c.currency, OFFER, "What it costs a month.")
    voice_minutes: int | None = column(tariff.c.voice_minutes, OFFER, "Minutes included.")
    sms_count: int | None = column(tariff.c.sms_count, OFFER, "Messages included.")
    data_megabytes: int | None = column(tariff.c.data_megabytes, OFFER, "Megabytes included.")
    voice_price: Money | None = price(tariff.c.voice_price, tariff.c.currency, OFFER, "A minute beyond them.")
    sms_price: Money | None = price(tariff.c.sms_price, tariff.c.currency, OFFER, "A message beyond them.")
    data_price: Money | None = price(tariff.c.data_price, tariff.c.currency, OFFER, "A megabyte beyond them.")
    roaming_price: Money | None = price(tariff.c.roaming_price, tariff.c.currency, OFFER, "A megabyte while roaming.")
    contract_months: int | None = column(tariff.c.contract_months, OFFER, "How long it binds, in months.")
    withdrawn_on: Day | None = column(tariff.c.withdrawn_on, OFFER, "Since when it is not sold any more.")


@record(product, product.c.product_id)
class Product(Node):
    """Something the customer holds: a line, a messaging service, a contract."""

    id: strawberry.ID = token("Its opaque id.")
    product_ref: str | None = column(product.c.product_ref, PRODUCT, "The operator's own reference.")
    name: str | None = column(product.c.name, PRODUCT, "Its name.")
    kind: str | None = column(product.c.kind, PRODUCT, "What kind of product it is.")
    region: Region | None = column(product.c.region, PRODUCT, "Where it was sold.")
    status: ProductStatus | None = column(product.c.status, PRODUCT, "Whether it may be used.")
    status_reason: str | None = column(product.c.status_reason, PRODUCT, "Why it has that status.")
    status_at: Instant | None = column(product.c.status_at, PRODUCT, "Since when it has that status.")
    start_date: Day | None = column(product.c.start_on, PRODUCT, "Since when it is held.")
    term_end: Day | None = column(product.c.term_end_on, PRODUCT, "Until when the contract binds.")
    tariff: Tariff | None = one(same("tariff_id"), PRODUCT, "What it costs and includes.")
    relies_on: list["Product"] | None = many(
        (rising(product.c.product_ref),), PRODUCT, "The products it cannot work without.", on=relies_on, max_first=20
    )
    expected_status: ProductStatus | None = column(
        product.c.expected_status,
        PRODUCT,
        "What its status should be, by what it relies on and why it was suspended.",
    )
    expected_since: Instant | None = column(product.c.expected_at, PRODUCT, "Since when that should be.")
    anomalies: list["ServiceAnomaly"] | None = many(
        (newest(service_anomaly.c.found_at),), ANOMALY, "When it was not as it should be.", on=same("product_id")
    )


@strawberry.enum(description="What is wrong with a product, beyond the time it may take.")
class AnomalyKind(StrEnum):
    SERVICE_STILL_OFF = "SERVICE_STILL_OFF"
    SERVICE_STILL_ON = "SERVICE_STILL_ON"


LINKS = tuple(service_anomaly.c[name] for name in ("kind", "region", *CHAIN))
chain = partial(in_language, LINKS, chain_in, ANOMALY)
"""How a product came to be as it should not, in a language."""


@record(service_anomaly, service_anomaly.c.anomaly_id)
class ServiceAnomaly:
    """A product that was not as it should be when that was due. It clears itself when it is."""

    kind: AnomalyKind | None = column(service_anomaly.c.kind, ANOMALY, "What is wrong.")
    product: Product | None = one(same("product_id"), ANOMALY, "The product.")
    region: Region | None = column(service_anomaly.c.region, ANOMALY, "The region that answers for it.")
    owner: str | None = column(service_anomaly.c.owner, ANOMALY, "The desk that answers for it.")
    reason: str | None = column(service_anomaly.c.reason, ANOMALY, "Why it was suspended.")
    status_at: Instant | None = column(service_anomaly.c.status_at, ANOMALY, "Since when it had its status.")
    arrears_cleared_at: Instant | None = column(
        service_anomaly.c.arrears_cleared_at, ANOMALY, "Since when nothing is owed, where that was why."
    )
    relies_on: Product | None = one(
        same("product_id", "relied_id"), ANOMALY, "What it relies on that came back last, or went off first."
    )
    relies_on_at: Instant | None = column(service_anomaly.c.relied_at, ANOMALY, "When that did.")
    expected_at: Instant | None = column(service_anomaly.c.expected_at, ANOMALY, "Since when it should have another.")
    due: Instant | None = column(service_anomaly.c.due_at, ANOMALY, "By when it should have had it at the latest.")
    found_at: Instant | None = column(service_anomaly.c.found_at, ANOMALY, "When that was found.")
    cleared_at: Instant | None = column(service_anomaly.c.cleared_at, ANOMALY, "Since when all is right again.")
    chain_zh: str | None = chain("zh", "How it came to that, in Chinese.")
    chain_en: str | None = chain("en", "The same in English.")
