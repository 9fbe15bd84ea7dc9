"""Everything the cellar refuses, each with a code that never changes.

PrivacyError                PRIVACY_ERROR
├── ValueRefused            VALUE_REFUSED      a value, name or number that cannot be written exactly
├── SealBroken              SEAL_BROKEN        a cell that is malformed, moved or altered
├── KeyUnavailable          KEY_UNAVAILABLE    no such key, destroyed, or of another customer or store
├── KmsRefused              KMS_REFUSED        the key management system does not answer, or says no
├── PermitMissing           PERMIT_MISSING     no permit for this customer and category
├── PolicyInvalid           POLICY_INVALID     a rule, index or vocabulary that contradicts itself
└── TokenRefused            TOKEN_REFUSED      a global id or cursor that is altered or of someone else

Messages name what was wrong, never the value, so that they may be logged; they do not leave the product.
"""

from typing import ClassVar


class PrivacyError(Exception):
    """Anything the cellar refuses."""

    code: ClassVar[str] = "PRIVACY_ERROR"


class ValueRefused(PrivacyError):
    """A value that cannot be written exactly: wrong type, out of range, a lone surrogate."""

    code = "VALUE_REFUSED"


class SealBroken(PrivacyError):
    """A cell that is malformed, moved to another place, or altered by a single bit."""

    code = "SEAL_BROKEN"


class KeyUnavailable(PrivacyError):
    """No such key, or it was destroyed, or it belongs to another customer, class, store or tenant."""

    code = "KEY_UNAVAILABLE"


class KmsRefused(PrivacyError):
    """The key management system does not answer, is not safe to use, or does not accept the context."""

    code = "KMS_REFUSED"


class PermitMissing(PrivacyError):
    """The permit in hand does not cover this customer and category."""

    code = "PERMIT_MISSING"


class PolicyInvalid(PrivacyError):
    """A rule, index or vocabulary entry that contradicts itself."""

    code = "POLICY_INVALID"


class TokenRefused(PrivacyError):
    """A global id or cursor that was altered, made for someone else, or made elsewhere."""

    code = "TOKEN_REFUSED"
