"""The command line: every command tells what it does, troubles are one line each, a token opens the door."""

import csv
import io
import json
import logging
import os
import re
import signal
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from socket import socket
from uuid import UUID

import asyncpg
import pytest
import structlog
import typer
from rich.console import Console
from typer.main import get_command

from cdp import __main__ as command_line
from cdp import terminal
from cdp.__main__ import cdp, main
from cdp.app import front_door, writer_of
from cdp.audit import AuditTrail
from cdp.audited import tail
from cdp.auth import SELF, Caller, Verifier
from cdp.exchange import GraphqlRequest
from cdp.global_ids import GlobalId
from cdp.global_ids import row_id as opaque_id
from cdp.house import House, open_house
from cdp.ingest import Status, ingest
from cdp.jwks import IssuerKeys
from cdp.serving import App, run
from cdp.settings import Settings
from cdp.stores import Store
from cdp.values import row_id
from privacy.notes import NoteKey, read_proof, signed_by
from privacy.verify_log import main as verify_log
from privacy.vocabulary import RecipientClass
from tests.cdp.rights.steps import advanced, opened
from tests.cdp.samples import SAMPLES
from tests.privacy.starter import STARTER_TEXT

COMMANDS = [
    *(
        "demo",
        "serve",
        "worker",
        "migrate",
        "load",
        "token",
        "keys",
        "audit",
        "documents",
        "policy",
        "privacy",
        "honey",
    ),
    *("dead-letters", "numbers", "bench", "explain", "match", "identifiers", "officer", "receipt", "witness"),
    *("catalogue", "advise-tariffs", "reconcile", "webhooks"),
    *("write-key", "consume"),
]
TOKEN = ("token", "--client", "shop-app", "--purpose", "service.care", "--store", "cn", "--store", "hk")


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """A command sends the logs of the whole process to its standard error."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CDP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CDP_STORES", json.dumps({"cn": "postgresql:///nowhere", "hk": "postgresql:///nowhere"}))
    monkeypatch.setenv("CDP_ENVIRONMENT", "test")
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "home"


@pytest.fixture
def migrated(store_urls: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a house whose stores have tables and keys."""
    monkeypatch.setenv("CDP_STORES", json.dumps(store_urls))
    assert exit_of("migrate") == 0
    return Settings()


def exit_of(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code


def error_lines(capsys: pytest.CaptureFixture[str], *arguments: str, code: int) -> list[str]:
    """What went to standard error; nothing may have gone to standard output."""
    assert exit_of(*arguments) == code
    found = capsys.readouterr()
    assert found.out == ""
    return found.err.splitlines()


def output_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert exit_of(*arguments) == 0
    found = capsys.readouterr()
    assert found.err == ""
    return found.out


def command_paths() -> list[tuple[str, ...]]:
    top = get_command(cdp)
    assert isinstance(top, typer.core.TyperGroup)
    nested = [(name, sub) for name, command in top.commands.items() for sub in getattr(command, "commands", ())]
    return [(), *((name,) for name in top.commands), *nested]


def test_the_commands_are_those_of_the_manual() -> None:
    assert sorted(path[0] for path in command_paths() if len(path) == 1) == sorted(COMMANDS)
    assert [path for path in command_paths() if len(path) == 2] == [
        ("keys", "status"),
        *(("keys", f"rotate-{kind}") for kind in ("root", "kek", "dek", "index")),
        ("audit", "tail"),
        ("audit", "verify"),
        ("audit", "proof"),
        ("audit", "key"),
        ("audit", "export"),
        ("documents", "register"),
        ("documents", "list"),
        ("policy", "check"),
        ("policy", "load"),
        ("numbers", "explain"),
        ("numbers", "load-segments"),
        ("identifiers", "block"),
        ("identifiers", "lift"),
        ("honey", "mark"),
        ("honey", "unmark"),
        ("honey", "clients"),
        ("honey", "lift"),
        ("reconcile", "services"),
        ("reconcile", "money"),
        ("privacy", "export"),
        ("privacy", "certificate"),
        ("privacy", "replay-ledger"),
        ("privacy", "retention"),
        ("officer", "export"),
        ("receipt", "keys"),
        ("receipt", "verify"),
        *(("dead-letters", name) for name in ("list", "show", "replay", "drop")),
        *(("webhooks", name) for name in ("add", "list", "enable", "remove", "replay")),
        ("catalogue", "load"),
        ("catalogue", "show"),
        ("write-key", "list"),
        ("write-key", "revoke"),
    ]


@pytest.mark.parametrize("path", command_paths(), ids=" ".join)
def test_every_command_and_option_has_its_help(path: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    command = get_command(cdp)
    for name in path:
        assert isinstance(command, typer.core.TyperGroup)
        command = command.commands[name]
    assert command.help
    assert [each.name for each in command.params if not getattr(each, "help", None)] == []
    shown = output_of(capsys, *path, "--help")
    assert command.help.split()[0] in shown


def test_wrong_settings_are_one_line_each_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CDP_POOL_SIZE", "none")
    monkeypatch.setenv("CDP_LOG_LEVEL", "LOUD")
    for arguments in (("serve",), ("worker",), ("migrate",), ("keys", "status"), TOKEN):
        lines = error_lines(capsys, *arguments, code=2)
        assert sorted(line.partition(":")[0] for line in lines) == ["CDP_LOG_LEVEL", "CDP_POOL_SIZE"]


@pytest.mark.parametrize("arguments", [("migrate",), ("serve",), ("keys", "status"), ("audit", "verify")])
def test_a_store_that_is_down_is_one_line(
    arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("CDP_STORES", json.dumps({"cn": f"postgresql://cdp@/cn?host={tmp_path}"}))
    monkeypatch.setenv("CDP_START_SECONDS", "0")
    [line] = error_lines(capsys, *arguments, code=1)
    assert line == "STORE_UNAVAILABLE: store cn: cannot connect (FileNotFoundError)"


def test_a_store_without_tables_says_what_to_do(
    empty_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CDP_STORES", json.dumps({"cn": empty_url}))
    [line] = error_lines(capsys, "serve", code=1)
    assert line.startswith("STORE_NOT_MIGRATED: ")
    assert "cdp migrate" in line


def test_an_unexpected_error_is_one_line_without_its_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise KeyError("+85291234567")

    monkeypatch.setattr(terminal, "read_settings", fail)
    [line] = error_lines(capsys, "migrate", code=1)
    assert line.startswith("unexpected KeyError at test_command_line.py:")
    assert "91234567" not in line


def accepted(settings: Settings, token: str) -> Caller:
    keys = IssuerKeys(str(settings.home / "tokens" / "jwks.json"))
    return run(Verifier(keys, settings.token_issuer, settings.token_audience).verify(token))


def test_a_token_is_printed_bare_and_opens_the_door(capsys: pytest.CaptureFixture[str]) -> None:
    printed = output_of(capsys, *TOKEN, "--role", "officer", "--channel", "hotline")
    assert printed == printed.strip() + "\n"
    caller = accepted(Settings(), printed.strip())
    assert caller == Caller(
        client="shop-app",
        purposes=frozenset({"service.care"}),
        stores=("cn", "hk"),
        role="officer",
        channel="hotline",
        actor="shop-app",
    )


def test_a_partner_is_another_legal_entity(capsys: pytest.CaptureFixture[str]) -> None:
    nameless = accepted(Settings(), output_of(capsys, *TOKEN, "--partner").strip())
    named = accepted(Settings(), output_of(capsys, *TOKEN, "--partner", "--legal-entity", "Bank Ltd").strip())
    assert [(one.partner, one.legal_entity) for one in (nameless, named)] == [(True, "shop-app"), (True, "Bank Ltd")]
    assert named.recipient_class is RecipientClass.THIRD_PARTY


def test_a_token_is_good_for_its_hours(capsys: pytest.CaptureFixture[str]) -> None:
    body = output_of(capsys, *TOKEN, "--hours", "3").split(".")[1]
    claims = json.loads(urlsafe_b64decode(body + "=="))
    assert claims["exp"] - claims["iat"] == 3 * 3600


@pytest.mark.parametrize(
    "wrong",
    [("--purpose", "everything"), ("--store", "us"), ("--role", "king"), ("--hours", "0")],
    ids=lambda wrong: wrong[0],
)
def test_a_token_for_what_is_not_there_is_not_made(
    wrong: Sequence[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = error_lines(capsys, *TOKEN, *wrong, code=2)
    assert any(wrong[0] in line for line in lines)
    assert not (home / "tokens").exists()


def test_a_token_that_our_door_would_refuse_is_not_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CDP_TOKEN_KEYS", str(tmp_path / "issuer.json"))
    (tmp_path / "issuer.json").write_text('{"keys": []}')
    assert error_lines(capsys, *TOKEN, code=1) == ["TOKEN_INVALID: The token is not valid."]


def test_migrate_makes_the_keys_once(migrated: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    before = output_of(capsys, "keys", "status")
    assert output_of(capsys, "migrate") == "cn, hk: up to date\n"
    assert output_of(capsys, "keys", "status") == before
    for kind in ("KEK", "INDEX", "AUDIT", "LOG", "CURSOR"):
        assert before.count(kind) == 2
    assert output_of(capsys, "keys", "status", "--store", "hk").count("KEK") == 1


def test_keys_are_rotated_and_the_stores_still_open(migrated: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("root", "kek", "index", "dek"):
        told = output_of(capsys, "keys", f"rotate-{kind}", "--store", "cn")
        assert f"cn: {kind}" in told
        assert "Rotated in" in told
        assert "hk" not in told
    status = [line.split("│")[1:-1] for line in output_of(capsys, "keys", "status").splitlines() if "│ cn" in line]
    rows = [tuple(cell.strip() for cell in cells) for cells in status]
    assert [row[1:5] for row in rows] == [
        ("AUDIT", "1", "2", "yes"),
        ("CURSOR", "1", "2", "yes"),
        ("INDEX", "1", "2", "yes"),
        ("INDEX", "2", "2", "yes"),
        ("KEK", "2", "2", "yes"),
        ("LOG", "1", "2", "yes"),
        ("data keys", "", "", ""),
    ]
    assert exit_of("migrate") == 0


def test_a_write_key_is_told_once_and_ends_when_it_is_told_to(
    migrated: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert exit_of("write-key", "--client", "shop", "--region", "HK", "--channel", "web", "--per-day", "9") == 0
    told = capsys.readouterr()
    assert re.fullmatch(r"cdp\.hk\.[\w-]{43}\n", told.out)
    assert told.err == "client shop, region HK, store hk, channel WEB\n"
    cells = [line.split("│")[1:-1] for line in output_of(capsys, "write-key", "list").splitlines() if "│ hk" in line]
    [[store, key_id, *row]] = [[cell.strip() for cell in line] for line in cells]
    assert [store, *row[:5], row[6]] == ["hk", "shop", "HK", "WEB", "1,000", "9", ""]
    assert told.out.split(".")[2].strip() not in output_of(capsys, "write-key", "list")
    lines = error_lines(capsys, "write-key", "--client", "shop", "--channel", "call centre", code=2)
    assert any("expected a word such as APP or CALL_CENTRE" in line for line in lines)
    assert error_lines(capsys, "write-key", "revoke", "none", code=1)[0].startswith("WRITE_KEY_UNKNOWN")
    assert output_of(capsys, "write-key", "revoke", key_id) == f"{key_id}: revoked, of client shop\n"
    assert error_lines(capsys, "write-key", "revoke", key_id, code=1)[0].startswith("WRITE_KEY_UNKNOWN")
    assert exit_of("write-key", "--client", "shop") == 0
    assert capsys.readouterr().out.startswith("cdp.cn.")
    assert error_lines(capsys, "write-key", "--client", "shop", "--region", "FR", code=1) != []


def test_an_unknown_store_is_refused(migrated: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    lines = error_lines(capsys, "keys", "status", "--store", "us", code=2)
    assert any("us is none of cn, hk" in line for line in lines)


async def record(settings: Settings, trail: str, *clients: str) -> None:
    async with open_house(settings) as house:
        found: AuditTrail = house.trails[trail]
        for client in clients:
            await found.record({"client": client})


def test_the_tail_is_json_lines_in_order(migrated: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    run(record(migrated, "cn", "one", "two"))
    run(record(migrated, "hk", "three"))
    run(record(migrated, "cn", "four"))
    entries = [json.loads(line) for line in output_of(capsys, "audit", "tail", "-n", "2").splitlines()]
    assert [(entry["store"], entry["client"]) for entry in entries] == [("cn", "two"), ("hk", "three"), ("cn", "four")]
    assert output_of(capsys, "audit", "tail", "--store", "hk").count("\n") == 1


def test_verify_tells_a_whole_trail_from_a_broken_one(migrated: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    run(record(migrated, "cn", "one", "two", "three"))
    assert output_of(capsys, "audit", "verify").splitlines() == [
        "cn: 3 entries in 1 chains, 3 not in the tree yet",
        "cn: a tree of 0 entries with 0 checkpoints, the newest signed by 0 of 0 witnesses",
        "hk: 0 entries in 0 chains, 0 not in the tree yet",
        "hk: a tree of 0 entries with 0 checkpoints, the newest signed by 0 of 0 witnesses",
    ]

    async def delete_second() -> None:
        connection = await asyncpg.connect((migrated.stores or {})["cn"])
        await connection.execute("DELETE FROM audit_entry WHERE sequence = 2")
        await connection.close()

    run(delete_second())
    assert exit_of("audit", "verify") == 1
    found = capsys.readouterr()
    assert "does not fit at entry 2" in found.out
    assert found.err == "AUDIT_BROKEN: 1 things are not as they were written\n"


def test_a_trail_is_proved_and_taken_away(
    migrated: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(record(migrated, "cn", "one", "two", "three"))
    entry = json.loads(output_of(capsys, "audit", "tail").splitlines()[1])["id"]
    [line] = error_lines(capsys, "audit", "proof", entry, code=1)
    assert line.startswith("UNAVAILABLE: ")
    assert output_of(capsys, "worker", "--once") == ""

    shown = output_of(capsys, "audit", "verify", "--store", "cn", "--entry", entry).splitlines()
    assert shown == [
        "cn: 3 entries in 1 chains, 0 not in the tree yet",
        "cn: a tree of 3 entries with 1 checkpoints, the newest signed by 0 of 0 witnesses",
        f"{entry} is entry 1 of the tree",
    ]
    index, _, note = read_proof(output_of(capsys, "audit", "proof", entry))
    keys = output_of(capsys, "audit", "key").splitlines()
    assert [key.partition("+")[0] for key in keys] == ["cdp/audit/cn", "cdp/audit/hk"]
    assert (index, signed_by(note, [NoteKey.read(key) for key in keys])) == (1, {"cdp/audit/cn"})
    [line] = error_lines(capsys, "audit", "proof", str(UUID(int=7)), code=1)
    assert line.startswith("NOT_FOUND: ")

    folder = tmp_path / "log"
    assert output_of(capsys, "audit", "export", str(folder)) == "cn: 3 entries\nhk: 0 entries\n"
    assert verify_log(["--key", keys[0], str(folder / "cn")]) == 0
    run(record(migrated, "cn", "four"))
    kept = str(folder / "cn" / "checkpoint")
    assert output_of(capsys, "worker", "--once") == ""
    assert "a tree of 4 entries" in output_of(capsys, "audit", "verify", "--checkpoint", kept)
    [line] = error_lines(capsys, "audit", "verify", "--store", "hk", "--checkpoint", kept, code=1)
    assert line.startswith("CHECKPOINT_UNKNOWN: ")


def test_a_witness_says_where_it_listens_and_who_it_is(
    migrated: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = output_of(capsys, "audit", "key", "--store", "cn").strip()

    async def serve(app: App, listening: socket) -> None:
        listening.close()

    monkeypatch.setattr(command_line, "serve", serve)
    arguments = ("--name", "witness.example/w1", "--folder", str(tmp_path / "w1"), "--port", "0", "--log", key)
    printed = output_of(capsys, "witness", *arguments)
    found = re.fullmatch(r"witnessing at (http://127\.0\.0\.1:[1-9]\d*) as (\S+)\n", printed)
    assert found is not None
    setting = {"w1": {"url": found[1], "key": found[2]}}
    assert Settings(witnesses=setting).witnesses["w1"].key == found[2]  # type: ignore[arg-type]  # as the environment has it
    [line] = error_lines(capsys, "witness", *arguments[:-1], "nonsense", code=1)
    assert line == "PROOF_REFUSED: a key is written NAME+ID+KEY"
    for wrong in ({"w1": {"url": "ftp://w", "key": found[2]}}, {"w1": {"url": "http://w", "key": "k"}}):
        monkeypatch.setenv("CDP_WITNESSES", json.dumps(wrong))
        [line] = error_lines(capsys, "audit", "verify", code=2)
        assert line.startswith("CDP_WITNESSES: ")


def test_documents_are_registered_in_every_store(
    migrated: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "me.graphql"
    file.write_bytes(b"query { me { client } }\r\n")
    digest = sha256(file.read_bytes()).hexdigest()
    for _ in range(2):
        assert output_of(capsys, "documents", "register", str(file)) == f"{digest}  me\n"
    assert output_of(capsys, "documents", "list").count(digest) == 2


def test_a_document_that_is_not_text_is_not_registered(
    migrated: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.graphql", tmp_path / "bad.graphql"
    good.write_text("query { me { client } }")
    bad.write_bytes(b"\xff")
    capsys.readouterr()
    assert error_lines(capsys, "documents", "register", str(good), str(bad), code=1) == [
        f"TEXT_INVALID: {bad}: not UTF-8"
    ]
    assert "good" not in output_of(capsys, "documents", "list")


RULES = "17 rules (* 1, CN 9, EU 2, HK 5), 7 sensitivities, 34 bases, 2 notices, 2 transfer bases"


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    """The starter policy as an officer has changed it: its next version, with another reference."""
    file = tmp_path / "ours.toml"
    file.write_text(
        STARTER_TEXT.replace("version = 1", "version = 2", 1).replace('"starter"', '"DPO-2026-07"'), "utf-8"
    )
    return file


def test_a_policy_file_is_checked_without_a_store(
    policy_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CDP_STORES", "nonsense")
    assert output_of(capsys, "policy", "check", str(policy_file)) == f"ours.toml: policy version 2: {RULES}\n"


def test_a_policy_is_loaded_into_every_store_once(
    migrated: Settings, policy_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert output_of(capsys, "policy", "load", str(policy_file)) == f"cn, hk: policy version 2: {RULES}\n"
    again = error_lines(capsys, "policy", "load", str(policy_file), code=1)
    assert again == ["POLICY_UNCHANGED: every store has version 2 with the same content"]


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("version = 2", "version = ", "not TOML: Invalid value (at line 12, column 11)"),
        ('consent = "GENERAL"', 'consent = "MILD"', "rule cn.service: consent 'MILD'; expected one of "),
        ('purpose = "service"', 'purpose = "tea"', "rule cn.service: purpose 'tea' is unknown; "),
        ("[[notice]]", "[[notices]]", "policy: notices is unknown; expected one of version, rule, "),
    ],
)
def test_a_policy_file_that_makes_no_sense_is_one_line(
    policy_file: Path, old: str, new: str, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    policy_file.write_text(policy_file.read_text("utf-8").replace(old, new, 1), "utf-8")
    for command in ("check", "load"):
        [line] = error_lines(capsys, "policy", command, str(policy_file), code=1)
        assert line.startswith(f"POLICY_INVALID: {wrong}")


def test_a_policy_file_that_makes_no_sense_is_not_loaded(
    migrated: Settings, policy_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = policy_file.read_text("utf-8")
    policy_file.write_text(sound.replace('consent = "GENERAL"', 'consent = "MILD"', 1), "utf-8")
    assert exit_of("policy", "load", str(policy_file)) == 1
    policy_file.write_text(sound, "utf-8")
    assert output_of(capsys, "policy", "load", str(policy_file)).startswith("cn, hk: policy version 2: ")


def test_a_policy_file_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "policy.toml"
    assert any("does not exist" in line for line in error_lines(capsys, "policy", "check", str(file), code=2))
    file.write_bytes(b"\xff")
    assert error_lines(capsys, "policy", "load", str(file), code=1) == [f"TEXT_INVALID: {file}: not UTF-8"]


def test_a_policy_that_is_not_newer_is_not_loaded(
    migrated: Settings, policy_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy_file.write_text(policy_file.read_text("utf-8").replace("version = 2", "version = 1", 1), "utf-8")
    capsys.readouterr()
    [line] = error_lines(capsys, "policy", "load", str(policy_file), code=1)
    assert line == "POLICY_NOT_NEWER: store cn: expected version 2 or later, found 1"


SEGMENTS = "prefix,region,city,issuer\n1380013,CN-BJ,北京,China Mobile\n1380014,CN-BJ,北京,China Mobile\n"


def test_segments_are_loaded_into_every_store_and_told(
    migrated: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "segments.csv"
    file.write_text(SEGMENTS, "utf-8")
    printed = output_of(capsys, "numbers", "load-segments", str(file))
    assert re.search(r"prefixes\s*│\s*2 │", printed)
    assert re.search(r"rows\s*│\s*1 │", printed)
    told = output_of(capsys, "numbers", "explain", "138-0013-8000", "--region", "CN")
    assert "+8613800138000" in told
    assert "CN-BJ, 北京" in told
    assert "China Mobile" in told
    assert "nobody here: it was never held" in told


def test_segments_with_a_bad_line_change_nothing(
    migrated: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "segments.csv"
    file.write_text(SEGMENTS, "utf-8")
    output_of(capsys, "numbers", "load-segments", str(file))
    file.write_text(SEGMENTS.replace("北京", "上海") + "1380015,Beijing,北京,China Mobile\n", "utf-8")
    assert exit_of("numbers", "load-segments", str(file)) == 1
    assert capsys.readouterr().err == (
        "SEGMENTS_INVALID: segments.csv: line 4: region: expected a province of ISO 3166-2 such as CN-GD\n"
    )
    assert "CN-BJ, 北京" in output_of(capsys, "numbers", "explain", "+8613800138000")


async def take_in(settings: Settings, *events: dict[str, object]) -> None:
    async with open_house(settings) as house:
        outcomes = await ingest(writer_of(house), events, "test")
        assert {one.status for one in outcomes} == {Status.ACCEPTED}


def test_a_number_is_explained_with_its_holders_and_without_their_names(
    migrated: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = ("CustomerRegistered", "NumberActivated", "NumberSuspended", "NumberResumed", "SimSwapped")
    run(take_in(migrated, *(SAMPLES[name] for name in kept)))
    told = output_of(capsys, "numbers", "explain", "138 0013 8000", "--region", "CN-GD", "--at", "2026-03-03T00:00:00Z")
    assert "desk-CN-GD (HOLDING)" in told
    assert re.search(r"2026-03-02 01:30 │\s+│ USER │ ACTIVE │ CN-GD\s+│ [0-9a-f-]{36} │ yes", told)
    assert "美玲" not in told
    [entry] = [json.loads(line) for line in output_of(capsys, "audit", "tail").splitlines()]
    assert (entry["client"], entry["operation"], len(entry["customers"])) == ("command line", "numbers explain", 1)
    assert "13800138000" not in json.dumps(entry)
    before = output_of(capsys, "numbers", "explain", "+8613800138000", "--at", "2026-01-01T00:00:00Z")
    assert "desk-CN-GD (NUMBER)" in before


def test_a_short_code_is_explained_and_held_by_nobody(migrated: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    told = output_of(capsys, "numbers", "explain", "10086", "--region", "CN")
    assert "SHORT_CODE" in told
    assert "a short code is held by no customer" in told
    assert output_of(capsys, "audit", "tail") == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("9123 4567",),
            "NUMBER_INVALID: number: not a usable phone number (REGION_MISSING): expected an international",
        ),
        (("1380013800", "--region", "CN"), "(TOO_SHORT): expected more digits"),
        (("null",), "(BLOCKED): expected a number that belongs to someone"),
    ],
)
def test_a_bad_number_is_refused_in_one_line_that_helps(
    migrated: Settings, arguments: Sequence[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    [line] = error_lines(capsys, "numbers", "explain", *arguments, code=1)
    assert told in line
    assert arguments[0] not in line.replace("null", "") or arguments[0] == "null"


def test_an_instant_without_its_offset_is_refused(migrated: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    for wrong in ("2026-01-01", "9999-12-31T23:59:59-12:00"):
        lines = error_lines(capsys, "numbers", "explain", "+8613800138000", "--at", wrong, code=2)
        assert any("expected an instant with its offset" in line for line in lines)


def test_products_are_reconciled_as_of_an_instant(migrated: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    line, messaging = (
        SAMPLES["ProductActivated"] | {"eventId": ref, "productRef": ref, "reliesOn": relies_on}
        for ref, relies_on in (("line", []), ("messaging", ["line"]))
    )
    off = SAMPLES["ProductSuspended"] | {"productRef": "line"}
    run(take_in(migrated, SAMPLES["CustomerRegistered"], line, messaging, off))
    for at, found in (("2026-03-18T01:30:00Z", 0), ("2026-03-18T03:00:00Z", 1), ("2026-03-19T00:00:00Z", 0)):
        printed = output_of(capsys, "reconcile", "services", "--store", "cn", "--at", at)
        assert re.search(rf"│ cn\s+│\s+{found} │\s+0 │\s+{found} │\s+0 │", printed)
        assert "│ hk" not in printed


def test_the_worker_does_what_is_due(migrated: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert output_of(capsys, "worker", "--once") == ""


def test_webhooks_are_added_listed_told_again_and_removed(
    migrated: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "told.graphql"
    document.write_text('query T($id: ID!) @purpose(id: "service.care") { customer(id: $id) { tier } }')
    how = ("--client", "crm", "--document", str(document), "--event", "ConsentGiven")
    endpoint, secret = output_of(capsys, "webhooks", "add", "--url", "https://crm.example/in", *how).split()
    assert secret.startswith("whsec_")
    listed = [json.loads(line) for line in output_of(capsys, "webhooks", "list").splitlines()]
    assert [(one["store"], one["url"], one["state"]) for one in listed] == [
        (store, "https://crm.example/in", "ACTIVE") for store in ("cn", "hk")
    ]
    assert secret not in json.dumps(listed)
    position = listed[0]["position"]
    for command in (("replay", endpoint, "--from", position), ("enable", endpoint), ("remove", endpoint)):
        output_of(capsys, "webhooks", *command)
    assert "crm.example" not in output_of(capsys, "webhooks", "list")

    assert error_lines(capsys, "webhooks", "remove", endpoint, code=1)[0].startswith("NOT_FOUND")
    assert error_lines(capsys, "webhooks", "replay", endpoint, "--from", "x", code=1)[0].startswith("POSITION_INVALID")
    refused = error_lines(capsys, "webhooks", "add", "--url", "http://crm.example/in", *how, code=1)
    assert refused[0].startswith("WEBHOOK_URL")


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("query T($id: ID!) { customer(id: $id) { tier } }", "PURPOSE_REQUIRED"),
        ('query T($id: ID!) @purpose(id: "service.care") { customer(id: $id) { id } }', "DOCUMENT_UNFIT"),
        ('query T @purpose(id: "service.care") { customer(number: "+85291234567") { tier } }', "DOCUMENT_UNFIT"),
        ("{ __schema { types { name } } }", "INTROSPECTION_REFUSED"),
    ],
)
def test_a_document_that_cannot_be_delivered_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], document: str, code: str
) -> None:
    file = tmp_path / "told.graphql"
    file.write_text(document)
    whose = ("--client", "shop", "--legal-entity", "ACME", "--event", "ConsentGiven")
    lines = error_lines(
        capsys, "webhooks", "add", "--url", "https://acme.example/in", "--document", str(file), *whose, code=1
    )
    assert lines[0].startswith(code)


def test_no_made_up_customers_in_production(
    migrated: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    monkeypatch.setenv("CDP_ENVIRONMENT", "production")
    monkeypatch.setenv("CDP_TOKEN_KEYS", "https://issuer.example/keys")
    monkeypatch.setenv("CDP_GATEWAY_URL", "https://gateway.example/send")
    [line] = error_lines(capsys, "demo", "--reset", code=1)
    assert line.startswith("DEMO_REFUSED: ")
    monkeypatch.setenv("CDP_ENVIRONMENT", "test")
    assert "KEK" in output_of(capsys, "keys", "status")


def test_serve_prints_where_and_ends_with_a_signal(
    migrated: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    served: list[House] = []

    def serve_house(house: House) -> App:
        async def end_at_once(scope: dict[str, object], receive: App, send: App) -> None:
            served.append(house)
            await send({"type": "lifespan.startup.complete"})
            os.kill(os.getpid(), signal.SIGTERM)
            await send({"type": "lifespan.shutdown.complete"})

        return end_at_once

    monkeypatch.setattr(command_line, "serve_house", serve_house)
    monkeypatch.setenv("CDP_LOG_LEVEL", "WARNING")
    printed = output_of(capsys, "serve", "--port", "0")
    assert re.fullmatch(r"serving http://127\.0\.0\.1:[1-9]\d*/graphql\n", printed)
    assert [list(house.trails) for house in served] == [["cn", "hk"]]


def test_the_demo_prepares_the_stores_first_and_can_start_anew(
    store_urls: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CDP_STORES", json.dumps(store_urls))
    seen: list[object] = []

    async def prepare(house: House) -> None:
        async with house.stores["cn"].read() as connection:
            seen.append(len(await tail(connection, 10)))

    async def run_demo(house: House, customers: int, months: int, console: Console, port: int) -> None:
        seen.append((customers, months))
        await house.trails["cn"].record({"client": "demo"})
        console.print("two stories")

    monkeypatch.setattr(command_line, "prepare", prepare)
    monkeypatch.setattr(command_line, "run_demo", run_demo)
    assert output_of(capsys, "demo", "--once") == "two stories\n"
    assert output_of(capsys, "demo", "--once", "--customers", "9", "--months", "3") == "two stories\n"
    assert output_of(capsys, "demo", "--once", "--reset") == "two stories\n"
    assert seen == [0, (2000, 24), 1, (9, 3), 0, (2000, 24)]


COUNTS = ("rows", "accepted", "duplicate", "rejected", "review", "rows refused", "letters settled", "done before")
LOADED = """
name = "crm"
key = ["编号"]
region = "CN-GD"
at = "2026-03-05T00:00:00Z"
subject = { customerKey = { column = "编号" } }
[[event]]
type = "CustomerRegistered"
[event.fields]
kind = "INDIVIDUAL"
customerKey = { column = "编号" }
birthDate = { column = "生日", as = "date", blank = "omit" }
[[event]]
type = "NumberActivated"
[event.fields]
number = { column = "手机号" }
[[event]]
type = "AccountOpened"
[event.fields]
accountNo = { text = "A-{编号}" }
ratingType = "PREPAID"
currency = "CNY"
[[event]]
type = "BalanceReported"
[event.fields]
accountNo = { text = "A-{编号}" }
balance = { value = { column = "余额" }, unit = "CNY" }
"""
PEOPLE = "编号,手机号,生日,余额\nK-1,13800138001,,1.50\nK-2,13800138002,1988-05-17,2.00\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A table of people, and its mapping."""
    (tmp_path / "people.csv").write_text(PEOPLE, "utf-8")
    (tmp_path / "people.toml").write_text(LOADED, "utf-8")
    return str(tmp_path / "people.csv"), str(tmp_path / "people.toml")


def test_files_are_loaded_one_after_the_other_and_told(
    migrated: Settings, files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = tmp_path / "more.ndjson"
    more.write_text('{"编号": "K-3", "手机号": 13800138003, "生日": null, "余额": 3}\n{"编号": "K-4"}\n', "utf-8")
    told = output_of(capsys, "load", files[0], str(more), "--mapping", files[1], "--region", "CN-BJ")
    numbers = [re.split(r"\s*│\s*", line)[1:3] for line in told.splitlines() if "│" in line]
    counted = [[name, number] for name, number in numbers if name != "rows/s"]
    assert counted == [
        *([name, number] for name, number in zip(COUNTS, ("2", "8", "0", "0", "0", "0", "0", "0"), strict=True)),
        *([name, number] for name, number in zip(COUNTS, ("2", "4", "0", "0", "0", "1", "0", "0"), strict=True)),
    ]
    assert f"to be corrected and loaded again: {more}.rejects.ndjson" in told


def test_what_loading_would_do_is_told_without_a_store(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The settings of these tests name databases that are nowhere."""
    bad = "K-1,13800138003,17.5.1988,1\nK-4,12345,,1\nK-5,12345,,1.234\n,1,,\nK-6,13800138006,2099-01-01,1\nK-7\n"
    (tmp_path / "people.csv").write_text(PEOPLE + bad, "utf-8")
    before = sorted(tmp_path.iterdir())
    assert exit_of("load", files[0], "--mapping", files[1], "--check") == 0
    told = capsys.readouterr().out
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in told.splitlines() if "│" in line]
    assert cells == [
        ["records", "8"],
        ["with nothing wrong", "2"],
        ["CustomerRegistered", "4"],
        ["NumberActivated", "3"],
        ["AccountOpened", "5"],
        ["BalanceReported", "4"],
        ["NUMBER_INVALID", "number", "a full number, not a service's short code", "2"],
        ["ROW_INVALID", "生日", "a date written as in ISO 8601", "1"],
        ["EVENT_INVALID", "balance.value", "at most 2 digits behind the point", "1"],
        ["ROW_INVALID", "编号", "a value", "1"],
        ["EVENT_INVALID", "birthDate", "a day before the event", "1"],
        ["ROW_INVALID", "", "4 fields", "1"],
    ]
    assert not re.search("K-[0-9]|12345|1380|1988", told)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--region", "MO"), "MAPPING_INVALID: region: expected one that is served here"),
        (("--region", "XX"), "MAPPING_INVALID: region: expected one that is served here"),
        (
            ("--mapping", "nowhere"),
            "MAPPING_INVALID: nowhere: expected a file, or one of mlc_churn, orange_churn, telco",
        ),
        (
            ("--mapping", "telco_churn"),
            "MAPPING_INVALID: key[0]: expected a column of people.csv; it has no 'customerID'",
        ),
    ],
)
def test_a_check_refuses_what_loading_would(
    files: tuple[str, str], more: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_of("load", files[0], "--mapping", files[1], "--check", *more) == 1
    found = capsys.readouterr()
    assert (found.out, found.err.splitlines()[-1].startswith(told)) == ("", True)


def test_without_a_mapping_nothing_is_loaded(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    lines = error_lines(capsys, "load", files[0], code=2)
    assert any("expected a mapping; --check suggests one" in line for line in lines)


def test_a_file_that_cannot_be_loaded_holds_up_no_other(
    migrated: Settings, files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people, plan = files
    for name, content in (("one.csv", ""), ("two.csv", "a,b\n1,2\n")):
        (tmp_path / name).write_text(content)
    bad = [str(tmp_path / "one.csv"), str(tmp_path / "two.csv")]
    for more in ((), ("--check",)):
        assert exit_of("load", bad[0], people, bad[1], "--mapping", plan, *more) == 1
        told = capsys.readouterr()
        assert [line.partition(":")[0] for line in told.err.splitlines()][-2:] == ["FILE_INVALID", "MAPPING_INVALID"]
        assert Path(people).name in told.out


def test_a_suggested_mapping_is_filled_in_and_loads(
    migrated: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, plan = tmp_path / "客户 2026.csv", tmp_path / "plan.toml"
    file.write_bytes(
        "客户编号,姓名,性别,出生日期,手机号码,证件类型,证件号码,开户时间,地区,备注,余额\n"
        "K-1,陈美玲,女,1988/05/17,13800138001,身份证,440106198805170029,2026-03-05 09:30,广东,,1.5\n"
        "K-2,王小明,男,,,护照,E12345678,2026-03-06 10:00,广东,x,2\n".encode("gb18030")
    )
    told = output_of(capsys, "load", str(file), "--check")
    assert not re.search("K-[0-9]|陈美玲|13800138001|4401|广东|1988", told)
    plan.write_text(told, "utf-8")
    assert exit_of("load", str(file), "--mapping", str(plan)) == 1
    expected = "MAPPING_INVALID: region: expected one that is served here, in the mapping or as --region\n"
    assert capsys.readouterr().err == expected
    plan.write_text(told.replace("# time_zone = ...", 'time_zone = "Asia/Shanghai"'), "utf-8")
    told = output_of(capsys, "load", str(file), "--mapping", str(plan), "--region", "CN-GD")
    assert re.search(r"accepted +│ +3 ", told)
    assert re.search(r"rejected +│ +0 ", told)


def test_a_suggestion_leaves_open_what_it_cannot_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.csv"
    file.write_text("Phone No.,DOB,State,Created-At,Sex\n1,01/02/1988,KS,2026,F\n1,03/04/1990,OH,2027,F\n", "utf-8")
    told = output_of(capsys, "load", str(file), "--check")
    assert 'key = ["DOB"]' in told
    for line in (
        '# region = ...  # where the records are kept, such as HK or CN-GD. The column "State" may tell it.',
        '# at = { column = "Created-At", as = "instant", format = ... }  # it can be read in two ways, or none',
        '# birthDate = ...  # "DOB" can be read in two ways, or none',
        'subject = { number = { column = "Phone No." } }',
        'gender = { column = "Sex", table = "gender" }',
        '#   "State": text, 2 different ones',
    ):
        assert line in told.splitlines()
    [line] = error_lines(capsys, "load", str(file), "--mapping", _saved(tmp_path, told), "--region", "HK", code=1)
    assert line == "MAPPING_INVALID: saved.toml: event[0].at: expected a value, here or for all events"


def test_a_record_that_is_there_twice_hides_no_key_and_a_key_that_is_tells_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.csv"
    file.write_text("客户编号,姓名\nK-1,陈\nK-2,陈\nK-1,陈\n", "utf-8")
    assert 'key = ["客户编号"]' in output_of(capsys, "load", str(file), "--check").splitlines()
    file.write_text("客户编号,姓名\nK-1,陈\nK-2,陈\nK-1,王\n", "utf-8")
    told = (
        '# key = [...]  # the columns that tell a record from all others. Of "客户编号" some are there twice, or blank.'
    )
    assert told in output_of(capsys, "load", str(file), "--check").splitlines()


def _saved(folder: Path, text: str) -> str:
    (folder / "saved.toml").write_text(text, "utf-8")
    return str(folder / "saved.toml")


def cells_of(told: str) -> list[list[str]]:
    """The rows of a table, without its head."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in told.splitlines() if line.startswith("│")]


def test_dead_letters_are_listed_shown_sent_again_and_dropped(
    migrated: Settings,
    files: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    bad = "K-3,13800138003,17.5.1988,1\nK-4,12345,,1\n"
    (tmp_path / "people.csv").write_text(PEOPLE + bad, "utf-8")
    assert exit_of("load", *files[:1], "--mapping", files[1]) == 0
    letters = cells_of(output_of(capsys, "dead-letters", "list"))
    assert sorted(row[1:6] + row[8:] for row in letters) == [
        ["cn", "NUMBER_INVALID", "number", "a full number, not a service's short code", "people.csv", "1"],
        ["cn", "ROW_INVALID", "生日", "a date written as in ISO 8601", "people.csv", "1"],
    ]
    [number] = [row[0] for row in letters if row[2] == "NUMBER_INVALID"]
    [row] = cells_of(output_of(capsys, "dead-letters", "list", "--reason", "ROW_INVALID", "--source", "people.csv"))
    assert output_of(capsys, "dead-letters", "list", "--store", "hk").count("│") == 0
    told = output_of(capsys, "dead-letters", "list", "--first", "1")
    assert ("(the newest 1: there are more)" in told, len(cells_of(told))) == (True, 1)
    assert "there are more" not in output_of(capsys, "dead-letters", "list", "--first", "2")

    shown = json.loads(output_of(capsys, "dead-letters", "show", number, "--actor", "officer 7"))
    assert (shown["type"], shown["number"]) == ("NumberActivated", "12345")
    told = output_of(capsys, "dead-letters", "replay", row[0], "--actor", "officer 7")
    assert cells_of(told)[-1][:2] == ["MAPPING_UNKNOWN", ""]
    (tmp_path / "mended.toml").write_text(LOADED.replace('as = "date"', 'as = "date", format = "%d.%m.%Y"'), "utf-8")
    mended = ("--mapping", str(tmp_path / "mended.toml"), "--actor", "officer 7")
    told = output_of(capsys, "dead-letters", "replay", "--source", "people.csv", *mended)
    assert sorted(cells_of(told)) == [
        ["NUMBER_INVALID", "number", "a full number, not a service's short code", "1"],
        ["events accepted", "4"],
        ["events rejected", "1"],
        ["gone", "1"],
        ["letters", "2"],
    ]
    [line] = error_lines(
        capsys, "dead-letters", "drop", number, "--why", "a wrong number", "--actor", "officer 7", code=1
    )
    assert line == "REASON_INVALID: why: expected a code such as TEST_DATA"
    assert (
        output_of(capsys, "dead-letters", "drop", number, "--why", "TEST_DATA", "--actor", "officer 7") == "1 dropped\n"
    )
    assert cells_of(output_of(capsys, "dead-letters", "list")) == []
    entries = [json.loads(entry) for entry in output_of(capsys, "audit", "tail", "--store", "cn").splitlines()]
    did = [entry["did"] for entry in entries if entry.get("operation") == "dead letter"]
    assert did == ["opened", "replayed", "replayed", "went in", "dropped"]
    assert "12345" not in json.dumps([entry for entry in entries if "did" in entry])


def test_a_letter_that_is_not_there_is_told(migrated: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    absent, who = "00000000-0000-4000-8000-000000000000", ("--actor", "officer 7")
    for arguments in (("show", absent), ("replay", absent), ("drop", absent, "--why", "TEST_DATA")):
        [line] = error_lines(capsys, "dead-letters", *arguments, *who, code=1)
        assert line == f"ID_UNKNOWN: {absent}: expected the id of a dead letter"
    lines = error_lines(capsys, "dead-letters", "replay", *who, code=2)
    assert any("expected ids, or one of --reason, --source, --field" in line for line in lines)


async def asked_for(settings: Settings, kind: str, *states: str) -> str:
    """The opaque id of a request of the customer of the examples, brought through its states."""
    async with open_house(settings) as house:
        [known, *_] = await ingest(writer_of(house), [SAMPLES["CustomerRegistered"], opened(kind)], "test")
        assert known.customer_id is not None
        steps = [advanced(known.customer_id, kind, state) for state in states]
        outcomes = await ingest(writer_of(house), steps, "test")
        assert [one.code for one in outcomes] == [None] * len(states)
        request = GlobalId("PrivacyRequest", "cn", known.customer_id, row_id(known.customer_id, "privacyRequest", kind))
        return opaque_id(house.tokens, SELF, request)


def test_honey_is_marked_and_a_client_that_was_not_stopped_is_not_lifted(
    migrated: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    customer = {"customerKey": "H-1"}
    told = {"type": "CustomerRegistered", "eventId": "h", "at": "2026-01-01T00:00:00Z", "region": "HK"}

    async def register() -> None:
        async with open_house(migrated) as house:
            [outcome] = await ingest(writer_of(house), [told | {"subject": customer, "kind": "INDIVIDUAL"}], "test")
            assert outcome.code is None

    run(register())
    assert output_of(capsys, "honey", "mark", "H-1", "--region", "HK") == "marked\n"
    [line] = error_lines(capsys, "honey", "mark", "H-2", "--region", "HK", code=1)
    assert line.startswith("CUSTOMER_UNKNOWN: ")
    assert "H-2" not in line
    assert output_of(capsys, "honey", "unmark", "H-1", "--region", "HK") == "not marked any more\n"
    assert "Suspended" in output_of(capsys, "honey", "clients")
    [line] = error_lines(capsys, "honey", "lift", "shop-app", code=1)
    assert line.startswith("CLIENT_UNKNOWN: ")


def test_a_person_gets_their_data_once(migrated: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request, file = run(asked_for(migrated, "ACCESS", "VERIFIED")), tmp_path / "mine.zip"
    printed = output_of(capsys, "privacy", "export", "--request", request, str(file))
    assert printed == f"{sha256(file.read_bytes()).hexdigest()}  mine.zip\n"
    [line] = error_lines(capsys, "privacy", "export", "--request", request, str(tmp_path / "more.zip"), code=1)
    assert line.startswith("REQUEST_NOT_READY: ")
    assert not (tmp_path / "more.zip").exists()


def test_the_worker_finishes_an_erasure_and_the_certificate_is_printed(
    migrated: Settings, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = run(asked_for(migrated, "ERASURE", "VERIFIED", "IN_PROGRESS"))
    [line] = error_lines(capsys, "privacy", "certificate", "--request", request, code=1)
    assert line.startswith("CERTIFICATE_ABSENT: ")
    assert exit_of("worker", "--once") == 0
    certificate = json.loads(output_of(capsys, "privacy", "certificate", "--request", request))
    assert certificate["certificate"]["gone"] == ["SERVICE", "USAGE", "CONSENTED"]
    assert (home / "erasures" / "cn.jsonl").read_text().count("\n") == 1
    assert re.search(r"cn +│ +0", output_of(capsys, "privacy", "replay-ledger"))
    assert exit_of("worker", "--once") == 0
    assert output_of(capsys, "audit", "verify").splitlines() == [
        "cn: 1 entries in 1 chains, 0 not in the tree yet",
        "cn: a tree of 1 entries with 1 checkpoints, the newest signed by 0 of 0 witnesses",
        "hk: 0 entries in 0 chains, 0 not in the tree yet",
        "hk: a tree of 0 entries with 0 checkpoints, the newest signed by 0 of 0 witnesses",
    ]


def test_a_worker_erases_again_before_it_tells_anybody_anything(
    migrated: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(asked_for(migrated, "ERASURE", "VERIFIED", "IN_PROGRESS"))
    assert exit_of("worker", "--once") == 0

    async def forget() -> None:
        async with open_house(migrated) as house, house.stores["cn"].transaction() as connection:
            await connection.execute("UPDATE customer SET state = 'ACTIVE'")
            await connection.execute("DELETE FROM erasure")

    async def looked(stores: Iterable[Store], _: object) -> int:
        async with next(iter(stores)).read() as connection:
            assert await connection.fetchval("SELECT state FROM customer") == "ERASING"
        return 0

    run(forget())
    monkeypatch.setattr("cdp.__main__.work_once", looked)
    assert exit_of("worker", "--once") == 0


def test_retention_counts_first_and_then_deletes(migrated: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    async def tell() -> None:
        async with open_house(migrated) as house:
            old = SAMPLES["InteractionLogged"] | {"at": "2001-01-01T00:00:00Z"}
            await ingest(writer_of(house), [SAMPLES["CustomerRegistered"], old], "test")

    run(tell())
    one_row = r"cn +│ interaction +│ +1"
    for arguments in (("--dry-run",), ("--dry-run",), (), ("--store", "cn")):
        printed = output_of(capsys, "privacy", "retention", *arguments)
        assert bool(re.search(one_row, printed)) == (arguments != ("--store", "cn")), printed


# --- what officers take away ------------------------------------------------------------------------------------------

NUMBER = "+8613812345678"
REGISTERED = {"type": "CustomerRegistered", "customerKey": "C-1", "name": "=1+1", "kind": "INDIVIDUAL"}
SAID = (
    REGISTERED,
    {"type": "NumberActivated", "number": NUMBER, "simRef": "s"},
    {"type": "ConsentGiven", "purpose": "marketing", "channel": "=cmd|calc", "notice": "cn.privacy.1"},
    {"type": "ObjectionRaised", "kind": "DO_NOT_CONTACT"},
)


@pytest.fixture
def said(migrated: Settings) -> Settings:
    """A house with one customer, who said two things and was read once."""
    head = {"region": "CN-GD", "subject": {"customerKey": "C-1"}}
    events = [head | one | {"eventId": f"e{n}", "at": f"2025-01-0{n + 1}T08:00:00Z"} for n, one in enumerate(SAID)]
    source = (
        f'query @purpose(id: "service.care") {{ customer(number: "{NUMBER}") {{ formattedName consents {{ id }} }} }}'
    )

    async def live() -> None:
        async with open_house(migrated) as house:
            assert {one.status.value for one in await ingest(writer_of(house), events, "test")} == {"ACCEPTED"}
            caller = Caller("app", purposes=frozenset({"service.care"}), stores=("cn",), actor="desk")
            await front_door(house).answer(GraphqlRequest(source), caller)

    run(live())
    return migrated


def export(capsys: pytest.CaptureFixture[str], what: str, *more: str, form: str = "csv") -> str:
    return output_of(capsys, "officer", "export", "--what", what, "--actor", "DPO", "--format", form, *more)


def test_officers_take_away_what_they_ask_for(said: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    about = ("--number", NUMBER)
    timeline = list(csv.DictReader(io.StringIO(export(capsys, "timeline", *about))))
    assert [(one["source"], one["type"], one["purpose"]) for one in timeline] == [
        ("OBJECTION", "RAISED", "*"),
        ("CONSENT", "GIVEN", "marketing"),
    ]
    assert timeline[1]["channel"] == "'=cmd|calc", "what looks like a formula is none"
    lines = export(capsys, "timeline", *about, form="json").splitlines()
    assert [json.loads(line)["source"] for line in lines] == ["OBJECTION", "CONSENT"]

    since = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}"
    access = list(csv.DictReader(io.StringIO(export(capsys, "access", *about, "--from", since))))
    assert ("app", "identity.name", "ALLOW") in {(one["client"], one["category"], one["effect"]) for one in access}
    assert [one["client"] for one in access].count("cdp-officer") == 2, "what was exported before was read, too"

    processing = list(csv.DictReader(io.StringIO(export(capsys, "processing"))))
    assert {one["jurisdiction"] for one in processing} == {"CN", "HK"}
    rules = {one["rule"] for one in processing}
    assert {"cn.service", "cn.legal", "hk.original"} <= rules
    hong_kong = list(csv.DictReader(io.StringIO(export(capsys, "processing", "--region", "HK"))))
    assert hong_kong == [one for one in processing if one["jurisdiction"] == "HK"]

    transfers = list(csv.DictReader(io.StringIO(export(capsys, "transfers"))))
    assert [(one["jurisdiction"], one["id"], one["customers"], one["cap"]) for one in transfers] == [
        ("CN", "gba.cn.hk", "0", ""),
        ("HK", "gba.hk.cn", "0", ""),
    ]
    by_key = ("--key", "C-1", "--region", "CN")
    assert export(capsys, "timeline", *by_key) == export(capsys, "timeline", *about)
    [stop] = map(json.loads, export(capsys, "preview", *by_key, "--purpose", "service.care", form="json").splitlines())
    assert (stop["purpose"], stop["recipient"], stop["destination"]) == ("service.care", "SELF", "CN")
    assert stop["categories"] == ["usage.location"], "who says no is not shown the city any more"


def test_an_export_that_cannot_be_is_refused_and_written_down(
    said: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("officer", "export", "--actor", "DPO", "--what")
    assert exit_of(*command, "timeline") == 2
    assert exit_of(*command, "access", "--number", NUMBER) == 2
    assert exit_of(*command, "processing", "--number", NUMBER) == 2
    assert exit_of(*command, "transfers", "--key", "C-1") == 2
    assert exit_of(*command, "timeline", "--number", NUMBER, "--key", "C-1") == 2
    assert exit_of(*command, "preview", "--number", NUMBER) == 2
    assert exit_of(*command, "timeline", "--number", NUMBER, "--purpose", "marketing") == 2
    capsys.readouterr()
    unknown = error_lines(capsys, *command, "timeline", "--number", "+8613800000000", code=1)
    assert unknown == ["NOT_FOUND: nobody is known by this here, or it may not be read"]
    wrong = error_lines(capsys, *command, "timeline", "--number", "12", code=1)
    assert wrong[0].startswith("NUMBER_INVALID: ")
    refused = [json.loads(line) for line in output_of(capsys, "audit", "tail", "--store", "cn").splitlines()]
    assert [entry.get("refused") for entry in refused[-2:]] == [None, "NUMBER_INVALID"]


def test_a_receipt_is_checked_without_a_store(
    said: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = dict(line.split() for line in output_of(capsys, "receipt", "keys").splitlines())
    assert sorted(keys) == ["cn", "hk"]

    async def receipt() -> str:
        async with open_house(said) as house:
            caller = Caller("app", purposes=frozenset({"service.care"}), stores=("cn",), actor="desk")
            front, purpose = front_door(house), '@purpose(id: "service.care")'
            asked = f'query {purpose} {{ customer(number: "{NUMBER}") {{ consents {{ id }} }} }}'
            found = json.loads((await front.answer(GraphqlRequest(asked), caller)).body)["data"]["customer"]
            wanted = f'query {purpose} {{ consentReceipt(id: "{found["consents"][0]["id"]}") }}'
            answer = await front.answer(GraphqlRequest(wanted), caller)
            return str(json.loads(answer.body)["data"]["consentReceipt"])

    file = tmp_path / "receipt.json"
    file.write_text(run(receipt()), "utf-8")
    monkeypatch.setenv("CDP_STORES", "nonsense")
    told = json.loads(output_of(capsys, "receipt", "verify", str(file), "--key", keys["cn"]))
    assert told["record"]["pii_processing"]["purposes"][0]["purpose"] == "marketing"
    assert NUMBER not in file.read_text("utf-8")
    broken = ["SIGNATURE_BROKEN: the signature does not fit the key and what is signed"]
    assert error_lines(capsys, "receipt", "verify", str(file), "--key", keys["hk"], code=1) == broken
    file.write_text(file.read_text("utf-8").replace('"marketing"', '"insight"'), "utf-8")
    assert error_lines(capsys, "receipt", "verify", str(file), "--key", keys["cn"], code=1) == broken
    file.write_text("[1", "utf-8")
    assert error_lines(capsys, "receipt", "verify", str(file), "--key", keys["cn"], code=1) == [
        "SIGNATURE_BROKEN: not a signed receipt"
    ]
    assert exit_of("receipt", "verify", str(file), "--key", "no key") == 2
