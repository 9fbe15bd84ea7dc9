"""Receipts of consent: what was said, for whom, on which notice, as ISO/IEC TS 27560 writes it, signed.

A receipt is JSON: `receipt` has the sections of the specification, `signature` an Ed25519 signature (RFC 8032) over its
canonical bytes, `evidence` the entry of its event in the log and the proof (tlog-proof) that it is there, once it is.
Whoever has the operator's public key can check all of it without asking anybody.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from privacy.encoding import canonical
from privacy.errors import ProofRefused, SignatureBroken, ValueRefused
from privacy.keys import LogSigner
from privacy.log import leaf_hash
from privacy.notes import BY_LOG, NoteKey, checkpoint_of, read_proof, signed_by
from privacy.signing import check_signature
from privacy.tree import check_inclusion

SCHEMA: Final = "ISO/IEC TS 27560:2023"
CONTEXT: Final = b"cdp.receipt.v1\x00"
"""Nothing else that is signed with the key begins like this."""


class Verified(NamedTuple):
    """A receipt that is as it was given out; `place` is that of its event in the log, where it is proved."""

    receipt: dict[str, Any]
    place: int | None


def signed(receipt: Mapping[str, Any], signer: LogSigner, evidence: tuple[bytes, str] | None = None) -> dict[str, Any]:
    """The receipt with its signature and its evidence (entry, proof). Raises ValueRefused where it is not JSON."""
    key, signature = signer.public_key, signer.sign(CONTEXT + canonical(receipt))
    document: dict[str, Any] = {
        "receipt": dict(receipt),
        "signature": {"alg": "EdDSA", "key": b64encode(key).decode(), "value": b64encode(signature).decode()},
    }
    if evidence is not None:
        document["evidence"] = {"entry": evidence[0].decode(), "proof": evidence[1]}
    return document


def verify(text: str, public_key: bytes) -> Verified:
    """The receipt in a text, once it is known to be signed by this key.

    Raises SignatureBroken, and ProofRefused where its evidence does not fit.
    """
    try:
        document = json.loads(text)
        receipt, signature = document["receipt"], b64decode(document["signature"]["value"], validate=True)
        message = CONTEXT + canonical(receipt)
    except (ValueError, TypeError, KeyError, RecursionError, ValueRefused):
        raise SignatureBroken("not a signed receipt") from None
    check_signature(public_key, signature, message)
    if not isinstance(receipt, dict):
        raise SignatureBroken("not a signed receipt")
    return Verified(receipt, _place(document["evidence"], receipt, public_key) if "evidence" in document else None)


def _place(evidence: Any, receipt: Mapping[str, Any], public_key: bytes) -> int:
    try:
        entry, proof = str(evidence["entry"]), str(evidence["proof"])
        about = json.loads(entry)["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ProofRefused("evidence is an entry and its proof") from None
    index, hashes, note = read_proof(proof)
    said = checkpoint_of(note)
    if said.origin not in signed_by(note, [NoteKey(said.origin, BY_LOG, public_key)]):
        raise ProofRefused("the checkpoint is not signed by the log")
    check_inclusion(leaf_hash(entry.encode()), index, said.size, hashes, said.root)
    if about != receipt.get("receipt_id"):
        raise ProofRefused("the entry is of another event")
    return index
