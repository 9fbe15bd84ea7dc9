"""The planner and the reference executor give one answer: values, their order, what is withheld and what is masked."""

import asyncio
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from graphql import DocumentNode, parse, print_schema
from hypothesis import HealthCheck, Phase, given, seed, settings

from cdp.auth import Caller
from cdp.errors import CdpError
from schema.plan.run import MOST_COST
from tests.schema.comparing import difference, differing, most_values
from tests.schema.drawing import Drawn, Dresser, documents
from tests.schema.knowing import known
from tests.schema.people import NUMBERS
from tests.schema.reference import Reference
from tests.schema.world import CARE, CN_ONLY, PARTNER, Invalid, World

pytestmark = pytest.mark.asyncio(loop_scope="session")
OPERATIONS = Path(__file__).parent / "operations"
PARTS, DRESSES, DRAWN = 4, 2, 2_000
SPOILT = {"NUMBER_INVALID", "PAGE_SIZE", "CURSOR_INVALID", "DAY_INVALID"}
CALLERS = {caller.client: caller for caller in (CARE, CN_ONLY, PARTNER)}

NESTED = """query($n: String!) @purpose(id: "%s") { customer(number: $n) {
  holdings(first: 5) { number sim { iccid holdings(first: 3) { number role sim { iccid holdings(first: 3) {
  state } } } } }
  products(first: 6) { productRef status tariff { name monthlyFee { value } }
    reliesOn(first: 4) { name reliesOn(first: 3) { name reliesOn(first: 2) { name tariff { tariffId } } } } }
  cases(first: 5) { caseRef status product { name reliesOn(first: 1) { name reliesOn(first: 2) { name } } } }
  bills(first: 12) { billNo state remainingAmount { value unit } account { accountNo balance { value } }
    lines(first: 2) { lineNo amount { value } description } }
  topUps { topUpRef state number amount { value unit } account { accountNo } }
  accounts { transactions(first: 3) { kind at debit credit amount { value unit } topUp { topUpRef state } } }
  payments { amount { value } method account { accountNo paymentStatus } } } }"""
EVERYTHING = """query($n: String!) @purpose(id: "%s") { customer(number: $n) { __typename id kind formattedName
  birthDate gender
  status tier email address registeredAt regions
  identifications { __typename documentType documentNumber issuingRegion validFor { start end } }
  consents(first: 50) { purpose category channel recipient destination type kind actor notice happenedAt expiresAt }
  objections { kind scope raised happenedAt } accounts { accountNo region ratingType balanceAt creditLimit {
  value unit } openedAt }
  usageMonths(first: 24) { month region voiceMinutes smsCount dataMegabytes roamingMegabytes }
  usage(first: 40) { __typename pageInfo { __typename hasNextPage hasPreviousPage startCursor endCursor }
    edges { __typename cursor node { __typename usageDate usageType quantity units status region counterparty } } }
  interactions(first: 50) { id at channel direction reason region note }
  bills { id billDate billingPeriod { start end } amountDue { __typename value unit } } products { id kind
  startDate termEnd statusReason }
  cases { id ticketType severity status statusAt owner channel openedAt due description }
  privacyRequests { id kind state stateAt region openedAt due reason evidence }
  holdings { issuer servingOperator recordedFor { end } validFor { __typename end } buckets(first: 2) { bucketRef } }
  buckets { __typename bucketRef usageType remainingValue { __typename value unit } remainingAt isShared region
    validFor { start end } } } }"""
PURPOSES = ("service.care", "insight.profiling", "marketing.sms", "partner.share", "legal.audit")

CASES = {
    "one key from several fragments": """query @purpose(id: "service.care") { customer(number: "%(many)s") {
    ...A ... on Customer {
        bills(first: 2) { lines(first: 1) { lineNo } } } ...B ... on Node { id } } }
        fragment A on Customer { bills(first: 2) { billNo lines(first: 1) { amount { unit } } } ...B }
        fragment B on Customer { bills(first: 2) { amountDue { value } lines(first: 1) { amount { value } } }
        status }""",
    "one root with several arguments": """query @purpose(id: "service.care") { a: customer(number: "%(many)s")
    { regions }
        b: customer(number: "13800138000", region: "CN-GD") { regions bills(first: 1) { billNo } }
        c: customer(identifier: { kind: CUSTOMER_KEY, value: "b-hk" }) { bills(first: 1) { billNo } regions }
        d: customer(number: "%(solo)s") { id } e: customers(where: { region: "HK" }, first: 2) { edges { node {
        id regions } } }
        f: customers(where: { region: "CN-BJ" }) { pageInfo { hasNextPage } } me { __typename client } __typename
        g: customer(number: "%(solo)s", asOf: "2025-01-20T00:00:00Z") { holdings { state validFor { end } } } }""",
    "nothing but the typename": """query @purpose(id: "service.care") {
        customer(number: "%(many)s") { __typename } }""",
    "first: 0": """query @purpose(id: "service.care") { customer(number: "%(many)s") { bills(first: 0) { billNo }
        usage(first: 0) { edges { cursor } pageInfo { hasNextPage endCursor } } }
        customers(where: { region: "CN-GD" }, first: 0) { edges { cursor } pageInfo { hasNextPage startCursor }
        } }""",
    "pages past a customer who may not be listed": """query @purpose(id: "service.care") {
        a: customers(where: { region: "CN-GD" }, first: 1) { ...P } b: customers(where: { region: "CN-GD" },
        first: 3) { ...P }
        c: customers(where: { region: "CN-GD" }, first: 4) { ...P } d: customers(where: { region: "CN-GD" },
        first: 5) { ...P }
        e: customers(where: { region: "CN-BJ" }, first: 5) { ...P }
        f: customers(where: { region: "CN-BJ", kind: ORGANIZATION, status: "SUSPENDED", tier: "HIGH" }) { ...P } }
        fragment P on CustomerConnection { pageInfo { hasNextPage endCursor } edges { cursor node {
        formattedName id } } }""",
    "aliases in a page": """query @purpose(id: "service.care") { all: customers(where: { region: "CN-GD" },
    first: 9) {
        page: edges { who: node { name: formattedName few: bills(first: 1) { no: billNo } more: bills(first: 3)
        { billNo } } }
        again: edges { node { tier } } } }""",
    "a region kept nowhere else": """query @purpose(id: "service.care") { customers(where: { region: "HK",
    kind: INDIVIDUAL },
        first: 100) { edges { node { regions holdings { number } usageMonths { voiceMinutes } } } } }""",
    "numbers themselves": """query @purpose(id: "service.care") { accountability(number: "%(many)s") { desk reason }
        a: accountability(number: "%(many-2)s") { region } b: accountability(number: "%(b-hk)s") { desk }
        c: accountability(number: "+8613999999999") { desk } d: numberFacts(number: "%(many)s") { region city kind
        issuer servingOperator accountability { region desk reason } }
        f: accountability(number: "%(solo)s") { desk reason }
        e: numberFacts(number: "10086", region: "CN") { number kind servingOperator accountability { desk } } }""",
    "who does not exist": """query @purpose(id: "service.care") { a: customer(number: "+8613999999999") { id }
        b: customer(id: "nonsense") { id } c: node(id: "") { id } d: customer(identifier: { kind: EMAIL, value:
        "a@b.cn" }) { id }
        e: customer(number: "+12025550123") { id } f: customer(number: "%(many)s", role: GUARDIAN) { id } }""",
}
HOLDERS = """query($n: String!) @purpose(id: "%s") {
  u: customer(number: $n, role: USER) { ...H } r: customer(number: $n, role: REGISTERED_HOLDER) { ...H }
  p: customer(number: $n, role: PAYER) { ...H } g: customer(number: $n, role: GUARDIAN) { ...H }
  o: customer(number: $n, role: ORG_ADMIN) { ...H }
  a: sameHolderSince(number: $n, date: "2025-01-01") b: sameHolderSince(number: $n, date: "2025-01-25")
  c: sameHolderSince(number: $n, date: "2025-09-01") }
  fragment H on Customer { id formattedName email holdings { number role validFor { end } } bills(first: 2) { id }
  buckets { bucketRef remainingValue { value } } }"""
NODES = ("Customer", "Product", "CustomerBill", "MoneyAnomaly", "PartyInteraction", "Case", "PrivacyRequest")
ANY_NODE = """query($id: ID!) @purpose(id: "service.care") { node(id: $id) { __typename id
  ... on Customer { formattedName regions holdings { number } bills(first: 2) { id billNo } }
  ... on Product { name status tariff { name } reliesOn { id name reliesOn { name } } }
  ... on CustomerBill { billNo state lines { lineNo amount { value } } account { accountNo } }
  ... on PartyInteraction { at note } ... on PrivacyRequest { kind due }
  ... on MoneyAnomaly { wrong: kind stands: state takeBack { value } } ...C } }
  fragment C on Case { caseRef ticketType description product { id name reliesOn { name } } }"""
ONE_CUSTOMER = """query($id: ID!) @purpose(id: "service.billing") { customer(id: $id, region: null) { id tier regions
  accounts { accountNo } } numberFacts(number: "+8613800138000") { number region kind issuer } }"""
SWITCHES = """query($n: String!, $a: Boolean! = true, $b: Boolean!) @purpose(id: "service.care") {
  customer(number: $n) {
  id @skip(if: $a) tier @include(if: $a) ...F @include(if: $b) ... @skip(if: $b) { gender status @include(if: $a) }
  bills(first: 2) @include(if: $a) @skip(if: $b) { billNo } } a: customer(number: $n) @include(if: $a) { status } }
  fragment F on Customer { bills(first: 2) { state amountDue @include(if: $a) { value } } kind @skip(if: true) }"""
VARIABLES = """query($n: String!, $region: Region, $first: Int! = 2, $after: String, $none: ID = null, $role:
  HoldingRole = USER)
  @purpose(id: "service.care") { customer(number: $n, region: $region, id: $none, role: $role) { bills(first:
  $first) { billNo }
  usage(first: $first, after: $after) { pageInfo { hasPreviousPage hasNextPage } edges { node { quantity } } } } }"""
WALK = """query($usage: String) @purpose(id: "service.care") { customer(number: "+8613912345678") {
  usage(first: 5, after: $usage) {
  pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor node { usageDate quantity
  counterparty } } } } }"""
WALK_CUSTOMERS = """query($after: String) @purpose(id: "service.care") { customers(where: { region: "CN-GD" },
  first: 2, after: $after) {
  pageInfo { hasNextPage hasPreviousPage endCursor } edges { cursor node { id formattedName } } } }"""


async def agree(
    world: World, reference: Reference, source: str, caller: Caller, variables: dict[str, Any] | None = None
) -> None:
    found = await difference(world, reference, source, caller, variables)
    assert found is None, f"{source}\n{variables}\n{found}"


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("client", CALLERS)
@pytest.mark.parametrize("source", [NESTED, EVERYTHING, HOLDERS], ids=["nested", "everything", "holders"])
async def test_every_customer(world: World, reference: Reference, source: str, client: str, purpose: str) -> None:
    for number in NUMBERS.values():
        await agree(world, reference, source % purpose, CALLERS[client], {"n": number})


@pytest.mark.parametrize("client", ["app", "cn-desk"])
@pytest.mark.parametrize("case", CASES)
async def test_by_hand(world: World, reference: Reference, case: str, client: str) -> None:
    await agree(world, reference, CASES[case] % NUMBERS, CALLERS[client])


@pytest.mark.parametrize("client", CALLERS)
async def test_every_id(world: World, reference: Reference, client: str) -> None:
    caller = CALLERS[client]
    knows = await known(world, reference.schema, caller)
    assert {of: len(tokens) > 1 for of, tokens in knows.ids.items()} == dict.fromkeys(NODES, True)
    for tokens in knows.ids.values():
        for token in tokens[:: max(1, len(tokens) // 8)] + tokens[-7:]:
            await agree(world, reference, ANY_NODE, caller, {"id": token})
            await agree(world, reference, ONE_CUSTOMER, caller, {"id": token})


async def test_switches_with_the_plan_at_hand(world: World, reference: Reference) -> None:
    for a, b in ((True, True), (False, True), (True, False), (False, False), (True, True), (None, True)):
        switches = {"b": b} if a is None else {"a": a, "b": b}
        await agree(world, reference, SWITCHES, CARE, {"n": NUMBERS["many"]} | switches)


async def test_variables_given_left_out_and_null(world: World, reference: Reference) -> None:
    number = {"n": NUMBERS["many"]}
    usage = (await known(world, reference.schema, CARE)).cursors["usage"]
    for chosen in ({}, {"region": None}, {"region": "CN-GD"}, {"first": 3}, {"after": None}, {"after": usage[9]}):
        await agree(world, reference, VARIABLES, CARE, number | chosen)


async def test_a_list_is_walked_to_its_end(world: World, reference: Reference) -> None:
    cursor, records, customers = None, 0, 0
    while True:
        await agree(world, reference, WALK, CARE, {"usage": cursor})
        page = json.loads(await world.ask(WALK, CARE, {"usage": cursor}))["data"]["customer"]["usage"]
        records += len(page["edges"])
        if not page["pageInfo"]["hasNextPage"]:
            break
        cursor = page["pageInfo"]["endCursor"]
    assert records == 34
    cursor = None
    while True:
        await agree(world, reference, WALK_CUSTOMERS, CARE, {"after": cursor})
        page = json.loads(await world.ask(WALK_CUSTOMERS, CARE, {"after": cursor}))["data"]["customers"]
        customers += len(page["edges"])
        if not page["pageInfo"]["hasNextPage"]:
            break
        cursor = page["pageInfo"]["endCursor"]
    # `objector` and `restricted` may not be listed.
    assert customers == 9


async def test_many_at_once(world: World, reference: Reference) -> None:
    """Concurrent requests share executions, and each gets its own answer."""
    source = (OPERATIONS / "profile.graphql").read_text()
    asked = [(caller, number) for number in NUMBERS.values() for caller in (CARE, CN_ONLY)] * 2
    answers = await asyncio.gather(*(world.ask(source, caller, {"number": number}) for caller, number in asked))
    for (caller, number), answer in zip(asked, answers, strict=True):
        # The reference asks a store field by field: many of it at once would wait for connections in vain.
        assert differing(answer, *await reference.answer(source, caller, {"number": number})) is None


async def test_a_page_beside_somebody_sought_is_everybodys(world: World) -> None:
    """Requests that are alike but for a key share an execution, and the page that stands beside it is each one's."""
    page = 'customers(where: { region: "CN-GD" }, first: 3) { edges { node { id } } }'
    source = f'query($number: String!) @purpose(id: "service.care") {{ customer(number: $number) {{ id }} {page} }}'
    numbers = [NUMBERS[name] for name in ("many", "b-cn", "denied")] * 8
    told = await asyncio.gather(*(world.ask(source, CARE, {"number": number}) for number in numbers))
    pages = [json.loads(one)["data"]["customers"] for one in told]
    assert pages[0]["edges"]
    assert [one for one in pages if one != pages[0]] == []
    assert len({json.loads(one)["data"]["customer"]["id"] for one in told}) == 3


@pytest.mark.parametrize("part", range(PARTS))
async def test_drawn_operations(world: World, reference: Reference, part: int) -> None:
    knows = {client: await known(world, reference.schema, caller) for client, caller in CALLERS.items()}
    found: list[str] = []
    refused = asked = 0
    pairs = draw(print_schema(reference.schema), part)
    for n, (document, number) in enumerate(pairs * DRESSES):
        caller = CALLERS["acme-app" if n % 5 == 4 else "cn-desk" if n % 5 == 3 else "app"]
        random = Random(f"{part} {n} {number}")  # noqa: S311 - a test that draws the same in every run
        drawn = Dresser(reference.schema, knows[caller.client], random, caller.partner).dress(document)
        try:
            code, wrong = await compared(world, reference, drawn, caller)
        except Invalid:
            continue
        asked += 1
        refused += code is not None
        if wrong:
            found.append(f"{caller.client} {drawn.source}\n{drawn.variables}\n{wrong}")
    assert not found, f"{len(found)} of {asked}; the shortest:\n{min(found, key=len)}"
    assert asked >= DRAWN // PARTS
    assert refused < asked // 8


async def compared(world: World, reference: Reference, drawn: Drawn, caller: Caller) -> tuple[str | None, str | None]:
    """The code an operation was refused with, if any, and what is wrong with its answer or its refusal."""
    try:
        return None, await difference(world, reference, drawn.source, caller, drawn.variables)
    except CdpError as refused:
        code = refused.code
    if code == "QUERY_TOO_COSTLY" and most_values(reference.schema, parse(drawn.source), drawn.variables) > MOST_COST:
        return code, None
    return code, None if drawn.spoilt and code in SPOILT else f"refused with {code}"


def draw(schema: str, part: int) -> list[tuple[DocumentNode, int]]:
    """What is drawn is the same in every run."""
    drawn: list[tuple[DocumentNode, int]] = []

    @seed(part)
    @settings(
        max_examples=DRAWN // PARTS // DRESSES * 21 // 20,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    @given(documents(schema))
    def collect(pair: tuple[DocumentNode, int]) -> None:
        drawn.append(pair)

    collect()
    return drawn
