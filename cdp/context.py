"""What an event is given when it says what follows from it: whom it is about, and the means to name, tag and seal."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from sqlalchemy import Column

from cdp.errors import EventInvalid, ReferenceUnknown
from cdp.values import compact, row_id
from privacy.blind import Index
from privacy.encoding import CellValue
from privacy.hidden import Hidden
from privacy.keys import KeyRing
from privacy.seal import SealedColumn
from privacy.vocabulary import SELF


class Cell(Hidden):
    """A value on its way into a sealed column: sealed (`cell`) once its customer's key is at hand, never printed."""

    __slots__ = ("cell", "column", "customer_id", "row_id", "value")

    def __init__(self, column: SealedColumn, value: CellValue, row_id: UUID, customer_id: UUID) -> None:
        self.column, self.value, self.row_id, self.customer_id = column, value, row_id, customer_id
        self.cell: bytes | None = None


class Known(Protocol):
    """What was loaded, for a batch of events, of the numbers and identifiers they mention."""

    def held(self, customer_id: UUID, e164: str, at: datetime) -> UUID | None:
        """The customer's holding of a number as of an instant."""

    def has(self, customer_id: UUID, role: str, at: datetime) -> bool:
        """Whether somebody else has a role in one of the customer's numbers as of an instant."""

    def owner_of(self, kind: str, value: str) -> UUID | None:
        """The customer an identifier other than a number belongs to."""

    def customer(self, kind: str, value: str | UUID, region: str, at: datetime) -> UUID | None:
        """The customer an identifier of any kind belongs to as of an instant, as it is written in a region."""


@dataclass(slots=True)
class Context:
    """One event's customer and means. `holding_id` is the holding of the number by which the customer was found,
    `operator` the operator's own name.
    """

    customer_id: UUID
    recorded_at: datetime
    holding_id: UUID | None
    ring: KeyRing
    known: Known
    operator: str = SELF
    cells: list[Cell] = field(default_factory=list)

    def held(self, e164: str, at: datetime) -> UUID:
        """The customer's holding of a number as of an instant; raises ReferenceUnknown where there is none."""
        holding_id = self.known.held(self.customer_id, e164, at)
        if holding_id is None:
            raise ReferenceUnknown("number", "a number the customer holds at that time")
        return holding_id

    def account_id(self, account_no: str) -> UUID:
        """The id of one of the customer's accounts; raises ReferenceUnknown where the customer has no such account."""
        if self.known.owner_of("accountNo", account_no) != self.customer_id:
            raise ReferenceUnknown("accountNo", "an account the customer has")
        return self.row_id("account", compact(account_no))

    def new_account_id(self, account_no: str) -> UUID:
        """The id of an account that is being opened; raises EventInvalid where another customer has it."""
        if self.known.owner_of("accountNo", account_no) not in (None, self.customer_id):
            raise EventInvalid("accountNo", "an account no other customer has")
        return self.row_id("account", compact(account_no))

    def anyones_account(self, account_no: str) -> tuple[UUID, UUID]:
        """An account, whoever has it: that customer and its id; raises ReferenceUnknown where nobody has it."""
        owner = self.known.owner_of("accountNo", account_no)
        if owner is None:
            raise ReferenceUnknown("accountNo", "an account that is known here")
        return owner, row_id(owner, "account", compact(account_no))

    def row_id(self, kind: str, ref: str) -> UUID:
        """The id of this customer's row of a kind."""
        return row_id(self.customer_id, kind, ref)

    def seal(self, column: Column[Any], value: CellValue | None, row_id: UUID) -> Cell | None:
        """What to put into a sealed column for a value; None stays NULL."""
        if value is None:
            return None
        cell = Cell(column.info["sealed"], value, row_id, self.customer_id)
        self.cells.append(cell)
        return cell

    def tag(self, index: Index, normalised: str) -> bytes:
        """The blind-index tag of a normalised value."""
        return self.ring.tag(index, normalised)


STORE_ITSELF: Final = UUID(int=0)
"""The "customer" under whose key the store seals what belongs to nobody yet, such as a refused event."""
