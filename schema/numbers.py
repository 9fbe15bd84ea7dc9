"""What is known of a number itself, whoever holds it, and who answers for it."""

import strawberry

from cdp.accountability import Reason
from cdp.numbers import NumberKind
from schema.fields import word
from schema.words import Region

strawberry.enum(NumberKind, description="What a number is for, as far as its digits tell.")
strawberry.enum(
    Reason,
    name="AccountabilityReason",
    description="Why a region answers for a number, the first that fits: all accounts of its holder are there and none"
    " where it is held; they have no account, and all their lines are there; it is held there; nobody holds it, and it"
    " is kept back, or was held there last; or nobody held it yet.",
)


@strawberry.type(description="Who answers for a number, so that nobody has to argue.")
class Accountability:
    region: Region = word("The region that answers.")
    desk: str = word("The desk of the region that must answer.")
    reason: Reason = word("Why this region.")


@strawberry.type(description="What a number is, whoever holds it.")
class NumberFacts:
    number: str | None = word("The number in E.164; null for a short code, by which nobody is known.")
    region: Region = word("Where it was given out: the province of a mainland mobile, where known; else its country.")
    city: str | None = word("The city a mainland mobile was given out in, where that is known.")
    kind: NumberKind = word("Mobile, fixed, IoT ...")
    issuer: str | None = word("Who holds the block it is from, where that is known.")
    serving_operator: str | None = word("Who serves it now, where it was ported; not for partners.")
    accountability: Accountability | None = word("Who answers for it, where it was ever held here; not for partners.")
