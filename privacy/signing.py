"""Key pairs that sign access tokens, as JSON Web Keys (RFC 7517, 8037)."""

import hashlib
from base64 import urlsafe_b64encode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def new_signing_jwk() -> tuple[dict[str, str], dict[str, str]]:
    """Make an Ed25519 key: (private JWK, public JWK). Both carry `kid`, the RFC 7638 thumbprint of the public key."""
    key = Ed25519PrivateKey.generate()
    point = _text(key.public_key().public_bytes_raw())
    # RFC 7638: the members that make the key, sorted, without spaces.
    thumbprint = hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{point}"}}'.encode()).digest()
    public = {"kty": "OKP", "crv": "Ed25519", "x": point, "alg": "EdDSA", "use": "sig", "kid": _text(thumbprint)}
    return {**public, "d": _text(key.private_bytes_raw())}, public


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
