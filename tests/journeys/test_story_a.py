"""Story A over HTTP: a line came back, what relies on it did not, and every desk can see it and open the one case."""

from graphql import GraphQLEnumType, GraphQLObjectType, get_named_type

from cdp.demo.cast import STILL_OFF_NUMBER
from schema.declaration import declare, graphql_schema
from tests.journeys.world import World

PRODUCTS = """
query Products($number: String!) @purpose(id: "service.care") {
  customer(number: $number) {
    products { kind status statusReason statusAt reliesOn { kind status statusAt } }
    topUps(first: 1) { state amount { value unit } }
  }
}
"""
OPEN = """
mutation Open($number: String!) @purpose(id: "service.care") {
  openCase(input: {
    subject: { number: $number }, ticketType: fault, channel: "WEB", owner: "desk-web", description: "still off"
  }) {
    outcome { status code field }
    customer { cases(first: 1) { ticketType severity status owner description } }
  }
}
"""


async def test_the_product_that_is_still_off_is_seen_with_what_it_relies_on(world: World) -> None:
    found = (await world.ask(PRODUCTS, number=STILL_OFF_NUMBER))["data"]["customer"]
    by_kind = {one["kind"]: one for one in found["products"]}

    assert by_kind["LINE"]["status"] == "active"
    messaging = by_kind["MESSAGING"]
    assert (messaging["status"], messaging["statusReason"]) == ("suspended", "ARREARS")
    (line,) = messaging["reliesOn"]
    assert (line["kind"], line["status"]) == ("LINE", "active")
    assert line["statusAt"] > messaging["statusAt"]
    assert found["topUps"] == [{"state": "POSTED", "amount": {"value": "50.00", "unit": "CNY"}}]


async def test_a_case_is_opened_with_what_the_schema_takes_for_granted(world: World) -> None:
    opened = (await world.ask(OPEN, number=STILL_OFF_NUMBER))["data"]["openCase"]

    assert opened["outcome"] == {"status": "ACCEPTED", "code": None, "field": None}
    assert opened["customer"]["cases"] == [
        {
            "ticketType": "fault",
            "severity": "MEDIUM",
            "status": "OPEN",
            "owner": "desk-web",
            "description": "still off",
        }
    ]


async def test_what_is_answered_is_a_word_of_its_enum(world: World) -> None:
    """Asked of everybody: a word that is stored otherwise would break the clients that generate code."""
    types = graphql_schema(declare()).type_map
    asked = {
        "products": ("Product", "status"),
        "accounts": ("BillingAccount", "ratingType"),
        "holdings": ("NumberHolding", "state"),
        "bills": ("CustomerBill", "state"),
        "topUps": ("TopUp", "state"),
        "cases": ("Case", "ticketType"),
        "interactions": ("PartyInteraction", "direction"),
        "consents": ("Consent", "type"),
    }
    fields = " ".join(f"{name} {{ word: {field} }}" for name, (_, field) in asked.items())
    found = await world.ask(
        f'{{ customers(where: {{ region: "CN-GD" }}) {{ edges {{ node {{ {fields} }} }} }} }}'.replace(
            "{", 'query @purpose(id: "service.care") {', 1
        )
    )

    nodes = [edge["node"] for edge in found["data"]["customers"]["edges"]]
    assert len(nodes) == 2
    for name, (type_name, field) in asked.items():
        words = {one["word"] for node in nodes for one in node[name]}
        of = types[type_name]
        assert isinstance(of, GraphQLObjectType)
        enum = get_named_type(of.fields[field].type)
        assert isinstance(enum, GraphQLEnumType)
        assert words, name
        assert words <= set(enum.values), name
