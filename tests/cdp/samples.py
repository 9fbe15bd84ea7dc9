"""One example of every event, about one customer, in an order in which all of them are accepted."""

from datetime import datetime
from typing import Any, Final

from cdp.values import customer_id_of, row_id

KEY: Final = {"customerKey": "C-1001"}
_AT: Final = "2026-03-{:02}T09:30:00+08:00"


def event(name: str, day: int, subject: dict[str, Any] | None = None, /, **fields: Any) -> dict[str, Any]:
    """An event of March 2026 in Guangdong."""
    return {
        "type": name,
        "eventId": f"sample-{name}",
        "at": _AT.format(day),
        "region": "CN-GD",
        "subject": subject or KEY,
    } | fields


_CUSTOMER: Final = customer_id_of("cdp", "cn", "sample-CustomerRegistered", datetime.fromisoformat(_AT.format(1)))
"""The id that the customer of the examples has in a store that is called so."""


_CASE: Final = str(row_id(_CUSTOMER, "case", "K-1"))


def _money(value: str) -> dict[str, str]:
    return {"value": value, "unit": "CNY"}


_EVENTS: Final = (
    event(
        "CustomerRegistered",
        1,
        name="陈美玲",
        kind="INDIVIDUAL",
        birthDate="1988-05-17",
        gender="FEMALE",
        email="meiling.chen@example.cn",
        address="广州市天河区体育西路 1 号",
        tier="HIGH",
        documentType="NATIONAL_ID",
        documentNumber="440106198805170029",
    ),
    event("CustomerIdentified", 2, email="meiling.chen@example.cn"),
    event("CustomerStatusChanged", 2, status="ACTIVE"),
    event("CustomerTierChanged", 2, tier="MIDDLE"),
    event("NumberActivated", 2, number="138 0013 8000", simRef="S-1", iccid="89860012345678901234"),
    event("NumberSuspended", 3, number="13800138000"),
    event("NumberResumed", 4, number="13800138000"),
    event("SimSwapped", 4, number="13800138000", simRef="S-2", iccid="89860012345678901235"),
    event("NumberPortedIn", 4, number="13900139000", fromOperator="China Unicom", servingOperator="China Mobile"),
    event("NumberPaired", 5, number="13900139000", simRef="S-2"),
    event("NumberPortedOut", 6, number="13900139000", toOperator="China Telecom"),
    event("NumberReassigned", 6, number="13700137001", role="PAYER"),
    event("CustomersMerged", 6, other={"customerKey": "C-2002"}, reason="same document"),
    event("CustomersParted", 7, other={"customerKey": "C-2002"}),
    event("CustomerLinked", 5, token="0123456789abcdef0123456789abcdef", otherStore="hk", leads=True),
    event("CustomerUnlinked", 6, token="0123456789abcdef0123456789abcdef"),
    event("ConsentRequested", 7, purpose="marketing.sms", channel="sms"),
    event("ConsentGiven", 8, {"number": "+8613800138000"}, purpose="marketing.sms", channel="sms", notice="n-1"),
    event("ConsentRefused", 8, purpose="marketing.call", channel="call"),
    event("ConsentWithdrawn", 9, purpose="marketing.sms", channel="sms"),
    event("ConsentRenewed", 10, purpose="insight.profiling", expiresAt="2027-03-10T00:00:00Z"),
    event("ConsentInvalidated", 11, purpose="insight.profiling", evidenceHash="ab" * 32),
    event("ConsentConfirmed", 12, purpose="partner.share", recipient="BANK", destination="HK", kind="SEPARATE"),
    event("ObjectionRaised", 13, kind="DIRECT_MARKETING"),
    event("ObjectionLifted", 14, kind="DIRECT_MARKETING"),
    event(
        "UsageRecorded",
        15,
        {"number": "13800138000"},
        usageType="VOICE",
        quantity="2.5",
        units="minutes",
        counterparty="+85291234567",
    ),
    event(
        "UsageRerated",
        16,
        {"number": "13800138000"},
        record="sample-UsageRecorded",
        recordedAt=_AT.format(15),
        usageType="VOICE",
        quantity="150",
        units="seconds",
    ),
    event(
        "BucketReported",
        15,
        bucketRef="B-1",
        usageType="DATA",
        remaining="512",
        units="megabytes",
        number="13700137001",
        isShared=True,
        validFrom="2026-03-01T00:00:00Z",
        validTo="2026-04-01T00:00:00Z",
    ),
    event("UsageSummarized", 31, month="2026-02", voiceSeconds=7200, smsCount=12, dataBytes=3 << 30),
    event("AccountOpened", 15, accountNo="A-77", ratingType="PREPAID", currency="CNY", creditLimit=_money("100")),
    event("BalanceReported", 16, {"accountNo": "A-77"}, accountNo="A-77", balance=_money("55.20")),
    event("PaymentStatusReported", 17, accountNo="A-77", paymentStatus="OVERDUE"),
    event("ProductActivated", 17, productRef="P-1", name="Mobile 4G", kind="LINE", startDate="2026-03-17"),
    event("ProductSuspended", 18, productRef="P-1", reason="ARREARS"),
    event("ProductResumed", 19, productRef="P-1"),
    event("ProductTerminated", 20, productRef="P-1"),
    event(
        "BillIssued",
        21,
        billNo="B-202602",
        accountNo="A-77",
        billDate="2026-03-21",
        periodStart="2026-02-01",
        periodEnd="2026-02-28",
        amountDue=_money("88.00"),
        lines=[
            {"kind": "FEE", "description": "Monthly fee", "amount": _money("90.00")},
            {"kind": "DISCOUNT", "description": "Loyalty", "amount": _money("-2.00")},
        ],
    ),
    event(
        "BillCorrected",
        22,
        billNo="B-202602",
        amountDue=_money("88.00"),
        lines=[{"kind": "FEE", "description": "Monthly fee", "amount": _money("88.00")}],
    ),
    event("PaymentReceived", 22, paymentRef="R-1", billNo="B-202602", amount=_money("88"), method="CARD"),
    event("TopUpRequested", 23, topUpRef="T-1", number="13800138000", amount=_money("50"), channel="APP"),
    event("TopUpConfirmed", 23, topUpRef="T-1"),
    event(
        "TopUpPosted", 24, topUpRef="T-1", accountNo="A-77", amount=_money("50"), channel="APP", number="13800138000"
    ),
    event("TopUpReversed", 25, topUpRef="T-1", accountNo="A-77", amount=_money("50"), channel="APP"),
    event("LedgerPosted", 25, accountNo="A-77", kind="CHARGE", amount=_money("-88.00")),
    event(
        "ExchangePosted",
        25,
        accountNo="A-77",
        sold={"value": "100.00", "unit": "HKD"},
        bought=_money("91.23"),
        rate="0.91225",
    ),
    event("TopUpFailed", 24, topUpRef="T-2"),
    event(
        "LedgerCorrected",
        25,
        correction="c-1",
        approvedBy="desk 9",
        movements=[
            {
                "topUpId": str(row_id(_CUSTOMER, "topUp", "T-1")),
                "accountId": str(row_id(_CUSTOMER, "account", "A77")),
                "amount": _money("50"),
                "against": "CLEARING/APP/CN-GD",
            }
        ],
    ),
    event(
        "InteractionLogged",
        25,
        interactionRef="I-1",
        channel="HOTLINE",
        direction="INBOUND",
        reason="top-up",
        note="充值 50 元没有到账\nwants a call back",
    ),
    event(
        "CaseOpened",
        25,
        caseRef="K-1",
        ticketType="fault",
        severity="high",
        channel="HOTLINE",
        description="no SMS",
        owner="desk-CN-GD",
    ),
    event("CaseStatusChanged", 26, caseRef="K-1", status="ACCEPTED"),
    event("CaseOffered", 26, caseId=_CASE, desk="desk-CN-GD", to="desk-CN-GD-service", note="转给业务部门"),
    event("CaseAccepted", 26, caseId=_CASE, desk="desk-CN-GD-service"),
    event("CaseDiagnosed", 26, caseId=_CASE, desk="desk-CN-GD-service", note="resume was not passed on"),
    event("CaseResolved", 26, caseId=_CASE, desk="desk-CN-GD-service"),
    event("CaseCustomerTold", 26, caseId=_CASE, desk="desk-hotline"),
    event("CaseCustomerConfirmed", 26, caseId=_CASE, desk="desk-hotline"),
    event("CaseClosed", 26, caseId=_CASE, desk="desk-CN-GD-service", rootCause="RESUME_NOT_PROPAGATED"),
    event("PrivacyRequestOpened", 27, requestRef="D-1", kind="ACCESS"),
    event("PrivacyRequestAdvanced", 27, requestId=str(row_id(_CUSTOMER, "privacyRequest", "D-1")), state="VERIFIED"),
    event("NumberReleased", 28, number="13800138000"),
    event("NumberQuarantined", 29, number="13800138000"),
)

OTHER: Final = event(
    "CustomerRegistered", 5, {"customerKey": "C-2002"}, name="陈 美玲", kind="INDIVIDUAL", eventId="sample-other"
)
"""Another customer, whom one of the examples mentions: to be there before."""

SAMPLES: Final[dict[str, dict[str, Any]]] = {sample["type"]: sample for sample in _EVENTS}
"""Event type -> an example, in an order in which all are accepted."""
