"""One number, several people: who uses it, in whose name it is, who pays, who looks after it."""

import json
from typing import Any, Final

from graphql import GraphQLObjectType, get_named_type

from schema.declaration import declare, graphql_schema
from tests.journeys.world import APP, World, event

NUMBER: Final = "+8613600003333"
PEOPLE: Final = {
    "USER": ("R-USER", "小用户"),
    "REGISTERED_HOLDER": ("R-HOLDER", "登记人"),
    "PAYER": ("R-PAYER", "付款人"),
    "GUARDIAN": ("R-GUARDIAN", "监护人"),
    "ORG_ADMIN": ("R-ADMIN", "管理员"),
}
NAME: Final = """query($number: String!, $role: HoldingRole) @purpose(id: "service.care") {
  customer(number: $number, role: $role) { formattedName } }"""
BUCKETS: Final = """query($number: String!) @purpose(id: "service.billing") {
  customer(number: $number, role: PAYER) {
    buckets { bucketRef usageType isShared remainingValue { value unit } validFor { start end } }
    holdings { number role buckets { bucketRef remainingValue { value } } } } }"""
COUNTERPARTY: Final = "+8613912340000"


def happened(name: str, key: str, day: int, /, **fields: Any) -> dict[str, Any]:
    one = event(name, "CN-GD", {"customerKey": key}, f"2025-05-{day:02}T08:00:00Z", **fields)
    return one | {"eventId": f"{name}-{key}-{day}-{len(fields)}"}


async def begin(world: World, *roles: str) -> None:
    """The people of a number in these roles; its user calls, and complains."""
    for role in roles:
        key, name = PEOPLE[role]
        await world.tell(
            happened("CustomerRegistered", key, 1, name=name, kind="INDIVIDUAL", email=f"{key}@example.cn"),
            happened("NumberActivated", key, 2, number=NUMBER, role=role),
        )


async def use(world: World) -> None:
    """What the user of the number did, and what is left of what the payer gave them and of what is their own."""
    user, payer = PEOPLE["USER"][0], PEOPLE["PAYER"][0]
    call = {"usageType": "VOICE", "quantity": "61", "units": "seconds", "counterparty": COUNTERPARTY}
    said = {"channel": "HOTLINE", "direction": "INBOUND", "reason": "家里的事", "note": "不要告诉别人"}
    own = {"bucketRef": "own", "usageType": "SMS", "remaining": "12", "units": "messages", "number": NUMBER}
    family = {"bucketRef": "family", "usageType": "DATA", "units": "megabytes", "number": NUMBER, "isShared": True}
    await world.tell(
        happened("UsageRecorded", user, 5, **call),
        happened("UsageSummarized", user, 6, month="2025-04", voiceSeconds=4242),
        happened("InteractionLogged", user, 7, interactionRef="R-1", **said),
        happened("BucketReported", user, 8, **own),
        happened("BucketReported", payer, 8, remaining="300", validFrom="2025-05-01T00:00:00Z", **family),
        happened("BucketReported", payer, 9, remaining="200", **family),
    )


async def test_each_role_has_its_customer_and_none_stands_for_another(world: World) -> None:
    await begin(world, *PEOPLE)
    for role, (_, name) in PEOPLE.items():
        assert (await world.ask(NAME, number=NUMBER, role=role))["data"]["customer"]["formattedName"] == name
    assert (await world.ask(NAME, number=NUMBER))["data"]["customer"]["formattedName"] == "小用户"


async def test_a_number_without_a_user_stands_for_its_registered_holder_and_for_nobody_else(world: World) -> None:
    await begin(world, "PAYER", "GUARDIAN", "ORG_ADMIN")
    assert (await world.ask(NAME, number=NUMBER))["data"]["customer"] is None
    await begin(world, "REGISTERED_HOLDER")
    assert (await world.ask(NAME, number=NUMBER))["data"]["customer"]["formattedName"] == "登记人"
    assert (await world.ask(NAME, number=NUMBER, role="USER"))["data"]["customer"] is None


async def test_a_payer_sees_what_is_left_of_what_they_share(world: World) -> None:
    await begin(world, "USER", "PAYER")
    await use(world)
    found = (await world.ask(BUCKETS, APP._replace(purposes=frozenset({"service.billing"})), number=NUMBER))["data"][
        "customer"
    ]
    assert found["buckets"] == [
        {
            "bucketRef": "family",
            "usageType": "DATA",
            "isShared": True,
            "remainingValue": {"value": str(200 << 20), "unit": "bytes"},
            "validFor": None,
        }
    ]
    assert found["holdings"] == [
        {
            "number": NUMBER,
            "role": "PAYER",
            "buckets": [{"bucketRef": "family", "remainingValue": {"value": str(200 << 20)}}],
        }
    ]


async def test_no_path_leads_from_a_payer_to_what_the_user_did(world: World) -> None:
    """Everything that can be asked of the payer is asked, three levels deep, and nothing of the user's is in it."""
    await begin(world, *PEOPLE)
    await use(world)
    everything = f"""query($number: String!, $role: HoldingRole) @purpose(id: "service.care") {{
      customer(number: $number, role: $role) {every_field("Customer", 3)} }}"""
    of_user = json.dumps((await world.ask(everything, number=NUMBER, role="USER"))["data"], ensure_ascii=False)
    secrets = (COUNTERPARTY, "小用户", "R-USER", "家里的事", "不要告诉别人", '"own"', '"voiceMinutes": 71')
    assert [secret for secret in secrets if secret not in of_user] == [], "there is something to find"
    for role in ("PAYER", "GUARDIAN", "ORG_ADMIN", "REGISTERED_HOLDER"):
        answer = json.dumps((await world.ask(everything, number=NUMBER, role=role))["data"], ensure_ascii=False)
        assert [secret for secret in secrets if secret in answer] == []
        assert PEOPLE[role][1] in answer


async def test_a_released_number_takes_the_payer_along(world: World) -> None:
    await begin(world, "USER", "PAYER")
    await use(world)
    await world.tell(happened("NumberReleased", PEOPLE["USER"][0], 20, number=NUMBER))
    assert (await world.ask(NAME, number=NUMBER, role="PAYER"))["data"]["customer"] is None


def every_field(of: str, depth: int) -> str:
    """A selection of all fields of a type, with their defaults."""
    type_ = graphql_schema(declare()).type_map[of]
    assert isinstance(type_, GraphQLObjectType)
    picked = []
    for name, field in type_.fields.items():
        inner = get_named_type(field.type)
        if not isinstance(inner, GraphQLObjectType):
            picked.append(name)
        elif depth or not any(isinstance(get_named_type(one.type), GraphQLObjectType) for one in inner.fields.values()):
            arguments = "(first: 3)" if "first" in field.args else ""
            picked.append(f"{name}{arguments} {every_field(inner.name, depth - 1)}")
    return f"{{ {' '.join(picked or ['__typename'])} }}"
