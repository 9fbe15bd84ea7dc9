"""Made-up people: names from Faker's lists, documents and numbers worked out so that no two are the same."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Final

from faker import Faker

SEED: Final = 20261031
DRAWS: Final = 400
"""How often each of Faker's lists is asked: Faker is slow, so its parts are drawn once and put together here."""
OLDEST: Final = date(1950, 1, 1)
BIRTH_DAYS: Final = 20_000
SERIALS: Final = 1_000
"""Identity numbers of the mainland have three digits for people born on the same day in the same place."""

CITIES: Final = {
    "CN-GD": ("440305", "深圳市", "南山区"),
    "CN-BJ": ("110105", "北京市", "朝阳区"),
    "CN-SH": ("310115", "上海市", "浦东新区"),
    "CN-SC": ("510107", "成都市", "武侯区"),
    "CN-ZJ": ("330106", "杭州市", "西湖区"),
    "CN-JS": ("320102", "南京市", "玄武区"),
    "HK": ("", "香港", "九龍油尖旺區"),
}
"""Region -> the code in an identity number, the city, the district."""
HONG_KONG_STREETS: Final = ("彌敦道", "英皇道", "軒尼詩道", "窩打老道", "青山公路", "德輔道中", "觀塘道", "大埔公路")
MAINLAND_BLOCKS: Final = (*range(130, 134), *range(135, 138), *range(150, 154), 158, 159, 177, *range(185, 190))
LETTERS: Final = "ABCDEFGHJKMPRSVWYZ"


@dataclass(frozen=True, slots=True)
class Person:
    """What is registered of a person."""

    name: str
    gender: str
    born: date
    email: str | None
    address: str
    document_type: str
    document_number: str


@dataclass(frozen=True, slots=True)
class _Parts:
    surnames: Sequence[str]
    female: Sequence[str]
    male: Sequence[str]
    streets: Sequence[str]
    companies: Sequence[str]
    mailboxes: Sequence[str]


def seeded(name: str) -> random.Random:
    """Dice that fall the same way on every machine."""
    return random.Random(f"{SEED} {name}")  # noqa: S311 -- made-up data must be the same each time


@cache
def _parts(locale: str) -> _Parts:
    fake = Faker(locale)
    fake.seed_instance(SEED)

    def drawn(part: Callable[[], str]) -> Sequence[str]:
        return tuple(dict.fromkeys(part() for _ in range(DRAWS)))

    return _Parts(
        surnames=drawn(fake.last_name),
        female=drawn(fake.first_name_female),
        male=drawn(fake.first_name_male),
        streets=drawn(fake.street_name),
        companies=drawn(fake.company),
        mailboxes=drawn(fake.user_name),
    )


def _parts_of(region: str) -> _Parts:
    return _parts("zh_TW" if region == "HK" else "zh_CN")


def person(n: int, region: str, dice: random.Random) -> Person:
    """The n-th person of the world (up to 20 million), living in one of `CITIES`."""
    parts = _parts_of(region)
    gender = dice.choice(("FEMALE", "MALE"))
    born = OLDEST + timedelta(days=n * 7919 % BIRTH_DAYS)
    hong_kong = region == "HK"
    mailbox = f"{dice.choice(parts.mailboxes)}{n}@example.com"
    return Person(
        name=dice.choice(parts.surnames) + dice.choice(parts.female if gender == "FEMALE" else parts.male),
        gender=gender,
        born=born,
        email=mailbox if dice.random() < 0.6 else None,
        address=address(region, dice),
        document_type="HONG_KONG_ID" if hong_kong else "NATIONAL_ID",
        document_number=_hong_kong_id(n) if hong_kong else _national_id(n, region, born, gender),
    )


def company(n: int, region: str, dice: random.Random) -> tuple[str, str]:
    """Name and licence number of the n-th organization."""
    return dice.choice(_parts_of(region).companies), f"9144{n:014}"


def address(region: str, dice: random.Random) -> str:
    """A street that may exist and a house that does not."""
    _, city, district = CITIES[region]
    streets = HONG_KONG_STREETS if region == "HK" else _parts_of(region).streets
    house = f"{dice.randint(2, 998)}號{dice.randint(2, 48)}樓" if region == "HK" else f"{dice.randint(2, 998)}号"
    return f"{city}{district}{dice.choice(streets)}{house}"


def mobile_number(k: int, region: str) -> str:
    """The k-th mobile number of a region in E.164; never one of the stories'."""
    if region == "HK":
        return f"+852{'56'[k // 10**7 % 2]}{(k * 7_654_321 + 1_234_567) % 10**7:07}"
    return f"+86{MAINLAND_BLOCKS[k % len(MAINLAND_BLOCKS)]}{(k * 76_543_217 + 12_345_679) % 10**8:08}"


def _national_id(n: int, region: str, born: date, gender: str) -> str:
    """GB 11643: place, birth date, a serial that is odd for men, a check digit."""
    serial = n // BIRTH_DAYS * 2 % SERIALS + (gender == "MALE")
    digits = f"{CITIES[region][0]}{born:%Y%m%d}{serial:03}"
    total = sum(int(digit) * (2 ** (17 - i) % 11) for i, digit in enumerate(digits))
    return digits + "10X98765432"[total % 11]


def _hong_kong_id(n: int) -> str:
    """A letter, six digits, a check digit."""
    letter = LETTERS[n // 10**6 % len(LETTERS)]
    digits = f"{n * 70_921 % 10**6:06}"
    total = 9 * 36 + 8 * (ord(letter) - 55) + sum(int(digit) * (7 - i) for i, digit in enumerate(digits))
    return f"{letter}{digits}({'0123456789A'[-total % 11]})"
