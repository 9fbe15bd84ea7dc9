"""What a log says about itself in the text formats of C2SP, signed with Ed25519: signed-note, tlog-checkpoint,
tlog-cosignature, tlog-witness and tlog-proof.

A note is a text, an empty line, and lines of signatures; a checkpoint is a note whose text names a log (its origin),
the size of its tree and the root. A witness signs the same text together with the time at which it saw it.
"""

import hashlib
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from privacy.errors import ProofRefused
from privacy.log import HASH_BYTES

__all__ = [
    "BY_LOG",
    "BY_WITNESS",
    "LONGEST_NOTE",
    "Checkpoint",
    "NoteKey",
    "asked_for",
    "checkpoint_note",
    "checkpoint_of",
    "cosignature",
    "note_key",
    "proof_text",
    "read_asked_for",
    "read_proof",
    "signed_by",
]

BY_LOG, BY_WITNESS = 1, 4
"""What an Ed25519 key signs: notes as they are, or what a witness saw when."""
KEY_BYTES, ID_BYTES, TIME_BYTES = 32, 4, 8
MOST_LINES = 63
MOST_SIGNATURES = 64
LONGEST_NOTE = 65_536
PROOF_HEAD = "c2sp.org/tlog-proof@v1"
NAME = re.compile(r"[^\s+]+")
SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")


class Signer(Protocol):
    """Whoever signs with an Ed25519 key."""

    @property
    def public_key(self) -> bytes: ...
    def sign(self, message: bytes) -> bytes: ...


class NoteKey(NamedTuple):
    """A key that notes are verified with, by what it signs (BY_LOG or BY_WITNESS); 32 bytes."""

    name: str
    signs: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Four bytes that stand before its signatures."""
        return hashlib.sha256(f"{self.name}\n".encode() + bytes([self.signs]) + self.public).digest()[:ID_BYTES]

    @property
    def text(self) -> str:
        """The key as it is given out."""
        return f"{self.name}+{self.key_id.hex()}+{_base64(bytes([self.signs]) + self.public)}"

    @classmethod
    def read(cls, text: str) -> Self:
        """A key from its text; raises ProofRefused for anything else."""
        name, _, rest = text.partition("+")
        key_id, _, encoded = rest.partition("+")
        wrong = ProofRefused("a key is written NAME+ID+KEY")
        try:
            signs, *public = _bytes(encoded, 1 + KEY_BYTES)
        except ProofRefused:
            raise wrong from None
        found = cls(name, signs, bytes(public))
        if not NAME.fullmatch(name) or found.key_id.hex() != key_id or signs not in (BY_LOG, BY_WITNESS):
            raise wrong
        return found


class Checkpoint(NamedTuple):
    """What a log says it is: `body` is the text that is signed."""

    origin: str
    size: int
    root: bytes
    body: str


def note_key(name: str, signer: Signer, signs: int = BY_LOG) -> NoteKey:
    """The key that verifies what a signer signs under a name; raises ProofRefused for a name with a space or a plus."""
    if not NAME.fullmatch(name):
        raise ProofRefused("the name of a key holds no space and no plus")
    return NoteKey(name, signs, signer.public_key)


def checkpoint_note(origin: str, size: int, root: bytes, signer: Signer) -> str:
    """A checkpoint, signed by its log."""
    body = f"{origin}\n{size}\n{_base64(root)}\n"
    return f"{body}\n{_line(note_key(origin, signer), signer.sign(body.encode()))}"


def cosignature(body: str, name: str, seconds: int, signer: Signer) -> str:
    """The line of a witness that saw a checkpoint at an instant (seconds since 1970)."""
    signed = signer.sign(_seen(body, seconds))
    return _line(note_key(name, signer, BY_WITNESS), seconds.to_bytes(TIME_BYTES, "big") + signed)


def checkpoint_of(note: str) -> Checkpoint:
    """What a checkpoint says, whoever signed it; raises ProofRefused for a text that is none."""
    body, _ = _parts(note)
    match body.split("\n"):
        case [origin, size, root, *more, ""] if origin and NUMBER.fullmatch(size) and all(more):
            return Checkpoint(origin, int(size), _bytes(root, HASH_BYTES), body)
        case _:
            raise ProofRefused("a checkpoint is a name, a size and a root")


def signed_by(note: str, keys: Iterable[NoteKey]) -> set[str]:
    """The names of those of the keys that signed a note. Raises ProofRefused where one of their signatures is wrong."""
    known = {(key.name, key.key_id): key for key in keys}
    body, lines = _parts(note)
    found = set()
    for name, raw in lines:
        key = known.get((name, raw[:ID_BYTES]))
        if key is not None:
            _verify(key, body, raw[ID_BYTES:])
            found.add(name)
    return found


def asked_for(old: int, proof: Iterable[bytes], note: str) -> str:
    """What a witness is sent that last saw a tree of `old` entries."""
    return f"old {old}\n{_lines(proof)}\n{note}"


def read_asked_for(text: str) -> tuple[int, list[bytes], str]:
    """Old size, proof and checkpoint of what a witness was sent; raises ProofRefused."""
    head, _, note = text.partition("\n\n")
    first, *proof = head.split("\n")
    if not first.startswith("old ") or len(proof) > MOST_LINES:
        raise ProofRefused("expected a line `old SIZE` and at most 63 hashes")
    return _number(first.removeprefix("old ")), [_bytes(line, HASH_BYTES) for line in proof], note


def proof_text(index: int, proof: Iterable[bytes], note: str, extra: bytes = b"") -> str:
    """The proof that entry `index` is in the tree of a checkpoint, to be verified without asking anybody."""
    told = f"extra {_base64(extra)}\n" if extra else ""
    return f"{PROOF_HEAD}\n{told}index {index}\n{_lines(proof)}\n{note}"


def read_proof(text: str) -> tuple[int, list[bytes], str]:
    """Index, hashes and checkpoint of a proof; raises ProofRefused."""
    head, _, note = text.partition("\n\n")
    match head.split("\n"):
        case [version, *rest] if version == PROOF_HEAD and rest:
            rest = rest[1:] if rest[0].startswith("extra ") else rest
        case _:
            rest = []
    if not rest or not rest[0].startswith("index ") or len(rest) > MOST_LINES + 1:
        raise ProofRefused(f"expected {PROOF_HEAD}, an index and at most 63 hashes")
    return _number(rest[0].removeprefix("index ")), [_bytes(line, HASH_BYTES) for line in rest[1:]], note


def _parts(note: str) -> tuple[str, Sequence[tuple[str, bytes]]]:
    """The text of a note, and for each signature the name and the bytes (id and signature)."""
    text, gap, signatures = note.rpartition("\n\n")
    lines = signatures.split("\n")
    plain = len(note) <= LONGEST_NOTE and not any(c < " " and c != "\n" for c in note)
    if not gap or lines.pop() or not 0 < len(lines) <= MOST_SIGNATURES or not plain:
        raise ProofRefused("a note is a text, an empty line and signatures")
    found = []
    for line in lines:
        signature = SIGNATURE.fullmatch(line)
        raw = _bytes(signature[2]) if signature else b""
        if signature is None or len(raw) <= ID_BYTES:
            raise ProofRefused("a signature is a dash, a name and base64")
        found.append((signature[1], raw))
    return f"{text}\n", found


def _verify(key: NoteKey, body: str, signature: bytes) -> None:
    message = body.encode()
    if key.signs == BY_WITNESS:
        message, signature = _seen(body, int.from_bytes(signature[:TIME_BYTES], "big")), signature[TIME_BYTES:]
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    except InvalidSignature:
        raise ProofRefused(f"the signature of {key.name} is wrong") from None


def _seen(body: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{body}".encode()


def _line(key: NoteKey, signature: bytes) -> str:
    return f"— {key.name} {_base64(key.key_id + signature)}\n"


def _lines(hashes: Iterable[bytes]) -> str:
    return "".join(f"{_base64(one)}\n" for one in hashes)


def _number(text: str) -> int:
    if not NUMBER.fullmatch(text):
        raise ProofRefused("a number is decimal, without zeros before it")
    return int(text)


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()


def _bytes(text: str, length: int | None = None) -> bytes:
    """The bytes behind a text in base64, which has one spelling; of this length where one is given."""
    try:
        raw = b64decode(text, validate=True)
    except (NotBase64, ValueError):
        raw = b""
    if _base64(raw) != text or (length is not None and len(raw) != length):
        raise ProofRefused("not base64, or of another length")
    return raw
