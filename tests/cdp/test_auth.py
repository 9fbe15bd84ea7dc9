"""What a token must be before anyone is a caller; every other shape is refused with a code."""

import base64
import hmac
import json
import stat
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.auth import TOKEN_BYTES, Caller, Verifier, bearer_token, issue_token
from cdp.errors import AuthError, SettingsInvalid
from cdp.jwks import KEYS_SECONDS, RETRY_SECONDS, IssuerKeys, usable_keys
from privacy.signing import new_signing_jwk
from privacy.vocabulary import RecipientClass

ISSUER, AUDIENCE = "https://issuer.test", "cdp"
PRIVATE, PUBLIC = new_signing_jwk()
CALLER = Caller("desk", purposes=frozenset({"service.care"}), stores=("cn", "hk"), actor="agent-7")


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    given: dict[str, Any] = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 60, "client": "desk"}
    return {name: value for name, value in (given | changed).items() if value is not None}


def sign(payload: dict[str, Any], key: dict[str, str] = PRIVATE, **header: Any) -> str:
    return jwt.encode(payload, jwt.PyJWK(key, "EdDSA"), algorithm="EdDSA", headers={"kid": key["kid"], **header})


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(data: object) -> str:
    return text(json.dumps(data).encode())


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [PUBLIC]}))
    return path


@pytest.fixture
def verifier(key_file: Path) -> Verifier:
    return Verifier(IssuerKeys(str(key_file)), ISSUER, AUDIENCE)


async def refused(verifier: Verifier, token: str) -> str:
    with pytest.raises(AuthError) as caught:
        await verifier.verify(token)
    assert caught.value.status == 401
    return caught.value.code


async def test_a_token_becomes_its_caller(verifier: Verifier) -> None:
    token = sign(
        claims(purposes=["service.care"], stores=["hk", "cn", "hk"], role="officer", channel="hotline", sub="a")
    )

    caller = await verifier.verify(token)

    assert caller == Caller(
        "desk", "SELF", RecipientClass.SELF, frozenset({"service.care"}), ("hk", "cn"), "officer", False, "hotline", "a"
    )
    assert await verifier.verify(token) is caller


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ("SELF", RecipientClass.SELF)),
        ({"legal_entity": "OPERATOR"}, ("SELF", RecipientClass.SELF)),
        ({"legal_entity": "ACME"}, ("ACME", RecipientClass.THIRD_PARTY)),
        ({"legal_entity": "ACME", "partner": True}, ("ACME", RecipientClass.THIRD_PARTY)),
        ({"legal_entity": "ACME", "recipient_class": "PROCESSOR"}, ("ACME", RecipientClass.PROCESSOR)),
    ],
)
async def test_the_recipient_is_the_legal_entity(
    verifier: Verifier, changed: dict[str, Any], expected: tuple[str, RecipientClass]
) -> None:
    caller = await verifier.verify(sign(claims(**changed)))

    assert (caller.legal_entity, caller.recipient_class) == expected


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"exp": None}, "TOKEN_INVALID"),
        ({"iat": None}, "TOKEN_INVALID"),
        ({"iss": None}, "TOKEN_INVALID"),
        ({"aud": None}, "TOKEN_INVALID"),
        ({"aud": ""}, "TOKEN_INVALID"),
        ({"exp": int(time.time()) - 30}, "TOKEN_EXPIRED"),
        ({"aud": "other"}, "TOKEN_AUDIENCE"),
        ({"aud": ["other"]}, "TOKEN_AUDIENCE"),
        ({"iss": "https://else.test"}, "TOKEN_ISSUER"),
        ({"nbf": int(time.time()) + 3600}, "TOKEN_INVALID"),
        ({"iat": int(time.time()) + 3600}, "TOKEN_INVALID"),
        ({"exp": float("inf")}, "TOKEN_INVALID"),
        ({"client": None}, "TOKEN_INVALID"),
        ({"client": "a\nb"}, "TOKEN_INVALID"),
        ({"purposes": "service.care"}, "TOKEN_INVALID"),
        ({"stores": [1]}, "TOKEN_INVALID"),
        ({"role": "root"}, "TOKEN_INVALID"),
        ({"partner": "yes", "legal_entity": "ACME"}, "TOKEN_INVALID"),
        ({"partner": True}, "TOKEN_INVALID"),
        ({"partner": True, "legal_entity": "OPERATOR"}, "TOKEN_INVALID"),
        ({"partner": True, "legal_entity": "ACME", "recipient_class": "AFFILIATE"}, "TOKEN_INVALID"),
        ({"legal_entity": "ACME", "recipient_class": "SELF"}, "TOKEN_INVALID"),
        ({"legal_entity": "ACME", "recipient_class": "FRIEND"}, "TOKEN_INVALID"),
    ],
)
async def test_wrong_claims_are_refused(verifier: Verifier, changed: dict[str, Any], code: str) -> None:
    assert await refused(verifier, sign(claims(**changed))) == code


async def test_the_token_does_not_choose_the_algorithm(verifier: Verifier) -> None:
    kid = PUBLIC["kid"]
    none = f"{part({'alg': 'none', 'kid': kid})}.{part(claims())}."
    signed = f"{part({'alg': 'HS256', 'kid': kid})}.{part(claims())}"
    point = base64.urlsafe_b64decode(PUBLIC["x"] + "=")
    secrets = (point, PUBLIC["x"].encode(), json.dumps(PUBLIC).encode())
    shared = [f"{signed}.{text(hmac.digest(secret, signed.encode(), 'sha256'))}" for secret in secrets]

    assert [await refused(verifier, token) for token in (none, *shared)] == ["TOKEN_INVALID"] * 4


async def test_foreign_and_altered_signatures_are_refused(verifier: Verifier) -> None:
    stranger, _ = new_signing_jwk()
    head, body, signature = sign(claims()).split(".")
    longer = f"{head}.{part(claims(role='officer'))}.{signature}"
    tokens = [
        sign(claims(), stranger),
        sign(claims(), stranger, kid=PUBLIC["kid"]),
        f"{part({'alg': 'EdDSA'})}.{body}.{signature}",
        longer,
        f"{head}.{body}.",
        f"{head}.{body}",
        sign(claims(), crit=["b64"], b64=False),
    ]

    assert [await refused(verifier, token) for token in tokens] == ["TOKEN_INVALID"] * len(tokens)


async def test_oversize_is_refused_before_it_is_read(verifier: Verifier) -> None:
    token = sign(claims(note="x" * TOKEN_BYTES))

    assert await refused(verifier, token) == "TOKEN_INVALID"
    assert await refused(verifier, f"{text(b'[' * 6000)}.a.b") == "TOKEN_INVALID"


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: text(b) + ".e30.AA"))
async def test_any_other_text_is_refused(token: str) -> None:
    assert await refused(Verifier(IssuerKeys("/nowhere/jwks.json"), ISSUER, AUDIENCE), token) == "TOKEN_INVALID"


@pytest.mark.parametrize(("issuer", "audience"), [("", AUDIENCE), (ISSUER, ""), (" ", " ")])
def test_no_verifier_without_issuer_and_audience(issuer: str, audience: str) -> None:
    with pytest.raises(SettingsInvalid):
        Verifier(IssuerKeys("jwks.json"), issuer, audience)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer  ", "Basic abc", "abc"])
def test_no_bearer_token(header: str | None) -> None:
    with pytest.raises(AuthError) as caught:
        bearer_token(header)
    assert caught.value.code == "TOKEN_MISSING"


def test_the_scheme_is_case_insensitive() -> None:
    assert bearer_token("bearer abc") == "abc"


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "1"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "1"},
        {**PUBLIC, "alg": "HS256"},
        {**PUBLIC, "use": "enc"},
        {**PUBLIC, "kid": 7},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "1"},
        {"kty": "EC", "crv": "P-256", "x": "", "y": "", "kid": "1"},
        PRIVATE,
        "text",
    ],
)
def test_keys_that_are_passed_over(key: object) -> None:
    assert usable_keys(json.dumps({"keys": [key, PUBLIC]}).encode()) == {PUBLIC["kid"]: PUBLIC}


@pytest.mark.parametrize("content", [b"", b"[]", b'{"keys": {}}', b"\xff", b"{}"])
def test_no_key_set(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - several kinds of it
        usable_keys(content)


def test_an_ed25519_key_needs_no_algorithm() -> None:
    key = {name: value for name, value in PUBLIC.items() if name != "alg"}

    assert usable_keys(json.dumps({"keys": [key]}).encode()) == {PUBLIC["kid"]: PUBLIC}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Source:
    """A key set at an https address: counts how often it is read, or cannot be."""

    def __init__(self) -> None:
        self.keys, self.reads, self.down = [PUBLIC], 0, False

    def __call__(self, location: str) -> bytes:
        assert location.startswith("https:")
        self.reads += 1
        if self.down:
            raise OSError
        return json.dumps({"keys": self.keys}).encode()


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    source = Source()
    monkeypatch.setattr("cdp.jwks._read", source)
    return source


async def test_an_unknown_key_is_asked_for_at_most_every_half_minute(source: Source) -> None:
    clock = Clock()
    keys = IssuerKeys("https://issuer.test/jwks", clock)

    assert [await keys.find("unknown") for _ in range(5)] == [None] * 5
    assert source.reads == 1
    clock.now += RETRY_SECONDS
    assert await keys.find("unknown") is None
    assert await keys.find(PUBLIC["kid"]) == PUBLIC
    assert source.reads == 2


async def test_an_unreachable_issuer_fails_closed(source: Source) -> None:
    clock = Clock()
    verifier = Verifier(IssuerKeys("https://issuer.test/jwks", clock), ISSUER, AUDIENCE)
    token = sign(claims())
    await verifier.verify(token)
    source.down = True

    clock.now += KEYS_SECONDS - 1
    assert (await verifier.verify(token)).client == "desk"
    clock.now += 2
    assert await refused(verifier, token) == "TOKEN_INVALID"


async def test_a_withdrawn_key_ends_its_tokens(source: Source) -> None:
    clock = Clock()
    verifier = Verifier(IssuerKeys("https://issuer.test/jwks", clock), ISSUER, AUDIENCE)
    token = sign(claims())
    await verifier.verify(token)
    source.keys = [new_signing_jwk()[1]]

    clock.now += KEYS_SECONDS + 1
    assert await refused(verifier, token) == "TOKEN_INVALID"


async def test_a_remembered_token_still_expires(verifier: Verifier, monkeypatch: pytest.MonkeyPatch) -> None:
    token = sign(claims(exp=int(time.time()) + 2, iat=int(time.time()) - 60))
    await verifier.verify(token)
    later = time.time() + 3
    monkeypatch.setattr("cdp.auth.time.time", lambda: later)
    calls: list[str] = []
    decode = jwt.decode

    def counted(token: str, *arguments: Any, **options: Any) -> Any:
        calls.append("decoded")
        return decode(token, *arguments, **options)

    monkeypatch.setattr("cdp.auth.jwt.decode", counted)

    await verifier.verify(token)  # within the leeway, but verified anew

    assert calls == ["decoded"]


async def test_issued_tokens_verify(tmp_path: Path) -> None:
    token = issue_token(tmp_path, CALLER, ISSUER, AUDIENCE)
    again = issue_token(tmp_path, CALLER._replace(client="shop", partner=True), ISSUER, AUDIENCE)
    verifier = Verifier(IssuerKeys(str(tmp_path / "tokens" / "jwks.json")), ISSUER, AUDIENCE)

    assert await verifier.verify(token) == CALLER
    partner = await verifier.verify(again)
    assert (partner.legal_entity, partner.recipient_class) == ("shop", RecipientClass.THIRD_PARTY)
    signing = tmp_path / "tokens" / "signing.json"
    assert stat.S_IMODE(signing.stat().st_mode) == 0o600
    assert "d" not in json.loads((tmp_path / "tokens" / "jwks.json").read_text())["keys"][0]
    assert sorted(p.name for p in signing.parent.iterdir()) == ["jwks.json", "signing.json"]


def test_a_signing_key_open_to_others_is_refused(tmp_path: Path) -> None:
    issue_token(tmp_path, CALLER, ISSUER, AUDIENCE)
    (tmp_path / "tokens" / "signing.json").chmod(0o640)

    with pytest.raises(SettingsInvalid):
        issue_token(tmp_path, CALLER, ISSUER, AUDIENCE)
