"""Cases over HTTP: whoever has one answers for it until another desk accepts; every desk sees the same."""

from typing import Any

from cdp.demo.cast import STILL_OFF_NUMBER
from tests.journeys.world import APP, HONG_KONG_NUMBER, NOBODYS, PARTNER, World

SEEN = """query Seen($number: String!) @purpose(id: "service.care") { customer(number: $number) {
  cases(first: 1) { id status owner offeredTo due customerToldAt rootCause textZh steps { step desk note } } } }"""
STEP = """mutation Step($input: %sInput!) @purpose(id: "service.care") { %s(input: $input) {
  outcome { status code field expected } customer { cases(first: 1) { status owner } } } }"""
OWNER, OTHER = "desk-hotline", "desk-CN-GD-service"


async def seen(world: World) -> dict[str, Any]:
    found = await world.ask(SEEN, number=STILL_OFF_NUMBER)
    [case] = found["data"]["customer"]["cases"]
    return dict(case)


async def step(world: World, order: str, desk: str, of: str = "CaseStep", **fields: Any) -> dict[str, Any]:
    given = {"case": (await seen(world))["id"], "desk": desk} | fields
    told = await world.ask(STEP % (of, order), input=given)
    return dict(told["data"][order])


async def test_a_case_is_handed_over_by_being_accepted_and_closed_by_telling(world: World) -> None:
    accepted = await step(world, "acceptCase", OWNER)
    assert accepted["customer"]["cases"] == [{"status": "ACCEPTED", "owner": OWNER}]
    await step(world, "transferCase", OWNER, "CaseTransfer", to=OTHER, note="计费不归本部门")
    found = await seen(world)
    assert (found["owner"], found["offeredTo"]) == (OWNER, OTHER)

    refused = await step(world, "resolveCase", OTHER)
    assert refused == {
        "outcome": {
            "status": "REJECTED",
            "code": "EVENT_INVALID",
            "field": "desk",
            "expected": "the desk that answers for the case",
        },
        "customer": None,
    }
    assert (await seen(world))["status"] == "ACCEPTED"
    await step(world, "acceptCase", OTHER)
    for order, desk in (("diagnoseCase", OTHER), ("resolveCase", OTHER)):
        assert (await step(world, order, desk))["outcome"]["status"] == "ACCEPTED"
    closing = {"rootCause": "RESUME_NOT_PROPAGATED"}
    early = await step(world, "closeCase", OTHER, "CaseClosing", **closing)
    assert (early["outcome"]["field"], early["outcome"]["expected"]) == (
        "caseId",
        "a case that is INFORMED or CONFIRMED",
    )
    for order in ("tellCustomer", "confirmCase"):
        assert (await step(world, order, "desk-shop"))["outcome"]["status"] == "ACCEPTED"
    await step(world, "closeCase", OTHER, "CaseClosing", **closing)

    found = await seen(world)
    assert (found["status"], found["owner"], found["rootCause"]) == ("CLOSED", OTHER, "RESUME_NOT_PROPAGATED")
    assert found["customerToldAt"] is not None
    assert [(one["step"], one["desk"]) for one in found["steps"]] == [
        ("ACCEPTED", OWNER),
        ("OFFERED", OWNER),
        ("ACCEPTED", OTHER),
        ("DIAGNOSED", OTHER),
        ("RESOLVED", OTHER),
        ("INFORMED", "desk-shop"),
        ("CONFIRMED", "desk-shop"),
        ("CLOSED", OTHER),
    ]
    assert found["steps"][1]["note"] == "计费不归本部门"
    assert found["textZh"] is None


async def test_a_case_for_a_number_has_the_owner_who_answers_for_it(world: World) -> None:
    """Nobody says who: the region of the number does, as `accountability` has it."""
    document = """mutation Open($number: String!) @purpose(id: "service.care") {
      openCase(input: { subject: { number: $number }, ticketType: fault, channel: "APP" }) {
        outcome { code } customer { cases(first: 1) { owner } } } }"""
    for number, desk in ((STILL_OFF_NUMBER, "desk-CN-GD"), (HONG_KONG_NUMBER, "desk-HK"), (NOBODYS[0], None)):
        told = (await world.ask(document, number=number))["data"]["openCase"]
        assert told["customer"] == (desk and {"cases": [{"owner": desk}]})
        assert told["outcome"] == {"code": None if desk else "UNKNOWN_CUSTOMER"}


async def test_a_step_is_not_for_partners_nor_for_what_is_no_case(world: World) -> None:
    document = STEP % ("CaseStep", "acceptCase")
    await world.register(document)
    case, before = (await seen(world))["id"], await world.counts()
    asked = {"variables": {"input": {"case": case, "desk": OWNER}}}
    response = await world.post({"query": document} | asked, PARTNER)
    assert response.json()["errors"]
    wrong = {"variables": {"input": {"case": "nonsense", "desk": OWNER}}}
    response = await world.post({"query": document} | wrong, APP)
    assert response.json()["errors"][0]["extensions"]["code"] == "ID_UNKNOWN"
    assert await world.counts() == before
    assert (await seen(world))["status"] == "OPEN"
