"""The two stories as questions and answers, through the same door that clients come to."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console

from cdp.app import front_door
from cdp.auth import Caller, Role, issue_token
from cdp.demo.cast import HONG_KONG_NUMBER
from cdp.exchange import Answer, GraphqlRequest
from cdp.house import House

WIDTH: Final = 100

STORY_B: Final = """\
query TopUpThatWentNowhere($number: String!, $region: Region) @purpose(id: "service.care") {
  customer(number: $number, region: $region) {
    id formattedName regions
    holdings { number region state }
    accounts { accountNo region ratingType balance { value unit } }
    topUps(first: 3) { number amount { value unit } state requestedAt confirmedAt postedAt }
    cases(first: 3) { ticketType status owner openedAt description }
  }
}"""
WRITTEN_FORMS: Final[tuple[tuple[str, str | None], ...]] = (
    ("+852 9123 4567", None),
    ("9123 4567", "HK"),
    ("００８５２-９１２３-４５６７", None),
    ("138 0013 8000", "CN-GD"),
    ("+86 138-0013-8000", None),
    ("0086 13800138000", None),
)
"""How people write the two numbers of one SIM, with the region of the record it is written in where it needs one."""

Told = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Desk:
    """A desk that answers customers: the front door's `answer`, and who stands before it."""

    answer: Callable[[GraphqlRequest, Caller], Awaitable[Answer]]
    caller: Caller


def desk_of(house: House) -> Desk:
    """A desk that may read every store to help a customer."""
    purposes = frozenset({"service.care"})
    caller = Caller("demo", purposes=purposes, stores=house.settings.store_names, channel="hotline", actor="demo")
    return Desk(front_door(house).answer, caller)


async def ask(desk: Desk, document: str, role: Role = Role.CHANNEL, **variables: Any) -> Told:
    """The whole answer to a document, errors included; `role` is what whoever stands there may do."""
    answer = await desk.answer(GraphqlRequest(document, variables=variables), desk.caller._replace(role=role))
    told: Told = json.loads(answer.body)
    return told


def invite(house: House, desk: Desk, console: Console, port: int) -> None:
    """Prints how to ask the story of the two numbers oneself."""
    title(console, "自己问一次 · Ask it yourself", "启动后（cdp serve）粘贴 · Paste this while it serves:")
    console.print(curl(house, desk.caller, port), markup=False)


async def tell_b(desk: Desk, console: Console) -> None:
    """Prints who it is, by six ways to write two numbers, and what is known of the money."""
    title(
        console,
        "故事 B · 不见了的充值 · The top-up that went nowhere",
        "一张 SIM 卡，两个号码：香港 8 位，内地 11 位。给内地号码充值 100 元，短信已确认，余额没动。",
        "One SIM, two numbers. The top-up was confirmed by SMS, the balance did not move. Who is it,",
        "which regions, what is on each account, and where is the money?",
    )
    console.print(STORY_B, style="cyan", markup=False)
    answers = []
    for number, region in WRITTEN_FORMS:
        told = await ask(desk, STORY_B, number=number, region=region)
        answers.append(told)
        found = (told.get("data") or {}).get("customer") or {}
        where = f"  region {region}" if region else ""
        console.print(f'  "{number}"{where} -> {found.get("formattedName")} {str(found.get("id"))[:24]}…', markup=False)
    same = len({json.dumps(told.get("data"), sort_keys=True) for told in answers}) == 1
    console.print(
        "六种写法，同一位客户 · six questions, one customer:" if same else "The answers differ:", style="bold"
    )
    print_answer(console, answers[0])


def curl(house: House, caller: Caller, port: int) -> str:
    """A command for a shell that asks story B of a server on this machine; its token is good for a shift."""
    settings = house.settings
    bearer = "$TOKEN"
    if settings.token_keys is None:
        bearer = issue_token(settings.home, caller, settings.token_issuer, settings.token_audience)
    body = json.dumps({"query": " ".join(STORY_B.split()), "variables": {"number": HONG_KONG_NUMBER}})
    return (
        f"curl -s http://127.0.0.1:{port}/graphql \\\n  -H 'content-type: application/json' \\\n"
        f"  -H \"authorization: Bearer {bearer}\" \\\n  --data '{body}'"
    )


def title(console: Console, headline: str, *lines: str) -> None:
    """Prints what comes next."""
    console.print()
    console.print(headline, style="bold magenta", markup=False)
    for line in lines:
        console.print(line, markup=False)


def print_answer(console: Console, told: Told) -> None:
    """Prints an answer: its data, its errors, what was withheld."""
    shown = {name: told[name] for name in ("data", "errors") if name in told}
    withheld = ((told.get("extensions") or {}).get("privacy") or {}).get("withheld")
    console.print(spelled(shown | ({"withheld": withheld} if withheld else {})), style="green", markup=False)


def spelled(value: Any, indent: int = 0, used: int = 0) -> str:
    """JSON that fits the width: what is short stays on one line. `used`: columns taken before the value."""
    short = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or indent + used + cell_len(short) < WIDTH:
        return short
    inner = " " * (indent + 2)
    if isinstance(value, list):
        lines = [inner + spelled(one, indent + 2) for one in value]
    else:
        names = {name: json.dumps(name, ensure_ascii=False) + ": " for name in value}
        lines = [inner + names[name] + spelled(one, indent + 2, len(names[name])) for name, one in value.items()]
    first, last = "[]" if isinstance(value, list) else "{}"
    return f"{first}\n" + ",\n".join(lines) + f"\n{' ' * indent}{last}"
