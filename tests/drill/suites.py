"""Bars that tests hold already: run in one go, with what they recorded as their figure."""

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from tests.drill.bars import Bar, Found, Site

PRIVACY = "tests/privacy/test_"


class Suite(NamedTuple):
    """Tests by their node ids; `unit` names the property in which they record how much they went through."""

    name: str
    bar: str
    unit: str
    nodes: tuple[str, ...]


SUITES = (
    Suite("Wycheproof", "100 % of AES-GCM, AES-SIV, HMAC, HKDF", "vectors", (f"{PRIVACY}wycheproof.py",)),
    Suite("NIST and RFC vectors", "100 % of AES-GCM, AES-SIV, HMAC, HKDF, SM4-GCM", "vectors", (f"{PRIVACY}nist.py",)),
    Suite("known answers", "40 and receipts, by a second decoder too", "answers",
          (f"{PRIVACY}known_answers.py", f"{PRIVACY}known_receipts.py")),
    Suite("relocation matrix", "100 % refused", "moves refused", (f"{PRIVACY}relocation.py",)),
    Suite("policy matrix", "50,000 cells, 0 differences", "cells",
          (f"{PRIVACY}policy_matrix.py::test_50_000_cells_agree_with_the_oracle",)),
    Suite(
        "metamorphic law",
        "a no, an objection, a later date never widens",
        "laws",
        tuple(
            f"{PRIVACY}policy_matrix.py::test_{law}"
            for law in (
                "a_no_never_widens", "an_objection_never_widens", "a_later_date_never_widens",
                "a_basis_that_is_used_up_never_widens_and_carries_nothing",
            )
        ),
    ),
    Suite(
        "replay", "every logged decision, the same answer", "decisions",
        ("tests/schema/test_officer.py::test_every_logged_decision_replays_to_the_same_answer",),
    ),
    Suite(
        "restore", "an older backup brings nobody back", "drills",
        ("tests/journeys/test_requests.py::test_a_backup_brings_nobody_back",),
    ),
)  # fmt: skip


class Case(NamedTuple):
    """A test that ran: what it recorded, and why it did not pass, if it did not."""

    module: str
    name: str
    recorded: dict[str, int]
    skipped: str | None
    failed: bool


class Suites:
    """All of them in one process of pytest, started by whoever asks first."""

    def __init__(self) -> None:
        self._cases: list[Case] | None = None

    def bars(self) -> Iterator[Bar]:
        for suite in SUITES:

            async def measure(site: Site, suite: Suite = suite) -> Found:
                return found_of(suite, await self._run(site))

            yield Bar(suite.name, suite.bar, measure)

    async def _run(self, site: Site) -> list[Case]:
        if self._cases is None:
            file = site.folder / "suites.xml"
            nodes = [node for suite in SUITES for node in suite.nodes]
            command = (
                sys.executable,
                "-m",
                "pytest",
                "-p",
                "no:cacheprovider",
                "-o",
                "junit_family=xunit1",
                f"--junitxml={file}",
                *nodes,
            )
            with (site.folder / "suites.log").open("wb") as log:
                process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, env=dict(os.environ))
                await process.wait()
            self._cases = list(cases_of(file))
        return self._cases


def cases_of(file: Path) -> Iterator[Case]:
    for case in ET.parse(file).iter("testcase"):  # noqa: S314 -- pytest wrote it
        recorded = {one.get("name", ""): int(one.get("value", 0)) for one in case.iter("property")}
        skipped = case.find("skipped")
        why = None if skipped is None else skipped.get("message", "")
        failed = any(case.find(kind) is not None for kind in ("failure", "error"))
        yield Case(case.get("classname", ""), case.get("name", "").partition("[")[0], recorded, why, failed)


def found_of(suite: Suite, cases: Sequence[Case]) -> Found:
    named = [node.partition("::") for node in suite.nodes]
    wanted = {(path.removesuffix(".py").replace("/", "."), name) for path, _, name in named}
    mine = [case for case in cases if wanted & {(case.module, case.name), (case.module, "")}]
    if failed := sum(case.failed for case in mine):
        return Found(f"{failed} of {len(mine)} tests failed", passed=False)
    if why := [case.skipped for case in mine if case.skipped is not None]:
        return Found(why[0], passed=None)
    count = sum(case.recorded.get(suite.unit, 0) for case in mine) or len(mine)
    return Found(f"{count:,} {suite.unit}, all hold", passed=len(mine) >= len(suite.nodes))


__all__ = ["SUITES", "Suites", "cases_of", "found_of"]
