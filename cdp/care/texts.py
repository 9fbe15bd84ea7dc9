"""What a desk reads out to a customer about a case that the platform opened, in Chinese and in English."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from string import Formatter
from typing import Any, Final, NamedTuple

CHINA_TIME: Final = timezone(timedelta(hours=8))
DUE: Final = "due_at"


class Text(NamedTuple):
    """While the cause stands; once it is gone (`{gone_at}`); once it is gone though nothing came right, for a reason
    (`{instead}`). `{due_at}` is when an answer is due.
    """

    zh: str
    en: str
    gone_zh: str
    gone_en: str
    instead_zh: str = ""
    instead_en: str = ""


TEXTS: Final[dict[str, Text]] = {
    "SERVICE_STILL_OFF": Text(
        "您的「{product}」自 {suspended_at} 起因{reason}停用。停用原因已于 {cleared_at} 消除，但该服务至今没有恢复。"
        "这是我们的问题，已由系统发现并立案，我们会在 {due_at} 前恢复并答复您，您不需要再次说明情况。",
        "Your {product} has been suspended since {suspended_at} because of {reason}. The reason has been gone since "
        "{cleared_at}, but the service has not come back. The fault is ours: our system found it and opened this case. "
        "We will restore the service and tell you by {due_at}; you do not need to explain it again.",
        "您的「{product}」已于 {gone_at} 恢复。此前因{reason}停用，停用原因消除后没有及时恢复，非常抱歉。",
        "Your {product} has worked again since {gone_at}. It stayed suspended after the reason, {reason}, was gone. We "
        "are sorry.",
        "您的「{product}」自 {gone_at} 起因{instead}停用，因此没有恢复。",
        "Your {product} has not come back: since {gone_at} it is off because of {instead}.",
    ),
    "SERVICE_STILL_ON": Text(
        "您的「{product}」所依赖的服务自 {suspended_at} 起停用，但「{product}」仍可使用。"
        "为避免产生您不知情的费用，我们会在 {due_at} 前核实并答复您。",
        "What your {product} relies on has been suspended since {suspended_at}, but {product} can still be used. So "
        "that it costs you nothing you do not know of, we will look into it and tell you by {due_at}.",
        "您的「{product}」的状态已于 {gone_at} 更正，您无需处理。",
        "The state of your {product} has been corrected at {gone_at}. There is nothing for you to do.",
    ),
    "TOP_UP_ASTRAY": Text(
        "您 {told_at} 的充值（编号 {top_up}）{what}。这是我们的问题，已由系统发现并立案，"
        "我们会在 {due_at} 前更正并答复您，您不需要再次说明情况，也不需要联系其他地区。",
        "Your top-up of {told_at} (reference {top_up}) {what}. The fault is ours: our system found it and opened this "
        "case. We will put it right and tell you by {due_at}; you do not need to explain it again, nor to turn to "
        "another region.",
        "您 {told_at} 的充值（编号 {top_up}）已于 {gone_at} 更正，非常抱歉。",
        "Your top-up of {told_at} (reference {top_up}) has been put right on {gone_at}. We are sorry.",
        "您 {told_at} 的充值（编号 {top_up}）{instead}，没有入账。此前的确认有误，非常抱歉。",
        "Your top-up of {told_at} (reference {top_up}) {instead} and was not credited. It should not have been "
        "confirmed. We are sorry.",
    ),
}
"""Kind of cause -> its text."""

WORDS: Final[dict[str, tuple[str, str]]] = {
    "ARREARS": ("欠费", "arrears"),
    "REQUEST": ("您的申请", "your request"),
    "FRAUD": ("防诈骗措施", "a measure against fraud"),
    "LOST": ("挂失", "the loss of the device"),
    "TERMINATED": ("服务终止", "its end"),
    "FAILED": ("未成功", "failed"),
    "NOT_POSTED": ("已确认，但至今没有入账", "was confirmed, but has not been credited"),
    "NOT_REQUESTED": ("已入账，但我们没有找到对应的充值申请", "was credited, although we know of no request for it"),
    "POSTED_ELSEWHERE": ("没有记入您充值的号码", "was credited, but not to the number you topped up"),
    "POSTED_TWICE": ("被重复入账", "was credited more than once"),
    "WRONG_CURRENCY": ("入账的币种有误", "was credited in another currency"),
    "WRONG_AMOUNT": ("入账的金额有误", "was credited with another amount"),
}
"""Codes that a text tells in words; every other stands as it is."""


def spelled(
    kind: str, told: Mapping[str, str], region: str = "CN", due: Any = None, gone: Any = None
) -> dict[str, str]:
    """The text of a cause as {"zh": ..., "en": ...}; raises ValueError where the kind has none, or `told` lacks a part.

    Instants are told in the time of the region, where that is China's; elsewhere in UTC.
    """
    if kind not in TEXTS:
        raise ValueError("a kind of cause that has a text")
    text, at = TEXTS[kind], {DUE: due, "gone_at": gone}
    at |= {name: datetime.fromisoformat(value) for name, value in told.items() if name.endswith("_at")}
    made, which = {}, 0 if not gone else 4 if "instead" in told else 2
    for n, language in enumerate(("zh", "en"), which):
        words = {name: _word(value, language, region) for name, value in {**told, **at}.items()}
        try:
            made[language] = text[n].format_map(words)
        except KeyError as missing:
            raise ValueError(f"what the text tells, {missing} too") from None
    return made


def _instant(at: datetime, language: str, region: str) -> str:
    local = at.astimezone(CHINA_TIME) if region[:2] in ("CN", "HK", "MO", "TW") else at
    zone = "" if local.utcoffset() else " UTC"
    if language == "zh":
        return f"{local.year}年{local.month}月{local.day}日{local:%H:%M}{zone}"
    return f"{local.day} {local:%B %Y, %H:%M}{zone}"


def text_in(language: str, kind: str, told: str, *facts: Any) -> str | None:
    """The text of a case's cause in a language: `told` as JSON, then region, due and gone; None for no kind of ours."""
    return spelled(kind, json.loads(told), *facts)[language] if kind in TEXTS else None


CHAINS: Final = {
    ("SERVICE_STILL_OFF", "zh"): (
        "{status_at} 因{reason}停用",
        "{arrears_cleared_at} 欠费已清",
        "{relied_at} {relied_name} 已恢复",
        "应于 {due_at} 前恢复，至今仍停用",
        "{cleared_at} 起状态正常",
    ),
    ("SERVICE_STILL_OFF", "en"): (
        "suspended on {status_at} because of {reason}",
        "arrears cleared on {arrears_cleared_at}",
        "{relied_name} back on {relied_at}",
        "due back by {due_at}, and still suspended",
        "as it should be since {cleared_at}",
    ),
    ("SERVICE_STILL_ON", "zh"): (
        "{relied_at} {relied_name} 停用",
        "应于 {due_at} 前停用，至今仍可使用",
        "{cleared_at} 已更正",
    ),
    ("SERVICE_STILL_ON", "en"): (
        "{relied_name} off since {relied_at}",
        "due off by {due_at}, and still on",
        "as it should be since {cleared_at}",
    ),
}
CHAIN: Final = ("reason", "status_at", "arrears_cleared_at", "relied_name", "relied_at", "due_at", "cleared_at")


def chain_in(language: str, kind: str, region: str, *facts: Any) -> str | None:
    """How a product came to be as it should not, one link after the other (`facts` in the order of CHAIN), in a
    language; what is not known is left out. None for no kind of ours.
    """
    told = {name: value for name, value in zip(CHAIN, facts, strict=True) if value is not None}
    words = {name: _word(value, language, region) for name, value in told.items()}
    links = CHAINS.get((kind, language), ())
    known = [link for link in links if {name for _, name, _, _ in Formatter().parse(link) if name} <= words.keys()]
    # Once it is right again it is not wrong "still".
    known = [link for link in known if not ("cleared_at" in told and "{due_at}" in link)]
    return ("；" if language == "zh" else "; ").join(known).format_map(words) or None


def _word(value: Any, language: str, region: str) -> str:
    if isinstance(value, datetime):
        return _instant(value, language, region)
    return WORDS[value][language == "en"] if value in WORDS else "…" if value is None else str(value)
