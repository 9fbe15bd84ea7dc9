"""The tree over the trail: every entry gets one place, whatever is killed or comes late, and every change is found."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from cdp.audit import TRAIL_BLANKS, AuditTrail
from cdp.audited import decoded, verify
from cdp.proofs import find_entry, newest_checkpoint, prove, prove_growth, tile
from cdp.replay import Replay, compare_chains, replay
from cdp.sequencer import extend_tree, log_key
from cdp.stores import Store, Stores
from privacy.keys import LENGTHS, KeyRing
from privacy.log import START, Form, canonical, chain, leaf_hash
from privacy.notes import checkpoint_of, read_proof, signed_by
from privacy.tree import check_consistency, check_inclusion

ENTRY = {"client": "shop-app", "purpose": "service.care"}


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing("cdp", "cn", [(kind, 1, bytes(range(length))) for kind, length in LENGTHS.items()])


@pytest.fixture
async def trail(stores: Stores, ring: KeyRing) -> AsyncIterator[AuditTrail]:
    trail = AuditTrail(stores["cn"], ring)
    trail.start()
    yield trail
    await trail.close()


async def record(trail: AuditTrail, count: int) -> list[UUID]:
    return list(await asyncio.gather(*(trail.record({**ENTRY, "number": number}) for number in range(count))))


async def gone_over(store: Store, ring: KeyRing, kept: Sequence[str] = ()) -> tuple[Replay, int]:
    """The tree gone over, and how many entries wait."""
    async with store.read() as connection:
        done = await replay(connection, log_key(ring), kept=kept)
        return done, await compare_chains(connection, done, (await verify(connection)).lengths)


async def checkpoint(store: Store) -> str:
    async with store.read() as connection:
        note = await newest_checkpoint(connection)
    assert note is not None
    return note


async def count(store: Store, table: str) -> int:
    async with store.read() as connection:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))


async def test_an_entry_gets_its_place_and_a_signed_checkpoint(
    trail: AuditTrail, stores: Stores, ring: KeyRing
) -> None:
    assert await extend_tree(stores["cn"], ring) == 0
    assert await count(stores["cn"], "audit_checkpoint") == 0
    [entry_id] = await record(trail, 1)
    assert await extend_tree(stores["cn"], ring) == 1
    assert await extend_tree(stores["cn"], ring) == 0
    note = await checkpoint(stores["cn"])
    async with stores["cn"].read() as connection:
        found = await find_entry(connection, entry_id)
    assert found is not None
    assert found.place == 0
    said = checkpoint_of(note)
    assert (said.origin, said.size, said.root) == ("cdp/audit/cn", 1, leaf_hash(found.leaf))
    assert signed_by(note, [log_key(ring)]) == {"cdp/audit/cn"}
    assert await count(stores["hk"], "audit_checkpoint") == 0


async def test_every_entry_has_a_proof_that_verifies(trail: AuditTrail, stores: Stores, ring: KeyRing) -> None:
    ids = []
    for size in (3, 300, 1, 256, 40):
        ids += await record(trail, size)
        assert await extend_tree(stores["cn"], ring) == size
    places = set()
    async with stores["cn"].read() as connection:
        for entry_id in ids:
            found = await find_entry(connection, entry_id)
            assert found is not None
            text = await prove(connection, found)
            assert text is not None
            index, proof, note = read_proof(text)
            assert signed_by(note, [log_key(ring)])
            said = checkpoint_of(note)
            check_inclusion(leaf_hash(found.leaf), index, said.size, proof, said.root)
            places.add(index)
    assert places == set(range(600))
    assert (await gone_over(stores["cn"], ring))[0].problems == []


async def test_every_checkpoint_grows_from_those_before(trail: AuditTrail, stores: Stores, ring: KeyRing) -> None:
    notes = []
    for size in (1, 2, 255, 300, 7):
        await record(trail, size)
        await extend_tree(stores["cn"], ring)
        notes.append(checkpoint_of(await checkpoint(stores["cn"])))
    async with stores["cn"].read() as connection:
        for old in notes:
            for new in notes[notes.index(old) :]:
                proof = await prove_growth(connection, old.size, new.size)
                check_consistency((old.size, old.root), (new.size, new.root), proof)


async def test_entries_without_a_place_have_no_proof_yet(trail: AuditTrail, stores: Stores, ring: KeyRing) -> None:
    await record(trail, 2)
    await extend_tree(stores["cn"], ring)
    [late] = await record(trail, 1)
    async with stores["cn"].read() as connection:
        found = await find_entry(connection, late)
        assert found is not None
        assert (found.place, await prove(connection, found)) == (None, None)
        assert await find_entry(connection, uuid4()) is None
        assert await tile(connection, 0, 0, 3) is None
        assert await tile(connection, 0, 1) is None
    assert (await gone_over(stores["cn"], ring))[1] == 1


async def test_an_entry_that_is_committed_late_is_late_in_the_tree_and_not_missing(
    stores: Stores, ring: KeyRing, store_urls: dict[str, str]
) -> None:
    """Of two workers the one that began first commits last, while the tree grows in between."""
    trails = [AuditTrail(stores["cn"], ring) for _ in range(2)]
    for trail in trails:
        trail.start()
    await trails[0].record(ENTRY)
    held = await asyncpg.connect(store_urls["cn"])
    transaction = held.transaction()
    await transaction.start()
    worker = trails[0]._worker
    await held.execute(
        "INSERT INTO audit_entry SELECT bucket, $2, worker, 2, recorded_at, entry, chain FROM audit_entry"
        " WHERE worker = $1 AND sequence = 1",
        worker,
        uuid4(),
    )
    for _ in range(3):
        await trails[1].record(ENTRY)
        await extend_tree(stores["cn"], ring)
    done, waiting = await gone_over(stores["cn"], ring)
    assert (done.size, waiting, done.problems) == (4, 0, [])
    await transaction.commit()
    await held.close()
    assert await extend_tree(stores["cn"], ring) == 1
    done, waiting = await gone_over(stores["cn"], ring)
    assert (done.size, waiting, done.problems, done.lengths[worker]) == (5, 0, [], 2)
    for trail in trails:
        await trail.close()


async def test_of_many_sequencers_one_works_at_a_time(stores: Stores, ring: KeyRing) -> None:
    trails = [AuditTrail(stores["cn"], ring) for _ in range(3)]
    for trail in trails:
        trail.start()
    extended = 0
    for _ in range(10):
        await asyncio.gather(*(record(trail, 20) for trail in trails))
        extended += sum(await asyncio.gather(*(extend_tree(stores["cn"], ring) for _ in range(4))))
    for trail in trails:
        await trail.close()
    extended += await extend_tree(stores["cn"], ring)
    done, waiting = await gone_over(stores["cn"], ring)
    assert (extended, done.size, waiting, done.problems) == (600, 600, 0, [])


async def test_a_long_chain_takes_several_steps(
    trail: AuditTrail, stores: Stores, ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdp.sequencer.CHAIN_ENTRIES", 100)
    await record(trail, 250)
    assert [await extend_tree(stores["cn"], ring) for _ in range(4)] == [100, 100, 50, 0]
    assert (await gone_over(stores["cn"], ring))[0].problems == []


async def test_a_chain_with_a_gap_is_not_continued_and_the_others_are(stores: Stores, ring: KeyRing) -> None:
    trails = [AuditTrail(stores["cn"], ring) for _ in range(2)]
    for trail in trails:
        trail.start()
        await record(trail, 5)
    broken = trails[0]._worker
    async with stores["cn"].transaction() as connection:
        await connection.execute("DELETE FROM audit_entry WHERE worker = $1 AND sequence = 3", broken)
    assert await extend_tree(stores["cn"], ring) == 5
    done, waiting = await gone_over(stores["cn"], ring)
    assert broken not in done.lengths
    assert waiting == 4
    async with stores["cn"].read() as connection:
        assert [one.worker for one in (await verify(connection)).breaks] == [broken]
    for trail in trails:
        await trail.close()


async def test_a_store_that_lost_its_tree_row_plants_it_again(trail: AuditTrail, stores: Stores, ring: KeyRing) -> None:
    await record(trail, 1)
    async with stores["cn"].transaction() as connection:
        await connection.execute("DELETE FROM audit_tree")
    assert [await extend_tree(stores["cn"], ring) for _ in range(2)] == [1, 0]


UNFIT = {
    "a tile altered": "UPDATE audit_tile SET hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1)",
    "a tile gone": "DELETE FROM audit_tile",
    "the newest checkpoint gone": "DELETE FROM audit_checkpoint WHERE size = (SELECT max(size) FROM audit_checkpoint)",
    "all checkpoints gone": "DELETE FROM audit_checkpoint",
    "the size set back": "UPDATE audit_tree SET size = 3",
    "another signature": "UPDATE audit_checkpoint SET signed = replace(signed, 'cdp/audit/cn', 'cdp/audit/hk')",
}


@pytest.mark.parametrize("statement", UNFIT.values(), ids=UNFIT.keys())
async def test_what_does_not_fit_the_newest_checkpoint_is_never_signed(
    statement: str, trail: AuditTrail, stores: Stores, ring: KeyRing
) -> None:
    for _ in range(2):
        await record(trail, 3)
        await extend_tree(stores["cn"], ring)
    await change(stores["cn"], statement)
    before = await count(stores["cn"], "audit_checkpoint")
    await record(trail, 3)
    with pytest.raises(Exception, match=r"does not fit|missing or too short"):
        await extend_tree(stores["cn"], ring)
    assert await count(stores["cn"], "audit_checkpoint") == before
    assert await count(stores["cn"], "audit_segment") == 2


async def change(store: Store, *statements: str) -> None:
    async with store.transaction() as connection:
        for statement in statements:
            assert await connection.execute(statement) not in ("UPDATE 0", "DELETE 0", "INSERT 0 0")


AGAIN = "INSERT INTO audit_entry SELECT bucket, gen_random_uuid(), worker, sequence, recorded_at, entry, chain"
TAMPERED: Mapping[str, tuple[tuple[str, ...], str]] = {
    "an entry deleted": (("DELETE FROM audit_entry WHERE sequence = 4",), "entry 3 of the tree is gone"),
    "an entry altered": (
        ("UPDATE audit_entry SET entry = replace(entry::text, '73686f70', '73686f71')::bytea WHERE sequence = 2",),
        "entry 1 of the tree is not as it was written",
    ),
    "two entries swapped": (
        ("UPDATE audit_entry SET sequence = 9 - sequence WHERE sequence IN (4, 5)",),
        "entry 3 of the tree is not as it was written",
    ),
    "an entry twice": (
        (f"{AGAIN} FROM audit_entry WHERE sequence = 6",),
        "entry 5 of the tree is there more than once",
    ),
    "the end of the chain cut off": (
        ("DELETE FROM audit_entry WHERE sequence > 8",),
        "the tree has 10",
    ),
    "a leaf altered with its tile": (
        (
            "UPDATE audit_entry SET entry = '{}' WHERE sequence = 1",
            "UPDATE audit_tile SET hashes = sha256('\\x007b7d'::bytea) || substr(hashes, 33) WHERE level = 0",
        ),
        "the tree has another root",
    ),
    "a place taken away": (
        ("DELETE FROM audit_segment WHERE first_index = 5",),
        "the places of the entries from 5 on are gone",
    ),
    "a place moved": (("UPDATE audit_segment SET first_sequence = 5 WHERE first_index = 5",), "the tree skips"),
    "a checkpoint of another log": (
        ("UPDATE audit_checkpoint SET signed = replace(signed, 'cdp/audit/cn', 'cdp/audit/hk') WHERE size = 5",),
        "a checkpoint that does not verify",
    ),
    "a checkpoint in another's place": (
        (
            "DELETE FROM audit_checkpoint WHERE size = 10",
            "UPDATE audit_checkpoint SET size = 10 WHERE size = 5",
        ),
        "checkpoint 10 says 5",
    ),
    "a chain hidden from the tree": (("DELETE FROM audit_chain",), "was never announced"),
}


@pytest.mark.parametrize(("statements", "found"), TAMPERED.values(), ids=TAMPERED.keys())
async def test_tampering_is_found(
    statements: tuple[str, ...], found: str, trail: AuditTrail, stores: Stores, ring: KeyRing
) -> None:
    for _ in range(2):
        await record(trail, 5)
        await extend_tree(stores["cn"], ring)
    done, waiting = await gone_over(stores["cn"], ring)
    assert (done.size, done.checkpoints, done.problems, waiting) == (10, 2, [], 0)
    await change(stores["cn"], *statements)
    done, _ = await gone_over(stores["cn"], ring)
    assert [problem for problem in done.problems if found in problem] != []


async def test_an_upper_tile_that_was_altered_is_found(trail: AuditTrail, stores: Stores, ring: KeyRing) -> None:
    await record(trail, 600)
    await extend_tree(stores["cn"], ring)
    await change(stores["cn"], "UPDATE audit_tile SET hashes = set_byte(hashes, 40, 0) WHERE level = 1")
    done, _ = await gone_over(stores["cn"], ring)
    assert done.problems == ["tile 0 of level 1 is not as it was written"]


REWIND = (
    "DELETE FROM audit_entry WHERE sequence > 5",
    "DELETE FROM audit_segment WHERE first_index >= 5",
    "DELETE FROM audit_checkpoint WHERE size > 5",
    "UPDATE audit_tile SET hashes = substr(hashes, 1, 160) WHERE level = 0",
    "UPDATE audit_chain SET sequenced = 5",
    "UPDATE audit_tree SET size = 5",
)


async def test_a_whole_log_set_back_fits_in_itself_and_not_with_what_was_kept(
    trail: AuditTrail, stores: Stores, ring: KeyRing
) -> None:
    kept = []
    for _ in range(2):
        await record(trail, 5)
        await extend_tree(stores["cn"], ring)
        kept.append(await checkpoint(stores["cn"]))
    assert (await gone_over(stores["cn"], ring, kept=kept))[0].problems == []
    await change(stores["cn"], *REWIND)
    assert (await gone_over(stores["cn"], ring))[0].problems == []
    done, _ = await gone_over(stores["cn"], ring, kept=kept)
    assert done.problems == ["a checkpoint was given out at size 10: the end of the log was cut off"]


async def test_a_log_that_was_forked_does_not_fit_with_what_was_kept(
    trail: AuditTrail, stores: Stores, ring: KeyRing
) -> None:
    kept = []
    for _ in range(2):
        await record(trail, 5)
        await extend_tree(stores["cn"], ring)
        kept.append(await checkpoint(stores["cn"]))
    await change(stores["cn"], *REWIND)
    other = AuditTrail(stores["cn"], ring)
    other.start()
    await record(other, 7)
    await other.close()
    await extend_tree(stores["cn"], ring)
    assert (await gone_over(stores["cn"], ring))[0].problems == []
    done, _ = await gone_over(stores["cn"], ring, kept=kept)
    assert done.problems == ["checkpoint 10: the tree has another root"]


KILLED = """
import asyncio, os, sys
from pathlib import Path
from cdp.sequencer import extend_tree
from cdp.settings import Settings
from cdp.stores import open_stores
from privacy.keys import LENGTHS, KeyRing

async def main() -> None:
    urls = {"cn": sys.argv[1]}
    ring = KeyRing("cdp", "cn", [(kind, 1, bytes(range(length))) for kind, length in LENGTHS.items()])
    stores = await open_stores(Settings(home=Path("."), stores=urls, regions={"CN": "cn"}, environment="test"), urls)
    print("ready", flush=True)
    while True:
        await extend_tree(stores["cn"], ring)

asyncio.run(main())
"""


async def test_a_sequencer_that_is_killed_leaves_no_gap_and_no_fork(
    trail: AuditTrail, stores: Stores, ring: KeyRing, store_urls: dict[str, str]
) -> None:
    """Two at once, killed again and again while entries come; every checkpoint that anybody saw is kept."""
    seen = dict[int, str]()
    recorded = 0
    for _ in range(4):
        running = [await started(store_urls["cn"]) for _ in range(2)]
        for _ in range(random.randint(5, 15)):  # noqa: S311 - where it is killed does not matter
            await record(trail, 30)
            recorded += 30
            async with stores["cn"].read() as connection:
                if (note := await newest_checkpoint(connection)) is not None:
                    seen[checkpoint_of(note).size] = note
        for process in running:
            process.send_signal(signal.SIGKILL)
            await process.wait()
    while await extend_tree(stores["cn"], ring):
        pass
    done, waiting = await gone_over(stores["cn"], ring, kept=list(seen.values()))
    assert seen
    assert (done.size, waiting, done.problems) == (recorded, 0, [])


async def started(url: str) -> asyncio.subprocess.Process:
    root = str(Path(__file__).parents[2])
    command, environment = (sys.executable, "-c", KILLED, url), {**os.environ, "PYTHONPATH": root}
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=environment)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def test_a_counter_of_opened_cells_that_disagrees_is_found(
    trail: AuditTrail, stores: Stores, ring: KeyRing
) -> None:
    form = Form(ENTRY, (*TRAIL_BLANKS, "opened"))
    for opened in (3, 0, 7):
        await trail.fill_in(form, {"opened": opened}, uuid4())
    async with stores["cn"].read() as connection:
        entries = [decoded(row[0]) for row in await connection.fetch("SELECT entry FROM audit_entry ORDER BY sequence")]
        assert [entry["cells"] for entry in entries] == [3, 3, 10]
        assert (await verify(connection)).breaks == ()
    # Who hides what was opened and makes the chain anew has the counter of every later entry against them.
    hidden = {**entries[0], "opened": 0}
    link = START
    async with stores["cn"].transaction() as connection:
        for number, entry in enumerate([hidden, *entries[1:]], 1):
            link = chain(link, canonical(entry))
            statement = "UPDATE audit_entry SET entry = $1, chain = $2 WHERE sequence = $3"
            await connection.execute(statement, canonical(entry), link, number)
    async with stores["cn"].read() as connection:
        assert [(one.worker, one.sequence) for one in (await verify(connection)).breaks] == [(trail._worker, 1)]
