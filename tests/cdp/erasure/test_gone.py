"""Words that went with an erasure are gone for a known reason; whoever takes others back cannot hide behind one."""

from pathlib import Path
from uuid import UUID

import pytest

from cdp.erasure.gone import word_problems
from cdp.erasure.sweep import Sweeper
from cdp.ingest import Writer
from cdp.replay import replay
from cdp.sequencer import extend_tree, log_key
from cdp.words import log_words
from tests.cdp.doors import accept, rows
from tests.cdp.erasure.test_erase import asked_for, begin, sweeper, terms
from tests.cdp.samples import SAMPLES, event

WORDS = len([name for name in SAMPLES if name.startswith(("Consent", "Objection"))])
OTHERS = {"customerKey": "C-2002"}
FORGED = """
INSERT INTO erasure (customer_id, region, erased_at, gone, kept, finished_at, certificate)
SELECT $2, region, erased_at, gone, kept, finished_at, certificate FROM erasure WHERE customer_id = $1
"""


async def verified(writer: Writer) -> tuple[list[str], int]:
    ring = writer.rings["cn"]
    await extend_tree(writer.stores["cn"], ring)
    async with writer.stores["cn"].read() as connection:
        done = await replay(connection, log_key(ring))
        assert done.problems == []
        return await word_problems(connection, done.words, ring)


async def execute(writer: Writer, statement: str, *values: object) -> None:
    async with writer.stores["cn"].transaction() as connection:
        assert not (await connection.execute(statement, *values)).endswith(" 0")


async def said(writer: Writer, folder: Path) -> tuple[UUID, Sweeper]:
    """A customer whose words are in the trail, who asked to be erased; another one has said something as well."""
    customer_id = await asked_for(writer)
    await accept(writer, event("ConsentGiven", 30, OTHERS, purpose="marketing", eventId="of-another"))
    sweeps = await sweeper(writer, folder)
    assert await log_words(sweeps.store, sweeps.trail) == WORDS + 1
    return customer_id, sweeps


async def test_words_that_went_with_their_customer_are_counted(writer: Writer, tmp_path: Path) -> None:
    await terms(writer, by_law=False)
    customer_id, sweeps = await said(writer, tmp_path)
    await begin(writer, customer_id)
    assert await verified(writer) == ([], 0)
    await execute(writer, "DELETE FROM objection WHERE customer_id = $1", customer_id)  # the sweep is half done
    problems, erased = await verified(writer)
    assert problems == []
    assert 0 < erased < WORDS
    await sweeps.sweep()
    assert await verified(writer) == ([], WORDS)
    await execute(writer, "DELETE FROM consent_event")
    [problem] = (await verified(writer))[0]
    assert problem.startswith("what was said in ")
    await sweeps.trail.close()


async def test_words_that_nobody_wrote_down_in_time_are_no_riddle(writer: Writer, tmp_path: Path) -> None:
    await terms(writer, by_law=False)
    customer_id = await asked_for(writer)
    sweeps = await sweeper(writer, tmp_path)
    await begin(writer, customer_id)
    assert await verified(writer) == ([], 0)
    await sweeps.sweep()
    assert await rows(sweeps.store, "unlogged_word") == []
    assert await log_words(sweeps.store, sweeps.trail) == 0
    assert await verified(writer) == ([], 0)
    await sweeps.trail.close()


async def test_an_erasure_that_kept_the_words_explains_nothing(writer: Writer, tmp_path: Path) -> None:
    customer_id, sweeps = await said(writer, tmp_path)
    await begin(writer, customer_id)
    await sweeps.sweep()
    assert await verified(writer) == ([], 0)
    await execute(writer, "DELETE FROM objection WHERE raised AND customer_id = $1", customer_id)
    problems, erased = await verified(writer)
    assert (len(problems), erased) == (1, 0)
    await execute(writer, "UPDATE erasure SET gone = '[\"IDENTITY\"]'")
    assert await verified(writer) == (problems, 0)
    await sweeps.trail.close()


@pytest.mark.parametrize(
    "certificate",
    [
        "certificate",
        "NULL",
        "replace(certificate, $1::uuid::text, $2::uuid::text)",
        "'no JSON'",
        "'[]'",
        """'{"certificate": 1.5}'""",
        "left(certificate, 40)",
    ],
    ids=str,
)
async def test_a_row_about_an_erasure_is_not_enough(writer: Writer, tmp_path: Path, certificate: str) -> None:
    await terms(writer, by_law=False)
    customer_id, sweeps = await said(writer, tmp_path)
    await begin(writer, customer_id)
    await sweeps.sweep()
    [word] = await rows(sweeps.store, "consent_event")
    await execute(writer, FORGED.replace("certificate FROM", f"{certificate} FROM"), customer_id, word["customer_id"])
    await execute(writer, "DELETE FROM consent_event")
    assert await verified(writer) == ([f"what was said in {word['consent_event_id']} is gone"], WORDS)
    await sweeps.trail.close()
