"""No table about a person is forgotten: by an erasure, by what they are given, by the terms."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Table, Uuid

from cdp.archive import exported
from cdp.erasure.erase import AT_ONCE, FOR_ITSELF
from cdp.erasure.expire import due_rows
from cdp.erasure.sweep import SWEPT
from cdp.rights.kept import KEPT, Goes, Kept
from cdp.rights.terms import Term
from cdp.tables import metadata
from privacy.seal import SealedColumn
from privacy.vocabulary import RetentionClass

TERMS = {name.value: Term(1, by_law=False, law="a law") for name in RetentionClass}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def about_a_person() -> Iterator[Table]:
    """Every table that names a customer, or in which something is sealed."""
    for table in metadata.tables.values():
        if "customer_id" in table.columns or any("sealed" in column.info for column in table.columns):
            yield table


def test_every_table_about_a_person_is_in_the_list_and_nothing_else() -> None:
    assert {table.name for table in about_a_person()} == set(KEPT)


def test_no_other_table_has_an_id_that_may_be_a_persons() -> None:
    """By whatever name: these are of what the house itself made."""
    ids = {
        column.name
        for table in metadata.tables.values()
        if table.name not in KEPT
        for column in table.columns
        if isinstance(getattr(column.type, "item_type", column.type), Uuid)
    }
    assert ids <= {"entry_id", "worker", "endpoint_id", "outbox_id", "lease"}


@pytest.mark.parametrize("table", list(about_a_person()), ids=lambda table: str(table.name))
def test_an_erasure_takes_every_table_or_it_is_said_why_not(table: Table) -> None:
    kept = KEPT[table.name]
    by_erasure = {*AT_ONCE, *FOR_ITSELF, *SWEPT, "customer"}
    assert (table.name in by_erasure) == (kept.goes is not Goes.STAYS)
    assert (kept.goes is Goes.BLANK) == (table.name == "customer")
    if kept.goes is Goes.STAYS:
        assert [column.name for column in table.columns if "sealed" in column.info] == []
    sealed = [column.info["sealed"] for column in table.columns if "sealed" in column.info]
    assert {one.retention for one in sealed if isinstance(one, SealedColumn)} <= {kept.retention}


@pytest.mark.parametrize("table", list(about_a_person()), ids=lambda table: str(table.name))
def test_a_person_is_given_every_table_but_keys_and_what_is_nobodys(table: Table) -> None:
    handed_out = {one.name for one in exported(given_only=False)}
    assert (table.name in handed_out) == (table.name not in {"data_key", "dead_letter"})
    given = {one.name for one in exported(given_only=True)}
    assert given == {name for name, kept in KEPT.items() if kept.given}


@pytest.mark.parametrize("table", list(about_a_person()), ids=lambda table: str(table.name))
def test_every_table_has_an_end(table: Table) -> None:
    """By its own age, with those who left, with the customer as a whole, or as the account of what was done."""
    kept = KEPT[table.name]
    by_age = {due.table for due in due_rows(TERMS, NOW)}
    whole = kept.retention is RetentionClass.IDENTITY
    assert table.name in by_age or whole or kept.goes is Goes.STAYS
    for name in (kept.since, f"{kept.under}_id" if kept.under else None):
        assert name is None or name in table.columns


@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT)
def test_a_person_is_told_in_their_language_what_it_is(kept: Kept) -> None:
    english, _, chinese = kept.about.partition(" · ")
    assert english.isascii()
    assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese)


def test_rows_come_after_those_they_refer_to() -> None:
    order = list(KEPT)
    for table in about_a_person():
        for key in table.foreign_key_constraints:
            assert order.index(key.referred_table.name) < order.index(table.name)
