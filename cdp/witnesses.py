"""The witnesses of a store's log: asked to sign each newest checkpoint, so that nobody can be shown another log.

What a witness is sent holds hashes, sizes and signatures. One that does not answer, or says no, is left alone for a
while; the log goes on, and its checkpoints stand without that signature.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import structlog

from cdp.proofs import prove_growth
from cdp.sequencer import NEWEST
from cdp.settings import Settings
from cdp.stores import Store
from privacy.errors import PrivacyError
from privacy.notes import NoteKey, asked_for, checkpoint_of, signed_by

ANSWER_SECONDS: Final = 5.0
ANSWER_BYTES: Final = 8192
PAUSE_SECONDS: Final = 10.0

# Of two processes that asked the same witness, one keeps its line.
KEEP_LINE = """
UPDATE audit_checkpoint SET signed = signed || $2, cosigned = cosigned + 1
WHERE bucket = 0 AND size = $1 AND position($3 IN signed) = 0
"""

log = structlog.get_logger()


@dataclass
class Witness:
    """A witness as a log knows it: where it is asked, its key, and for each store the size it signed last."""

    url: str
    key: NoteKey
    seen: dict[str, int] = field(default_factory=dict)
    quiet_until: float = 0.0


def witnesses_of(settings: Settings) -> list[Witness]:
    """The witnesses of the settings, none of them asked yet."""
    return [Witness(one.url.rstrip("/"), NoteKey.read(one.key)) for one in settings.witnesses.values()]


async def ask_witnesses(store: Store, witnesses: list[Witness]) -> int:
    """Asks whoever has not signed the newest checkpoint; how many signed it now."""
    async with store.read() as connection:
        newest = await connection.fetchrow(NEWEST)
    if newest is None:
        return 0
    signed = signed_by(newest["signed"], [witness.key for witness in witnesses])
    missing = [one for one in witnesses if one.key.name not in signed and time.monotonic() >= one.quiet_until]
    lines = await asyncio.gather(*(_line(store, one, newest["size"], newest["signed"]) for one in missing))
    kept = 0
    for witness, line in zip(missing, lines, strict=True):
        if line is None:
            witness.quiet_until = time.monotonic() + PAUSE_SECONDS
            continue
        async with store.transaction() as connection:
            status = await connection.execute(KEEP_LINE, newest["size"], line, f"\n— {witness.key.name} ")
        kept += int(status.removeprefix("UPDATE "))
    return kept


async def _line(store: Store, witness: Witness, size: int, note: str) -> str | None:
    """The signature of one witness as a line, or None where it gives none."""
    body = checkpoint_of(note).body
    try:
        status, told = await _ask(store, witness, size, note)
        if status == 409 and told.strip().isdecimal():
            witness.seen[store.name] = int(told)
            status, told = await _ask(store, witness, size, note) if int(told) <= size else (409, "larger")
        lines = told.splitlines(keepends=True) if status == 200 else []
        if signed := [line for line in lines if signed_by(f"{body}\n{line}", [witness.key])]:
            witness.seen[store.name] = size
            return signed[0]
        # A witness that has seen more, or something else, has seen another log: somebody must look.
        log.error("witness did not sign", store=store.name, witness=witness.key.name, status=status)
    except (OSError, ValueError, PrivacyError) as failed:
        log.warning("witness not asked", store=store.name, witness=witness.key.name, error=type(failed).__name__)
    return None


async def _ask(store: Store, witness: Witness, size: int, note: str) -> tuple[int, str]:
    old = min(witness.seen.get(store.name, 0), size)
    async with store.read() as connection:
        proof = await prove_growth(connection, old, size)
    return await asyncio.to_thread(_post, f"{witness.url}/add-checkpoint", asked_for(old, proof, note).encode())


def _post(url: str, body: bytes) -> tuple[int, str]:
    """Status and text of the answer; raises OSError where there is none."""
    request = Request(url, body, {"content-type": "text/plain; charset=utf-8"})  # noqa: S310 - the settings take http(s) only
    try:
        with urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - as above
            return answer.status, answer.read(ANSWER_BYTES).decode()
    except HTTPError as refused:
        with refused:
            return refused.code, refused.read(ANSWER_BYTES).decode(errors="replace")
