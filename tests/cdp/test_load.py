"""Files: rows become events by a mapping, nothing is guessed, and what does not fit is kept with its reason."""

from pathlib import Path
from typing import Any

import pytest
from rich.progress import Progress

from cdp.app import writer_of
from cdp.errors import EventInvalid, RequestInvalid
from cdp.house import House
from cdp.identity.tables import customer
from cdp.ingest import EVENTS
from cdp.load import Task, load_file
from cdp.mapping import FileMapping, parse_mapping, read_mapping
from tests.cdp.doors import opened, rows
from tests.cdp.house import fingerprint

CSV = (
    "编号,姓名,性别,生日,号码,套餐,费用,日期\n"
    "K-1,陈美玲,女,1988/05/17,138 0013 8001,宽带,58.00,2026-03-05 09:30\n"
    "K-2,王小明,男,,13900139002,无,,2026-03-06 10:00\n"
)
HEAD = """
name = "crm"
key = ["编号"]
region = "CN-GD"
currency = "CNY"
time_zone = "+08:00"
at = { column = "日期", as = "instant", format = "%Y-%m-%d %H:%M" }
subject = { customerKey = { column = "编号" } }

[tables.gender]
"女" = "FEMALE"
"男" = "MALE"
"""
REGISTERED = """
[[event]]
type = "CustomerRegistered"
[event.fields]
customerKey = { column = "编号" }
name = { column = "姓名" }
kind = "INDIVIDUAL"
gender = { column = "性别", table = "gender" }
birthDate = { column = "生日", as = "date", format = "%Y/%m/%d", blank = "omit" }
"""
NUMBER = """
[[event]]
type = "NumberActivated"
[event.fields]
number = { column = "号码" }
"""
PRODUCT = """
[[event]]
type = "ProductActivated"
when = { column = "套餐", differs = "无" }
[event.fields]
productRef = "p"
name = { text = "套餐：{套餐}" }
kind = "BROADBAND"
startDate = 2026-03-01
"""
BILL = """
[[event]]
type = "BillIssued"
at = 2026-04-01
[event.fields]
billNo = "2026-03"
billDate = "2026-04-01"
periodStart = "2026-03-01"
periodEnd = "2026-03-31"
amountDue = { column = "费用", as = "money", blank = "skip" }
lines = [{ kind = "FEE", description = "月费", amount = { column = "费用", as = "money" } }]
"""
MAPPING = HEAD + REGISTERED + NUMBER + PRODUCT + BILL


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


async def load(
    house: House, folder: Path, content: str | bytes = CSV, mapping: str = MAPPING, region: str | None = None
) -> dict[str, int]:
    """Loads a file of this content (text as UTF-8)."""
    file, plan = folder / "people.csv", folder / "people.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    plan.write_text(mapping, "utf-8")
    with Progress(disable=True) as bars:
        loaded = await load_file(house, file, Task(read_mapping(str(plan), EVENTS), region), bars)
    return loaded.counts


async def letters(house: House) -> list[tuple[str, str, str]]:
    found = [row for store in house.stores.values() for row in await rows(store, "dead_letter")]
    return [(row["reason"], row["field"], row["expected"]) for row in found]


def counts(**given: int) -> dict[str, int]:
    return {"rows": 0, "accepted": 0, "duplicate": 0, "rejected": 0} | {
        name.replace("_", " "): count
        for name, count in ({"review": 0, "rows_refused": 0, "letters_settled": 0} | given).items()
    }


async def test_rows_become_events(house: House, files: Path) -> None:
    assert await load(house, files, CSV.encode("gb18030")) == counts(rows=2, accepted=6)
    cn, writer = house.stores["cn"], writer_of(house)
    people = {row["gender"]: row for row in await rows(cn, "customer")}
    names = {}
    for gender, row in people.items():
        ids = (row["customer_id"], row["customer_id"])
        names[gender] = await opened(writer, "cn", customer.c.formatted_name, ids, row["formatted_name"])
    assert names == {"FEMALE": "陈美玲", "MALE": "王小明"}
    assert people["MALE"]["birth_date"] is None
    assert people["FEMALE"]["profile_at"].isoformat() == "2026-03-05T01:30:00+00:00"
    (held,) = await rows(cn, "product")
    assert (held["name"], held["start_on"].isoformat()) == ("套餐：宽带", "2026-03-01")
    (billed,) = await rows(cn, "bill")
    assert (billed["amount_due_minor"], billed["currency"]) == (5800, "CNY")
    assert billed["issued_at"].isoformat() == "2026-03-31T16:00:00+00:00"
    assert await letters(house) == []


async def test_loading_again_changes_nothing_however_the_file_is_written(house: House, files: Path) -> None:
    await load(house, files)
    before = await fingerprint(house)
    written = {
        "the same": CSV.encode(),
        "GB18030": CSV.encode("gb18030"),
        "with a mark": b"\xef\xbb\xbf" + CSV.encode(),
        "lines of Windows": CSV.replace("\n", "\r\n").encode(),
        "no last line end": CSV.rstrip("\n").encode(),
        "empty lines": CSV.replace("\n", "\n\n").encode(),
        "spaces around": CSV.replace(",", " , ").encode(),
    }
    for how, content in written.items():
        assert await load(house, files, content) == counts(rows=2, duplicate=6), how
    assert await fingerprint(house) == before


async def test_another_mapping_makes_other_events(house: House, files: Path) -> None:
    await load(house, files)
    assert await load(house, files, mapping=MAPPING.replace('"crm"', '"crm-2"')) == counts(
        rows=2, accepted=5, rejected=1
    )


async def test_an_event_id_does_not_hold_the_key(house: House, files: Path) -> None:
    by_number = MAPPING.replace('key = ["编号"]', 'key = ["号码"]')
    await load(house, files, mapping=by_number)
    seen = await rows(house.stores["cn"], "outbox")
    assert len(seen) == 6
    assert all(row["event_id"].startswith("crm:") and "1390013" not in row["event_id"] for row in seen)


MISFITS = (
    ("K-9,赵六,其他,,13700137009,无,,2026-03-06 10:00", "性别", "one of 女, 男"),
    ("K-9,,女,,13700137009,无,,2026-03-06 10:00", "姓名", "a value"),
    (",赵六,女,,13700137009,无,,2026-03-06 10:00", "编号", "a value"),
    ("K-9,赵六,女,17.5.1988,13700137009,无,,2026-03-06 10:00", "生日", "a date written %Y/%m/%d"),
    ("K-9,赵六,女,,13700137009,无,,06.03.2026", "日期", "an instant written %Y-%m-%d %H:%M"),
    ("K-9,赵六,女,,13700137009,,,2026-03-06 10:00", "套餐", "a value"),
    ("K-9,赵六,女", "", "8 fields"),
    ("K-9,赵六,女,,13700137009,无,,2026-03-06 10:00,more", "", "8 fields"),
)


async def test_a_row_that_does_not_fit_is_refused_whole(house: House, files: Path) -> None:
    content = CSV + "".join(f"{row}\n" for row, _, _ in MISFITS)
    assert await load(house, files, content) == counts(rows=10, accepted=6, rows_refused=8)
    assert sorted(await letters(house)) == sorted(("ROW_INVALID", field, expected) for _, field, expected in MISFITS)
    cn = house.stores["cn"]
    assert len(await rows(cn, "customer")) == len(await rows(cn, "number_holding")) == 2
    await load(house, files, content)
    found = await rows(cn, "dead_letter")
    assert [one["seen"] for one in found] == [2] * 8
    assert not any("赵六".encode() in one["body"] for one in found)


async def test_an_event_that_the_door_refuses_leaves_the_others(house: House, files: Path) -> None:
    content = CSV.replace("138 0013 8001", "12345").replace("58.00", "58.001")
    assert await load(house, files, content) == counts(rows=2, accepted=4, rejected=2)
    assert {(code, field) for code, field, _ in await letters(house)} == {
        ("NUMBER_INVALID", "number"),
        ("EVENT_INVALID", "amountDue.value"),
    }
    assert await rows(house.stores["cn"], "bill") == []


async def test_the_region_of_the_command_goes_first_and_columns_may_name_it(house: House, files: Path) -> None:
    assert await load(house, files, mapping=HEAD + REGISTERED, region="HK") == counts(rows=2, accepted=2)
    assert {row["region"] for row in await rows(house.stores["hk"], "customer")} == {"HK"}
    per_row = REGISTERED.replace("[event.fields]", 'region = { column = "号码" }\n[event.fields]')
    content = CSV.replace("138 0013 8001", "CN-BJ").replace("13900139002", "somewhere")
    assert await load(house, files, content, HEAD + per_row) == counts(rows=2, accepted=1, rejected=1)
    assert {row["region"] for row in await rows(house.stores["cn"], "customer")} == {"CN-BJ"}
    assert [(code, field) for code, field, _ in await letters(house)] == [("EVENT_INVALID", "region")]


async def test_a_named_encoding_is_taken(house: House, files: Path) -> None:
    content = CSV.replace("编号", "編號").replace("陈美玲", "陳美玲").replace("号码", "號碼").replace("费用", "費用")
    content = content.replace("姓名,性别", "姓名,性別").replace("宽带", "寬頻").replace("无", "無")
    mapping = 'encoding = "big5hkscs"' + HEAD.replace("编号", "編號") + REGISTERED.replace("编号", "編號")
    mapping = mapping.replace("性别", "性別")
    assert await load(house, files, content.encode("big5hkscs"), mapping) == counts(rows=2, accepted=2)


async def test_a_reason_may_say_what_the_encoding_of_the_file_cannot(house: House, files: Path) -> None:
    content = "編號,姓名,性別,生日,日期\nK-1,陳美玲,無,,2026-03-05 09:30\n"
    mapping = 'encoding = "big5hkscs"' + (HEAD + REGISTERED).replace("编号", "編號").replace("性别", "性別")
    mapping = mapping.replace('"女"', '"证"')
    assert await load(house, files, content.encode("big5hkscs"), mapping) == counts(rows=1, rows_refused=1)
    [kept] = files.glob("*.rejects.csv")  # noqa: ASYNC240 - a folder of a test
    assert kept.read_text("big5hkscs").splitlines()[1] == (
        'ROW_INVALID,性別,"one of ?, 男",K-1,陳美玲,無,,2026-03-05 09:30'
    )


@pytest.mark.parametrize(
    ("content", "code", "told"),
    [
        (b"\xff\xff\xff\xff", "FILE_INVALID", "people.csv: expected text in UTF-8 or GB18030"),
        ("", "FILE_INVALID", "people.csv: expected a header line"),
        ("编号,姓名,姓名\n", "FILE_INVALID", "people.csv: expected each column once; '姓名' is there twice"),
        ("编号,姓名\n", "MAPPING_INVALID", "event[0].at.column: expected a column of people.csv; it has no '日期'"),
        (CSV + 'K-3,"open\n', "FILE_INVALID", "people.csv, line 4: expected fields in CSV, with quotes closed"),
        (
            CSV + 'K-3,"open\nK-4,x\nK-5,y\n',
            "FILE_INVALID",
            "people.csv, line 4: expected fields in CSV, with quotes closed",
        ),
    ],
)
async def test_a_file_that_cannot_be_read(
    house: House, files: Path, content: str | bytes, code: str, told: str
) -> None:
    with pytest.raises(RequestInvalid) as refused:
        await load(house, files, content)
    assert (refused.value.code, str(refused.value)) == (code, told)
    assert await rows(house.stores["cn"], "customer") == []
    assert await letters(house) == []


@pytest.mark.parametrize("region", ["MO", "nowhere", ""])
async def test_a_region_that_is_not_served_stops_the_load(house: House, files: Path, region: str) -> None:
    with pytest.raises(RequestInvalid, match="region: expected one that is served here"):
        await load(house, files, mapping=MAPPING.replace('region = "CN-GD"\n', ""), region=region)
    assert await rows(house.stores["cn"], "customer") == []


TEXT = "letters, digits, _, - and ., at most 40"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('name = "crm"', "", f"name: expected {TEXT}"),
        ('name = "crm"', 'name = "a b"', f"name: expected {TEXT}"),
        ('name = "crm"', 'name = "crm"\ncolour = 1', "colour: expected one of name, key, region"),
        ('key = ["编号"]', "key = []", "key: expected a list of columns"),
        ('key = ["编号"]', "key = [1]", "key[0]: expected the name of a column"),
        ('region = "CN-GD"', 'region = "Canton"', "region: expected a region such as HK or CN-GD"),
        ('currency = "CNY"', 'currency = "RMB"', "currency: expected a currency of ISO 4217"),
        ('currency = "CNY"', "", "currency: expected a currency: event[3].fields.amountDue is money"),
        ('time_zone = "+08:00"', 'time_zone = "China"', "time_zone: expected an offset such as +08:00, or a zone"),
        ('time_zone = "+08:00"', 'time_zone = "../etc"', "time_zone: expected an offset such as +08:00, or a zone"),
        ('time_zone = "+08:00"', "time_zone = 8", "time_zone: expected an offset such as +08:00, or a zone"),
        ('time_zone = "+08:00"', 'encoding = "latin1"', "encoding: expected one of utf-8, gb18030, big5hkscs"),
        ("[tables.gender]", "[tables]\ngender = 1\n[tables.more]", "tables.gender: expected a table of values"),
        ('type = "NumberActivated"', 'type = "NumberActive"', "event[1].type: expected one of CustomerRegistered"),
        ('type = "NumberActivated"', "type = []", "event[1].type: expected one of CustomerRegistered"),
        ('type = "NumberActivated"', 'type = "NumberActivated"\nid = "?"', f"event[1].id: expected {TEXT}"),
        (
            'type = "NumberActivated"',
            'type = "NumberActivated"\nid = "CustomerRegistered"',
            "event[1].id: expected an id that no event before it has",
        ),
        ('type = "NumberActivated"', 'type = "NumberActivated"\nif = 1', "event[1].if: expected one of type, id, when"),
        ('number = { column = "号码" }', "", "event[1].fields.number: expected a value: NumberActivated needs it"),
        ('kind = "BROADBAND"', 'sort = "BROADBAND"', "event[2].fields.sort: expected one of productRef"),
        ('{ column = "姓名" }', "{ column = 1 }", "event[0].fields.name.column: expected the name of a column"),
        (
            '{ column = "姓名" }',
            '{ column = "姓名", lower = true }',
            "event[0].fields.name.lower: expected one of column",
        ),
        ('{ column = "姓名" }', '{ column = "姓名", as = "name" }', "event[0].fields.name.as: expected one of text"),
        (
            '{ column = "姓名" }',
            '{ column = "姓名", format = "%Y" }',
            "event[0].fields.name.format: expected a form of",
        ),
        (
            '{ column = "姓名" }',
            '{ column = "姓名", as = "months_before" }',
            "event[0].fields.name.day: expected a day",
        ),
        (
            '{ column = "姓名" }',
            '{ column = "姓名", as = "quantity", unit = "hours" }',
            "event[0].fields.name.unit: expected one of seconds, minutes, messages",
        ),
        ('{ column = "姓名" }', '{ column = "姓名", unit = [] }', "event[0].fields.name.unit: expected one of seconds"),
        ('{ column = "姓名" }', "{ sum = [] }", "event[0].fields.name.sum: expected a list of columns"),
        (
            '{ column = "姓名" }',
            '{ sum = ["费用", 1] }',
            "event[0].fields.name.sum.column: expected the name of a column",
        ),
        ('table = "gender"', 'table = "sex"', "event[0].fields.gender.table: expected one of gender"),
        ('{ text = "套餐：{套餐}" }', "{ text = 1 }", "event[2].fields.name.text: expected text with {Column} in it"),
        ('differs = "无"', 'equal = "无"', "event[2].when.equal: expected one of column, equals, differs"),
        (', differs = "无"', "", "event[2].when: expected equals or differs"),
        ('differs = "无"', "differs = 1", "event[2].when.differs: expected text, or a list of texts"),
        ("at = { column", "on = { column", "on: expected one of name"),
        (
            '"%Y-%m-%d %H:%M" }',
            '"%Y-%m-%d %H:%M", blank = "omit" }',
            "event[0].at.blank: expected reject, skip or a value",
        ),
        ("subject = {", "subject = 1 #", "event[0].subject: expected a table"),
        ("[[event]]", "[[event", "expected TOML:"),
        (REGISTERED + NUMBER + PRODUCT + BILL, "", "event: expected at least one [[event]]"),
    ],
)
def test_a_wrong_mapping_is_told_in_one_line(old: str, new: str, told: str) -> None:
    assert old in MAPPING
    with pytest.raises(RequestInvalid) as refused:
        parse_mapping(MAPPING.replace(old, new, 1), EVENTS)
    assert refused.value.code == "MAPPING_INVALID"
    assert str(refused.value).startswith(told)
    assert "\n" not in str(refused.value)


async def test_with_a_wrong_mapping_nothing_is_loaded(house: House, files: Path) -> None:
    with pytest.raises(RequestInvalid, match=r"people.toml: event\[1\].type: expected one of CustomerRegistered"):
        await load(house, files, mapping=MAPPING.replace("NumberActivated", "NumberActive"))
    assert await rows(house.stores["cn"], "customer") == []


def mapped(value: str) -> FileMapping:
    """A mapping with one event whose `name` is this value."""
    head = 'name = "x"\nkey = ["C"]\nat = 2026-01-01\ncurrency = "HKD"\nsubject = { customerKey = "k" }\n'
    fields = f'[event.fields]\nkind = "INDIVIDUAL"\nname = {value}\n'
    return parse_mapping(
        f'{head}[tables.t]\nx = "text"\nn = 1\n[[event]]\ntype = "CustomerRegistered"\n{fields}', EVENTS
    )


@pytest.mark.parametrize(
    ("value", "cell", "filled"),
    [
        ('{ column = "C", as = "integer" }', "-12", -12),
        ('{ column = "C", as = "boolean" }', "true", True),
        ('{ column = "C", as = "money" }', "1.5", {"value": "1.5", "unit": "HKD"}),
        ('{ column = "C", as = "money", blank = "0" }', "", {"value": "0", "unit": "HKD"}),
        ('{ column = "C", as = "money" }', "45.070000", {"value": "45.07", "unit": "HKD"}),
        ('{ column = "C", as = "money" }', "45.071000", {"value": "45.071000", "unit": "HKD"}),
        ('{ sum = ["C", "C"] }', "-1.50", {"value": "-1.50", "unit": "HKD"}),
        ('{ column = "C", as = "quantity", unit = "minutes" }', "265.100000", 15906),
        ('{ column = "C", as = "quantity", unit = "megabytes" }', "1.5", 1_572_864),
        ('{ column = "C", blank = 7 }', "", 7),
        ('{ column = "C", table = "t" }', "x", "text"),
        ('{ column = "C", table = "t" }', "n", 1),
        ('{ column = "C", as = "date" }', "2026-02-28", "2026-02-28"),
        ('{ column = "C", as = "instant" }', "2026-02-28", "2026-02-28T00:00:00+00:00"),
        ('{ column = "C", as = "instant" }', "2026-02-28T08:00:00+08:00", "2026-02-28T08:00:00+08:00"),
        ('{ column = "C", as = "months_before", day = "2026-03-31" }', "1", "2026-02-28"),
        ('{ column = "C", as = "months_before", day = 2026-03-01 }', "15", "2024-12-01"),
        ('[{ column = "C", blank = "omit" }, "b"]', "", ["b"]),
        ('{ a = { column = "C" }, b.c = 1 }', "z", {"a": "z", "b": {"c": 1}}),
        ('{ text = "{C}/{C}" }', "z", "z/z"),
    ],
)
def test_values_are_read_as_the_mapping_says(value: str, cell: str, filled: Any) -> None:
    (event,) = mapped(value).events
    assert event.fill({"C": cell})["name"] == filled


@pytest.mark.parametrize(
    ("value", "cell", "expected"),
    [
        ('{ column = "C", as = "integer" }', "1.0", "a whole number"),
        ('{ column = "C", as = "integer" }', "１", "a whole number"),
        ('{ column = "C", as = "boolean" }', "yes", "true or false"),
        ('{ column = "C", as = "date" }', "31.1.2026", "a date written as in ISO 8601"),
        ('{ column = "C", as = "months_before", day = "2026-03-31" }', "-1", "a number of months"),
        ('{ column = "C", as = "months_before", day = "2026-03-31" }', "999", "a number of months"),
        ('{ text = "{C}" }', "", "a value"),
        ('{ sum = ["C"] }', "1,50", "an amount of money"),
        ('{ sum = ["C"] }', "", "a value"),
        (
            '{ column = "C", as = "quantity", unit = "minutes" }',
            "0.001",
            "a whole number of seconds, messages or bytes",
        ),
        (
            '{ column = "C", as = "quantity", unit = "bytes" }',
            "-1",
            "a decimal number, not negative, written with digits and one point",
        ),
    ],
)
def test_a_cell_that_does_not_fit_is_not_guessed(value: str, cell: str, expected: str) -> None:
    (event,) = mapped(value).events
    with pytest.raises(EventInvalid) as refused:
        event.fill({"C": cell})
    assert (refused.value.field, refused.value.expected) == ("C", expected)


@pytest.mark.parametrize(
    ("zone", "cell", "read"),
    [
        ("Asia/Shanghai", "2026-03-29 02:30", "2026-03-29T02:30:00+08:00"),
        ("Europe/Berlin", "2026-03-29 03:30", "2026-03-29T03:30:00+02:00"),
        ("Europe/Berlin", "2026-10-25 03:30", "2026-10-25T03:30:00+01:00"),
        ("Europe/Berlin", "2026-10-25 02:30+02:00", "2026-10-25T02:30:00+02:00"),
        ("Asia/Hong_Kong", "1976-04-18", "1976-04-18T00:00:00+08:00"),
        ("-03:30", "2026-01-01 00:00", "2026-01-01T00:00:00-03:30"),
        ("Europe/Berlin", "2026-03-29 02:30", None),
        ("Europe/Berlin", "2026-10-25 02:30", None),
        ("Asia/Hong_Kong", "1976-04-18 03:45", None),
    ],
)
def test_a_local_time_is_read_in_its_zone_or_refused(zone: str, cell: str, read: str | None) -> None:
    """Clocks skip an hour in spring and show one twice in autumn: such a time is no instant."""
    at = 'at = { column = "日期", as = "instant" }'
    head = f"{HEAD[: HEAD.index('at = ')]}{at}\n{HEAD[HEAD.index('subject') :]}".replace("+08:00", zone)
    (event,) = parse_mapping(head + NUMBER, EVENTS).events
    row = {"编号": "K-1", "号码": "1", "日期": cell}
    if read is not None:
        assert event.fill(row)["at"] == read
        return
    with pytest.raises(EventInvalid) as refused:
        event.fill(row)
    assert refused.value.field == "日期"
    assert refused.value.expected == f"a time that the clocks of {zone} showed once, or one with its offset"


def test_a_day_that_began_at_no_time_is_refused_for_a_constant_too() -> None:
    """In Havana the clocks go on at midnight."""
    head = HEAD.replace("+08:00", "America/Havana").replace(
        'at = { column = "日期", as = "instant", format = "%Y-%m-%d %H:%M" }', "at = 2026-03-08"
    )
    (event,) = parse_mapping(head + NUMBER, EVENTS).events
    with pytest.raises(EventInvalid, match="at: expected a time that the clocks of America/Havana showed once"):
        event.fill({"编号": "K-1", "号码": "1"})


def test_conditions_are_all_to_be_met() -> None:
    when = 'when = [{ column = "C", equals = ["a", "b"] }, { column = "D", differs = "x" }]\n'
    mapping = parse_mapping(MAPPING.replace("[event.fields]", when + "[event.fields]", 1), EVENTS)
    rows_met = [{"C": c, "D": d} for c in "abc" for d in "xy" if mapping.events[0].applies({"C": c, "D": d})]
    assert rows_met == [{"C": "a", "D": "y"}, {"C": "b", "D": "y"}]
