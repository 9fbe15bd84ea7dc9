"""The floor's statements: PostgreSQL builds the finished JSON, sealed cells as base64 text, ids as they are stored."""
# ruff: noqa: S608 -- the statements are put together from the constants of this file

from typing import Final

__all__ = ["LOOKUP", "OTHER_STORE", "PROFILE", "REGION", "TWO_STORES"]


def _sealed(column: str) -> str:
    return f"translate(encode({column}, 'base64'), E'\\n', '')"


def _money(minor: str, currency: str) -> str:
    value = f"round({minor} / 100.0, 2)::text"
    return f"CASE WHEN {minor} IS NOT NULL THEN json_build_object('value', {value}, 'unit', {currency}) END"


def _list(item: str, table: str, order: str, first: int) -> str:
    """The first rows of a customer's table as a JSON array; `order` must be total."""
    rows = f"SELECT {item} AS item FROM {table} t WHERE t.customer_id = c.customer_id ORDER BY {order} LIMIT {first}"
    return f"(SELECT coalesce(json_agg(item), '[]') FROM ({rows}) listed)"


BILL_STATE: Final = """CASE WHEN t.amount_due_minor IS NULL THEN NULL
    WHEN t.paid_minor >= t.amount_due_minor THEN 'settled'
    WHEN t.paid_minor > 0 THEN 'partiallyPaid' ELSE 'sent' END"""
HOLDING: Final = f"""json_build_object('number', {_sealed("t.number")}, 'region', t.region, 'role', t.role,
    'state', t.state, 'validFor', json_build_object('start', t.valid_from, 'end', t.valid_to))"""
CONSENT: Final = """json_build_object('purpose', t.purpose, 'channel', t.channel, 'type', t.type,
    'happenedAt', t.happened_at, 'expiresAt', t.expires_at)"""
ACCOUNT: Final = f"""json_build_object('accountNo', {_sealed("t.account_no")}, 'region', t.region,
    'ratingType', t.rating_type, 'balance', {_money("t.balance_minor", "t.currency")})"""
MONTH: Final = """json_build_object('month', to_char(t.month_on, 'YYYY-MM'),
    'voiceMinutes', (t.voice_seconds + 59) / 60, 'smsCount', t.sms_count,
    'dataMegabytes', (t.data_bytes + 1048575) / 1048576)"""
BILL: Final = f"""json_build_object('billNo', t.bill_no, 'billDate', t.bill_on,
    'amountDue', {_money("t.amount_due_minor", "t.currency")}, 'state', {BILL_STATE})"""
INTERACTION: Final = "json_build_object('at', t.at, 'channel', t.channel, 'direction', t.direction, 'reason', t.reason)"

CUSTOMER: Final = f"""json_build_object(
    'id', c.customer_id, 'formattedName', {_sealed("c.formatted_name")}, 'birthDate', {_sealed("c.birth_date")},
    'gender', c.gender, 'status', c.status, 'tier', c.tier,
    'regions', (SELECT coalesce(json_agg(r.region ORDER BY r.region), '[]') FROM customer_region r
                WHERE r.customer_id = c.customer_id),
    'holdings', {_list(HOLDING, "number_holding", "t.valid_from DESC, t.holding_id", 4)},
    'consents', {_list(CONSENT, "consent_event", "t.happened_at DESC, t.consent_event_id", 4)},
    'accounts', {_list(ACCOUNT, "account", "t.opened_at DESC, t.account_id", 4)},
    'usageMonths', {_list(MONTH, "usage_month", "t.month_on DESC, t.region", 6)},
    'bills', {_list(BILL, "bill", "t.bill_on DESC, t.bill_id", 3)},
    'interactions', {_list(INTERACTION, "interaction", "t.at DESC, t.interaction_id", 3)})"""

HOLDER: Final = """(SELECT i.customer_id FROM number_index i
    WHERE i.number_tag = $1 AND i.role = 'USER' AND i.valid_from <= now() AND (i.valid_to IS NULL OR i.valid_to > now())
    ORDER BY i.valid_from DESC, i.holding_id LIMIT 1)"""

PROFILE: Final = f"""SELECT json_build_object('data', json_build_object('customer', {CUSTOMER}))::text
FROM customer c WHERE c.customer_id = {HOLDER}"""

LOOKUP: Final = f"""
SELECT json_build_object('data', json_build_object('customer', json_build_object('id', c.customer_id)))::text
FROM customer c WHERE c.customer_id = {HOLDER}"""

TWO_STORES: Final = f"""SELECT {CUSTOMER}::text, (SELECT l.token FROM link l
    WHERE l.customer_id = c.customer_id AND l.state = 'ACTIVE' ORDER BY l.token LIMIT 1)
FROM customer c WHERE c.customer_id = {HOLDER}"""

OTHER_STORE: Final = f"""SELECT {CUSTOMER}::text FROM link_index i JOIN customer c ON c.customer_id = i.customer_id
WHERE i.token = $1"""

LISTED: Final = f"""json_build_object('id', c.customer_id, 'formattedName', {_sealed("c.formatted_name")},
    'holdings', {
    _list(
        f"json_build_object('number', {_sealed('t.number')}, 'state', t.state)",
        "number_holding",
        "t.valid_from DESC, t.holding_id",
        2,
    )
},
    'bills', {
    _list(
        f"json_build_object('billNo', t.bill_no, 'amountDue', {_money('t.amount_due_minor', 't.currency')}, "
        f"'state', {BILL_STATE})",
        "bill",
        "t.bill_on DESC, t.bill_id",
        3,
    )
})"""

REGION: Final = f"""SELECT json_build_object('data', json_build_object('customers', json_build_object(
    'edges', coalesce(json_agg(json_build_object('cursor', p.customer_id, 'node', p.item) ORDER BY p.customer_id)
                      FILTER (WHERE p.place <= 50), '[]'),
    'pageInfo', json_build_object('hasNextPage', count(*) > 50,
        'endCursor', (array_agg(p.customer_id ORDER BY p.customer_id) FILTER (WHERE p.place <= 50))[count(*)
                      FILTER (WHERE p.place <= 50)]))))::text
FROM (SELECT c.customer_id, row_number() OVER (ORDER BY c.customer_id) AS place, {LISTED} AS item
      FROM (SELECT * FROM customer WHERE region = $1 AND ($2::uuid IS NULL OR customer_id > $2)
            ORDER BY customer_id LIMIT 51) c) p"""
