"""What the operator sells and how it bills, as data: a TOML file, checked as a whole, into the reference tables.

[[tariffs]]
tariffId = "CN-5G-59"              # its number in the catalogue
name = "5G 59"
region = "CN"                      # where it is sold: a country, or one region of it
ratingType = "POSTPAID"            # or PREPAID
currency = "CNY"
monthlyFee = "59.00"
voiceMinutes = 150                 # allowances of a month: minutes, messages, megabytes
smsCount = 100
dataMegabytes = 20480
voicePrice = "0.15"                # for one more of them; without a price there is no more
roamingPrice = "0.0293"            # for a megabyte while roaming
customerKind = "INDIVIDUAL"        # only for these
contractMonths = 12
withdrawnOn = "2027-01-01"         # since when it is not sold any more
bundles = { MESSAGING = "5.00" }   # what the fee is lower by for who holds a product of that kind

[charges]
INSTALLATION = "ONE_OFF"           # what a kind of bill line is there for: TARIFF, USAGE, ONE_OFF, DISCOUNT

[arrears.HK]                       # when a bill is due, and its region's products are suspended
dueDays = 14
graceDays = 21
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError, model_validator
from sqlalchemy import Table

from cdp.billing.tables import arrears_term, charge_kind, tariff, tariff_bundle
from cdp.errors import RequestInvalid
from cdp.event import Day, Part, Ref, Region, Text, Upper
from cdp.stores import Store
from cdp.values import CURRENCIES, money_to_minor

Count = Annotated[int, Field(ge=0, le=10**9)]
Days = Annotated[int, Field(ge=0, le=365)]
PRICE: Final = re.compile(r"\d{1,6}(\.\d{1,6})?")
ALLOWANCES: Final = ("voice_minutes", "sms_count", "data_megabytes")
PRICES: Final = ("voice_price", "sms_price", "data_price", "roaming_price")


class Offer(Part):
    """One tariff. Money is a decimal text in its currency."""

    tariff_id: Ref
    name: Text
    region: Region
    rating_type: Literal["PREPAID", "POSTPAID"]
    currency: Ref
    monthly_fee: Ref
    voice_minutes: Count | None = None
    sms_count: Count | None = None
    data_megabytes: Count | None = None
    voice_price: Ref | None = None
    sms_price: Ref | None = None
    data_price: Ref | None = None
    roaming_price: Ref | None = None
    customer_kind: Literal["INDIVIDUAL", "ORGANIZATION"] | None = None
    contract_months: Annotated[int, Field(ge=0, le=120)] | None = None
    withdrawn_on: Day | None = None
    bundles: dict[Upper, Ref] = Field(default={})

    @model_validator(mode="after")
    def _money_is_money(self) -> "Offer":
        for name, value in (("monthlyFee", self.monthly_fee), *((f"bundles.{k}", v) for k, v in self.bundles.items())):
            try:
                if money_to_minor(value, self.currency) < 0:
                    raise ValueError("no amount below zero")
            except ValueError as wrong:
                raise ValueError(f"{name}: expected {wrong}") from None
        for name in PRICES:
            value = getattr(self, name)
            if value is not None and not PRICE.fullmatch(value):
                raise ValueError(f"{name.partition('_')[0]}Price: expected a decimal number, not below zero")
        return self

    def row(self) -> dict[str, Any]:
        """Its row; prices in minor units and parts of them."""
        same = ("tariff_id", "name", "region", "rating_type", "currency", *ALLOWANCES)
        given = ("customer_kind", "contract_months", "withdrawn_on")
        digits = CURRENCIES[self.currency]
        prices = {name: getattr(self, name) for name in PRICES}
        return {
            **{name: getattr(self, name) for name in (*same, *given)},
            "monthly_fee_minor": money_to_minor(self.monthly_fee, self.currency),
            **{name: None if text is None else Decimal(text).scaleb(digits) for name, text in prices.items()},
        }


class ArrearsTerm(Part):
    """When a bill is due, in days after its date; how many days later there are consequences."""

    due_days: Days
    grace_days: Days


class Catalogue(Part):
    """A file, checked."""

    tariffs: Annotated[tuple[Offer, ...], Field(strict=False)] = ()
    charges: dict[Upper, Literal["TARIFF", "USAGE", "ONE_OFF", "DISCOUNT"]] = Field(default={})
    arrears: dict[Annotated[str, Field(pattern=r"^(\*|[A-Z]{2}(-[A-Z0-9]{1,3})?)$")], ArrearsTerm] = Field(default={})

    @model_validator(mode="after")
    def _once(self) -> "Catalogue":
        ids = [offer.tariff_id for offer in self.tariffs]
        if len(set(ids)) < len(ids):
            raise ValueError("tariffs: expected each tariffId once")
        return self

    def rows(self) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
        """Table -> its rows."""
        yield tariff, [offer.row() for offer in self.tariffs]
        yield (
            tariff_bundle,
            [
                {"tariff_id": o.tariff_id, "product_kind": k, "discount_minor": money_to_minor(value, o.currency)}
                for o in self.tariffs
                for k, value in o.bundles.items()
            ],
        )
        yield charge_kind, [{"kind": kind, "cause": cause} for kind, cause in self.charges.items()]
        yield (
            arrears_term,
            [
                {"region": where, "due_days": term.due_days, "grace_days": term.grace_days}
                for where, term in self.arrears.items()
            ],
        )


def read_catalogue(path: Path) -> Catalogue:
    """The catalogue of a file; raises RequestInvalid CATALOGUE_INVALID, naming the first thing that is wrong."""
    try:
        made: Catalogue = Catalogue.__pydantic_validator__.validate_python(tomllib.loads(path.read_text("utf-8")))
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_input=False)[0]
        told = f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}"
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        told = "expected TOML in UTF-8"
    else:
        return made
    raise RequestInvalid("CATALOGUE_INVALID", f"{path.name}: {told}")


async def load_catalogue(stores: Iterable[Store], catalogue: Catalogue) -> None:
    """Puts the rows into each store, in place of those with the same key; a tariff's bundles are all replaced.

    What is not in the file stays: products and bills may still name it.
    """
    ids = [offer.tariff_id for offer in catalogue.tariffs]
    for store in stores:
        async with store.transaction() as connection:
            await connection.execute("DELETE FROM tariff_bundle WHERE tariff_id = ANY($1::text[])", ids)
            for table, rows in catalogue.rows():
                for row in rows:
                    await connection.execute(_upsert(table, row), *row.values())


def _upsert(table: Table, row: Mapping[str, Any]) -> str:
    key = [column.name for column in table.primary_key]
    places = ", ".join(f"${n}" for n, _ in enumerate(row, 1))
    changes = ", ".join(f"{name} = excluded.{name}" for name in row if name not in key)
    return (
        f'INSERT INTO "{table.name}" ({", ".join(row)}) VALUES ({places})'  # noqa: S608 -- declared names
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"
    )
