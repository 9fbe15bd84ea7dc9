"""The people of the reading tests' world, told as events: every kind of row, and all that keeps a value from leaving.

Every instant lies in 2025, so that nothing depends on the day a test runs.
"""

from collections.abc import Iterator
from typing import Any

LINK, BROKEN_LINK, SILENT_LINK = "00112233445566778899aabbccddeeff", "ff" * 16, "0f" * 16
NUMBERS = {
    "b-cn": "+8613800138000",
    "b-hk": "+85291234567",
    "many": "+8613912345678",
    "many-2": "+8613912345679",
    "many-3": "+8613912345670",
    "denied": "+8613700000001",
    "objector": "+8613700000002",
    "restricted": "+8613700000003",
    "minor": "+8613700000004",
    "youth": "+8613700000005",
    "erased": "+8613700000006",
    "org": "+8613700000007",
    "left-cn": "+8613700000008",
    "left-hk": "+85291230008",
    "silent-cn": "+8613700000009",
    "silent-hk": "+85291230009",
    "solo": "+85291230010",
    "bare": "+8613700000010",
    "twice-1": "+8613700000011",
    "twice-2": "+8613700000012",
    "twice-3": "+8613700000013",
    "abroad-1": "+8613700000014",
    "abroad-2": "+8613700000015",
    "abroad-hk": "+85291230014",
}
"""Customer -> a number they hold (`many-2` is on the same SIM as `many`; `many-3` has no user)."""


class Diary:
    """What happened to one customer: `told(event, day, ...)` adds an event on a day of 2025 (1 = 1 January)."""

    def __init__(self, key: str, region: str) -> None:
        self.key, self.region = key, region
        self.events: list[dict[str, Any]] = []

    def told(self, event: str, day: int, /, **fields: Any) -> None:
        """Months have 28 days here."""
        subject = fields.pop("subject", {"customerKey": self.key})
        event_id = f"{self.key}-{len(self.events)}"
        at = f"2025-{1 + (day - 1) // 28:02}-{1 + (day - 1) % 28:02}T08:{len(self.events) % 60:02}:00Z"
        head = {"type": event, "eventId": event_id, "at": at, "region": self.region, "subject": subject}
        self.events.append(head | fields)

    def registered(self, name: str, **fields: Any) -> None:
        self.told("CustomerRegistered", 1, **({"customerKey": self.key, "name": name, "kind": "INDIVIDUAL"} | fields))

    def number(self, **fields: Any) -> None:
        self.told("NumberActivated", 2, **({"number": NUMBERS[self.key], "simRef": "sim-1"} | fields))


def money(value: str, unit: str = "CNY") -> dict[str, str]:
    return {"value": value, "unit": unit}


def events() -> list[dict[str, Any]]:
    """All events of the world, in the order in which they are taken in."""
    people = [*_story_b(), _many(), *_denied(), *_small(), *_once_linked(), *_merged()]
    return [event for diary in people for event in diary.events]


def _story_b() -> Iterator[Diary]:
    """One customer in two stores, who agreed to be joined and to ACME's seeing what is needed for service."""
    for key, region, unit, other in (("b-cn", "CN-GD", "CNY", "hk"), ("b-hk", "HK", "HKD", "cn")):
        diary = Diary(key, region)
        diary.registered("陈大文", birthDate="1980-05-17", gender="MALE", email=f"{key}@example.cn", tier="HIGH")
        diary.number(iccid="8986001234567890123")
        diary.told("CustomerLinked", 3, token=LINK, otherStore=other, leads=key == "b-cn")
        diary.told("AccountOpened", 3, accountNo=f"A-{key}", ratingType="PREPAID", currency=unit)
        diary.told("BalanceReported", 4, accountNo=f"A-{key}", balance=money("12.34", unit))
        diary.told("UsageSummarized", 40, month="2025-01", voiceSeconds=3601, smsCount=3, dataBytes=5_000_000)
        diary.told(
            "UsageRecorded", 41, usageType="VOICE", quantity="61", units="seconds", counterparty="+8613900139000"
        )
        for n in (1, 2):
            lines = [{"kind": "FEE", "description": "monthly", "amount": money(f"{n}0.00", unit)}]
            bill = {
                "billNo": f"B{n}-{key}",
                "accountNo": f"A-{key}",
                "amountDue": money(f"{n}0.00", unit),
                "lines": lines,
            }
            days = {"billDate": f"2025-0{n + 1}-01", "periodStart": f"2025-0{n}-01", "periodEnd": f"2025-0{n}-28"}
            diary.told("BillIssued", 28 * n + 1, **bill, **days)
        diary.told("InteractionLogged", 42, interactionRef="i", channel="HOTLINE", direction="INBOUND", reason="top-up")
        diary.told("ProductActivated", 3, productRef="line", name="Line", kind="LINE", startDate="2025-01-03")
        abroad = {"b-cn": "HK", "b-hk": "CN"}[key]
        for purpose, to in (("service", "SELF"), ("service", "ACME"), ("insight", "SELF")):
            given = {"purpose": purpose, "recipient": to, "kind": "SEPARATE"}
            diary.told("ConsentGiven", 5, **given)
            diary.told("ConsentGiven", 5, **given, destination=abroad)
        yield diary


def _many() -> Diary:
    """A customer with many rows of everything, and with rows that are known by half."""
    diary = Diary("many", "CN-GD")
    diary.registered(
        "何美玲", birthDate="1988-02-29", gender="FEMALE", email="many@example.cn", address="广州市 天河区 1 号"
    )
    document = {"documentType": "NATIONAL_ID", "documentNumber": "440106198802290029"}
    diary.told(
        "CustomerRegistered", 2, name="何美玲", kind="INDIVIDUAL", birthDate="1988-02-29", tier="MIDDLE", **document
    )
    diary.number(iccid="8986001111111111111")
    diary.number(number=NUMBERS["many-2"], role="PAYER", validFrom="2025-01-01T00:00:00Z")
    diary.number(number=NUMBERS["many-2"])
    for n in range(34):
        kind, units = (("VOICE", "seconds"), ("SMS", "messages"), ("DATA", "kilobytes"))[n % 3]
        # Twelve of them at three instants, so that pages end between equal instants.
        day = 60 + (n % 3 if n < 12 else n)
        other = {"counterparty": f"+86139001390{n:02}"} if n % 4 else {}
        diary.told("UsageRecorded", day, usageType=kind, quantity=str(n * 10 + 1), units=units, **other)
    for event in diary.events[-34:-22]:
        event["at"] = event["at"][:14] + "00:00Z"
    _bills(diary)
    _products(diary)
    diary.region = "CN-BJ"
    diary.told(
        "AccountOpened", 30, accountNo="A-many-bj", ratingType="POSTPAID", currency="CNY", creditLimit=money("100")
    )
    diary.told("UsageSummarized", 70, month="2025-03", voiceSeconds=60, dataBytes=1 << 20, roamingBytes=1)
    diary.told("TopUpConfirmed", 31, topUpRef="half")
    diary.told("ConsentGiven", 8, purpose="insight", category="usage", kind="SEPARATE", notice="cn.privacy.1")
    diary.told("ConsentGiven", 8, purpose="insight.churn", kind="SEPARATE", expiresAt="2025-06-01T00:00:00Z")
    diary.told("ConsentGiven", 8, purpose="marketing.sms", channel="sms", kind="GENERAL", notice="no such notice")
    diary.told("ConsentGiven", 8, purpose="partner.share", recipient="ACME", kind="SEPARATE", category="billing")
    diary.told("ConsentGiven", 9, subject={"number": NUMBERS["many"]}, purpose="marketing.email")
    alone = {"purpose": "partner.share", "recipient": "ACME", "kind": "SEPARATE", "number": NUMBERS["many-2"]}
    diary.number(number=NUMBERS["many-3"], role="REGISTERED_HOLDER")
    diary.told("ConsentGiven", 10, **alone)
    diary.told("ConsentGiven", 10, purpose="insight", kind="SEPARATE", number=NUMBERS["many-3"])
    diary.told("ConsentWithdrawn", 11, purpose="partner.share", recipient="ACME", category="contact.email")
    left = {"usageType": "DATA", "units": "megabytes", "number": NUMBERS["many-2"], "isShared": True}
    month = {"validFrom": "2025-01-01T00:00:00Z", "validTo": "2025-02-01T00:00:00Z"}
    diary.told("BucketReported", 12, bucketRef="family", remaining="500", **left)
    diary.told("BucketReported", 13, bucketRef="family", remaining="300", **left, **month)
    diary.told("BucketReported", 13, bucketRef="mine", usageType="SMS", units="messages", remaining="7")
    return diary


def _bills(diary: Diary) -> None:
    diary.told("AccountOpened", 3, accountNo="A-many", ratingType="POSTPAID", currency="CNY")
    diary.told("PaymentStatusReported", 4, accountNo="A-many", paymentStatus="OVERDUE")
    for n in range(1, 13):
        days = {"billDate": f"2025-{n:02}-01", "periodStart": f"2025-{n:02}-01", "periodEnd": f"2025-{n:02}-28"}
        lines = [{"kind": "FEE", "description": f"part {i}", "amount": money(f"{n}.{i}0")} for i in range(3)]
        total = money(f"{3 * n}.30")
        diary.told("BillIssued", 20 + n, billNo=f"M{n:02}", accountNo="A-many", amountDue=total, lines=lines, **days)
    for n, amount in ((1, "3.30"), (2, "1.00"), (3, "500.00")):
        paid = {"billNo": f"M{n:02}", "accountNo": "A-many", "amount": money(amount), "method": "CARD"}
        diary.told("PaymentReceived", 40 + n, paymentRef=f"p{n}", **paid)
    diary.told("PaymentReceived", 44, paymentRef="early", billNo="not-issued-yet", amount=money("7"), method="CASH")


def _products(diary: Diary) -> None:
    """`line` carries two services, which carry a third; a case is about a service in each step."""
    for ref, tariff, relies_on in (
        ("line", "t-1", []),
        ("sms", "t-2", ["line"]),
        ("fetion", None, ["line", "sms"]),
        ("music", "gone", ["fetion", "sms"]),
    ):
        known = {"name": ref, "kind": "SERVICE", "startDate": "2025-01-05", "reliesOn": relies_on}
        diary.told("ProductActivated", 5, productRef=ref, **known, **({"tariffId": tariff} if tariff else {}))
    diary.told("ProductSuspended", 6, productRef="fetion", reason="ARREARS")
    diary.told("ProductTerminated", 7, productRef="never seen before")
    for n in range(12):
        call = {"channel": "HOTLINE" if n % 2 else "SHOP", "direction": "INBOUND", "reason": f"reason {n % 3}"}
        diary.told(
            "InteractionLogged", 10 + n // 2, interactionRef=f"i{n}", note=f"说了 {n}" if n % 2 else None, **call
        )
    for n, product in enumerate(("fetion", "fetion", "music", None)):
        about = {"ticketType": "fault", "severity": "HIGH", "channel": "SHOP", "description": f"case {n}"}
        diary.told("CaseOpened", 20 + n, caseRef=f"c{n}", **about, **({"productRef": product} if product else {}))
    diary.told("CaseStatusChanged", 25, caseRef="c1", status="ACCEPTED")
    diary.told("CaseStatusChanged", 25, caseRef="not opened yet", status="ACCEPTED")
    for n, step in enumerate((None, "TopUpConfirmed", "TopUpPosted", "TopUpFailed")):
        asked = {"number": NUMBERS["many"], "amount": money("50"), "channel": "APP"}
        posted = {"accountNo": "A-many", "amount": money("50"), "channel": "APP"}
        diary.told("TopUpRequested", 30 + n, topUpRef=f"t{n}", **asked)
        if step:
            diary.told(step, 31 + n, topUpRef=f"t{n}", **(posted if step == "TopUpPosted" else {}))


def _denied() -> Iterator[Diary]:
    """Customers of whom little may be seen."""
    for key, born in (("denied", "1970-01-01"), ("objector", "1971-01-01"), ("restricted", "1972-01-01")):
        diary = Diary(key, "CN-GD")
        diary.registered(f"{key} 先生", birthDate=born, email=f"{key}@example.cn", address="深圳市,南山区", tier="LOW")
        diary.number()
        diary.told("ConsentGiven", 5, purpose="marketing", kind="GENERAL")
        diary.told("UsageSummarized", 40, month="2025-01", voiceSeconds=123_456, smsCount=78, dataBytes=9 << 30)
        if key == "denied":
            diary.told("ConsentWithdrawn", 6, purpose="marketing", channel="sms")
            diary.told("ConsentRefused", 6, purpose="service", category="usage.record")
            for kind in ("DIRECT_MARKETING", "AUTOMATED_DECISION"):
                diary.told("ObjectionRaised", 6, kind=kind)
                diary.told("ObjectionLifted", 7, kind=kind, scope="marketing" if kind == "DIRECT_MARKETING" else "*")
            diary.told("ObjectionRaised", 8, kind="DO_NOT_CONTACT")
        if key == "objector":
            diary.told("ObjectionRaised", 8, kind="RESTRICTION")
        yield diary
    for key, born in (("minor", "2014-03-01"), ("youth", "2009-03-01")):
        diary = Diary(key, "CN-GD")
        diary.registered(f"{key} 同学", birthDate=born)
        diary.number()
        guardian = {"subject": {"customerKey": "restricted"}, "number": NUMBERS[key], "role": "GUARDIAN"}
        diary.told("NumberActivated", 3, **guardian)
        diary.told("ConsentGiven", 5, purpose="insight")
        diary.told("ConsentGiven", 6, purpose="insight.profiling", kind="GUARDIAN", actor="GUARDIAN")
        yield diary


def _small() -> Iterator[Diary]:
    bare = Diary("bare", "CN-BJ")
    bare.registered("无名")
    bare.told("NumberActivated", 2, number=NUMBERS["bare"])
    yield bare
    erased = Diary("erased", "CN-BJ")
    erased.registered("旧人", birthDate="2012-01-01")
    erased.number()
    yield erased
    org = Diary("org", "CN-BJ")
    org.registered("广东某某有限公司", kind="ORGANIZATION", tier="HIGH")
    org.number(role="ORG_ADMIN")
    org.told("NumberActivated", 3, number=NUMBERS["org"])
    org.told("CustomerStatusChanged", 4, status="SUSPENDED")
    for n, kind in enumerate(("ACCESS", "RECTIFICATION", "ERASURE")):
        org.told("PrivacyRequestOpened", 5 + n, requestRef=f"p{n}", kind=kind)
    yield org
    solo = Diary("solo", "HK")
    solo.registered("李四", birthDate="1990-01-01", email="solo@example.hk")
    solo.number()
    solo.told("ConsentGiven", 5, purpose="marketing", kind="NO_OBJECTION")
    solo.told("ConsentGiven", 5, purpose="partner.share", recipient="ACME", kind="WRITTEN")
    solo.told("ConsentGiven", 5, purpose="insight", kind="SEPARATE", number=NUMBERS["solo"])
    solo.told("NumberSuspended", 6, number=NUMBERS["solo"])
    solo.told("NumberReleased", 50, number=NUMBERS["solo"])
    yield solo


def _once_linked() -> Iterator[Diary]:
    """Two who were linked and are no more; two who are linked and never agreed to leave their store."""
    for name, token in (("left", BROKEN_LINK), ("silent", SILENT_LINK)):
        for side, region, other in (("cn", "CN-GD", "hk"), ("hk", "HK", "cn")):
            diary = Diary(f"{name}-{side}", region)
            diary.registered(f"{name} {side}", gender="OTHER")
            diary.number()
            diary.told("CustomerLinked", 3, token=token, otherStore=other, leads=side == "hk")
            if name == "left":
                diary.told("CustomerUnlinked", 4, token=token)
            yield diary


def _merged() -> Iterator[Diary]:
    """A chain of three records of one person, of which two said different things; two more, one of them linked."""
    regions = {"twice-1": "CN-GD", "twice-2": "CN-BJ", "twice-3": "CN-GD"}
    for n, (key, region) in enumerate(regions.items()):
        diary = Diary(key, region)
        more = ({}, {"email": f"{key}@example.cn", "gender": "FEMALE"}, {"birthDate": "1990-09-09", "tier": "HIGH"})[n]
        diary.registered("王小明", **more)
        diary.number()
        diary.told("AccountOpened", 3 + n, accountNo=f"A-{key}", ratingType="PREPAID", currency="CNY")
        diary.told("BalanceReported", 4, accountNo=f"A-{key}", balance=money(f"{n}.50"))
        diary.told("UsageSummarized", 40, month="2025-01", voiceSeconds=60 * (n + 1), smsCount=n, dataBytes=1 << 20)
        diary.told("ConsentGiven", 5, purpose="marketing", kind="SEPARATE")
        diary.told("ConsentGiven", 5, purpose="insight", kind="SEPARATE")
        diary.told("ConsentGiven", 5, purpose="partner.share", recipient="ACME", kind="SEPARATE", category="billing")
        if key == "twice-2":
            diary.told("ConsentWithdrawn", 6, purpose="marketing")
            diary.told("ObjectionRaised", 6, kind="AUTOMATED_DECISION")
            diary.told("CustomersMerged", 10, other={"customerKey": "twice-1"})
        if key == "twice-3":
            diary.told("CustomersMerged", 11, other={"customerKey": "twice-2"})
            diary.told("ConsentWithdrawn", 12, purpose="insight.churn")
            diary.told("ConsentGiven", 13, purpose="marketing.sms", kind="SEPARATE")
        yield diary
    for key, region in (("abroad-1", "CN-GD"), ("abroad-2", "CN-GD"), ("abroad-hk", "HK")):
        diary = Diary(key, region)
        diary.registered("赵六", **({"birthDate": "2012-05-05"} if key == "abroad-1" else {}))
        diary.number()
        diary.told("AccountOpened", 3, accountNo=f"A-{key}", ratingType="PREPAID", currency="CNY")
        for away in ("NONE", "HK"):
            diary.told("ConsentGiven", 5, purpose="service", kind="SEPARATE", destination=away)
        if key != "abroad-1":
            diary.told("CustomerLinked", 6, token="ab" * 16, otherStore="cn" if key[-2:] == "hk" else "hk", leads=False)
        if key == "abroad-2":
            diary.told("CustomersMerged", 10, other={"customerKey": "abroad-1"})
        yield diary
