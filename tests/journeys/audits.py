"""The public audit suite of GraphQL over HTTP (npm `graphql-http`), run by Node.js against a server of ours."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

VERSION = "1.23.1"
AUDITS = 61
FOLDER = Path(tempfile.gettempdir()) / f"cdp-graphql-http-{VERSION}"


class AuditsUnavailable(Exception):
    """Node.js, npm or the package is not to be had here; the message says which."""


def run_audits(url: str, token: str) -> list[str]:
    """Failures, one line each, of every audit that is not "ok". Raises AuditsUnavailable."""
    _install()
    script = Path(__file__).with_name("audits.mjs")
    command = [_program("node"), str(script), str(FOLDER), url, token]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    results = json.loads(done.stdout)
    assert len(results) == AUDITS
    return [f"{r['id']} {r['name']}: {r['status']}, {r.get('reason')}" for r in results if r["status"] != "ok"]


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise AuditsUnavailable(f"{name} is not installed")
    return found


def _install() -> None:
    node_modules = FOLDER / "node_modules" / "graphql-http"
    if (node_modules / "package.json").exists():
        return
    npm = _program("npm")
    FOLDER.mkdir(parents=True, exist_ok=True)
    packages = [f"graphql-http@{VERSION}", "graphql@16"]
    command = [npm, "install", "--prefix", str(FOLDER), "--ignore-scripts", "--no-audit", "--no-fund", *packages]
    try:
        subprocess.run(command, capture_output=True, timeout=120, check=True)
    except (subprocess.SubprocessError, OSError) as error:
        raise AuditsUnavailable(f"npm cannot install {packages[0]}: {type(error).__name__}") from error
