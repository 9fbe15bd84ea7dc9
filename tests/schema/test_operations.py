"""Golden operations: beside each document its answers, the statements it runs and how PostgreSQL runs them.

`CDP_UPDATE_GOLDEN=1` writes the files anew, for a person to read the difference; CI never does.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from schema.plan.operation import Operation
from tests.schema.comparing import difference
from tests.schema.knowing import known
from tests.schema.people import NUMBERS
from tests.schema.reference import Reference
from tests.schema.world import CARE, World

pytestmark = pytest.mark.asyncio(loop_scope="session")
FOLDER = Path(__file__).parent / "operations"
UPDATE = os.environ.get("CDP_UPDATE_GOLDEN") == "1"
PLANNED_BY = 18
"""Plans are compared on this major version of PostgreSQL alone."""

B, HK_B, MANY = ({"number": NUMBERS[name]} for name in ("b-cn", "b-hk", "many"))
READS: Mapping[str, Sequence[dict[str, Any]]] = {
    "profile": [B, HK_B, MANY],
    "customers_of_region": [{"region": "CN-GD"}, {"region": "HK"}],
    "nested_lists": [MANY],
    "usage_page": [MANY | {"first": 3}, B | {"first": 0}],
    "node": [],
    "story_a": [MANY],
    "profiling": [MANY, B],
    "two_customers": [{"one": NUMBERS["b-hk"], "other": NUMBERS["minor"]}],
    "by_identifier": [{"document": "440106198802290029"}],
    "restricted": [{"number": NUMBERS["restricted"]}],
    "holders": [
        MANY | {"date": "2025-02-01"},
        MANY | {"date": "2025-01-01"},
        {"number": NUMBERS["many-3"], "date": "2025-02-01"},
        {"number": NUMBERS["solo"], "date": "2025-01-03"},
    ],
    "explained": [MANY, B],
    "payer": [{"number": NUMBERS["many-2"]}],
    "marketing": [{"number": NUMBERS["solo"], "at": "2025-01-20T00:00:00Z"}, MANY],
}
SUBJECT = {"subject": {"number": NUMBERS["b-hk"]}}
ORDERS: Mapping[str, Sequence[dict[str, Any]]] = {
    "log_interaction": [
        {"input": SUBJECT | {"channel": "app", "direction": "OUTBOUND", "reason": "call back", "note": "回电"} | at}
        for at in ({"at": "2025-03-01T08:00:00Z", "eventId": "o-1"}, {"at": "2025-03-01T08:00:00Z", "eventId": "o-1"})
    ],
    "withdraw_consent": [
        {
            "input": {
                "subject": {"number": NUMBERS["b-hk"]},
                "region": "CN-GD",
                "purpose": "service",
                "destination": "HK",
            }
        },
        {
            "input": {
                "subject": {"number": NUMBERS["b-cn"]},
                "purpose": "service",
                "destination": "HK",
                "eventId": "o-2",
            }
        },
    ],
}


@pytest.mark.parametrize("name", READS)
async def test_a_read(world: World, reference: Reference, name: str) -> None:
    asked = [*READS[name]]
    if name == "node":
        ids = (await known(world, reference.schema, CARE)).ids
        asked = [{"id": ids[of][-5 if of == "Case" else 2]} for of in ("Case", "CustomerBill", "Customer")]
    await compare(world, name, asked)
    for variables in asked:
        assert await difference(world, reference, source_of(name), CARE, variables) is None


@pytest.mark.parametrize("name", ORDERS)
async def test_an_order(fresh_world: World, name: str) -> None:
    await compare(fresh_world, name, ORDERS[name])


async def test_every_document_is_run() -> None:
    assert {path.stem for path in FOLDER.glob("*.graphql")} == {*READS, *ORDERS}


async def compare(world: World, name: str, asked: Sequence[dict[str, Any]]) -> None:
    """Ask, and hold answers, statements and plans against the files."""
    source = source_of(name)
    answers = [
        {"variables": variables, "answer": json.loads(await world.ask(source, CARE, variables))} for variables in asked
    ]
    text = without_tokens(json.dumps(answers, ensure_ascii=False, indent=1))
    same(FOLDER / f"{name}.json", f"{text}\n")
    statements = statements_of(world, source)
    same(FOLDER / f"{name}.sql", "".join(f"-- by {kind}\n{sql}\n\n" for kind, sql in statements.items()))
    plans = {kind: await plan_of(world, sql) for kind, sql in statements.items()}
    if None not in plans.values():
        same(FOLDER / f"{name}.plan.txt", "".join(f"-- by {kind}\n{plan}\n\n" for kind, plan in plans.items()))


def source_of(name: str) -> str:
    return (FOLDER / f"{name}.graphql").read_text()


def same(path: Path, found: str) -> None:
    """The file says what was found; it is written where that is asked for, and where nobody is CI."""
    if UPDATE:
        assert "CI" not in os.environ, "golden files are written by people who read them"
        path.write_text(found)
    assert path.read_text() == found


def statements_of(world: World, source: str) -> dict[str, str]:
    """Key kinds of a statement's roots -> its text, for all statements the document has run so far."""
    prepared = world.front.documents.get(source).operations.values()
    plans: Sequence[Operation] = [plan for one in prepared for plan in one.plans.values()]
    found = {
        " and ".join(way.kind.value for way in roots): statement.text
        for plan in plans
        for roots, statement in plan.statements.items()
    }
    return dict(sorted(found.items()))


async def plan_of(world: World, sql: str) -> str | None:
    """How PostgreSQL runs a statement, whatever its parameters; None on another version."""
    async with world.house.stores["cn"].transaction() as connection:
        if connection.get_server_version().major != PLANNED_BY:
            return None
        # The world is so small that reading whole tables is cheapest; what matters is which index serves.
        for way in ("seqscan", "hashjoin", "mergejoin"):
            await connection.execute(f"SET LOCAL enable_{way} = off")
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE golden AS {sql}")
        nothing = ", ".join(["NULL"] * max(int(number) for number in re.findall(r"\$(\d+)", sql)))
        rows = await connection.fetch(f"EXPLAIN (COSTS OFF) EXECUTE golden ({nothing})")
        await connection.execute("DEALLOCATE golden")
    return "\n".join(row[0] for row in rows)


def without_tokens(text: str) -> str:
    """Ids, cursors and audit ids, which hang on random keys, numbered in the order in which they appear."""
    numbers: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return f'"{match[1]}": "{numbers.setdefault(match[2], f"<token {len(numbers) + 1}>")}"'

    return re.sub(r'"(id|cursor|startCursor|endCursor|auditId)": "([^"]+)"', number, text)
