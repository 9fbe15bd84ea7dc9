"""Witnesses: one signs what continues what it saw and nothing else; a log asks several, and goes on without them."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.app import witness_app
from cdp.audit import AuditTrail
from cdp.errors import SettingsInvalid
from cdp.proofs import newest_checkpoint
from cdp.sequencer import extend_tree, log_key
from cdp.serving import listen, url_of
from cdp.stores import Store, Stores
from cdp.witness import Told, Witness
from cdp.witnesses import Witness as Asked
from cdp.witnesses import ask_witnesses
from privacy.keys import LENGTHS, KeyRing, LogSigner
from privacy.log import leaf_hash
from privacy.notes import asked_for, checkpoint_note, note_key, signed_by
from privacy.tree import consistency, grown, hash_of

LOG = LogSigner(bytes(31) + b"\1")
LOG_KEY = note_key("log", LOG)
LEAVES = [leaf_hash(bytes([n])) for n in range(40)]
FORKED = [*LEAVES[:3], *reversed(LEAVES[3:])]


def note(size: int, leaves: list[bytes] = LEAVES, origin: str = "log") -> str:
    return checkpoint_note(origin, size, hash_of(grown({}, 0, b"".join(leaves[:size])), (0, size)), LOG)


def asked(old: int, size: int, leaves: list[bytes] = LEAVES, origin: str = "log") -> bytes:
    kept = grown({}, 0, b"".join(leaves[:size]))
    proof = [hash_of(kept, one) for one in consistency(min(old, size), size)]
    return asked_for(old, proof, note(size, leaves, origin)).encode()


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(tmp_path / "w1", "witness.example/w1", [LOG_KEY])


def seen(folder: Path) -> object:
    return json.loads((folder / "seen.json").read_text())["log"][0]


def test_a_checkpoint_that_continues_the_last_one_is_signed_and_remembered(witness: Witness, tmp_path: Path) -> None:
    for old, size in ((0, 1), (1, 5), (5, 5), (5, 40)):
        told = witness.add_checkpoint(asked(old, size))
        assert told.status == 200
        assert signed_by(note(size) + told.body, [witness.key]) == {"witness.example/w1"}
        assert seen(tmp_path / "w1") == size
    again = Witness(tmp_path / "w1", "witness.example/w1", [LOG_KEY])
    assert again.key == witness.key
    assert again.add_checkpoint(asked(5, 40)) == Told(409, "40\n", "text/x.tlog.size")


REFUSED = {
    "an older size": (asked(3, 10), 409),
    "a smaller tree": (asked(3, 5), 409),
    "smaller than what it continues": (asked(7, 5), 400),
    "another tree of that size": (asked(7, 7, FORKED), 409),
    "a fork": (asked(7, 12, FORKED), 422),
    "no proof": (asked_for(7, [], note(12)).encode(), 422),
    "another log": (asked(0, 5, origin="other"), 404),
    "not signed": (asked(7, 12).replace(b"log A", b"log B").replace(b"\xe2\x80\x94 log", b"\xe2\x80\x94 gol"), 403),
    "no request": (b"old 7", 400),
    "no text": (b"\xff", 400),
    "nothing": (b"", 400),
}


@pytest.mark.parametrize(("body", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_continue_it_is_not_signed(body: bytes, status: int, witness: Witness, tmp_path: Path) -> None:
    assert witness.add_checkpoint(asked(0, 7)).status == 200
    told = witness.add_checkpoint(body)
    assert told.status == status
    assert "—" not in told.body
    assert seen(tmp_path / "w1") == 7
    assert witness.add_checkpoint(asked(7, 12)).status == 200


@given(sizes=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40), st.booleans()), max_size=12))
def test_whatever_it_is_asked_it_signs_one_history(
    sizes: list[tuple[int, int, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    witness = Witness(tmp_path_factory.mktemp("w"), "w", [LOG_KEY])
    signed = [(0, True)]
    for old, size, fork in sizes:
        if witness.add_checkpoint(asked(old, size, FORKED if fork else LEAVES)).status == 200:
            signed.append((size, size <= 3 or not fork))
    assert [size for size, _ in signed] == sorted(size for size, _ in signed)
    # Up to three entries both histories are the same; beyond, one was chosen.
    assert len({side for size, side in signed if size > 4}) < 2


def test_two_that_continue_the_same_size_at_once_are_not_both_signed(tmp_path: Path) -> None:
    first, second = (Witness(tmp_path, "w", [LOG_KEY]) for _ in range(2))
    assert first.add_checkpoint(asked(0, 7)).status == 200

    async def both() -> list[Told]:
        bodies = (asked(7, 12), asked(7, 12, FORKED), asked(7, 20), asked(7, 9))
        each = zip((first, second) * 2, bodies, strict=True)
        return list(await asyncio.gather(*(asyncio.to_thread(one.add_checkpoint, body) for one, body in each)))

    assert sorted(told.status for told in asyncio.run(both())).count(200) == 1


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    Witness(tmp_path, "w", [LOG_KEY])
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(SettingsInvalid, match="0600"):
        Witness(tmp_path, "w", [LOG_KEY])


async def test_it_answers_over_http(witness: Witness) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(witness_app(witness)), base_url="http://w") as http:
        answer = await http.post("/add-checkpoint", content=asked(0, 7))
        assert (answer.status_code, answer.text.startswith("— witness.example/w1 ")) == (200, True)
        answer = await http.post("/add-checkpoint", content=asked(3, 10))
        assert (answer.status_code, answer.headers["content-type"], answer.text) == (409, "text/x.tlog.size", "7\n")
        assert (await http.post("/add-checkpoint", content=b"x" * 70_000)).status_code == 413
        assert (await http.get("/add-checkpoint")).status_code == 405


# --- a log and its witnesses ------------------------------------------------------------------------------------------


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing("cdp", "cn", [(kind, 1, bytes(range(length))) for kind, length in LENGTHS.items()])


@pytest.fixture
async def trail(stores: Stores, ring: KeyRing) -> AsyncIterator[AuditTrail]:
    trail = AuditTrail(stores["cn"], ring)
    trail.start()
    yield trail
    await trail.close()


@contextmanager
def witnessing(folder: Path, name: str, ring: KeyRing) -> Iterator[Asked]:
    """A witness that listens, as a log knows it."""
    witness = Witness(folder / name, name, [log_key(ring)])

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = witness.add_checkpoint(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(told.status)
            self.end_headers()
            self.wfile.write(told.body.encode())

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        Thread(target=server.serve_forever).start()
        yield Asked(f"http://127.0.0.1:{server.server_port}", witness.key)
        server.shutdown()


async def signers(store: Store, *witnesses: Asked) -> set[str]:
    async with store.read() as connection:
        newest = await newest_checkpoint(connection)
        rows = await connection.fetch("SELECT signed, cosigned FROM audit_checkpoint ORDER BY size DESC LIMIT 1")
    assert newest is not None
    found = signed_by(newest, [one.key for one in witnesses])
    assert rows[0]["cosigned"] == len(found)
    return found


async def test_two_witnesses_sign_each_newest_checkpoint(
    trail: AuditTrail, stores: Stores, ring: KeyRing, tmp_path: Path
) -> None:
    store = stores["cn"]
    with witnessing(tmp_path, "w1", ring) as first, witnessing(tmp_path, "w2", ring) as second:
        both = [first, second]
        assert await ask_witnesses(store, both) == 0
        for _ in range(3):
            await trail.record({"client": "app"})
            await extend_tree(store, ring)
            assert await ask_witnesses(store, both) == 2
            assert await signers(store, *both) == {"w1", "w2"}
            assert await ask_witnesses(store, both) == 0
        # A process that knows nothing of before asks, is told the size, and goes on from there.
        await trail.record({"client": "app"})
        await extend_tree(store, ring)
        anew = [Asked(one.url, one.key) for one in both]
        assert await ask_witnesses(store, anew) == 2
        assert [one.seen for one in anew] == [{"cn": 4}, {"cn": 4}]


async def test_two_processes_that_ask_at_once_keep_one_signature_of_each(
    trail: AuditTrail, stores: Stores, ring: KeyRing, tmp_path: Path
) -> None:
    store = stores["cn"]
    with witnessing(tmp_path, "w1", ring) as witness:
        await trail.record({"client": "app"})
        await extend_tree(store, ring)
        kept = await asyncio.gather(*(ask_witnesses(store, [Asked(witness.url, witness.key)]) for _ in range(3)))
        assert sum(kept) == 1
        assert await signers(store, witness) == {"w1"}


async def test_a_witness_that_is_down_holds_up_nothing_and_is_left_alone_for_a_while(
    trail: AuditTrail, stores: Stores, ring: KeyRing, tmp_path: Path
) -> None:
    store = stores["cn"]
    listening = listen("127.0.0.1", 0)
    down = Asked(url_of(listening), note_key("down", LogSigner(bytes(32)), 4))
    listening.close()
    with witnessing(tmp_path, "w1", ring) as up:
        for _ in range(2):
            await trail.record({"client": "app"})
            assert await extend_tree(store, ring) == 1
            assert await ask_witnesses(store, [down, up]) == 1
            assert await signers(store, down, up) == {"w1"}
    assert down.quiet_until > 0


async def test_a_log_that_was_set_back_gets_no_signature(
    trail: AuditTrail, stores: Stores, ring: KeyRing, tmp_path: Path
) -> None:
    store = stores["cn"]
    with witnessing(tmp_path, "w1", ring) as witness:
        for _ in range(2):
            await trail.record({"client": "app"})
            await extend_tree(store, ring)
            await ask_witnesses(store, [witness])
        async with store.transaction() as connection:
            for table in (
                "audit_entry",
                "audit_segment",
                "audit_checkpoint",
                "audit_tile",
                "audit_chain",
                "audit_tree",
            ):
                await connection.execute(f"DELETE FROM {table}")
        other = AuditTrail(store, ring)
        other.start()
        for _ in range(3):
            await other.record({"client": "another history"})
            await extend_tree(store, ring)
            witness.quiet_until = 0.0
            assert await ask_witnesses(store, [witness]) == 0
            assert await ask_witnesses(store, [Asked(witness.url, witness.key)]) == 0
            assert await signers(store, witness) == set()
        await other.close()
