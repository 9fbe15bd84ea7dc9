"""A mapping to begin with, from the header of a file and the looks of its columns; for somebody to correct.

What is not known is left for them to fill in, so that it cannot be loaded by mistake: a region is never guessed, a
date that could be read in two ways has no format. Nothing of what the cells hold is in it.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final

from cdp.file_records import Source, open_source

LOOKED_AT: Final = 1_000
FORMATS: Final = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%Y年%m月%d日", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y")
TIMES: Final = ("%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M", "%Y-%m-%dT%H:%M:%S")

KNOWN: Final[Mapping[str, str]] = {
    "customerKey": "客户编号 客户号 客户标识 用户编号 客户id 編號 编号 customerid customerno customerkey custid custno",
    "name": "姓名 客户姓名 客户名称 用户姓名 名字 name fullname customername",
    "number": "手机号 手机号码 手機號碼 电话 电话号码 電話號碼 联系电话 号码 號碼 用户号码 "
    "msisdn phone phonenumber phoneno mobile mobilenumber number telephone",
    "documentNumber": "证件号 证件号码 證件號碼 身份证 身份证号 身份证号码 "
    "idnumber idno documentnumber documentno nationalid",
    "documentType": "证件类型 證件類型 idtype documenttype",
    "gender": "性别 性別 gender sex",
    "birthDate": "出生日期 生日 出生年月日 birthdate birthday dateofbirth dob",
    "email": "邮箱 电子邮箱 电子邮件 電郵 email emailaddress mail",
    "address": "地址 住址 联系地址 通信地址 address",
    "accountNo": "账号 账户 帐号 账户号 賬號 accountno accountnumber account",
    "at": "时间 日期 开户时间 开户日期 入网时间 入网日期 注册时间 登记时间 "
    "createdat registeredat registrationdate activationdate",
    "region": "地区 區域 区域 省份 省 归属地 城市 region province area state country",
}
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "gender": {
        **dict.fromkeys(("女", "F", "Female", "female"), "FEMALE"),
        **dict.fromkeys(("男", "M", "Male", "male"), "MALE"),
    },
    "documentType": {
        **dict.fromkeys(("身份证", "居民身份证", "ID card"), "NATIONAL_ID"),
        **dict.fromkeys(("护照", "護照", "Passport"), "PASSPORT"),
        **dict.fromkeys(("香港身份證", "香港身份证", "HKID"), "HONG_KONG_ID"),
        **dict.fromkeys(("营业执照", "商業登記證"), "BUSINESS_LICENCE"),
    },
}
PROFILE: Final = ("customerKey", "name", "gender", "birthDate", "email", "address", "documentType", "documentNumber")


class _Column:
    """A column as it looks in the first records."""

    def __init__(self, name: str, cells: Sequence[str]) -> None:
        self.name, self.written = name, json.dumps(name, ensure_ascii=False)
        self.filled = [cell for cell in cells if cell]
        self.blanks = len(self.filled) < len(cells)
        self.differ = not self.blanks and len(set(self.filled)) == len(cells)

    def forms(self, formats: Sequence[str]) -> list[str]:
        """The forms in which every cell can be read."""
        return [form for form in formats if self.filled and all(_reads(cell, form) for cell in self.filled)]

    def looks(self) -> str:
        if not self.filled:
            return "blank"
        tests: dict[str, Callable[[str], object]] = {
            "whole numbers": lambda cell: re.fullmatch(r"-?\d+", cell),
            "decimal numbers": lambda cell: re.fullmatch(r"-?\d+(\.\d+)?", cell),
            "days": lambda cell: any(_reads(cell, form) for form in FORMATS),
            "instants": lambda cell: any(_reads(cell, form) for form in TIMES),
        }
        found = next((kind for kind, test in tests.items() if all(map(test, self.filled))), "text")
        few = f", {len(set(self.filled))} different ones" if len(set(self.filled)) <= 12 else ""
        return f"{found}{few}{', some blank' if self.blanks else ''}"


def _reads(cell: str, form: str) -> bool:
    try:
        return bool(datetime.strptime(cell, form))  # noqa: DTZ007 -- only whether it can be read
    except ValueError:
        return False


def suggestion(path: Path) -> str:
    """The mapping as TOML. Raises RequestInvalid FILE_INVALID."""
    source = open_source(path, None, {})
    columns = _columns(source)
    known: dict[str, _Column] = {}
    for column in columns:
        word = re.sub(r"[\s_.\-()（）]", "", column.name).casefold()
        for role, names in KNOWN.items():
            if word in names.split() and role not in known:
                known[role] = column
    return "\n".join([*_head(path, known, columns), *_tables(known), *_events(known), *_rest(columns, known)]) + "\n"


def _columns(source: Source) -> list[_Column]:
    rows = [record.row for record in islice(source.records(), LOOKED_AT) if record.row is not None]
    rows = list({tuple(row.items()): row for row in rows}.values())  # the same record twice is one
    return [_Column(name, [row.get(name, "") for row in rows]) for name in source.columns]


def _head(path: Path, known: Mapping[str, _Column], columns: Sequence[_Column]) -> Iterator[str]:
    yield "# A suggestion: read it, correct it, and fill in what is left open before anything is loaded by it."
    yield f'name = "{re.sub(r"[^A-Za-z0-9_.-]+", "-", path.name.partition(".")[0])[:40].strip("-") or "file"}"'
    keys = [known[role] for role in ("customerKey", "accountNo", "number") if role in known]
    key = next(iter([one for one in [*keys, *columns] if one.differ]), None)
    twice = f" Of {keys[0].written} some are there twice, or blank." if keys else ""
    yield (
        f"key = [{key.written}]" if key else f"# key = [...]  # the columns that tell a record from all others.{twice}"
    )
    told = f" The column {known['region'].written} may tell it." if "region" in known else ""
    yield f"# region = ...  # where the records are kept, such as HK or CN-GD.{told}"
    yield '# currency = ...  # of amounts, such as "HKD"'
    yield '# time_zone = ...  # of times without an offset, such as "Asia/Hong_Kong"'
    at = known.get("at")
    read = None if at is None else _time(at, "instant", (*TIMES, *FORMATS))
    if at and not read:
        yield f'# at = {{ column = {at.written}, as = "instant", format = ... }}  # it can be read in two ways, or none'
    else:
        yield f"at = {read}" if read else '# at = ...  # when it happened: an instant, or a column with as = "instant"'
    for role in ("customerKey", "accountNo", "number"):
        if role in known:
            yield f"subject = {{ {role} = {{ column = {known[role].written} }} }}"
            return
    yield '# subject = ...  # whom a record is about, such as { customerKey = { column = "..." } }'


def _time(column: _Column, kind: str, formats: Sequence[str]) -> str | None:
    """How a column of times is read; None where it could be read in two ways, or none."""
    if len(forms := column.forms(formats)) != 1:
        return None
    blank = ', blank = "omit"' if column.blanks and kind == "date" else ""
    return f'{{ column = {column.written}, as = "{kind}", format = "{forms[0]}"{blank} }}'


def _tables(known: Mapping[str, _Column]) -> Iterator[str]:
    for role, words in WORDS.items():
        if role in known:
            yield from ("", f"[tables.{role}]  # a word that is not here is refused")
            yield from (f'{json.dumps(word, ensure_ascii=False)} = "{ours}"' for word, ours in words.items())


def _events(known: Mapping[str, _Column]) -> Iterator[str]:
    yield from ("", "[[event]]", 'type = "CustomerRegistered"', "[event.fields]")
    yield 'kind = "INDIVIDUAL"  # or ORGANIZATION'
    for role in PROFILE:
        if role not in known:
            continue
        column = known[role]
        table = f', table = "{role}"' if role in WORDS else ""
        blank = ', blank = "omit"' if column.blanks else ""
        value: str | None = f"{{ column = {column.written}{table}{blank} }}"
        if role == "birthDate":
            value = _time(column, "date", FORMATS)
        yield f"{role} = {value}" if value else f"# {role} = ...  # {column.written} can be read in two ways, or none"
    if "number" in known:
        yield from ("", "[[event]]", 'type = "NumberActivated"', "[event.fields]")
        skip = ', blank = "skip"' if known["number"].blanks else ""
        yield f"number = {{ column = {known['number'].written}{skip} }}"


def _rest(columns: Sequence[_Column], known: Mapping[str, _Column]) -> Iterator[str]:
    used = [id(column) for role, column in known.items() if role not in ("accountNo", "region")]
    if left := [column for column in columns if id(column) not in used]:
        yield from ("", "# Not used yet:")
        yield from (f"#   {column.written}: {column.looks()}" for column in left)
