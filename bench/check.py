"""Whether the answers are right: each contestant's against this product's, field by field, over a sample of customers.

What is left out: ids and cursors, which are opaque here and plain elsewhere, and opened values where a contestant
returns sealed bytes. Everything else must agree: numbers, amounts, dates, states, and the order of lists.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from bench.contestants import OURS
from bench.operations import Dialect, Operation
from bench.processes import BenchFailed

__all__ = ["SAMPLE", "ask", "check_opened", "comparable", "compare"]

SAMPLE: Final = 50
OPENED: Final = frozenset({"formattedName", "birthDate", "number", "accountNo"})
OPAQUE: Final = frozenset({"id", "cursor", "endCursor"})
BYTES_PER_MEGABYTE: Final = 1 << 20


def ask(url: str, body: bytes, token: str | None) -> dict[str, Any]:
    """The decoded answer to one request; BenchFailed for one that is none."""
    request = urllib.request.Request(url, body, {"content-type": "application/json"})  # noqa: S310 -- our own URL
    if token:
        request.add_header("authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 -- as above
            answer: dict[str, Any] = json.load(response)
    except (OSError, ValueError) as failed:
        told = failed.read().decode(errors="replace")[:300] if isinstance(failed, urllib.error.HTTPError) else ""
        raise BenchFailed(f"{url} did not answer: {failed} {told}") from None
    if answer.get("errors") or not answer.get("data"):
        raise BenchFailed(f"{url} answered {json.dumps(answer)[:300]}")
    return answer


def comparable(answer: Mapping[str, Any], dialect: Dialect, *, sealed: bool) -> Any:
    """An answer in common words: `sealed` leaves out what was opened or not."""
    data = answer["data"]
    if dialect is Dialect.POSTGRAPHILE:
        data = _translated(data)
    return _plain(data, OPAQUE | OPENED if sealed else OPAQUE)


def _plain(value: Any, without: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner, without) for key, inner in value.items() if key not in without}
    if isinstance(value, list):
        return [_plain(inner, without) for inner in value]
    return _instant(value) if isinstance(value, str) else value


def _instant(text: str) -> str:
    """An instant in one spelling; any other text as it is."""
    if len(text) > 18 and text[10:11] == "T":
        return datetime.fromisoformat(text).astimezone(UTC).isoformat()
    return text


def _translated(data: Mapping[str, Any]) -> dict[str, Any]:
    """PostGraphile's answer in our words."""
    if "allCustomers" in data:
        page = data["allCustomers"]
        edges = [edge | {"node": _customer(edge["node"])} for edge in page["edges"]]
        return {"customers": page | {"edges": edges}}
    found = data["numberIndexByNumberTag"]
    return {"customer": _customer(found["customerByCustomerId"]) if found else None}


def _customer(row: Mapping[str, Any]) -> dict[str, Any]:
    made = {key: value["nodes"] if isinstance(value, dict) else value for key, value in row.items()}
    if "regions" in made:
        made["regions"] = [one["region"] for one in made["regions"]]
    lists = {"holdings": _holding, "accounts": _account, "usageMonths": _month, "bills": _bill}
    return made | {name: [item(one) for one in made[name]] for name, item in lists.items() if name in made}


def _holding(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in row.items() if key not in ("validFrom", "validTo")}
    return kept | ({"validFor": {"start": row["validFrom"], "end": row["validTo"]}} if "validFrom" in row else {})


def _account(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: row[key] for key in ("accountNo", "region", "ratingType")}
    return kept | {"balance": _money(row["balanceMinor"], row["currency"])}


def _month(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "month": row["monthOn"][:7],
        "voiceMinutes": -(-int(row["voiceSeconds"]) // 60),
        "smsCount": int(row["smsCount"]),
        "dataMegabytes": -(-int(row["dataBytes"]) // BYTES_PER_MEGABYTE),
    }


def _bill(row: Mapping[str, Any]) -> dict[str, Any]:
    due, paid = row["amountDueMinor"], int(row["paidMinor"])
    state = None if due is None else "settled" if paid >= int(due) else "partiallyPaid" if paid > 0 else "sent"
    date = {"billDate": row["billOn"]} if "billOn" in row else {}
    return {"billNo": row["billNo"], **date, "amountDue": _money(due, row["currency"]), "state": state}


def _money(minor: str | None, unit: str) -> dict[str, str] | None:
    if minor is None:
        return None
    sign, whole = ("-", minor[1:]) if minor.startswith("-") else ("", minor)
    return {"value": f"{sign}{int(whole) // 100}.{int(whole) % 100:02}", "unit": unit}


def compare(ours: Any, theirs: Any, operation: Operation, name: str) -> None:
    """BenchFailed with the first field of the contestant `name` that differs."""
    apart = "other" in theirs
    differing = _side_by_side(ours["customer"], theirs) if apart else _differences(ours, theirs, "data")
    for path, mine, other in differing:
        raise BenchFailed(f"{operation}: {path} is {mine!r} of {OURS} and {other!r} of {name}")


def _differences(ours: Any, theirs: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        for key, value in ours.items():
            yield from _differences(value, theirs[key], f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, value in enumerate(ours):
            yield from _differences(value, theirs[number], f"{path}[{number}]")
    elif ours != theirs:
        yield path, ours, theirs


def _side_by_side(ours: Mapping[str, Any], sides: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Any, Any]]:
    """The floor lays the records of two stores side by side: each of our items must stand in one of them."""
    for key, value in ours.items():
        if isinstance(value, list):
            missing = [item for item in value if all(item not in side[key] for side in sides.values())]
            yield from ((key, item, None) for item in missing)
        else:
            yield from _differences(value, sides["customer"][key], key)


def check_opened(answer: Mapping[str, Any], number: str) -> None:
    """Our own answer with everything on: the customer of that number, all cells opened, nothing withheld."""
    customer, privacy = answer["data"]["customer"], answer["extensions"]["privacy"]
    numbers: Sequence[str] = [holding["number"] for holding in customer["holdings"]]
    if number not in numbers or not customer["formattedName"]:
        raise BenchFailed("this product did not open the customer it was asked for")
    if privacy["withheld"] or privacy["masked"]:
        raise BenchFailed(f"this product withheld what service.care may see: {privacy}")
