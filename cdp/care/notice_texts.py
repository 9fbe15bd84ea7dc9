"""What customers are told without having asked, in Chinese and in English."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from cdp.care.texts import TEXTS, spelled
from cdp.values import money_text

NOTICES: Final[Mapping[str, tuple[str, str]]] = {
    "ALLOWANCE_RUNS_OUT": (
        "按近期用量，您套餐内的{what}预计于 {day} 用完。",
        "At the rate of the last days your allowance of {what} will be used up on {day}.",
    ),
    "CONTRACT_ENDS": (
        "您的「{product}」合约将于 {day} 到期。",
        "The contract of your {product} ends on {day}.",
    ),
    "BILL_SHOCK": (
        "您的账单 {bill} 为 {amount} {unit}，比平常多 {more} {unit}。您可以查询增加的原因。",
        "Your bill {bill} is {amount} {unit}, {more} {unit} more than usual. You can look up why.",
    ),
    "SERVICE_RESTORED": ("您的「{product}」已恢复使用。", "Your {product} works again."),
    "BETTER_TARIFF": (
        "按您最近 {months} 个月的用量，使用「{tariff}」可少付 {saving} {unit}。",
        "On your usage of the last {months} months you would have paid {saving} {unit} less with {tariff}.",
    ),
}
CASES: Final = ("CASE_OPENED", "CASE_SETTLED")
MARKETING: Final = ("BETTER_TARIFF",)
"""Told for marketing: with the consent that asks for, and within the policy of contacts. All others are service."""
WHAT: Final[Mapping[str, tuple[str, str]]] = {
    "VOICE": ("通话", "calls"),
    "SMS": ("短信", "messages"),
    "DATA": ("流量", "data"),
    "ROAMING": ("漫游流量", "roaming data"),
}


def notice_text(kind: str, told: str, region: str | None) -> dict[str, str]:
    """The text of a notice as {"zh": ..., "en": ...}; `told` is its JSON."""
    said = json.loads(told)
    if kind in CASES:
        return _of_case(said, region)
    amounts = {name.removesuffix("_minor"): value for name, value in said.items() if name.endswith("_minor")}
    words = said | {name: money_text(value, said["unit"]) for name, value in amounts.items()}
    made = {}
    for n, language in enumerate(("zh", "en")):
        what = {"what": WHAT[said["what"]][n]} if "what" in said else {}
        made[language] = NOTICES[kind][n].format_map(words | what)
    return made


def _of_case(said: dict[str, Any], region: str | None) -> dict[str, str]:
    kind, due, gone = said.pop("cause"), said.pop("due_at"), said.pop("gone_at")
    assert kind in TEXTS, "the platform opens no case that it has no words for"
    at = [None if text is None else datetime.fromisoformat(text) for text in (due, gone)]
    return spelled(kind, said, region or "CN", *at)


def text_in(language: str, kind: str, told: str, region: str | None) -> str:
    """The text of a notice in a language."""
    return notice_text(kind, told, region)[language]
