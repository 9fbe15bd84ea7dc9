"""Dead letters: listed, opened and written down, mended by a replay, dropped for a reason."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from cdp.app import writer_of
from cdp.audited import verify
from cdp.consent.policy_rows import load_policy, starter_rows
from cdp.dead_letters import LONGEST_BODY
from cdp.errors import AuditUnavailable, RequestInvalid
from cdp.house import House
from cdp.ingest import EVENTS, Outcome, Status, ingest
from cdp.letters import Drawer, Hand, Which, drop, letters_of, open_letters, record_of, replay
from cdp.mapping import parse_mapping
from cdp.refused import bury_rejected
from privacy.errors import PermitMissing
from tests.cdp.doors import NOW, one, rows
from tests.cdp.house import fingerprint
from tests.cdp.samples import SAMPLES
from tests.cdp.test_files import HEADER, MAPPING, load, written

HAND = Hand("test", "officer 7", "cli")
REGISTERED = SAMPLES["CustomerRegistered"]
# Refused, for nobody knows the customer yet; and for what it says.
EARLY = SAMPLES["NumberActivated"]
WRONG = EARLY | {"eventId": "sample-wrong", "number": "12345"}


def drawer_of(house: House, store: str = "cn") -> Drawer:
    return Drawer(house.stores[store], house.rings[store], house.trails[store])


async def refuse(house: House, *events: dict[str, Any], source: str = "graphql:shop") -> list[UUID]:
    """The letters of events that are refused."""
    outcomes = await ingest(writer_of(house), events, source)
    assert {outcome.status for outcome in outcomes} == {Status.REJECTED}
    return [letter.letter_id for letter in await letters_of(house.stores["cn"], Which(source=source))]


async def trail(house: House, store: str = "cn") -> list[dict[str, Any]]:
    """What the trail says of letters, in order."""
    async with house.stores[store].read() as connection:
        found = await connection.fetch("SELECT entry FROM audit_entry ORDER BY recorded_at")
    return [entry for row in found if (entry := json.loads(row[0])).get("operation") == "dead letter"]


async def test_letters_are_listed_by_what_was_wrong_and_page_by_page(house: House) -> None:
    await refuse(house, EARLY, WRONG)
    await refuse(house, *(WRONG | {"eventId": f"e-{n}", "at": "never"} for n in range(5)), source="file.csv")
    cn = house.stores["cn"]
    assert len(await letters_of(cn, Which())) == 7
    [wrong] = await letters_of(cn, Which(field="number"))
    assert (wrong.reason, wrong.source, wrong.seen) == ("NUMBER_INVALID", "graphql:shop", 1)
    assert wrong.expected == "a full number, not a service's short code"
    assert [one.field for one in await letters_of(cn, Which("UNKNOWN_CUSTOMER"))] == ["subject"]
    assert await letters_of(cn, Which("UNKNOWN_CUSTOMER", "file.csv")) == []
    assert await letters_of(house.stores["hk"], Which()) == []
    paged, after = [], None
    while page := await letters_of(cn, Which(), after, 2):
        paged += page
        after = page[-1].first_at, page[-1].letter_id
    assert paged == await letters_of(cn, Which())
    assert paged == sorted(paged, key=lambda one: (one.first_at, one.letter_id), reverse=True)


async def test_an_opened_letter_is_in_the_trail_before_it_is_told(house: House) -> None:
    letters = await refuse(house, EARLY, WRONG)
    found = await open_letters(drawer_of(house), [*letters, uuid4()], HAND, "opened")
    assert [record_of(found[letter].text) for letter in sorted(found)] == [
        record_of(found[letter].text) for letter in sorted(letters)
    ]
    assert {json.dumps(record_of(one.text), sort_keys=True) for one in found.values()} == {
        json.dumps(event, sort_keys=True) for event in (EARLY, WRONG)
    }
    [entry] = await trail(house)
    assert sorted(entry["letters"]) == sorted(map(str, letters))
    assert (entry["did"], entry["client"], entry["purpose"], entry["opened"]) == ("opened", "test", "legal.audit", 2)
    year = int(entry["at"][:4])
    assert entry["actor"] == house.trails["cn"].names.actor("officer 7", year) != "officer 7"
    async with house.stores["cn"].read() as connection:
        report = await verify(connection)
    assert (report.entries, report.breaks) == (1, ())

    await house.trails["cn"].close()
    with pytest.raises(AuditUnavailable):
        await open_letters(drawer_of(house), letters, HAND, "opened")


async def test_what_the_policy_does_not_let_officers_see_is_not_opened(house: House) -> None:
    letters = await refuse(house, EARLY)
    starter = starter_rows()
    bases = tuple(basis for basis in starter.bases if basis.purpose != "legal")
    await load_policy([house.stores["cn"]], replace(starter, version=starter.version + 1, bases=bases), NOW)
    with pytest.raises(PermitMissing):
        await open_letters(drawer_of(house), letters, HAND, "opened")
    with pytest.raises(PermitMissing):
        await replay(drawer_of(house), writer_of(house), letters, HAND)
    assert await trail(house) == []
    assert len(await letters_of(house.stores["cn"], Which())) == 1


async def test_what_goes_in_takes_its_letter_along_and_what_does_not_is_counted(house: House) -> None:
    early, wrong = await refuse(house, EARLY), await refuse(house, WRONG, source="file.csv")
    await ingest(writer_of(house), [REGISTERED], "crm")
    resent = await replay(drawer_of(house), writer_of(house), [*early, *wrong, uuid4()], HAND)
    told = {one.letter_id: (one.gone, [outcome.status for outcome in one.outcomes]) for one in resent}
    assert told == {early[0]: (True, [Status.ACCEPTED]), wrong[0]: (False, [Status.REJECTED])}
    cn = house.stores["cn"]
    [left] = await letters_of(cn, Which())
    assert (left.letter_id, left.source, left.seen, left.reason) == (wrong[0], "file.csv", 2, "NUMBER_INVALID")
    assert len(await rows(cn, "number_holding")) == 1
    assert [(entry["did"], len(entry["letters"])) for entry in await trail(house)] == [("replayed", 2), ("went in", 1)]

    before = await fingerprint(house)
    assert await replay(drawer_of(house), writer_of(house), early, HAND) == []
    assert await fingerprint(house) == before


async def test_a_letter_whose_event_is_known_already_goes(house: House) -> None:
    letters = await refuse(house, EARLY)
    await ingest(writer_of(house), [REGISTERED, EARLY], "crm")
    [resent] = await replay(drawer_of(house), writer_of(house), letters, HAND)
    assert (resent.gone, resent.outcomes[0].status) == (True, Status.DUPLICATE)
    assert await rows(house.stores["cn"], "dead_letter") == []


async def test_rows_come_in_by_a_mended_mapping(house: House, tmp_path: Path) -> None:
    content = HEADER + "K-1,陈美玲,女,13800138001\nK-2,,男,12345\nK-3,,?,\nK-4\n"
    await load(house, written(tmp_path, "people.csv", content))
    cn = house.stores["cn"]
    letters = [letter.letter_id for letter in await letters_of(cn, Which("ROW_INVALID"))]
    assert len(letters) == 4
    drawer, writer = drawer_of(house), writer_of(house)

    # A mapping that is not shipped has to be given: nothing is counted for it.
    for given in (None, parse_mapping(MAPPING.replace('"crm"', '"other"'), EVENTS)):
        resent = await replay(drawer, writer, letters, HAND, given)
        assert {outcome.code for one in resent for outcome in one.outcomes} == {"MAPPING_UNKNOWN"}
        assert "cdp dead-letters replay --mapping FILE" in str(resent[0].outcomes[0].expected)
    assert {letter.seen for letter in await letters_of(cn, Which())} == {1}

    mended = parse_mapping(MAPPING.replace('F = "FEMALE"', '"女" = "FEMALE"\n"男" = "MALE"'), EVENTS)
    resent = await replay(drawer, writer, letters, HAND, mended)
    assert sorted(one.gone for one in resent) == [False, False, True, True]
    assert sorted((letter.reason, letter.field, letter.seen) for letter in await letters_of(cn, Which())) == [
        ("NUMBER_INVALID", "number", 1),
        ("ROW_INVALID", "", 2),
        ("ROW_INVALID", "who.gender", 2),
    ]
    [still] = await letters_of(cn, Which(field="who.gender"))
    assert still.expected == "one of 女, 男, M"
    assert len(await rows(cn, "customer")) == 2
    # The same events as the file would have made: loading it again with the mended mapping adds nothing.
    again = await load(
        house, tmp_path / "people.csv", MAPPING.replace('F = "FEMALE"', '"女" = "FEMALE"\n"男" = "MALE"')
    )
    assert (again.counts["accepted"], again.counts["duplicate"]) == (0, 3)


async def test_an_event_that_looks_like_a_row_is_none(house: House) -> None:
    """Otherwise whoever is refused could have a shipped mapping read what they like, by an officer's hand."""
    planted = {"mapping": "telco_churn", "region": "HK", "row": {"customerID": "X-1"}}
    letters = await refuse(house, planted)
    [resent] = await replay(drawer_of(house), writer_of(house), letters, HAND)
    assert (resent.gone, resent.outcomes[0].code, resent.outcomes[0].field) == (False, "EVENT_INVALID", "type")
    assert await rows(house.stores["hk"], "customer") == await rows(house.stores["cn"], "customer") == []


async def test_what_was_too_long_to_keep_is_not_sent_in_part(house: House) -> None:
    letters = await refuse(house, WRONG | {"simRef": "x" * LONGEST_BODY})
    [resent] = await replay(drawer_of(house), writer_of(house), letters, HAND)
    assert (resent.gone, resent.outcomes[0].code) == (False, "LETTER_TOO_LONG")
    assert (await one(house.stores["cn"], "dead_letter"))["seen"] == 1


async def test_a_letter_is_dropped_for_a_reason_that_is_written_down(house: House) -> None:
    letters = await refuse(house, EARLY, WRONG)
    drawer = drawer_of(house)
    for why in ("", "call 13800138000", "test", "X" * 41):
        with pytest.raises(RequestInvalid, match="why: expected a code such as TEST_DATA"):
            await drop(drawer, letters, HAND, why)
    assert len(await letters_of(house.stores["cn"], Which())) == 2
    assert await trail(house) == []
    assert await drop(drawer, [letters[0], uuid4()], HAND, "TEST_DATA") == [letters[0]]
    assert [one.letter_id for one in await letters_of(house.stores["cn"], Which())] == [letters[1]]
    [entry] = await trail(house)
    assert (entry["did"], entry["why"], entry["letters"]) == ("dropped", "TEST_DATA", [str(letters[0])])
    assert await drop(drawer, [letters[0]], HAND, "TEST_DATA") == []
    assert len(await trail(house)) == 1


async def test_without_the_trail_no_letter_goes(house: House) -> None:
    letters = await refuse(house, EARLY)
    await house.trails["cn"].close()
    with pytest.raises(AuditUnavailable):
        await drop(drawer_of(house), letters, HAND, "TEST_DATA")
    with pytest.raises(AuditUnavailable):
        await replay(drawer_of(house), writer_of(house), letters, HAND)
    assert len(await letters_of(house.stores["cn"], Which())) == 1


async def test_what_its_sender_might_not_tell_of_is_not_sent_by_an_officer(house: House) -> None:
    event = REGISTERED | {"eventId": "not-theirs"}
    outcome = Outcome(Status.REJECTED, None, "cn", "FORBIDDEN", "type", "an event that this client may tell of")
    writer = writer_of(house)
    await bury_rejected(writer, "graphql:shop", [(event, outcome)], NOW)
    [letter] = await letters_of(house.stores["cn"], Which(reason="FORBIDDEN"))
    [resent] = await replay(drawer_of(house), writer, [letter.letter_id], HAND)
    assert (resent.gone, [one.code for one in resent.outcomes]) == (False, ["LETTER_FORBIDDEN"])
    assert await rows(house.stores["cn"], "customer") == []
    assert [one.letter_id for one in await letters_of(house.stores["cn"], Which())] == [letter.letter_id]
