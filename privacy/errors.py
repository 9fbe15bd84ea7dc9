"""Everything the cellar refuses, each with a code that never changes.

PrivacyError                PRIVACY_ERROR
├── ValueRefused            VALUE_REFUSED      a value, name or number that cannot be written exactly
├── SealBroken              SEAL_BROKEN        a cell that is malformed, moved or altered
├── KeyUnavailable          KEY_UNAVAILABLE    no such key, destroyed, or of another customer or store
├── KmsRefused              KMS_REFUSED        the key management system does not answer, or says no
├── PermitMissing           PERMIT_MISSING     no permit for this customer and category
├── PolicyInvalid           POLICY_INVALID     a rule, index or vocabulary that contradicts itself
├── TokenRefused            TOKEN_REFUSED      a global id or cursor that is altered or of someone else
├── ProofRefused            PROOF_REFUSED      a signed note, checkpoint or proof that does not verify
└── SignatureBroken         SIGNATURE_BROKEN   a receipt that is altered, or was not signed by that key

Messages name what was wrong, never the value, so that they may be logged; they do not leave the product.
"""

from typing import ClassVar


class PrivacyError(Exception):
    """Anything the cellar refuses."""

    code: ClassVar[str] = "PRIVACY_ERROR"


class ValueRefused(PrivacyError):
    code = "VALUE_REFUSED"


class SealBroken(PrivacyError):
    code = "SEAL_BROKEN"


class KeyUnavailable(PrivacyError):
    code = "KEY_UNAVAILABLE"


class KmsRefused(PrivacyError):
    code = "KMS_REFUSED"


class PermitMissing(PrivacyError):
    code = "PERMIT_MISSING"


class PolicyInvalid(PrivacyError):
    code = "POLICY_INVALID"


class TokenRefused(PrivacyError):
    code = "TOKEN_REFUSED"


class ProofRefused(PrivacyError):
    code = "PROOF_REFUSED"


class SignatureBroken(PrivacyError):
    code = "SIGNATURE_BROKEN"
