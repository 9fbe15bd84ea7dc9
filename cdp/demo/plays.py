"""A stage for the stories: events arrive at their own time, the clock is moved, what is wrong is looked for, and every
step is a question and its answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from rich.console import Console

from cdp.app import writer_of
from cdp.demo.cast import STILL_OFF_NUMBER, between, comes_back, still_off
from cdp.demo.stories import Desk, ask, print_answer, title
from cdp.demo.world import CHINA_TIME, Event
from cdp.house import House
from cdp.ingest import ingest
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
STEP: Final = """\
mutation Step($input: %s!) @purpose(id: "service.care") { %s(input: $input) { outcome { status code } } }"""


@dataclass(slots=True)
class Stage:
    """Where a story is played. `clock` is the story's time, in China; what is written down is as of it."""

    house: House
    desk: Desk
    console: Console
    clock: datetime = LONG_AGO

    def moves(self, at: str, *lines: str) -> None:
        """The clock is moved, and it is said what happens."""
        self.clock = datetime.fromisoformat(at).replace(tzinfo=CHINA_TIME)
        self.console.print()
        self.console.print(f"{self.clock:%m-%d %H:%M}", *lines, sep="  ", style="bold", markup=False)

    async def arrive(self, events: Sequence[Event]) -> None:
        """Events that must be taken in; those of an earlier performance are known."""
        writer = replace(writer_of(self.house), clock=lambda: self.clock)
        refused = [one for one in await ingest(writer, events, "demo") if one.code is not None]
        assert not refused, "the stories fit the house"

    async def asks(self, document: str, **variables: Any) -> Mapping[str, Any]:
        """Prints a question and its answer."""
        self.console.print(document, style="cyan", markup=False)
        told = await ask(self.desk, document, **variables)
        print_answer(self.console, told)
        return told

    def found(self, what: str) -> None:
        """What holding things against each other came to."""
        self.console.print(f"  cdp reconcile services -> {what}", style="yellow", markup=False)

    async def steps(self, order: str, kind: str = "CaseStepInput", **given: Any) -> None:
        """A desk takes a step in a case."""
        shown = ", ".join(f"{name}: {value}" for name, value in given.items() if name != "case")
        known = {"at": self.clock.isoformat(), "eventId": f"demo-{order}-{self.clock:%H%M}"}
        told = await ask(self.desk, STEP % (kind, order), input={**given, **known})
        outcome = told["data"][order]["outcome"]
        self.console.print(f"  {order}({shown}) -> {outcome['status']}", style="cyan", markup=False)


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
    stage.found(f"{found.found} found, {found.opened} case opened")
    told = await stage.asks(FOUND_A, number=number)
    await _closed(stage, told["data"]["customer"]["cases"][0])


async def _closed(stage: Stage, case: Mapping[str, Any]) -> None:
    """The case on its way: accepted, put right, told, closed."""
    store, by = stage.house.stores[stage.house.settings.store_of("CN")], {"case": case["id"], "desk": case["owner"]}
    stage.moves("2026-10-12 12:30", "责任部门接单 · the desk that answers takes it on")
    await stage.steps("acceptCase", **by)
    stage.moves("2026-10-12 12:46", "飞信恢复，异常自行消除 · Fetion is back: the anomaly clears itself")
    await stage.arrive(comes_back())
    gone = await reconcile_services(store, stage.clock)
    stage.found(f"{gone.cleared} cleared, {gone.settled} case settled")
    stage.moves("2026-10-12 12:50", "告知客户 · the customer is told")
    await stage.steps("tellCustomer", **by)
    stage.moves("2026-10-12 12:55", "结案 · the case is closed")
    await stage.steps("closeCase", "CaseClosingInput", **by, rootCause="RESUME_NOT_PROPAGATED")
    await stage.asks(FOUND_A, number=STILL_OFF_NUMBER)
