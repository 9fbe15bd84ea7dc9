"""What became of events, and those that were refused, as officers see them."""

import strawberry

from cdp.outcome import Status
from schema.fields import word
from schema.words import Instant

strawberry.enum(Status, name="OutcomeStatus", description="What became of an event.")


@strawberry.type(description="What became of one event; a rejected one lies in the dead letters and can be replayed.")
class Outcome:
    event_id: strawberry.ID | None = word("The event's id, where it had one.")
    status: Status = word("What became of it.")
    code: str | None = word("Why it was rejected, for machines.")
    field: str | None = word("The field that was wrong.")
    expected: str | None = word("What was expected there.")


@strawberry.type(description="A record that was refused at the write door; what is in it is not shown.")
class DeadLetter:
    id: strawberry.ID = word("The opaque id of the letter.")
    source: str = word("Where it came from: a file, or `events:`, `order:` ... and the client.")
    reason: str = word("Why it was refused, for machines.")
    field: str = word("The field or column that was wrong, where it was one.")
    expected: str = word("What was expected there.")
    first_at: Instant = word("When it was refused first.")
    last_at: Instant = word("When it was refused last.")
    seen: int = word("How many times it was refused.")


@strawberry.type(description="A page of dead letters, newest first.")
class DeadLetterPage:
    letters: list[DeadLetter] = word("The letters.")
    next: strawberry.ID | None = word("Give it as `after` for older ones; null where there are none.")


@strawberry.type(description="What became of a dead letter.")
class DeadLetterOutcome:
    gone: bool = word("Whether it is gone: it was dropped, or what was refused has been taken in.")
    outcomes: list[Outcome] = word("What became of its event, or of the events that its row made; none where dropped.")
