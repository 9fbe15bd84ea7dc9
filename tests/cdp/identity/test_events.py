"""Identity: who somebody is, and which numbers they hold when."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cdp.errors import InvalidNumber, RequestInvalid
from cdp.identity.resolve import normalise
from cdp.identity.tables import NUMBER_INDEX, identification, number_holding, sim
from cdp.ingest import Writer, ingest
from tests.cdp.doors import accept, codes, one, opened, rows
from tests.cdp.samples import SAMPLES, event

S = SAMPLES
NUMBER = S["NumberActivated"]


async def test_a_customer_is_registered_with_everything_sealed(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"])
    row = await one(writer.stores["cn"], "customer")
    assert (row["region"], row["state"], row["status"], row["tier"]) == ("CN-GD", "ACTIVE", "ACTIVE", "HIGH")
    assert row["is_minor"] is False
    paper = await one(writer.stores["cn"], "identification")
    ids = (paper["customer_id"], paper["identification_id"])
    number = await opened(writer, "cn", identification.c.document_number, ids, paper["document_number"])
    assert (number, paper["document_type"]) == ("440106198805170029", "NATIONAL_ID")
    assert [row["region"] for row in await rows(writer.stores["cn"], "customer_region")] == ["CN-GD"]


async def test_a_minor_is_marked(writer: Writer) -> None:
    cases = {"C-1": ("2008-03-02", True), "C-2": ("2008-03-01", False), "C-3": (None, False)}
    for key, (born, minor) in cases.items():
        new = {"subject": {"customerKey": key}, "birthDate": born, "eventId": key, "email": None}
        (outcome,) = await accept(writer, S["CustomerRegistered"] | new)
        row = await one(writer.stores["cn"], "customer", f"customer_id = '{outcome.customer_id}'")
        assert row["is_minor"] is minor


async def test_a_number_is_held_suspended_resumed_and_released(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], NUMBER)
    cn = writer.stores["cn"]
    held = await one(cn, "number_holding")
    ids = (held["customer_id"], held["holding_id"])
    assert await opened(writer, "cn", number_holding.c.number, ids, held["number"]) == "+8613800138000"
    assert (held["state"], held["role"], held["issuer"], held["valid_to"]) == ("ACTIVE", "USER", "China Mobile", None)
    card = await one(cn, "sim")
    iccid = await opened(writer, "cn", sim.c.iccid, (card["customer_id"], card["sim_id"]), card["iccid"])
    assert iccid == NUMBER["iccid"]
    for name, state in (("NumberSuspended", "SUSPENDED"), ("NumberResumed", "ACTIVE"), ("NumberReleased", "RELEASED")):
        await accept(writer, S[name])
        assert (await one(cn, "number_holding"))["state"] == state
    end = datetime(2026, 3, 28, 1, 30, tzinfo=UTC)
    found = await one(cn, "number_index")
    assert found["number_tag"] == writer.rings["cn"].tag(NUMBER_INDEX, "+8613800138000")
    assert {found["valid_to"], (await one(cn, "number_holding"))["valid_to"]} == {end}


async def test_a_number_taken_up_again_is_a_new_holding(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], NUMBER, S["NumberReleased"])
    again = NUMBER | {"eventId": "n-2", "at": "2026-03-30T00:00:00Z"}
    await accept(writer, again, again | {"eventId": "n-3"})
    held = await rows(writer.stores["cn"], "number_holding")
    assert sorted(row["state"] for row in held) == ["ACTIVE", "RELEASED"]


async def test_the_user_of_a_number_comes_before_its_registered_holder(writer: Writer) -> None:
    company = {"subject": {"customerKey": "C-2"}}
    outcomes = await accept(
        writer,
        S["CustomerRegistered"],
        S["CustomerRegistered"] | company | {"eventId": "r-2", "kind": "ORGANIZATION", "email": None},
        NUMBER,
        NUMBER | company | {"eventId": "n-2", "role": "REGISTERED_HOLDER", "at": "2026-03-05T00:00:00Z"},
        event("CustomerTierChanged", 10, {"number": "13800138000"}, tier="LOW"),
    )
    assert outcomes[-1].customer_id == outcomes[0].customer_id


async def test_nobody_changes_a_number_they_do_not_hold(writer: Writer) -> None:
    other = {"subject": {"customerKey": "C-2"}}
    await accept(writer, S["CustomerRegistered"], NUMBER, S["CustomerRegistered"] | other | {"eventId": "r-2"})
    changes = [S[name] for name in ("NumberSuspended", "NumberResumed", "NumberReleased")]
    foreign = [change | other for change in changes]
    early = [change | {"at": "2026-03-01T00:00:00Z"} for change in changes]
    assert codes(await ingest(writer, [*foreign, *early], "test")) == ["UNKNOWN_REFERENCE"] * 6
    held = await one(writer.stores["cn"], "number_holding")
    assert (held["state"], held["valid_to"]) == ("ACTIVE", None)


async def test_a_link_stands_until_it_is_taken_back(writer: Writer) -> None:
    await accept(writer, S["CustomerRegistered"], S["CustomerUnlinked"], S["CustomerLinked"])
    assert (await one(writer.stores["cn"], "link"))["state"] == "REVOKED"
    again = S["CustomerLinked"] | {"eventId": "l-2", "at": "2026-03-20T00:00:00Z"}
    await accept(writer, again)
    row = await one(writer.stores["cn"], "link")
    assert (row["state"], row["other_store"], row["leads"]) == ("ACTIVE", "hk", True)
    assert (await one(writer.stores["cn"], "link_index"))["customer_id"] == row["customer_id"]


@pytest.mark.parametrize(
    ("kind", "value", "spelling"),
    [
        ("number", "９123 4567", "+85291234567"),
        ("email", " Ada@Example.COM ", "ada@example.com"),
        ("document", "a123456(7)", "A1234567"),
        ("accountNo", "hk 00-12", "HK0012"),
        ("customerKey", " C-1 ", "C-1"),
    ],
)
def test_an_identifier_has_one_spelling(kind: str, value: str, spelling: str) -> None:
    assert normalise(kind, value, "HK") == spelling
    assert normalise(kind, spelling, None) == spelling


@pytest.mark.parametrize(
    ("kind", "value", "error"),
    [
        ("number", "91234567", InvalidNumber),
        ("imsi", "460001234567890", RequestInvalid),
        *(
            (kind, value, RequestInvalid)
            for kind in ("email", "document", "accountNo")
            for value in ("", "0000", "NULL", "-")
        ),
    ],
)
def test_a_value_that_means_nobody_is_refused(kind: str, value: str, error: type[RequestInvalid]) -> None:
    with pytest.raises(error) as refused:
        normalise(kind, value, None)
    assert not value.strip("-") or value not in str(refused.value)


async def test_a_new_customer_found_by_a_number_needs_something_else_to_be_known_by(writer: Writer) -> None:
    subject: dict[str, Any] = {
        "subject": {"number": "13700137000"},
        "email": None,
        "documentNumber": None,
        "documentType": None,
    }
    nobody = S["CustomerRegistered"] | subject
    assert codes(await ingest(writer, [nobody], "test")) == ["UNKNOWN_CUSTOMER"]
    assert await rows(writer.stores["cn"], "customer") == []
    await accept(writer, nobody | {"customerKey": "C-4", "eventId": "r-4"})
    assert len(await rows(writer.stores["cn"], "customer")) == 1
