"""What the operator sells: a dozen tariffs, kept as reference rows in the store of the place where they are sold."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Final, Literal

from cdp.billing.tables import tariff
from cdp.changes import KEEP, Put

RatingType = Literal["PREPAID", "POSTPAID"]


@dataclass(frozen=True, slots=True)
class Tariff:
    """One offer, as its row has it; allowances are those of a month."""

    tariff_id: str
    name: str
    region: str
    rating_type: RatingType
    monthly_fee_minor: int
    voice_minutes: int
    sms_count: int
    data_megabytes: int
    voice_price: Decimal
    """Minor units for a minute beyond the allowance; the others for a message and a megabyte."""
    sms_price: Decimal
    data_price: Decimal
    roaming_price: Decimal

    @property
    def currency(self) -> str:
        return "HKD" if self.region == "HK" else "CNY"


MAINLAND: Final = (Decimal(15), Decimal(10), Decimal("0.4883"), Decimal("2.93"))
HONG_KONG: Final = (Decimal(10), Decimal(60), Decimal("1.95"), Decimal(12))

TARIFFS: Final = (
    Tariff("CN-EASY-8", "畅聊卡 8 元", "CN", "PREPAID", 800, 30, 50, 200, *MAINLAND),
    Tariff("CN-EASY-19", "校园卡 19 元", "CN", "PREPAID", 1_900, 100, 100, 10 * 1024, *MAINLAND),
    Tariff("CN-EASY-29", "流量卡 29 元", "CN", "PREPAID", 2_900, 100, 0, 30 * 1024, *MAINLAND),
    Tariff("CN-5G-59", "5G 智享 59 元", "CN", "POSTPAID", 5_900, 150, 100, 20 * 1024, *MAINLAND),
    Tariff("CN-5G-99", "5G 智享 99 元", "CN", "POSTPAID", 9_900, 300, 200, 40 * 1024, *MAINLAND),
    Tariff("CN-5G-199", "5G 尊享 199 元", "CN", "POSTPAID", 19_900, 1_000, 500, 100 * 1024, *MAINLAND),
    Tariff("HK-SIM-33", "儲值卡 33 元", "HK", "PREPAID", 3_300, 200, 50, 5 * 1024, *HONG_KONG),
    Tariff("HK-SIM-78", "中港儲值卡 78 元", "HK", "PREPAID", 7_800, 1_000, 100, 15 * 1024, *HONG_KONG),
    Tariff("HK-4G-98", "4.5G 月費 98 元", "HK", "POSTPAID", 9_800, 2_000, 100, 12 * 1024, *HONG_KONG),
    Tariff("HK-5G-138", "5G 月費 138 元", "HK", "POSTPAID", 13_800, 2_800, 200, 40 * 1024, *HONG_KONG),
    Tariff("HK-5G-198", "5G 大灣區月費 198 元", "HK", "POSTPAID", 19_800, 4_000, 500, 80 * 1024, *HONG_KONG),
    Tariff("HK-5G-398", "5G 商務月費 398 元", "HK", "POSTPAID", 39_800, 6_000, 1_000, 200 * 1024, *HONG_KONG),
)


def tariffs_of(country: str, rating_type: RatingType) -> Sequence[Tariff]:
    """What is sold in a country (`CN`, `HK`) to those who pay before, or after."""
    return [offer for offer in TARIFFS if (offer.region, offer.rating_type) == (country, rating_type)]


def tariff_rows(country: str) -> list[Put]:
    """The catalogue of a country; a row that is there stays as it is."""
    sold = [offer for offer in TARIFFS if offer.region == country]
    return [Put(tariff, asdict(offer) | {"currency": offer.currency}, KEEP) for offer in sold]
