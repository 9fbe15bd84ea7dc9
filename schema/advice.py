"""Every tariff that a customer could have, priced on what they used, as it is asked for."""

from typing import Final

from sqlalchemy import ColumnElement, FromClause, Text, literal_column

from cdp.billing.tables import tariff_advice, tariff_option
from schema.billing import AMOUNT
from schema.fields import column, many, one, personal, plain, record, rising, same
from schema.products import PRODUCT, Product, Tariff
from schema.words import DatePeriod, Money, Region, money, period

PRICED = personal("usage.summary")
ASSUMPTIONS: Final = (
    "The months end before the newest one with usage, which may not be over. Each month is priced for itself, begun"
    " minutes and megabytes counted whole. Options are what is sold to this kind of customer in the region of the"
    " product, in the same currency and paid at the same time (before or after use). Discounts are those for products"
    " held now. Roaming is beyond every allowance. Where a region has several products with a tariff there is no"
    " advice, as usage is not kept by product."
)


def _assumptions(_: FromClause) -> ColumnElement[str]:
    return literal_column(f"'{ASSUMPTIONS}'", Text())


@record(tariff_option, tariff_option.c.tariff_id)
class TariffOption:
    """What the same usage would have cost with one tariff."""

    tariff: Tariff | None = one(same("tariff_id"), PRODUCT, "The tariff.")
    cost: Money | None = money(
        tariff_option.c.cost_minor, tariff_option.c.currency, AMOUNT, "Fees, and what was used beyond the allowances."
    )


@record(tariff_advice, tariff_advice.c.product_id)
class TariffAdvice:
    """What a product cost, and what every other tariff would have cost, on the usage of up to six months."""

    product: Product | None = one(same("product_id"), PRODUCT, "The product it is for.")
    region: Region | None = column(tariff_advice.c.region, PRODUCT, "The region whose usage was priced.")
    period: DatePeriod | None = period(
        tariff_advice.c.first_on, tariff_advice.c.last_on, PRICED, "The first days of the first and the last month."
    )
    months: int | None = column(tariff_advice.c.months, PRICED, "How many months were priced.")
    billed: Money | None = money(
        tariff_advice.c.billed_minor,
        tariff_advice.c.currency,
        AMOUNT,
        "What the bills of these months asked for, everything on them included; null where there are none.",
    )
    present_cost: Money | None = money(
        tariff_advice.c.present_minor, tariff_advice.c.currency, AMOUNT, "What the usage costs with the present tariff."
    )
    cheapest: Tariff | None = one(
        same("tariff_id", "cheapest_id"), PRODUCT, "The tariff with which it costs least; the present one if none."
    )
    cheapest_cost: Money | None = money(
        tariff_advice.c.cheapest_minor, tariff_advice.c.currency, AMOUNT, "What it costs with that one."
    )
    saving: Money | None = money(
        tariff_advice.c.saving_minor, tariff_advice.c.currency, AMOUNT, "How much less that is over these months."
    )
    assumptions: str = column(_assumptions, plain("the same for everyone"), "What was taken for granted.")
    options: list[TariffOption] | None = many(
        (rising(tariff_option.c.cost_minor),),
        PRICED,
        "Every tariff that could be had and the present one, cheapest first.",
        on=same("product_id"),
    )
