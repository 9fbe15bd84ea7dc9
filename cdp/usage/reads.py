"""Usage as it is asked for: in the units a customer knows, begun units counted whole."""

from typing import Any, Final

from sqlalchemy import ColumnElement, Date, FromClause, Select, case, cast, func, literal_column, or_, select

from cdp.usage.tables import bucket as buckets
from cdp.usage.tables import usage_record
from cdp.values import BYTES_PER_MEGABYTE

SECONDS_PER_MINUTE = 60
FORECAST_DAYS: Final = 14


def voice_minutes(month: FromClause) -> ColumnElement[Any]:
    """Minutes of a month's calls."""
    return (month.c.voice_seconds + (SECONDS_PER_MINUTE - 1)) // SECONDS_PER_MINUTE


def data_megabytes(month: FromClause) -> ColumnElement[Any]:
    """Megabytes of a month's data."""
    return (month.c.data_bytes + (BYTES_PER_MEGABYTE - 1)) // BYTES_PER_MEGABYTE


def roaming_megabytes(month: FromClause) -> ColumnElement[Any]:
    """Megabytes of a month's roaming."""
    return (month.c.roaming_bytes + (BYTES_PER_MEGABYTE - 1)) // BYTES_PER_MEGABYTE


def runs_out_on(bucket: FromClause) -> ColumnElement[Any]:
    """The day (UTC) a bucket is empty at the rate of the FORECAST_DAYS before its report, if that is before its end;
    the day of the report for one that is empty by then.

    Worked out from the report alone: the same whenever it is asked.
    """
    use = usage_record.alias("spent")
    spent = (
        select(func.sum(use.c.quantity))
        .where(
            use.c.customer_id == bucket.c.customer_id,
            use.c.usage_type == bucket.c.usage_type,
            use.c.region == bucket.c.region,
            or_(bucket.c.holding_id.is_(None), use.c.holding_id == bucket.c.holding_id),
            use.c.at > bucket.c.remaining_at - literal_column(f"interval '{FORECAST_DAYS} days'"),
            use.c.at <= bucket.c.remaining_at,
        )
        .correlate(bucket)
        .scalar_subquery()
    )
    days = bucket.c.remaining * FORECAST_DAYS / func.nullif(spent, 0)
    # Beyond ten years no day is meant seriously, and dates end.
    empty = bucket.c.remaining_at + func.least(days, 3650) * literal_column("interval '1 day'")
    lasts = or_(bucket.c.is_shared, days > 3650, empty >= bucket.c.valid_to)
    said, day = (cast(func.timezone("UTC", at), Date) for at in (bucket.c.remaining_at, empty))
    return case((bucket.c.remaining == 0, said), (lasts, None), else_=day)


def forecast_rows() -> Select[Any]:
    """The buckets, each with the day it runs out."""
    names = ("customer_id", "bucket_id", "region", "usage_type", "valid_from")
    return select(*(buckets.c[name] for name in names), runs_out_on(buckets).label("runs_out_on"))
