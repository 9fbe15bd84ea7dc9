"""The SDKs of Segment and RudderStack, as they are published, each in a process of its own."""

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from tests.journeys.npm import NpmUnavailable, installed, program

NODE = ("@segment/analytics-node@3.1.0", "@rudderstack/rudder-sdk-node@3.0.13")
HERE = Path(__file__).parent


def _python(module: str, script: str) -> list[str]:
    if find_spec(module) is None:
        raise NpmUnavailable(f"{module} is not installed")
    return [sys.executable, str(HERE / script)]


def _node() -> list[str]:
    return [program("node"), str(HERE / "sdk_node.mjs"), str(installed("cdp-sdks", *NODE))]


SDKS: dict[str, Callable[[str, str], list[str]]] = {
    "segment for Python": lambda url, key: [*_python("segment", "sdk_segment.py"), url, key],
    "rudderstack for Python": lambda url, key: [*_python("rudderstack", "sdk_rudder.py"), url, key],
    "segment for Node": lambda url, key: [*_node(), url, key, "segment"],
    "rudderstack for Node": lambda url, key: [*_node(), url, key, "rudder"],
}


def say(sdk: str, url: str, key: str) -> None:
    """Has an SDK say what its script says; raises AssertionError where it could not, NpmUnavailable without it."""
    done = subprocess.run(SDKS[sdk](url, key), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
