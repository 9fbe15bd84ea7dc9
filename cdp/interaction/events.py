"""How the conversation with a customer goes on: contacts are logged."""

from typing import Annotated, Final, Literal

from pydantic import StringConstraints

from cdp.changes import NEW, Put
from cdp.context import Context
from cdp.event import LINES, Event, Ref, Upper
from cdp.interaction.tables import interaction

Said = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=32 * 1024, pattern=LINES)]
"""What a message of an SDK may hold in all: its properties come in here."""


class InteractionLogged(Event):
    """A contact took place."""

    interaction_ref: Ref
    channel: Upper
    direction: Literal["INBOUND", "OUTBOUND"]
    reason: Ref
    note: Said | None = None

    def apply(self, context: Context) -> list[Put]:
        row_id = context.row_id("interaction", self.interaction_ref)
        row = {
            "customer_id": context.customer_id,
            "interaction_id": row_id,
            "at": self.at,
            "channel": self.channel,
            "direction": self.direction,
            "reason": self.reason,
            "region": self.region,
            "note": context.seal(interaction.c.note, self.note, row_id),
        }
        return [Put(interaction, row, NEW)]


EVENTS: Final[tuple[type[Event], ...]] = (InteractionLogged,)
