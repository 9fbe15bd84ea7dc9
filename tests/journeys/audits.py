"""The public audit suite of GraphQL over HTTP (npm `graphql-http`), run by Node.js against a server of ours."""

import json
import subprocess
from pathlib import Path

from tests.journeys.npm import installed, program

PACKAGES = ("graphql-http@1.23.1", "graphql@16")
AUDITS = 61


def run_audits(url: str, token: str) -> list[str]:
    """Failures, one line each, of every audit that is not "ok". Raises NpmUnavailable."""
    folder = installed("cdp-graphql-http", *PACKAGES)
    script = Path(__file__).with_name("audits.mjs")
    command = [program("node"), str(script), str(folder), url, token]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    results = json.loads(done.stdout)
    assert len(results) == AUDITS
    return [f"{r['id']} {r['name']}: {r['status']}, {r.get('reason')}" for r in results if r["status"] != "ok"]
