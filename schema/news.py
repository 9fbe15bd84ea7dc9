"""Where a subscription begins: what is told of a customer when something happened."""

import strawberry
from strawberry.types.arguments import StrawberryArgument

from schema.care import Case
from schema.fields import argument, word
from schema.identity import Customer
from schema.roots import root
from schema.words import Instant

POSITION = "Where this is: a subscription goes on `after:` it, from whatever process."
EVENT = "The event that happened; not for partners, nor where nothing did but the end."
AT = "When it happened; likewise."


@strawberry.type(description="A customer, after something happened to them.")
class CustomerChange:
    position: strawberry.ID = word(POSITION)
    event_type: str | None = word(EVENT)
    at: Instant | None = word(AT)
    customer: Customer | None = word("The customer as they are now.")


@strawberry.type(description="A case, after something happened to it.")
class CaseChange:
    position: strawberry.ID = word(POSITION)
    event_type: str | None = word(EVENT)
    at: Instant | None = word(AT)
    case: Case | None = word("The case as it is now.")


@strawberry.type(description="A customer, after they said something about the use of their data.")
class ConsentChange:
    position: strawberry.ID = word(POSITION)
    event_type: str | None = word(EVENT)
    at: Instant | None = word(AT)
    customer: Customer | None = word("The customer as they are now.")


def listening(description: str) -> list[StrawberryArgument]:
    """The arguments of a subscription."""
    return [
        argument("id", strawberry.ID, description),
        argument("purpose", str | None, "For what, as text in the document; or else by @purpose.", None),
        argument("after", strawberry.ID | None, "The position of the last message already seen; by default now.", None),
    ]


@strawberry.type(
    description="What is told when something happens. Each message is decided anew; when the caller may see nothing of"
    " the customer any more, or they are gone, a last one says so and the subscription is complete."
)
class Subscription:
    customer_changed: CustomerChange = root(
        "Something happened to a customer. A partner is told where what they may see has changed.",
        *listening("The customer's id."),
    )
    case_changed: CaseChange = root(
        "A case was opened, or moved along.", *listening("The id of a case, or of a customer, for all their cases.")
    )
    consent_changed: ConsentChange = root(
        "A customer agreed, refused, took something back or objected.", *listening("The customer's id.")
    )
