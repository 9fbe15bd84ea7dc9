"""Sealed cells: a value that opens only in its own place, under its own key, with a permit in hand.

A cell is a header (magic 0xE1, suite, type and padding, 0, generation u32), a random nonce (12), ciphertext, tag (16).
Tenant, store, column, row and customer are not in it: they are bound in as associated data, so a cell that was moved
does not open. No other module touches AES-GCM or SM4-GCM.
"""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.hashes import SM3

from privacy.blind import expand
from privacy.encoding import CellType, CellValue, decode, encoder, framed, pad, u32, unpad
from privacy.errors import KeyUnavailable, PermitMissing, SealBroken, ValueRefused
from privacy.hidden import Hidden
from privacy.keys import CellCipher, DataKey, KeyRing, KeyRow
from privacy.policy import Permit
from privacy.vocabulary import RetentionClass

__all__ = [
    "CellType",
    "CellValue",
    "Opener",
    "Place",
    "Sealed",
    "SealedColumn",
    "Suite",
    "open_bytes",
    "reseal",
    "seal",
    "seal_bytes",
    "seal_column",
]

# In UTF-8 text this byte is followed by a continuation, which no suite is: a plaintext in a sealed column is refused.
MAGIC, CONTINUATION = 0xE1, 0x80
PADDED = 1 << 4
NONCE_BYTES, TAG_BYTES, HEADER_BYTES, BODY = 12, 16, 8, 20
# The length prefixes of the header and of a UUID, as `framed` would write them.
LENGTH_8, LENGTH_16 = b"\x00\x08", b"\x00\x10"


class Suite(IntEnum):
    """How a cell is sealed: the second byte of its header, bound in like the rest. What is written, a store's setting
    says; what is there opens by its header.
    """

    AES_256_GCM = 0x01
    SM4_GCM = 0x11


AES, SM4_KEY = Suite.AES_256_GCM, framed("cdp.sm4.v1")


class _Sm4Gcm:
    """SM4-GCM as `AESGCM` is: the library has the mode, and no such class for it."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = SM4(key)

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        encryptor = Cipher(self._key, GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(associated_data or b"")
        return encryptor.update(data) + encryptor.finalize() + encryptor.tag

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        decryptor = Cipher(self._key, GCM(nonce, data[-TAG_BYTES:])).decryptor()
        decryptor.authenticate_additional_data(associated_data or b"")
        return decryptor.update(data[:-TAG_BYTES]) + decryptor.finalize()


def cipher_of(key: DataKey, suite: Suite = AES) -> CellCipher:
    """The cipher of a data key, built on first use and kept on the key, so that it lives exactly as long as the key.

    SM4 takes 16 bytes, by HKDF-Expand with SM3 from the data key: no secret serves two ciphers.
    """
    if key.cipher is None or key.suite != suite:
        key.suite, key.cipher = suite, _cipher_under(key.secret, suite)
    return key.cipher


def _cipher_under(secret: bytes, suite: Suite) -> CellCipher:
    return AESGCM(secret) if suite is AES else _Sm4Gcm(expand(secret, SM4_KEY, 16, SM3()))


def seal_bytes(
    key: CellCipher | bytes, nonce: bytes, plaintext: bytes, associated_data: bytes, suite: Suite = AES
) -> bytes:
    """Ciphertext followed by its 16-byte tag; the nonce (12 bytes) must never be used twice with one key.

    The key is a cipher, or raw bytes for the suite (cells have 32, or 16 for SM4). Raises ValueRefused for a nonce or
    key of another length.
    """
    if len(nonce) != NONCE_BYTES:
        raise ValueRefused("a nonce has 12 bytes")
    cipher = _cipher(key, suite) if isinstance(key, bytes) else key
    return cipher.encrypt(nonce, plaintext, associated_data)


def open_bytes(
    key: CellCipher | bytes, nonce: bytes, ciphertext: bytes, associated_data: bytes, suite: Suite = AES
) -> bytes:
    """The plaintext; raises SealBroken unless key, nonce, ciphertext and associated data are those of the sealing."""
    cipher = _cipher(key, suite) if isinstance(key, bytes) else key
    try:
        return cipher.decrypt(nonce, ciphertext, associated_data)
    except (InvalidTag, ValueError):
        raise SealBroken("the cell was altered or moved") from None


def _cipher(key: bytes, suite: Suite) -> CellCipher:
    try:
        return AESGCM(key) if suite is AES else _Sm4Gcm(key)
    except ValueError:
        raise ValueRefused("an AES key has 16, 24 or 32 bytes, an SM4 key 16") from None


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """How one column is sealed. `uid` is never used again for another column, so a column can be renamed in place."""

    uid: int
    category: str
    retention: RetentionClass
    cell_type: CellType
    padded: bool

    def __post_init__(self) -> None:
        if not 1 <= self.uid <= 0xFFFFFFFF:
            raise ValueRefused("a column's uid is 1 .. 2**32 - 1")


class Place:
    """One sealed column of one tenant's store: what is the same for all its cells, worked out once and kept."""

    __slots__ = ("column", "prefix", "read_as", "store", "suite", "tenant", "write_as")

    def __init__(self, tenant: str, store: str, column: SealedColumn, suite: int = AES) -> None:
        self.tenant, self.store, self.column, self.suite = tenant, store, column, Suite(suite)
        self.prefix = framed("cdp.cell.v1", tenant, store, u32(column.uid)) + LENGTH_8
        # A column may be padded, a store may change its suite from some day on, so all kinds are read; the header is
        # bound in and cannot be swapped.
        kinds = {(one, padded): column.cell_type | padded * PADDED for one in Suite for padded in (False, True)}
        self.read_as = {bytes((MAGIC, one, kind, 0)): (one, padded) for (one, padded), kind in kinds.items()}
        self.write_as = bytes((MAGIC, suite, kinds[self.suite, column.padded], 0))

    def bound(self, header: bytes, row_id: UUID, customer_id: UUID) -> bytes:
        """The associated data of a cell with this header (8 bytes)."""
        return b"".join((self.prefix, header, LENGTH_16, row_id.bytes, LENGTH_16, customer_id.bytes))

    def __repr__(self) -> str:
        return f"Place({self.tenant!r}, {self.store!r}, uid={self.column.uid})"


@final
class Sealed(Hidden):
    """A cell as it lies in the database: the only thing a query returns for a sealed column.

    Raises SealBroken for anything that is not a cell, such as a plaintext planted in the column.
    """

    __slots__ = ("cell",)

    def __init__(self, cell: bytes) -> None:
        if type(cell) is not bytes or len(cell) < BODY + TAG_BYTES or cell[0] != MAGIC or cell[1] >= CONTINUATION:
            raise SealBroken("not a sealed cell")
        self.cell = cell


def seal(value: CellValue, key: DataKey, place: Place, row_id: UUID, customer_id: UUID) -> bytes:
    """The cell of a value, for this row and customer alone.

    Raises ValueRefused for a value the column's type cannot hold exactly (NULL is no cell, so None is refused too), and
    KeyUnavailable for a key of another customer or retention class.
    """
    if key.customer_id != customer_id:
        raise KeyUnavailable("the key is of another customer or retention class")
    return seal_column([(value, key, row_id.bytes)], place)[0]


def seal_column(cells: Sequence[tuple[CellValue, DataKey, bytes]], place: Place) -> list[bytes]:
    """The cells of many values of one column, each for its row (16 bytes) and its key's customer; raises as `seal`."""
    column, suite, made = place.column, place.suite, []
    write = encoder(column.cell_type)
    nonces = os.urandom(NONCE_BYTES * len(cells))
    for end, (value, key, row_id) in enumerate(cells, 1):
        if key.retention != column.retention:
            raise KeyUnavailable("the key is of another customer or retention class")
        plaintext = pad(write(value)) if column.padded else write(value)
        header = place.write_as + key.generation.to_bytes(4, "big")
        nonce = nonces[NONCE_BYTES * (end - 1) : NONCE_BYTES * end]
        bound = b"".join((place.prefix, header, LENGTH_16, row_id, LENGTH_16, key.customer_id.bytes))
        made.append(header + nonce + seal_bytes(cipher_of(key, suite), nonce, plaintext, bound))
    return made


def reseal(cell: bytes, keys: tuple[DataKey, DataKey], place: Place, row_id: UUID) -> bytes:
    """The cell's value, under the second key instead of the first, without its being shown to anybody.

    Raises SealBroken and KeyUnavailable like opening and sealing it, whatever its padding.
    """
    before, after = keys
    kind = place.read_as.get(Sealed(cell).cell[:4])
    if kind is None:
        raise SealBroken("the cell's header is not one of this column")
    if (before.customer_id, before.retention) != (after.customer_id, after.retention):
        raise KeyUnavailable("the keys are not of one customer and retention class")
    if before.generation != int.from_bytes(cell[4:HEADER_BYTES], "big"):
        raise KeyUnavailable("the key is of another generation")
    bound = place.bound(cell[:HEADER_BYTES], row_id, before.customer_id)
    plaintext = open_bytes(cipher_of(before, kind[0]), cell[HEADER_BYTES:BODY], cell[BODY:], bound)
    header = bytes((MAGIC, place.suite, cell[2], 0)) + after.generation.to_bytes(4, "big")
    nonce = os.urandom(NONCE_BYTES)
    bound = place.bound(header, row_id, after.customer_id)
    return header + nonce + seal_bytes(cipher_of(after, place.suite), nonce, plaintext, bound)


class Opener(Hidden):
    """Opens the cells of one customer for one request; made with a permit, dropped with the request.

    `keys` are the customer's rows in the key store: retention class, generation, epoch, wrapped key. `opened` counts
    the cells that were opened. Raises PermitMissing when `permit` is not a Permit.
    """

    __slots__ = ("_ciphers", "_customer", "_customer_id", "_keys", "_opens", "_ring", "opened")

    def __init__(self, permit: Permit, ring: KeyRing, customer_id: UUID, keys: Collection[KeyRow]) -> None:
        if not isinstance(permit, Permit):
            raise PermitMissing("cells are opened with a permit")
        # A permit for somebody else opens nothing here.
        self._opens = permit.opens if permit.customer_id == customer_id else frozenset()
        self._ring, self._customer_id, self._keys = ring, customer_id, keys
        self._customer = LENGTH_16 + customer_id.bytes
        self._ciphers: dict[tuple[RetentionClass, int, bytes], CellCipher] = {}
        self.opened = 0

    def open(self, sealed: Sealed, place: Place, row_id: UUID) -> CellValue:
        """The value in a cell.

        Raises PermitMissing where the permit does not cover the customer and the column's category, KeyUnavailable
        where the key of the cell's generation is missing, SealBroken for a cell that was not written to this place.
        """
        column = place.column
        if column.category not in self._opens:
            raise PermitMissing("the permit does not cover this category")
        cell = sealed.cell
        kind = place.read_as.get(cell[:4])
        if kind is None:
            raise SealBroken("the cell's header is not one of this column")
        suite, padded = kind
        cipher = self._ciphers.get((column.retention, suite, cell[4:HEADER_BYTES]))
        if cipher is None:
            cipher = self._unwrap(column.retention, suite, cell[4:HEADER_BYTES])
        bound = b"".join((place.prefix, cell[:HEADER_BYTES], LENGTH_16, row_id.bytes, self._customer))
        plaintext = open_bytes(cipher, cell[HEADER_BYTES:BODY], cell[BODY:], bound)
        value = decode(unpad(plaintext) if padded else plaintext, column.cell_type)
        self.opened += 1
        return value

    def _unwrap(self, retention: RetentionClass, suite: Suite, generation: bytes) -> CellCipher:
        # By class and the generation in the header, never by trial: a key that is missing is not replaced by another.
        wanted = int.from_bytes(generation, "big")
        for kept_for, number, epoch, wrapped in self._keys:
            if kept_for == retention and number == wanted:
                secret = self._ring.secret_of((self._customer_id, retention, number, epoch, wrapped))
                cipher = self._ciphers[retention, suite, generation] = _cipher_under(secret, suite)
                return cipher
        raise KeyUnavailable("no key of this class and generation")
