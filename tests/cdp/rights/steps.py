"""Steps of requests, as events."""

from typing import Any, Final
from uuid import UUID

from cdp.values import row_id
from tests.cdp.samples import event

HONG_KONG: Final = {"customerKey": "H-1"}


def opened(kind: str, store: str = "cn") -> dict[str, Any]:
    made = event("PrivacyRequestOpened", 2, None if store == "cn" else HONG_KONG, requestRef=kind, kind=kind)
    return made | {"eventId": f"opened-{kind}", "region": "CN-GD" if store == "cn" else "HK"}


def advanced(customer_id: UUID, kind: str, state: str, /, **fields: Any) -> dict[str, Any]:
    request = str(row_id(customer_id, "privacyRequest", kind))
    made = event("PrivacyRequestAdvanced", 3, {"customerId": str(customer_id)}, requestId=request, state=state)
    return made | {"eventId": f"{kind}-{state}"} | fields
