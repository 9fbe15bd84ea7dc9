"""Records of one person are found and proposed; nothing is merged, and no value of theirs goes anywhere."""

import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from rich.progress import Progress

import cdp.region_pages
from cdp.__main__ import main
from cdp.app import writer_of
from cdp.auth import SELF
from cdp.errors import RequestInvalid
from cdp.global_ids import read_id
from cdp.house import House
from cdp.identity.blocked import block, read_blocked
from cdp.identity.honey import mark_honey, suspended_clients
from cdp.identity.likeness import can_compare
from cdp.identity.match_rules import read_match_rules
from cdp.ingest import Status, ingest
from cdp.match import Matching, match
from cdp.serving import run
from cdp.settings import Settings
from tests.cdp.doors import NOW, rows
from tests.cdp.house import fingerprint, prepared_house
from tests.cdp.samples import event

with_splink = pytest.mark.skipif(not can_compare(), reason="splink is not installed: pip install -e '.[match]'")
PEOPLE: dict[str, dict[str, str]] = {
    "typo-1": {"name": "陈美玲", "birthDate": "1988-05-17", "address": "广州市天河区体育东路 100 号 1203 室"},
    "typo-2": {"name": "陈美铃", "birthDate": "1988-05-17", "address": "广州市天河区体育东路100号1203室"},
    "wang-1": {"name": "王伟", "birthDate": "1979-01-30", "address": "深圳市南山区科苑路 8 号"},
    "wang-2": {"name": "王伟", "birthDate": "1992-11-04", "address": "佛山市禅城区祖庙路 21 号"},
    "paper-1": {"name": "李国强", "documentType": "NATIONAL_ID", "documentNumber": "440106197703030011"},
    "paper-2": {"name": "李國強", "documentType": "NATIONAL_ID", "documentNumber": "4401061977 0303 0011"},
    "mail-1": {"name": "黄丽", "email": "lily@example.cn", "birthDate": "1985-08-08"},
    "mail-2": {"name": "黄莉莉", "email": "Lily@Example.cn", "birthDate": "1985-08-08"},
}
BY_RULE = {("mail-1", "mail-2"): "email", ("paper-1", "paper-2"): "document"}
LIKELY: dict[tuple[str, str], str | None] = {**BY_RULE, ("typo-1", "typo-2"): None}
MATCHING = Matching("CN-GD", read_match_rules(None), 20_000, 0.9)


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    async with prepared_house(settings) as house:
        await take_in(house, *registrations())
        yield house


def registrations() -> list[dict[str, Any]]:
    """Registered one second after the other, so that their ids are in this order."""
    return [
        event("CustomerRegistered", 1, {"customerKey": key}, eventId=key, kind="INDIVIDUAL", **said)
        | {"at": f"2026-03-01T08:00:{n:02}+08:00"}
        for n, (key, said) in enumerate(PEOPLE.items())
    ]


async def take_in(house: House, *events: dict[str, Any]) -> None:
    outcomes = await ingest(writer_of(house), events, "test")
    assert [one for one in outcomes if one.status is not Status.ACCEPTED] == []


async def found(house: House, matching: Matching = MATCHING, *, keep: bool = False) -> list[dict[str, Any]]:
    """The proposals, with the names of the tests instead of ids."""
    ids = sorted([row["customer_id"] for row in await rows(house.stores["cn"], "customer")], key=lambda one: one.int)
    names = dict(zip(ids, PEOPLE, strict=False))
    with Progress(disable=True) as bars:
        proposals = await match(house, matching, bars, keep=keep)
    for proposal in proposals:
        for side in ("customer", "other"):
            told = read_id(house.tokens, SELF, str(proposal[side]))
            assert told is not None
            proposal[side] = names[told.customer_id]
    return proposals


def pairs(proposals: list[dict[str, Any]]) -> dict[tuple[str, str], str | None]:
    return {(one["customer"], one["other"]): one["rule"] for one in proposals}


@with_splink
async def test_records_of_one_person_are_proposed_with_their_score_and_its_components(house: House) -> None:
    proposals = await found(house)
    assert pairs(proposals) == LIKELY
    assert [one["rule"] is None for one in proposals] == [False, False, True], "those by a rule come first"
    typo = proposals[-1]
    assert 0.9 <= typo["score"] <= 1
    assert set(typo["components"]) == {"name", "birthDate", "address"}
    assert all(weight > 0 for weight in typo["components"].values())
    assert typo["components"]["birthDate"] > typo["components"]["name"]
    paper = next(one for one in proposals if one["rule"] == "document")
    assert set(paper["components"]) == {"name", "document"}
    assert paper["components"]["document"] > 0 > paper["components"]["name"]


@with_splink
async def test_two_persons_of_one_name_are_far_from_it(house: House) -> None:
    proposals = {(one["customer"], one["other"]): one for one in await found(house, replace(MATCHING, threshold=0.0))}
    wang = proposals["wang-1", "wang-2"]
    assert wang["score"] < 0.01
    assert wang["components"]["name"] > 0 > wang["components"]["birthDate"]


@with_splink
async def test_from_enough_records_on_chances_are_taken_from_them(house: House) -> None:
    few = MATCHING.rules.model_copy(
        update={"likelihood": MATCHING.rules.likelihood.model_copy(update={"enough": len(PEOPLE)})}
    )
    prior, estimated = [
        {
            (one["customer"], one["other"]): one
            for one in await found(house, replace(MATCHING, rules=rules, threshold=0.0))
        }
        for rules in (MATCHING.rules, few)
    ]
    assert prior.keys() == estimated.keys()
    pair = ("wang-1", "wang-2")
    assert 0 < estimated[pair]["components"]["name"] < prior[pair]["components"]["name"], "a common name weighs less"


async def test_without_the_library_the_rules_propose(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cdp.match, "can_compare", lambda: False)
    proposals = await found(house, keep=True)
    assert pairs(proposals) == BY_RULE
    assert {(one["score"], len(one["components"])) for one in proposals} == {(None, 0)}
    assert [row["score"] for row in await rows(house.stores["cn"], "match_proposal")] == [None, None]


async def test_a_honey_customer_is_proposed_to_nobody(house: House) -> None:
    await mark_honey(house, ("customerKey", "mail-2", "CN-GD"), NOW, honey=True)
    assert {"mail-1", "mail-2"}.isdisjoint(name for pair in pairs(await found(house)) for name in pair)
    assert ("paper-1", "paper-2") in pairs(await found(house))
    assert await suspended_clients(house.stores) == []


async def test_nothing_changes_but_the_proposals_and_those_only_where_they_are_kept(house: House) -> None:
    before = await fingerprint(house)
    entries = len(await rows(house.stores["cn"], "audit_entry"))
    proposals = await found(house)
    assert await fingerprint(house) == before
    assert len(await rows(house.stores["cn"], "audit_entry")) == entries + 1, "one page, one entry"
    assert len(proposals) >= len(BY_RULE)
    await found(house, keep=True)
    after = await fingerprint(house)
    assert {name for name in after if after[name] != before[name]} == {"cn.match_proposal"}
    kept = await rows(house.stores["cn"], "match_proposal")
    assert len(kept) == len(proposals)
    assert all(row["customer_id"].int < row["other_id"].int for row in kept)
    await found(house, replace(MATCHING, most=2), keep=True)
    assert len(await rows(house.stores["cn"], "match_proposal")) <= 1, "the next run replaces them"


async def test_pages_and_their_bound(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await found(house)
    monkeypatch.setattr(cdp.region_pages, "PAGE", 3)
    assert await found(house) == whole
    assert ("paper-1", "paper-2") not in pairs(await found(house, replace(MATCHING, most=5)))
    assert ("paper-1", "paper-2") in pairs(await found(house, replace(MATCHING, most=6)))
    assert await found(house, replace(MATCHING, region="CN-BJ")) == []


async def test_what_a_steward_decided_is_not_proposed_again(house: House) -> None:
    def decision(kind: str, one: str, other: str, day: int) -> dict[str, Any]:
        return event(kind, day, {"customerKey": one}, other={"customerKey": other}, eventId=f"{kind}-{one}")

    assert BY_RULE.items() <= pairs(await found(house)).items()
    await take_in(house, decision("CustomersParted", "paper-1", "paper-2", 2))
    await take_in(house, decision("CustomersMerged", "mail-1", "mail-2", 2))
    assert not BY_RULE.keys() & pairs(await found(house)).keys()
    await take_in(house, decision("CustomersParted", "mail-1", "mail-2", 3))
    assert not BY_RULE.keys() & pairs(await found(house)).keys()
    # Who is one person with somebody is parted from whom they were parted from.
    await take_in(house, decision("CustomersMerged", "wang-1", "paper-2", 4))
    assert ("wang-1", "paper-1") not in pairs(await found(house))


async def test_a_number_on_one_card_is_one_persons_whoever_it_is_registered_for(house: House) -> None:
    for key, role in (("wang-1", "USER"), ("wang-2", "REGISTERED_HOLDER")):
        card = {"number": "13800138000", "simRef": "s", "iccid": "8986001234567890123"}
        await take_in(house, event("NumberActivated", 2, {"customerKey": key}, eventId=f"n-{key}", role=role, **card))
    proposals = pairs(await found(house))
    assert proposals["wang-1", "wang-2"] == "number on card"
    text = "kind,value,region\nnumber,13800138000,CN-GD\n"
    await block(house, read_blocked(house, text.splitlines()), NOW)
    assert ("wang-1", "wang-2") not in pairs(await found(house))


async def test_what_is_blocked_identifies_nobody(house: House) -> None:
    text = "kind,value,region\ndocument,440106197703030011,CN-GD\nemail,lily@example.cn,CN-GD\n"
    await block(house, read_blocked(house, text.splitlines()), NOW)
    assert not BY_RULE.keys() & pairs(await found(house)).keys()


async def test_what_may_not_be_seen_is_not_compared(house: House) -> None:
    restricted = event("ObjectionRaised", 2, {"customerKey": "paper-2"}, kind="RESTRICTION")
    await take_in(house, restricted)
    assert ("paper-1", "paper-2") not in pairs(await found(house))


async def test_a_region_that_is_not_served_is_refused(house: House) -> None:
    with pytest.raises(RequestInvalid) as refused:
        await found(house, replace(MATCHING, region="ZZ"))
    assert refused.value.code == "REGION_UNKNOWN"


@pytest.fixture
def command(
    tmp_path: Path, store_urls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    """The command line in a house with these people."""
    for name, value in {"HOME": str(tmp_path), "STORES": json.dumps(store_urls), "ENVIRONMENT": "test"}.items():
        monkeypatch.setenv(f"CDP_{name}", value)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    async def fill() -> None:
        async with prepared_house(Settings()) as house:
            await take_in(house, *registrations())

    run(fill())
    yield monkeypatch
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def ended(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code


@pytest.mark.usefixtures("command")
def test_the_command_prints_ids_and_weights_and_no_value(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDP_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    files = {path for path in tmp_path.rglob("*") if path.is_file()}
    capfd.readouterr()
    assert ended("match", "--region", "CN-GD", "--keep") == 0
    said = capfd.readouterr()
    proposals = [json.loads(line) for line in said.out.splitlines()]
    assert len(proposals) == (len(LIKELY) if can_compare() else len(BY_RULE))
    assert all(set(one) == {"customer", "other", "rule", "score", "components"} for one in proposals)
    values = {value for person in PEOPLE.values() for value in person.values()} - {"NATIONAL_ID"}
    for value in values | {value.replace(" ", "") for value in values}:
        assert value not in said.out + said.err
    assert ("cdp[match]" in said.err) is not can_compare()
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == files, "nothing was put into a file"


@pytest.mark.usefixtures("command")
def test_identifiers_are_blocked_and_lifted_by_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (file := tmp_path / "blocked.csv").write_text("\ufeffkind,value,region\nemail,lily@example.cn,CN-GD\n", "utf-8")
    assert ended("identifiers", "block", str(file)) == 0
    assert capsys.readouterr().out == "blocked.csv: 1 identifiers blocked\n"
    assert ended("match", "--region", "CN-GD") == 0
    assert '"email"' not in capsys.readouterr().out
    assert ended("identifiers", "lift", str(file)) == 0
    assert capsys.readouterr().out == "blocked.csv: 1 identifiers lifted\n"
    assert ended("match", "--region", "CN-GD") == 0
    assert '"email"' in capsys.readouterr().out
