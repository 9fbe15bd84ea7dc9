"""What happens later: small named jobs that keep every store in order.

A job that fails is logged and tried again, sooner than it would be its turn; it holds up neither the other jobs nor the
other stores. Each job may run in several processes at once and may be stopped anywhere: its steps are transactions.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import structlog

from cdp.care.overdue import escalate
from cdp.erasure.expire import expire
from cdp.erasure.ledger import Ledger
from cdp.erasure.sweep import Sweeper
from cdp.house import House
from cdp.outbox import KEPT_DAYS, delete_oldest
from cdp.partitions import ensure_partitions
from cdp.reconcile.money import reconcile_money
from cdp.reconcile.services import reconcile_services
from cdp.sequencer import extend_tree
from cdp.stores import Store
from cdp.tables import BUCKETS
from cdp.usage.tables import usage_record
from cdp.values import month_from, pause_after
from cdp.webhooks.endpoints import passed_by_all
from cdp.witnesses import ask_witnesses, witnesses_of
from cdp.words import log_words

PARTITIONED: Final = (usage_record,)
MONTHS_AHEAD: Final = 3
DELETED_AT_ONCE: Final = 5000
RETRY_SECONDS: Final = 5.0
LONGEST_RETRY_SECONDS: Final = 300.0
GRACE_SECONDS: Final = 20.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """`run` does in one store whatever is due, every `every_seconds` at most."""

    name: str
    every_seconds: float
    run: Callable[[Store], Awaitable[None]]


def jobs(outbox_days: int = KEPT_DAYS) -> tuple[Job, ...]:
    """The jobs of a worker; `outbox_days` is how long an event stays in the outbox."""

    async def sweep_outbox(store: Store) -> None:
        await delete_outbox(store, datetime.now(UTC) - timedelta(days=outbox_days))

    async def reconcile(store: Store) -> None:
        await reconcile_services(store, datetime.now(UTC))

    async def reconcile_top_ups(store: Store) -> None:
        await reconcile_money(store, datetime.now(UTC))

    async def escalate_cases(store: Store) -> None:
        await escalate(store, datetime.now(UTC))

    prepared, swept = Job("partitions", 6 * 3600, prepare_months), Job("outbox", 600, sweep_outbox)
    found = Job("services", 30, reconcile), Job("money", 300, reconcile_top_ups)
    return (prepared, swept, *found, Job("overdue cases", 60, escalate_cases))


def evidence_jobs(house: House) -> tuple[Job, ...]:
    """The jobs that keep the evidence of a house: words into the trail, entries into the tree, witnesses asked."""
    witnesses = witnesses_of(house.settings)

    async def write_words(store: Store) -> None:
        await log_words(store, house.trails[store.name])

    async def extend(store: Store) -> None:
        await extend_tree(store, house.rings[store.name])

    async def witness(store: Store) -> None:
        await ask_witnesses(store, witnesses)

    return (Job("words", 1, write_words), Job("tree", 1, extend), Job("witnesses", 1, witness))


def sweepers(house: House) -> dict[str, Sweeper]:
    """Store -> who finishes its erasures."""
    folder, days = house.settings.ledger_folder, house.settings.backup_days
    return {
        name: Sweeper(store, house.rings[name], house.trails[name], Ledger(folder, name), days)
        for name, store in house.stores.items()
    }


async def replay_ledgers(house: House) -> dict[str, int]:
    """Store -> how many were erased again: before anything is told by a store that may have come back from a backup."""
    return {name: await sweeper.replay() for name, sweeper in sweepers(house).items()}


def privacy_jobs(house: House) -> tuple[Job, ...]:
    """What people asked for and what time asks for: erasures are finished, data goes when its term is over."""
    by_store = sweepers(house)

    async def sweep(store: Store) -> None:
        await by_store[store.name].sweep()

    async def keep_terms(store: Store) -> None:
        await expire(store, house.rings[store.name], datetime.now(UTC))

    return (Job("erasures", 60, sweep), Job("retention", 24 * 3600, keep_terms))


async def prepare_months(store: Store) -> None:
    """Makes the partitions of this month and the coming ones, each table's in a transaction of its own."""
    months = coming_months(datetime.now(UTC).date())
    for table in PARTITIONED:
        async with store.transaction() as connection:
            await ensure_partitions(connection, table, months)


def coming_months(today: date) -> list[date]:
    """The first day of this month and of the MONTHS_AHEAD after it."""
    return [month_from(today, n) for n in range(MONTHS_AHEAD + 1)]


async def delete_outbox(store: Store, before: datetime) -> int:
    """Deletes what was recorded before that instant and every active webhook has passed, a few thousand rows at a time,
    and returns how many.
    """
    deleted = 0
    for bucket in range(BUCKETS):
        found = DELETED_AT_ONCE
        while found == DELETED_AT_ONCE:
            async with store.transaction() as connection:
                passed = await passed_by_all(connection, bucket)
                found = await delete_oldest(connection, bucket, before, DELETED_AT_ONCE, passed)
            deleted += found
    return deleted


async def work_once(stores: Iterable[Store], todo: Sequence[Job]) -> int:
    """Runs every job once in every store; returns how many failed."""
    succeeded = await asyncio.gather(*(_attempt(job, store, 1) for store in stores for job in todo))
    return succeeded.count(False)


async def work(stores: Iterable[Store], todo: Sequence[Job], stop: asyncio.Event) -> None:
    """Runs the jobs again and again until `stop`; what is running then may finish within GRACE_SECONDS."""
    running = [asyncio.create_task(_repeat(job, store, stop), name=job.name) for store in stores for job in todo]
    await stop.wait()
    _, late = await asyncio.wait(running, timeout=GRACE_SECONDS)
    for task in late:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def stop_on_signals(stop: asyncio.Event) -> None:
    """Sets `stop` when the process is asked to end (SIGTERM, SIGINT); inside the running event loop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def _repeat(job: Job, store: Store, stop: asyncio.Event) -> None:
    failed = 0
    while not stop.is_set():
        failed = 0 if await _attempt(job, store, failed + 1) else failed + 1
        await _sleep(pause_seconds(job, failed), stop)


def pause_seconds(job: Job, failed: int) -> float:
    """How long to wait after so many failures in a row: twice as long each time, at most until the job's own turn."""
    if failed == 0:
        return job.every_seconds
    return pause_after(failed, RETRY_SECONDS, min(job.every_seconds, LONGEST_RETRY_SECONDS))


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    await asyncio.wait({waiting := asyncio.create_task(stop.wait())}, timeout=seconds)
    waiting.cancel()


async def _attempt(job: Job, store: Store, attempt: int) -> bool:
    try:
        await job.run(store)
    except Exception:
        # Whatever a job dies of, the worker and the other jobs live on.
        log.warning("job failed", kind=job.name, store=store.name, attempt=attempt, exc_info=True)
        return False
    log.debug("job done", kind=job.name, store=store.name, attempt=attempt)
    return True
