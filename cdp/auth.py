"""A bearer token becomes a Caller: who asks, for whom, for which purposes, in which stores.

The algorithm is a property of the issuer's key, never of the token. Whatever cannot be verified is refused: an
unknown key, an unreachable key set, a claim of the wrong shape. Only a verification is remembered, never a decision.
"""

import hashlib
import json
import os
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

import jwt

from cdp.errors import AuthError, SettingsInvalid
from cdp.jwks import IssuerKeys, Jwk
from privacy.signing import new_signing_jwk
from privacy.vocabulary import RecipientClass

TOKEN_BYTES: Final = 8192
LEEWAY_SECONDS: Final = 10
REMEMBERED_TOKENS: Final = 4096
SHIFT_SECONDS: Final = 8 * 3600
REQUIRED_CLAIMS: Final = ("iss", "aud", "exp", "iat")
SELF: Final = "SELF"


class Role(StrEnum):
    """What the user of a token is."""

    CHANNEL = "channel"
    OFFICER = "officer"
    STEWARD = "steward"
    ACCOUNTANT = "accountant"


class Caller(NamedTuple):
    """Who asks. `legal_entity` is the recipient of the answer, "SELF" for the operator; `actor` the token's subject."""

    client: str
    legal_entity: str = SELF
    recipient_class: RecipientClass = RecipientClass.SELF
    purposes: frozenset[str] = frozenset()
    stores: tuple[str, ...] = ()
    role: str = "channel"
    partner: bool = False
    channel: str = "api"
    actor: str = ""


def bearer_token(authorization: str | None) -> str:
    """The token of an Authorization header. Raises AuthError TOKEN_MISSING when there is none."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise AuthError("TOKEN_MISSING", "A bearer token is required.")
    return token.strip()


@dataclass(frozen=True, slots=True)
class _Verified:
    caller: Caller
    key: Jwk
    expires_at: int


class Verifier:
    """Verifies tokens of one issuer for one audience; `operator` is the name of our own legal entity.

    Raises SettingsInvalid when issuer or audience is empty: without them any token of the key's owner would do.
    """

    def __init__(self, keys: IssuerKeys, issuer: str, audience: str, operator: str = "OPERATOR") -> None:
        named = {"CDP_TOKEN_ISSUER": issuer, "CDP_TOKEN_AUDIENCE": audience}
        if wrong := [f"{name}: must not be empty" for name, value in named.items() if not value.strip()]:
            raise SettingsInvalid(wrong)
        self._keys, self._issuer, self._audience, self._operator = keys, issuer, audience, operator
        self._remembered: dict[bytes, _Verified] = {}

    async def verify(self, token: str) -> Caller:
        """The caller of a token. Raises AuthError TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_AUDIENCE or TOKEN_ISSUER."""
        if len(token) > TOKEN_BYTES or not token.isascii():
            raise AuthError("TOKEN_INVALID", "The token is not valid.")
        fingerprint = hashlib.sha256(token.encode()).digest()
        known = self._remembered.get(fingerprint)
        # A key that was read again is another object: what it verified is verified again.
        if known and time.time() < known.expires_at and self._keys.at_hand(known.key["kid"]) is known.key:
            return known.caller
        verified = await self._verify(token)
        if len(self._remembered) >= REMEMBERED_TOKENS:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[fingerprint] = verified
        return verified.caller

    def expires_at(self, token: str) -> float:
        """When a token that was verified just now is good no more (Unix time); at once for any other."""
        known = self._remembered.get(hashlib.sha256(token.encode()).digest())
        return 0.0 if known is None else known.expires_at

    async def _verify(self, token: str) -> _Verified:
        try:
            key = await self._key_of(token)
            claims = self._claims(token, key)
            return _Verified(_caller(claims, self._operator), key, int(claims["exp"]))
        except jwt.ExpiredSignatureError:
            raise AuthError("TOKEN_EXPIRED", "The token has expired.") from None
        except jwt.InvalidAudienceError:
            raise AuthError("TOKEN_AUDIENCE", "The token is for another audience.") from None
        except jwt.InvalidIssuerError:
            raise AuthError("TOKEN_ISSUER", "The token is from another issuer.") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise AuthError("TOKEN_INVALID", "The token is not valid.") from None

    async def _key_of(self, token: str) -> Jwk:
        key_id = jwt.get_unverified_header(token).get("kid")
        key = await self._keys.find(key_id) if isinstance(key_id, str) else None
        if key is None:
            raise ValueError("kid")
        return key

    def _claims(self, token: str, key: Jwk) -> dict[str, Any]:
        return jwt.decode(
            token,
            jwt.PyJWK(dict(key), key["alg"]),
            algorithms=[key["alg"]],
            options={"require": list(REQUIRED_CLAIMS), "enforce_minimum_key_length": True},
            audience=self._audience,
            issuer=self._issuer,
            leeway=LEEWAY_SECONDS,
        )


def _caller(claims: Mapping[str, Any], operator: str) -> Caller:
    """Raises ValueError or TypeError for a claim of the wrong shape and a partner without its own legal entity."""
    client, partner = _text(claims, "client"), claims.get("partner", False)
    entity, role = _text(claims, "legal_entity", SELF), _text(claims, "role", "channel")
    ours = entity in (SELF, operator)
    # Another legal entity is a third party unless the issuer says that it is a processor or an affiliate.
    other = RecipientClass(_text(claims, "recipient_class", RecipientClass.THIRD_PARTY))
    partner_fits = not ours and other == RecipientClass.THIRD_PARTY
    if role not in list(Role) or not isinstance(partner, bool) or (partner and not partner_fits) or other == SELF:
        raise ValueError("role, partner or recipient_class")
    return Caller(
        client=client,
        legal_entity=SELF if ours else entity,
        recipient_class=RecipientClass.SELF if ours else other,
        purposes=frozenset(_texts(claims, "purposes")),
        stores=tuple(dict.fromkeys(_texts(claims, "stores"))),
        role=role,
        partner=partner,
        channel=_text(claims, "channel", "api"),
        actor=_text(claims, "sub", client),
    )


def _text(claims: Mapping[str, Any], name: str, default: str = "") -> str:
    value = claims.get(name, default)
    if not isinstance(value, str) or not 0 < len(value) <= 128 or not value.isprintable():
        raise ValueError(name)
    return value


def _texts(claims: Mapping[str, Any], name: str) -> list[str]:
    values = claims.get(name, [])
    if not isinstance(values, list):
        raise TypeError(name)
    return [_text({name: value}, name) for value in values]


def issue_token(home: Path, caller: Caller, issuer: str, audience: str, seconds: int = SHIFT_SECONDS) -> str:
    """A token for this caller, signed with the laptop's own key under `home`, which is made when there is none.

    A partner whose legal entity is not named is its own. Raises SettingsInvalid when others may read the key.
    """
    key = _signing_key(home / "tokens")
    entity = caller.client if caller.partner and caller.legal_entity == SELF else caller.legal_entity
    now = int(time.time())
    claims = {"iss": issuer, "aud": audience, "iat": now, "exp": now + seconds, "sub": caller.actor or caller.client}
    claims |= {"client": caller.client, "legal_entity": entity, "role": caller.role, "partner": caller.partner}
    claims |= {"purposes": sorted(caller.purposes), "stores": list(caller.stores), "channel": caller.channel}
    return jwt.encode(claims, jwt.PyJWK(key, "EdDSA"), algorithm="EdDSA", headers={"kid": key["kid"]})


def _signing_key(folder: Path) -> dict[str, str]:
    """The private JWK in `signing.json`; `jwks.json` beside it is written from it each time."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path, draft = folder / "signing.json", folder / f".{secrets.token_hex(8)}"
    if not path.exists():
        _write(draft, new_signing_jwk()[0])
        # A link fails where the name is taken: of two makers at once, the first one's key stands.
        with suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    if path.stat().st_mode & 0o077:
        raise SettingsInvalid([f"{path}: readable by others; it must have mode 0600"])
    key: dict[str, str] = json.loads(path.read_text())
    _write(draft, {"keys": [{name: value for name, value in key.items() if name != "d"}]})
    draft.replace(folder / "jwks.json")
    return key


def _write(path: Path, content: Mapping[str, object]) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file)
