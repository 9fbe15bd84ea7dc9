"""Notices on their way to customers: whether one may be told is decided when it is sent, by the ordinary read.

The number is read for the notice's purpose and channel as every answer is: what the customer agreed to and objected to
decides, and the read is in the audit trail. Then the policy of contacts: quiet hours, and for offers how often and
whether a complaint is open. One that may not be told is WITHHELD, with the reason, and not tried again. A crash between
the sending and its mark sends it once more, after LEASE, with the same id, by which the gateway knows it.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from cdp.app import front_door, gateway_of
from cdp.auth import SELF, Caller, Role
from cdp.care.notice_texts import MARKETING, notice_text
from cdp.caring import find_daily, find_news
from cdp.errors import GatewayUnavailable
from cdp.exchange import Answer, GraphqlRequest
from cdp.gateway import Gateway
from cdp.global_ids import GlobalId, row_id
from cdp.house import House
from cdp.stores import Store
from cdp.values import pause_after
from cdp.worker import Job
from privacy.keys import TokenSeal
from privacy.vocabulary import Withheld

AT_ONCE: Final = 100
LEASE: Final = timedelta(minutes=5)
LONGEST_PAUSE: Final = LEASE * 128
LONGEST: Final = timedelta(days=3)
SERVICE, OFFERS = "service.care", "marketing.sms"
NUMBER: Final = """
query($id: ID!) @purpose(id: "%s") {
  customer(id: $id) { holdings(first: 20) { number role state region } }
}
"""
CLAIM: Final = """
UPDATE care_notice AS n SET due_at = $1::timestamptz + $3::interval, tries = n.tries + 1
FROM (SELECT customer_id, notice_id FROM care_notice AS w WHERE state = 'WAITING' AND due_at <= $1
        AND NOT EXISTS (SELECT FROM honey AS h WHERE h.customer_id = w.customer_id)
      ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED) AS due
WHERE n.customer_id = due.customer_id AND n.notice_id = due.notice_id
RETURNING n.customer_id, n.notice_id, n.kind, n.region, n.told, n.made_at, n.tries
"""
MARK: Final = """
UPDATE care_notice SET state = $3, reason = $4, state_at = $5::timestamptz, due_at = coalesce($6::timestamptz, due_at)
WHERE customer_id = $1 AND notice_id = $2
"""
POLICY: Final = """
SELECT time_zone, quiet_from_hour, quiet_to_hour, marketing_a_year FROM contact_policy
WHERE jurisdiction IN ($1, '*') ORDER BY jurisdiction = '*' LIMIT 1
"""
# A person is asked for as a whole: whoever was merged heard of it too.
OFFERED: Final = """
SELECT (SELECT count(*) FROM care_notice AS n WHERE n.customer_id = ANY(p.ids) AND n.kind = ANY($2::text[])
        AND n.state = 'SENT' AND n.state_at > $3::timestamptz - interval '365 days'),
       EXISTS (SELECT FROM "case" AS k WHERE k.customer_id = ANY(p.ids) AND k.ticket_type = 'complaint'
               AND k.status NOT IN ('CLOSED', 'CANCELLED'))
FROM (SELECT coalesce(cluster, ARRAY[customer_id]) AS ids FROM customer WHERE customer_id = $1) AS p
"""

log = structlog.get_logger()


class Notice(NamedTuple):
    """One that is due."""

    customer_id: UUID
    notice_id: UUID
    kind: str
    region: str | None
    told: str
    made_at: datetime
    tries: int

    @property
    def offers(self) -> bool:
        """Whether it is told for marketing."""
        return self.kind in MARKETING


class Teller(NamedTuple):
    """What telling needs: how questions are answered, the seal of ids, and the way to customers."""

    answer: Callable[[GraphqlRequest, Caller], Any]
    tokens: TokenSeal
    gateway: Gateway

    async def tell(self, store: Store, now: datetime) -> int:
        """Sends what is due in a store; how many were sent."""
        sent = 0
        async with store.transaction() as connection:
            policy = await connection.fetchrow(POLICY, store.jurisdiction)
            if quiet(policy, now):
                return 0
            due = [Notice(*row) for row in await connection.fetch(CLAIM, now, AT_ONCE, LEASE)]
        for notice in due:
            state, reason, at = await self._told(store, notice, policy, now)
            sent += state == "SENT"
            async with store.transaction() as connection:
                await connection.execute(MARK, notice.customer_id, notice.notice_id, state, reason, now, at)
        return sent

    async def _told(
        self, store: Store, notice: Notice, policy: Mapping[str, Any], now: datetime
    ) -> tuple[str, str | None, datetime | None]:
        """What became of it: its state, why, and when it is due again."""
        reason = await self._refused(store, notice, policy, now) if notice.offers else None
        if reason is not None:
            return "WITHHELD", reason, None
        number, reason = await self._number(store, notice)
        if number is None:
            return "WITHHELD", reason, None
        said = notice_text(notice.kind, notice.told, notice.region)
        try:
            await self.gateway.send(number, f"{said['zh']}\n{said['en']}", notice.notice_id.hex)
        except GatewayUnavailable as failed:
            log.warning("notice not sent", kind=notice.kind, store=store.name, code=failed.code, attempt=notice.tries)
            over = now - notice.made_at > LONGEST
            return "FAILED" if over else "WAITING", failed.code, now + pause(notice.tries)
        return "SENT", None, None

    async def _refused(self, store: Store, notice: Notice, policy: Mapping[str, Any], now: datetime) -> str | None:
        """Why an offer is not made, by the policy of contacts."""
        async with store.read() as connection:
            row = await connection.fetchrow(OFFERED, notice.customer_id, list(MARKETING), now)
        if row is None or row[0] >= policy["marketing_a_year"]:
            return "CONTACTS_A_YEAR"
        return "OPEN_COMPLAINT" if row[1] else None

    async def _number(self, store: Store, notice: Notice) -> tuple[str | None, str | None]:
        """The number to tell it to, or the word for why there is none."""
        purpose = OFFERS if notice.offers else SERVICE
        caller = Caller(
            "cdp-care", purposes=frozenset({purpose}), stores=(store.name,), role=Role.CHANNEL, channel="sms"
        )
        found = GlobalId("Customer", store.name, notice.customer_id, notice.customer_id)
        asked = GraphqlRequest(NUMBER % purpose, variables={"id": row_id(self.tokens, SELF, found)})
        answer: Answer = await self.answer(asked, caller)
        told = json.loads(answer.body)
        holdings = (told["data"]["customer"] or {}).get("holdings") or []
        usable = [
            one for one in holdings if one["state"] == "ACTIVE" and one["role"] in (None, "USER", "REGISTERED_HOLDER")
        ]
        usable.sort(key=lambda one: (one["region"] != notice.region, one["role"] != "USER"))
        number = next((one["number"] for one in usable if one["number"] is not None), None)
        # That another store was not asked is no reason: they are told by the store that found it.
        codes = {one["code"] for one in told["extensions"]["privacy"]["withheld"]} - {Withheld.REGION_UNAVAILABLE}
        return number, None if number else min(codes, default="NO_NUMBER")


def pause(tries: int) -> timedelta:
    """How long a gateway that did not take a notice is left alone."""
    return timedelta(seconds=pause_after(tries, LEASE.total_seconds(), LONGEST_PAUSE.total_seconds()))


def care_jobs(house: House) -> tuple[Job, ...]:
    """What customers are told before they ask: found, and sent as far as they may be told."""
    teller = Teller(front_door(house).answer, house.tokens, gateway_of(house.settings))

    async def find(store: Store) -> None:
        await find_news(store, datetime.now(UTC))

    async def look(store: Store) -> None:
        await find_daily(store, datetime.now(UTC))

    async def tell(store: Store) -> None:
        await teller.tell(store, datetime.now(UTC))

    return (Job("care", 5, find), Job("care by the day", 24 * 3600, look), Job("telling", 5, tell))


def quiet(policy: Mapping[str, Any], now: datetime) -> bool:
    """Whether nobody is disturbed now."""
    hour = now.astimezone(ZoneInfo(policy["time_zone"])).hour
    begin, end = int(policy["quiet_from_hour"]), int(policy["quiet_to_hour"])
    return begin <= hour or hour < end if begin > end else begin <= hour < end
