"""The ways in which a value can lie in a file without being sealed."""

import base64
import re
from collections.abc import Iterable, Iterator

ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "gb18030")
GROUPS = {11: ((3, 4, 4), (3, 3, 5)), 8: ((4, 4), (2, 3, 3))}


def written(number: str) -> set[str]:
    """A number in E.164 as people and machines write it."""
    code, national = (number[1:3], number[3:]) if number.startswith("+86") else (number[1:4], number[4:])
    spelled = {national}
    for sizes in GROUPS[len(national)]:
        starts = [sum(sizes[:n]) for n in range(len(sizes))]
        parts = [national[start : start + size] for start, size in zip(starts, sizes, strict=True)]
        spelled |= {mark.join(parts) for mark in (" ", "-", ".", "\N{NO-BREAK SPACE}")}
    return spelled | {
        f"{prefix}{one}" for one in spelled for prefix in (f"+{code}", f"+{code} ", f"00{code}", f"({code})")
    }


def patterns(values: Iterable[str]) -> Iterator[tuple[str, re.Pattern[bytes]]]:
    """Each value with what it would look like in the bytes of a file."""
    for value in values:
        found = {form for encoding in ENCODINGS for form in in_bytes(value.encode(encoding))}
        yield value, re.compile(b"|".join(sorted(found)))


def in_bytes(raw: bytes) -> Iterator[bytes]:
    """Expressions for bytes as they are, in hexadecimal, and in base64 from any place on."""
    # A few digits turn up by chance inside longer hexadecimal ones.
    bounds = (rb"(?<![0-9a-fA-F])", rb"(?![0-9a-fA-F])") if raw.isdigit() else (b"", b"")
    yield bounds[0] + re.escape(raw) + bounds[1]
    yield re.escape(raw.hex().encode())
    yield re.escape(raw.hex().upper().encode())
    for before in range(3):
        # The first and the last characters also depend on what stands beside.
        text = base64.b64encode(b"\0" * before + raw)
        inner = text[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
        yield re.escape(inner)
        yield re.escape(inner.translate(bytes.maketrans(b"+/", b"-_")))


def found_in(content: bytes, values: Iterable[str]) -> list[str]:
    """The values that can be read in a file."""
    return [value for value, pattern in patterns(values) if pattern.search(content)]
