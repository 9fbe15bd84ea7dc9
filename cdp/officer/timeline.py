"""Everything one record says of consent and objection, in the order in which it was said; and the receipt of a word."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from cdp.admission import OpenStore
from cdp.consent.policy_rows import read_past_notice
from cdp.officer.dossier import Moment, policy_now
from cdp.proofs import evidence_of
from cdp.rendering import instant_text
from privacy.receipts import SCHEMA, signed
from privacy.rows import Notice
from privacy.rulebook import Policy
from privacy.vocabulary import NOWHERE, SELF, Sensitivity, covers

COLUMNS: Final = (
    "source", "customer_id", "row_id", "type", "kind", "actor", "purpose", "category", "channel", "recipient",
    "destination", "notice", "collection_point", "evidence_hash", "expires_at", "number_only", "happened_at",
    "recorded_at",
)  # fmt: skip
SAID: Final = """
SELECT 'CONSENT', customer_id, consent_event_id, type, kind, actor, purpose, category, channel, recipient, destination,
    notice, collection_point, encode(evidence_hash, 'hex'), expires_at, holding_id IS NOT NULL, happened_at, recorded_at
FROM consent_event WHERE customer_id = ANY($1::uuid[])
"""
OBJECTED: Final = """
SELECT 'OBJECTION', customer_id, objection_id, CASE WHEN raised THEN 'RAISED' ELSE 'LIFTED' END, kind, NULL, scope, '*',
    '*', NULL, NULL, NULL, NULL, NULL, NULL, false, happened_at, recorded_at
FROM objection WHERE customer_id = ANY($1::uuid[])
"""
TIMELINE: Final = f"""
SELECT * FROM ({SAID} UNION ALL {OBJECTED}) AS said ({", ".join(COLUMNS)})
WHERE happened_at <= $2 AND ($3::timestamptz IS NULL OR recorded_at <= $3)
ORDER BY happened_at DESC, recorded_at DESC, row_id LIMIT $4
"""  # noqa: S608 -- the texts are our own
ONE: Final = f"""
SELECT * FROM ({SAID}) AS said ({", ".join(COLUMNS)}) WHERE row_id = $2
"""  # noqa: S608 -- the texts are our own

Said = Mapping[str, Any]


async def timeline_of(at: OpenStore, customers: Sequence[UUID], moment: Moment, most: int) -> list[Said]:
    """What some records say, newest first, at most `most` words."""
    async with at.store.read() as connection:
        rows = await connection.fetch(TIMELINE, list(customers), moment.as_of, moment.known_at, most)
    return [dict(row) for row in rows]


async def receipt_of(at: OpenStore, customer_id: UUID, event_id: UUID, operator: str) -> dict[str, Any] | None:
    """The signed receipt of one consent event, with the proof that the log has it, once it has; None where there is no
    such event.

    `operator` is the legal entity that asked. Raises KeyUnavailable where the process does not hold the log key.
    """
    policy = await policy_now(at)
    async with at.store.read() as connection:
        said = await connection.fetchrow(ONE, [customer_id], event_id)
        if said is None:
            return None
        evidence = await evidence_of(connection, event_id)
        notice = policy.notices.get(said["notice"])
        if notice is None and said["notice"] is not None:
            notice = await read_past_notice(connection, said["notice"])
    principal = at.book.trail.names.pseudonym(customer_id, said["happened_at"].year)
    receipt = _receipt(said, notice, policy, at.store.jurisdiction, (principal, operator))
    return signed(receipt, at.ring.signer, evidence)


def _receipt(said: Said, notice: Notice | None, policy: Policy, here: str, parties: tuple[str, str]) -> dict[str, Any]:
    principal, operator = parties
    record_id = str(said["row_id"])
    recipient = operator if said["recipient"] == SELF else said["recipient"]
    processing = {
        "privacy_notice": _given(id=said["notice"], version=notice and notice.version, sha256=notice and notice.sha256),
        "language": notice and notice.language,
        "purposes": [_given(**_purpose(said, policy, here, operator))],
    }
    others = [] if recipient == operator else [{"party_id": recipient, "party_role": "recipient"}]
    return {
        "schema_version": SCHEMA,
        "receipt_id": record_id,
        "record": {
            "schema_version": SCHEMA,
            "record_id": record_id,
            "pii_principal_id": principal,
            "pii_processing": _given(**processing),
            "party_identification": [{"party_id": operator, "party_role": "pii_controller"}, *others],
            "event": [_given(**_event(said, principal))],
        },
    }


def _purpose(said: Said, policy: Policy, here: str, operator: str) -> dict[str, Any]:
    purpose = policy.purposes.get(said["purpose"])
    away = said["destination"] != NOWHERE
    return {
        "purpose": said["purpose"],
        "purpose_description": purpose and purpose.description,
        "lawful_basis": "CONSENT",
        "pii_information": [
            {
                "pii_type": category,
                "sensitive_pii_category": policy.sensitivities.get((category, here)) not in (None, Sensitivity.GENERAL),
            }
            for category in sorted(policy.categories)
            if covers(said["category"], category)
        ],
        "pii_controllers": [operator],
        "collection_method": said["collection_point"],
        "processing_method": said["channel"],
        "storage_locations": [here],
        "processing_locations": [here, said["destination"]] if away else [here],
        "jurisdiction": here,
        "recipient_third_parties": [] if said["recipient"] == SELF else [said["recipient"]],
        "withdrawal_method": "withdrawConsent",
    }


def _event(said: Said, principal: str) -> dict[str, Any]:
    return {
        "event_time": instant_text(said["happened_at"]),
        "recorded_time": instant_text(said["recorded_at"]),
        "valid_until": None if said["expires_at"] is None else instant_text(said["expires_at"]),
        "entity_id": principal,
        "event_type": said["kind"],
        "event_state": said["type"],
        "actor": said["actor"],
        "evidence_hash": said["evidence_hash"],
    }


def _given(**values: Any) -> dict[str, Any]:
    """What is known of these."""
    return {name: value for name, value in values.items() if value is not None}
