"""The ways in which a value can lie in a file without being sealed, and a search for many values at once."""

import base64
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import quote

ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "gb18030")
GROUPS = {11: ((3, 4, 4), (3, 3, 5)), 8: ((4, 4), (2, 3, 3))}
STEP = 4
SHORTEST = 2 * STEP - 1
HEX = frozenset(b"0123456789abcdefABCDEF")


def spelled(number: str) -> tuple[str, set[str]]:
    """The country code of a number in E.164, and the rest as people and machines write it."""
    code, national = (number[1:3], number[3:]) if number.startswith("+86") else (number[1:4], number[4:])
    spelled = {national}
    for sizes in GROUPS[len(national)]:
        starts = [sum(sizes[:n]) for n in range(len(sizes))]
        parts = [national[start : start + size] for start, size in zip(starts, sizes, strict=True)]
        spelled |= {mark.join(parts) for mark in (" ", "-", ".", "\N{NO-BREAK SPACE}")}
    return code, spelled


def written(number: str) -> set[str]:
    """A number in E.164 as people and machines write it, with its country code and without."""
    code, parts = spelled(number)
    return parts | {
        f"{prefix}{one}" for one in parts for prefix in (f"+{code}", f"+{code} ", f"00{code}", f"({code})", code)
    }


def in_bytes(text: str) -> Iterator[bytes]:
    """A text in any encoding: as it is, in hexadecimal, in base64 from any place on; and escaped for JSON or a URL."""
    for raw in {text.encode(encoding) for encoding in ENCODINGS}:
        yield raw
        yield raw.hex().encode()
        yield raw.hex().upper().encode()
        for before in range(3):
            # The first and the last characters also depend on what stands beside.
            whole = base64.b64encode(b"\0" * before + raw)
            inner = whole[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
            yield inner
            yield inner.translate(bytes.maketrans(b"+/", b"-_"))
    escaped = json.dumps(text)[1:-1]
    for one in (escaped, "".join(f"\\u{ord(char):04X}" if ord(char) > 127 else char for char in text), quote(text)):
        yield one.encode()
        yield one.replace("\\", "\\\\").encode()  # as it lies in a dump, or in JSON once more


class Form(NamedTuple):
    """A value, what it looks like in a file, and where in that a window begins."""

    value: str
    form: bytes
    window: int


class Sought:
    """Values to be looked for, a number in all ways in which it is written.

    Every form has a window of four bytes at each of four places behind each other. One of them lies where a file is
    divided by four, so a file is gone through once, whatever is sought.
    """

    def __init__(self, texts: Iterable[str], numbers: Iterable[str] = ()) -> None:
        texts = list(texts)
        assert all(len(text.encode()) >= SHORTEST for text in texts)
        forms = {(text, form) for text in texts for form in in_bytes(text)}
        for number in numbers:
            forms |= {(number, form) for one in spelled(number)[1] for form in in_bytes(one)}
            forms |= {(number, one.encode()) for one in written(number)}
        self._at: dict[int, list[Form]] = defaultdict(list)
        for value, form in forms:
            if len(form) < SHORTEST:
                continue  # so few bytes turn up by chance
            for window in range(len(form) - 2 * STEP + 1, len(form) - STEP + 1):
                [key] = memoryview(form[window : window + STEP]).cast("I")
                self._at[key].append(Form(value, form, window))

    def found_in(self, content: bytes) -> list[str]:
        """The values that can be read in a file."""
        view, at = memoryview(content[: len(content) // STEP * STEP]).cast("I"), self._at
        hits = ((n * STEP, form) for n, key in enumerate(view) if key in at for form in at[key])
        return sorted({form.value for place, form in hits if _is_at(content, place - form.window, form.form)})


def _is_at(content: bytes, start: int, form: bytes) -> bool:
    if start < 0 or not content.startswith(form, start):
        return False
    # A few digits turn up by chance inside longer hexadecimal ones.
    around = (*content[max(start - 1, 0) : start], *content[start + len(form) : start + len(form) + 1])
    return not form.isdigit() or not HEX.intersection(around)


__all__ = ["Sought", "written"]
