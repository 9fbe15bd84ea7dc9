"""What can go wrong in the house, as a tree.

    CdpError
    ├── RequestInvalid          the caller asked for something that cannot be answered
    │   ├── InvalidNumber       a phone number that is not one, or not without its region
    │   └── EventInvalid        a field of an event is missing, unknown or out of bounds
    │       └── ReferenceUnknown   what it refers to is not known, or not yet
    ├── AuthError               no caller, or a caller that may not
    ├── Unavailable             right question, wrong moment: may be tried again
    │   ├── StoreUnavailable    a store did not answer in time
    │   ├── AuditUnavailable    the audit entry could not be made durable
    │   ├── GatewayUnavailable  a message could not be handed to the operator's gateway
    │   └── EmbeddedUnavailable the PostgreSQL of a laptop could not be started
    └── SettingsInvalid         the process may not start like this

Every class has a stable `code` for machines and a `status` for HTTP. A message never holds a personal value: it names
fields, reasons and limits, not what was found in them.
"""

from collections.abc import Sequence


class CdpError(Exception):
    """Anything the house refuses or cannot do."""

    code: str = "INTERNAL"
    status: int = 500
    retry_seconds: int | None = None
    """After how long the same may come again, where it is refused only for now."""


class RequestInvalid(CdpError):
    """A refusal the caller can mend; `code` says which rule, `status` is 4xx."""

    code = "REQUEST_INVALID"

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class InvalidNumber(RequestInvalid):
    """`reason` is one word for machines (such as REGION_MISSING), `field` is where the number stood, `expected` says in
    words what belongs there.
    """

    code = "NUMBER_INVALID"

    def __init__(self, reason: str, field: str = "number", expected: str = "a phone number") -> None:
        super().__init__(type(self).code, f"{field}: not a usable phone number ({reason}): expected {expected}")
        self.reason = reason
        self.field = field
        self.expected = expected


class EventInvalid(RequestInvalid):
    """`field` is the path in the event, `expected` says in words what belongs there."""

    code = "EVENT_INVALID"

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(type(self).code, f"{field}: expected {expected}")
        self.field = field
        self.expected = expected


class ReferenceUnknown(EventInvalid):
    """What an event refers to is not known, or not yet."""

    code = "UNKNOWN_REFERENCE"


class AuthError(CdpError):
    """The token is missing, not acceptable (401), or does not allow this (403)."""

    code = "UNAUTHENTICATED"
    status = 401

    def __init__(self, code: str = "UNAUTHENTICATED", message: str = "", status: int = 401) -> None:
        super().__init__(message or code)
        self.code = code
        self.status = status


class Unavailable(CdpError):
    """Nothing is wrong with the request."""

    code = "UNAVAILABLE"
    status = 503
    retry_seconds = 1


class StoreUnavailable(Unavailable):
    """`store` is the name of the store that did not answer in time."""

    code = "STORE_UNAVAILABLE"

    def __init__(self, store: str, reason: str) -> None:
        super().__init__(f"store {store}: {reason}")
        self.store = store


class AuditUnavailable(Unavailable):
    """Without a durable audit entry no answer leaves."""

    code = "AUDIT_UNAVAILABLE"


class GatewayUnavailable(Unavailable):
    """The message says what failed, and neither to whom nor what was to be sent."""

    code = "GATEWAY_UNAVAILABLE"


class EmbeddedUnavailable(Unavailable):
    """The message says what was tried and ends with the last lines of PostgreSQL's log."""

    code = "EMBEDDED_UNAVAILABLE"


class SettingsInvalid(CdpError):
    """`problems` holds one line per wrong setting, each beginning with its name."""

    code = "SETTINGS_INVALID"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
