"""What a customer agreed and objected to, as it is asked for."""

import strawberry

from cdp.consent.tables import consent_event, objection
from privacy.vocabulary import Actor, ConsentKind, ConsentType, ObjectionKind
from schema.fields import CONTACT, column, personal, record, token
from schema.words import Instant

GIVEN = personal("consent.record", purposes=CONTACT)

strawberry.enum(ObjectionKind, description="What a customer objects to.")
strawberry.enum(Actor, description="Who spoke for the customer.")


@record(consent_event, consent_event.c.consent_event_id)
class Consent:
    """One thing a customer said about the use of their data; the latest that covers a use decides."""

    id: strawberry.ID = token("Its opaque id; its receipt is asked for by it.")
    purpose: str | None = column(consent_event.c.purpose, GIVEN, "What the data may be used for.")
    category: str | None = column(consent_event.c.category, GIVEN, "Which data, `*` for all.")
    channel: str | None = column(consent_event.c.channel, GIVEN, "Through which channel, `*` for all.")
    recipient: str | None = column(consent_event.c.recipient, GIVEN, "By whom: `SELF`, or a legal entity.")
    destination: str | None = column(consent_event.c.destination, GIVEN, "Into which jurisdiction, `NONE` for none.")
    type: ConsentType | None = column(consent_event.c.type, GIVEN, "What was said.")
    kind: ConsentKind | None = column(consent_event.c.kind, GIVEN, "How it was expressed.")
    actor: Actor | None = column(consent_event.c.actor, GIVEN, "Who spoke.")
    notice: str | None = column(consent_event.c.notice, GIVEN, "The text the customer was shown.")
    happened_at: Instant | None = column(consent_event.c.happened_at, GIVEN, "When it was said.")
    recorded_at: Instant | None = column(consent_event.c.recorded_at, GIVEN, "When it was known here.")
    expires_at: Instant | None = column(consent_event.c.expires_at, GIVEN, "Until when it holds.")


@record(objection, objection.c.objection_id)
class Objection:
    """An objection raised or lifted; while it stands it beats every consent."""

    kind: ObjectionKind | None = column(objection.c.kind, GIVEN, "What is objected to.")
    scope: str | None = column(objection.c.scope, GIVEN, "The purposes it is about, `*` for all.")
    raised: bool | None = column(objection.c.raised, GIVEN, "Raised, or lifted.")
    happened_at: Instant | None = column(objection.c.happened_at, GIVEN, "When it was said.")
