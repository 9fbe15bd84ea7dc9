"""A stage for the stories: events arrive at their own time, the clock is moved, what is wrong is looked for, and every
step is a question and its answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from rich.console import Console

from cdp.app import writer_of
from cdp.auth import Role
from cdp.demo.cast import (
    HONG_KONG_NUMBER,
    STILL_OFF_NUMBER,
    between,
    comes_back,
    goes_astray,
    still_off,
    two_numbers,
)
from cdp.demo.stories import Desk, ask, print_answer, spelled, tell_b, title
from cdp.demo.world import CHINA_TIME, Event
from cdp.house import House
from cdp.ingest import ingest
from cdp.reconcile.money import reconcile_money
from cdp.reconcile.services import reconcile_services

LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=CHINA_TIME)
STATE_A: Final = """\
query ServiceThatStayedOff($number: String!) @purpose(id: "service.care") {
  customer(number: $number) {
    products { name status statusReason expectedStatus reliesOn { name status } }
  }
}"""
FOUND_A: Final = """\
query WhatWasFound($number: String!) @purpose(id: "service.care") {
  customer(number: $number) {
    serviceAnomalies(first: 1) { kind product { name } chainZh chainEn owner due clearedAt }
    cases(first: 1) {
      id cause severity status owner due textZh textEn rootCause steps { step desk }
    }
  }
}"""
FOUND_B: Final = """\
query WhereTheMoneyIs($number: String!) @purpose(id: "service.care") {
  customer(number: $number) {
    topUps(first: 3) { topUpRef number amount { value unit } state }
    moneyAnomalies(first: 2) {
      id kind state region owner topUpRef
      posted { value unit } takeBack { value unit } give { value unit }
    }
    cases(first: 2) { id status owner due textZh textEn rootCause }
  }
}"""
APPROVE: Final = """\
mutation Approve($anomaly: ID!) @purpose(id: "service.care") {
  approveCorrection(anomaly: $anomaly) { outcome { status code } }
}"""
STEP: Final = """\
mutation %s($input: %s!) @purpose(id: "service.care") {
  %s(input: $input) { outcome { status code } }
}"""


@dataclass(slots=True)
class Stage:
    """Where a story is played. `clock` is the story's time, in China; what is written down is as of it."""

    house: House
    desk: Desk
    console: Console
    clock: datetime = LONG_AGO

    def moves(self, at: str | None, *lines: str) -> None:
        """The clock is moved, to now where no instant is given, and it is said what happens."""
        now = datetime.now(CHINA_TIME)
        self.clock = now if at is None else datetime.fromisoformat(at).replace(tzinfo=CHINA_TIME)
        self.console.print()
        self.console.print(f"{self.clock:%m-%d %H:%M}", *lines, sep="  ", style="bold", markup=False)

    async def arrive(self, events: Sequence[Event]) -> None:
        """Events that must be taken in; those of an earlier performance are known."""
        writer = replace(writer_of(self.house), clock=lambda: self.clock)
        refused = [one for one in await ingest(writer, events, "demo") if one.code is not None]
        assert not refused, "the stories fit the house"

    async def asks(self, document: str, role: Role = Role.CHANNEL, **variables: Any) -> Mapping[str, Any]:
        """Prints a question, with its variables, and its answer; `role` is what whoever asks may do."""
        self.console.print(document, spelled(variables), sep="\n", style="cyan", markup=False)
        told = await ask(self.desk, document, role, **variables)
        print_answer(self.console, told)
        return told

    def found(self, what: str, came_to: str) -> None:
        """What holding things against each other came to."""
        self.console.print(f"  cdp reconcile {what} -> {came_to}", style="yellow", markup=False)

    async def money(self, whose: str = "") -> None:
        """The money of both stores, held against what customers were told; `whose` it is that is found, in words."""
        stores = self.house.stores.values()
        found, _, opened, settled = map(
            sum, zip(*[await reconcile_money(one, self.clock) for one in stores], strict=True)
        )
        self.found("money", f"{found} found, {opened} cases opened, {settled} settled{whose}")

    async def steps(self, order: str, kind: str = "CaseStepInput", **given: Any) -> None:
        """A desk takes a step in a case."""
        known = {"at": self.clock.isoformat(), "eventId": f"demo-{order}-{self.clock:%H%M%S}-{given['desk']}"}
        await self.asks(STEP % (f"{order[0].upper()}{order[1:]}", kind, order), input={**given, **known})


async def play_a(stage: Stage) -> None:
    """The service that stayed off: found by the platform within the hour, with one case and one owner."""
    title(
        stage.console,
        "故事 A · 一直没恢复的服务 · The service that stayed off",
        "早上欠费停机，中午充值后手机恢复；依赖它的飞信仍停用。客户被推来推去两个星期。",
        "Suspended for arrears in the morning, topped up at noon: the line is back. The messaging service",
        "that relies on it is not, and three desks point at each other for two weeks. Not here:",
    )
    store, number = stage.house.stores[stage.house.settings.store_of("CN")], STILL_OFF_NUMBER
    stage.moves("2026-10-12 08:06", "欠费，手机和飞信停用 · arrears: the line and what relies on it go off")
    await stage.arrive(between(still_off(), LONG_AGO, stage.clock))
    await stage.asks(STATE_A, number=number)
    before = stage.clock
    stage.moves("2026-10-12 12:06", "充值，手机恢复 · topped up: the line is back, Fetion should be soon")
    await stage.arrive(between(still_off(), before, stage.clock))
    await reconcile_services(store, stage.clock)
    await stage.asks(STATE_A, number=number)
    stage.moves("2026-10-12 12:21", "过了期限，平台自己发现 · past its deadline: nobody called, the platform finds it")
    found = await reconcile_services(store, stage.clock)
    stage.found("services", f"{found.found} found, {found.opened} case opened")
    told = await stage.asks(FOUND_A, number=number)
    await _ends_well(stage, told["data"]["customer"]["cases"][0])


async def _ends_well(stage: Stage, case: Mapping[str, Any]) -> None:
    """The case on its way: accepted, put right, told, closed."""
    store, by = stage.house.stores[stage.house.settings.store_of("CN")], {"case": case["id"], "desk": case["owner"]}
    stage.moves("2026-10-12 12:30", "责任部门接单 · the desk that answers takes it on")
    await stage.steps("acceptCase", **by)
    stage.moves("2026-10-12 12:46", "飞信恢复，异常自行消除 · Fetion is back: the anomaly clears itself")
    await stage.arrive(comes_back())
    gone = await reconcile_services(store, stage.clock)
    stage.found("services", f"{gone.cleared} cleared, {gone.settled} case settled")
    stage.moves("2026-10-12 12:50", "告知客户 · the customer is told")
    await stage.steps("tellCustomer", **by)
    stage.moves("2026-10-12 12:55", "结案 · the case is closed")
    await stage.steps("closeCase", "CaseClosingInput", **by, rootCause="RESUME_NOT_PROPAGATED")
    await stage.asks(FOUND_A, number=STILL_OFF_NUMBER)


async def play_b(stage: Stage) -> None:
    """The top-up that went nowhere: seen from both sides, one owner for each, put right by who may."""
    settings, number = stage.house.settings, HONG_KONG_NUMBER
    happened = two_numbers({country: settings.store_of(country) for country in ("CN", "HK")})
    stage.clock = datetime.fromisoformat("2026-10-26 19:22").replace(tzinfo=CHINA_TIME)
    await stage.arrive(between(happened, LONG_AGO, stage.clock))
    await tell_b(stage.desk, stage.console)
    stage.moves("2026-10-26 19:30", "短信已确认；钱进了香港号码的账户 · confirmed by SMS, posted to the other number")
    await stage.arrive(goes_astray())
    await stage.money(" (of others: the hour is not over)")
    stage.moves("2026-10-26 20:30", "过了期限，两边都发现 · past its deadline: both sides find it, under one reference")
    await stage.money()
    found = (await stage.asks(FOUND_B, number=number))["data"]["customer"]
    stage.moves(None, "财务批准更正 · an accountant approves what the platform proposes")
    for anomaly in found["moneyAnomalies"]:
        if anomaly["state"] == "PROPOSED":
            await stage.asks(APPROVE, Role.ACCOUNTANT, anomaly=anomaly["id"])
    stage.moves(None, "告知客户，结案 · the customer is told, the cases are closed")
    await stage.money()
    for case in found["cases"]:
        if case["status"] != "CLOSED":
            by = {"case": case["id"], "desk": case["owner"]}
            await stage.steps("tellCustomer", **by)
            await stage.steps("closeCase", "CaseClosingInput", **by, rootCause="WRONG_NUMBER_OF_A_PAIR")
    await stage.asks(FOUND_B, number=number)
