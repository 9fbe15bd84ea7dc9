"""Words of customers that are gone, and whether an erasure explains it.

The trail is not erased with a customer: it goes on telling that something was said, under a name for the year that
only the store's audit key makes.
"""

import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from cdp.erasure.sweep import certificate_of
from cdp.stores import Connection
from cdp.words import Word, check_words
from privacy.keys import KeyRing
from privacy.vocabulary import RetentionClass

ERASED: Final = "SELECT customer_id, gone, finished_at FROM erasure"


async def word_problems(connection: Connection, logged: Mapping[UUID, Word], ring: KeyRing) -> tuple[list[str], int]:
    """What does not fit between the words of customers and their entries, in words; and how many are gone because
    those customers were erased.
    """
    problems, gone = await check_words(connection, logged)
    erased = await _erased(connection, gone, ring) if gone else set()
    return problems + [f"what was said in {row_id} is gone" for row_id in gone.keys() - erased], len(erased)


async def _erased(connection: Connection, gone: Mapping[UUID, Word], ring: KeyRing) -> set[UUID]:
    """Those of these words whose customers are being erased, or were erased, as a certificate of ours says."""
    # A word is named a moment before its entry is dated: at the turn of the year, after the year before.
    years = {year for word in gone.values() for year in (word.year - 1, word.year)}
    names = {word.customer for word in gone.values()}
    known = set[str]()
    for row in await connection.fetch(ERASED):
        own = names & {ring.pseudonym(row["customer_id"], year).hex() for year in years}
        if own and await _vouched(connection, row, ring):
            known |= own
    return {row_id for row_id, word in gone.items() if word.customer in known}


async def _vouched(connection: Connection, row: Any, ring: KeyRing) -> bool:
    """Whether the words of an erased customer had to go. Whoever only adds a row for it has no certificate."""
    if row["finished_at"] is None:
        return f'"{RetentionClass.IDENTITY.value}"' in row["gone"]  # the sweep is at it, and will sign
    text = await certificate_of(connection, row["customer_id"], ring)
    said = json.loads(text)["certificate"] if text is not None else {}
    return said.get("customer") == str(row["customer_id"]) and RetentionClass.IDENTITY in said["gone"]
