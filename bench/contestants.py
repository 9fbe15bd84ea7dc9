"""Who takes part, how each is started, and what each does not do."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bench.operations import Dialect, Operation
from bench.peer import Peer
from bench.processes import Launch
from bench.world import CHECKOUT, Stage, cdp_launch

__all__ = ["BARE", "CONTESTANTS", "FLOOR", "OURS", "PEERS", "STRIPPED", "Contestant"]

Start = Callable[[Stage, Peer | None, int], Launch]

FLOOR: Final = "floor"
OURS: Final = "cdp"
BARE: Final = "cdp-no-privacy"
"""Ours without what protects: nothing opened, decided or written down."""
PEERS: Final = ("postgraphile", "strawberry", "strawberry-uncached")


@dataclass(frozen=True, slots=True)
class Contestant:
    """One server. `sealed` is True where sealed cells come back as they are (or not at all)."""

    name: str
    dialect: Dialect
    start: Start
    note: str
    sealed: bool = True

    def url(self, port: int, operation: Operation) -> str:
        """Where an operation is asked."""
        place = operation.value if self.dialect is Dialect.FLOOR else "graphql"
        slash = "/" if self.dialect is Dialect.STOCK else ""
        return f"http://127.0.0.1:{port}/{place}{slash}"


def _python(module: str, **environment: str) -> Start:
    def start(stage: Stage, _: Peer | None, port: int) -> Launch:
        stores: Mapping[str, str] = {f"BENCH_{name.upper()}": url for name, url in stage.urls.items()}
        told = {"BENCH_PORT": str(port), "PYTHONPATH": str(CHECKOUT), "BENCH_WORKERS": str(stage.workers)}
        told |= {**stores, **environment}
        return Launch([sys.executable, "-m", module], told, CHECKOUT)

    return start


def _postgraphile(stage: Stage, peer: Peer | None, port: int) -> Launch:
    assert peer is not None, "who takes part was prepared"
    return peer.launch(stage.urls["cn"], port, stage.workers)


def _served(stage: Stage, _: Peer | None, port: int) -> Launch:
    return cdp_launch(stage.home, "serve", "--port", str(port), "--workers", str(stage.workers))


def _stripped(parts: str) -> Start:
    def start(stage: Stage, peer: Peer | None, port: int) -> Launch:
        served = _served(stage, peer, port)
        command = [sys.executable, "-m", "bench.stripped", parts, *served.command[3:]]
        return Launch(command, served.environment, served.folder)

    return start


def _without(name: str, parts: str, note: str, *, sealed: bool = False) -> Contestant:
    return Contestant(name, Dialect.CDP, _stripped(parts), note, sealed)


CONTESTANTS: Final[Mapping[str, Contestant]] = {
    one.name: one
    for one in (
        Contestant(
            FLOOR,
            Dialect.FLOOR,
            _python("bench.floor"),
            "one prepared statement, finished JSON; no token, no GraphQL, nothing opened, no consent, no audit",
        ),
        Contestant(
            "postgraphile",
            Dialect.POSTGRAPHILE,
            _postgraphile,
            "PostGraphile 5 on the same tables; sealed bytes as they are, no token, no consent, no audit",
        ),
        Contestant(
            "strawberry",
            Dialect.STOCK,
            _python("bench.stock", BENCH_CACHED="1"),
            "resolvers and DataLoaders, ParserCache and ValidationCache; sealed bytes, no token, no consent, no audit",
        ),
        Contestant(OURS, Dialect.CDP, _served, "everything on: token, limits, cells opened, consent, audit", False),
        Contestant(
            "strawberry-uncached",
            Dialect.STOCK,
            _python("bench.stock"),
            "the same without its caches: each document parsed and validated each time",
        ),
        _without("cdp-no-audit", "audit", "nothing written down"),
        _without("cdp-no-consent", "consent", "everything allowed, facts neither fetched nor looked at"),
        _without("cdp-no-sealing", "sealing", "a constant instead of each cell, no data keys", sealed=True),
        _without(BARE, "audit,consent,sealing", "the same plan without all three", sealed=True),
    )
}
"""In the order in which they are measured within a round."""

STRIPPED: Final = tuple(name for name in CONTESTANTS if name.startswith("cdp-"))
