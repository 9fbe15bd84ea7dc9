"""How a value looks when it may be seen only roughly. A masked value keeps its type, so that it fits its field."""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from privacy.errors import PolicyInvalid

HIDDEN: Final = "***"


def _bucket(value: Any) -> Any:
    """Numbers: the first digit, the rest zeros. Dates: the first day of the decade. Anything else is hidden."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        digits = len(str(abs(int(value))))
        step = 10 ** (digits - 1)
        return type(value)(int(value / step) * step)
    if isinstance(value, date):
        return value.replace(year=value.year - value.year % 10, month=1, day=1)
    return HIDDEN


def _month(value: Any) -> Any:
    """The first instant or day of the month. Anything but a date is hidden."""
    if isinstance(value, datetime):
        return value.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return value.replace(day=1) if isinstance(value, date) else HIDDEN


def _last4(value: Any) -> Any:
    """The last four characters of a text of eight or more."""
    return HIDDEN + value[-4:] if isinstance(value, str) and len(value) >= 8 else HIDDEN


def _city(value: Any) -> Any:
    """The part of an address before the first comma or space. Anything but a text is hidden."""
    return value.replace(",", " ").split()[0] if isinstance(value, str) and value.strip() else HIDDEN


STYLES: Final[dict[str, Callable[[Any], Any]]] = {"bucket": _bucket, "month": _month, "last4": _last4, "city": _city}


def masked(style: str, value: Any) -> Any:
    """The value in a mask style; PolicyInvalid for a style nobody knows, so that nothing leaves unmasked."""
    mask = STYLES.get(style)
    if mask is None:
        raise PolicyInvalid(f"mask style {style!r}: expected one of {sorted(STYLES)}")
    return mask(value)
