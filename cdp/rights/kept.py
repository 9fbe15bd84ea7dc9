"""Where data about a person lies, how long it stays there, and how it goes: one line for every table.

A test reads the tables of the house and fails for one that is not here.
"""

from enum import Enum
from typing import Final, NamedTuple

from privacy.vocabulary import RetentionClass

IDENTITY, SERVICE, USAGE = RetentionClass.IDENTITY, RetentionClass.SERVICE, RetentionClass.USAGE


class Goes(Enum):
    """What an erasure does to a customer's rows of a table."""

    AT_ONCE = "deleted with the keys, whatever is kept: without them nobody is found"
    ROWS = "deleted by the sweep once their class goes"
    BLANK = "emptied by the sweep once their class goes: the row stays, so that nobody comes back by an old event"
    STAYS = "kept, for good or for its own age: it says what was asked and done, and no value"


class Kept(NamedTuple):
    """What rows of a table are, in words for the person they are about, and how they are kept: for the term of their
    class, or of the table by its name.

    It counts from the instant in the column `since`; without one, from the end of the relationship. Rows `under` a row
    of another table go with it. `given` is what the customer gave, by saying or by doing it.
    """

    about: str
    retention: RetentionClass
    goes: Goes = Goes.ROWS
    since: str | None = None
    under: str | None = None
    given: bool = False


def _index(about: str) -> Kept:
    return Kept(about, IDENTITY, Goes.AT_ONCE)


KEPT: Final[dict[str, Kept]] = {
    "customer": Kept("Who you are", IDENTITY, Goes.BLANK, given=True),
    "customer_region": Kept("Where you have something with us", IDENTITY),
    "identification": Kept("The documents you showed", IDENTITY, given=True),
    "sim": Kept("Your SIM cards", IDENTITY),
    "number_holding": Kept("Your numbers", IDENTITY, given=True),
    "number_holding_past": Kept("What we believed of your numbers before", IDENTITY),
    # It goes after the words it names: one that is gone is struck off, one that nobody wrote down is a fault.
    "unlogged_word": Kept("Which of your words are not in the audit trail yet", IDENTITY),
    # As long as the customer is known: a no must not be forgotten before what it is about.
    "consent_event": Kept("What you agreed to, refused or took back", IDENTITY, given=True),
    "objection": Kept("What you objected to", IDENTITY, given=True),
    "number_fact": _index("What was said of your numbers, and when"),
    "number_index": _index("Since when you are found by a number"),
    "identifier_index": _index("By what else you are found"),
    "merge_edge": _index("Which other records are yours"),
    "match_proposal": _index("Which other records may be yours"),
    "honey": _index("Whether the record is nobody's"),
    "link": _index("Where else you are known"),
    "link_proposal": Kept("Which links to other stores were proposed", IDENTITY, Goes.AT_ONCE, "proposed_at"),
    "link_index": _index("That you are known elsewhere"),
    "data_key": _index("The keys of your data"),
    "transfer_crossing": Kept("In which years your data left over a border", SERVICE, Goes.STAYS, "first_at"),
    "outbox": Kept("Which events still have to be passed on", SERVICE, Goes.AT_ONCE, "recorded_at"),
    "usage_record": Kept("Each call, message and session", USAGE, since="at", given=True),
    "usage_correction": Kept("Which of them were corrected", USAGE, since="rerated_at"),
    "bucket": Kept("What is left of your allowances", USAGE, since="remaining_at"),
    "usage_month": Kept("What you used in each month", USAGE, since="month_on", given=True),
    "account": Kept("Your accounts", SERVICE, given=True),
    "product": Kept("What you subscribed to", SERVICE, given=True),
    "tariff_proposal": Kept("With which tariff you would have paid less", SERVICE, since="made_at"),
    "product_reliance": Kept("What your products rely on", SERVICE),
    "product_turn": Kept("When your products were on and off, and why", SERVICE),
    "bill": Kept("Your bills", SERVICE, since="issued_at"),
    "bill_line": Kept("What your bills are made of", SERVICE, under="bill"),
    "payment": Kept("What you paid", SERVICE, since="paid_at", given=True),
    "top_up": Kept("Your top-ups", SERVICE, since="requested_at", given=True),
    # A transaction goes as a whole: what is left of the ledger still adds up to nothing.
    "ledger_transaction": Kept("What was posted to your accounts", SERVICE, since="at"),
    "money_anomaly": Kept("Which of your top-ups went astray", SERVICE, since="found_at"),
    "ledger_exchange": Kept("At what rates your money was changed", SERVICE, since="at"),
    "interaction": Kept("What was said", SERVICE, since="at", given=True),
    "case": Kept("What you are owed an answer for", SERVICE, since="opened_at", given=True),
    "case_step": Kept("What was done about it", SERVICE, under="case"),
    "service_anomaly": Kept("Which of your products were not as they should be", SERVICE, since="found_at"),
    "care_notice": Kept("What we told you without being asked", SERVICE, since="made_at"),
    "dead_letter": Kept("What was refused at the door", SERVICE, Goes.AT_ONCE, "last_at"),
    "privacy_request": Kept("What you asked about your data", SERVICE, Goes.STAYS, "state_at"),
    "erasure": Kept("That your data was erased", SERVICE, Goes.STAYS),
    "erased_rows": Kept("How much of it was erased", SERVICE, Goes.STAYS),
}
"""Rows come after those they refer to."""
