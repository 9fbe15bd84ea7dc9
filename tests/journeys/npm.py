"""Packages of npm for tests, installed once into a folder that stays; absent where there is no Node.js or npm."""

import fcntl
import shutil
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path


class NpmUnavailable(Exception):
    """Something is not to be had here; the message says what."""


def program(name: str) -> str:
    """Where a program is. Raises NpmUnavailable."""
    if (found := shutil.which(name)) is None:
        raise NpmUnavailable(f"{name} is not installed")
    return found


def installed(name: str, *packages: str) -> Path:
    """A folder with these packages. Raises NpmUnavailable."""
    folder = Path(tempfile.gettempdir(), f"{name}-{sha256(' '.join(packages).encode()).hexdigest()[:12]}")
    npm = program("npm")
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", *packages]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "whole").exists():
            try:
                subprocess.run(command, capture_output=True, timeout=120, check=True)
            except (subprocess.SubprocessError, OSError) as error:
                raise NpmUnavailable(f"npm cannot install {packages[0]}: {type(error).__name__}") from error
            (folder / "whole").touch()
    return folder
