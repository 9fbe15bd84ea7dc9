"""billing: what tariffs cost beyond their allowances, what bills are made of, and what follows from unpaid ones."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.distribution import distribute, reference

revision: str = "0018_billing_catalogue"
down_revision: str | None = "0017_consent_officer"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

CHARGES = {
    "FEE": "TARIFF",
    "MONTHLY_FEE": "TARIFF",
    "USAGE": "USAGE",
    "VOICE": "USAGE",
    "SMS": "USAGE",
    "DATA": "USAGE",
    "ROAMING": "USAGE",
    "DISCOUNT": "DISCOUNT",
    "DEVICE": "ONE_OFF",
    "INSTALLATION": "ONE_OFF",
    "ONE_OFF": "ONE_OFF",
    "PENALTY": "ONE_OFF",
}
TERMS = (("*", 20, 30), ("CN", 20, 30), ("HK", 14, 21))

BILL_CAUSE = """
CREATE VIEW bill_cause AS
SELECT customer_id, bill_id, cause, sum(amount_minor)::bigint AS amount_minor FROM (
    SELECT l.customer_id, l.bill_id, l.amount_minor,
           coalesce(k.cause, CASE WHEN l.amount_minor < 0 THEN 'DISCOUNT' ELSE 'OTHER' END) AS cause
    FROM bill_line l LEFT JOIN charge_kind k ON k.kind = l.kind
    UNION ALL
    SELECT b.customer_id, b.bill_id, b.amount_due_minor - coalesce((
               SELECT sum(l.amount_minor) FROM bill_line l WHERE l.customer_id = b.customer_id AND l.bill_id = b.bill_id
           ), 0), 'OTHER'
    FROM bill b WHERE b.amount_due_minor IS NOT NULL
) AS part GROUP BY customer_id, bill_id, cause HAVING sum(amount_minor) <> 0
"""
# The usual amount of a cause is rounded for itself and the usual bill is their sum: so the differences always add up.
BILL_CHANGE = """
CREATE VIEW bill_change AS
SELECT b.customer_id, b.bill_id, c.cause, b.currency, past.bills, c.amount_minor, c.usual_minor,
       c.amount_minor - c.usual_minor AS difference_minor
FROM bill b
CROSS JOIN LATERAL (
    SELECT array_agg(p.bill_id) AS ids, count(*)::integer AS bills FROM (
        SELECT p.bill_id FROM bill p
        WHERE p.customer_id = b.customer_id AND p.account_id IS NOT DISTINCT FROM b.account_id
          AND p.currency = b.currency AND p.amount_due_minor IS NOT NULL
          AND (p.bill_on, p.bill_id) < (b.bill_on, b.bill_id)
        ORDER BY p.bill_on DESC, p.bill_id DESC LIMIT 3
    ) AS p
) AS past
CROSS JOIN LATERAL (
    SELECT c.cause, coalesce(sum(c.amount_minor) FILTER (WHERE c.bill_id = b.bill_id), 0)::bigint AS amount_minor,
           round(coalesce(sum(c.amount_minor) FILTER (WHERE c.bill_id <> b.bill_id), 0) / past.bills)::bigint
               AS usual_minor
    FROM bill_cause c
    WHERE c.customer_id = b.customer_id AND (c.bill_id = b.bill_id OR c.bill_id = ANY(past.ids)) GROUP BY c.cause
) AS c
WHERE past.bills > 0 AND b.amount_due_minor IS NOT NULL
"""
BILL_DIFFERENCE = """
CREATE VIEW bill_difference AS
SELECT customer_id, bill_id, currency, bills, sum(usual_minor)::bigint AS usual_minor,
       sum(difference_minor)::bigint AS difference_minor
FROM bill_change GROUP BY customer_id, bill_id, currency, bills
"""
ARREARS = """
CREATE VIEW arrears AS
SELECT a.customer_id, a.account_id, a.region, a.currency, unpaid.owed_minor, unpaid.bills,
       unpaid.oldest_on + term.due_days AS due_on, unpaid.oldest_on + term.due_days + term.grace_days AS suspends_on
FROM account a
CROSS JOIN LATERAL (
    SELECT t.due_days, t.grace_days FROM arrears_term t
    WHERE t.region IN (a.region, split_part(a.region, '-', 1), '*') ORDER BY length(t.region) DESC LIMIT 1
) AS term
CROSS JOIN LATERAL (
    SELECT sum(b.amount_due_minor - b.paid_minor)::bigint AS owed_minor, count(*)::integer AS bills,
           min(b.bill_on) AS oldest_on
    FROM bill b
    WHERE b.customer_id = a.customer_id AND b.account_id = a.account_id AND b.currency = a.currency
      AND b.amount_due_minor > b.paid_minor
) AS unpaid
WHERE unpaid.bills > 0
"""
USAGE_DAY = """
CREATE VIEW usage_day AS
SELECT customer_id, (at AT TIME ZONE 'UTC')::date AS day_on, region, usage_type, units,
       sum(quantity) AS quantity, count(*)::integer AS records
FROM usage_record GROUP BY customer_id, (at AT TIME ZONE 'UTC')::date, region, usage_type, units
"""
# One tariffed product in a region: what is used there is not kept by product. A price that is not there means that
# nothing can be used beyond the allowance.
TARIFF_OPTION = """
CREATE VIEW tariff_option AS
SELECT line.customer_id, line.product_id, t.tariff_id, t.currency, line.tariff_id AS present_id, line.region,
       min(month.month_on) AS first_on, max(month.month_on) AS last_on, count(*)::integer AS months,
       sum(month.cost_minor)::bigint AS cost_minor
FROM (
    SELECT p.customer_id, p.product_id, p.region, p.tariff_id, count(*) OVER (PARTITION BY p.customer_id, p.region) AS n
    FROM product p WHERE p.tariff_id IS NOT NULL AND p.status IN ('active', 'suspended')
) AS line
JOIN customer c ON c.customer_id = line.customer_id
JOIN tariff present ON present.tariff_id = line.tariff_id
JOIN tariff t ON t.tariff_id = present.tariff_id OR t.withdrawn_on IS NULL AND t.rating_type = present.rating_type
    AND t.currency = present.currency AND t.region IN (line.region, split_part(line.region, '-', 1))
    AND coalesce(t.customer_kind, c.kind) = c.kind
CROSS JOIN LATERAL (
    SELECT t.monthly_fee_minor - coalesce(sum(b.discount_minor), 0) AS fee_minor FROM tariff_bundle b
    WHERE b.tariff_id = t.tariff_id AND EXISTS (
        SELECT FROM product x
        WHERE x.customer_id = line.customer_id AND x.kind = b.product_kind AND x.status = 'active'
    )
) AS bundled
CROSS JOIN LATERAL (
    SELECT max(u.month_on) AS newest_on, min(u.month_on) AS oldest_on FROM usage_month u
    WHERE u.customer_id = line.customer_id AND u.region = line.region
) AS known
CROSS JOIN LATERAL generate_series(
    greatest(known.newest_on - interval '6 months', known.oldest_on), known.newest_on - interval '1 month',
    interval '1 month'
) AS at (month)
LEFT JOIN usage_month u ON u.customer_id = line.customer_id AND u.month_on = at.month::date AND u.region = line.region
CROSS JOIN LATERAL (
    SELECT greatest((coalesce(u.voice_seconds, 0) + 59) / 60 - coalesce(t.voice_minutes, 0), 0) AS voice,
           greatest(coalesce(u.sms_count, 0) - coalesce(t.sms_count, 0), 0) AS sms,
           greatest((coalesce(u.data_bytes, 0) + 1048575) / 1048576 - coalesce(t.data_megabytes, 0), 0) AS data,
           (coalesce(u.roaming_bytes, 0) + 1048575) / 1048576 AS roaming
) AS beyond
CROSS JOIN LATERAL (
    SELECT at.month::date AS month_on, greatest(bundled.fee_minor, 0) + round(beyond.voice * coalesce(t.voice_price, 0))
           + round(beyond.sms * coalesce(t.sms_price, 0)) + round(beyond.data * coalesce(t.data_price, 0))
           + round(beyond.roaming * coalesce(t.roaming_price, 0)) AS cost_minor
) AS month
WHERE line.n = 1
GROUP BY line.customer_id, line.product_id, t.tariff_id, t.currency, line.tariff_id, line.region
HAVING bool_and(
    (beyond.voice = 0 OR t.voice_price IS NOT NULL) AND (beyond.sms = 0 OR t.sms_price IS NOT NULL)
    AND (beyond.data = 0 OR t.data_price IS NOT NULL) AND (beyond.roaming = 0 OR t.roaming_price IS NOT NULL)
)
"""
TARIFF_ADVICE = """
CREATE VIEW tariff_advice AS
SELECT priced.*, present_minor - cheapest_minor AS saving_minor, billed.billed_minor
FROM (
    SELECT o.customer_id, o.product_id, o.region, o.currency, o.first_on, o.last_on, o.months,
           max(o.cost_minor) FILTER (WHERE o.tariff_id = o.present_id) AS present_minor,
           min(o.cost_minor) AS cheapest_minor,
           (array_agg(o.tariff_id ORDER BY o.cost_minor, o.tariff_id <> o.present_id, o.tariff_id))[1] AS cheapest_id
    FROM tariff_option o
    GROUP BY o.customer_id, o.product_id, o.region, o.currency, o.first_on, o.last_on, o.months
) AS priced
CROSS JOIN LATERAL (
    SELECT sum(b.amount_due_minor)::bigint AS billed_minor FROM bill b
    WHERE b.customer_id = priced.customer_id AND b.region = priced.region AND b.currency = priced.currency
      AND b.period_start_on BETWEEN priced.first_on AND priced.last_on
) AS billed
WHERE present_minor IS NOT NULL
"""
VIEWS = {
    "bill_cause": BILL_CAUSE,
    "bill_change": BILL_CHANGE,
    "bill_difference": BILL_DIFFERENCE,
    "arrears": ARREARS,
    "usage_day": USAGE_DAY,
    "tariff_option": TARIFF_OPTION,
    "tariff_advice": TARIFF_ADVICE,
}


def upgrade() -> None:
    for name in ("voice", "sms", "data", "roaming"):
        op.add_column("tariff", sa.Column(f"{name}_price", sa.Numeric()))
    op.add_column("tariff", sa.Column("customer_kind", sa.Text()))
    op.add_column("tariff", sa.Column("contract_months", sa.Integer()))
    op.add_column("tariff", sa.Column("withdrawn_on", sa.Date()))
    op.create_table(
        "tariff_bundle",
        sa.Column("tariff_id", sa.Text(), nullable=False),
        sa.Column("product_kind", sa.Text(), nullable=False),
        sa.Column("discount_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tariff_id", "product_kind", name=op.f("pk_tariff_bundle")),
    )
    charges = op.create_table(
        "charge_kind",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_charge_kind")),
    )
    terms = op.create_table(
        "arrears_term",
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("due_days", sa.Integer(), nullable=False),
        sa.Column("grace_days", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("region", name=op.f("pk_arrears_term")),
    )
    for table in ("tariff_bundle", "charge_kind", "arrears_term"):
        reference(table)
    op.bulk_insert(charges, [{"kind": kind, "cause": cause} for kind, cause in CHARGES.items()])
    op.bulk_insert(terms, [{"region": where, "due_days": due, "grace_days": grace} for where, due, grace in TERMS])
    op.create_table(
        "tariff_proposal",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("tariff_id", sa.Text(), nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("saving_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "product_id", name=op.f("pk_tariff_proposal")),
    )
    distribute("tariff_proposal", "customer_id")
    op.create_foreign_key(
        op.f("fk_tariff_proposal_customer_id_customer"),
        "tariff_proposal",
        "customer",
        ["customer_id"],
        ["customer_id"],
    )
    op.create_index(op.f("ix_tariff_proposal_region"), "tariff_proposal", ["region"])
    for statement in VIEWS.values():
        op.execute(statement)


def downgrade() -> None:
    for view in reversed(VIEWS):
        op.execute(f"DROP VIEW {view}")
    op.drop_table("tariff_proposal")
    for table in ("arrears_term", "charge_kind", "tariff_bundle"):
        op.drop_table(table)
    for name in (
        "withdrawn_on",
        "contract_months",
        "customer_kind",
        "roaming_price",
        "data_price",
        "sms_price",
        "voice_price",
    ):
        op.drop_column("tariff", name)
