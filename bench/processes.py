"""Contestants as processes: started, waited for, measured, ended by their ids."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

__all__ = ["BenchFailed", "Launch", "cpu_seconds", "free_ports", "run_quietly", "running", "wait_ready"]

START_SECONDS: Final = 60
STOP_SECONDS: Final = 10
LOG_LINES: Final = 15


class BenchFailed(Exception):
    """Something the benchmark needs did not work; the text says what and where to look."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a process is started; `environment` is added to ours."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path


def free_ports(count: int) -> list[int]:
    """So many different ports on the loopback address that nobody listens on now."""
    with ExitStack() as holding:
        held = [holding.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [listening.getsockname()[1] for listening in held]


@contextmanager
def running(launch: Launch, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The process while the block runs; it and what it started are ended with the block."""
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches the benchmark alone, which then ends everybody in order.
        started = subprocess.Popen(
            launch.command,
            cwd=launch.folder,
            env=os.environ | launch.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield started
    finally:
        _end(started)


def wait_ready(started: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Returns when the process listens on the port; BenchFailed with the end of its log when it does not."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and started.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise BenchFailed(f"it did not start; {log} ends with:\n{_tail(log)}")


def _end(started: "subprocess.Popen[bytes]") -> None:
    """Ends a process and what it started; one that does not end when asked is killed."""
    family: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(started.pid).children(recursive=True)
    with suppress(ProcessLookupError):
        started.terminate()
    try:
        started.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        started.kill()
        started.wait()
    _, left = psutil.wait_procs(family, 0.5)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def run_quietly(launch: Launch, log: Path) -> str:
    """Runs a program to its end and returns what it printed; BenchFailed with the end of its complaints."""
    with log.open("wb") as complaints:
        done = subprocess.run(
            launch.command,
            cwd=launch.folder,
            env=os.environ | launch.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            check=False,
        )
    if done.returncode:
        raise BenchFailed(f"{' '.join(launch.command[:4])} failed; {log} ends with:\n{_tail(log)}")
    return done.stdout.decode()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])


def cpu_seconds(root: psutil.Process) -> float:
    """CPU time of a process and all it ever started; one that ended is in its parent's account."""
    spent = 0.0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            spent += times.user + times.system + times.children_user + times.children_system
    return spent
