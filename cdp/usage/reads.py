"""Usage as it is asked for: in the units a customer knows, begun units counted whole."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause

from cdp.values import BYTES_PER_MEGABYTE

SECONDS_PER_MINUTE = 60


def voice_minutes(month: FromClause) -> ColumnElement[Any]:
    """Minutes of a month's calls."""
    return (month.c.voice_seconds + (SECONDS_PER_MINUTE - 1)) // SECONDS_PER_MINUTE


def data_megabytes(month: FromClause) -> ColumnElement[Any]:
    """Megabytes of a month's data."""
    return (month.c.data_bytes + (BYTES_PER_MEGABYTE - 1)) // BYTES_PER_MEGABYTE


def roaming_megabytes(month: FromClause) -> ColumnElement[Any]:
    """Megabytes of a month's roaming."""
    return (month.c.roaming_bytes + (BYTES_PER_MEGABYTE - 1)) // BYTES_PER_MEGABYTE
