"""What is held of a person, in one archive for them: every store and table as JSON and CSV, and an index to read.

Made for a request for access or portability, under the permit of the purpose `legal.access` in each store's own
jurisdiction; written down in the audit trail before the file is there, and in the request when it is.
"""

import asyncio
import csv
import io
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import LargeBinary, Table

from cdp.admission import Duty, on_duty
from cdp.app import writer_of
from cdp.auth import Caller
from cdp.consent.policy_rows import read_policy
from cdp.consent.reads import facts_of
from cdp.dead_letters import ORDERED
from cdp.errors import RequestInvalid
from cdp.gate import Places
from cdp.global_ids import GlobalId, read_id
from cdp.house import House
from cdp.identity.honey import Watch
from cdp.identity.reads import linked_customer
from cdp.ingest import Status, ingest
from cdp.key_store import keep_up, key_rows
from cdp.officer.exports import no_formula
from cdp.rendering import text_of
from cdp.rights.kept import KEPT
from cdp.stores import Connection
from cdp.tables import bound_to, dead_letter, metadata
from privacy.errors import PrivacyError
from privacy.seal import Opener, Sealed
from privacy.vocabulary import CATEGORIES, SELF, CustomerState

ACCESS: Final = "legal.access"
CLIENT: Final = "cdp privacy export"
KINDS: Final = {"ACCESS": "查阅", "PORTABILITY": "转移"}
"""Requests that an archive answers, and what they are called in it."""
READY: Final = ("VERIFIED", "IN_PROGRESS")

REQUEST = "SELECT kind, region, state FROM privacy_request WHERE customer_id = $1 AND request_id = $2"
RECORDS = """
SELECT c.customer_id, c.state FROM customer AS first
JOIN customer AS c ON c.customer_id = ANY(coalesce(first.cluster, ARRAY[first.customer_id]))
WHERE first.customer_id = $1 AND c.state = ANY($2::text[]) ORDER BY c.customer_id
"""
LINKS = "SELECT other_store, token FROM link WHERE customer_id = ANY($1::uuid[]) AND state = 'ACTIVE'"
KEYS = "SELECT retention, generation, epoch, wrapped FROM data_key WHERE customer_id = $1"
# Of a number, what was refused while it was theirs.
LETTERS = """
WITH mine AS (
    SELECT customer_id, identifier_tag AS tag, '-infinity'::timestamptz AS since, NULL AS until FROM identifier_index
    UNION ALL SELECT customer_id, number_tag, valid_from, valid_to FROM number_index
    UNION ALL SELECT customer_id, uuid_send(customer_id), '-infinity', NULL FROM customer
)
SELECT DISTINCT ON (first_at, dead_letter_id) m.customer_id, l.* FROM mine AS m JOIN dead_letter AS l
    ON subject_tag = tag AND last_at >= since AND (until IS NULL OR first_at < until)
WHERE m.customer_id = ANY($1::uuid[]) ORDER BY first_at, dead_letter_id, m.customer_id
"""
READABLE: Final = [CustomerState.ACTIVE.value, CustomerState.RESTRICTED.value]

log = structlog.get_logger()


@dataclass(slots=True)
class Found:
    """The rows of one table of one store, opened; `closed` counts cells that may not be opened, or do not."""

    store: str
    table: Table
    columns: Sequence[str]
    rows: list[dict[str, Any]] = field(default_factory=list)
    closed: int = 0


async def export(house: House, request: str, file: Path) -> str:
    """Writes the archive that a request (by its opaque id) asks for and completes the request; the archive's SHA-256.

    Raises RequestInvalid for a request that is not there, not verified or of another kind, and where the file exists;
    AuthError CLIENT_SUSPENDED where the person is nobody.
    """
    place = read_id(house.tokens, SELF, request)
    if place is None or place.type_name != "PrivacyRequest" or place.store not in house.stores:
        raise RequestInvalid("ID_UNKNOWN", "--request: expected the id of a privacy request")
    async with house.stores[place.store].read() as connection:
        asked = await connection.fetchrow(REQUEST, place.customer_id, place.row_id)
    if asked is None or asked["kind"] not in KINDS or asked["state"] not in READY:
        raise RequestInvalid("REQUEST_NOT_READY", f"expected {' or '.join(KINDS)} in state {' or '.join(READY)}")
    if not await asyncio.to_thread(file.parent.is_dir):
        raise RequestInvalid("FOLDER_ABSENT", f"{file.parent}: expected a folder that is there")
    if await asyncio.to_thread(file.exists):
        raise RequestInvalid("FILE_EXISTS", f"{file} is there already")
    now = datetime.now(UTC)
    found = [one async for one in _everything(house, place, now, given_only=asked["kind"] == "PORTABILITY")]
    watch = Watch(house.stores, house.trails)
    await watch.look_everywhere()
    await watch.look_over_these(
        Caller(CLIENT), {(one.store, row["customer_id"]) for one in found for row in one.rows}, now
    )
    content = archive_of(found, asked["kind"], now)
    digest = sha256(content).hexdigest()
    await _write_down(house, found, place, digest, now)
    await asyncio.to_thread(_write, file, content)
    try:
        await _complete(house, place, asked, digest, now)
    except RequestInvalid:  # refused meanwhile, or whoever it was for is gone: it is nobody's
        await asyncio.to_thread(file.unlink)
        raise
    return digest


def archive_of(found: Sequence[Found], kind: str, now: datetime) -> bytes:
    """The archive: `index.html`, and per store and table one JSON and one CSV file."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.html", _index(found, kind, now))
        for one in found:
            name = f"{one.store}/{one.table.name}"
            archive.writestr(f"{name}.json", json.dumps(one.rows, ensure_ascii=False, indent=1, default=text_of))
            text = io.StringIO()
            rows = csv.DictWriter(text, one.columns)
            rows.writeheader()
            rows.writerows({key: _flat(value) for key, value in row.items()} for row in one.rows)
            # A spreadsheet knows by its first bytes that it is UTF-8.
            archive.writestr(f"{name}.csv", text.getvalue().encode("utf-8-sig"))
    return made.getvalue()


def exported(*, given_only: bool) -> Iterator[Table]:
    """The tables that are handed out; keys are not, they are what protects the rest."""
    for name, kept in KEPT.items():
        table = metadata.tables[name]
        if name != "data_key" and "customer_id" in table.columns and (kept.given or not given_only):
            yield table


async def _everything(house: House, place: GlobalId, now: datetime, *, given_only: bool) -> Any:
    """The tables of every store in which the person is known: their records there, joined and linked."""
    firsts = {place.store: place.customer_id}
    async with house.stores[place.store].read() as connection:
        records = [row[0] for row in await connection.fetch(RECORDS, place.customer_id, READABLE)]
        links = await connection.fetch(LINKS, records)
    for other, token in links:
        if other in house.stores:
            async with house.stores[other].read() as connection:
                if (linked := await linked_customer(connection, token)) is not None:
                    firsts[other] = linked
    for store, first in firsts.items():
        async with house.stores[store].snapshot() as connection:
            openers = await _openers(connection, house, store, first, now)
            for table in exported(given_only=given_only):
                yield await _rows(connection, house, Found(store, table, _shown(table)), openers)
            if not given_only:
                yield await _letters(connection, store, list(openers))


async def _openers(connection: Connection, house: House, store: str, first: UUID, now: datetime) -> dict[UUID, Opener]:
    """Each record of the person in a store, with what opens its cells."""
    policy, duty = await read_policy(connection), Duty(ACCESS, house.stores[store].jurisdiction, now)
    ring = house.rings[store]
    records = await connection.fetch(RECORDS, first, READABLE)
    await keep_up(connection, ring)
    openers = {}
    async with key_rows(connection, ring) as rows:
        for customer_id, state in records:
            permit = on_duty(policy, duty, facts_of(customer_id, state, (), ()), tuple(CATEGORIES))
            keys = [tuple(key) for key in await rows.fetch(KEYS, customer_id)]
            openers[customer_id] = Opener(permit, ring, customer_id, keys)
    return openers


async def _rows(connection: Connection, house: House, found: Found, openers: dict[UUID, Opener]) -> Found:
    table, places = found.table, Places(house.settings.tenant, found.store)
    key = bound_to(table)
    cells = {name: table.columns[name].info["sealed"] for name in found.columns if "sealed" in table.columns[name].info}
    statement = f'SELECT t.* FROM "{table.name}" AS t WHERE customer_id = ANY($1::uuid[]) ORDER BY t'  # noqa: S608 -- a declared table
    for row in await connection.fetch(statement, list(openers)):
        shown = {name: row[name] for name in found.columns}
        for name in [name for name in cells if shown[name] is not None]:
            try:
                opener = openers[row["customer_id"]]
                shown[name] = opener.open(Sealed(row[name]), places.of(cells[name]), row[key])
            except PrivacyError as broken:
                log.warning("cell_unopened", store=found.store, column=cells[name].uid, code=broken.code)
                shown[name], found.closed = None, found.closed + 1
        found.rows.append(shown)
    return found


async def _letters(connection: Connection, store: str, customers: Sequence[UUID]) -> Found:
    """What was refused of the person, without what is in it: that may be of somebody else as well, and is withheld."""
    shown = [name for name in _shown(dead_letter) if name != dead_letter.c.body.name]
    found = Found(store, dead_letter, ["customer_id", *shown])
    found.rows = [{name: row[name] for name in found.columns} for row in await connection.fetch(LETTERS, customers)]
    found.closed = len(found.rows)
    return found


def _shown(table: Table) -> list[str]:
    """The columns that are handed out: all but tags and tokens, which tell a person nothing."""
    return [
        column.name for column in table.columns if "sealed" in column.info or not isinstance(column.type, LargeBinary)
    ]


def _flat(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(text_of(each) for each in value)
    return "" if value is None else no_formula(text_of(value))


def _index(found: Sequence[Found], kind: str, now: datetime) -> str:
    lines = [
        f"<tr><td>{escape(KEPT[one.table.name].about)}</td><td>{escape(one.store)}</td><td>{len(one.rows)}</td>"
        f"<td>{one.closed or ''}</td><td><a href='{one.store}/{one.table.name}.json'>JSON</a> "
        f"<a href='{one.store}/{one.table.name}.csv'>CSV</a></td></tr>\n"
        for one in found
    ]
    return (
        "<!doctype html><meta charset=utf-8><title>Your data · 您的数据</title><h1>Your data · 您的数据</h1>\n"
        f"<p>Made for a request for {kind.lower()} on {now:%Y-%m-%d %H:%M} UTC. "
        f"应{KINDS[kind]}请求于 {now:%Y-%m-%d %H:%M} UTC 制作。</p>\n<table border=1><tr><th>What it is · 内容</th>"
        "<th>Store · 所在库</th><th>Rows · 条数</th><th>Values withheld · 未提供的值</th><th>Files · 文件</th></tr>\n"
        f"{''.join(lines)}</table>\n"
    )


async def _write_down(house: House, found: Sequence[Found], place: GlobalId, digest: str, now: datetime) -> None:
    """An entry in the trail of every store that something was taken from."""
    for store in sorted({one.store for one in found}):
        customers = {row["customer_id"] for one in found if one.store == store for row in one.rows}
        trail = house.trails[store]
        names = [trail.names.pseudonym(customer_id, now.year) for customer_id in sorted(customers)]
        entry = {"operation": "export", "client": "cdp", "purpose": ACCESS, "archive": digest, "customers": names}
        await trail.record(entry | {"request": str(place.row_id)})


def _write(file: Path, content: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)


async def _complete(house: House, place: GlobalId, asked: Any, digest: str, now: datetime) -> None:
    head = {
        "type": "PrivacyRequestAdvanced",
        "at": now.isoformat(),
        "region": asked["region"],
        "subject": {"customerId": str(place.customer_id)},
        "requestId": str(place.row_id),
    }
    begun = head | {"eventId": f"export-begun-{digest}", "state": "IN_PROGRESS"}
    done = head | {"eventId": f"export-done-{digest}", "state": "COMPLETED", "evidence": digest}
    for event in [begun, done] if asked["state"] == "VERIFIED" else [done]:
        [outcome] = await ingest(writer_of(house), [event], f"{ORDERED}export")
        if outcome.status is Status.REJECTED:
            raise RequestInvalid("REQUEST_NOT_READY", "the request went on while the archive was made")
