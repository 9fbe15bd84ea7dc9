"""Receipts of consent: what was said, for whom, on which notice, as ISO/IEC TS 27560 writes it, signed.

A receipt is JSON: `receipt` has the sections of the specification, `signature` an Ed25519 signature (RFC 8032) over its
canonical bytes. Whoever has the operator's public key can check it without asking anybody.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final

from privacy.encoding import canonical
from privacy.errors import SignatureBroken, ValueRefused
from privacy.keys import LogSigner
from privacy.signing import check_signature

SCHEMA: Final = "ISO/IEC TS 27560:2023"
CONTEXT: Final = b"cdp.receipt.v1\x00"
"""Nothing else that is signed with the key begins like this."""


def signed(receipt: Mapping[str, Any], signer: LogSigner) -> dict[str, Any]:
    """The receipt with its signature. Raises ValueRefused where it is not JSON."""
    key, signature = signer.public_key, signer.sign(CONTEXT + canonical(receipt))
    return {
        "receipt": dict(receipt),
        "signature": {"alg": "EdDSA", "key": b64encode(key).decode(), "value": b64encode(signature).decode()},
    }


def verify(text: str, public_key: bytes) -> dict[str, Any]:
    """The receipt in a text, once it is known to be signed by this key. Raises SignatureBroken."""
    try:
        document = json.loads(text)
        receipt, signature = document["receipt"], b64decode(document["signature"]["value"], validate=True)
        message = CONTEXT + canonical(receipt)
    except (ValueError, TypeError, KeyError, RecursionError, ValueRefused):
        raise SignatureBroken("not a signed receipt") from None
    check_signature(public_key, signature, message)
    if not isinstance(receipt, dict):
        raise SignatureBroken("not a signed receipt")
    return receipt
