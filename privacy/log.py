"""The log that cannot be changed quietly: entries with one spelling, each link holding all before it.

A leaf is an entry's canonical bytes. The three kinds of hash start with different bytes (0 a leaf, 1 a tree node, 2 a
link of a chain), so that none can be passed off as another.
"""

import hashlib
from collections.abc import Iterable, Mapping

from privacy.encoding import canonical
from privacy.errors import ValueRefused

__all__ = ["START", "Form", "canonical", "chain", "leaf_hash"]

HASH_BYTES = 32
START = bytes(HASH_BYTES)
BLANK = "\0blank"


class Form:
    """Entries that differ in a few values alone: what they share is spelled once, and each then costs one filling-in.

    `blanks` are the keys of the values that differ; the values come as JSON text, in the order of the sorted keys.
    Raises ValueRefused where what is shared is not JSON.
    """

    __slots__ = ("_text", "blanks")

    def __init__(self, shared: Mapping[str, object], blanks: Iterable[str]) -> None:
        self.blanks = tuple(sorted(blanks))
        spelled = canonical({**shared, **dict.fromkeys(self.blanks, BLANK)}).decode()
        pieces = spelled.split(canonical(BLANK).decode())
        if len(pieces) != len(self.blanks) + 1:
            raise ValueRefused("what is shared holds the mark of a blank")
        self._text = "%s".join(piece.replace("%", "%%") for piece in pieces)

    def filled(self, values: Mapping[str, object]) -> bytes:
        """The canonical bytes of one entry; `values` holds the JSON text of each blank."""
        return (self._text % tuple([values[blank] for blank in self.blanks])).encode()


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of an entry in a tree as RFC 6962 writes it (32 bytes)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def chain(previous: bytes, leaf: bytes) -> bytes:
    """The link (32 bytes) after `previous` for this leaf; a chain begins at START. Raises ValueRefused for no link."""
    if len(previous) != HASH_BYTES:
        raise ValueRefused("a link has 32 bytes")
    return hashlib.sha256(b"\x02" + previous + leaf_hash(leaf)).digest()
