"""What is taken in by `bench ingest`: made-up customers, their records of usage, and a mix of all that feeds send."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, TypeAlias

Event: TypeAlias = dict[str, Any]

FIRST: Final = datetime(2026, 3, 1, tzinfo=UTC)
MINUTES: Final = 60 * 24 * 30
SEED: Final = 20261126
PEOPLE: Final = 5_000
"""Whose usage is recorded; they are there before the clock runs."""
USED: Final = (("VOICE", "seconds"), ("SMS", "messages"), ("DATA", "kilobytes"))


def _event(name: str, event_id: str, minute: int, subject: Mapping[str, str], /, **fields: Any) -> Event:
    at = (FIRST + timedelta(minutes=minute % MINUTES)).isoformat()
    return {"type": name, "eventId": event_id, "at": at, "region": "CN-GD", "subject": subject, **fields}


def number_of(n: int) -> str:
    """The number of the n-th customer."""
    return f"+86138{n:08}"


def person(n: int) -> Event:
    """A customer: three sealed fields (name, birth date, e-mail), two tags (their key, the e-mail)."""
    known = {"kind": "INDIVIDUAL", "name": f"Person {n}", "birthDate": f"{1950 + n % 50}-05-17"}
    return _event("CustomerRegistered", f"r-{n}", 0, {"customerKey": f"C-{n}"}, email=f"p{n}@example.cn", **known)


def activation(n: int) -> Event:
    """The number of a customer."""
    return _event("NumberActivated", f"n-{n}", 1, {"customerKey": f"C-{n}"}, number=number_of(n))


def usage(n: int, draw: Random) -> Event:
    """A record: one sealed field (the other party), one tag (the number it is found by)."""
    kind, units = USED[n % len(USED)]
    said = {"usageType": kind, "units": units, "quantity": str(draw.randint(1, 900))}
    subject = {"number": number_of(draw.randrange(PEOPLE))}
    other = number_of(draw.randrange(10 * PEOPLE))
    return _event("UsageRecorded", f"u-{n}", draw.randrange(2, MINUTES), subject, counterparty=other, **said)


def _life(n: int) -> list[Event]:
    """What ten events of a customer may be."""
    subject, cny = {"customerKey": f"C-{n}"}, {"value": "88.00", "unit": "CNY"}
    opened = {"accountNo": f"A-{n}", "ratingType": "POSTPAID", "currency": "CNY"}
    active = {"productRef": "P", "name": "Mobile", "kind": "LINE", "startDate": "2026-03-01"}
    said = {"channel": "APP", "direction": "INBOUND", "reason": "top-up"}
    days = {"billDate": "2026-03-21", "periodStart": "2026-02-01", "periodEnd": "2026-02-28"}
    line = {"kind": "FEE", "description": "Monthly fee", "amount": cny}
    return [
        person(n),
        activation(n),
        _event("AccountOpened", f"a-{n}", 2, subject, **opened),
        _event("ProductActivated", f"p-{n}", 3, subject, **active),
        _event("ConsentGiven", f"c-{n}", 4, subject, purpose="marketing.sms", channel="sms"),
        _event("BillIssued", f"b-{n}", 5, subject, billNo="B", accountNo=f"A-{n}", amountDue=cny, lines=[line], **days),
        _event("PaymentReceived", f"y-{n}", 6, subject, paymentRef="R", billNo="B", amount=cny, method="CARD"),
        _event("UsageSummarized", f"s-{n}", 7, {"number": number_of(n)}, month="2026-02", smsCount=12),
        _event("BalanceReported", f"l-{n}", 8, subject, accountNo=f"A-{n}", balance=cny),
        _event("InteractionLogged", f"i-{n}", 9, subject, interactionRef="I", **said),
    ]


def identities(count: int) -> list[Event]:
    """So many customers, each with keys of their own."""
    return [person(n) for n in range(count)]


def usages(count: int) -> list[Event]:
    """So many records of the PEOPLE, in no order."""
    draw = Random(SEED)  # noqa: S311 -- the same each time
    return [usage(n, draw) for n in range(count)]


def mixed(count: int) -> list[Event]:
    """Ten events each of a tenth as many customers."""
    return [event for n in range(count // 10) for event in _life(n)]


KINDS: Final[Mapping[str, Callable[[int], list[Event]]]] = {"identities": identities, "usage": usages, "mix": mixed}


def before(kind: str) -> list[Event]:
    """What has to be there already."""
    return [made(n) for made in (person, activation) for n in range(PEOPLE)] if kind == "usage" else []
