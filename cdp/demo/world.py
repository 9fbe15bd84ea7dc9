"""The life of one made-up customer, as the events a telecom operator's systems would send about it.

Each life depends on its number in the world alone, not on how many others there are. The world ends with October 2026.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from random import Random
from typing import Any, Final

from cdp.demo.catalogue import RatingType, Tariff, tariffs_of
from cdp.demo.people import company, mobile_number, person, seeded
from cdp.values import month_from

Event = dict[str, Any]

CHINA_TIME: Final = timezone(timedelta(hours=8))
LAST_MONTH: Final = date(2026, 10, 1)
TAKEN_OVER: Final = 12
"""Most customers were there before the months the world looks back on: since at most so many more."""
MAINLAND: Final = ("CN-GD", "CN-GD", "CN-GD", "CN-BJ", "CN-BJ", "CN-SH", "CN-SH", "CN-SC", "CN-ZJ", "CN-JS")
CHANNELS: Final = ("SHOP", "WEB", "APP", "HOTLINE", "WECHAT", "SMS")
REASONS: Final = ("bill question", "tariff change", "network quality", "top-up", "SIM replacement", "roaming")
NOTES: Final = {
    "CN": (
        "客户询问上月账单，已逐项说明。",
        "想换更便宜的套餐，已推荐。",
        "家里信号弱，已登记。",
        "已解决，客户满意。",
    ),
    "HK": ("客戶查詢帳單，已逐項解釋。", "希望更改月費計劃。", "家中訊號較弱，已登記。", "已解決，客戶滿意。"),
}
CASES: Final = {
    "fault": ("无法上网", "未能上網"),
    "complaint": ("扣费有误", "收費有誤"),
    "inquiry": ("咨询漫游", "查詢漫遊"),
}
GIGABYTE: Final = 1 << 30


@dataclass(slots=True)
class Life:
    """A customer's events so far. `key` is what the operator calls the customer, `region` where they live."""

    key: str
    region: str
    dice: Random
    events: list[Event] = field(default_factory=list)

    @property
    def country(self) -> str:
        return self.region[:2]

    @property
    def currency(self) -> str:
        return "HKD" if self.region == "HK" else "CNY"

    def add(self, name: str, ref: str, at: datetime, /, **fields: Any) -> None:
        """One more event; `ref` tells it from the customer's other events of its type."""
        self.events.append(
            {
                "type": name,
                "eventId": f"{self.key}-{name}-{ref}",
                "at": at.isoformat(),
                "region": self.region,
                "subject": {"customerKey": self.key},
            }
            | fields
        )

    def when(self, month: date) -> datetime:
        """Some instant of a month, in business hours."""
        dice = self.dice
        return instant(month.replace(day=dice.randint(1, 28)), dice.randint(9, 18), dice.randint(0, 59))

    def money(self, minor: int) -> dict[str, str]:
        return money(minor, self.currency)


def customer_key(n: int) -> str:
    """What the operator calls the n-th customer."""
    return f"D-{n:07}"


def money(minor: int, unit: str) -> dict[str, str]:
    """An amount as events write it."""
    sign, minor = ("-", -minor) if minor < 0 else ("", minor)
    return {"value": f"{sign}{minor // 100}.{minor % 100:02}", "unit": unit}


def instant(day: date, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=CHINA_TIME)


def month_before_end(back: int) -> date:
    """The first day of the month that is `back` months before the last."""
    return month_from(LAST_MONTH, -back)


def life_of(n: int, months: int, *, records: bool) -> list[Event]:
    """All events of the n-th customer over the last `months` months; `records`: with single calls and sessions."""
    dice = seeded(f"customer {n}")
    region = "HK" if dice.random() < 0.2 else dice.choice(MAINLAND)
    life = Life(customer_key(n), region, dice)
    # The first three months are everyone's, so that no list is empty.
    old = months <= 3 or dice.random() < 0.7
    age = months + dice.randint(0, TAKEN_OVER - 1) if old else dice.randint(3, months - 1)
    joined = life.when(month_before_end(age))
    rating: RatingType = "PREPAID" if dice.random() < 0.45 else "POSTPAID"
    offer = dice.choice(tariffs_of(life.country, rating))
    account = f"{7_000_000_000 + n}"
    numbers = [mobile_number(2 * n + i, region) for i in range(2 if dice.random() < 0.25 else 1)]
    _register(life, n, joined)
    _activate(life, n, joined, numbers)
    _agree(life, joined, months)
    _subscribe(life, joined, numbers, offer)
    _open_account(life, joined, account, rating)
    shown = [month_before_end(back) for back in range(min(months, age) - 1, -1, -1)]
    use(life, shown, offer)
    if records:
        _use_singly(life, shown[-2:], numbers[0])
    bill(life, shown[-3 if rating == "PREPAID" else -dice.randint(3, 12) :], account, offer)
    if rating == "PREPAID":
        _top_up(life, shown[-6:], account, numbers[0])
    _talk(life, shown[-6:])
    return life.events


def _register(life: Life, n: int, at: datetime) -> None:
    dice = life.dice
    tier = dice.choices(("HIGH", "MIDDLE", "LOW"), (1, 3, 6))[0]
    if dice.random() < 0.03:
        name, licence = company(n, life.region, dice)
        organization = {"kind": "ORGANIZATION", "documentType": "BUSINESS_LICENCE", "documentNumber": licence}
        life.add("CustomerRegistered", "1", at, customerKey=life.key, name=name, tier=tier, **organization)
        return
    who = person(n, life.region, dice)
    contact = {} if who.email is None else {"email": who.email}
    told = {"name": who.name, "birthDate": who.born.isoformat(), "gender": who.gender, "address": who.address}
    document = {"documentType": who.document_type, "documentNumber": who.document_number}
    known = {"customerKey": life.key, "kind": "INDIVIDUAL", "tier": tier}
    life.add("CustomerRegistered", "1", at, **known, **told, **document, **contact)


def _activate(life: Life, n: int, at: datetime, numbers: Sequence[str]) -> None:
    for i, number in enumerate(numbers, 1):
        life.add("NumberActivated", f"{i}", at, number=number, simRef=f"sim-{i}", iccid=f"8986{n:014}{i}")


def _agree(life: Life, at: datetime, months: int) -> None:
    dice, notice = life.dice, {"notice": f"{life.country.lower()}.privacy.1", "collectionPoint": "shop"}
    life.add("ConsentGiven", "service", at, purpose="service", **notice)
    if dice.random() < 0.5:
        life.add("ConsentGiven", "marketing", at, purpose="marketing.sms", channel="sms", **notice)
        if dice.random() < 0.25:
            later = life.when(month_before_end(dice.randint(0, min(2, months - 1))))
            life.add("ConsentWithdrawn", "marketing", later, purpose="marketing.sms", channel="sms")
    if dice.random() < 0.3:
        life.add("ConsentGiven", "profiling", at, purpose="insight.profiling", **notice)


def _subscribe(life: Life, at: datetime, numbers: Sequence[str], offer: Tariff) -> None:
    """A line for each number and, for some, what relies on it."""
    dice, start = life.dice, at.date().isoformat()

    def has(part: str, name: str, kind: str, relies_on: Sequence[str] = (), tariff: str | None = None) -> None:
        bound = {} if tariff is None else {"tariffId": tariff}
        refs = [f"{life.key}-{other}" for other in relies_on]
        what = {"productRef": f"{life.key}-{part}", "name": name, "kind": kind, "startDate": start}
        life.add("ProductActivated", part, at, **what, reliesOn=refs, **bound)

    for i in range(1, len(numbers) + 1):
        has(f"line{i}", "移动电话" if life.country == "CN" else "流動電話", "LINE", tariff=offer.tariff_id)
    if dice.random() < 0.4:
        has("message", "飞信" if life.country == "CN" else "短訊服務", "MESSAGING", ["line1"])
    if dice.random() < 0.25:
        has("fibre", "家庭宽带" if life.country == "CN" else "家居寬頻", "BROADBAND")
        if dice.random() < 0.5:
            has("tv", "高清电视" if life.country == "CN" else "網絡電視", "TV", ["fibre"])


def _open_account(life: Life, at: datetime, account: str, rating: RatingType) -> None:
    dice, prepaid = life.dice, rating == "PREPAID"
    limit = {} if prepaid else {"creditLimit": life.money(dice.choice((20_000, 50_000, 100_000)))}
    opened = {"accountNo": account, "ratingType": rating, "currency": life.currency}
    life.add("AccountOpened", "1", at, **opened, **limit)
    balance = life.money(dice.randint(0, 20_000) if prepaid else -dice.randint(0, 9_900))
    life.add("BalanceReported", "1", instant(month_before_end(-1)), accountNo=account, balance=balance)


def use(life: Life, months: Sequence[date], offer: Tariff) -> None:
    """Months added up; some people use little of what they pay for, some more than that."""
    dice = life.dice
    share = 1.6 * dice.random() ** 1.5
    abroad = dice.random() < 0.1
    for month in months:
        now = share * dice.uniform(0.6, 1.4)
        life.add(
            "UsageSummarized",
            f"{month:%Y%m}",
            instant(month_from(month, 1), 2),
            month=f"{month:%Y-%m}",
            voiceSeconds=int(offer.voice_minutes * 60 * now),
            smsCount=int(offer.sms_count * now),
            dataBytes=int(offer.data_megabytes * now) << 20,
            roamingBytes=dice.randint(1, 5) * GIGABYTE if abroad and dice.random() < 0.3 else 0,
        )


def _use_singly(life: Life, months: Sequence[date], number: str) -> None:
    dice = life.dice
    for i in range(dice.randint(6, 12)):
        kind, quantity, units = dice.choice(
            (
                ("VOICE", dice.randint(5, 1800), "seconds"),
                ("SMS", 1, "messages"),
                ("DATA", dice.randint(1, 900), "megabytes"),
            )
        )
        other = {} if kind == "DATA" else {"counterparty": mobile_number(dice.randrange(4_000), life.region)}
        use = {"usageType": kind, "quantity": f"{quantity}", "units": units, "subject": {"number": number}}
        life.add("UsageRecorded", f"{i}", life.when(dice.choice(months)), **use, **other)


def bill(life: Life, months: Sequence[date], account: str, offer: Tariff) -> None:
    """A bill for each month; most are paid."""
    dice, fee = life.dice, offer.monthly_fee_minor
    for month in months:
        end, ref = month_from(month, 1), f"{month:%Y%m}"
        lines = [("FEE", offer.name, fee)]
        if dice.random() < 0.4:
            lines.append(("USAGE", "套餐外流量" if life.country == "CN" else "額外數據", dice.randint(100, 5_000)))
        if dice.random() < 0.2:
            lines.append(("DISCOUNT", "忠诚优惠" if life.country == "CN" else "長期客戶優惠", -fee // 10))
        due = life.money(sum(amount for _, _, amount in lines))
        life.add(
            "BillIssued",
            ref,
            instant(end.replace(day=3), 8),
            billNo=f"{life.key}-B{ref}",
            accountNo=account,
            billDate=end.replace(day=3).isoformat(),
            periodStart=month.isoformat(),
            periodEnd=(end - timedelta(days=1)).isoformat(),
            amountDue=due,
            lines=[{"kind": kind, "description": what, "amount": life.money(amount)} for kind, what, amount in lines],
        )
        if month != months[-1] or dice.random() < 0.8:
            paid = {"amount": due, "method": dice.choice(("CARD", "WECHAT_PAY", "ALIPAY", "CASH", "DIRECT_DEBIT"))}
            to = {"accountNo": account, "billNo": f"{life.key}-B{ref}", "paymentRef": f"{life.key}-R{ref}"}
            life.add("PaymentReceived", ref, instant(end.replace(day=dice.randint(4, 15)), 12), **to, **paid)


def _top_up(life: Life, months: Sequence[date], account: str, number: str) -> None:
    dice = life.dice
    for month in months:
        at, ref = life.when(month), f"{month:%Y%m}"
        top_up = {"topUpRef": f"{life.key}-T{ref}"}
        paid = {"amount": life.money(dice.choice((3_000, 5_000, 10_000))), "channel": dice.choice(CHANNELS)}
        life.add("TopUpRequested", ref, at, **top_up, **paid, number=number)
        life.add("TopUpConfirmed", ref, at + timedelta(seconds=40), **top_up)
        if dice.random() < 0.99:
            life.add("TopUpPosted", ref, at + timedelta(minutes=3), **top_up, **paid, accountNo=account)


def _talk(life: Life, months: Sequence[date]) -> None:
    dice, mainland = life.dice, life.country == "CN"
    for i in range(dice.randint(1, 4)):
        note = {"note": dice.choice(NOTES[life.country])} if dice.random() < 0.5 else {}
        way = {"channel": dice.choice(CHANNELS), "direction": dice.choice(("INBOUND", "INBOUND", "OUTBOUND"))}
        at, ref = life.when(dice.choice(months)), f"{life.key}-I{i}"
        life.add("InteractionLogged", f"{i}", at, interactionRef=ref, reason=dice.choice(REASONS), **way, **note)
    if dice.random() < 0.08:
        kind = dice.choice(tuple(CASES))
        opened, ref = life.when(months[-1]), f"{life.key}-K"
        what = {
            "ticketType": kind,
            "severity": "medium",
            "channel": "HOTLINE",
            "description": CASES[kind][not mainland],
        }
        due = (opened + timedelta(days=2)).isoformat()
        life.add("CaseOpened", "1", opened, caseRef=ref, owner=f"desk-{life.region}", dueAt=due, **what)
        life.add("CaseStatusChanged", "1", opened + timedelta(hours=3), caseRef=ref, status="ACCEPTED")
