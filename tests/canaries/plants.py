"""Customers made of values that occur nowhere else, and what is told of them; some of it is refused."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from tests.journeys.forms import Sought
from tests.journeys.world import event

AT: Final = "2026-09-{:02}T{:02}:{:02}:00Z"
VALUES_OF_ONE: Final = 14
MOST: Final = 99
REFUSALS: Final = 7
CSV_HEAD: Final = "编号,姓名,号码,日期\n"
MAPPING: Final = """
name = "canaries"
key = ["编号"]
region = "CN-GD"
time_zone = "+08:00"
at = { column = "日期", as = "instant", format = "%Y-%m-%d %H:%M" }
subject = { customerKey = { column = "编号" } }
[[event]]
type = "CustomerRegistered"
[event.fields]
customerKey = { column = "编号" }
name = { column = "姓名" }
kind = "INDIVIDUAL"
[[event]]
type = "NumberActivated"
[event.fields]
number = { column = "号码" }
"""
FILED: Final = 4
"""The number in a file, which is of the mainland: no store takes in one that another one keeps."""


@dataclass(frozen=True)
class Plant:
    """The n-th of them, n < 100."""

    n: int

    @property
    def region(self) -> str:
        return "CN-GD" if self.n % 2 else "HK"

    @property
    def key(self) -> dict[str, str]:
        return {"customerKey": self.texts["key"]}

    def number(self, use: int) -> str:
        tail = f"4{self.n:02}{use}{(self.n * 37 + use * 11) % 100:02}3"
        return f"+861357{tail}" if self.n % 2 or use == FILED else f"+8526{tail}"

    @cached_property
    def texts(self) -> dict[str, str]:
        n = f"{self.n:03}"
        return {
            "key": f"quartzfinch-{n}",
            "name": f"欧阳{chr(0x6200 + 7 * self.n)}鹂 Quillon{n}",
            "email": f"quillon{n}.vexmoor@mail{n}.example",
            "address": f"绿萝巷{n}号 Thornquay{n}",
            "document": f"4401061970{n}29{n}X" if self.n % 2 else f"Z987{n}5({n})",
            "iccid": f"8985201299887{n}655",
            "account": f"77{n}0099{n}881",
            "note": f"蓝鲸曾三次来电 zephyrine-{n}",
            "case": f"紫藤投诉充值 marrowdale-{n}",
        }

    @cached_property
    def numbers(self) -> list[str]:
        """The own one, one called, one topped up, one in an event that is refused, one in a file."""
        return [self.number(use) for use in range(5)]

    @cached_property
    def sought(self) -> Sought:
        """What may not be found where only others' values may be."""
        return Sought([*self.texts.values(), *self.parts], self.numbers)

    @property
    def parts(self) -> list[str]:
        """Words of the longer texts that are this customer's alone."""
        rest = [word for kind, text in self.texts.items() if kind != "name" for word in text.split() if word != text]
        return [*self.texts["name"].split(), *(word for word in rest if len(word) > 9)]

    def at(self, day: int) -> str:
        return AT.format(day, 8 + self.n // 60, self.n % 60)

    def events(self) -> Iterator[dict[str, Any]]:
        told, key, region, n = self.texts, self.key, self.region, self.n
        own, called, topped, *_ = self.numbers
        who = {"name": told["name"], "kind": "INDIVIDUAL", "birthDate": f"19{70 + n % 30}-02-28"}
        who |= {"email": told["email"], "address": told["address"]}
        who |= {"documentType": "PASSPORT", "documentNumber": told["document"]}
        amount = {"value": "10", "unit": "CNY"}
        yield event("CustomerRegistered", region, key, self.at(1), **key, **who)
        yield event("NumberActivated", region, key, self.at(2), number=own, simRef=f"S{n}", iccid=told["iccid"])
        opened = {"accountNo": told["account"], "ratingType": "PREPAID", "currency": "CNY"}
        yield event("AccountOpened", region, key, self.at(3), **opened)
        used = {"usageType": "VOICE", "quantity": "60", "units": "seconds", "counterparty": called}
        yield event("UsageRecorded", region, {"number": own}, self.at(4), **used)
        asked = {"topUpRef": f"T{n}", "number": topped, "amount": amount, "channel": "APP"}
        yield event("TopUpRequested", region, {"accountNo": told["account"]}, self.at(5), **asked)

    def refused(self) -> Iterator[dict[str, Any]]:
        """Events that end among the dead letters, each for another reason, all full of values."""
        told, key, region = self.texts, self.key, self.region
        stranger, at = self.numbers[3], self.at(9)
        yield event("NumberActivated", region, key, at, number=stranger, nickname=told["name"])
        yield event("UsageRecorded", region, {"number": stranger}, at, usageType="SMS", quantity="1", units="messages")
        yield event("UsageRecorded", region, key, at, usageType="SMS", quantity=told["name"], units=stranger)
        yield event("CustomerRegistered", told["address"], {"email": told["email"]}, at, name=told["name"], kind="X")
        yield event(told["document"], region, {"document": told["document"], "number": stranger}, at)
        yield event("CustomerTierChanged", region, {"accountNo": stranger}, at, tier=told["note"])
        first = next(self.events())
        yield first | {"name": told["case"]}  # the same id, another body

    def lines(self) -> Iterator[str]:
        """Lines of a file: one that becomes a customer, one that does not fit its mapping, one that is torn."""
        told, number = self.texts, self.numbers[FILED]
        yield f"{told['key']}-csv,{told['name']},{number},2026-09-05 09:30\n"
        yield f"{told['key']}-bad,{told['name']},{number},{told['email']}\n"
        yield f"{told['key']},{told['address']},{told['document']}\n"


def plants(values: int) -> tuple[Plant, ...]:
    """So many that they have at least `values` values between them."""
    count = -(-values // VALUES_OF_ONE)
    assert count <= MOST, "their values would not be unique"
    return tuple(Plant(n) for n in range(1, count + 1))


def values_of(planted: Sequence[Plant]) -> list[str]:
    """Every value, once."""
    found = [value for one in planted for value in (*one.texts.values(), *one.numbers)]
    assert len(set(found)) == len(found) == len(planted) * VALUES_OF_ONE
    return found


def sought_of(planted: Sequence[Plant]) -> Sought:
    """All that is looked for."""
    texts = [text for one in planted for text in (*one.texts.values(), *one.parts)]
    return Sought(texts, [number for one in planted for number in one.numbers])
