"""Cells: what goes in comes out, in its own place and nowhere else."""

import copy
import json
import pickle
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import example, given
from hypothesis import strategies as st

import privacy.seal
from privacy.encoding import bucket, canonical, decode, encode, framed, pad, unpad
from privacy.errors import KeyUnavailable, PermitMissing, PrivacyError, SealBroken, ValueRefused
from privacy.keys import DataKey, KeyRing, WrappedDataKey
from privacy.policy import Permit
from privacy.seal import (
    CellType,
    Opener,
    Place,
    Sealed,
    SealedColumn,
    Suite,
    open_bytes,
    reseal,
    seal,
    seal_bytes,
    seal_column,
)
from privacy.vocabulary import RetentionClass

NAME = "王小明"
COLUMN = SealedColumn(7, "identity.name", RetentionClass.IDENTITY, CellType.TEXT, padded=True)
PLACE = Place("cdp", "cn", COLUMN)
ALICE, BOB, ROW = (uuid.UUID(int=n) for n in (1, 2, 3))
Permits = Callable[..., Permit]

JSON_LEAF = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(JSON_LEAF, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
VALUES: dict[CellType, st.SearchStrategy[Any]] = {
    CellType.BYTES: st.binary(),
    CellType.TEXT: st.text(),
    CellType.INT64: st.integers(-(2**63), 2**63 - 1),
    CellType.DECIMAL: st.decimals(allow_nan=False, allow_infinity=False),
    CellType.DATE: st.dates(),
    CellType.JSON: JSON.filter(lambda value: value is not None),
}
TYPED = st.sampled_from(CellType).flatmap(lambda kind: st.tuples(st.just(kind), VALUES[kind]))


class Written(NamedTuple):
    """One cell of ALICE's, with the key it was written under."""

    cell: bytes
    key: DataKey
    wrapped: WrappedDataKey


@pytest.fixture(scope="module")
def written(ring: KeyRing) -> Written:
    key, wrapped = ring.new_data_key(ALICE, RetentionClass.IDENTITY)
    return Written(seal(NAME, key, PLACE, ROW, ALICE), key, wrapped)


@pytest.fixture
def opener(ring: KeyRing, permit_for: Permits, written: Written) -> Opener:
    return Opener(permit_for(ALICE, "identity.name"), ring, ALICE, [written.wrapped.row])


def refused(opener: Opener, cell: bytes, place: Place = PLACE, row_id: uuid.UUID = ROW) -> str:
    """The code of the refusal; asserts too that nothing counts as opened and that the error does not show the value."""
    before = opener.opened
    with pytest.raises(PrivacyError) as refusal:
        opener.open(Sealed(cell), place, row_id)
    assert opener.opened == before
    assert NAME not in str(refusal.value)
    return refusal.value.code


def test_a_cell_opens_in_its_place(opener: Opener, written: Written) -> None:
    assert opener.open(Sealed(written.cell), PLACE, ROW) == NAME
    assert opener.opened == 1
    assert NAME.encode() not in written.cell


def test_the_layout(written: Written) -> None:
    assert written.cell[:8] == bytes((0xE1, 0x01, 0x11, 0, 0, 0, 0, 1))
    assert len(written.cell) == 8 + 12 + 16 + 16


def test_all_that_is_sealed_and_opened_goes_through_the_calls_that_outside_vectors_try(
    monkeypatch: pytest.MonkeyPatch, opener: Opener, written: Written
) -> None:
    calls: list[str] = []

    def watched(name: str, call: Callable[..., bytes]) -> Callable[..., bytes]:
        def counted(*given: Any) -> bytes:
            calls.append(name)
            return call(*given)

        return counted

    for name in ("seal_bytes", "open_bytes"):
        monkeypatch.setattr(privacy.seal, name, watched(name, getattr(privacy.seal, name)))
    seal_column([(NAME, written.key, ROW.bytes)] * 2, PLACE)
    cell = seal(NAME, written.key, PLACE, ROW, ALICE)
    opener.open(Sealed(cell), PLACE, ROW)
    reseal(cell, (written.key, written.key), PLACE, ROW)
    assert calls == ["seal_bytes"] * 3 + ["open_bytes"] * 2 + ["seal_bytes"]


def test_two_cells_of_one_value_differ(written: Written) -> None:
    assert seal(NAME, written.key, PLACE, ROW, ALICE) != written.cell


@given(typed=TYPED, padded=st.booleans())
def test_every_value_comes_back_as_it_went_in(
    ring: KeyRing, permit_for: Permits, typed: tuple[CellType, Any], padded: bool
) -> None:
    cell_type, value = typed
    place = Place("cdp", "cn", replace(COLUMN, cell_type=cell_type, padded=padded))
    key, wrapped = ring.new_data_key(ALICE, RetentionClass.IDENTITY)
    opener = Opener(permit_for(ALICE, "identity.name"), ring, ALICE, [wrapped.row])
    got = opener.open(Sealed(seal(value, key, place, ROW, ALICE)), place, ROW)
    assert (got, type(got)) == (value, type(value))
    assert encode(got, cell_type) == encode(value, cell_type)
    assert cell_type is CellType.JSON or repr(got) == repr(value)


@given(raw=st.binary(max_size=200))
def test_padding_is_exact(raw: bytes) -> None:
    padded = pad(raw)
    assert unpad(padded) == raw
    assert len(padded) == bucket(len(raw) + 1)
    assert len(raw) < len(padded) <= max(16, 2 * len(raw))


@pytest.mark.parametrize(
    ("length", "wanted"), [(0, 16), (15, 16), (16, 32), (31, 32), (32, 64), (63, 64), (64, 128), (127, 128), (128, 256)]
)
def test_padding_buckets(length: int, wanted: int) -> None:
    assert len(pad(b"\0" * length)) == wanted


@pytest.mark.parametrize("wrong", [b"", bytes(16), b"a" * 16, b"a\x80" + bytes(13), b"a\x80" + bytes(30), b"\x80" * 17])
def test_padding_that_was_not_written_is_refused(wrong: bytes) -> None:
    with pytest.raises(SealBroken):
        unpad(wrong)


@given(left=st.lists(st.binary()), right=st.lists(st.binary()))
def test_framing_never_gives_two_lists_the_same_bytes(left: list[bytes], right: list[bytes]) -> None:
    assert (framed(*left) == framed(*right)) == (left == right)


def test_framing_refuses_a_part_too_long() -> None:
    with pytest.raises(ValueRefused):
        framed(bytes(65_536))


def moves() -> Iterator[tuple[str, Place, uuid.UUID]]:
    yield "tenant", Place("other", "cn", COLUMN), ROW
    yield "store", Place("cdp", "hk", COLUMN), ROW
    yield "tenant and store swapped", Place("cn", "cdp", COLUMN), ROW
    yield "a boundary moved by one letter", Place("cdpc", "n", COLUMN), ROW
    yield "column", Place("cdp", "cn", replace(COLUMN, uid=8)), ROW
    yield "class", Place("cdp", "cn", replace(COLUMN, retention=RetentionClass.SERVICE)), ROW
    yield "row", PLACE, uuid.UUID(int=4)
    yield "row and customer swapped", PLACE, ALICE
    yield "type of the column", Place("cdp", "cn", replace(COLUMN, cell_type=CellType.BYTES)), ROW


@pytest.mark.parametrize(("place", "row_id"), [pytest.param(p, r, id=what) for what, p, r in moves()])
def test_a_moved_cell_is_refused(opener: Opener, written: Written, place: Place, row_id: uuid.UUID) -> None:
    assert refused(opener, written.cell, place, row_id) in {"SEAL_BROKEN", "KEY_UNAVAILABLE"}


def test_a_cell_copied_to_another_customer_is_refused(ring: KeyRing, permit_for: Permits, written: Written) -> None:
    _, bobs = ring.new_data_key(BOB, RetentionClass.IDENTITY)
    bob = Opener(permit_for(BOB, "identity.name"), ring, BOB, [bobs.row])
    assert refused(bob, written.cell) == "SEAL_BROKEN"


def test_a_cell_copied_with_its_wrapped_key_is_refused(ring: KeyRing, permit_for: Permits, written: Written) -> None:
    bob = Opener(permit_for(BOB, "identity.name"), ring, BOB, [written.wrapped.row])
    assert refused(bob, written.cell) == "KEY_UNAVAILABLE"


def test_a_key_does_not_reach_the_same_customer_of_another_row_owner(
    ring: KeyRing, permit_for: Permits, written: Written
) -> None:
    stolen = DataKey(BOB, RetentionClass.IDENTITY, 1, written.key.secret)
    bob = Opener(permit_for(BOB, "identity.name"), ring, BOB, [ring.wrap(stolen).row])
    assert refused(bob, written.cell) == "SEAL_BROKEN"


def test_a_key_is_looked_up_by_generation_never_by_trial(ring: KeyRing, permit_for: Permits, written: Written) -> None:
    # The same secret under another generation: the cell would open if the header were not bound in.
    second = ring.wrap(DataKey(ALICE, RetentionClass.IDENTITY, 2, written.key.secret))
    opener = Opener(permit_for(ALICE, "identity.name"), ring, ALICE, [second.row])
    assert refused(opener, written.cell) == "KEY_UNAVAILABLE"
    assert refused(opener, written.cell[:7] + b"\x02" + written.cell[8:]) == "SEAL_BROKEN"


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        pytest.param(1, 0x00, id="no suite"),
        pytest.param(1, 0x11, id="another suite"),
        pytest.param(2, 0x01, id="padding taken off"),
        pytest.param(2, 0x21, id="unknown padding"),
        pytest.param(2, 0x10, id="another type"),
        pytest.param(2, 0x1F, id="unknown type"),
        pytest.param(3, 0x01, id="reserved byte"),
    ],
)
def test_a_changed_header_is_refused(opener: Opener, written: Written, offset: int, value: int) -> None:
    cell = bytearray(written.cell)
    cell[offset] = value
    assert refused(opener, bytes(cell)) == "SEAL_BROKEN"


def test_every_flipped_bit_is_refused(opener: Opener, written: Written) -> None:
    for bit in range(len(written.cell) * 8):
        cell = bytearray(written.cell)
        cell[bit // 8] ^= 1 << bit % 8
        with pytest.raises((SealBroken, KeyUnavailable)):
            opener.open(Sealed(bytes(cell)), PLACE, ROW)
    assert opener.opened == 0


def test_every_truncation_and_extension_is_refused(opener: Opener, written: Written) -> None:
    for length in range(len(written.cell)):
        with pytest.raises(SealBroken):
            opener.open(Sealed(written.cell[:length]), PLACE, ROW)
    assert refused(opener, written.cell + b"\0") == "SEAL_BROKEN"


@given(text=st.text())
@example(text="\u1000" * 12)  # its first byte is the magic of a cell
def test_a_plaintext_planted_in_the_column_is_refused(text: str) -> None:
    with pytest.raises(SealBroken):
        Sealed(text.encode())


@pytest.mark.parametrize("wrong", [None, "x", memoryview(b"\xe1" * 40), bytearray(b"\xe1" * 40), b"\xe1" * 35])
def test_only_a_cell_is_sealed(wrong: Any) -> None:
    with pytest.raises(SealBroken):
        Sealed(wrong)


def test_sealed_shows_nothing(written: Written) -> None:
    sealed = Sealed(written.cell)
    assert {repr(sealed), str(sealed), f"{sealed}", f"{sealed!r:s}"} == {"<Sealed>"}
    assert sealed != Sealed(written.cell)
    assert len({sealed, Sealed(written.cell)}) == 2
    assert not hasattr(sealed, "__dict__")


@pytest.mark.parametrize(
    "show", [json.dumps, pickle.dumps, copy.copy, copy.deepcopy, bytes, list, len, lambda sealed: format(sealed, ">9")]
)
def test_sealed_refuses_to_be_shown(written: Written, show: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError) as refusal:
        show(Sealed(written.cell))
    assert written.cell.hex() not in str(refusal.value)


def test_a_cell_opens_only_for_a_category_the_permit_covers(
    ring: KeyRing, permit_for: Permits, written: Written
) -> None:
    opener = Opener(permit_for(ALICE, "identity.document"), ring, ALICE, [written.wrapped.row])
    assert refused(opener, written.cell) == "PERMIT_MISSING"


def test_a_permit_for_one_customer_opens_nothing_of_another(
    ring: KeyRing, permit_for: Permits, written: Written
) -> None:
    opener = Opener(permit_for(BOB, "identity.name"), ring, ALICE, [written.wrapped.row])
    assert refused(opener, written.cell) == "PERMIT_MISSING"


def test_something_like_a_permit_is_none(ring: KeyRing, written: Written) -> None:
    class Everything:
        def covers(self, *_: object) -> bool:
            return True

    forged: Any = Everything()
    with pytest.raises(PermitMissing):
        Opener(forged, ring, ALICE, [written.wrapped.row])


def test_a_wrapped_key_is_unwrapped_once(
    ring: KeyRing, permit_for: Permits, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    unwrapped = []
    original = KeyRing.secret_of

    def counting(self: KeyRing, key: tuple[Any, ...]) -> bytes:
        unwrapped.append(key)
        return original(self, key)

    monkeypatch.setattr(KeyRing, "secret_of", counting)
    opener = Opener(permit_for(ALICE, "identity.name"), ring, ALICE, [written.wrapped.row])
    assert unwrapped == []
    assert [opener.open(Sealed(written.cell), PLACE, ROW) for _ in range(3)] == [NAME] * 3
    assert unwrapped == [written.wrapped]


def test_a_column_padded_from_some_day_on_still_reads_older_cells(opener: Opener, written: Written) -> None:
    older = seal(NAME, written.key, Place("cdp", "cn", replace(COLUMN, padded=False)), ROW, ALICE)
    assert opener.open(Sealed(older), PLACE, ROW) == NAME


@pytest.mark.parametrize(("customer_id", "retention"), [(BOB, RetentionClass.IDENTITY), (ALICE, RetentionClass.USAGE)])
def test_sealing_refuses_a_key_of_another_customer_or_class(customer_id: uuid.UUID, retention: RetentionClass) -> None:
    with pytest.raises(KeyUnavailable):
        seal(NAME, DataKey(customer_id, retention, 1, bytes(32)), PLACE, ROW, ALICE)


@pytest.mark.parametrize(
    ("cell_type", "value"),
    [
        (CellType.TEXT, None),
        (CellType.TEXT, b"bytes"),
        (CellType.TEXT, "lone \ud800 surrogate"),
        (CellType.BYTES, "text"),
        (CellType.BYTES, bytearray(b"x")),
        (CellType.INT64, 2**63),
        (CellType.INT64, -(2**63) - 1),
        (CellType.INT64, True),
        (CellType.INT64, 1.0),
        (CellType.DECIMAL, 1.5),
        (CellType.DECIMAL, Decimal("NaN")),
        (CellType.DECIMAL, Decimal("-Infinity")),
        (CellType.DATE, datetime(2025, 1, 1, tzinfo=UTC)),
        (CellType.DATE, "2025-01-01"),
        (CellType.JSON, None),
        (CellType.JSON, {"a": (1, 2)}),
        (CellType.JSON, {1: "a"}),
        (CellType.JSON, {"a": float("nan")}),
        (CellType.JSON, {"a": {1, 2}}),
        (CellType.JSON, ["\udfff"]),
    ],
)
def test_a_value_that_would_not_come_back_is_refused(cell_type: CellType, value: Any) -> None:
    with pytest.raises(ValueRefused) as refusal:
        encode(value, cell_type)
    assert refusal.value.code == "VALUE_REFUSED"
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


@pytest.mark.parametrize(
    ("cell_type", "raw"),
    [
        (CellType.TEXT, b"\xff"),
        (CellType.INT64, bytes(7)),
        (CellType.DECIMAL, b"one"),
        (CellType.DATE, b"2025-02-30"),
        (CellType.JSON, b"{"),
    ],
)
def test_bytes_that_no_value_has_are_refused(cell_type: CellType, raw: bytes) -> None:
    with pytest.raises(SealBroken):
        decode(raw, cell_type)


def test_the_text_of_a_decimal_does_not_follow_the_context() -> None:
    with localcontext() as context:
        context.capitals, context.prec = 0, 2
        assert encode(Decimal("1.23456E+30"), CellType.DECIMAL) == b"1.23456E+30"


def test_canonical_json_has_one_spelling() -> None:
    assert canonical({"b": [1, True, None], "a": "键"}) == '{"a":"键","b":[1,true,null]}'.encode()


@pytest.mark.parametrize("uid", [0, -1, 2**32])
def test_a_column_uid_fits_its_four_bytes(uid: int) -> None:
    with pytest.raises(ValueRefused):
        replace(COLUMN, uid=uid)


def test_a_nonce_of_another_length_is_refused(written: Written) -> None:
    assert written.key.cipher is not None
    with pytest.raises(ValueRefused):
        seal_bytes(written.key.cipher, bytes(16), b"", b"")


def test_raw_bytes_are_taken_as_a_key_so_that_outside_vectors_can_be_run() -> None:
    key, nonce = bytes(range(32)), bytes(12)
    sealed = seal_bytes(key, nonce, b"plain", b"bound")
    assert sealed == AESGCM(key).encrypt(nonce, b"plain", b"bound")
    assert open_bytes(key, nonce, sealed, b"bound") == b"plain"
    with pytest.raises(SealBroken):
        open_bytes(key, nonce, sealed, b"elsewhere")
    with pytest.raises(ValueRefused):
        seal_bytes(key[:17], nonce, b"plain", b"bound")


# RFC 8998, A.1
SM4_KEY, SM4_NONCE = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"), bytes.fromhex("00001234567800000000ABCD")
SM4_BOUND = bytes.fromhex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2")
SM4_PLAIN = b"".join(bytes((letter,)) * 8 for letter in (0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF, 0xEE, 0xAA))
SM4_SEALED = bytes.fromhex(
    "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735D82710CA5C22F0CCFA7CBF93D496AC15"
    "A56834CBCF98C397B4024A2691233B8D83DE3541E4C2B58177E065A9BF7B62EC"
)


def test_sm4_gcm_is_that_of_the_rfc() -> None:
    assert seal_bytes(SM4_KEY, SM4_NONCE, SM4_PLAIN, SM4_BOUND, Suite.SM4_GCM) == SM4_SEALED
    assert open_bytes(SM4_KEY, SM4_NONCE, SM4_SEALED, SM4_BOUND, Suite.SM4_GCM) == SM4_PLAIN
    for bit in range(len(SM4_SEALED) * 8):
        altered = bytearray(SM4_SEALED)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealBroken):
            open_bytes(SM4_KEY, SM4_NONCE, bytes(altered), SM4_BOUND, Suite.SM4_GCM)
    for length in range(len(SM4_SEALED)):
        with pytest.raises(SealBroken):
            open_bytes(SM4_KEY, SM4_NONCE, SM4_SEALED[:length], SM4_BOUND, Suite.SM4_GCM)
    with pytest.raises(ValueRefused):
        seal_bytes(bytes(32), SM4_NONCE, SM4_PLAIN, SM4_BOUND, Suite.SM4_GCM)


@pytest.mark.parametrize(("first", "then"), [(a, b) for a in Suite for b in Suite])
def test_a_cell_is_sealed_anew_under_another_key_and_suite(
    ring: KeyRing, permit_for: Callable[..., Permit], first: Suite, then: Suite
) -> None:
    (old, _), (new, wrapped) = (ring.new_data_key(ALICE, COLUMN.retention, n) for n in (1, 2))
    cell = seal(NAME, old, Place("cdp", "cn", COLUMN, first), ROW, ALICE)
    assert cell[1] == first
    again = reseal(cell, (old, new), Place("cdp", "cn", COLUMN, then), ROW)
    assert (again[1], again[2], again[4:8]) == (then, cell[2], b"\0\0\0\2")
    opener = Opener(permit_for(ALICE, COLUMN.category), ring, ALICE, [wrapped.row])
    assert opener.open(Sealed(again), PLACE, ROW) == NAME
    # The header says the suite, and is bound in.
    other = next(suite for suite in Suite if suite is not then)
    with pytest.raises(SealBroken):
        opener.open(Sealed(again[:1] + bytes((other,)) + again[2:]), PLACE, ROW)


def test_a_cell_that_was_moved_is_not_sealed_anew(ring: KeyRing) -> None:
    (old, _), (new, _) = (ring.new_data_key(ALICE, COLUMN.retention, n) for n in (1, 2))
    stranger = ring.new_data_key(BOB, COLUMN.retention, 2)[0]
    cell = seal(NAME, old, PLACE, ROW, ALICE)
    with pytest.raises(SealBroken):
        reseal(cell, (old, new), PLACE, ALICE)
    with pytest.raises(SealBroken):
        reseal(cell, (old, new), Place("cdp", "hk", COLUMN), ROW)
    with pytest.raises(SealBroken):
        reseal(b"plain text", (old, new), PLACE, ROW)
    with pytest.raises(KeyUnavailable):
        reseal(cell, (old, stranger), PLACE, ROW)
    with pytest.raises(KeyUnavailable):
        reseal(cell, (new, new), PLACE, ROW)
