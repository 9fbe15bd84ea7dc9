"""Segments of mainland mobiles: a file whole or not at all, and each prefix in one step."""

import struct
from pathlib import Path
from random import Random

import asyncpg
import pytest

from cdp.errors import RequestInvalid
from cdp.identity.reads import SEGMENT, segment_of
from cdp.identity.segments import REGIONS, Run, load_segments, read_segments
from cdp.number_facts import NumberFacts, Segment, facts, prefix_of
from cdp.numbers import NumberKind, PhoneNumber
from cdp.stores import Store, Stores
from cdp.values import PROVINCES

HEADER = "prefix,region,city,issuer\n"
SHENZHEN = Segment("CN-GD", "深圳", "China Mobile")
BEIJING = Segment("CN-BJ", "北京", "China Mobile")


def runs_of(path: Path) -> list[Run]:
    return read_segments(path, iter)


def written(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "segments.csv"
    path.write_text(header + "".join(f"{line}\n" for line in lines), "utf-8")
    return path


def fault(path: Path) -> str:
    with pytest.raises(RequestInvalid) as refused:
        runs_of(path)
    assert refused.value.code == "SEGMENTS_INVALID"
    return str(refused.value).removeprefix(f"{path.name}: ")


def test_neighbours_alike_are_one_row_whatever_their_order(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "1380014,CN-BJ,北京,China Mobile",
        "1380013,CN-BJ,北京,China Mobile",
        '1380015,CN-GD,"深圳",China Mobile',
        "1380017,CN-GD, 深圳 ,China Mobile",
        header="\ufeff" + HEADER,
    )
    assert runs_of(path) == [
        Run(1380013, 1380014, BEIJING),
        Run(1380015, 1380015, SHENZHEN),
        Run(1380017, 1380017, SHENZHEN),
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("138001,CN-BJ,x,y", "prefix: expected the first seven digits of a mainland mobile number"),
        ("２３８００１３,CN-BJ,x,y", "prefix: expected the first seven digits of a mainland mobile number"),
        ("1380013,CN,x,y", "region: expected a province of ISO 3166-2 such as CN-GD"),
        ("1380013,广东,x,y", "region: expected a province of ISO 3166-2 such as CN-GD"),
        ("1380013,CN-GD,,y", "city: expected a name of at most 60 characters"),
        ("1380013,CN-GD,x," + "y" * 61, "issuer: expected a name of at most 60 characters"),
        ("1380013,CN-GD,x\x07,y", "city: expected a name of at most 60 characters"),
        ("1380013,CN-GD,x", "expected 4 values"),
        ("1380013,CN-GD,x,y,z", "expected 4 values"),
        ("", "expected 4 values"),
        ('1380013,CN-GD,"x,y', "expected comma-separated values"),
        ("1390000,CN-GD,x,y", "prefix: expected each prefix once"),
    ],
)
def test_a_bad_line_is_told_by_its_number_and_not_by_its_value(tmp_path: Path, line: str, told: str) -> None:
    path = written(tmp_path, "1390000,CN-GD,深圳,China Mobile", line, "1390001,CN-GD,深圳,China Mobile")
    assert fault(path) == f"line 3: {told}"


def test_every_bad_line_is_told_but_not_without_end(tmp_path: Path) -> None:
    told = fault(written(tmp_path, *["nonsense"] * 25)).split("; ")
    assert told[:2] == ["line 2: expected 4 values", "line 3: expected 4 values"]
    assert told[20:] == ["and 5 more"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "line 1: expected the header prefix,region,city,issuer"),
        (b"prefix,region,city\n", "line 1: expected the header prefix,region,city,issuer"),
        (HEADER.encode(), "expected at least one segment"),
        (b"\xff\xfe", "expected UTF-8"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "segments.csv"
    path.write_bytes(content)
    assert fault(path) == told


def packed(folder: Path, records: list[tuple[int, str, int]], *, edition: bytes = b"2312") -> Path:
    """A file as the package `phone` has it: head, offices, records."""
    offices, places = b"", {}
    for _, office, _ in records:
        if office not in places:
            places[office] = 8 + len(offices)
            offices += office.encode() + b"\0"
    body = b"".join(struct.pack("<IIB", prefix, places[office], operator) for prefix, office, operator in records)
    path = folder / "phone.dat"
    path.write_bytes(struct.pack("<4sI", edition, 8 + len(offices)) + offices + body)
    return path


def test_the_package_is_read_as_it_is(tmp_path: Path) -> None:
    office = "广东|深圳|518000|0755"
    path = packed(
        tmp_path,
        [
            (1380755, office, 1),
            (1380756, office, 1),
            (1700755, office, 4),
            (1710755, office, 5),
            (1920010, "北京|北京|1|1", 7),
        ],
    )
    assert runs_of(path) == [
        Run(1380755, 1380756, SHENZHEN),
        Run(1700755, 1700755, SHENZHEN._replace(issuer="China Telecom")),
        Run(1710755, 1710755, SHENZHEN._replace(issuer="China Unicom")),
        Run(1920010, 1920010, BEIJING._replace(issuer="China Broadnet")),
    ]
    assert set(REGIONS.values()) == PROVINCES


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ((1380755, "台湾|台北|0|0", 1), "office: expected one that begins with the name of a province"),
        ((1380755, "广东", 9), "operator: expected one of 1 to 8"),
        ((1380755, "广东", 1), "city: expected a name of at most 60 characters"),
        ((380755, "广东|深圳|0|0", 1), "prefix: expected the first seven digits of a mainland mobile number"),
    ],
)
def test_a_bad_record_of_the_package_is_told(tmp_path: Path, record: tuple[int, str, int], told: str) -> None:
    assert fault(packed(tmp_path, [(1390000, "北京|北京|0|0", 1), record])) == f"record 2: {told}"


def test_a_damaged_package_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path, [(1390000, "北京|北京|0|0", 1)])
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:4], whole[:12], b"????" + whole[4:], struct.pack("<4sI", b"2312", 1 << 31), b""):
        path.write_bytes(content)
        assert fault(path) == "expected the file phone.dat of the package `phone`, whole"
    # One byte of offices, and the rest taken for records.
    path.write_bytes(whole[:4] + struct.pack("<I", 9) + whole[8:] + b"\0" * ((9 - len(whole)) % 9))
    assert fault(path).startswith("record 1: ")


async def found(store: Store, prefix: int) -> Segment | None:
    async with store.read() as connection:
        return await segment_of(connection, prefix)


async def test_each_prefix_is_found_in_every_store_and_no_other(stores: Stores) -> None:
    random = Random(7)  # noqa: S311 -- the same each time
    names = [SHENZHEN, BEIJING, SHENZHEN._replace(city="广州")]
    known = {prefix: random.choice(names) for prefix in range(1380000, 1380120) if random.random() < 0.7}
    runs = [Run(prefix, prefix, segment) for prefix, segment in known.items()]
    merged = [Run(1390000, 1399999, BEIJING)]
    await load_segments(stores.values(), [*runs, *merged])
    for store in stores.values():
        for prefix in range(1379998, 1380123):
            assert await found(store, prefix) == known.get(prefix)
        assert [await found(store, prefix) for prefix in (1389999, 1390000, 1395555, 1399999, 1400000)] == [
            *(None, BEIJING, BEIJING, BEIJING, None)
        ]


async def test_a_prefix_is_found_by_one_step_in_the_key(stores: Stores) -> None:
    await load_segments([stores["cn"]], [Run(prefix, prefix, SHENZHEN) for prefix in range(1380000, 1384000)])
    async with stores["cn"].transaction() as connection:
        await connection.execute("ANALYZE number_segment")
        rows = await connection.fetch("EXPLAIN " + SEGMENT.replace("$1", "1380013"))
    plan = "\n".join(row[0] for row in rows)
    assert "Index Scan Backward using pk_number_segment" in plan
    assert "Seq Scan" not in plan


async def test_what_was_there_is_replaced_whole_or_not_at_all(stores: Stores) -> None:
    cn = stores["cn"]
    await load_segments([cn], [Run(1380000, 1380009, BEIJING), Run(1390000, 1390000, BEIJING)])
    with pytest.raises(asyncpg.UniqueViolationError):
        await load_segments([cn], [Run(1380000, 1380000, SHENZHEN), Run(1380000, 1380000, SHENZHEN)])
    assert [await found(cn, prefix) for prefix in (1380009, 1390000)] == [BEIJING, BEIJING]
    await load_segments([cn], [Run(1380000, 1380000, SHENZHEN)])
    assert [await found(cn, prefix) for prefix in (1380000, 1380009, 1390000)] == [SHENZHEN, None, None]


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("+8613800138000", 1380013),
        ("+8617001234567", 1700123),
        ("+861064712345678", 1064712),
        ("+8675586512345", None),
        ("+85291234567", None),
        ("+14155552671", None),
    ],
)
def test_only_mainland_mobiles_have_a_segment(text: str, prefix: int | None) -> None:
    number = PhoneNumber.parse(text)
    assert prefix_of(number) == prefix


def test_a_segment_tells_more_than_digits() -> None:
    number = PhoneNumber.parse("+8617312345678")
    assert facts(number, SHENZHEN) == NumberFacts("CN-GD", NumberKind.MOBILE, "China Mobile", "深圳")
    assert facts(number) == NumberFacts("CN", NumberKind.MOBILE, "China Telecom", None)
