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
    """What rows of a table are, in words for the person they are about (English · Chinese), and how they are kept: for
    the term of their class, or of the table by its name.

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
    "customer": Kept("Who you are · 您的身份资料", IDENTITY, Goes.BLANK, given=True),
    "customer_region": Kept("Where you have something with us · 您在哪些地区有我们的业务", IDENTITY),
    "identification": Kept("The documents you showed · 您出示过的证件", IDENTITY, given=True),
    "sim": Kept("Your SIM cards · 您的 SIM 卡", IDENTITY),
    "number_holding": Kept("Your numbers · 您的号码", IDENTITY, given=True),
    "number_holding_past": Kept("What we believed of your numbers before · 我们以前对您号码的记录", IDENTITY),
    # It goes after the words it names: one that is gone is struck off, one that nobody wrote down is a fault.
    "unlogged_word": Kept(
        "Which of your words are not in the audit trail yet · 您的哪些意愿尚未写入审计记录", IDENTITY
    ),
    # As long as the customer is known: a no must not be forgotten before what it is about.
    "consent_event": Kept("What you agreed to, refused or took back · 您同意、拒绝或撤回过什么", IDENTITY, given=True),
    "objection": Kept("What you objected to · 您反对过什么", IDENTITY, given=True),
    "number_fact": _index("What was said of your numbers, and when · 您的号码上何时发生过什么"),
    "number_index": _index("Since when you are found by a number · 何时起可凭号码查到您"),
    "identifier_index": _index("By what else you are found · 还可凭什么查到您"),
    "merge_edge": _index("Which other records are yours · 还有哪些记录也是您的"),
    "match_proposal": _index("Which other records may be yours · 还有哪些记录可能是您的"),
    "honey": _index("Whether the record is nobody's · 该记录是否为虚构"),
    "link": _index("Where else you are known · 您在别处的哪些记录与此关联"),
    "link_proposal": Kept(
        "Which links to other stores were proposed · 曾提议与别处的哪些记录关联", IDENTITY, Goes.AT_ONCE, "proposed_at"
    ),
    "link_index": _index("That you are known elsewhere · 您在别处也有记录"),
    "data_key": _index("The keys of your data · 您数据的密钥"),
    "transfer_crossing": Kept(
        "In which years your data left over a border · 您的数据在哪些年份出过境", SERVICE, Goes.STAYS, "first_at"
    ),
    "outbox": Kept("Which events still have to be passed on · 哪些事件尚待转发", SERVICE, Goes.AT_ONCE, "recorded_at"),
    "usage_record": Kept("Each call, message and session · 每次通话、短信和上网", USAGE, since="at", given=True),
    "usage_correction": Kept("Which of them were corrected · 其中哪些被更正过", USAGE, since="rerated_at"),
    "bucket": Kept("What is left of your allowances · 您的套餐余量", USAGE, since="remaining_at"),
    "usage_month": Kept("What you used in each month · 您每月的用量", USAGE, since="month_on", given=True),
    "account": Kept("Your accounts · 您的账户", SERVICE, given=True),
    "product": Kept("What you subscribed to · 您订购的产品", SERVICE, given=True),
    "tariff_proposal": Kept(
        "With which tariff you would have paid less · 用哪种资费您会少付", SERVICE, since="made_at"
    ),
    "product_reliance": Kept("What your products rely on · 您的产品依赖什么", SERVICE),
    "product_turn": Kept("When your products were on and off, and why · 您的产品何时开通、停用及原因", SERVICE),
    "bill": Kept("Your bills · 您的账单", SERVICE, since="issued_at"),
    "bill_line": Kept("What your bills are made of · 账单明细", SERVICE, under="bill"),
    "payment": Kept("What you paid · 您的付款", SERVICE, since="paid_at", given=True),
    "top_up": Kept("Your top-ups · 您的充值", SERVICE, since="requested_at", given=True),
    # A transaction goes as a whole: what is left of the ledger still adds up to nothing.
    "ledger_transaction": Kept("What was posted to your accounts · 记入您账户的款项", SERVICE, since="at"),
    "money_anomaly": Kept("Which of your top-ups went astray · 您的哪些充值出了差错", SERVICE, since="found_at"),
    "ledger_exchange": Kept("At what rates your money was changed · 您的款项按什么汇率兑换", SERVICE, since="at"),
    "interaction": Kept("What was said · 往来沟通", SERVICE, since="at", given=True),
    "case": Kept("What you are owed an answer for · 我们欠您答复的事项", SERVICE, since="opened_at", given=True),
    "case_step": Kept("What was done about it · 为此做过什么", SERVICE, under="case"),
    "service_anomaly": Kept(
        "Which of your products were not as they should be · 您的哪些产品状态不对", SERVICE, since="found_at"
    ),
    "care_notice": Kept("What we told you without being asked · 我们主动告知您的事", SERVICE, since="made_at"),
    "dead_letter": Kept("What was refused at the door · 入口处拒收的记录", SERVICE, Goes.AT_ONCE, "last_at"),
    "privacy_request": Kept(
        "What you asked about your data · 您就自己的数据提出过什么", SERVICE, Goes.STAYS, "state_at"
    ),
    "erasure": Kept("That your data was erased · 您的数据已被删除", SERVICE, Goes.STAYS),
    "erased_rows": Kept("How much of it was erased · 删除了多少", SERVICE, Goes.STAYS),
}
"""Rows come after those they refer to."""
