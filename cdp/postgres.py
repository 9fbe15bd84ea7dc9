"""One PostgreSQL server in one folder, run by one system account: make it, start it, find it running, end it.

The folder, called the seat, holds the data, the password, the log and, unless its path is too long, the socket.
"""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from urllib.parse import quote as url_quote

import psutil

from cdp.errors import EmbeddedUnavailable

ROLE = "cdp"
PORT = 5432  # only a part of the socket's file name
READY_SECONDS = 60
LOG_LINES = 12
SOCKET_PATH_BYTES = 100  # macOS allows 103, Linux 107

STILL_DYING = ("still in use", '"postmaster.pid" already exists')

MISSING_DATABASES = r"""
SELECT format('CREATE DATABASE %I', name) FROM unnest(string_to_array(:'names', ',')) AS name
WHERE name NOT IN (SELECT datname FROM pg_database) \gexec
"""

SERVER_SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "jit": "off",
    "timezone": "UTC",
    # The log must not repeat what was written: no statement texts, no key values in DETAIL lines, no parameters. Those
    # are sealed, but a wrapped key in a log would outlive the erasure of whom it is for.
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


@dataclass(frozen=True, slots=True)
class Account:
    """The system account PostgreSQL runs as."""

    uid: int
    gid: int

    @property
    def is_ours(self) -> bool:
        """Whether this process runs as the account already."""
        return os.geteuid() == self.uid

    def can_enter(self, folder: Path) -> bool:
        """Whether the permission bits let the account pass through `folder` and all its parents."""
        return self.is_ours or all(self._passes(path.stat()) for path in (folder, *folder.parents))

    def _passes(self, found: os.stat_result) -> bool:
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid == self.gid else 0
        return bool(found.st_mode >> shift & 1)

    def take(self, path: Path) -> None:
        """Makes the account the owner of `path`."""
        if not self.is_ours:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def run(self, seat: Path, command: Sequence[str | Path], script: str = "", password: str = "") -> None:
        """Runs a program as the account in its seat, `script` as its input; CalledProcessError has what it printed."""
        subprocess.run(
            command,
            input=script,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=seat,
            # Nothing of ours: PGHOST, PGOPTIONS and the like would lead astray.
            env={"LC_ALL": "C", "PATH": os.defpath, "PGPASSWORD": password},
            timeout=READY_SECONDS + 30,
            check=True,
            user=None if self.is_ours else self.uid,
            group=None if self.is_ours else self.gid,
            extra_groups=None if self.is_ours else (),
        )


@dataclass(frozen=True, slots=True)
class Seat:
    """One server: its folder, the account that owns it, the programs that run it. Not safe for two callers at once."""

    folder: Path
    account: Account
    programs: Path

    @property
    def data(self) -> Path:
        """The database cluster."""
        return self.folder / "data"

    def create(self) -> None:
        """Makes the cluster under another name first: one that was interrupted is never taken for a whole one."""
        password, unfinished = self.folder / "password", self.folder / "data.unfinished"
        if not password.exists():
            handle = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(handle, secrets.token_urlsafe(24).encode())
            os.close(handle)
            self.account.take(password)
        shutil.rmtree(unfinished, ignore_errors=True)
        access = ("-U", ROLE, f"--pwfile={password}", "--auth=scram-sha-256")
        self._run("initdb", "-D", str(unfinished), *access, "--encoding=UTF8", "--no-locale")
        unfinished.rename(self.data)

    def launch(self) -> Path:
        """Starts the server and returns the folder of its socket; EmbeddedUnavailable with the end of its log."""
        folder = self._socket_folder()
        settings = SERVER_SETTINGS | {"unix_socket_directories": str(folder)}
        options = " ".join(f"-c {quote(f'{name}={value}')}" for name, value in settings.items())
        until = time.monotonic() + READY_SECONDS / 4
        while True:
            _forget_dead_server(self.data / "postmaster.pid", folder)
            try:
                self._run("pg_ctl", "start", "-w", "-D", str(self.data), "-l", str(self.folder / "log"), "-o", options)
            except subprocess.CalledProcessError:
                tail = self._log_tail()
            else:
                return folder
            # A killed server and its children need a moment to be gone and let go of the memory they share.
            if not any(sign in tail for sign in STILL_DYING) or time.monotonic() > until:
                raise EmbeddedUnavailable(f"PostgreSQL could not start in {self.folder}; its log ends with:\n{tail}")
            time.sleep(0.2)

    def running(self) -> Path | None:
        """The socket folder of the running server, once it is ready; None when there is none."""
        pid_file = self.data / "postmaster.pid"
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            # Lines: process, data folder, start time, port, socket folder, listen address, shared memory, state.
            lines = pid_file.read_text().splitlines() if pid_file.exists() else []
            if len(lines) < 5 or not _listens(Path(lines[4])):
                return None
            if lines[-1].strip() == "ready":
                return Path(lines[4])
            time.sleep(0.05)
        raise EmbeddedUnavailable(f"PostgreSQL in {self.folder} is not ready after {READY_SECONDS} s")

    def halt(self, socket_folder: Path) -> None:
        """Ends the running server; its clients are disconnected."""
        self._run("pg_ctl", "stop", "-w", "-m", "fast", "-D", str(self.data))
        if socket_folder.parent != self.folder:
            shutil.rmtree(socket_folder, ignore_errors=True)

    def _socket_folder(self) -> Path:
        folder = self.folder / "socket"
        # asyncpg splits a host at commas, and the kernel's limit is short.
        if "," in str(folder) or len(os.fsencode(_socket(folder))) > SOCKET_PATH_BYTES:
            folder = Path(tempfile.mkdtemp(prefix="cdp-", dir="/tmp"))
        else:
            folder.mkdir(mode=0o700, exist_ok=True)
        self.account.take(folder)
        return folder

    def _password(self) -> str:
        return (self.folder / "password").read_text()

    def _log_tail(self) -> str:
        log = self.folder / "log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else ["(nothing)"]
        return "\n".join(lines[-LOG_LINES:])

    def _run(self, name: str, *arguments: str) -> None:
        self.account.run(self.folder, (self.programs / name, *arguments))

    def create_databases(self, socket_folder: Path, names: Sequence[str]) -> None:
        """Makes those of the databases that are missing; `names` hold no comma."""
        where = ("-h", socket_folder, "-p", str(PORT), "-U", ROLE, "-d", "postgres")
        how = ("-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", f"names={','.join(names)}")
        self.account.run(
            self.folder, (self.programs / "psql", *where, *how), script=MISSING_DATABASES, password=self._password()
        )

    def url(self, socket_folder: Path, database: str) -> str:
        """Where and as whom to connect; holds the password."""
        folder = url_quote(str(socket_folder), safe="")
        return f"postgresql://{ROLE}:{self._password()}@/{database}?host={folder}&port={PORT}"


def _socket(folder: Path) -> Path:
    return folder / f".s.PGSQL.{PORT}"


def _listens(folder: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(_socket(folder))) == 0


def _forget_dead_server(pid_file: Path, socket_folder: Path) -> None:
    """Removes the traces of a killed server; its process number may belong to a stranger by now."""
    lines = pid_file.read_text().splitlines() if pid_file.exists() else []
    if lines and not _is_postgres(int(lines[0])):
        pid_file.unlink()
        _socket(socket_folder).with_name(f"{_socket(socket_folder).name}.lock").unlink(missing_ok=True)


def _is_postgres(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        # A zombie is dead: it only waits for a parent to ask, and in a container nobody may ever do.
        return "postgres" in str(process.name()) and bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
