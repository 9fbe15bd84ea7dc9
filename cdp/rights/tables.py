"""Requests about one's own data, what became of erasures, and the terms of the law."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Uuid

from cdp.tables import by_customer, instant, of_customer, reference, row_key, text, texts

privacy_term = reference(
    "privacy_term",
    *texts("jurisdiction", "kind", primary_key=True),
    Column("days", Integer, nullable=False),
    text("law"),
)
"""How many days an answer to a kind of request may take; `*` is everywhere else."""

retention_term = reference(
    "retention_term",
    *texts("jurisdiction", "subject", primary_key=True),
    Column("days", Integer, nullable=False),
    Column("by_law", Boolean, nullable=False),
    text("law"),
)
"""How many days a retention class, or a table by its name, is kept; `by_law`: nor may it go before, whoever asks."""

privacy_request = by_customer(
    "privacy_request",
    row_key("request_id"),
    *texts("kind", "region", "state"),
    instant("state_at", nullable=False),
    instant("opened_at", nullable=False),
    instant("due_at"),
    *texts("reason", "evidence", nullable=True),
    of_customer(),
    Index(None, "state", "due_at", info={"serves": "the officers' queue, oldest due first"}),
)

erasure = by_customer(
    "erasure",
    Column("request_id", Uuid),
    text("region"),
    instant("erased_at", nullable=False),
    *texts("gone", "kept"),
    instant("kept_until"),
    instant("finished_at"),
    text("certificate", nullable=True),
    Index(None, "finished_at", info={"serves": "erasures whose rows are still to be swept"}),
    Index(None, "kept_until", info={"serves": "what the law kept and does not any more"}),
)
"""An erasure holds no value: `gone` and `kept` name classes as JSON, `certificate` is what was signed in the end."""

erased_rows = by_customer(
    "erased_rows", text("table_name", primary_key=True), Column("row_count", BigInteger, nullable=False)
)
"""How many rows of each table an erasure deleted."""
