"""The evidence of the audit trail over HTTP: the tiles and checkpoints of each store's log, and the proof of an entry.

Checkpoints and tiles are for whoever watches the log: they hold hashes, sizes and signatures. A proof is for officers
and for the client that was given the answer. A partner gets none: in which store an operation was written down tells
whether anybody was found there.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from uuid import UUID

from cdp.auth import Caller, Role, bearer_token
from cdp.errors import RequestInvalid, Unavailable
from cdp.exchange import Answer
from cdp.proofs import find_entry, newest_checkpoint, prove, read_tile_path, tile
from cdp.stores import Store

TEXT: Final = "text/plain"
BYTES: Final = "application/octet-stream"
FOR_EVER: Final = ((b"cache-control", b"public, max-age=31536000, immutable"),)


class EvidenceDesk:
    """Answers what is asked below /audit/. Raises AuthError, RequestInvalid (404) and Unavailable."""

    def __init__(self, stores: Mapping[str, Store], verify: Callable[[str], Awaitable[Caller]]) -> None:
        self._stores, self._verify = stores, verify

    async def answer(self, path: str, store: str | None, authorization: str | None) -> Answer:
        """`path` is what comes after /audit/: ID/proof, STORE/checkpoint or STORE/tile/...; `store` narrows a proof."""
        first, _, rest = path.partition("/")
        if rest == "proof":
            return await self._proof(first, store, await self._verify(bearer_token(authorization)))
        if first in self._stores:
            return await self._log(self._stores[first], rest)
        raise _not_found()

    async def _log(self, store: Store, path: str) -> Answer:
        named = read_tile_path(path)
        async with store.read() as connection:
            if path == "checkpoint" and (note := await newest_checkpoint(connection)) is not None:
                return Answer(200, note.encode(), media_type=TEXT)
            if named is not None and (hashes := await tile(connection, *named)) is not None:
                return Answer(200, hashes, FOR_EVER, BYTES)
        raise _not_found()

    async def _proof(self, audit_id: str, store: str | None, caller: Caller) -> Answer:
        for name in caller.stores:
            if name not in self._stores or caller.partner or store not in (None, name):
                continue
            async with self._stores[name].read() as connection:
                found = await find_entry(connection, _id(audit_id))
                if found is None or (caller.role != Role.OFFICER and found.client != caller.client):
                    continue
                proof = await prove(connection, found)
            if proof is None:
                raise Unavailable("the entry has no place in the tree yet")
            return Answer(200, proof.encode(), media_type=TEXT)
        raise _not_found()


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise _not_found() from None


def _not_found() -> RequestInvalid:
    return RequestInvalid("NOT_FOUND", "There is no such evidence, or it is not for this caller.", 404)
