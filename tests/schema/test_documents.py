"""Documents and their plans: read once, kept within bounds, the registered ones for good."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from cdp.documents import register_document
from cdp.errors import RequestInvalid
from cdp.exchange import GraphqlRequest
from schema.declaration import declare, graphql_schema
from schema.explain import explain
from schema.plan import document
from schema.plan.document import DocumentInvalid, Documents, hash_of
from tests.schema.people import NUMBERS
from tests.schema.world import CARE, World

pytestmark = pytest.mark.asyncio(loop_scope="session")
LOOKUP = 'query($number: String!) @purpose(id: "service.care") {{ {alias}: customer(number: $number) {{ id }} }}'


@pytest.fixture(scope="module")
def documents() -> Documents:
    return Documents(graphql_schema(declare()))


def different(count: int) -> Iterator[str]:
    return (LOOKUP.format(alias=f"c{n}") for n in range(count))


async def test_the_least_recently_used_goes_first(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MOST_DOCUMENTS", 10)
    hot, *others = different(40)
    first = documents.get(hot)
    for source in others:
        assert documents.get(source) is documents.get(source)
        assert documents.get(hot) is first
    assert len(documents._known) == 10
    assert documents._characters == sum(map(len, documents._known))


async def test_long_documents_count_for_more(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MOST_CHARACTERS", 2_000)
    for n in range(20):
        documents.get(LOOKUP.format(alias=f"long{n}") + " " * 300)
    assert documents._characters <= 2_000
    assert len(documents._known) < 6


async def test_a_refused_document_is_not_kept(documents: Documents) -> None:
    before = len(documents._known)
    with pytest.raises(DocumentInvalid):
        documents.get("{ nothing }")
    with pytest.raises(RequestInvalid):
        documents.get("{" * 200)
    assert len(documents._known) == before


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        ("customer(number: 13800138000) { id }", "String cannot represent a non string value"),
        ('customer(number: {number: "13800138000"}) { id }', "String cannot represent a non string value"),
        ('customers(where: {email: "13800138000"}) { edges { node { id } } }', "to include required field 'region'"),
        ('customers(where: {regio: "13800138000"}) { edges { node { id } } }', "Did you mean 'region'?"),
        ('customers(where: "13800138000") { edges { node { id } } }', "of type 'CustomerFilter' to be an object"),
        ('customer(number: "1") { usage(first: "13800138000") { edges { node { id } } } }', "non-integer value"),
        ('customer(number: "1") { id @include(if: "13800138000") }', "cannot represent a non boolean value"),
        ('customer(number: "1" "13800138000") { id }', "Expected Name, found String"),
        ("customer(number: 1 13800138000) { id }", "Expected Name, found Int"),
    ],
)
async def test_what_is_told_of_a_document_holds_no_value_of_it(documents: Documents, inside: str, told: str) -> None:
    with pytest.raises(DocumentInvalid) as wrong:
        documents.get(f'query @purpose(id: "service.care") {{ {inside} }}')
    messages = [error.message for error in wrong.value.errors]
    assert any(message.endswith(told) for message in messages), messages
    assert "13800138000" not in "".join(messages) + str(wrong.value)


async def test_a_plan_for_each_setting_of_the_switches(documents: Documents) -> None:
    source = """query($number: String!, $more: Boolean!) @purpose(id: "service.care") {
      customer(number: $number) { id status @include(if: $more) } }"""
    prepared = documents.get(source).operation(None)
    assert prepared.switches == ("more",)
    plans = [prepared.plan({"more": more}) for more in (True, False, True)]
    assert plans[0] is plans[2] is not plans[1]
    assert [len(plan.spots) for plan in plans[:2]] == [1, 0]


async def test_registered_documents_are_planned_before_anyone_asks(fresh_world: World) -> None:
    good, stale = LOOKUP.format(alias="customer"), "{ aFieldThatIsGone }"
    stores = list(fresh_world.house.stores.values())
    for source in (good, stale):
        await register_document(stores, "lookup", source, datetime.now(UTC))
    with capture_logs() as logs:
        await fresh_world.front.plan_registered()
    assert [entry["code"] for entry in logs] == ["GRAPHQL_VALIDATION_FAILED"]
    kept = fresh_world.front.documents.registered
    assert [*kept] == [hash_of(good)]
    assert [len(prepared.plans) for prepared in kept[hash_of(good)].operations.values()] == [1]
    request = GraphqlRequest(None, hash_of(good), variables={"number": NUMBERS["many"]})
    assert json.loads((await fresh_world.front.answer(request, CARE)).body)["data"]["customer"]["id"]


async def test_one_registered_later_is_found_and_kept(fresh_world: World) -> None:
    source = LOOKUP.format(alias="later")
    request = GraphqlRequest(None, hash_of(source), variables={"number": NUMBERS["many"]})
    with pytest.raises(RequestInvalid, match="No document with this hash"):
        await fresh_world.front.answer(request, CARE)
    await register_document(list(fresh_world.house.stores.values()), "later", source, datetime.now(UTC))
    await fresh_world.front.answer(request, CARE)
    assert [*fresh_world.front.documents.registered] == [hash_of(source)]


async def test_a_plan_in_words_tells_what_it_may_cost(documents: Documents) -> None:
    told = explain(
        documents,
        """query($region: Region!, $first: Int!) @purpose(id: "service.care") {
          customers(where: { region: $region }) { edges { node { formattedName bills(first: $first) { billNo } } } }
          customer(number: "x") { usageMonths(first: 3) { month } usageDetails: usage { edges { node { quantity } } } }
        }""",
    )
    assert "customers: it may return 1,040 values, of 20,000 that are allowed" in told
    assert "Query.customers: 20 rows at most, 100 could be asked for" in told
    assert "Customer.bills: 50 rows at most, 50 could be asked for" in told, "a variable may say so"
    assert "customer: it may return 25 values" in told
    for shown in ("statement by region:", "statement by number:", "statement by link:", "$1 = "):
        assert shown in told
    assert "customers.edges.*.node.bills.*.billNo  [billing.amount]" in told
    assert "customer.usageDetails.edges.*.node.quantity  [usage.record]" in told
