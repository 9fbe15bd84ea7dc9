"""How the ledger is put right: what was proposed and a person approved, posted like anything else."""

from typing import Annotated, Final

from pydantic import Field

from cdp.billing.anomalies import ANOMALY_STATE, AnomalyState
from cdp.billing.ledger import Movement, entry
from cdp.billing.tables import money_anomaly, top_up
from cdp.changes import Newest, Put
from cdp.context import Context
from cdp.event import Event, Id, Money, Part, Ref
from cdp.values import row_id

POSTED: Final = Newest(("posted_account_id",), "posted_at", amend=True)


class Movements(Part):
    """What an account gets because of a top-up, below zero what it loses, from which of the operator's."""

    top_up_id: Id
    account_id: Id
    amount: Money
    against: Ref
    number_hash: Ref | None = None


class LedgerCorrected(Event):
    """What a top-up did to a customer's accounts is put right, as somebody approved. `correction` names what was
    approved: it is posted once, however often it is told. `anomaly_id` is given for the customer whose top-up it is.
    """

    correction: Ref
    anomaly_id: Id | None = None
    approved_by: Ref
    movements: Annotated[tuple[Movements, ...], Field(max_length=10, strict=False)] = ()

    def apply(self, context: Context) -> list[Put]:
        customer_id, puts = context.customer_id, []
        for n, one in enumerate(self.movements):
            movement = Movement(
                "CORRECTION", one.account_id, one.amount.minor("movements.amount"), one.amount.unit, one.against
            )
            key = {
                "customer_id": customer_id,
                "transaction_id": row_id(customer_id, "ledger", f"correction {self.correction} {n}"),
                "at": self.at,
            }
            hashed = None if one.number_hash is None else bytes.fromhex(one.number_hash)
            told = {"top_up_id": one.top_up_id, "number_hash": hashed, "approved_by": self.approved_by}
            puts.append(entry(key, movement, **told))
            if self.anomaly_id is not None and movement.minor > 0:
                row = {"customer_id": customer_id, "top_up_id": one.top_up_id}
                puts.append(Put(top_up, row | {"posted_account_id": one.account_id, "posted_at": self.at}, POSTED))
        if self.anomaly_id is not None:
            row = {"customer_id": customer_id, "anomaly_id": self.anomaly_id}
            corrected = {"state": AnomalyState.CORRECTED.value, "state_at": self.at}
            puts.append(Put(money_anomaly, row | corrected, ANOMALY_STATE))
        return puts
