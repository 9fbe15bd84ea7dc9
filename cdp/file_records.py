"""The records of a file, one after the other: CSV with a header line, NDJSON by paths, Parquet in batches.

Everything becomes text, as the file writes it, without the spaces around it; what is missing or null is blank, true
and false are `true` and `false`, and a list is its JSON. Columns that `cdp load` itself added to a file of refused
records (REASONS) are passed over. Never more than a few thousand records are in memory.
"""

import codecs
import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

from cdp.errors import RequestInvalid

REASONS: Final = ("cdp_reason", "cdp_field", "cdp_expected")
DETECTED: Final = ("utf-8-sig", "gb18030")
PIECE: Final = 1 << 20
LONGEST_LINE: Final = 1 << 20
PARQUET_ROWS: Final = 2_000
_PAIR: Final = r'"cdp_(?:reason|field|expected)"\s*:\s*"(?:[^"\\]|\\.)*"'
UNREAD: Final = '{"cdp_line": "'
REASON_PAIR: Final = re.compile(rf"{_PAIR}\s*,\s*|,\s*{_PAIR}")


class Form(Enum):
    """How a file is written; by the end of its name, CSV where that tells nothing."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


FORMS: Final = {".ndjson": Form.NDJSON, ".jsonl": Form.NDJSON, ".parquet": Form.PARQUET}


class FileRecord(NamedTuple):
    """One record: as text by column, or None with what was `expected` of it; and as it stands in the file (cells, or
    the line of NDJSON).
    """

    row: dict[str, str] | None
    written: Sequence[str] | str
    expected: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A file that can be read. `columns` are all of CSV and Parquet, of NDJSON those met so far; `digest` is the
    SHA-256 of what is in it, `size` about how many records.
    """

    path: Path
    form: Form
    encoding: str
    columns: Sequence[str]
    digest: str
    size: int

    def records(self) -> Iterator[FileRecord]:
        """Raises RequestInvalid FILE_INVALID where the file cannot be read on."""
        if self.form is Form.CSV:
            return _csv_records(self)
        return _lines_of_json(self) if self.form is Form.NDJSON else _parquet_records(self)


def open_source(path: Path, encoding: str | None, wanted: Mapping[str, str]) -> Source:
    """Looks a file through. `encoding`: of text, else UTF-8 and GB18030 are told apart; `wanted`: the columns a mapping
    reads, with the place where it names them. Raises RequestInvalid FILE_INVALID, or MAPPING_INVALID for one it lacks.
    """
    form = FORMS.get(path.suffix.lower(), Form.CSV)
    if form is Form.PARQUET:
        columns, size = _parquet_columns(path)
        with path.open("rb") as file:
            digest = _digest(file)
        source = Source(path, form, encoding or "utf-8", columns, digest, size)
    else:
        tried, digest, size = _survey(path, encoding)
        source = Source(path, form, tried, (), digest, size)
        columns = _header(source) if form is Form.CSV else _paths(source, wanted)
        source = Source(path, form, tried, columns, digest, max(size - (form is Form.CSV), 0))
    if not any(source.columns):
        expected = "a header line" if form is Form.CSV else "records"
        raise RequestInvalid("FILE_INVALID", f"{path.name}: expected {expected}")
    if twice := [column for column, count in Counter(source.columns).items() if count > 1]:
        raise RequestInvalid("FILE_INVALID", f"{path.name}: expected each column once; {twice[0]!r} is there twice")
    for column, where in wanted.items():
        if column not in source.columns:
            raise RequestInvalid("MAPPING_INVALID", f"{where}: expected a column of {path.name}; it has no {column!r}")
    return source


def _digest(file: Any) -> str:
    digest = sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
    return digest.hexdigest()


def _survey(path: Path, encoding: str | None) -> tuple[str, str, int]:
    """How the file is encoded, its digest and how many lines it has; raises RequestInvalid where it is neither way."""
    tried = DETECTED if encoding is None else ("utf-8-sig" if encoding == "utf-8" else encoding,)
    for name in tried:
        decoder, digest, lines = codecs.getincrementaldecoder(name)(), sha256(), 0
        try:
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    digest.update(piece)
                    lines += decoder.decode(piece).count("\n")
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return name, digest.hexdigest(), lines
    expected = encoding or "UTF-8 or GB18030"
    raise RequestInvalid("FILE_INVALID", f"{path.name}: expected text in {expected}")


def _csv_lines(source: Source) -> Iterator[list[str]]:
    with source.path.open(encoding=source.encoding, newline="") as text:
        reader, read = csv.reader(text, strict=True), 0
        try:
            for line in reader:
                yield line
                read = reader.line_num
        except csv.Error:
            where = f"{source.path.name}, line {read + 1}"  # where it opened: a quote that stays open swallows the rest
            raise RequestInvalid("FILE_INVALID", f"{where}: expected fields in CSV, with quotes closed") from None


def _header(source: Source) -> list[str]:
    return [name.strip() for name in next(_csv_lines(source), []) if name.strip() not in REASONS]


def _csv_records(source: Source) -> Iterator[FileRecord]:
    lines = _csv_lines(source)
    names = [name.strip() for name in next(lines, [])]
    mine = [n for n, name in enumerate(names) if name in REASONS]
    for line in lines:
        if not line:
            continue
        whole = len(line) == len(names)
        # Ours were written first: of a line with too many or too few cells, they are the first as well.
        cells = [cell for n, cell in enumerate(line) if n not in mine] if mine else line
        if whole:
            row = dict(zip(source.columns, (cell.strip() for cell in cells), strict=True))
            yield FileRecord(row, cells)
        else:
            yield FileRecord(None, cells, f"{len(source.columns)} fields")


def _json_texts(source: Source) -> Iterator[str]:
    with source.path.open(encoding=source.encoding) as text:
        number = 0
        while line := text.readline(LONGEST_LINE):
            number += 1
            if len(line) == LONGEST_LINE:
                expected = f"lines of less than {LONGEST_LINE} characters"
                raise RequestInvalid("FILE_INVALID", f"{source.path.name}, line {number}: expected {expected}")
            if stripped := line.strip():
                yield _as_it_was(stripped) if '"cdp_' in stripped else stripped


def _as_it_was(line: str) -> str:
    """A line of refused records without its reason; one that could not be read stands in it as text."""
    line = REASON_PAIR.sub("", line)
    if line.startswith(UNREAD):
        with suppress(ValueError, RecursionError):
            return str(json.loads(line)["cdp_line"])
    return line


def _lines_of_json(source: Source) -> Iterator[FileRecord]:
    for line in _json_texts(source):
        try:
            # Numbers stay as they are written: 29.90 is no 29.9, and 1e400 no infinity.
            row = _flat(json.loads(line, parse_float=str, parse_int=str, parse_constant=str))
        except (ValueError, RecursionError):
            row = None
        yield FileRecord(row, line, "" if row is not None else "a JSON object, each path in it once")


def _flat(found: Any) -> dict[str, str]:
    """Path -> text; raises ValueError where two ways lead to one path, and for what is no object."""
    if not isinstance(found, dict):
        raise ValueError("no object")  # noqa: TRY004 -- of what the file holds, not of our types
    row: dict[str, str] = {}
    for name, value in found.items():
        below = {f"{name}.{path}": text for path, text in _flat(value).items()} if isinstance(value, dict) else {}
        below = below or {name: "" if isinstance(value, dict) else _text(value)}
        if row.keys() & below.keys():
            raise ValueError("two ways to one path")
        row |= below
    return row


def _text(value: Any) -> str:
    if isinstance(value, str):
        text = value.strip()
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, date | datetime):
        text = value.isoformat()
    elif isinstance(value, list):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_text)
    elif isinstance(value, bytes):
        text = value.hex()
    else:
        text = "" if value is None else str(value)
    return text


def _paths(source: Source, wanted: Mapping[str, str]) -> list[str]:
    """The paths of the first thousand records, and of as many more as it takes to meet all that are wanted."""
    met: dict[str, None] = {}
    for number, record in enumerate(_lines_of_json(source)):
        if number >= 1_000 and met.keys() >= wanted.keys():
            break
        met |= dict.fromkeys(record.row or ())
    return list(met)


def can_read_parquet() -> bool:
    """Whether the optional library is there."""
    return find_spec("pyarrow") is not None


def _parquet(path: Path) -> Any:
    if not can_read_parquet():
        expected = "pyarrow to read Parquet: pip install 'cdp[files]'"
        raise RequestInvalid("FILE_INVALID", f"{path.name}: expected {expected}")
    try:
        return import_module("pyarrow.parquet").ParquetFile(path)
    except (ValueError, OSError):  # what pyarrow raises is one of these
        raise RequestInvalid("FILE_INVALID", f"{path.name}: expected Parquet") from None


def _parquet_columns(path: Path) -> tuple[list[str], int]:
    file = _parquet(path)
    columns: list[str] = []
    fields = [(field, "") for field in reversed(file.schema_arrow)]
    struct = import_module("pyarrow").types.is_struct
    while fields:
        field, above = fields.pop()
        if struct(field.type):
            fields += [(below, f"{above}{field.name}.") for below in reversed(list(field.type))]
        else:
            columns.append(f"{above}{field.name}")
    return columns, int(file.metadata.num_rows)


def _parquet_records(source: Source) -> Iterator[FileRecord]:
    try:
        for batch in _parquet(source.path).iter_batches(batch_size=PARQUET_ROWS):
            for found in batch.to_pylist():
                flat = _flat(found)
                # The parts of a struct that is null as a whole are blank.
                row = {name: flat.get(name, "") for name in source.columns}
                yield FileRecord(row, list(row.values()))
    except (ValueError, OSError):
        raise RequestInvalid("FILE_INVALID", f"{source.path.name}: expected Parquet that can be read") from None
