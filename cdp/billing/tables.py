"""What a customer holds, owes, pays and tops up."""

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Date, Index, Integer, LargeBinary, Numeric, Uuid
from sqlalchemy import text as sql

from cdp.tables import by_customer, instant, of_customer, reference, row_key, sealed, text, texts, view
from privacy.blind import Index as BlindIndex
from privacy.vocabulary import RetentionClass

SERVICE = RetentionClass.SERVICE


def money(name: str, *, nullable: bool = True) -> Column[Any]:
    """Money in minor units of the row's currency."""
    return Column(f"{name}_minor", BigInteger, nullable=nullable)


tariff = reference(
    "tariff",
    text("tariff_id", primary_key=True),
    *texts("name", "region", "rating_type"),
    money("monthly_fee", nullable=False),
    text("currency"),
    Column("voice_minutes", Integer),
    Column("sms_count", Integer),
    Column("data_megabytes", Integer),
    *(Column(f"{name}_price", Numeric) for name in ("voice", "sms", "data", "roaming")),
    text("customer_kind", nullable=True),
    Column("contract_months", Integer),
    Column("withdrawn_on", Date),
)
"""Prices: minor units for a minute, message or megabyte beyond the allowance; without one there is no more to use."""

tariff_bundle = reference(
    "tariff_bundle",
    *texts("tariff_id", "product_kind", primary_key=True),
    money("discount", nullable=False),
)

tariff_proposal = by_customer(
    "tariff_proposal",
    row_key("product_id"),
    *texts("region", "tariff_id"),
    Column("months", Integer, nullable=False),
    money("saving", nullable=False),
    text("currency"),
    instant("made_at", nullable=False),
    of_customer(),
    Index(None, "region", info={"serves": "the proposals of a region, made anew"}),
)

charge_kind = reference("charge_kind", text("kind", primary_key=True), text("cause"))
"""What a kind of bill line is there for: TARIFF, USAGE, ONE_OFF, DISCOUNT; for any other it is OTHER."""

arrears_term = reference(
    "arrears_term",
    text("region", primary_key=True),
    Column("due_days", Integer, nullable=False),
    Column("grace_days", Integer, nullable=False),
)
"""When a bill is due, in days after its date, and how many days later its region's products are suspended."""

account = by_customer(
    "account",
    row_key("account_id"),
    sealed("account_no", 30, "billing.account", SERVICE),
    *texts("region", "rating_type", "currency"),
    instant("opened_at", nullable=False),
    money("credit_limit"),
    text("payment_status"),
    instant("payment_status_at", nullable=False),
    money("balance"),
    instant("balance_at"),
    of_customer(),
)

product = by_customer(
    "product",
    row_key("product_id"),
    text("product_ref"),
    *texts("name", "kind", "region", "tariff_id", nullable=True),
    Column("start_on", Date),
    Column("term_end_on", Date),
    instant("described_at"),
    *texts("status", "status_reason", nullable=True),
    instant("status_at"),
    text("expected_status", nullable=True),
    instant("expected_at"),
    Column("behind_id", Uuid),
    of_customer(),
    Index(
        None,
        "customer_id",
        "product_id",
        postgresql_where=sql("expected_status <> status"),
        info={"serves": "products that are not as expected"},
    ),
    Index(
        None,
        "customer_id",
        postgresql_where=sql("expected_status IS NULL AND status IN ('active', 'suspended')"),
        info={"serves": "products of which nothing is expected yet"},
    ),
)
"""Its status follows from its turns, and since when (`expected_at`) it should have which from what it relies on and why
it was suspended. One that is not as expected is so behind another one (`behind_id`), or itself.
"""

product_turn = by_customer(
    "product_turn", row_key("product_id"), instant("at", primary_key=True), *texts("status", "reason", primary_key=True)
)
"""What was said of a product: active (with a reason: not suspended for that any more), suspended, terminated."""

product_reliance = by_customer("product_reliance", row_key("product_id"), row_key("relies_on_id"))

suspension_reason = reference("suspension_reason", text("reason", primary_key=True), text("ends_with"))
"""When a suspension should end: with the return of what the product relies on (RELIANCE), with that or a payment
(PAYMENT), or for nothing else (ITSELF). The reason `*` is every other.
"""

service_term = reference("service_term", text("kind", primary_key=True), Column("minutes", Integer, nullable=False))
"""How long a kind of product may take to be as expected; the kind `*` is every other."""

bill = by_customer(
    "bill",
    row_key("bill_id"),
    text("bill_no"),
    Column("account_id", Uuid),
    text("region", nullable=True),
    Column("bill_on", Date),
    Column("period_start_on", Date),
    Column("period_end_on", Date),
    money("amount_due"),
    text("currency", nullable=True),
    instant("issued_at"),
    money("paid", nullable=False),
    Column("statement_id", Uuid),
    instant("stated_at"),
    of_customer(),
    Index(None, "customer_id", "bill_on", info={"serves": "a customer's newest bills"}),
)

bill_line = by_customer(
    "bill_line",
    row_key("bill_id"),
    Column("line_no", Integer, primary_key=True, autoincrement=False),
    *texts("kind", "description"),
    money("amount", nullable=False),
    text("currency"),
    row_key("statement_id"),
)
"""What a bill is made of, each time that was stated; the lines that count are those of its own statement."""

payment = by_customer(
    "payment",
    row_key("payment_id"),
    Column("account_id", Uuid),
    Column("bill_id", Uuid),
    money("amount", nullable=False),
    *texts("currency", "method"),
    instant("paid_at", nullable=False),
    of_customer(),
)

top_up = by_customer(
    "top_up",
    row_key("top_up_id"),
    text("top_up_ref"),
    text("region", nullable=True),
    sealed("number", 31, "contact.number", SERVICE),
    money("amount"),
    *texts("currency", "channel", nullable=True),
    instant("requested_at"),
    instant("confirmed_at"),
    Column("posted_account_id", Uuid),
    instant("posted_at"),
    instant("failed_at"),
    Column("number_hash", LargeBinary),
    of_customer(),
    Index(None, "top_up_ref", info={"serves": "the top-up that a posting nobody asked for may belong to"}),
)

ledger_transaction = by_customer(
    "ledger_transaction",
    row_key("transaction_id"),
    *texts("kind", "debit", "credit", "currency"),
    money("amount", nullable=False),
    Column("account_id", Uuid, nullable=False),
    instant("at", nullable=False),
    Column("top_up_id", Uuid),
    Column("number_hash", LargeBinary),
    text("approved_by", nullable=True),
    of_customer(),
    CheckConstraint("amount_minor > 0", name="amount"),
    CheckConstraint("(debit = 'BALANCE') <> (credit = 'BALANCE')", name="balance"),
    Index(None, "customer_id", "account_id", "at", info={"serves": "an account's newest transactions"}),
    Index(None, "top_up_id", info={"serves": "what became of a top-up, on whosever account"}),
)
"""One row is a whole transaction: one amount in one currency leaves one ledger account and comes to another, so that
no row can be out of balance. One of the two is BALANCE, the customer's own account; the other is the operator's:
`CLEARING/APP/CN-GD`, `REVENUE/CN-GD`, `ADJUSTMENTS/CN-GD`, `EXCHANGE/CN-GD`. Nobody may change a row.
"""

ledger_exchange = by_customer(
    "ledger_exchange",
    row_key("exchange_id"),
    Column("sold_id", Uuid, nullable=False),
    Column("bought_id", Uuid, nullable=False),
    Column("rate", Numeric, nullable=False),
    instant("at", nullable=False),
    of_customer(),
    CheckConstraint("rate > 0", name="rate"),
)
"""The rate by which a transaction in one currency belongs to one in another."""

top_up_term = reference(
    "top_up_term", *texts("channel", "region", primary_key=True), Column("seconds", Integer, nullable=False)
)
"""By when a confirmed top-up must be posted, counted from its confirmation; `*` is every other channel, or region."""

money_anomaly = by_customer(
    "money_anomaly",
    row_key("anomaly_id"),
    Column("top_up_id", Uuid, nullable=False),
    *texts("top_up_ref", "kind", "state"),
    instant("state_at", nullable=False),
    instant("found_at", nullable=False),
    *texts("region", "owner", "posted_to", "posted_region", nullable=True),
    money("posted"),
    text("posted_currency", nullable=True),
    instant("posted_at"),
    money("take"),
    text("take_currency", nullable=True),
    money("give"),
    text("give_currency", nullable=True),
    Column("give_account_id", Uuid),
    of_customer(),
    Index(None, "customer_id", "top_up_id", info={"serves": "what is wrong with a top-up"}),
    Index(None, "state", info={"serves": "what is wrong and was not put right yet"}),
)
"""What is wrong with a top-up, what shows it, and what would put it right. `posted_` is the posting that should not be
as it is, on whosever account; what is to be taken back from there and given to the customer are one amount each.
"""

NUMBER_HASH = BlindIndex(uid=180, name="topUpNumber", version=1)
"""The keyed hash by which the number that was asked for is held against the one that was posted."""

bill_difference = view(
    "bill_difference",
    row_key("bill_id"),
    text("currency"),
    Column("bills", Integer),
    money("usual"),
    money("difference"),
)

bill_change = view(
    "bill_change",
    row_key("bill_id"),
    text("cause", primary_key=True),
    text("currency"),
    money("amount"),
    money("usual"),
    money("difference"),
)

arrears = view(
    "arrears",
    row_key("account_id"),
    *texts("region", "currency"),
    money("owed"),
    Column("bills", Integer),
    Column("due_on", Date),
    Column("suspends_on", Date),
)

tariff_option = view(
    "tariff_option",
    row_key("product_id"),
    text("tariff_id", primary_key=True),
    text("currency"),
    money("cost"),
)

tariff_advice = view(
    "tariff_advice",
    row_key("product_id"),
    *texts("region", "currency"),
    Column("first_on", Date),
    Column("last_on", Date),
    Column("months", Integer),
    money("present"),
    money("cheapest"),
    text("cheapest_id"),
    money("saving"),
    money("billed"),
)
