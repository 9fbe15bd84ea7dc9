"""The customers of the two stories, which happened to real people. Their numbers are fixed."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from cdp.demo.catalogue import tariffs_of
from cdp.demo.people import seeded
from cdp.demo.world import CHINA_TIME, Event, Life, bill, month_before_end, use

STILL_OFF_NUMBER: Final = "+8613912345678"
MAINLAND_NUMBER: Final = "+8613800138000"
HONG_KONG_NUMBER: Final = "+85291234567"
ONE_SIM: Final = "89852012345678901238"
OTHER_SIM: Final = "89860012345678901234"
LINK: Final = "5b0a4f2c9d1e4c8793a6e0d4b7f1c2a8"
SHOWN_MONTHS: Final = 6


def cast(stores: Mapping[str, str]) -> list[Event]:
    """All events of the customers of the stories; `stores` says which store keeps `CN`, and which `HK`."""
    return [*still_off(), *two_numbers(stores)]


def two_numbers(stores: Mapping[str, str]) -> list[Event]:
    """The customer with two numbers on one SIM, on either side."""
    return [*_mainland_side(stores["HK"]), *_hong_kong_side(stores["CN"])]


def still_off() -> list[Event]:
    """A line is suspended for arrears and comes back; the messaging service that runs on it does not."""
    life, account = _life("D-STORY-A", "CN-GD"), "6201391234"
    life.add(
        "CustomerRegistered",
        "1",
        _at("2021-03-08 10:00"),
        customerKey=life.key,
        name="林晓燕",
        kind="INDIVIDUAL",
        birthDate="1990-11-23",
        gender="FEMALE",
        address="广州市天河区体育东路 128 号",
        tier="MIDDLE",
        documentType="NATIONAL_ID",
        documentNumber="440106199011230027",
    )
    _starts(life, "2021-03-08 10:05", STILL_OFF_NUMBER, account, "0.80")
    line, fetion = f"{life.key}-line", f"{life.key}-fetion"
    started = {"startDate": "2021-03-08"}
    life.add(
        "ProductActivated", "line", _at("2021-03-08 10:06"), productRef=line, name="移动电话", kind="LINE", **started
    )
    messaging = {"name": "飞信 Fetion", "kind": "MESSAGING", "reliesOn": [line]}
    life.add("ProductActivated", "fetion", _at("2021-03-08 10:07"), productRef=fetion, **messaging, **started)
    _lives(life, account)
    _goes_off(life, account, line, fetion)
    _contact(life, 1, "2026-10-13 09:40", "WEB", "飞信仍停用。网上客服请客户拨打热线。")
    _contact(life, 2, "2026-10-15 20:10", "HOTLINE", "热线答应 24 小时内恢复。")
    _contact(life, 3, "2026-10-20 11:25", "WEB", "客户再次反映；网上客服称计费不归本部门。")
    about = {"productRef": fetion, "owner": "desk-hotline"}
    _case(life, "2026-10-15 20:12", "fault", "热线：充值后飞信仍停用。", about)
    return life.events


def _goes_off(life: Life, account: str, line: str, fetion: str) -> None:
    """Off in the morning; topped up at noon, when only the line comes back."""
    morning, noon = _at("2026-10-12 08:05"), _at("2026-10-12 12:05")
    life.add("PaymentStatusReported", "overdue", _at("2026-10-12 08:00"), accountNo=account, paymentStatus="OVERDUE")
    life.add("NumberSuspended", "1", morning, number=STILL_OFF_NUMBER)
    for ref in (line, fetion):
        life.add("ProductSuspended", ref, morning, productRef=ref, reason="ARREARS")
    _top_up(life, "2026-10-12 12:02", STILL_OFF_NUMBER, "50.00")
    posted = {"accountNo": account, "amount": _money("50.00", "CNY"), "channel": "APP"}
    life.add("TopUpPosted", "1", _at("2026-10-12 12:03"), topUpRef=f"{life.key}-T1", **posted)
    life.add("BalanceReported", "2", _at("2026-10-12 12:03"), accountNo=account, balance=_money("50.80", "CNY"))
    life.add("PaymentStatusReported", "paid", _at("2026-10-12 12:03"), accountNo=account, paymentStatus="IN_ORDER")
    life.add("NumberResumed", "1", noon, number=STILL_OFF_NUMBER)
    life.add("ProductResumed", "line", noon, productRef=line)


def _mainland_side(other_store: str) -> list[Event]:
    """The mainland's record of the customer with two numbers on one SIM: it leads, and a top-up is missing in it."""
    life, account = _life("D-STORY-B-CN", "CN-GD"), "6201380013"
    _two_regions(life, "陈家明", "深圳市福田区福华路 66 号", ("TRAVEL_PERMIT", "H0912345601"))
    _starts(life, "2022-06-18 15:05", MAINLAND_NUMBER, account, "12.00")
    has = {"name": "移动电话（一卡两号）", "kind": "LINE", "startDate": "2022-06-18"}
    life.add("ProductActivated", "line", _at("2022-06-18 15:06"), productRef=f"{life.key}-line", **has)
    _may_cross(life, "HK", other_store, leads=True)
    _lives(life, account)
    _top_up(life, "2026-10-26 19:20", MAINLAND_NUMBER, "100.00")
    _contact(life, 1, "2026-10-27 09:15", "HOTLINE", "短信已确认 100 元，余额未变。热线：号码归深圳。")
    _contact(life, 2, "2026-10-28 14:30", "SHOP", "深圳营业厅请客户联系香港。")
    _case(life, "2026-10-27 09:20", "complaint", "充值 100 元已确认，未入账。", {"owner": "desk-CN-GD"})
    return life.events


def _hong_kong_side(other_store: str) -> list[Event]:
    """Hong Kong's record of the same customer."""
    life, account = _life("D-STORY-B-HK", "HK"), "8529123456"
    _two_regions(life, "陈家明", "香港九龍油尖旺區彌敦道 688 號 12 樓", ("HONG_KONG_ID", "K123456(A)"))
    _starts(life, "2022-06-18 15:25", HONG_KONG_NUMBER, account, "86.50")
    has = {"name": "流動電話（一卡兩號）", "kind": "LINE", "startDate": "2022-06-18"}
    life.add("ProductActivated", "line", _at("2022-06-18 15:06"), productRef=f"{life.key}-line", **has)
    _may_cross(life, "CN", other_store, leads=False)
    _lives(life, account)
    _contact(life, 1, "2026-10-29 18:05", "HOTLINE", "香港熱線：內地號碼充值請聯絡內地。")
    return life.events


def between(events: Iterable[Event], after: datetime, until: datetime) -> list[Event]:
    """What happened after one instant, until another."""
    return [event for event in events if after < datetime.fromisoformat(str(event["at"])) <= until]


def goes_astray() -> list[Event]:
    """Where the money went: the other number of the SIM, on the other side, in its currency."""
    life = _life("D-STORY-B-HK", "HK")
    about = {"topUpRef": "D-STORY-B-CN-T1", "accountNo": "8529123456", "channel": "APP", "number": HONG_KONG_NUMBER}
    life.add("TopUpPosted", "1", _at("2026-10-26 19:25"), **about, amount=_money("108.50", "HKD"))
    return life.events


def comes_back() -> list[Event]:
    """What the desk does about the service that stayed off, forty minutes after the line was back."""
    life = _life("D-STORY-A", "CN-GD")
    life.add("ProductResumed", "fetion", _at("2026-10-12 12:45"), productRef=f"{life.key}-fetion")
    return life.events


def _life(key: str, region: str) -> Life:
    return Life(key, region, seeded(key))


def _at(text: str) -> datetime:
    """2026-10-12 08:05 in China's time."""
    return datetime.fromisoformat(text).replace(tzinfo=CHINA_TIME)


def _money(value: str, unit: str) -> dict[str, str]:
    return {"value": value, "unit": unit}


def _two_regions(life: Life, name: str, address: str, document: tuple[str, str]) -> None:
    life.add(
        "CustomerRegistered",
        "1",
        _at("2022-06-18 15:00"),
        customerKey=life.key,
        name=name,
        kind="INDIVIDUAL",
        birthDate="1985-02-14",
        gender="MALE",
        email="kaming.chan@example.com",
        address=address,
        tier="HIGH",
        documentType=document[0],
        documentNumber=document[1],
    )


def _starts(life: Life, at: str, number: str, account: str, balance: str) -> None:
    """A number on a SIM, a prepaid account and the consent to be served."""
    since, iccid = _at(at), ONE_SIM if "-B-" in life.key else OTHER_SIM
    life.add("NumberActivated", "1", since, number=number, simRef="sim-1", iccid=iccid)
    opened = {"accountNo": account, "ratingType": "PREPAID", "currency": life.currency}
    life.add("AccountOpened", "1", since, **opened)
    reported = _money(balance, life.currency)
    life.add("BalanceReported", "1", _at("2026-10-12 00:10"), accountNo=account, balance=reported)
    notice = {"notice": f"{life.country.lower()}.privacy.1", "collectionPoint": "shop"}
    life.add("ConsentGiven", "service", since, purpose="service", **notice)


def _may_cross(life: Life, destination: str, other_store: str, *, leads: bool) -> None:
    """The customer is known on the other side, and agreed that it may see this side's record to serve them."""
    at = _at("2022-06-18 15:10")
    consent = {"purpose": "service", "kind": "SEPARATE", "destination": destination, "collectionPoint": "shop"}
    life.add("ConsentGiven", "transfer", at, **consent, notice=f"{life.country.lower()}.privacy.1")
    life.add("CustomerLinked", "1", at, token=LINK, otherStore=other_store, leads=leads)


def _lives(life: Life, account: str) -> None:
    """What was used and billed in the last months."""
    offer = tariffs_of(life.country, "PREPAID")[-1]
    months = [month_before_end(back) for back in range(SHOWN_MONTHS - 1, -1, -1)]
    use(life, months, offer)
    bill(life, months[-3:], account, offer)


def _top_up(life: Life, at: str, number: str, value: str) -> None:
    """Asked for and confirmed by SMS: what the customer knows."""
    ref, amount = f"{life.key}-T1", _money(value, life.currency)
    life.add("TopUpRequested", "1", _at(at), topUpRef=ref, number=number, amount=amount, channel="APP")
    life.add("TopUpConfirmed", "1", _at(f"{at}:40"), topUpRef=ref)


def _contact(life: Life, n: int, at: str, channel: str, note: str) -> None:
    reason = "top-up not credited" if "-B-" in life.key else "messaging service off"
    said = {"channel": channel, "direction": "INBOUND", "reason": reason, "note": note}
    life.add("InteractionLogged", f"{n}", _at(at), interactionRef=f"{life.key}-I{n}", **said)


def _case(life: Life, at: str, kind: str, description: str, about: dict[str, str]) -> None:
    told = {"ticketType": kind, "severity": "high", "channel": "HOTLINE", "description": description}
    life.add("CaseOpened", "1", _at(at), caseRef=f"{life.key}-K1", **told, **about)
