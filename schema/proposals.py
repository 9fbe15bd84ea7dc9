"""Two records that may be one person's: what joining them would mean, and why it was proposed."""

import strawberry

from schema.fields import word
from schema.identity import Customer


@strawberry.type(description="What one of two records allows and both together would not.")
class ConsentEffect:
    purpose: str = word("For what.")
    recipient: str = word("To whom: `SELF`, or a legal entity.")
    destination: str = word("Read in which jurisdiction.")
    categories: list[str] = word("Which data.")


@strawberry.type(description="What joining two records would mean; nothing is written.")
class MergeProposal:
    customer: Customer | None = word("The one.")
    other: Customer | None = word("The other.")
    already_merged: bool = word("Whether they are joined as it is.")
    evidence: list[str] = word("What both tell, and tell alike.")
    conflicts: list[str] = word("What both tell, and tell differently; the earlier registered one's is shown.")
    consent_effect: list[ConsentEffect] = word("What would not be allowed any more: the stricter of the two holds.")
    too_many: str | None = word("Of which identifiers one person would have too many; such a merge is refused.")


@strawberry.type(description="What one field adds to the likelihood that two records are one person's.")
class MatchComponent:
    field: str = word("What both tell.")
    weight: float = word("How much it speaks for it, or against it where it is negative, in bits.")


@strawberry.type(description="Two records that may be one person's: look at them with `proposeMerge`.")
class MatchProposal:
    customer: strawberry.ID = word("The one.")
    other: strawberry.ID = word("The other.")
    rule: str | None = word("The rule they were found by; null where it was their likelihood alone.")
    score: float | None = word("How likely they are one person's, from 0 to 1; null where nobody worked it out.")
    components: list[MatchComponent] = word("What the score is made of.")
