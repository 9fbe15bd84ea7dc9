"""What officers ask is what was decided: explained, previewed, logged and made again, and shown to nobody else."""

import asyncio
import json
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cdp.app import writer_of
from cdp.asked import short_name
from cdp.auth import Caller, Role
from cdp.consent.policy_rows import load_policy, starter_rows
from cdp.errors import AuthError, RequestInvalid
from cdp.identity.tables import NUMBER_INDEX
from cdp.ingest import Status, ingest
from cdp.officer.dossier import dossier_of
from cdp.officer.entries import CATEGORY_OF, Line, Replay, lines_of, policy_of
from cdp.sequencer import extend_tree
from cdp.words import log_words
from privacy.errors import ProofRefused, SignatureBroken
from privacy.receipts import verify
from privacy.rulebook import Policy
from privacy.vocabulary import CATEGORIES, RecipientClass
from tests.cdp.house import fingerprint
from tests.schema.people import NUMBERS
from tests.schema.test_merging import ORDER, STEWARD, pair
from tests.schema.test_reference import ANY_NODE, EVERYTHING
from tests.schema.world import CARE, PARTNER, World

pytestmark = pytest.mark.asyncio(loop_scope="session")
OFFICER = CARE._replace(client="privacy-desk", role=Role.OFFICER, actor="officer 1")
ACME = PARTNER._replace(client="acme-desk", partner=False)
PURPOSES = ("service.care", "insight.profiling", "marketing.sms", "partner.share", "legal.audit")
FIELDS = ("formattedName", "birthDate", "gender", "email", "address", "tier")
DECISION = """query($who: SubjectInput!, $field: String!, $purpose: String!, $recipient: String! = "SELF",
  $asOf: DateTime, $knownAt: DateTime, $destination: String, $class: RecipientClass) @purpose(id: "legal.audit") {
  consentDecision(customer: $who, field: $field, purpose: $purpose, recipient: $recipient, asOf: $asOf,
    knownAt: $knownAt, destination: $destination, recipientClass: $class) {
    effect rule law code kind notice style category jurisdiction destination policyVersion asOf knownAt
    decidedBy { id source type purpose happenedAt recordedAt } } }"""
TIMELINE = """query($who: SubjectInput!, $asOf: DateTime, $knownAt: DateTime, $first: Int! = 100, $skip: Int! = 0)
  @purpose(id: "legal.audit") { consentTimeline(customer: $who, asOf: $asOf, knownAt: $knownAt, first: $first,
    skip: $skip) { id source type kind actor purpose category channel recipient destination notice collectionPoint
    evidenceHash expiresAt numberOnly happenedAt recordedAt } }"""
PREVIEW = """query($who: SubjectInput!, $purpose: String!, $asOf: DateTime, $knownAt: DateTime)
  @purpose(id: "legal.audit") { withdrawalPreview(customer: $who, purpose: $purpose, asOf: $asOf, knownAt: $knownAt) {
    partners stops { purpose recipient destination categories fields } } }"""
LOG = """query($who: SubjectInput!, $from: DateTime!, $to: DateTime, $first: Int! = 200, $after: ID)
  @purpose(id: "legal.audit") { accessLog(customer: $who, from: $from, to: $to, first: $first, after: $after) {
    next entries { auditId at client actor role channel recipient purpose operation document jurisdiction destination
    policyVersion categories { category effect rule code decidedBy { id source type } } } } }"""
PROCESSING = """{ recordsOfProcessing { jurisdiction policyVersion
  activities { purpose description recipient bases consent categories rule law }
  transfers { id destination kind categories onward ref cap customers expiresAt } } }"""
RECEIPT = 'query($id: ID!) @purpose(id: "service.care") { consentReceipt(id: $id) }'
LISTED = """query @purpose(id: "service.care") { customers(where: { region: "CN-GD", kind: INDIVIDUAL }, first: 100) {
  edges { node { formattedName usageMonths { voiceMinutes } } } } }"""
GIVE = """mutation($input: ConsentInput!) @purpose(id: "service.care") {
  giveConsent(input: $input) { outcome { status } } }"""
WITHDRAW = """mutation($input: ConsentInput!) @purpose(id: "service.care") {
  withdrawConsent(input: $input) { outcome { status } customer { id } } }"""
NOW = datetime.now(UTC)
QUESTIONS = {
    DECISION: {"field": "Customer.email", "purpose": "service.care"},
    TIMELINE: {},
    PREVIEW: {"purpose": "insight"},
    LOG: {"from": "2025-01-01T00:00:00Z", "to": "2025-01-02T00:00:00Z"},
}


def who(name: str) -> dict[str, Any]:
    return {"who": {"number": NUMBERS[name]}}


async def answer(world: World, source: str, caller: Caller = OFFICER, /, **variables: Any) -> dict[str, Any]:
    return dict(json.loads(await world.ask(source, caller, variables)))


async def told(world: World, source: str, /, **variables: Any) -> Any:
    """The value of the only root."""
    [value] = (await answer(world, source, **variables))["data"].values()
    return value


async def entries(world: World, store: str) -> list[dict[str, Any]]:
    async with world.house.stores[store].read() as connection:
        return [json.loads(row[0]) for row in await connection.fetch("SELECT entry FROM audit_entry ORDER BY entry_id")]


# --- a decision, explained --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("caller", [CARE, ACME], ids=["own", "acme"])
@pytest.mark.parametrize("purpose", PURPOSES)
async def test_a_decision_is_what_a_read_does(world: World, purpose: str, caller: Caller) -> None:
    """Of one store, for who is in several: what another store says is decided there."""
    asked = {field: f"Customer.{field}" for field in (*FIELDS, "usageMonths", "bills")}
    fields = " ".join(FIELDS) + " usageMonths { voiceMinutes } bills { billNo }"
    source = f'query($n: String!) @purpose(id: "{purpose}") {{ customer(number: $n) {{ {fields} }} }}'
    for name in NUMBERS.keys() - {"many-2"}:
        store = "cn" if NUMBERS[name].startswith("+86") else "hk"
        read = await answer(world, source, caller._replace(stores=(store,)), n=NUMBERS[name])
        privacy = read["extensions"]["privacy"]
        for place, field in asked.items():
            about = {**who(name), "field": field, "purpose": purpose, "recipient": caller.legal_entity}
            found = await told(world, DECISION, **about)
            if read["data"]["customer"] is None:
                assert found is None
                continue
            here = ["customer", place]
            withheld = [
                (one["code"], one.get("kind"), one.get("notice"))
                for one in privacy["withheld"]
                if one["path"] == here and one["code"] != "REGION_UNAVAILABLE"
            ]
            masked = {("MASK", one["style"]) for one in privacy["masked"] if one["path"][:2] == here}
            assert (found["effect"] == "DENY") == bool(withheld), (name, field, found, withheld)
            assert not withheld or (found["code"], found["kind"], found["notice"]) in withheld
            assert masked <= {(found["effect"], found["style"])}


async def test_a_decision_names_its_rule_its_law_and_what_was_said(world: World) -> None:
    said = {one["id"]: one for one in await told(world, TIMELINE, **who("denied"))}
    asked = {**who("denied"), "field": "Customer.email", "purpose": "marketing.sms"}
    found = await told(world, DECISION, **asked)
    assert (found["effect"], found["rule"], found["code"]) == ("DENY", "objection.direct_marketing", "OBJECTION")
    [word] = found["decidedBy"]
    assert (word["source"], word["type"]) == ("OBJECTION", "DIRECT_MARKETING")
    assert said[word["id"]]["type"] == "RAISED"

    before = await told(world, DECISION, **asked, asOf="2025-01-05T12:00:00Z")
    assert (before["effect"], before["rule"], before["law"][:11]) == ("ALLOW", "cn.marketing", "Advertising")
    [word] = before["decidedBy"]
    assert (word["type"], word["purpose"], said[word["id"]]["kind"]) == ("GIVEN", "marketing", "GENERAL")
    asked["who"] = {"customerKey": "denied"}
    assert (await told(world, DECISION, **asked, asOf="2025-01-01T00:00:00Z"))["code"] == "CONSENT_REQUIRED"
    # All of it was recorded when the world was made: before, nothing was known.
    unknown = await told(world, DECISION, **asked, knownAt="2025-06-01T00:00:00Z")
    assert (unknown["code"], unknown["decidedBy"]) == ("CONSENT_REQUIRED", [])

    refused = await told(world, DECISION, **who("denied"), field="Customer.usage", purpose="service.care")
    assert (refused["effect"], refused["decidedBy"]) == ("ALLOW", []), "a contract needs nobody's word"
    undeclared = await told(world, DECISION, **who("many"), field="Customer.address", purpose="marketing.sms")
    assert (undeclared["rule"], undeclared["code"], undeclared["law"]) == ("plan", "PURPOSE_NOT_DECLARED", None)


async def test_a_border_and_a_guardian_are_explained(world: World) -> None:
    away = {"field": "Customer.email", "purpose": "service.care", "destination": "HK"}
    crossing = await told(world, DECISION, **who("b-cn"), **away)
    assert (crossing["effect"], len(crossing["decidedBy"]), crossing["destination"]) == ("ALLOW", 1, "HK")
    staying = await told(world, DECISION, **who("many"), **away)
    assert (staying["effect"], staying["rule"], staying["code"]) == ("DENY", "cn.cross_border", "CROSS_BORDER")
    minor = await told(world, DECISION, **who("minor"), field="Customer.gender", purpose="insight.profiling")
    assert minor["effect"] == "ALLOW"
    assert len(minor["decidedBy"]) == 2, "the child's word and the guardian's"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"field": "Customer.shoeSize"}, "FIELD_UNKNOWN"),
        ({"field": "Money.value"}, "FIELD_UNKNOWN"),
        ({"field": "Customer.id"}, "FIELD_UNKNOWN"),
        ({"purpose": "service"}, "PURPOSE_UNKNOWN"),
        ({"purpose": "tea"}, "PURPOSE_UNKNOWN"),
        ({"destination": "Hong Kong"}, "DESTINATION_INVALID"),
        ({"destination": "A1"}, "DESTINATION_INVALID"),
        ({"class": "THIRD_PARTY"}, "RECIPIENT_INVALID"),
        ({"recipient": "self", "class": "THIRD_PARTY"}, "RECIPIENT_INVALID"),
        ({"recipient": "ACME", "class": "SELF"}, "RECIPIENT_INVALID"),
        ({"recipient": ""}, "RECIPIENT_INVALID"),
    ],
)
async def test_what_cannot_be_decided_is_refused(world: World, wrong: dict[str, str], code: str) -> None:
    asked = {"field": "Customer.email", "purpose": "service.care"} | wrong
    with pytest.raises(RequestInvalid) as refused:
        await told(world, DECISION, **who("many"), **asked)
    assert refused.value.code == code


# --- who may ask ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [*QUESTIONS, PROCESSING])
@pytest.mark.parametrize("caller", [CARE, STEWARD, ACME, PARTNER], ids=["desk", "steward", "acme", "partner"])
async def test_only_officers_ask(world: World, source: str, caller: Caller) -> None:
    before = [await entries(world, store) for store in ("cn", "hk")]
    variables = {} if source == PROCESSING else {**who("many"), **QUESTIONS[source]}
    with pytest.raises(AuthError) as refused:
        await answer(world, source, caller, **variables)
    assert (refused.value.status, refused.value.code) == (403, "FORBIDDEN")
    assert [await entries(world, store) for store in ("cn", "hk")] == before
    await world.front.refused(caller, refused.value.code)
    assert (await entries(world, "cn"))[-1]["refused"] == "FORBIDDEN"


@pytest.mark.parametrize("source", QUESTIONS)
async def test_a_question_is_a_read_and_audited_like_one(world: World, source: str) -> None:
    read = await answer(world, source, **who("many"), **QUESTIONS[source])
    [entry] = [one for one in await entries(world, "cn") if one["id"] == read["extensions"]["privacy"]["auditId"]]
    part = (await lines_about(world, "many", entry["id"]))[0]
    assert (entry["role"], entry["purpose"], part.line["consents"]) == ("officer", "legal.audit", 0)
    assert [category for category, _ in part.categories()] == ["consent.record"]
    text = json.dumps(entry)
    assert NUMBERS["many"] not in text
    assert "何" not in text


@pytest.mark.parametrize("source", QUESTIONS)
async def test_what_an_officer_may_not_read_is_withheld_as_a_whole(world: World, source: str) -> None:
    undeclared = await answer(world, source.replace("legal.audit", "insight.churn"), **who("many"), **QUESTIONS[source])
    [root] = undeclared["data"]
    assert undeclared["data"][root] is None
    assert undeclared["extensions"]["privacy"]["withheld"] == [{"path": [root], "code": "PURPOSE_NOT_DECLARED"}]
    unknown = await answer(world, source, who={"number": "+8613999999999"}, **QUESTIONS[source])
    assert list(unknown["data"].values()) == [None]
    erased = await answer(world, source, **who("erased"), **QUESTIONS[source])
    assert list(erased["data"].values()) == [None]


async def test_a_legal_duty_ends_at_the_border(world: World) -> None:
    """What was said in the other store is asked for there."""
    found = await answer(world, TIMELINE, **who("b-hk"))
    assert found["extensions"]["privacy"]["withheld"] == [{"path": ["consentTimeline"], "code": "CROSS_BORDER"}]
    assert {one["destination"] for one in found["data"]["consentTimeline"]} == {"NONE", "CN"}


# --- what was said ----------------------------------------------------------------------------------------------------


async def test_a_timeline_has_all_that_was_said_and_when(world: World) -> None:
    every = await told(world, TIMELINE, **who("many"))
    instants = [(one["happenedAt"], one["recordedAt"]) for one in every]
    assert instants == sorted(instants, reverse=True)
    assert len({one["id"] for one in every}) == len(every) > 4
    assert await told(world, TIMELINE, **who("many"), first=2, skip=1) == every[1:3]
    assert await told(world, TIMELINE, **who("many"), asOf="2025-01-01T00:00:00Z") is None, "nobody had the number yet"
    assert await told(world, TIMELINE, who={"customerKey": "many"}, asOf="2025-01-01T00:00:00Z") == []
    assert await told(world, TIMELINE, **who("many"), knownAt="2025-06-01T00:00:00Z") == []
    twice = await told(world, TIMELINE, **who("twice-1"))
    assert {"OBJECTION", "CONSENT"} == {one["source"] for one in twice}
    assert len(twice) > len({one["happenedAt"] for one in twice}) / 2, "of all records of the person"
    for wrong in ({"first": 501}, {"first": -1}, {"skip": -1}):
        with pytest.raises(RequestInvalid, match="expected a number"):
            await told(world, TIMELINE, **who("many"), **wrong)


# --- what would stop --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "purpose"),
    [("b-cn", "service"), ("b-cn", "insight"), ("many", "partner"), ("many", "marketing"), ("twice-2", "partner")],
)
async def test_a_preview_is_what_a_withdrawal_does_and_writes_nothing(
    fresh_world: World, name: str, purpose: str
) -> None:
    at = fresh_world.front.query.stores["cn"]
    before = await fingerprint(fresh_world.house)
    preview = await told(fresh_world, PREVIEW, **who(name), purpose=purpose)
    assert await fingerprint(fresh_world.house) == before
    assert {stop["purpose"].split(".")[0] for stop in preview["stops"]} <= {purpose}
    promised = {
        (stop["purpose"], stop["recipient"], stop["destination"], category)
        for stop in preview["stops"]
        for category in stop["categories"]
    }
    assert preview["partners"] == sorted({stop["recipient"] for stop in preview["stops"]} - {"SELF"})

    field_of = {"billing.amount": "Customer.bills", "identity.gender": "Customer.gender"}
    places = [
        (use, to, away, category)
        for use in ("service.care", "insight.profiling", "insight.churn", "partner.share", "marketing.email")
        for to in ("SELF", "ACME")
        for away in ("CN", "HK")
        for category in field_of
    ]

    async def effects() -> list[str]:
        return [
            (
                await told(
                    fresh_world,
                    DECISION,
                    **who(name),
                    field=field_of[category],
                    purpose=use,
                    recipient=to,
                    destination=away,
                )
            )["effect"]
            for use, to, away, category in places
        ]

    was = await effects()
    for destination in ("NONE", "HK"):
        given = {"subject": {"number": NUMBERS[name]}, "purpose": purpose, "recipient": "*", "destination": destination}
        done = await answer(fresh_world, WITHDRAW, CARE, input=given)
        assert done["data"]["withdrawConsent"]["outcome"]["status"] == "ACCEPTED"
    order = ["ALLOW", "MASK", "DENY"]
    for place, old, new in zip(places, was, await effects(), strict=True):
        assert order.index(new) >= order.index(old), "a withdrawal never widens"
        if old != new:
            assert place in promised, (place, old, new)
        elif place[2] == "CN" and old == "ALLOW":
            assert place not in promised, place
    assert (await told(fresh_world, PREVIEW, **who(name), purpose=purpose))["stops"] == []
    assert at.store.name == "cn"


async def test_a_preview_looks_at_what_was_true_and_known(world: World) -> None:
    asked = {"who": {"customerKey": "denied"}, "purpose": "marketing"}
    then = await told(world, PREVIEW, **asked, asOf="2025-01-05T12:00:00Z")
    assert "marketing.sms" in {stop["purpose"] for stop in then["stops"]}
    assert (await told(world, PREVIEW, **asked))["stops"] == [], "there is an objection by now"
    unknown = await told(world, PREVIEW, **asked, asOf="2025-01-05T12:00:00Z", knownAt="2025-06-01T00:00:00Z")
    assert unknown["stops"] == [], "it was not known yet"


async def test_a_preview_names_the_fields_that_stop(world: World) -> None:
    preview = await told(world, PREVIEW, **who("many"), purpose="partner")
    [stop] = [one for one in preview["stops"] if one["recipient"] == "ACME" and one["destination"] == "CN"]
    assert preview["partners"] == ["ACME"]
    assert "billing.amount" in stop["categories"]
    assert "Customer.bills" in stop["fields"]
    assert "Customer.payments" not in stop["fields"], "it was never meant for partners"


# --- who read what ----------------------------------------------------------------------------------------------------


async def lines_about(world: World, name: str, entry_id: str | None = None) -> list[Line]:
    """The lines of the audit trail about a customer of the mainland."""
    at = world.front.query.stores["cn"]
    found = await customer_of(world, name)
    now = datetime.now(UTC) + timedelta(seconds=1)
    lines = await lines_of(at, [found], (now - timedelta(days=1), now), None, 10_000)
    return [line for line in lines if entry_id is None or str(line.entry_id) == entry_id]


async def customer_of(world: World, name: str) -> Any:
    async with world.house.stores["cn"].read() as connection:
        from_tag = "SELECT customer_id FROM number_index WHERE number_tag = $1 LIMIT 1"
        return await connection.fetchval(from_tag, world.house.rings["cn"].tag(NUMBER_INDEX, NUMBERS[name]))


async def test_the_access_log_says_who_read_what_under_which_word(fresh_world: World) -> None:
    since = datetime.now(UTC) - timedelta(minutes=5)
    read = """query($n: String!) @purpose(id: "%s") { customer(number: $n) {
      formattedName gender bills { billNo amountDue { value } } usageMonths { smsCount } address } }"""
    said = {one["id"]: one for one in await told(fresh_world, TIMELINE, **who("many"))}
    done = [
        await answer(fresh_world, read % purpose, caller, n=NUMBERS["many"])
        for purpose, caller in (("service.care", CARE), ("partner.share", ACME), ("insight.profiling", CARE))
    ]
    log = await told(fresh_world, LOG, **who("many"), **{"from": since.isoformat()})
    assert log["next"] is None
    by_id = {entry["auditId"]: entry for entry in log["entries"]}
    care, acme, insight = (by_id[one["extensions"]["privacy"]["auditId"]] for one in done)
    assert (care["client"], care["purpose"], care["recipient"], care["role"]) == (
        "app",
        "service.care",
        "SELF",
        "channel",
    )
    assert (acme["client"], acme["recipient"]) == ("acme-desk", "ACME")
    effects = [{one["category"]: one for one in entry["categories"]} for entry in (care, acme, insight)]
    assert {one["effect"] for one in effects[0].values()} == {"ALLOW"}
    assert set(effects[0]) == {
        "identity.name", "identity.gender", "billing.amount", "usage.summary", "contact.address",
    }  # fmt: skip
    amount = effects[1]["billing.amount"]
    assert (amount["effect"], amount["rule"]) == ("ALLOW", "cn.third_party")
    [word] = amount["decidedBy"]
    assert (said[word["id"]]["recipient"], said[word["id"]]["category"]) == ("ACME", "billing")
    assert (effects[1]["identity.name"]["effect"], effects[1]["identity.name"]["code"]) == ("DENY", "CONSENT_REQUIRED")
    address = effects[2]["contact.address"]
    assert (address["effect"], address["rule"], address["code"]) == ("DENY", "plan", "PURPOSE_NOT_DECLARED")
    assert log["entries"][-1]["role"] == "officer", "officers' own reads are entries"
    actors = {entry["actor"] for entry in log["entries"]}
    assert all(len(actor) == 32 for actor in actors)

    pages, after = [], None
    while True:
        page = await told(
            fresh_world, LOG, **who("many"), **{"from": since.isoformat()}, first=2, after=after, to=done_at(log)
        )
        pages += page["entries"]
        after = page["next"]
        if after is None:
            break
    assert pages == log["entries"]
    other = await told(fresh_world, LOG, **who("denied"), **{"from": since.isoformat()})
    assert not {entry["auditId"] for entry in other["entries"]} & by_id.keys()


async def test_an_archive_that_was_handed_out_does_not_close_the_access_log(fresh_world: World) -> None:
    world = fresh_world
    trail = world.house.trails["cn"]
    name = trail.names.pseudonym(await customer_of(world, "many"), datetime.now(UTC).year)
    await trail.record({"operation": "export", "client": "cdp", "purpose": "legal.access", "customers": [name]})
    log = await answer(world, LOG, **who("many"), **{"from": (NOW - timedelta(days=1)).isoformat()})
    assert log["data"]["accessLog"] == {"next": None, "entries": []}


def done_at(log: dict[str, Any]) -> str:
    """Just after the newest entry."""
    newest = datetime.fromisoformat(log["entries"][0]["at"])
    return (newest + timedelta(milliseconds=1)).isoformat()


async def test_no_two_categories_have_one_short_name() -> None:
    assert {CATEGORY_OF[short_name(category)] for category in CATEGORIES} == set(CATEGORIES)
    assert short_name("identity.name") == "1925", "what is written in entries never changes"


async def test_a_span_has_its_bounds(world: World) -> None:
    spans = (("2025-01-01", "2025-06-01"), ("2025-01-02", "2025-01-01"), ("2025-01-01", "2025-01-01"))
    for start, end in (*spans, ("9999-12-31", "9999-12-30")):
        with pytest.raises(RequestInvalid, match="a span of 93 days"):
            await told(world, LOG, **who("many"), **{"from": f"{start}T00:00:00Z"}, to=f"{end}T00:00:00Z")
    for nobodys in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "2025-01-01T00:00:00"):
        for name, source in (("from", LOG), ("asOf", DECISION), ("knownAt", TIMELINE)):
            with pytest.raises(RequestInvalid, match="expected an instant with its offset"):
                await told(world, source, **who("many"), **QUESTIONS[source] | {name: nobodys})
    with pytest.raises(RequestInvalid, match="expected a number from 0 to 200"):
        await told(world, LOG, **who("many"), **QUESTIONS[LOG], first=201)
    with pytest.raises(RequestInvalid, match="the `next`"):
        await told(world, LOG, **who("many"), **QUESTIONS[LOG], after="nonsense")


# --- every decision made again ----------------------------------------------------------------------------------------


async def lived_in(world: World) -> None:
    """Reads by everybody for everything, with withdrawals, merges, a parting and a new policy in between."""

    async def everybody_reads() -> None:
        for name in NUMBERS:
            for purpose in PURPOSES:
                for caller in (CARE, ACME, PARTNER):
                    await world.ask(EVERYTHING % purpose, caller, {"n": NUMBERS[name]})
        await world.ask(LISTED, CARE)
        page = json.loads(await world.ask(EVERYTHING % "service.care", CARE, {"n": NUMBERS["many"]}))
        for case in page["data"]["customer"]["cases"]:
            await world.ask(ANY_NODE, CARE, {"id": case["id"]})

    for name, purpose in (("denied", "marketing.sms"), ("twice-1", "service"), ("many", "insight")):
        given = {"subject": {"number": NUMBERS[name]}, "purpose": purpose, "numberOnly": True}
        done = await answer(world, GIVE, CARE, input=given)
        assert done["data"]["giveConsent"]["outcome"]["status"] == "ACCEPTED"
    await everybody_reads()
    for name, purpose in (("many", "partner"), ("twice-2", "insight"), ("b-cn", "service")):
        given = {"subject": {"number": NUMBERS[name]}, "purpose": purpose, "recipient": "*"}
        await answer(world, WITHDRAW, CARE, input=given)
    await answer(world, ORDER % "merge", STEWARD, **pair("denied", "many"))
    await everybody_reads()
    await answer(world, ORDER % "unmerge", STEWARD, **pair("many", "denied"))
    rows = starter_rows()
    stricter = tuple(rule for rule in rows.rules if rule.id not in ("cn.profiling", "hk.original"))
    capped = tuple(replace(basis, id=f"{basis.id}.2", cap=1) for basis in rows.transfer_bases)
    newer = replace(rows, version=2, rules=stricter, transfer_bases=capped)
    await load_policy(world.house.stores.values(), newer, NOW)
    agreed = {"subject": {"number": NUMBERS["silent-cn"]}, "purpose": "service", "kind": "SEPARATE"}
    await answer(world, GIVE, CARE, input=agreed | {"destination": "HK"})
    await everybody_reads()


async def test_every_logged_decision_replays_to_the_same_answer(
    fresh_world: World, record_property: Callable[[str, object], None]
) -> None:
    await lived_in(fresh_world)
    met: dict[str, int] = {}
    decisions = 0
    for name, at in fresh_world.front.query.stores.items():
        async with at.store.read() as connection:
            customers = [row[0] for row in await connection.fetch("SELECT customer_id FROM customer")]
        now = datetime.now(UTC) + timedelta(seconds=1)
        lines = await lines_of(at, customers, (now - timedelta(days=1), now), None, 100_000)
        written = [entry for entry in await entries(fresh_world, name) if "customers" in entry]
        assert len(lines) == sum(len(entry["customers"]) for entry in written)
        dossiers = {customer: await dossier_of(at, customer) for customer in customers}
        policies: dict[int, Policy | None] = {}
        for line in lines:
            version = line.entry["policy"]
            if version not in policies:
                policies[version] = await policy_of(line, at)
            policy = policies[version]
            assert policy is not None
            replay = Replay.of(line, dossiers[line.customer_id], policy)
            found = {key: int(line.line[key], 16) for key in ("allowed", "masked", "denied")}
            assert replay.bitmaps(line) == found, (line.entry, line.line)
            decisions += 1
            for mark in ("as_of", "state", "with", "alone", "exhausted", "recipient_class", "undeclared"):
                met[mark] = met.get(mark, 0) + (mark in line.line or mark in line.entry)
        assert set(policies) == {1, 2}
    assert min(met[mark] for mark in met if mark != "as_of") > 0, met
    record_property("decisions", decisions)


async def test_what_is_said_for_a_number_alone_decides_where_it_is_asked_by(fresh_world: World) -> None:
    read = 'query($n: String!) @purpose(id: "marketing.sms") { customer(number: $n) { email } }'
    number, change = NUMBERS["bare"], {"region": "CN-GD", "subject": {"customerKey": "bare"}}
    given = {"subject": {"number": number}, "purpose": "marketing.sms", "numberOnly": True}
    asked = {"field": "Customer.email", "purpose": "marketing.sms"}
    before = await told(fresh_world, DECISION, **who("bare"), **asked)
    await answer(fresh_world, GIVE, CARE, input=given)
    by_number = await told(fresh_world, DECISION, **who("bare"), **asked)
    assert (before["effect"], by_number["effect"]) == ("DENY", "ALLOW")
    [word] = by_number["decidedBy"]
    assert (word["type"], word["purpose"]) == ("GIVEN", "marketing.sms")
    by_key = await told(fresh_world, DECISION, who={"customerKey": "bare"}, **asked)
    assert (by_key["effect"], by_key["code"]) == ("DENY", before["code"])

    # Withdrawals stop it; by its key nothing of it was ever allowed.
    stops = (await told(fresh_world, PREVIEW, **who("bare"), purpose="marketing"))["stops"]
    assert {one["purpose"] for one in stops} == {"marketing.sms"}
    assert (await told(fresh_world, PREVIEW, who={"customerKey": "bare"}, purpose="marketing"))["stops"] == []

    since = datetime.now(UTC) - timedelta(minutes=5)
    await answer(fresh_world, read, CARE, n=number)
    ended = {
        **change,
        "type": "NumberReleased",
        "eventId": "ended",
        "number": number,
        "at": datetime.now(UTC).isoformat(),
    }
    [outcome] = await ingest(writer_of(fresh_world.house), [ended], "test")
    assert outcome.status is Status.ACCEPTED
    back = read.replace("$n: String!", "$n: String!, $at: DateTime").replace("number: $n", "number: $n, asOf: $at")
    late = await answer(fresh_world, back, CARE, n=number, at=since.isoformat())
    withheld = late["extensions"]["privacy"]["withheld"]
    assert ("email", "CONSENT_EXPIRED") in {(one["path"][-1], one["code"]) for one in withheld}
    log = await told(fresh_world, LOG, who={"customerKey": "bare"}, **{"from": since.isoformat()})
    reads = [one for one in log["entries"] if one["purpose"] == "marketing.sms"]
    told_of = [(one["categories"][0]["effect"], one["categories"][0]["code"]) for one in reads]
    assert told_of == [("DENY", "CONSENT_EXPIRED"), ("ALLOW", None)]
    assert [[word["id"] for word in one["categories"][0]["decidedBy"]] for one in reads] == [[word["id"]]] * 2
    customer = await customer_of(fresh_world, "bare")
    dossier = await dossier_of(fresh_world.front.query.stores["cn"], customer)
    for line in await lines_about(fresh_world, "bare"):
        assert all(str(said) not in str(line.entry) for said in dossier.alone), "words are called by the year's names"


async def test_by_a_number_whoever_held_it_then_is_meant(fresh_world: World) -> None:
    """A former holder's word is not asked of the next one, and ends with the number, not before it."""
    number, given = "+8613700000088", {"purpose": "marketing.sms", "numberOnly": True}
    events: list[dict[str, Any]] = []
    for who_is, since in (("former", "2025-01-01T08:00:00Z"), ("next", "2025-09-01T08:00:00Z")):
        head = {"region": "CN-GD", "subject": {"customerKey": who_is}, "at": since}
        events += [
            head | {"type": "CustomerRegistered", "eventId": f"{who_is}-1", "name": who_is, "kind": "INDIVIDUAL"},
            head | {"type": "NumberActivated", "eventId": f"{who_is}-2", "number": number},
        ]
    said = {"region": "CN-GD", "subject": {"number": number}, "at": "2025-02-01T08:00:00Z"}
    events += [said | given | {"type": "ConsentGiven", "eventId": "yes"}]
    left = {"subject": {"customerKey": "former"}, "at": "2025-06-01T08:00:00Z", "number": number}
    events += [said | left | {"type": "NumberReleased", "eventId": "left"}]
    outcomes = await ingest(writer_of(fresh_world.house), events, "test")
    assert {outcome.status for outcome in outcomes} == {Status.ACCEPTED}

    asked = {"who": {"number": number}, "field": "Customer.email", "purpose": "marketing.sms"}
    then = await told(fresh_world, DECISION, **asked, asOf="2025-03-01T08:00:00Z")
    assert (then["effect"], [word["happenedAt"] for word in then["decidedBy"]]) == ("ALLOW", ["2025-02-01T08:00:00Z"])
    assert await told(fresh_world, DECISION, **asked, asOf="2025-07-01T08:00:00Z") is None, "nobody held it"
    later = await told(fresh_world, DECISION, **asked)
    assert (later["effect"], later["code"], later["decidedBy"]) == ("DENY", "CONSENT_REQUIRED", [])
    assert [one["type"] for one in await told(fresh_world, TIMELINE, who=asked["who"], asOf="2025-03-01T08:00:00Z")]
    assert await told(fresh_world, TIMELINE, who=asked["who"]) == []


# --- borders are counted ----------------------------------------------------------------------------------------------


async def test_customers_who_cross_are_counted_once_and_not_beyond_the_cap(fresh_world: World) -> None:
    rows = starter_rows()
    capped = [replace(basis, cap=3, used=2) for basis in rows.transfer_bases]
    await load_policy(fresh_world.house.stores.values(), replace(rows, version=2, transfer_bases=tuple(capped)), NOW)
    source = 'query($n: String!) @purpose(id: "service.care") { customer(number: $n) { holdings { number } } }'

    async def numbers(name: str) -> tuple[int, set[str]]:
        read = await answer(fresh_world, source, CARE, n=NUMBERS[name])
        codes = {place["code"] for place in read["extensions"]["privacy"]["withheld"]}
        return len(read["data"]["customer"]["holdings"]), codes

    agreed = {"subject": {"number": NUMBERS["silent-cn"]}, "purpose": "service", "kind": "SEPARATE"}
    await answer(fresh_world, GIVE, CARE, input=agreed | {"destination": "HK"})
    assert await crossed(fresh_world, "cn") == {}
    # Who is asked for at once is counted once all the same.
    assert await asyncio.gather(*(numbers("b-hk") for _ in range(5))) == [(2, set())] * 5
    assert await numbers("silent-hk") == (1, {"CROSS_BORDER"}), "there is no room for another one"
    entry = (await entries(fresh_world, "cn"))[-1]
    assert [line.get("exhausted") for line in entry["customers"]] == [["gba.cn.hk"]]
    away = {"field": "Customer.email", "purpose": "service.care", "destination": "HK"}
    shown = {name: await told(fresh_world, DECISION, **who(name), **away) for name in ("silent-cn", "b-cn")}
    assert {name: (one["effect"], one["code"]) for name, one in shown.items()} == {
        "silent-cn": ("DENY", "CROSS_BORDER"),
        "b-cn": ("ALLOW", None),
    }
    stopping = (await told(fresh_world, PREVIEW, **who("silent-cn"), purpose="service"))["stops"]
    assert "HK" not in {one["destination"] for one in stopping}, "what does not flow cannot stop"
    assert await numbers("b-hk") == (2, set()), "who is counted may go on"
    assert await crossed(fresh_world, "cn") == {"gba.cn.hk": 1}

    await load_policy(fresh_world.house.stores.values(), replace(rows, version=3), NOW)
    assert await numbers("silent-hk") == (2, set())
    assert await crossed(fresh_world, "cn") == {"gba.cn.hk": 2}
    assert await crossed(fresh_world, "hk") == {}, "nobody came from the other side"
    [transfer] = {one["jurisdiction"]: one for one in await told(fresh_world, PROCESSING)}["CN"]["transfers"]
    assert (transfer["id"], transfer["customers"], transfer["cap"]) == ("gba.cn.hk", 2, None)


async def crossed(world: World, store: str) -> dict[str, int]:
    async with world.house.stores[store].read() as connection:
        rows = await connection.fetch("SELECT basis, count(*) FROM transfer_crossing GROUP BY 1")
    return dict(map(tuple, rows))


# --- records of processing --------------------------------------------------------------------------------------------


async def test_records_of_processing_are_what_the_policy_lets_through(world: World) -> None:
    records = {one["jurisdiction"]: one for one in await told(world, PROCESSING)}
    assert set(records) == {"CN", "HK"}
    for name, place in (("bare", "CN"), ("left-hk", "HK")):
        for activity in records[place]["activities"]:
            assert set(activity["categories"]) <= CATEGORIES.keys()
            assert (activity["bases"] == ["CONSENT"]) == (activity["consent"] is not None)
            if "identity.gender" in activity["categories"] and activity["recipient"] == "SELF":
                found = await told(world, DECISION, **who(name), field="Customer.gender", purpose=activity["purpose"])
                if found["rule"] != "plan":
                    assert found["rule"] == activity["rule"]
                    assert activity["consent"] is not None or found["effect"] == "ALLOW"
    mainland = {
        (one["purpose"], one["recipient"], one["rule"], *one["bases"], one["consent"]): one["categories"]
        for one in records["CN"]["activities"]
    }
    assert "billing.amount" in mainland["service.care", "SELF", "cn.service", "CONTRACT", None]
    assert mainland["service.care", "SELF", "cn.service", "CONSENT", "GENERAL"] == ["insight.score"]
    assert len(mainland["legal.audit", "SELF", "cn.legal", "LEGAL_DUTY", None]) == len(CATEGORIES)
    assert ("partner.share", "THIRD_PARTY", "cn.third_party", "CONSENT", "SEPARATE") in mainland
    only = await answer(world, '{ recordsOfProcessing(region: "HK") { jurisdiction } }')
    assert only["data"]["recordsOfProcessing"] == [{"jurisdiction": "HK"}]
    with pytest.raises(RequestInvalid, match="no store open"):
        await answer(world, '{ recordsOfProcessing(region: "US") { jurisdiction } }')


# --- receipts ---------------------------------------------------------------------------------------------------------


async def test_a_receipt_proves_that_the_log_has_its_event(fresh_world: World) -> None:
    """Whoever has a receipt needs nothing else: the entry, its place, and a checkpoint that the log has signed."""
    house = fresh_world.house
    key, texts = house.rings["cn"].signer.public_key, list[str]()
    await log_words(house.stores["cn"], house.trails["cn"])
    await extend_tree(house.stores["cn"], house.rings["cn"])
    for one in [one for one in await told(fresh_world, TIMELINE, **who("many")) if one["source"] == "CONSENT"]:
        texts.append((await answer(fresh_world, RECEIPT, CARE, id=one["id"]))["data"]["consentReceipt"])
    places = [verify(text, key).place for text in texts]
    assert None not in places
    assert len(set(places)) == len(texts) > 1
    [first, second, *_] = map(json.loads, texts)
    entry, proof = first["evidence"]["entry"], first["evidence"]["proof"]
    assert json.loads(entry)["word"] == "consent"
    assert json.loads(entry)["id"] == first["receipt"]["receipt_id"]
    assert not any(number in text for number in NUMBERS.values() for text in texts)
    for evidence in (
        second["evidence"],
        {"entry": entry, "proof": second["evidence"]["proof"]},
        {"entry": entry.replace("consent", "dissent"), "proof": proof},
        {"entry": entry, "proof": proof.replace("/audit/cn", "/audit/hk")},
        {"entry": entry, "proof": ""},
        {"entry": "no JSON", "proof": proof},
        {"proof": proof},
        None,
    ):
        with pytest.raises(ProofRefused):
            verify(json.dumps(first | {"evidence": evidence}), key)
    del first["evidence"]
    assert verify(json.dumps(first), key).place is None


async def test_a_receipt_is_signed_and_says_what_was_said(world: World) -> None:
    consents = """query($n: String!) @purpose(id: "service.care") {
      customer(number: $n) { consents(first: 50) { id purpose category recipient type kind notice expiresAt } } }"""
    given = (await answer(world, consents, CARE, n=NUMBERS["many"]))["data"]["customer"]["consents"]
    key = world.house.rings["cn"].signer.public_key
    for one in given:
        text = (await answer(world, RECEIPT, CARE, id=one["id"]))["data"]["consentReceipt"]
        receipt, place = verify(text, key)
        record = receipt["record"]
        assert place is None, "nothing of it is in the tree yet"
        [purpose] = record["pii_processing"]["purposes"]
        [event] = record["event"]
        assert (purpose["purpose"], event["event_state"], event["event_type"]) == (
            one["purpose"],
            one["type"],
            one["kind"],
        )
        assert purpose["recipient_third_parties"] == ([] if one["recipient"] == "SELF" else [one["recipient"]])
        assert record["pii_processing"]["privacy_notice"].get("id") == one["notice"]
        assert event.get("valid_until") == one["expiresAt"]
        assert NUMBERS["many"] not in text
        assert b64decode(json.loads(text)["signature"]["key"]) == key
        with pytest.raises(SignatureBroken):
            verify(text.replace(one["purpose"], "legal.audit"), key)
        with pytest.raises(SignatureBroken):
            verify(text, world.house.rings["hk"].signer.public_key)
    [objection] = [one["id"] for one in await told(world, TIMELINE, **who("objector")) if one["source"] == "OBJECTION"]
    for unknown in ("", "nonsense", objection, given[0]["id"][:-2]):
        assert (await answer(world, RECEIPT, CARE, id=unknown))["data"]["consentReceipt"] is None
    with pytest.raises(AuthError, match="not open to partners"):
        await answer(world, RECEIPT, PARTNER, id=given[0]["id"])
    other = CARE._replace(legal_entity="ACME", recipient_class=RecipientClass.PROCESSOR)
    assert (await answer(world, RECEIPT, other, id=given[0]["id"]))["data"]["consentReceipt"] is None


async def test_a_receipt_names_the_text_that_was_shown_when_it_is_shown_no_more(fresh_world: World) -> None:
    rows = starter_rows()
    [shown] = [notice for notice in rows.notices if notice.jurisdiction == "CN"]
    agreed = {"subject": {"number": NUMBERS["many"]}, "purpose": "marketing.sms", "notice": shown.id}
    await answer(fresh_world, GIVE, CARE, input=agreed)
    await load_policy(fresh_world.house.stores.values(), replace(rows, version=2, notices=()), NOW)
    [said, *_] = await told(fresh_world, TIMELINE, **who("many"))
    text = (await answer(fresh_world, RECEIPT, CARE, id=said["id"]))["data"]["consentReceipt"]
    processing = json.loads(text)["receipt"]["record"]["pii_processing"]
    assert processing["privacy_notice"] == {"id": shown.id, "version": shown.version, "sha256": shown.sha256}
    assert processing["language"] == shown.language
