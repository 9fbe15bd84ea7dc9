"""The segments of mainland mobiles: from a file into the reference table of every store, all of it or nothing.

Two kinds of file are read: a CSV file of one prefix a line, and (by the ending .dat) the file of the PyPI package
`phone`, whose offices are translated into regions of ISO 3166-2 and operators' names. Neighbouring prefixes that have
all else alike become one row: about 137,000 rows of 500,000 prefixes.
"""

import csv
import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from cdp.errors import RequestInvalid
from cdp.number_facts import Segment
from cdp.stores import Store
from cdp.values import PROVINCES

HEADER: Final = ("prefix", "region", "city", "issuer")
COLUMNS: Final = ("first_prefix", "last_prefix", "region", "city", "issuer")
PREFIX: Final = re.compile(r"1[0-9]{6}")
LONGEST_NAME: Final = 60
MOST_TOLD: Final = 20
"""Bad lines of a file that are told at once."""

# The package's file: edition (4 bytes), where its records begin (uint32), its offices as texts that end with NUL, its
# records of prefix, where the office is, and operator.
HEAD, RECORD = struct.Struct("<4sI"), struct.Struct("<IIB")
_NAMES: Final = (
    "安徽AH 北京BJ 重庆CQ 福建FJ 广东GD 甘肃GS 广西GX 贵州GZ 河南HA 湖北HB 河北HE 海南HI 黑龙江HL 湖南HN 吉林JL 江苏JS"
    " 江西JX 辽宁LN 内蒙古NM 宁夏NX 青海QH 四川SC 山东SD 上海SH 陕西SN 山西SX 天津TJ 新疆XJ 西藏XZ 云南YN 浙江ZJ"
)
REGIONS: Final = {name[:-2]: f"CN-{name[-2:]}" for name in _NAMES.split()}
_MOBILE, _UNICOM, _TELECOM, _BROADNET = "China Mobile", "China Unicom", "China Telecom", "China Broadnet"
# Virtual operators (4, 5, 6, 8) are called by whose network they sell.
ISSUERS: Final = dict(
    zip(range(1, 9), (_MOBILE, _UNICOM, _TELECOM, _TELECOM, _UNICOM, _MOBILE, *[_BROADNET] * 2), strict=True)
)

Watch = Callable[[Sequence[Any]], Iterable[Any]]
"""Hands on what it is given, and shows how far it is."""


class Run(NamedTuple):
    """Prefixes from `first` to `last` that are of one segment."""

    first: int
    last: int
    segment: Segment


class _Lines(NamedTuple):
    """The lines of a file: what one is called, the number of the first, all of them, and how one is read."""

    called: str
    first: int
    all: Sequence[Any]
    read: Callable[[Any], tuple[int, Segment]]


class _Bad(Exception):
    """What is wrong with a line: the field, and what was expected."""


def read_segments(path: Path, watch: Watch) -> list[Run]:
    """The runs of a file, rising. Raises RequestInvalid SEGMENTS_INVALID with the number and fault of each bad line
    (of the first twenty), never with what stands in it.
    """
    lines = (_packed if path.suffix == ".dat" else _written)(path)
    found: dict[int, Segment] = {}
    faults: list[str] = []
    for number, line in enumerate(watch(lines.all), start=lines.first):
        try:
            prefix, segment = lines.read(line)
            if prefix in found:
                raise _Bad("prefix: expected each prefix once")
            found[prefix] = segment
        except _Bad as bad:
            faults.append(f"{lines.called} {number}: {bad}")
    if faults:
        more = f"; and {len(faults) - MOST_TOLD:,} more" if len(faults) > MOST_TOLD else ""
        raise _invalid(path, "; ".join(faults[:MOST_TOLD]) + more)
    if not found:
        raise _invalid(path, "expected at least one segment")
    return _runs(found)


async def load_segments(stores: Iterable[Store], runs: Iterable[Run]) -> None:
    """Makes these the segments of every store, each in one transaction, in place of those it had."""
    records = [(run.first, run.last, *run.segment) for run in runs]
    for store in stores:
        async with store.transaction() as connection:
            await connection.execute("DELETE FROM number_segment")
            await connection.copy_records_to_table("number_segment", columns=COLUMNS, records=records)


def _runs(found: Mapping[int, Segment]) -> list[Run]:
    runs: list[Run] = []
    for prefix in sorted(found):
        last = runs[-1] if runs else None
        if last is not None and last.last == prefix - 1 and last.segment == found[prefix]:
            runs[-1] = last._replace(last=prefix)
        else:
            runs.append(Run(prefix, prefix, found[prefix]))
    return runs


def _written(path: Path) -> _Lines:
    """The lines of a CSV file."""
    try:
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise _invalid(path, "expected UTF-8") from None
    if not lines or tuple(lines[0].split(",")) != HEADER:
        raise _invalid(path, f"line 1: expected the header {','.join(HEADER)}")
    return _Lines("line", 2, lines[1:], _of_line)


def _of_line(line: str) -> tuple[int, Segment]:
    try:
        [values] = csv.reader([line], strict=True)
    except (csv.Error, ValueError):
        raise _Bad("expected comma-separated values") from None
    if len(values) != len(HEADER):
        raise _Bad(f"expected {len(HEADER)} values")
    prefix, *rest = (value.strip() for value in values)
    return _checked(prefix, Segment(*rest))


def _checked(prefix: str, segment: Segment) -> tuple[int, Segment]:
    if not PREFIX.fullmatch(prefix):
        raise _Bad("prefix: expected the first seven digits of a mainland mobile number")
    if segment.region not in PROVINCES:
        raise _Bad("region: expected a province of ISO 3166-2 such as CN-GD")
    for name, value in (("city", segment.city), ("issuer", segment.issuer)):
        if not (0 < len(value) <= LONGEST_NAME and value.isprintable()):
            raise _Bad(f"{name}: expected a name of at most {LONGEST_NAME} characters")
    return int(prefix), segment


def _packed(path: Path) -> _Lines:
    """The records of the package's file."""
    content = path.read_bytes()
    edition, begin = HEAD.unpack_from(content) if len(content) > HEAD.size else (b"", 0)
    if not (edition.isdigit() and HEAD.size < begin <= len(content) and (len(content) - begin) % RECORD.size == 0):
        raise _invalid(path, "expected the file phone.dat of the package `phone`, whole")
    texts, known = content[:begin], dict[tuple[int, int], Segment]()

    def of_record(place: int) -> tuple[int, Segment]:
        prefix, *office = RECORD.unpack_from(content, place)
        if (key := tuple(office)) not in known:
            known[key] = _segment_at(texts, *office)
        return _checked(str(prefix), known[key])

    return _Lines("record", 1, range(begin, len(content), RECORD.size), of_record)


def _segment_at(texts: bytes, office: int, operator: int) -> Segment:
    end = texts.find(b"\0", office) if HEAD.size <= office < len(texts) else -1
    province, _, rest = texts[office : max(end, office)].decode(errors="replace").partition("|")
    if province not in REGIONS:
        raise _Bad("office: expected one that begins with the name of a province")
    if operator not in ISSUERS:
        raise _Bad("operator: expected one of 1 to 8")
    return Segment(REGIONS[province], rest.partition("|")[0], ISSUERS[operator])


def _invalid(path: Path, told: str) -> RequestInvalid:
    return RequestInvalid("SEGMENTS_INVALID", f"{path.name}: {told}")
