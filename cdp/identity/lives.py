"""Lives of numbers between `timeline` and the tables: all facts in, spans out, one number at a time.

Whoever changes a number's life takes its row in `known_number` first, in the order of the tags, and keeps it until the
commit: two writers never work out one life at once.
"""

from collections.abc import Mapping
from datetime import datetime

from cdp.identity.timeline import Fact, FactKind, Life, Span, life_of
from cdp.stores import Connection

KNOW = """
INSERT INTO known_number (number_tag, region) SELECT * FROM unnest($1::bytea[], $2::text[]) ON CONFLICT DO NOTHING
"""
TAKE = "SELECT FROM known_number WHERE number_tag = ANY($1::bytea[]) ORDER BY number_tag FOR UPDATE"
FACTS = """
SELECT number_tag, kind, at, event_id, customer_id, role, row_id FROM number_fact WHERE number_tag = ANY($1::bytea[])
"""
SAY = """
INSERT INTO number_fact (number_tag, kind, at, event_id, customer_id, role, row_id)
SELECT * FROM unnest($1::bytea[], $2::text[], $3::timestamptz[], $4::text[], $5::uuid[], $6::text[], $7::uuid[])
ON CONFLICT DO NOTHING
"""
# A number that only refused events spoke of is not known.
FORGET = """
DELETE FROM known_number k WHERE k.number_tag = ANY($1::bytea[])
  AND NOT EXISTS (SELECT FROM number_fact f WHERE f.number_tag = k.number_tag)
"""
INDEX = """
INSERT INTO number_index AS old (number_tag, holding_id, customer_id, role, valid_from, valid_to)
SELECT * FROM unnest($1::bytea[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::timestamptz[])
ON CONFLICT (number_tag, role, valid_from, holding_id) DO UPDATE SET valid_to = excluded.valid_to
WHERE old.valid_to IS DISTINCT FROM excluded.valid_to
"""
# What was believed before is kept with the span in which it was; what lasted no time was never believed.
HOLDINGS = """
WITH new AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::timestamptz[], $6::uuid[])
        AS new (customer_id, holding_id, valid_to, state, state_at, sim_id)
), changed AS (
    SELECT old.* FROM number_holding AS old JOIN new USING (customer_id, holding_id)
    WHERE (old.valid_to, old.state, old.state_at, old.sim_id)
        IS DISTINCT FROM (new.valid_to, new.state, new.state_at, new.sim_id)
), past AS (
    INSERT INTO number_holding_past
        (customer_id, holding_id, recorded_from, recorded_to, sim_id, state, state_at, valid_to)
    SELECT customer_id, holding_id, recorded_from, $7, sim_id, state, state_at, valid_to FROM changed
    WHERE recorded_from < $7
)
UPDATE number_holding AS h
SET valid_to = new.valid_to, state = new.state, state_at = new.state_at, sim_id = new.sim_id, recorded_from = $7
FROM changed JOIN new USING (customer_id, holding_id)
WHERE h.customer_id = changed.customer_id AND h.holding_id = changed.holding_id
"""
SERVED = """
UPDATE number_holding AS h SET serving_operator = k.serving_operator
FROM unnest($1::bytea[], $2::uuid[], $3::uuid[]) AS s (number_tag, customer_id, holding_id)
JOIN known_number AS k USING (number_tag)
WHERE h.customer_id = s.customer_id AND h.holding_id = s.holding_id
  AND h.serving_operator IS DISTINCT FROM k.serving_operator
"""
FREE = """
UPDATE known_number AS k SET free_since = new.free_since
FROM unnest($1::bytea[], $2::timestamptz[]) AS new (number_tag, free_since)
WHERE k.number_tag = new.number_tag AND k.free_since IS DISTINCT FROM new.free_since
"""


async def take(connection: Connection, numbers: Mapping[bytes, str]) -> dict[bytes, set[Fact]]:
    """All facts of these numbers (tag -> the region of a record), which are this writer's until the commit."""
    tags = sorted(numbers)
    await connection.execute(KNOW, tags, [numbers[tag] for tag in tags])
    await connection.execute(TAKE, tags)
    facts: dict[bytes, set[Fact]] = {tag: set() for tag in tags}
    for tag, kind, *said in await connection.fetch(FACTS, tags):
        facts[tag].add(Fact(FactKind(kind), *said))
    return facts


async def write_lives(
    connection: Connection, said: Mapping[bytes, set[Fact]], facts: Mapping[bytes, set[Fact]], now: datetime
) -> None:
    """Writes what was said (tag -> new facts) and the lives that follow from all `facts` of the numbers taken.

    The rows of the holdings must be there by then.
    """
    rows = [(tag, fact) for tag in sorted(said) for fact in sorted(said[tag], key=lambda fact: (fact.at, fact.kind))]
    if rows:
        columns = zip(
            *((tag, f.kind, f.at, f.event_id, f.customer_id, f.role, f.row_id) for tag, f in rows), strict=True
        )
        await connection.execute(SAY, *map(list, columns))
        await _write_spans(connection, {tag: life_of(facts[tag]) for tag in said}, now)
    if untold := sorted(facts.keys() - said.keys()):
        await connection.execute(FORGET, untold)


async def _write_spans(connection: Connection, lives: Mapping[bytes, Life], now: datetime) -> None:
    spans: list[tuple[bytes, Span]] = [(tag, span) for tag, life in sorted(lives.items()) for span in life.spans]
    if spans:
        index = [(tag, s.holding_id, s.customer_id, s.role, s.valid_from, s.valid_to) for tag, s in spans]
        await connection.execute(INDEX, *map(list, zip(*index, strict=True)))
        by_customer = sorted((s for _, s in spans), key=lambda s: (s.customer_id.int, s.holding_id.int))
        holdings = [(s.customer_id, s.holding_id, s.valid_to, s.state, s.state_at, s.sim_id) for s in by_customer]
        await connection.execute(HOLDINGS, *map(list, zip(*holdings, strict=True)), now)
        named = [(tag, s.customer_id, s.holding_id) for tag, s in spans]
        await connection.execute(SERVED, *map(list, zip(*named, strict=True)))
    await connection.execute(FREE, [*lives], [life.free_since for life in lives.values()])
