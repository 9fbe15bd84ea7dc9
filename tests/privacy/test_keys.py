"""Keys: each unwraps for its own customer and store; nothing shows them; tokens are good for their audience alone."""

import copy
import pickle
import uuid
from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from privacy.blind import Index
from privacy.errors import KeyUnavailable, KmsRefused, PrivacyError, TokenRefused, ValueRefused
from privacy.keys import (
    DataKey,
    KeyRing,
    StoreKeyKind,
    TokenSeal,
    WrappedDataKey,
    create_store_keys,
    root_key_id,
    share_cursor_key,
)
from privacy.kms import InsecureFileKms
from privacy.vocabulary import RetentionClass

ALICE, BOB = uuid.UUID(int=1), uuid.UUID(int=2)
Rings = Callable[..., KeyRing]


@pytest.fixture
def kms(tmp_path: Path) -> InsecureFileKms:
    return InsecureFileKms(tmp_path / "kms", "test")


@pytest.fixture
def wrapped(ring: KeyRing) -> WrappedDataKey:
    return ring.new_data_key(ALICE, RetentionClass.IDENTITY)[1]


@given(retention=st.sampled_from(RetentionClass), generation=st.integers(1, 2**32 - 1), customer=st.uuids())
def test_a_data_key_comes_back(ring: KeyRing, retention: RetentionClass, generation: int, customer: uuid.UUID) -> None:
    key, wrapped = ring.new_data_key(customer, retention, generation)
    again = ring.unwrap(wrapped)
    assert (again.customer_id, again.retention, again.generation) == (customer, retention, generation)
    assert again.secret == key.secret
    assert len(wrapped.wrapped) == 48
    assert key.secret not in wrapped.wrapped


@pytest.mark.parametrize(
    "change",
    [{"customer_id": BOB}, {"retention": RetentionClass.SERVICE}, {"generation": 2}, {"epoch": 2}, {"wrapped": b""}],
    ids=str,
)
def test_a_wrapped_key_changed_in_any_part_is_refused(rings: Rings, wrapped: WrappedDataKey, change: Any) -> None:
    with pytest.raises(KeyUnavailable):
        rings("cdp", "cn", (1, 2)).unwrap(wrapped._replace(**change))


@pytest.mark.parametrize(("tenant", "store"), [("other", "cn"), ("cdp", "hk"), ("cdpc", "n")])
def test_a_wrapped_key_is_of_one_store(ring: KeyRing, wrapped: WrappedDataKey, tenant: str, store: str) -> None:
    # Even with the same KEK: the names are bound in, not only the keys apart.
    same_kek = KeyRing(tenant, store, [(StoreKeyKind.KEK, 1, ring._secrets[StoreKeyKind.KEK, 1])])
    with pytest.raises(KeyUnavailable):
        same_kek.unwrap(wrapped)


def test_every_flipped_bit_of_a_wrapped_key_is_refused(ring: KeyRing, wrapped: WrappedDataKey) -> None:
    for bit in range(48 * 8):
        altered = bytearray(wrapped.wrapped)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(KeyUnavailable):
            ring.unwrap(wrapped._replace(wrapped=bytes(altered)))


def test_new_keys_use_the_newest_epoch_and_older_ones_still_unwrap(rings: Rings, wrapped: WrappedDataKey) -> None:
    both = rings("cdp", "cn", (1, 2))
    assert both.new_data_key(ALICE, RetentionClass.USAGE)[1].epoch == 2
    assert both.wrap(both.unwrap(wrapped)).epoch == 2


@pytest.mark.parametrize(("length", "generation"), [(31, 1), (33, 1), (32, 0), (32, 2**32)])
def test_a_data_key_has_its_size_and_generation(length: int, generation: int) -> None:
    with pytest.raises(ValueRefused):
        DataKey(ALICE, RetentionClass.USAGE, generation, bytes(length))


async def test_a_store_is_unlocked_with_its_own_keys(kms: InsecureFileKms) -> None:
    wrapped = await create_store_keys(kms, "cdp", "cn")
    assert {key.kind for key in wrapped} == set(StoreKeyKind)
    first, second = [await KeyRing.unlock(kms, "cdp", "cn", wrapped) for _ in range(2)]
    _, key = first.new_data_key(ALICE, RetentionClass.IDENTITY)
    assert second.unwrap(key).customer_id == ALICE
    assert second.tag(Index(1, "e164", 1), "x") == first.tag(Index(1, "e164", 1), "x")
    assert second.signer.public_key == first.signer.public_key


@pytest.mark.parametrize("change", [{"kind": StoreKeyKind.CURSOR}, {"epoch": 2}], ids=str)
async def test_a_store_key_of_another_kind_or_epoch_is_refused(kms: InsecureFileKms, change: Any) -> None:
    [kek] = await create_store_keys(kms, "cdp", "cn", [StoreKeyKind.KEK])
    with pytest.raises(KmsRefused):
        await KeyRing.unlock(kms, "cdp", "cn", [replace(kek, **change)])


async def test_a_store_key_of_another_store_or_tenant_is_refused(kms: InsecureFileKms) -> None:
    wrapped = await create_store_keys(kms, "cdp", "cn")
    for tenant, store in (("cdp", "hk"), ("other", "cn")):
        with pytest.raises(KmsRefused):
            await KeyRing.unlock(kms, tenant, store, wrapped)


async def test_store_keys_are_made_under_the_root_key_that_is_there(kms: InsecureFileKms) -> None:
    await create_store_keys(kms, "cdp", "cn", [StoreKeyKind.KEK])
    await create_store_keys(kms, "cdp", "cn", [StoreKeyKind.INDEX])
    assert await kms.current_version(root_key_id("cdp", "cn")) == 1


async def test_the_cursor_key_is_shared_and_no_other(kms: InsecureFileKms) -> None:
    mainland = await create_store_keys(kms, "cdp", "cn")
    island = await create_store_keys(kms, "cdp", "hk", set(StoreKeyKind) - {StoreKeyKind.CURSOR})
    cursor = next(key for key in mainland if key.kind is StoreKeyKind.CURSOR)
    island.append(await share_cursor_key(kms, "cdp", "cn", cursor, "hk"))
    cn = await KeyRing.unlock(kms, "cdp", "cn", mainland)
    hk = await KeyRing.unlock(kms, "cdp", "hk", island)
    assert hk.tokens.open("node", "app", cn.tokens.seal("node", "app", b"id")) == b"id"
    assert hk.tag(Index(1, "e164", 1), "x") != cn.tag(Index(1, "e164", 1), "x")
    for key in mainland:
        if key.kind is not StoreKeyKind.CURSOR:
            with pytest.raises(ValueRefused):
                await share_cursor_key(kms, "cdp", "cn", key, "hk")


@pytest.mark.parametrize(("tenant", "store"), [("a.b", "c"), ("a", "b.c")])
def test_the_name_of_a_root_key_is_not_blurred(tenant: str, store: str) -> None:
    with pytest.raises(ValueRefused):
        root_key_id(tenant, store)


def test_a_ring_without_a_key_says_so() -> None:
    empty = KeyRing("cdp", "cn", [])
    uses: list[Callable[[], object]] = [
        lambda: empty.new_data_key(ALICE, RetentionClass.USAGE),
        lambda: empty.tag(Index(1, "e164", 1), "x"),
        lambda: empty.pseudonym(ALICE, 2025),
        lambda: empty.signer,
        lambda: empty.tokens,
        lambda: empty.unwrap(WrappedDataKey(ALICE, RetentionClass.USAGE, 1, 1, bytes(48))),
    ]
    for use in uses:
        with pytest.raises(KeyUnavailable):
            use()


@pytest.mark.parametrize("kind", StoreKeyKind)
def test_a_ring_refuses_a_key_of_the_wrong_length(kind: StoreKeyKind) -> None:
    with pytest.raises(KeyUnavailable):
        KeyRing("cdp", "cn", [(kind, 1, bytes(48))])


def test_a_pseudonym_changes_with_customer_store_and_year(rings: Rings, ring: KeyRing) -> None:
    names = {
        ring.pseudonym(ALICE, 2025),
        ring.pseudonym(BOB, 2025),
        ring.pseudonym(ALICE, 2026),
        rings("cdp", "hk").pseudonym(ALICE, 2025),
    }
    assert len(names) == 4
    assert {len(name) for name in names} == {16}
    assert ring.pseudonym(ALICE, 2025) == rings("cdp", "cn").pseudonym(ALICE, 2025)


def test_the_signer_signs_what_its_public_key_verifies(ring: KeyRing) -> None:
    public = Ed25519PublicKey.from_public_bytes(ring.signer.public_key)
    signature = ring.signer.sign(b"checkpoint")
    public.verify(signature, b"checkpoint")
    with pytest.raises(InvalidSignature):
        public.verify(signature, b"checkpoinT")


def test_keys_show_nothing(ring: KeyRing) -> None:
    key, _ = ring.new_data_key(ALICE, RetentionClass.USAGE)
    for secret in (key, ring, ring.tokens, ring.signer):
        assert repr(secret) == str(secret) == f"<{type(secret).__name__}>"
        assert not hasattr(secret, "__dict__")
        for show in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                show(secret)


@given(payload=st.binary(), audience=st.text(st.characters(codec="utf-8")))
def test_a_token_comes_back_and_is_always_the_same(ring: KeyRing, payload: bytes, audience: str) -> None:
    text = ring.tokens.seal("node", audience, payload)
    assert ring.tokens.open("node", audience, text) == payload
    assert ring.tokens.seal("node", audience, payload) == text
    assert text.replace("-", "").replace("_", "").isalnum()


def test_a_token_of_another_kind_audience_or_deployment_is_refused(ring: KeyRing) -> None:
    text = ring.tokens.seal("node", "app", b"id")
    foreign = TokenSeal(bytes(range(64)))
    others = [(ring.tokens, "cursor", "app"), (ring.tokens, "node", "web"), (foreign, "node", "app")]
    for tokens, kind, audience in others:
        with pytest.raises(TokenRefused):
            tokens.open(kind, audience, text)


def test_every_altered_letter_of_a_token_is_refused(ring: KeyRing) -> None:
    text = ring.tokens.seal("node", "app", uuid.UUID(int=7).bytes)
    for place, letter in enumerate(text):
        # Other letters, other spellings of the same bytes, and what lax decoders skip.
        for other in set("AQgw-_+/= \n\0é") - {letter}:
            with pytest.raises(TokenRefused):
                ring.tokens.open("node", "app", text[:place] + other + text[place + 1 :])


@pytest.mark.parametrize("respell", [lambda t: t + "=", lambda t: t + "\n", lambda t: " " + t, lambda t: t + "A"])
def test_a_token_has_one_spelling(ring: KeyRing, respell: Callable[[str], str]) -> None:
    with pytest.raises(TokenRefused):
        ring.tokens.open("node", "app", respell(ring.tokens.seal("node", "app", b"1234")))


def test_unused_bits_of_a_token_are_not_free(ring: KeyRing) -> None:
    text = ring.tokens.seal("node", "app", b"")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = text[:-1] + alphabet[alphabet.index(text[-1]) + 1]
    assert urlsafe_b64decode(twin + "==") == urlsafe_b64decode(text + "==")
    with pytest.raises(TokenRefused):
        ring.tokens.open("node", "app", twin)


@pytest.mark.parametrize("text", ["", "A", "node", "é" * 30, "A" * 9000, "\ud800" * 24])
def test_what_is_no_token_is_refused(ring: KeyRing, text: str) -> None:
    with pytest.raises(TokenRefused):
        ring.tokens.open("node", "app", text)


def test_a_token_too_long_is_refused_even_when_it_is_ours(ring: KeyRing) -> None:
    with pytest.raises(TokenRefused):
        ring.tokens.open("node", "app", ring.tokens.seal("node", "app", bytes(8192)))


def test_refusals_share_a_parent_and_have_codes_of_their_own() -> None:
    kinds = PrivacyError.__subclasses__()
    assert len({kind.code for kind in kinds}) == len(kinds) <= 12
