"""Key pairs that sign access tokens, as JSON Web Keys (RFC 7517, 8037); and whether a signature is a key's own."""

import hashlib
from base64 import urlsafe_b64encode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from privacy.errors import SignatureBroken


def new_signing_jwk() -> tuple[dict[str, str], dict[str, str]]:
    """Make an Ed25519 key: (private JWK, public JWK). Both carry `kid`, the RFC 7638 thumbprint of the public key."""
    key = Ed25519PrivateKey.generate()
    point = _text(key.public_key().public_bytes_raw())
    # RFC 7638: the members that make the key, sorted, without spaces.
    thumbprint = hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{point}"}}'.encode()).digest()
    public = {"kty": "OKP", "crv": "Ed25519", "x": point, "alg": "EdDSA", "use": "sig", "kid": _text(thumbprint)}
    return {**public, "d": _text(key.private_bytes_raw())}, public


def check_signature(public_key: bytes, signature: bytes, message: bytes) -> None:
    """Raises SignatureBroken where the Ed25519 signature of a message was not made with this key (32 bytes)."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise SignatureBroken("the signature does not fit the key and what is signed") from None


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
