"""After the keys are gone: rows are deleted table by table, the ledger is written, and a certificate says what went.

Every step is a transaction of its own that may be repeated: whoever is stopped anywhere goes on where it was.
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from cdp.audit import AuditTrail
from cdp.erasure.erase import Erasure, deleted, erase
from cdp.erasure.ledger import Ledger, Line
from cdp.identity.tables import customer
from cdp.rights.kept import KEPT, Goes
from cdp.rights.terms import read_terms
from cdp.stores import Connection, Store
from privacy.keys import KeyRing
from privacy.log import canonical
from privacy.vocabulary import CustomerState, RetentionClass

AT_ONCE: Final = 1_000
NEVER: Final = "to_timestamp(0)"
SWEPT: Final = [name for name in reversed(KEPT) if KEPT[name].goes is Goes.ROWS]
CELLS: Final = ", ".join(f"{column.name} = NULL" for column in customer.columns if "sealed" in column.info)

UNFINISHED = "SELECT * FROM erasure WHERE finished_at IS NULL ORDER BY erased_at LIMIT $1"
# What no longer says anything about anybody; the epoch marks a row that was emptied.
BLANK = f"""
UPDATE customer SET {CELLS}, gender = NULL, is_minor = false, kind = 'INDIVIDUAL', status = 'TERMINATED', tier = 'LOW',
    registered_at = {NEVER}, profile_at = {NEVER}, status_at = {NEVER}, tier_at = {NEVER},
    named_at = {NEVER}, email_at = {NEVER}
WHERE customer_id = $1 AND (registered_at > {NEVER} OR profile_at > {NEVER})
"""  # noqa: S608 -- the names are those of our own columns
REPORT = "SELECT table_name, row_count FROM erased_rows WHERE customer_id = $1 ORDER BY table_name"
CLOSE = "UPDATE customer SET state = $2 WHERE customer_id = $1 AND state = $3"
COMPLETE = """
UPDATE privacy_request SET state = 'COMPLETED', state_at = $3, evidence = $4
WHERE customer_id = $1 AND request_id = $2 AND state <> 'COMPLETED'
"""
FINISH = """
UPDATE erasure SET finished_at = $3, certificate = $4
WHERE customer_id = $1 AND gone = $2 AND finished_at IS NULL RETURNING customer_id
"""
KNOWN = """
SELECT c.customer_id, e.gone FROM customer AS c JOIN erasure AS e USING (customer_id)
WHERE c.customer_id = ANY($1::uuid[]) AND c.state = ANY($2::text[])
"""
KEYS_BACK = """
DELETE FROM data_key USING unnest($1::uuid[], $2::text[]) AS gone (owner, kept)
WHERE customer_id = gone.owner AND retention = gone.kept RETURNING customer_id
"""
# A backup from before the customer came: their events must find that they are gone.
TOMBSTONE = f"""
INSERT INTO customer
    (customer_id, region, kind, state, registered_at, is_minor, profile_at, status, status_at, tier, tier_at)
VALUES ($1, $2, 'INDIVIDUAL', 'ERASING', {NEVER}, false, {NEVER}, 'TERMINATED', {NEVER}, 'LOW', {NEVER})
ON CONFLICT DO NOTHING
"""  # noqa: S608 -- nothing of it comes from outside
GONE: Final = [CustomerState.ERASING.value, CustomerState.ERASED.value]


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Who finishes the erasures of one store; backups are clean `backup_days` after one."""

    store: Store
    ring: KeyRing
    trail: AuditTrail
    ledger: Ledger
    backup_days: int

    async def sweep(self) -> int:
        """Finishes every erasure that was begun; how many."""
        finished = 0
        while True:
            async with self.store.read() as connection:
                begun = await connection.fetch(UNFINISHED, AT_ONCE)
            for row in begun:
                await self._finish(row)
            finished += len(begun)
            if len(begun) < AT_ONCE:
                return finished

    async def replay(self) -> int:
        """Erases again whoever is in the ledger and, after a restore, in the store or among the keys once more; how
        many.
        """
        lines = await asyncio.to_thread(lambda: list(self.ledger.lines()))
        again = 0
        for start in range(0, len(lines), AT_ONCE):
            some = lines[start : start + AT_ONCE]
            async with self.store.read() as connection:
                rows = await connection.fetch(KNOWN, [line.customer_id for line in some], GONE)
            erased = {customer_id: set(json.loads(gone)) for customer_id, gone in rows}
            back = [line for line in some if not erased.get(line.customer_id, set()).issuperset(line.gone)]
            known = {line.customer_id for line in back if line.customer_id not in erased}
            for line in back:
                async with self.store.transaction() as connection:
                    await self._again(connection, line)
            # Keys in a database of their own come back without the customer they are of.
            gone = [(line.customer_id, name) for line in some for name in line.gone]
            columns = [owner for owner, _ in gone], [name for _, name in gone]
            async with self.store.keys.transaction() as connection:
                known |= {row[0] for row in await connection.fetch(KEYS_BACK, *columns)}
            again += len(known)
        return again

    async def _again(self, connection: Connection, line: Line) -> None:
        terms = await read_terms(connection, self.store.jurisdiction)
        await connection.execute(TOMBSTONE, line.customer_id, line.region)
        await erase(connection, self.ring, Erasure(line.customer_id, line.at, line.request_id, line.gone), terms)

    async def _finish(self, row: Any) -> None:
        customer_id, gone, now = row["customer_id"], json.loads(row["gone"]), datetime.now(UTC)
        for name in SWEPT:
            if KEPT[name].retention in gone:
                statement = f'DELETE FROM "{name}" WHERE customer_id = $1'  # noqa: S608 -- a declared table
                async with self.store.transaction() as connection:
                    await deleted(connection, customer_id, name, statement, customer_id)
        async with self.store.transaction() as connection:
            if RetentionClass.IDENTITY in gone:
                await deleted(connection, customer_id, "customer", BLANK, customer_id)
            report = dict(await connection.fetch(REPORT, customer_id))
        await self._write_down(row, gone, now)
        certificate = self._certificate(row, gone, report, now)
        async with self.store.transaction() as connection:
            if await connection.fetchval(FINISH, customer_id, row["gone"], now, certificate) is None:
                return  # another worker was first, or more has to go meanwhile
            await connection.execute(CLOSE, customer_id, CustomerState.ERASED.value, CustomerState.ERASING.value)
            evidence = sha256(certificate.encode()).hexdigest()
            await connection.execute(COMPLETE, customer_id, row["request_id"], now, evidence)

    async def _write_down(self, row: Any, gone: Sequence[str], now: datetime) -> None:
        """What must be known before anybody is told: the ledger for the next restore, and the audit trail."""
        line = Line(row["customer_id"], now, tuple(gone), row["region"], row["request_id"])
        await asyncio.to_thread(self.ledger.append, line)
        name = self.trail.names.pseudonym(row["customer_id"], now.year)
        await self.trail.record({"operation": "erasure", "client": "cdp", "customer": name, "gone": list(gone)})

    def _certificate(self, row: Any, gone: Sequence[str], report: dict[str, int], now: datetime) -> str:
        said = {
            "format": "cdp.erasure.v1",
            "tenant": self.ring.tenant,
            "store": self.store.name,
            "customer": str(row["customer_id"]),
            "request": str(row["request_id"]) if row["request_id"] else None,
            "erasedAt": row["erased_at"].isoformat(),
            "finishedAt": now.isoformat(),
            "gone": list(gone),
            "rows": report,
            "kept": json.loads(row["kept"]),
            "backupsCleanOn": f"{now + timedelta(days=self.backup_days):%Y-%m-%d}",
        }
        return signed(self.ring, said)


def signed(ring: KeyRing, said: dict[str, Any]) -> str:
    """A certificate: its words, and the signature (Ed25519, the store's log key) of their canonical JSON."""
    signer = ring.signer
    signature = b64encode(signer.sign(canonical(said))).decode()
    return canonical({"certificate": said, "publicKey": signer.public_key.hex(), "signature": signature}).decode()


async def certificate_of(connection: Connection, customer_id: UUID, ring: KeyRing) -> str | None:
    """The certificate of a customer's erasure; None where there is none, or it is not as it was signed."""
    found: str | None = await connection.fetchval("SELECT certificate FROM erasure WHERE customer_id = $1", customer_id)
    try:
        return found if found is not None and signed(ring, json.loads(found)["certificate"]) == found else None
    except (ValueError, TypeError, KeyError):  # nothing that we would sign
        return None
